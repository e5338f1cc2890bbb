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

// What makes a run of tests random: --gtest_random_seed or GTEST_RANDOM_SEED. Where neither is
// given, a new one in CI (CI=true) and with --gtest_shuffle; otherwise 0, under which each test has
// its own fixed seed, so that a local run repeats the last one.
inline int RunSeed() {
  constexpr int kHighest = 99999;  // GoogleTest's
  static const int seed = [] {
    if (const int asked = ::testing::GTEST_FLAG(random_seed); asked != 0) return asked;
    const char* ci = std::getenv("CI");
    const bool fresh =
        ::testing::GTEST_FLAG(shuffle) || (ci != nullptr && std::string(ci) == "true");
    return fresh ? static_cast<int>(std::random_device()() % kHighest) + 1 : 0;
  }();
  return seed;
}

// The one command that repeats the running test with this run's seed, from the root of the source
// tree.
inline std::string RepeatingCommand() {
  namespace fs = std::filesystem;
  const fs::path binary = fs::read_symlink("/proc/self/exe");
  const fs::path inside = binary.lexically_relative(QSIM_SOURCE_DIR);
  const ::testing::TestInfo& test = *::testing::UnitTest::GetInstance()->current_test_info();
  return (RunSeed() == 0 ? "" : "GTEST_RANDOM_SEED=" + std::to_string(RunSeed()) + " ") +
         (inside.empty() || *inside.begin() == ".." ? binary : inside).string() +
         " --gtest_filter=" + test.test_suite_name() + "." + test.name();
}

// Every random number of a test comes from one of these. `own` tells the generators of one run
// apart. The command is printed at once, not after a failure: a sanitizer or a timeout ends a test
// without a last word.
class SeededRandom {
 public:
  explicit SeededRandom(std::uint64_t own = 1)
      : seed_((static_cast<std::uint64_t>(RunSeed()) << 32) + own), engine_(seed_) {
    std::cout << "[ random   ] " << RepeatingCommand() << std::endl;
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
  std::uint64_t seed_;
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
