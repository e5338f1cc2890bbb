#include "sim/explain/inner_steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <type_traits>

#include "golden/ops/integer_sqrt.h"
#include "golden/ops/one_or_each.h"

namespace qsim::explain {
namespace {

using Inner = InnerStep::What;

// A softmax that takes the reciprocal of its sum: y = last(e floor(2^numerator / sum) / 2^shift).
struct Reciprocal {
  int numerator = 0, shift = 0;
  Rounding last = Rounding::kFloor;
};

Reciprocal ReciprocalOf(const IbertSoftmaxParams&) { return {32, 24, Rounding::kFloor}; }
Reciprocal ReciprocalOf(const IbertRnSoftmaxParams& p) {
  return {32, 24 - p.extra_bits, Rounding::kHalfUp};
}
Reciprocal ReciprocalOf(const TableSoftmaxParams& p) {
  return {48, 40 - p.extra_bits, Rounding::kHalfUp};
}

std::int64_t Exponential(const IbertSoftmaxParams& p, std::int64_t d) { return IbertExp16(p, d); }
std::int64_t Exponential(const IbertRnSoftmaxParams& p, std::int64_t d) { return IbertExp16(p, d); }
std::int64_t Exponential(const TableSoftmaxParams& p, std::int64_t d) { return TableExp(p, d); }
Int128 Exponential(const IsoftmaxParams& p, std::int64_t d) { return IsoftmaxExp(p, d); }

template <typename Params>
constexpr bool kHasReciprocal = requires(const Params& p) {
  ReciprocalOf(p);
};
template <typename Params>
constexpr bool kHasExponential = requires(const Params& p) {
  Exponential(p, 0);
};

// numerator / denominator, both positive.
Int128 Divided(Int128 numerator, Int128 denominator, Rounding rounding) {
  const Int128 low = numerator / denominator;
  const Int128 twice = 2 * (numerator % denominator);
  if (rounding == Rounding::kHalfEven && twice == denominator) return low + (low & 1);
  const bool up = (rounding == Rounding::kHalfUp || rounding == Rounding::kHalfAway ||
                   rounding == Rounding::kHalfEven) &&
                  twice >= denominator;
  return low + (up ? 1 : 0);
}

template <typename Params>
void SoftmaxRow(const Params& params, const InnerStep& step, std::span<const std::int32_t> x,
                std::span<std::int64_t> out) {
  std::size_t tile = x.size();
  if (step.what == Inner::kMaximumOfTile) tile = static_cast<std::size_t>(step.number);
  std::vector<Int128> e(x.size());
  Int128 sum = 0;
  for (std::size_t first = 0; first < x.size(); first += tile) {
    std::size_t end = std::min(first + tile, x.size());
    const auto from = x.begin() + static_cast<std::ptrdiff_t>(first);
    const auto to = step.what == Inner::kMaximumOfFirst
                        ? from + std::min<std::ptrdiff_t>(step.number, std::ssize(x))
                        : x.begin() + static_cast<std::ptrdiff_t>(end);
    const std::int64_t largest = *std::max_element(from, to);
    for (std::size_t i = first; i < end; ++i) {
      e[i] = Exponential(params, std::max<std::int64_t>(largest - x[i], 0));
      sum += e[i];
    }
  }
  const bool last = step.what == Inner::kLast;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if constexpr (kHasReciprocal<Params>) {
      Reciprocal r = ReciprocalOf(params);
      if (last) r.last = step.rounding;
      Int128 y = 0;
      if (step.what == Inner::kDivision) {
        y = Divided(e[i] << (r.numerator - r.shift), sum, step.rounding);
      } else {
        if (step.what == Inner::kReciprocalBits) {
          r.shift -= r.numerator - static_cast<int>(step.number);
          r.numerator = static_cast<int>(step.number);
        }
        const Rounding of_factor =
            step.what == Inner::kReciprocal ? step.rounding : Rounding::kFloor;
        const Int128 factor = Divided(Int128{1} << r.numerator, sum, of_factor);
        y = RoundShift(e[i] * factor, r.shift, r.last);
      }
      out[i] = static_cast<std::int64_t>(std::min(y, Int128{255}));
    } else {
      out[i] = static_cast<std::int64_t>(Divided(e[i] * (params.levels - 1), sum,
                                                 last ? step.rounding : Rounding::kFloor)) +
               params.output_offset;
    }
  }
}

template <typename Params>
void LayernormRow(const Params& params, const InnerStep& step, std::span<const std::int32_t> x,
                  std::span<std::int64_t> out) {
  const auto channels = static_cast<std::int64_t>(x.size());
  std::vector<std::int64_t> d(x.size());
  std::int64_t sum = 0;
  for (std::size_t c = 0; c < x.size(); ++c) {
    d[c] = (std::int64_t{x[c]} - params.input_zero)
           << (params.input_shift.empty() ? 0 : params.input_shift[c]);
    sum += d[c];
  }
  std::int64_t mean = RoundDivide(sum, step.what == Inner::kMeanOf ? step.number : channels,
                                  step.what == Inner::kMean ? step.rounding : Rounding::kHalfEven);
  if (step.what == Inner::kMeanOmitted) mean = 0;
  for (std::int64_t& value : d) value -= mean;
  std::int64_t root = 1;
  std::int64_t numerator = kIbertNumerator;
  if constexpr (std::is_same_v<Params, IbertLayernormParams>) {
    root = IbertStd(d, params.std_shift, params.eps);
    if (step.what == Inner::kRoot) {
      UInt128 squares = StartingAt(params.eps);
      for (const std::int64_t value : d) {
        const Int128 scaled = value >> params.std_shift;
        squares += static_cast<UInt128>(scaled * scaled);
      }
      // floor(sqrt) is one too small where the rest is more than the root itself: rounded.
      const UInt128 low = IntegerSqrt(squares);
      const bool up = step.rounding == Rounding::kFloor    ? false
                      : step.rounding == Rounding::kHalfUp ? squares - low * low > low
                                                           : squares != low * low;
      root = std::max<std::int64_t>(
          static_cast<std::int64_t>((low + (up ? 1U : 0U)) << params.std_shift), 1);
    }
  } else {
    root = IvitStd(d, params.eps);
    numerator = kIvitNumerator;
  }
  const Int128 factor =
      Divided(numerator, root, step.what == Inner::kReciprocal ? step.rounding : Rounding::kFloor);
  for (std::size_t c = 0; c < x.size(); ++c) {
    Int128 y = RoundShift(d[c] * factor, 1,
                          step.what == Inner::kHalving ? step.rounding : Rounding::kFloor);
    const Multiplier scale = EntryFor(params.scale, c);
    out[c] = static_cast<std::int64_t>(
        RoundShift((y + params.bias[c]) * scale.m, scale.shift, params.rounding) +
        EntryFor(params.zero, c));
  }
}

class Steps {
 public:
  explicit Steps(std::int64_t width) : width_(width) {}

  template <typename Other>
  void operator()(const Other&) {}

  void operator()(const SoftmaxOp& op) {
    if (op.division != SoftmaxDivision::kBefore) return;
    std::visit(
        [this]<typename Params>(const Params& params) {
          if constexpr (kHasExponential<Params>) Softmax(params);
        },
        op.params.front());
  }

  void operator()(const LayernormOp& op) {
    const bool ibert = std::holds_alternative<IbertLayernormParams>(op.params);
    if (!ibert && !std::holds_alternative<IvitLayernormParams>(op.params)) return;
    Rounded(Inner::kMean, "mean", "the mean", Rounding::kHalfEven);
    Add(Inner::kMeanOmitted, "mean_omitted", "the mean not subtracted");
    for (const std::int64_t tile : {8, 16, 32, 64, 128, 256, 512, 1024}) {
      const std::int64_t padded = (width_ + tile - 1) / tile * tile;
      const bool known = std::any_of(list_.begin(), list_.end(), [&](const InnerStep& step) {
        return step.what == Inner::kMeanOf && step.number == padded;
      });
      if (padded != width_ && !known)
        Add(Inner::kMeanOf, fmt::format("mean_of_{}", padded),
            fmt::format("the mean taken by {} instead of {}", padded, width_), Rounding::kHalfEven,
            padded);
    }
    if (ibert) {
      Add(Inner::kRoot, "root_rounded", "the root rounded instead of floored", Rounding::kHalfUp);
      Add(Inner::kRoot, "root_up", "the root rounded up instead of down", Rounding::kHalfAway);
    }
    Add(Inner::kReciprocal, "factor_rounded",
        "the reciprocal of the root rounded instead of floored", Rounding::kHalfUp);
    Rounded(Inner::kHalving, "halving", "the halving behind the reciprocal", Rounding::kFloor);
  }

  std::vector<InnerStep> Take() { return std::move(list_); }

 private:
  void Add(Inner what, std::string id, std::string phrase, Rounding rounding = Rounding::kFloor,
           std::int64_t number = 0) {
    list_.push_back({std::move(id), std::move(phrase), what, rounding, number});
  }
  // Every rounding but the golden one.
  void Rounded(Inner what, const char* id, const std::string& step, Rounding golden) {
    for (const Rounding rounding : kAllRoundings) {
      if (rounding == golden) continue;
      Add(what, fmt::format("{}_{}", id, Name(rounding)),
          fmt::format("{} rounded {} instead of {}", step, Name(rounding), Name(golden)), rounding);
    }
  }

  template <typename Params>
  void Softmax(const Params& params) {
    if constexpr (kHasReciprocal<Params>) {
      const Reciprocal r = ReciprocalOf(params);
      Rounded(Inner::kLast, "last", "the last step", r.last);
      Add(Inner::kReciprocal, "reciprocal_rounded",
          "the reciprocal of the sum rounded instead of floored", Rounding::kHalfUp);
      for (int bits = r.numerator - 1; bits >= r.numerator - r.shift; --bits)
        Add(Inner::kReciprocalBits, fmt::format("reciprocal_of_2_{}", bits),
            fmt::format("the reciprocal of the sum taken of 2^{} instead of 2^{}", bits,
                        r.numerator),
            Rounding::kFloor, bits);
      for (const Rounding rounding : {Rounding::kFloor, Rounding::kHalfUp})
        Add(Inner::kDivision, fmt::format("division_{}", Name(rounding)),
            fmt::format("one division by the sum, {}, in place of its reciprocal", Name(rounding)),
            rounding);
    } else {
      for (const Rounding rounding : {Rounding::kHalfUp, Rounding::kHalfEven})
        Add(Inner::kLast, fmt::format("last_{}", Name(rounding)),
            fmt::format("the last division rounded {} instead of floor", Name(rounding)), rounding);
    }
    for (std::int64_t n = 1; n < width_; ++n) {
      Add(Inner::kMaximumOfTile, fmt::format("maximum_of_tiles_of_{}", n),
          fmt::format("a maximum of its own for each tile of {} in a row", n), Rounding::kFloor, n);
      Add(Inner::kMaximumOfFirst, fmt::format("maximum_of_first_{}", n),
          fmt::format("the maximum taken over the first {} of a row only", n), Rounding::kFloor, n);
    }
  }

  std::int64_t width_;
  std::vector<InnerStep> list_;
};

}  // namespace

std::vector<InnerStep> InnerStepsOf(const Op& op, std::int64_t width) {
  Steps steps(width);
  std::visit(steps, op);
  return steps.Take();
}

void RunRow(const Op& op, const InnerStep& step, std::size_t head, std::span<const std::int32_t> x,
            std::span<std::int64_t> out) {
  if (const auto* softmax = std::get_if<SoftmaxOp>(&op)) {
    std::visit(
        [&]<typename Params>(const Params& params) {
          if constexpr (kHasExponential<Params>) SoftmaxRow(params, step, x, out);
        },
        EntryFor(softmax->params, head));
  } else if (const auto* norm = std::get_if<LayernormOp>(&op)) {
    std::visit(
        [&]<typename Params>(const Params& params) {
          if constexpr (requires {
                          params.input_shift;
                          params.bias;
                          params.input_zero;
                        })
            LayernormRow(params, step, x, out);
        },
        norm->params);
  }
}

}  // namespace qsim::explain
