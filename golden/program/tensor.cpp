#include "golden/program/tensor.h"

#include <array>
#include <cstddef>
#include <limits>
#include <utility>

#include "golden/ops/require.h"

namespace qsim::golden {
namespace {

// Zeros of the type whose index in Storage is dtype.
IntTensor::Storage MakeStorage(DType dtype, std::size_t size) {
  switch (dtype) {
    case DType::kInt8:
      return std::vector<std::int8_t>(size);
    case DType::kUint8:
      return std::vector<std::uint8_t>(size);
    case DType::kInt16:
      return std::vector<std::int16_t>(size);
    case DType::kUint16:
      return std::vector<std::uint16_t>(size);
    case DType::kInt32:
      return std::vector<std::int32_t>(size);
    case DType::kInt64:
      return std::vector<std::int64_t>(size);
  }
  throw std::invalid_argument("IntTensor: unknown dtype");
}

template <typename T>
bool Holds(QuantRange range) {
  return range.qmin >= std::numeric_limits<T>::min() && range.qmax <= std::numeric_limits<T>::max();
}

}  // namespace

int BitsOf(DType dtype) {
  switch (dtype) {
    case DType::kInt8:
    case DType::kUint8:
      return 8;
    case DType::kInt16:
    case DType::kUint16:
      return 16;
    case DType::kInt32:
      return 32;
    case DType::kInt64:
      return 64;
  }
  throw std::invalid_argument("BitsOf: unknown dtype");
}

bool IsSigned(DType dtype) { return dtype != DType::kUint8 && dtype != DType::kUint16; }

DType StorageFor(QuantRange range) {
  if (Holds<std::int8_t>(range)) return DType::kInt8;
  if (Holds<std::uint8_t>(range)) return DType::kUint8;
  if (Holds<std::int16_t>(range)) return DType::kInt16;
  if (Holds<std::uint16_t>(range)) return DType::kUint16;
  return DType::kInt32;
}

std::int64_t ElementCount(const Shape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) {
    Require(extent >= 0 && !__builtin_mul_overflow(count, extent, &count),
            "ElementCount: a shape must have extents >= 0 and fewer than 2^63 elements");
  }
  return count;
}

IntTensor::IntTensor(DType dtype, Shape shape)
    : shape_(std::move(shape)),
      storage_(MakeStorage(dtype, static_cast<std::size_t>(ElementCount(shape_)))) {}

IntTensor::IntTensor(Shape shape, Storage values)
    : shape_(std::move(shape)), storage_(std::move(values)) {
  Require(size() == ElementCount(shape_),
          "IntTensor: the shape must have as many elements as values");
}

IntTensor::IntTensor(const IntTensor& other) : shape_(other.shape_) {
  std::visit([&](auto values) { storage_ = std::move(values); }, other.storage_);
}

IntTensor& IntTensor::operator=(const IntTensor& other) { return *this = IntTensor(other); }

std::int64_t IntTensor::size() const {
  return std::visit([](const auto& values) { return static_cast<std::int64_t>(values.size()); },
                    storage_);
}

std::int64_t IntTensor::At(std::int64_t index) const {
  return std::visit(
      [&](const auto& values) {
        return static_cast<std::int64_t>(values.at(static_cast<std::size_t>(index)));
      },
      storage_);
}

ChannelLayout LayoutOf(const Shape& shape, ChannelAxis axis) {
  const std::int64_t size = ElementCount(shape);
  switch (axis) {
    case ChannelAxis::kLast:
      return {size / shape.back(), shape.back(), 1};
    case ChannelAxis::kFirst:
      return {1, shape.front(), size / shape.front()};
    case ChannelAxis::kNone:
      break;
  }
  return {1, 1, size};
}

}  // namespace qsim::golden
