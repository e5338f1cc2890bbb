#include "golden/ops/patchify.h"

#include <algorithm>

#include "golden/ops/require.h"

namespace qsim {

void Patchify(std::span<const std::uint8_t> pixels, std::int64_t channels, std::int64_t height,
              std::int64_t width, std::int64_t patch, std::span<std::uint8_t> out) {
  Require(patch >= 1 && height % patch == 0 && width % patch == 0,
          "Patchify: patch must divide height and width");
  Require(static_cast<std::int64_t>(pixels.size()) == channels * height * width &&
              out.size() == pixels.size(),
          "Patchify: pixels and out must hold channels * height * width elements");
  auto to = out.begin();
  for (std::int64_t top = 0; top < height; top += patch) {
    for (std::int64_t left = 0; left < width; left += patch) {
      for (std::int64_t c = 0; c < channels; ++c) {
        for (std::int64_t y = 0; y < patch; ++y) {
          const auto from = pixels.begin() + (c * height + top + y) * width + left;
          to = std::copy(from, from + patch, to);
        }
      }
    }
  }
}

}  // namespace qsim
