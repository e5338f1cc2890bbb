#include "sim/io/tensors/shape.h"

#include <cstddef>
#include <limits>

namespace qsim::io {
namespace {

std::string Bracketed(const Shape& values) {
  std::string text = "[";
  constexpr std::size_t kMost = 16;  // of a message
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) text += ", ";
    if (i == kMost) return text + "...]";
    text += std::to_string(values[i]);
  }
  return text + "]";
}

}  // namespace

std::string FormatShape(const Shape& shape) { return Bracketed(shape); }

std::string FormatIndex(const Shape& shape, std::int64_t element) {
  Shape index(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    const std::int64_t size = shape[axis] > 0 ? shape[axis] : 1;
    index[axis] = element % size;
    element /= size;
  }
  return Bracketed(index);
}

std::optional<std::int64_t> CheckedElementCount(const Shape& shape) {
  // A zero anywhere makes the product zero, whatever the other dimensions would overflow to.
  bool has_zero = false;
  for (const std::int64_t dim : shape) {
    if (dim < 0) return std::nullopt;
    has_zero = has_zero || dim == 0;
  }
  if (has_zero) return 0;
  std::int64_t count = 1;
  for (const std::int64_t dim : shape) {
    if (count > std::numeric_limits<std::int64_t>::max() / dim) return std::nullopt;
    count *= dim;
  }
  return count;
}

}  // namespace qsim::io
