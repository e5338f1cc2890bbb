// Image to patches, pure data movement. docs/numerics.md section 9.1.
#pragma once

#include <cstdint>
#include <span>

namespace qsim {

// pixels [channels, height, width] -> out [(height / patch) (width / patch), channels patch patch].
// Patches are row-major; within a patch the order is (channel, row, column), that of a
// convolution's weight. Throws std::invalid_argument where sizes disagree or patch does not divide
// height and width.
void Patchify(std::span<const std::uint8_t> pixels, std::int64_t channels, std::int64_t height,
              std::int64_t width, std::int64_t patch, std::span<std::uint8_t> out);

}  // namespace qsim
