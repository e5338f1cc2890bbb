// Typed integer tensors. A float can not get in: there is no float storage type.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "golden/ops/requantize.h"

namespace qsim::golden {

enum class DType : std::uint8_t { kInt8, kUint8, kInt16, kUint16, kInt32, kInt64 };
constexpr auto NamesOf(DType /*enum*/) {
  return std::to_array<NamedValue<DType>>({
      {DType::kInt8, "int8"},
      {DType::kUint8, "uint8"},
      {DType::kInt16, "int16"},
      {DType::kUint16, "uint16"},
      {DType::kInt32, "int32"},
      {DType::kInt64, "int64"},
  });
}
int BitsOf(DType dtype);
bool IsSigned(DType dtype);

// The narrowest storage type that holds the range.
DType StorageFor(QuantRange range);

using Shape = std::vector<std::int64_t>;
std::int64_t ElementCount(const Shape& shape);

// Which axis the per-channel parameters of an operation run along.
enum class ChannelAxis : std::uint8_t { kNone, kLast, kFirst };
constexpr auto NamesOf(ChannelAxis /*enum*/) {
  return std::to_array<NamedValue<ChannelAxis>>({
      {ChannelAxis::kNone, "none"},
      {ChannelAxis::kLast, "last"},
      {ChannelAxis::kFirst, "first"},
  });
}

// How the elements of a tensor of this shape map to the channels of that axis.
ChannelLayout LayoutOf(const Shape& shape, ChannelAxis axis);

// A dense, row-major tensor of integers.
class IntTensor {
 public:
  using Storage = std::variant<std::vector<std::int8_t>, std::vector<std::uint8_t>,
                               std::vector<std::int16_t>, std::vector<std::uint16_t>,
                               std::vector<std::int32_t>, std::vector<std::int64_t>>;

  IntTensor() = default;
  IntTensor(DType dtype, Shape shape);  // zeros
  IntTensor(Shape shape, Storage values);
  // The vector is copied first, then moved in: libstdc++ takes a variant of vectors for one that
  // always has a value, and where its own copy finds no memory destroys what is not there.
  IntTensor(const IntTensor& other);
  IntTensor& operator=(const IntTensor& other);
  IntTensor(IntTensor&&) = default;
  IntTensor& operator=(IntTensor&&) = default;
  ~IntTensor() = default;

  DType dtype() const { return static_cast<DType>(storage_.index()); }
  const Shape& shape() const { return shape_; }
  std::int64_t size() const;

  // One element, whatever the storage type. For loading, comparing and reporting, not for inner
  // loops.
  std::int64_t At(std::int64_t index) const;

  template <typename T>
  const std::vector<T>& As() const {
    return std::get<std::vector<T>>(storage_);
  }
  template <typename T>
  std::vector<T>& As() {
    return std::get<std::vector<T>>(storage_);
  }
  const Storage& storage() const { return storage_; }
  Storage& storage() { return storage_; }

  bool operator==(const IntTensor&) const = default;

 private:
  Shape shape_;
  Storage storage_;
};

}  // namespace qsim::golden
