// Tensors as the kernels take and give them: rows of 32 bits. Private to golden/kernels.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "golden/kernels/vectors.h"
#include "golden/program/operation_run.h"

namespace qsim::golden::kernels {

// A tensor's rows in 32 bits: its own, or copies of them.
class WideRows {
 public:
  explicit WideRows(const IntTensor& tensor)
      : tensor_(tensor), width_(static_cast<std::size_t>(tensor.shape().back())) {}
  // Valid until the next call.
  std::span<const std::int32_t> Rows(std::size_t first, std::size_t count) {
    return std::visit(
        [&]<typename T>(const std::vector<T>& values) -> std::span<const std::int32_t> {
          const auto rows = std::span(values).subspan(first * width_, count * width_);
          if constexpr (std::is_same_v<T, std::int32_t>) {
            return rows;
          } else {
            copy_.resize(rows.size());
            if constexpr (sizeof(T) < 4) {
              Widen(rows, copy_.data());
            } else {
              std::transform(rows.begin(), rows.end(), copy_.begin(),
                             [](T v) { return static_cast<std::int32_t>(v); });
            }
            return copy_;
          }
        },
        tensor_.storage());
  }

 private:
  const IntTensor& tensor_;
  std::size_t width_;
  std::vector<std::int32_t> copy_;
};

// A result that was computed in 32 bits, in the tensor's own type.
inline IntTensor Narrowed(const TensorInfo& info, std::span<const std::int32_t> values) {
  IntTensor tensor(info.dtype, info.shape);
  std::visit(
      [&]<typename T>(std::vector<T>& to) {
        if constexpr (sizeof(T) < 4) {
          Narrow(values, to.data());
        } else {
          std::copy(values.begin(), values.end(), to.begin());
        }
      },
      tensor.storage());
  return tensor;
}

inline std::size_t RowCount(const IntTensor& tensor) {
  return static_cast<std::size_t>(tensor.size() / std::max<std::int64_t>(tensor.shape().back(), 1));
}

// Some columns of every row.
struct ColumnGroup {
  std::int64_t columns, first, width;

  std::vector<std::int32_t> Of(std::span<const std::int32_t> rows) const {
    std::vector<std::int32_t> group;
    group.reserve(rows.size() / static_cast<std::size_t>(columns) *
                  static_cast<std::size_t>(width));
    for (auto row = rows.begin(); row != rows.end(); row += columns)
      group.insert(group.end(), row + first, row + first + width);
    return group;
  }
  void Put(std::span<const std::int32_t> group, std::span<std::int32_t> rows) const {
    auto from = group.begin();
    for (auto row = rows.begin(); row != rows.end(); row += columns, from += width)
      std::copy_n(from, width, row + first);
  }
};

}  // namespace qsim::golden::kernels
