#include "golden/kernels/gemm.h"

#include <algorithm>
#include <cstdlib>
#include <type_traits>

#include "golden/ops/require.h"
#include "golden/ops/wrap.h"

namespace qsim::golden::kernels {
namespace {

std::int32_t Low32(std::int64_t value) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(value));
}

// The power that a log2 code stands for, negative so that 2^15 has 16 bits.
std::int16_t NegativePower(std::uint8_t code) {
  Require(code <= 16, "Gemm: a log2 code must be in 0..16");
  return static_cast<std::int16_t>(code == 16 ? 0 : -(1 << (15 - code)));
}

// A row, or a piece of it, as the numbers that it stands for.
template <typename Lhs>
std::int64_t Number(Lhs value, OperandMode mode) {
  if constexpr (std::is_unsigned_v<Lhs>) {
    if (mode == OperandMode::kShift) return -std::int64_t{NegativePower(value)};
  }
  return value;
}

template <typename Lhs>
LeftOperand PackLeft(MatrixView<const Lhs> lhs, OperandMode mode, Group group, bool sums,
                     bool blocks) {
  LeftOperand left;
  left.group = group;
  left.rows = lhs.rows;
  left.depth = lhs.cols;
  left.groups = (lhs.cols + (group == Group::kBytes ? 3 : 1)) / (group == Group::kBytes ? 4 : 2);
  left.stride = left.groups * 4;
  left.bias = group == Group::kBytes && std::is_signed_v<Lhs> ? 128 : 0;
  if (group == Group::kBytes && left.bias == 0 && lhs.col_stride == 1 && lhs.cols % 4 == 0) {
    left.data = reinterpret_cast<const std::uint8_t*>(lhs.data);
    left.stride = lhs.row_stride;
  } else {
    left.copy.assign(static_cast<std::size_t>(left.rows * left.stride), 0);
    for (std::int64_t m = 0; m < lhs.rows; ++m) {
      std::uint8_t* to = left.copy.data() + m * left.stride;
      const Lhs* from = lhs.data + m * lhs.row_stride;
      const auto fill = [&](auto* members, auto convert) {
        if (lhs.col_stride == 1) {
          for (std::int64_t k = 0; k < lhs.cols; ++k) members[k] = convert(from[k]);
        } else {
          for (std::int64_t k = 0; k < lhs.cols; ++k)
            members[k] = convert(from[k * lhs.col_stride]);
        }
      };
      if (group == Group::kBytes) {
        const auto flip = static_cast<std::uint8_t>(left.bias);
        fill(to, [flip](Lhs v) { return static_cast<std::uint8_t>(v ^ flip); });
      } else if (mode == OperandMode::kMultiply) {
        fill(reinterpret_cast<std::int16_t*>(to), [](Lhs v) { return std::int16_t{v}; });
      } else if constexpr (std::is_unsigned_v<Lhs>) {
        fill(reinterpret_cast<std::int16_t*>(to), NegativePower);
      }
    }
    left.data = left.copy.data();
  }
  if (sums) {
    for (std::int64_t m = 0; m < lhs.rows; ++m) {
      std::int64_t sum = 0;
      for (std::int64_t k = 0; k < lhs.cols; ++k) sum += Number(lhs(m, k), mode);
      left.sums.push_back(Low32(sum));
    }
  }
  for (std::int64_t first = 0; blocks && first < lhs.cols; first += kBlock) {
    const std::int64_t last = std::min(first + kBlock, lhs.cols);
    for (std::int64_t m = 0; m < lhs.rows; ++m) {
      std::int64_t squares = 0;
      for (std::int64_t k = first; k < last; ++k) {
        const std::int64_t number = Number(lhs(m, k), mode);
        squares += number * number;
      }
      left.block_norms.push_back(NormOf(squares));
    }
  }
  return left;
}

// What every panel of one product needs.
template <typename Lhs>
class Product {
 public:
  Product(MatrixView<const Lhs> lhs, MatrixView<const std::int8_t> rhs, const GemmParams& params,
          AccRange* seen, const PackedWeight* packed)
      : lhs_(lhs), rhs_(rhs), params_(params), seen_(seen) {
    const bool shift = params.mode == OperandMode::kShift;
    if (packed != nullptr && !shift) {
      right_ = &packed->operand();
    } else {
      own_ = PackRight(rhs, shift ? Group::kWords : BestGroup(), shift);
      if (seen != nullptr) AddBlocks(rhs, own_);
      right_ = &own_;
    }
    const bool row_sums = std::any_of(params.rhs_zero.begin(), params.rhs_zero.end(),
                                      [](std::int32_t zero) { return zero != 0; });
    left_ = PackLeft(lhs, params.mode, right_->group, row_sums, seen != nullptr);
    panel_ = PanelColumns();
    const auto width = static_cast<std::size_t>(panel_);
    init_.resize(width);
    rhs_zero_.resize(width);
    zero_sums_.resize(width);
    constant_.resize(width);
  }

  std::int64_t panel() const { return panel_; }

  // Whether a policy could act on a column, or somebody watches.
  bool InAnyOrder(std::int64_t first) const {
    if (seen_ != nullptr) return false;
    return params_.acc.policy == AccPolicy::kWrap || Proven(first);
  }

  // No sum of any of the addends of these columns, in any order, leaves the accumulator.
  bool Proven(std::int64_t first) const {
    const std::int64_t last = std::min(first + panel_, rhs_.cols);
    for (std::int64_t n = first; n < last; ++n) {
      if (Worst(n) > (std::int64_t{1} << (params_.acc.bits - 1)) - 1) return false;
    }
    return true;
  }

  // The panel's columns, all of its width, to out.
  void Compute(std::int64_t first, std::int32_t* out, std::int64_t stride) {
    if (InAnyOrder(first)) return Sum(first, out, stride);
    Load(first, /*all_at_once=*/false);
    if (Proven(first)) {
      WatchPanel(left_, *right_, first, init_.data(), out, stride, *seen_);
      const Corrections corrections = {
          left_.sums.empty() ? nullptr : rhs_zero_.data(), left_.sums.data(),
          params_.lhs_zero == 0 ? nullptr : zero_sums_.data(),
          params_.lhs_zero == 0 || left_.sums.empty() ? nullptr : constant_.data()};
      return Correct(corrections, left_.rows, out, stride, seen_);
    }
    if (params_.acc.bits == 32) return Reference(first, out, stride);
    StepByStep(first, out, stride);
  }

  // The same where InAnyOrder, modulo 2^32 and the accumulator.
  void Sum(std::int64_t first, std::int32_t* out, std::int64_t stride) {
    Load(first, /*all_at_once=*/true);
    MultiplyPanel(left_, *right_, first, 0, left_.groups, init_.data(), out, stride);
    if (!left_.sums.empty())
      Correct({rhs_zero_.data(), left_.sums.data()}, left_.rows, out, stride, nullptr);
    if (params_.acc.policy != AccPolicy::kWrap || params_.acc.bits == 32) return;
    for (std::int64_t m = 0; m < left_.rows; ++m) {
      for (std::int32_t* at = out + m * stride; at < out + m * stride + panel_; ++at)
        *at = static_cast<std::int32_t>(WrapTo(*at, params_.acc.bits));
    }
  }

 private:
  std::int64_t Bias(std::int64_t n) const {
    return params_.bias.empty() ? 0 : params_.bias[static_cast<std::size_t>(n)];
  }

  std::int64_t Worst(std::int64_t n) const {
    const std::int64_t max_lhs = params_.mode == OperandMode::kShift ? 1 << 15
                                 : std::is_signed_v<Lhs>             ? 128
                                                                     : 255;
    const auto at = static_cast<std::size_t>(n);
    const std::int64_t zero = params_.RhsZero(n);
    return std::abs(Bias(n)) + max_lhs * std::int64_t{right_->magnitudes[at]} +
           std::abs(zero) * max_lhs * rhs_.rows +
           std::abs(params_.lhs_zero * std::int64_t{right_->sums[at]}) +
           std::abs(rhs_.rows * params_.lhs_zero * zero);
  }

  // The numbers that belong to the panel's columns: with the corrections in the initial value, or
  // apart where they are steps.
  void Load(std::int64_t first, bool all_at_once) {
    for (std::int64_t i = 0; i < panel_; ++i) {
      const std::int64_t n = first + i;
      const auto at = static_cast<std::size_t>(i);
      const bool inside = n < rhs_.cols;
      const std::int64_t bias = inside ? Bias(n) : 0, zero = inside ? params_.RhsZero(n) : 0;
      const std::int64_t sum = right_->sums[static_cast<std::size_t>(n)];
      const std::int64_t constant = rhs_.rows * params_.lhs_zero * zero;
      rhs_zero_[at] = static_cast<std::int32_t>(zero);
      zero_sums_[at] = Low32(params_.lhs_zero * sum);
      constant_[at] = Low32(constant);
      init_[at] =
          Low32(all_at_once ? bias - (left_.bias + params_.lhs_zero) * sum + constant : bias);
    }
  }

  void StepByStep(std::int64_t first, std::int32_t* out, std::int64_t stride) {
    AccRange range;
    const std::int64_t most = (std::int64_t{1} << (params_.acc.bits - 1)) - 1;
    const auto apply = [&](std::int64_t sum) -> std::int64_t {
      range.Include(sum);
      if (params_.acc.policy != AccPolicy::kWrap) return std::clamp(sum, -most - 1, most);
      return WrapTo(sum, params_.acc.bits);
    };
    for (std::int32_t& init : init_) init = static_cast<std::int32_t>(apply(init));
    StepPanel(left_, *right_, first, init_.data(), params_.acc, out, stride, range);
    const std::int64_t columns = std::min(panel_, rhs_.cols - first);
    for (std::int64_t m = 0; m < left_.rows; ++m) {
      for (std::int64_t i = 0; i < columns; ++i) {
        std::int64_t sum = out[m * stride + i];
        const std::int64_t zero = params_.RhsZero(first + i), lhs_zero = params_.lhs_zero;
        if (zero != 0) sum = apply(sum - zero * left_.sums[static_cast<std::size_t>(m)]);
        if (lhs_zero != 0)
          sum = apply(sum - lhs_zero * right_->sums[static_cast<std::size_t>(first + i)]);
        if (lhs_zero * zero != 0) sum = apply(sum + rhs_.rows * lhs_zero * zero);
        out[m * stride + i] = static_cast<std::int32_t>(sum);
      }
    }
    if (params_.acc.policy == AccPolicy::kError && (range.min < -most - 1 || range.max > most))
      throw AccumulatorOverflow("accumulator left its width under policy error");
    if (seen_ != nullptr) seen_->Include(range);
  }

  // 32 bits that a step could leave: rare, and the lanes hold no more.
  void Reference(std::int64_t first, std::int32_t* out, std::int64_t stride) {
    const std::int64_t columns = std::min(panel_, rhs_.cols - first);
    GemmParams some = params_;
    const auto at = static_cast<std::size_t>(first), count = static_cast<std::size_t>(columns);
    if (!params_.bias.empty()) some.bias = params_.bias.subspan(at, count);
    if (params_.rhs_zero.size() > 1) some.rhs_zero = params_.rhs_zero.subspan(at, count);
    golden::Gemm(
        lhs_,
        {rhs_.data + first * rhs_.col_stride, rhs_.rows, columns, rhs_.row_stride, rhs_.col_stride},
        some, {out, lhs_.rows, columns, stride, 1}, seen_);
  }

  MatrixView<const Lhs> lhs_;
  MatrixView<const std::int8_t> rhs_;
  const GemmParams& params_;
  AccRange* seen_;
  RightOperand own_;
  const RightOperand* right_;
  LeftOperand left_;
  std::int64_t panel_;
  std::vector<std::int32_t> init_, rhs_zero_, zero_sums_, constant_;
};

template <typename Lhs>
void Dispatch(MatrixView<const Lhs> lhs, MatrixView<const std::int8_t> rhs,
              const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen,
              const PackedWeight* packed) {
  CheckGemm(lhs, rhs, params, out);
  if (lhs.rows == 0 || rhs.cols == 0) return;
  if (lhs.cols == 0) return golden::Gemm(lhs, rhs, params, out, seen);
  Product<Lhs> product(lhs, rhs, params, seen, packed);
  std::vector<std::int32_t> tile;
  for (std::int64_t first = 0; first < rhs.cols; first += product.panel()) {
    const std::int64_t columns = std::min(product.panel(), rhs.cols - first);
    if (columns == product.panel() && out.col_stride == 1) {
      product.Compute(first, out.data + first, out.row_stride);
      continue;
    }
    tile.resize(static_cast<std::size_t>(lhs.rows * product.panel()));
    product.Compute(first, tile.data(), product.panel());
    for (std::int64_t m = 0; m < lhs.rows; ++m) {
      for (std::int64_t i = 0; i < columns; ++i)
        out(m, first + i) = tile[static_cast<std::size_t>(m * product.panel() + i)];
    }
  }
}

template <typename Lhs>
bool DispatchInto(MatrixView<const Lhs> lhs, MatrixView<const std::int8_t> rhs,
                  const GemmParams& params, const TileSink& sink, const PackedWeight* packed) {
  CheckGemm(lhs, rhs, params, {nullptr, lhs.rows, rhs.cols, rhs.cols, 1});
  if (lhs.rows == 0 || rhs.cols == 0 || lhs.cols == 0) return false;
  Product<Lhs> product(lhs, rhs, params, nullptr, packed);
  for (std::int64_t first = 0; first < rhs.cols; first += product.panel()) {
    if (!product.InAnyOrder(first)) return false;
  }
  static thread_local std::vector<std::int32_t> tile;
  tile.resize(static_cast<std::size_t>(lhs.rows * product.panel()));
  for (std::int64_t first = 0; first < rhs.cols; first += product.panel()) {
    product.Sum(first, tile.data(), product.panel());
    sink(first, std::min(product.panel(), rhs.cols - first), tile.data(), product.panel());
  }
  return true;
}

}  // namespace

PackedWeight::PackedWeight(MatrixView<const std::int8_t> rhs)
    : operand_(PackRight(rhs, BestGroup(), /*negate=*/false)) {
  AddBlocks(rhs, operand_);
}

void Gemm(MatrixView<const std::int8_t> lhs, MatrixView<const std::int8_t> rhs,
          const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen,
          const PackedWeight* packed) {
  Dispatch(lhs, rhs, params, out, seen, packed);
}

void Gemm(MatrixView<const std::uint8_t> lhs, MatrixView<const std::int8_t> rhs,
          const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen,
          const PackedWeight* packed) {
  Dispatch(lhs, rhs, params, out, seen, packed);
}

bool GemmInto(MatrixView<const std::int8_t> lhs, MatrixView<const std::int8_t> rhs,
              const GemmParams& params, const TileSink& sink, const PackedWeight* packed) {
  return DispatchInto(lhs, rhs, params, sink, packed);
}

bool GemmInto(MatrixView<const std::uint8_t> lhs, MatrixView<const std::int8_t> rhs,
              const GemmParams& params, const TileSink& sink, const PackedWeight* packed) {
  return DispatchInto(lhs, rhs, params, sink, packed);
}

}  // namespace qsim::golden::kernels
