// What may be suspected of a requantizer or of a residual add:
//   y = clamp(z + round_shift((x - x_zero) M + (b - b_zero) M_b, S), qmin, qmax)
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "golden/ops/requantize.h"
#include "sim/explain/hypotheses.h"
#include "sim/explain/round_rule.h"

namespace qsim::explain {

// Of |value|, without leading zeros.
int BitsOfMagnitude(std::int64_t value);

// |x| and |b| below 2^47, |M| < 2^32, S in 0..62, |zero| and the input zeros below 2^32; the caller
// has checked it.
struct RequantSpec {
  Shape shape;
  std::vector<std::string> axis_names;
  std::vector<std::int64_t> x;
  std::vector<std::int64_t> b;  // empty: no second operand
  std::string b_name = "second operand";
  ChannelLayout layout;
  std::vector<std::int64_t> multiplier;  // each of these: one, or one per channel
  std::vector<std::int64_t> b_multiplier;
  std::vector<int> shift;
  std::vector<std::int64_t> zero;
  std::int64_t x_zero = 0;
  std::int64_t b_zero = 0;
  RoundScheme rounding;
  std::int64_t qmin = -128;
  std::int64_t qmax = 127;
  int x_bits = 32;  // width of x's storage, for accumulators and signs
};

class RequantModel final : public Model {
 public:
  explicit RequantModel(RequantSpec spec);

  const std::vector<Coordinate>& coordinates() const override { return coordinates_; }
  const Shape& shape() const override { return spec_.shape; }
  void Evaluate(const Hypothesis& point, std::span<const std::int64_t> elements,
                std::span<std::int64_t> out) const override;
  double Cost() const override { return spec_.b.empty() ? 1 : 1.5; }
  std::vector<Feature> Features() const override;
  std::vector<std::string> Observe(std::span<const std::int64_t> mismatches) const override;
  double Interest(std::int64_t element) const override;
  std::optional<Separation> Separate(const Hypothesis& a, const Hypothesis& b) const override;

  // The settings that choices stand for, index for index.
  enum class MultiplierKind : std::uint8_t {
    kGolden,
    kDropRound,     // the low `bits` rounded away, halves up
    kDropTruncate,  // the low `bits` cleared
    kTopRound,      // the leading `bits` kept
    kTopTruncate,
    kSigned,     // read as a signed number of `bits`
    kMagnitude,  // sign ignored
    kPlus,       // `bits` added
  };
  struct MultiplierChoice {
    MultiplierKind kind = MultiplierKind::kGolden;
    int bits = 0;
  };
  enum class ZeroKind : std::uint8_t {
    kAfter,
    kBeforeShift,
    kBeforeMultiply,
    kOmitted,
    kSubtracted,
    kAfterClamp,
  };
  enum class OverflowKind : std::uint8_t {
    kSaturate,
    kWrap,
    kSymmetric,       // -qmax .. qmax
    kOtherSign,       // clamped to the range of the other signedness, then read back
    kStoredUnsigned,  // saturated, then stored modulo 2^bits
    kRelu,            // clamped at the zero point from below
    kWrapFirst,       // wrapped to `bits`, then saturated
    kNone,
  };
  struct OverflowChoice {
    OverflowKind kind = OverflowKind::kSaturate;
    int bits = 0;
  };
  enum class AccKind : std::uint8_t {
    kExact,
    kWrap,
    kSaturate,
    kDropLow,
    kProductWrap,
    kProductSaturate
  };
  struct AccChoice {
    AccKind kind = AccKind::kExact;
    int bits = 0;
  };
  enum class SignKind : std::uint8_t { kGolden, kUnsigned, kMagnitude, kNegatedOutput };
  enum class OperandKind : std::uint8_t {
    kGolden,
    kXZeroIgnored,
    kXZeroAdded,
    kBZeroIgnored,
    kMultipliersSwapped,
    kRoundedApart,
    kBOmitted,
    kXOmitted,
    kBSubtracted,
  };
  enum class ParameterKind : std::uint8_t {
    kGolden,
    kReversed,
    kNext,
    kPrevious,
    kFirst,
    kLast,
    kInterleaved,  // channel h * (C / n) + d reads entry d * n + h
    kOtherAxis,    // the index along axis `n`, modulo the number of channels
  };
  struct ParameterChoice {
    ParameterKind kind = ParameterKind::kGolden;
    std::int64_t n = 0;
  };
  enum class OrderKind : std::uint8_t {
    kGolden,
    kTransposed,
    kElementLate,
    kElementEarly,
    kRowLate,
    kRowEarly,
    kRowReversed
  };

 private:
  struct Settings {
    RoundScheme rounding;
    MultiplierChoice multiplier;
    int shift_offset = 0;
    ZeroKind zero = ZeroKind::kAfter;
    OverflowChoice overflow;
    AccChoice acc;
    SignKind sign = SignKind::kGolden;
    OperandKind operand = OperandKind::kGolden;
    ParameterChoice parameter;
    OrderKind order = OrderKind::kGolden;
  };
  // What one element is computed from.
  struct Operands {
    std::int64_t x = 0, b = 0;
    std::size_t channel = 0;
  };

  // Filled in requant_choices.cpp.
  void BuildCoordinates();
  void AddRounding();
  void AddMultiplier();
  void AddShiftAndZero();
  void AddOverflow();
  void AddAccumulator();
  void AddOperands();
  void AddOrder();
  bool Varies() const;  // parameters differ between channels

  Settings SettingsOf(const Hypothesis& point) const;
  std::size_t Entry(std::size_t entries, std::size_t channel) const {
    return entries == 1 ? 0 : channel;
  }
  std::int64_t Source(OrderKind order, std::int64_t element) const;
  std::size_t ChannelFor(const ParameterChoice& choice, std::int64_t element) const;
  std::int64_t Compute(const Settings& settings, const Operands& operands) const;
  std::int64_t Overflow(const OverflowChoice& choice, Int128 value, std::int64_t zero) const;
  std::vector<std::int64_t> ChannelsToTry() const;
  bool IsTie(std::int64_t element) const;

  RequantSpec spec_;
  int output_bits_ = 8;
  std::vector<Coordinate> coordinates_;
  std::vector<RoundScheme> roundings_;
  std::vector<MultiplierChoice> multipliers_;
  std::vector<int> shift_offsets_;
  std::vector<ZeroKind> zeros_;
  std::vector<OverflowChoice> overflows_;
  std::vector<AccChoice> accs_;
  std::vector<SignKind> signs_;
  std::vector<OperandKind> operands_;
  std::vector<ParameterChoice> parameters_;
  std::vector<OrderKind> orders_;
};

}  // namespace qsim::explain
