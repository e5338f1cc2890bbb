// Matrices within row-major tensors, for the products. Private to golden/program/ops.
#pragma once

#include <cstdint>
#include <vector>

#include "golden/program/backend.h"
#include "golden/program/tensor.h"

namespace qsim::golden {

// A matrix within a row-major tensor with `row_stride` elements per row.
template <typename T>
MatrixView<const T> ViewOf(const std::vector<T>& values, std::int64_t offset, std::int64_t rows,
                           std::int64_t cols, std::int64_t row_stride) {
  return {values.data() + offset, rows, cols, row_stride, 1};
}

inline LhsView LhsViewOf(const IntTensor& tensor, std::int64_t offset, std::int64_t rows,
                         std::int64_t cols, std::int64_t row_stride) {
  if (tensor.dtype() == DType::kUint8) {
    return ViewOf(tensor.As<std::uint8_t>(), offset, rows, cols, row_stride);
  }
  return ViewOf(tensor.As<std::int8_t>(), offset, rows, cols, row_stride);
}

inline MatrixView<const std::int8_t> Transposed(MatrixView<const std::int8_t> view) {
  return {view.data, view.cols, view.rows, view.col_stride, view.row_stride};
}

}  // namespace qsim::golden
