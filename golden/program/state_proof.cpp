// How large the state of a recurrence can become. docs/numerics.md section 17.1.
#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include "golden/ops/int128.h"
#include "golden/program/accumulator_proof.h"
#include "golden/program/interval.h"
#include "golden/program/queries.h"

namespace qsim::golden {
namespace {

// What rows of some kind do to a state: all with decays up to one, and updates within an interval.
class Growth {
 public:
  Growth(const GatedUpdateParams& update, Interval initial) : update_(update), reached_(initial) {
    switch (update.rounding) {
      case Rounding::kHalfUp:
      case Rounding::kHalfAway:
      case Rounding::kHalfEven:
        halves_up_ = halves_down_ = 1;
        break;
      case Rounding::kFloor:
        halves_down_ = 2;
        break;
      case Rounding::kTowardZero:
        break;
    }
    // A chunk rounds what all its rows bring once more (17.2).
    if (update.chunk != 0) {
      halves_up_ *= 2;
      halves_down_ *= 2;
    }
  }

  void Take(std::int64_t decay, Interval update) {
    const std::int64_t one = std::int64_t{1} << update_.decay_shift;
    if (decay == one) {
      if (update_.chunk != 0 && (update.lo != 0 || update.hi != 0))
        update = {update.lo - halves_down_ / 2, update.hi + halves_up_ / 2};
      gained_ = {std::min(gained_.lo, update.lo), std::max(gained_.hi, update.hi)};
      return;
    }
    // Equation 17.3.
    const auto limit = [&](std::int64_t u, int halves) {
      const Int128 bound = (2 * Int128{u} + halves) * one / (2 * (one - decay));
      return static_cast<std::int64_t>(std::min(bound, Int128{1} << 62));
    };
    reached_.hi = std::max(reached_.hi, limit(std::max<std::int64_t>(update.hi, 0), halves_up_));
    reached_.lo =
        std::min(reached_.lo, -limit(std::max<std::int64_t>(-update.lo, 0), halves_down_));
  }

  bool OfAnyLength() const { return gained_.lo == 0 && gained_.hi == 0; }
  AccRange Range(std::int64_t rows) const {
    const auto after = [&](std::int64_t reached, std::int64_t gained) {
      const Int128 sum = Int128{reached} + Int128{gained} * rows, most = Int128{1} << 62;
      return static_cast<std::int64_t>(std::clamp(sum, -most, most));
    };
    return {after(reached_.lo, gained_.lo), after(reached_.hi, gained_.hi)};
  }

 private:
  const GatedUpdateParams& update_;
  Interval reached_;
  Interval gained_;  // by one row that forgets nothing
  int halves_up_ = 0, halves_down_ = 0;
};

Interval Less(const TensorInfo& info, std::int64_t zero) {
  return {info.range.qmin - zero, info.range.qmax - zero};
}

// A tensor as a function of another one's elements, column by column.
struct FunctionOf {
  std::string source;
  std::vector<const TableOp*> tables = {};  // the first reads the source
};

// Of itself, of what its table reads, and so on.
std::vector<FunctionOf> FunctionsOf(const Program& program, const std::string& tensor) {
  std::vector<FunctionOf> functions = {{tensor}};
  for (const Op* op = ProducerOf(program, tensor); op != nullptr;
       op = ProducerOf(program, functions.back().source)) {
    const auto* table = std::get_if<TableOp>(op);
    if (table == nullptr) break;
    FunctionOf next{table->input, functions.back().tables};
    next.tables.insert(next.tables.begin(), table);
    functions.push_back(std::move(next));
  }
  return functions;
}

std::int64_t Evaluate(const Program& program, const FunctionOf& function, std::size_t column,
                      std::int64_t code) {
  for (const TableOp* table : function.tables) {
    const QuantRange codes = program.Tensor(table->input).range;
    code = TableValue(code - codes.qmin,
                      table->TableOf(column, std::int64_t{codes.qmax} - codes.qmin + 1),
                      table->step_bits);
  }
  return code;
}

// Values that are a requantized product of something and a number for each head, which decides the
// head's decay as well: a time step.
class JointFactor {
 public:
  static std::optional<JointFactor> Of(const Program& program, const RecurrenceStateOp& op,
                                       const StateHeads& heads) {
    if (heads.decay_width != 1 || heads.decay != heads.state || heads.value != heads.state)
      return {};
    const Op* narrows = ProducerOf(program, op.value);
    const auto* requantize = narrows == nullptr ? nullptr : std::get_if<RequantizeOp>(narrows);
    if (requantize == nullptr || requantize->axis == ChannelAxis::kFirst) return {};
    const Op* product = ProducerOf(program, requantize->input);
    const auto* multiply = product == nullptr ? nullptr : std::get_if<MultiplyOp>(product);
    if (multiply == nullptr || multiply->b.empty() || requantize->first_column != 0 ||
        program.Tensor(multiply->b).shape.back() != heads.state ||
        program.Tensor(multiply->a).shape.back() != program.Tensor(op.value).shape.back())
      return {};
    for (const FunctionOf& decay : FunctionsOf(program, op.decay)) {
      for (const FunctionOf& factor : FunctionsOf(program, multiply->b)) {
        if (decay.source == factor.source)
          return JointFactor(program, op, *requantize, *multiply, decay, factor);
      }
    }
    return {};
  }

  // visit(code of the decay, the head's values) for each code of the common source.
  template <typename Visit>
  void ForEach(std::int64_t head, Visit visit) const {
    const QuantRange codes = program_.Tensor(decay_.source).range;
    const Interval a = Less(program_.Tensor(multiply_.a), multiply_.a_zero);
    const auto column = static_cast<std::size_t>(head);
    for (std::int64_t code = codes.qmin; code <= codes.qmax; ++code) {
      const std::int64_t b = Evaluate(program_, factor_, column, code) - multiply_.b_zero;
      visit(Evaluate(program_, decay_, column, code), Narrowed(head, a * b));
    }
  }

 private:
  JointFactor(const Program& program, const RecurrenceStateOp& op, const RequantizeOp& requantize,
              const MultiplyOp& multiply, FunctionOf decay, FunctionOf factor)
      : program_(program),
        op_(op),
        requantize_(requantize),
        multiply_(multiply),
        decay_(std::move(decay)),
        factor_(std::move(factor)) {}

  // A requantization keeps order, so that its ends are those of its input; over the channels of one
  // head, of which most are alike.
  Interval Narrowed(std::int64_t head, Interval products) const {
    const TensorInfo& info = program_.Tensor(op_.value);
    const RequantizeParams all =
        requantize_.Params(LayoutOf(info.shape, requantize_.axis), info.range);
    const bool one = all.scale.size() == 1 && all.zero.size() == 1 && all.addend.size() <= 1;
    const std::int64_t width = one ? 1 : op_.update.value_width;
    const std::vector<std::int32_t> ends = {static_cast<std::int32_t>(products.lo),
                                            static_cast<std::int32_t>(products.hi)};
    std::optional<Interval> values;
    for (std::int64_t c = head * width; c < (head + 1) * width; ++c) {
      const Multiplier scale = all.ScaleOf(one ? 0 : c);
      const std::int32_t zero = all.ZeroOf(one ? 0 : c);
      const std::int64_t addend = all.AddendOf(one ? 0 : c);
      RequantizeParams params = all;
      params.layout = {1, 1, 2};
      params.scale = {&scale, 1};
      params.zero = {&zero, 1};
      params.addend = {&addend, all.addend.empty() ? 0U : 1U};
      std::int32_t y[2];
      Requantize(ends, params, y);
      const Interval of{std::min(y[0], y[1]), std::max(y[0], y[1])};
      values = values ? Interval{std::min(values->lo, of.lo), std::max(values->hi, of.hi)} : of;
    }
    return *values;
  }

  const Program& program_;
  const RecurrenceStateOp& op_;
  const RequantizeOp& requantize_;
  const MultiplyOp& multiply_;
  FunctionOf decay_, factor_;
};

// What the first row begins with.
Interval InitialOf(const Program& program, const RecurrenceStateOp& op) {
  for (const Carried& carried : program.carried) {
    if (carried.input != op.past || carried.output != op.output) continue;
    const IntTensor& initial = program.Constant(carried.initial);
    Interval range;
    for (std::int64_t i = 0; i < initial.size(); ++i)
      range = {std::min(range.lo, initial.At(i)), std::max(range.hi, initial.At(i))};
    return range;
  }
  return Less(program.Tensor(op.past), 0);
}

}  // namespace

AccumulatorProof ProveAccumulator(const Program& program, const RecurrenceStateOp& op) {
  const GatedUpdateParams& update = op.update;
  const TensorInfo &past = program.Tensor(op.past), &decay = program.Tensor(op.decay);
  const Shape& key_shape = program.Tensor(op.key).shape;
  const StateHeads heads =
      HeadsOf(update, key_shape, program.Tensor(op.value).shape, decay.shape, past.shape);
  const Interval key = Less(program.Tensor(op.key), update.key_zero);
  const auto joint = JointFactor::Of(program, op, heads);
  AccumulatorProof proof;
  proof.what = "state";
  proof.tap = op.output;
  proof.acc = {BitsFor({past.range.qmin, past.range.qmax}), AccPolicy::kSaturate};
  for (std::int64_t h = 0; h < heads.state; ++h) {
    const Multiplier scale = EntryFor(update.update, h);
    const auto term = [&](Interval value) {
      // The rows of a chunk are not rounded by themselves: away from 0 they are at most so large.
      const bool alone = update.chunk == 0;
      return Corners(key, value, [&](std::int64_t k, std::int64_t v) {
        const std::int64_t product = k * (v - update.value_zero) * scale.m;
        return alone         ? RoundShift(product, scale.shift, update.rounding)
               : product < 0 ? RoundShift(product, scale.shift, Rounding::kFloor)
                             : -RoundShift(-product, scale.shift, Rounding::kFloor);
      });
    };
    Growth growth(update, InitialOf(program, op));
    if (joint) {
      joint->ForEach(h, [&](std::int64_t code, Interval value) {
        growth.Take(code - update.decay_zero, term(value));
      });
    } else {
      growth.Take(std::int64_t{decay.range.qmax} - update.decay_zero,
                  term(Less(program.Tensor(op.value), 0)));
    }
    if (!growth.OfAnyLength()) proof.rows = key_shape[0];
    const AccRange range = growth.Range(key_shape[0]);
    if (BitsFor(range) > BitsFor(proof.range)) proof.worst_channel = h;
    proof.range.Include(range);
  }
  proof.bits_needed = BitsFor(proof.range);
  return proof;
}

}  // namespace qsim::golden
