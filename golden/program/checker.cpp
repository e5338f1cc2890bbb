#include "golden/program/checker.h"

#include "golden/ops/layernorm/eps.h"

namespace qsim::golden {

void Checker::Require(bool condition, const std::string& what) const {
  if (!condition) throw ProgramError(where_ + ": " + what);
}

void Checker::RequireShape(const std::string& name, const Shape& shape) const {
  Require(Tensor(name).shape == shape, "'" + name + "' has the wrong shape");
}

void Checker::RequireNarrow(const std::string& name) const {
  const DType dtype = Tensor(name).dtype;
  Require(dtype == DType::kInt8 || dtype == DType::kUint8, "'" + name + "' must be int8 or uint8");
}

void Checker::RequireCount(std::size_t count, std::int64_t channels,
                           const std::string& what) const {
  Require(
      count == 1 || static_cast<std::int64_t>(count) == channels,
      what + " needs one entry or " + std::to_string(channels) + ", has " + std::to_string(count));
}

void Checker::RequireWithin(const std::vector<std::int32_t>& values, std::int32_t lo,
                            std::int32_t hi, const std::string& what) const {
  for (std::size_t i = 0; i < values.size(); ++i) {
    Require(values[i] >= lo && values[i] <= hi, what + "[" + std::to_string(i) + "] is " +
                                                    std::to_string(values[i]) + ", must be in " +
                                                    std::to_string(lo) + ".." + std::to_string(hi));
  }
}

void Checker::RequireScales(const std::vector<Multiplier>& scales, std::int64_t channels) const {
  RequireCount(scales.size(), channels, "scale");
  for (std::size_t i = 0; i < scales.size(); ++i) {
    const Multiplier& s = scales[i];
    Require(s.m != 0 && s.m != INT32_MIN, "multiplier of channel " + std::to_string(i) + " is " +
                                              std::to_string(s.m) + ", out of range");
    Require(s.shift >= 0 && s.shift <= 62, "shift of channel " + std::to_string(i) + " is " +
                                               std::to_string(s.shift) + ", must be in 0..62");
  }
}

void Checker::RequireEps(std::int64_t eps, int shift) const {
  Require(eps >= 0 && eps <= kMaxNormEps >> 2 * shift,
          "eps is " + std::to_string(eps) + ", must be in 0..2^" + std::to_string(62 - 2 * shift));
}

void Checker::RequireSameCodes(const std::string& input, const std::string& output) const {
  const TensorInfo &in = Tensor(input), &out = Tensor(output);
  Require(out.dtype == in.dtype && out.range == in.range,
          "moves data only: output needs the type and range of the input");
}

void Checker::RequireTable(const std::vector<std::int32_t>& table, const std::string& input,
                           const std::string& output) const {
  const QuantRange codes = Tensor(input).range, range = Tensor(output).range;
  const std::int64_t entries = std::int64_t{codes.qmax} - codes.qmin + 1;
  Require(static_cast<std::int64_t>(table.size()) == entries,
          "table needs " + std::to_string(entries) + " entries, one per code of the input, has " +
              std::to_string(table.size()));
  RequireWithin(table, range.qmin, range.qmax, "table");
}

void Checker::RequireAccumulator(const Accumulator& acc, const std::string& output) const {
  Require(acc.bits >= 16 && acc.bits <= 32, "accumulator width must be 16..32");
  const TensorInfo& info = Tensor(output);
  const std::int64_t half = std::int64_t{1} << (acc.bits - 1);
  Require(info.dtype == DType::kInt32 && info.range.qmin <= -half && info.range.qmax >= half - 1,
          "output must be int32 and hold the accumulator's range");
}

void Checker::RequireFits(const AccumulatorProof& proof) const {
  if (proof.acc.policy != AccPolicy::kError || proof.fits()) return;
  throw ProgramError("'" + proof.tap + "': needs an accumulator of " +
                     std::to_string(proof.bits_needed) + " bits" +
                     (proof.worst_channel >= 0
                          ? " (output channel " + std::to_string(proof.worst_channel) + ")"
                          : "") +
                     " in the worst case, but has " + std::to_string(proof.acc.bits) +
                     " under policy error; widen acc_bits or choose acc_policy wrap or saturate");
}

}  // namespace qsim::golden
