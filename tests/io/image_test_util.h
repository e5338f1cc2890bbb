// The reference vectors that Pillow wrote: data/make_pil_vectors.py.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "sim/io/images/image.h"
#include "sim/io/tensors/npy.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {

inline std::filesystem::path ImageData() {
  return std::filesystem::path(QSIM_SOURCE_DIR) / "tests" / "io" / "data";
}

inline std::vector<std::filesystem::path> FilesBelow(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

inline Image ReadVector(const std::filesystem::path& path) {
  IntTensor tensor = ReadIntNpy(path);
  return {tensor.shape().at(0), tensor.shape().at(1), tensor.shape().at(2),
          tensor.As<std::uint8_t>()};
}

// Every pixel; the first that differs is named.
inline void ExpectSameImage(const Image& actual, const Image& expected, const std::string& what) {
  ASSERT_EQ(actual.height, expected.height) << what;
  ASSERT_EQ(actual.width, expected.width) << what;
  ASSERT_EQ(actual.channels, expected.channels) << what;
  ASSERT_EQ(actual.pixels.size(), expected.pixels.size()) << what;
  for (std::size_t i = 0; i < actual.pixels.size(); ++i) {
    ASSERT_EQ(actual.pixels[i], expected.pixels[i]) << what << ", element " << i;
  }
}

inline std::vector<std::string> SplitAt(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

}  // namespace qsim::testing
