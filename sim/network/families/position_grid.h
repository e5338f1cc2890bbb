// Position embeddings for another number of patches than they were trained for, as the library that
// trained them would make them.
#pragma once

#include <cstdint>
#include <string_view>

#include "sim/io/tensors/float_tensor.h"
#include "sim/network/families/naming.h"

namespace qsim::network {

// How PyTorch's interpolate(mode="bicubic") is called.
struct GridResampling {
  bool antialias = false;
  bool align_corners = false;
  std::string_view whose;
};
GridResampling ResamplingOf(const NamingScheme& scheme);

// [side side, C], row by row, to [to to, C].
FloatTensor ResampleGrid(const FloatTensor& grid, std::int64_t side, std::int64_t to,
                         const GridResampling& how);

}  // namespace qsim::network
