#include "sim/io/tensors/shape.h"

#include <cstddef>

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
  std::int64_t count = 1;
  bool has_zero = false;
  for (const std::int64_t dim : shape) {
    if (dim < 0) return std::nullopt;
    has_zero = has_zero || dim == 0;
    if (dim > 0 && __builtin_mul_overflow(count, dim, &count)) return std::nullopt;
  }
  return has_zero ? 0 : count;
}

}  // namespace qsim::io
