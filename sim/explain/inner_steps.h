// Softmax, normalizations and recurrences with an inner step done otherwise: the maximum, the sum's
// reciprocal, the last division; the mean, the root; the decayed state. No field of theirs says so:
// each computation is written once more, as a text that asks `Inner` at each of its inner steps,
// and the steps that it asks for are what may be suspected.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "golden/ops/rounding.h"
#include "golden/program/executor.h"
#include "golden/program/program.h"
#include "sim/explain/round_rule.h"

namespace qsim::explain {

enum class Site : std::uint8_t {
  // Softmax.
  kMaskedFirst,
  kMaximum,
  kSum,
  kShifts,
  kPower,
  kExponential,
  kTerm,
  kTermsFloored,
  kGroup,
  kSumShift,
  kSumShifted,
  kReciprocal,
  kProduct,
  kRatio,
  kLogarithm,
  kLevels,
  kLast,
  // Normalizations.
  kMean,
  kMeanCount,
  kMeanSubtracted,
  kSquares,
  kVariance,
  kVarianceCount,
  kPlusOne,
  kNewton,
  kExactRoot,
  kRoot,
  kFactor,
  kHalving,
  kHalved,
  kQuotient,
  kGate,
  // Recurrences.
  kDecayed,
  kUpdate,
  kNarrowed,
  kDecay,
  kDecayHead,
  kSharedHeads,
  kStateStep,
  kStateBits,
  kStateSaturates,
  kRoundedApart,
  kReadBehind,
  kReset,
  kInitial,
  kClearedBetween,
  kChunk,
  kChunkCarried,
};

struct InnerStep {
  enum class How : std::uint8_t {
    kRounding,  // rounded by `rule`
    kNumber,    // with `number` in place of the algorithm's own
    kOther,     // done where the golden operation does not, or the other way round
    kFirst,     // of the first `number` of a row only
    kTiles,     // of each tile of `number`
    kBits,      // a reciprocal of 2^number
    kDivision,  // a division, rounded by `rule`, in place of a reciprocal
  };
  Site site = Site::kLast;
  How how = How::kRounding;
  RoundRule rule = RoundRule::kFloor;
  std::int64_t number = 0;
  std::string id, phrase;
  int cost = 3;
};

// What a computation has asked for: what the golden one does there.
struct AskedStep {
  Site site = Site::kLast;
  InnerStep::How how = InnerStep::How::kRounding;
  RoundRule rule = RoundRule::kFloor;
  std::int64_t number = 0;  // kBits: of the numerator
  std::int64_t most = 0;  // kNumber: of the alternatives, where the data says so; kBits: the shift
  bool negative = false;  // kRounding: such a value has been seen
};

RoundRule RuleOf(Rounding rounding);

// The arithmetic of a computation some of whose inner steps may be done otherwise.
class Inner {
 public:
  Inner() = default;
  // At most one step for each site.
  explicit Inner(std::span<const InnerStep> steps) : steps_(steps) {}
  // Asked steps are noted.
  explicit Inner(std::vector<AskedStep>* asked) : asked_(asked) {}

  Int128 Shift(Site site, Int128 value, int shift, RoundRule golden);
  // The rule of many shifts at a site; `NoteShifts` behind them, with whether any value was
  // negative.
  RoundRule RuleAt(Site site, RoundRule golden) const {
    const InnerStep* step = At(site, InnerStep::How::kRounding);
    return step != nullptr ? step->rule : golden;
  }
  void NoteShifts(Site site, int shift, RoundRule golden, bool negative);
  Int128 Divide(Site site, Int128 numerator, Int128 denominator, RoundRule golden);
  std::int64_t Root(UInt128 value);  // of kRoot, floored
  std::int64_t Number(Site site, std::int64_t golden, std::int64_t most = 0);
  bool Does(Site site, bool golden);
  // last(e floor(numerator / denominator) / 2^shift), as `reciprocal` and `last` say.
  Int128 ByReciprocal(Site reciprocal, Site last, Int128 e, Int128 denominator, Int128 numerator,
                      int shift, RoundRule golden);
  // Of each element of a row, what is largest.
  std::vector<std::int32_t> Maxima(std::span<const std::int32_t> x);
  // How many elements of a row of so many count.
  std::size_t First(Site site, std::size_t size);

 private:
  const InnerStep* At(Site site, InnerStep::How how) const {
    for (const InnerStep& step : steps_)
      if (step.site == site && step.how == how) return &step;
    return nullptr;
  }
  void Note(AskedStep asked);

  std::span<const InnerStep> steps_;
  std::vector<AskedStep>* asked_ = nullptr;
};

// Everything else that such steps may do, in rows of so many elements.
std::vector<InnerStep> AlternativesOf(std::span<const AskedStep> asked, std::int64_t width);

// An operation's output in pieces that are computed by themselves: rows, or the sequences of heads.
class InnerPieces {
 public:
  virtual ~InnerPieces() = default;
  virtual std::int64_t Count() const = 0;
  virtual std::int64_t PieceOf(std::int64_t element) const = 0;
  // Of one of its elements, in steps of about one rounding.
  virtual std::int64_t Work() const { return 1; }
  // A piece's elements of the output, and their results in the same order, not limited to the
  // output's range. `op`: the operation itself, or with other parameters of the same kind. At least
  // the first `most` results; a sequence ends there.
  virtual std::vector<std::int64_t> Elements(std::int64_t piece) const = 0;
  virtual std::vector<std::int64_t> Run(const Op& op, std::int64_t piece, Inner& inner,
                                        std::int64_t most = INT64_MAX) const = 0;
};

// null where the operation has no inner steps. `inputs`: of each image.
std::unique_ptr<InnerPieces> MakeInnerPieces(const Program& program, const Op& op,
                                             const std::vector<TensorMap>& inputs);

// One row each; the recurrences are in recurrence_steps.cpp whole.
void SoftmaxRow(const SoftmaxParams& params, SoftmaxDivision division,
                std::span<const std::int32_t> x, Inner& inner, std::span<std::int64_t> out);
void LayernormRow(const LayernormParams& params, std::span<const std::int32_t> x, Inner& inner,
                  std::span<std::int64_t> out);
// `gate`: empty or as long.
void RmsnormRow(const RmsnormParams& params, std::span<const std::int32_t> x,
                std::span<const std::int32_t> gate, Inner& inner, std::span<std::int64_t> out);
std::unique_ptr<InnerPieces> MakeRecurrencePieces(const Program& program, const Op& op,
                                                  const std::vector<TensorMap>& inputs);

// A tensor's values, whatever their type.
std::vector<std::int32_t> Int32Of(const IntTensor& tensor);

}  // namespace qsim::explain
