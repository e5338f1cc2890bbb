// Helpers shared by every test binary.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>
#include <random>
#include <string>

namespace qsim::testing {

// A generator seeded by --gtest_random_seed (or QSIM_TEST_SEED), printed so that a failure can be
// repeated: QSIM_TEST_SEED=N <binary> --gtest_filter=<test>.
class SeededRandom {
 public:
  explicit SeededRandom(std::uint64_t default_seed = 1) {
    seed_ = default_seed;
    if (const char* env = std::getenv("QSIM_TEST_SEED")) seed_ = std::strtoull(env, nullptr, 10);
    engine_.seed(seed_);
    std::cout << "[ seed     ] " << seed_ << " (QSIM_TEST_SEED=" << seed_ << " repeats it)\n";
  }
  std::uint64_t seed() const { return seed_; }
  std::mt19937_64& engine() { return engine_; }
  // Uniform in [lo, hi]; own reduction, so that every standard library draws the same numbers.
  std::int64_t Between(std::int64_t lo, std::int64_t hi) {
    const std::uint64_t span = static_cast<std::uint64_t>(hi) - static_cast<std::uint64_t>(lo) + 1;
    const std::uint64_t draw = span == 0 ? engine_() : engine_() % span;
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(lo) + draw);
  }

 private:
  std::uint64_t seed_ = 1;
  std::mt19937_64 engine_;
};

// The external data: $QSIM_SHARED_DIR, else ../shared beside the source tree; nullopt where absent.
inline std::optional<std::filesystem::path> SharedDir() {
  std::filesystem::path dir;
  if (const char* env = std::getenv("QSIM_SHARED_DIR")) {
    dir = env;
  } else {
    dir = std::filesystem::path(QSIM_SOURCE_DIR).parent_path() / "shared";
  }
  if (std::filesystem::is_directory(dir)) return dir;
  return std::nullopt;
}

// A fresh directory that is removed at the end of the test.
class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "qsim-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace qsim::testing
