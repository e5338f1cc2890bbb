// Where golden and RTL differ.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "golden/program/program.h"
#include "sim/cosim/rtl_backend.h"

namespace qsim::run {

// One tap of one image.
struct TapMismatch {
  std::int64_t count = 0;
  std::int64_t first = 0;     // element, without the image axis
  std::int64_t expected = 0;  // golden
  std::int64_t actual = 0;    // RTL
};

// Of tensors with the same shape.
TapMismatch CompareTensors(const IntTensor& golden, const IntTensor& rtl);

std::vector<std::int64_t> IndexOf(std::int64_t element, const Shape& shape);

// The tile in which the RTL computes an element of a tap, which is as long as in the run, by the
// numbering of docs/rtl.md.
cosim::TraceRequest LocateTile(const Program& program, const TensorInfo& tap, std::int64_t image,
                               std::int64_t element, cosim::ArrayShape array);

}  // namespace qsim::run
