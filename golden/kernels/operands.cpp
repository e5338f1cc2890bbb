#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "golden/kernels/product.h"
#include "golden/ops/integer_sqrt.h"

namespace qsim::golden::kernels {
namespace {

// Panel by panel and group by group, so that both memories are walked in order.
template <typename Member>
void PackColumns(MatrixView<const std::int8_t> rhs, std::int32_t sign, RightOperand& packed) {
  constexpr std::int64_t kMembers = 4 / static_cast<std::int64_t>(sizeof(Member));
  const std::int64_t panel = PanelColumns();
  for (std::int64_t first = 0; first < packed.columns; first += panel) {
    auto* to = reinterpret_cast<Member*>(packed.data.get() + first * packed.groups * 4);
    const std::int64_t columns = std::min(panel, packed.columns - first);
    const std::int8_t* from = rhs.data + first * rhs.col_stride;
    for (std::int64_t k = 0; k < rhs.rows; k += kMembers, to += kMembers * panel) {
      const std::int64_t members = std::min(kMembers, rhs.rows - k);
      if (kMembers == 4 && members == 4 && rhs.row_stride == 1) {
        for (std::int64_t n = 0; n < columns; ++n)
          std::memcpy(to + 4 * n, from + n * rhs.col_stride + k, 4);
        continue;
      }
      for (std::int64_t i = 0; i < members; ++i) {
        const std::int8_t* row = from + (k + i) * rhs.row_stride;
        for (std::int64_t n = 0; n < columns; ++n)
          to[n * kMembers + i] = static_cast<Member>(sign * row[n * rhs.col_stride]);
      }
    }
  }
}

// Adds f(value) of rows first..last to each column's sum, in the order of the memory.
template <typename Function>
void AddRows(MatrixView<const std::int8_t> rhs, std::int64_t first, std::int64_t last,
             std::int32_t* sums, Function f) {
  if (rhs.col_stride == 1) {
    for (std::int64_t k = first; k < last; ++k) {
      const std::int8_t* row = rhs.data + k * rhs.row_stride;
      for (std::int64_t n = 0; n < rhs.cols; ++n) sums[n] += f(row[n]);
    }
    return;
  }
  for (std::int64_t n = 0; n < rhs.cols; ++n) {
    const std::int8_t* column = rhs.data + n * rhs.col_stride;
    std::int32_t sum = 0;
    if (rhs.row_stride == 1) {
      for (std::int64_t k = first; k < last; ++k) sum += f(column[k]);
    } else {
      for (std::int64_t k = first; k < last; ++k) sum += f(column[k * rhs.row_stride]);
    }
    sums[n] += sum;
  }
}

}  // namespace

std::int32_t NormOf(std::int64_t squares) {
  const auto root = static_cast<std::int64_t>(IntegerSqrt(static_cast<UInt128>(squares)));
  return static_cast<std::int32_t>(root + (root * root < squares ? 1 : 0));
}

RightOperand PackRight(MatrixView<const std::int8_t> rhs, Group group, bool negate) {
  const std::int64_t members = group == Group::kBytes ? 4 : 2;
  const std::int64_t panel = PanelColumns();
  RightOperand packed;
  packed.group = group;
  packed.depth = rhs.rows;
  packed.columns = rhs.cols;
  packed.groups = (rhs.rows + members - 1) / members;
  packed.padded = (rhs.cols + panel - 1) / panel * panel;
  const auto bytes = static_cast<std::size_t>(packed.padded * packed.groups * 4);
  packed.data = hwy::AllocateAligned<std::uint8_t>(std::max<std::size_t>(bytes, 1));
  if (packed.data == nullptr) throw std::bad_alloc();
  std::memset(packed.data.get(), 0, bytes);
  if (group == Group::kBytes) {
    PackColumns<std::int8_t>(rhs, 1, packed);
  } else {
    PackColumns<std::int16_t>(rhs, negate ? -1 : 1, packed);
  }
  packed.sums.assign(static_cast<std::size_t>(packed.padded), 0);
  packed.magnitudes.assign(packed.sums.size(), 0);
  AddRows(rhs, 0, rhs.rows, packed.sums.data(), [](std::int32_t v) { return v; });
  AddRows(rhs, 0, rhs.rows, packed.magnitudes.data(), [](std::int32_t v) { return std::abs(v); });
  return packed;
}

void AddBlocks(MatrixView<const std::int8_t> rhs, RightOperand& packed) {
  const auto width = static_cast<std::size_t>(packed.padded);
  const auto blocks = static_cast<std::size_t>((rhs.rows + kBlock - 1) / kBlock);
  packed.block_sums.assign(blocks * width, 0);
  packed.block_norms.assign(blocks * width, 0);
  for (std::size_t block = 0; block < blocks; ++block) {
    const auto first = static_cast<std::int64_t>(block) * kBlock;
    std::int32_t* sums = packed.block_sums.data() + block * width;
    std::int32_t* norms = packed.block_norms.data() + block * width;
    const std::int64_t last = std::min(first + kBlock, rhs.rows);
    AddRows(rhs, first, last, sums, [](std::int32_t v) { return v; });
    AddRows(rhs, first, last, norms, [](std::int32_t v) { return v * v; });
    for (std::size_t n = 0; n < width; ++n) norms[n] = NormOf(norms[n]);
  }
}

}  // namespace qsim::golden::kernels
