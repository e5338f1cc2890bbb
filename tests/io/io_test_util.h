// Files with chosen bytes, error messages as text, and systematically damaged copies of a file.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "sim/error.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {

inline void WriteBytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  ASSERT_TRUE(file.good()) << path;
}

inline std::string ReadBytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

template <typename T>
std::string BytesOf(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

// The message of the InputError that `action` throws, or "" when it throws none. One line, always.
inline std::string ErrorOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const InputError& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_FALSE(message.empty());
    return message;
  }
  return "";
}

inline std::size_t FilesIn(const std::filesystem::path& directory) {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator(directory), {}));
}

// The ```yaml examples of docs/formats.md, in order.
inline std::vector<std::string> DocumentedYaml() {
  const std::string text =
      ReadBytes(std::filesystem::path(QSIM_SOURCE_DIR) / "docs" / "formats.md");
  const std::string fence = "```yaml\n";
  std::vector<std::string> blocks;
  for (std::size_t at = text.find(fence); at != std::string::npos; at = text.find(fence, at)) {
    at += fence.size();
    blocks.push_back(text.substr(at, text.find("```", at) - at));
  }
  return blocks;
}

struct DamageCount {
  std::size_t loaded = 0;
  std::size_t rejected = 0;
};

// Calls `load` on every truncation of `bytes`, on every copy with one bit flipped, and on every
// copy with one byte inverted. Each call must return or throw InputError.
inline DamageCount LoadDamagedCopies(const std::filesystem::path& path, const std::string& bytes,
                                     const std::function<void()>& load) {
  DamageCount count;
  const auto attempt = [&](const std::string& what) {
    try {
      load();
      ++count.loaded;
    } catch (const InputError& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << what;
      ++count.rejected;
    } catch (const std::exception& error) {
      ADD_FAILURE() << what << ": " << error.what();
    }
  };
  // Patched in place: rewriting the file thousands of times would dominate the test.
  WriteBytes(path, bytes);
  const auto patch = [&](std::size_t at, char byte) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(at));
    file.put(byte);
  };
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (unsigned flip = 0; flip <= 8; ++flip) {
      const unsigned mask = flip == 8 ? 0xffu : 1u << flip;
      patch(i, static_cast<char>(static_cast<unsigned char>(bytes[i]) ^ mask));
      attempt("byte " + std::to_string(i) + " xor " + std::to_string(mask));
    }
    patch(i, bytes[i]);
  }
  for (std::size_t length = bytes.size(); length-- > 0;) {
    std::filesystem::resize_file(path, length);
    attempt("truncated to " + std::to_string(length));
  }
  return count;
}

}  // namespace qsim::testing
