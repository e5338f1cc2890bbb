#include "golden/program/accumulator_proof.h"

#include <algorithm>

#include "golden/ops/one_or_each.h"
#include "golden/program/interval.h"

namespace qsim::golden {
namespace {

void Include(AccRange& range, Interval interval) {
  range.Include(interval.lo);
  range.Include(interval.hi);
}

Interval RangeOf(const TensorInfo& info) { return {info.range.qmin, info.range.qmax}; }

std::int64_t ZeroAt(const std::vector<std::int32_t>& zeros, std::size_t index) {
  if (zeros.empty()) return 0;
  return EntryFor(zeros, index);
}

AccumulatorProof Finish(AccumulatorProof proof) {
  proof.bits_needed = BitsFor(proof.range);
  return proof;
}

// Every partial sum and correction term of one output channel of a linear layer.
AccRange ChannelRange(std::span<const std::int8_t> weights, Interval input, std::int64_t bias,
                      std::int64_t weight_zero) {
  AccRange range;
  if (input.lo <= 0 && input.hi >= 0 && weight_zero == 0) {
    // Every term's interval holds 0, so that those of the partial sums only grow.
    std::int64_t positive = 0, sum = 0;
    for (const std::int64_t w : weights) {
      sum += w;
      positive += w > 0 ? w : 0;
    }
    Include(range, Interval{bias, bias} + input * positive + input * (sum - positive));
    range.Include(bias);
    return range;
  }
  Interval raw = {bias, bias};
  Interval corrected = raw;
  Include(range, raw);
  for (const std::int64_t w : weights) {
    raw = raw + input * w;
    corrected = corrected + input * (w - weight_zero);
    Include(range, raw);
  }
  if (weight_zero != 0) {
    Include(range, input * (-weight_zero * static_cast<std::int64_t>(weights.size())));
    Include(range, corrected);
  }
  return range;
}

// A sum for each output channel, the first axis of its weight.
template <typename LinearOp>
AccumulatorProof ProveLinear(const Program& program, const LinearOp& op) {
  AccumulatorProof proof;
  proof.tap = op.output;
  proof.acc = op.acc;
  const IntTensor& weight = program.Constant(op.weight);
  const std::vector<std::int8_t>& w = weight.template As<std::int8_t>();
  const std::vector<std::int32_t>& bias = program.Constant(op.bias).template As<std::int32_t>();
  const auto channels = static_cast<std::size_t>(weight.shape().at(0));
  const auto depth = static_cast<std::size_t>(weight.shape().at(1));
  proof.depth = weight.shape().at(1);
  const Interval input = RangeOf(program.Tensor(op.input));
  std::int64_t worst = -1;
  for (std::size_t n = 0; n < channels; ++n) {
    const AccRange range = ChannelRange(std::span(w).subspan(n * depth, depth), input, bias[n],
                                        ZeroAt(op.weight_zero, n));
    proof.range.Include(range);
    // -2^n needs no more bits than 2^n - 1.
    const std::int64_t magnitude = std::max(range.max, -range.min - 1);
    if (magnitude > worst) {
      worst = magnitude;
      proof.worst_channel = static_cast<std::int64_t>(n);
    }
  }
  return Finish(proof);
}

}  // namespace

AccumulatorProof ProveAccumulator(const Program& program, const GemmOp& op) {
  return ProveLinear(program, op);
}

AccumulatorProof ProveAccumulator(const Program& program, const CausalConvOp& op) {
  return ProveLinear(program, op);
}

AccumulatorProof ProveAccumulator(const Program& program, const MatmulOp& op) {
  AccumulatorProof proof;
  proof.tap = op.output;
  proof.acc = op.acc;
  const TensorInfo& lhs = program.Tensor(op.lhs);
  // A log2 code stands for 2^(15 - code) or 0, so an element is anything from 0 to 2^15.
  const Interval a = op.mode == OperandMode::kShift ? Interval{0, 1 << 15} : RangeOf(lhs);
  Interval b;
  if (op.weight.empty()) {
    b = RangeOf(program.Tensor(op.rhs));
  } else {
    const auto& weight = program.Constant(op.weight).As<std::int8_t>();
    const auto [least, most] = std::minmax_element(weight.begin(), weight.end());
    b = {*least, *most};
  }
  const std::int64_t depth = MatricesOf(lhs.shape, op.heads).value().cols;
  proof.depth = depth;
  Include(proof.range, Corners(a, b, [&](auto x, auto y) { return depth * x * y; }));
  // Zero points meet in pairs: one pair per head, or per output channel where the right one varies
  // by channel.
  const std::size_t pairs = std::max(op.lhs_zero.size(), op.rhs_zero.size());
  for (std::size_t i = 0; i < pairs; ++i) {
    const std::int64_t lhs_zero = ZeroAt(op.lhs_zero, i * op.lhs_zero.size() / pairs);
    const std::int64_t rhs_zero = ZeroAt(op.rhs_zero, i);
    if (rhs_zero != 0) {
      Include(proof.range, a * (-rhs_zero * depth));
      Include(proof.range,
              Corners(a, b, [&](auto x, auto y) { return depth * x * (y - rhs_zero); }));
    }
    if (lhs_zero != 0) {
      Include(proof.range, b * (-lhs_zero * depth));
      Include(proof.range, Corners(a, b, [&](auto x, auto y) {
                return depth * (x * (y - rhs_zero) - lhs_zero * y);
              }));
    }
    if (lhs_zero != 0 && rhs_zero != 0) {
      proof.range.Include(depth * lhs_zero * rhs_zero);
      Include(proof.range, Corners(a, b, [&](auto x, auto y) {
                return depth * (x - lhs_zero) * (y - rhs_zero);
              }));
    }
  }
  return Finish(proof);
}

std::vector<AccumulatorProof> ProveAccumulators(const Program& program) {
  std::vector<AccumulatorProof> proofs;
  for (const Op& op : program.ops) {
    std::visit(
        [&](const auto& o) {
          if constexpr (requires { ProveAccumulator(program, o); })
            proofs.push_back(ProveAccumulator(program, o));
        },
        op);
  }
  return proofs;
}

}  // namespace qsim::golden
