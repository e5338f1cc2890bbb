#include "sim/run/mismatch.h"

namespace qsim::run {

TapMismatch CompareTensors(const IntTensor& golden, const IntTensor& rtl) {
  TapMismatch mismatch;
  if (golden == rtl) return mismatch;
  for (std::int64_t i = 0; i < golden.size(); ++i) {
    const std::int64_t expected = golden.At(i);
    const std::int64_t actual = rtl.At(i);
    if (expected == actual) continue;
    if (mismatch.count++ == 0) {
      mismatch.first = i;
      mismatch.expected = expected;
      mismatch.actual = actual;
    }
  }
  return mismatch;
}

std::vector<std::int64_t> IndexOf(std::int64_t element, const Shape& shape) {
  std::vector<std::int64_t> index(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    index[axis] = element % shape[axis];
    element /= shape[axis];
  }
  return index;
}

cosim::TraceRequest LocateTile(const Program& program, const TensorInfo& tap, std::int64_t image,
                               std::int64_t element, cosim::ArrayShape array) {
  const Shape& shape = tap.shape;
  std::int64_t row = element / shape.back();
  std::int64_t column = element % shape.back();
  cosim::TraceRequest tile;
  tile.tap = tap.name;
  tile.image = image;
  // The array sees a product of heads one head at a time; no other operation is cut so.
  for (const Op& op : program.ops) {
    const auto* matmul = std::get_if<MatmulOp>(&op);
    if (matmul == nullptr || matmul->output != tap.name) continue;
    const Matrices heads = *MatricesOf(shape, matmul->heads);
    if (shape.size() == 2) {  // side by side
      tile.head = column / heads.cols;
      column %= heads.cols;
    } else {
      tile.head = row / heads.rows;
      row %= heads.rows;
    }
  }
  const cosim::TileIndex index = cosim::TileOf(array, row, column);
  tile.tile_row = index.row;
  tile.tile_col = index.col;
  return tile;
}

}  // namespace qsim::run
