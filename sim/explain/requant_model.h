// What may be suspected of a requantizer or of a residual add:
//   y = clamp(z + round_shift((x - x_zero) M + (b - b_zero) M_b, S), qmin, qmax)
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "golden/ops/requantize.h"
#include "sim/explain/operation_model.h"
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
  bool is_sum = false;  // b is an operand, not a constant
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

class RequantModel final : public OperationModel {
 public:
  RequantModel(RequantSpec spec, std::span<const std::int64_t> actual);

  double Cost() const override { return spec_.b.empty() ? 1 : 1.5; }
  std::vector<Feature> Features() const override;
  std::vector<std::string> Observe(std::span<const std::int64_t> mismatches) const override;
  std::optional<ExactValue> Exact(std::int64_t element) const override;
  double Interest(std::int64_t element) const override;
  std::optional<Separation> Separate(const Hypothesis& a, const Hypothesis& b) const override;

  // The settings that choices stand for, index for index.
  enum class MultiplierKind : std::uint8_t {
    kGolden,
    kDropRound,     // the low `bits` rounded away, halves up
    kDropTruncate,  // the low `bits` cleared
    kTopRound,      // the leading `bits` kept
    kTopTruncate,
    kPowerOfTwo,  // the nearest by its logarithm
    kSigned,      // read as a signed number of `bits`
    kMagnitude,   // sign ignored
    kPlus,        // `bits` added
    kSolved,      // ratios_[bits] for both products
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
    kRelu,  // and then clamped at the zero point from below
  };
  // Added to every product: one number, or one for each channel.
  using Addends = std::vector<std::int64_t>;
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
    kRoundedApart,    // each product to `number` bits more than the sum's
    kTruncatedApart,  // likewise, by flooring it
    kBOmitted,
    kXOmitted,
    kBSubtracted,
    kXOffset,  // `number` more than given
    kXLate,    // that of `number` elements before
    kBLate,
  };
  struct OperandChoice {
    OperandKind kind = OperandKind::kGolden;
    std::int64_t number = 0;
  };
  enum class ParameterKind : std::uint8_t {
    kGolden,
    kReversed,
    kRotated,  // that of the channel `n` further on
    kFirst,
    kLast,
    kInterleaved,  // channel h * (C / n) + d reads entry d * n + h
    kOtherAxis,    // the index along axis `n`, modulo the number of channels
  };
  struct ParameterChoice {
    ParameterKind kind = ParameterKind::kGolden;
    std::int64_t n = 0;
    // Which parameters it is about.
    bool multiplier = true, shift = true, zero = true;
  };

 private:
  struct Settings {
    RoundScheme rounding;
    MultiplierChoice multiplier;
    int shift_offset = 0;
    ZeroKind zero = ZeroKind::kAfter;
    AccChoice acc;
    SignKind sign = SignKind::kGolden;
    OperandChoice operand;
    ParameterChoice parameter;
    Addends addends;  // empty: none
  };
  // What one element is computed from: its channel, and the one whose parameters are taken.
  struct Operands {
    std::int64_t x = 0, b = 0;
    std::size_t channel = 0, parameters = 0;
  };
  // Multipliers and shifts of every channel that were solved from the actual outputs.
  struct Ratios {
    std::vector<std::int64_t> multiplier, b_multiplier;
    std::vector<int> shift;
  };

  void Compute(const Hypothesis& point, std::span<const std::int64_t> elements,
               std::span<std::int64_t> out, bool limited) const override;

  // Filled in requant_choices.cpp.
  void BuildCoordinates();
  void AddRounding();
  void AddMultiplier();
  void AddShiftAndZero();
  void AddAccumulator();
  void AddOperands();
  void AddParameters();
  // Choices with solved numbers, in requant_solved.cpp.
  class Solver;
  void AddSolved();

  Settings SettingsOf(const Hypothesis& point) const;
  std::size_t Entry(std::size_t entries, std::size_t channel) const {
    return entries == 1 ? 0 : channel;
  }
  std::size_t ChannelFor(const ParameterChoice& choice, std::int64_t element) const;
  Int128 Result(const Settings& settings, const Operands& operands) const;
  Int128 ResultAt(const Settings& settings, std::int64_t element) const;
  std::vector<std::int64_t> ChannelsToTry() const;
  bool IsTie(std::int64_t element) const;

  RequantSpec spec_;
  std::vector<RoundScheme> roundings_;
  std::vector<MultiplierChoice> multipliers_;
  std::vector<int> shift_offsets_;
  std::vector<ZeroKind> zeros_;
  std::vector<AccChoice> accs_;
  std::vector<SignKind> signs_;
  std::vector<OperandChoice> operands_;
  std::vector<ParameterChoice> parameters_;
  std::vector<Addends> addends_;
  std::vector<Ratios> ratios_;
};

}  // namespace qsim::explain
