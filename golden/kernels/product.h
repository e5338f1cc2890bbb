// Products of 8-bit matrices in vector registers. Private to golden/kernels.
//
// A lane takes a group of k at once: four bytes, unsigned by signed, where the machine multiplies
// and adds those in one instruction, else two words of 16 bits. Either is exact. Columns are packed
// in panels as wide as the registers hold.
#pragma once

#include <hwy/aligned_allocator.h>

#include <cstdint>
#include <vector>

#include "golden/ops/gemm.h"

namespace qsim::golden::kernels {

enum class Group : std::uint8_t { kBytes, kWords };

// Of this machine: what a lane takes at once where operands have 8 bits, and columns of a panel.
Group BestGroup();
std::int64_t PanelColumns();

// k between two looks at the bounds of partial sums.
inline constexpr std::int64_t kBlock = 64;

// The right operand, K x N. Columns are padded with zeros to whole panels, k to whole groups.
struct RightOperand {
  Group group = Group::kWords;
  std::int64_t depth = 0, columns = 0;
  std::int64_t groups = 0;                                      // of k
  std::int64_t padded = 0;                                      // columns
  hwy::AlignedFreeUniquePtr<std::uint8_t[]> data;               // [panel][group][column][4 bytes]
  std::vector<std::int32_t> sums;                               // of each column
  std::vector<std::int32_t> magnitudes;                         // sums of absolute values
  std::vector<std::int32_t> block_sums = {}, block_norms = {};  // [block][column]; see AddBlocks

  const std::uint8_t* Panel(std::int64_t first_column) const {
    return data.get() + first_column * groups * 4;
  }
};

// `negate` is for log2 codes, whose powers go into 16 bits as negative numbers: of words alone.
RightOperand PackRight(MatrixView<const std::int8_t> rhs, Group group, bool negate);
// The root of a sum of squares, rounded up.
std::int32_t NormOf(std::int64_t squares);
// What a watched product needs besides: sums and Euclidean norms, rounded up, of every block.
void AddBlocks(MatrixView<const std::int8_t> rhs, RightOperand& packed);

// The left operand, M x K: `bias` above its values where signed bytes have to be unsigned.
struct LeftOperand {
  Group group = Group::kWords;
  std::int64_t rows = 0, depth = 0, groups = 0;
  std::int32_t bias = 0;
  const std::uint8_t* data = nullptr;          // row by row, 4 bytes a group
  std::int64_t stride = 0;                     // bytes
  std::vector<std::int32_t> sums = {};         // of each row, where asked for
  std::vector<std::int32_t> block_norms = {};  // [block][row], where asked for
  std::vector<std::uint8_t> copy = {};
};

// out[m][n] = init[n] + sum of the groups first..last of left times one panel, modulo 2^32. `out`
// holds a whole panel's width in every row; so does `init`. Behind the right operand's last column
// nothing has to be written.
void MultiplyPanel(const LeftOperand& left, const RightOperand& right, std::int64_t first_column,
                   std::int64_t first, std::int64_t last, const std::int32_t* init,
                   std::int32_t* out, std::int64_t stride);

// The three corrections of section 3, each empty or a panel wide (row_sums: a row each):
//   out[m][n] += -rhs_zero[n] * row_sums[m], then -left_zero_sums[n], then constant[n].
struct Corrections {
  const std::int32_t* rhs_zero = nullptr;
  const std::int32_t* row_sums = nullptr;
  const std::int32_t* left_zero_sums = nullptr;
  const std::int32_t* constant = nullptr;
};
void Correct(const Corrections& corrections, std::int64_t rows, std::int32_t* out,
             std::int64_t stride, AccRange* seen);

// The same product, begun at `init`, where no partial sum can leave 32 bits; widens `seen` by every
// one of them. Exact at the bounds that a block's norms leave it, step by step where those could
// widen it.
void WatchPanel(const LeftOperand& left, const RightOperand& right, std::int64_t first_column,
                const std::int32_t* init, std::int32_t* out, std::int64_t stride, AccRange& seen);

// Step by step, k ascending, the policy after every step, as does the specification. Accumulators
// of at most 31 bits; `init` lies within them. `seen` as above, before the policy.
void StepPanel(const LeftOperand& left, const RightOperand& right, std::int64_t first_column,
               const std::int32_t* init, Accumulator acc, std::int32_t* out, std::int64_t stride,
               AccRange& seen);

}  // namespace qsim::golden::kernels
