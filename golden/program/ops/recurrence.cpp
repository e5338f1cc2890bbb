#include "golden/program/ops/recurrence.h"

#include <algorithm>
#include <span>

#include "golden/ops/int128.h"
#include "golden/program/checker.h"
#include "golden/program/operation_run.h"

namespace qsim::golden {
namespace {

template <typename AnyRecurrence>
std::string UpdateFormula(const Program& program, const AnyRecurrence& op) {
  const TensorInfo& past = program.Tensor(op.past);
  return "S[t] = clamp(state_rounding((decay[t] - decay_zero) S[t-1] / 2^decay_shift) + "
         "state_rounding((key[t] - key_zero) (value[t] - value_zero) update_multiplier / "
         "2^update_shift), " +
         std::to_string(past.range.qmin) + ", " + std::to_string(past.range.qmax) +
         "), S[-1] = past";
}

// As many rows as keys, with one head's columns side by side: at most 16 bits.
void CheckOperand(const Checker& checker, const std::string& name, std::int64_t rows,
                  std::int64_t width) {
  const TensorInfo& info = checker.Tensor(name);
  checker.Require(BitsOf(info.dtype) <= 16, "'" + name + "' must be 16 bits or narrower");
  checker.Require(info.shape.size() == 2 && info.shape[0] == rows && info.shape[1] % width == 0,
                  "'" + name + "' must have " + std::to_string(rows) + " rows of heads of " +
                      std::to_string(width) + " columns");
}

template <typename AnyRecurrence>
StateHeads CheckUpdate(const Checker& checker, const AnyRecurrence& op) {
  const GatedUpdateParams& update = op.update;
  const TensorInfo &past = checker.Tensor(op.past), &decay = checker.Tensor(op.decay);
  checker.Require(update.key_width >= 1 && update.value_width >= 1,
                  "key_width and value_width must be 1 or more");
  const auto extent = [&](std::size_t axis) {
    return past.shape[update.value_first ? 3 - axis : axis];
  };
  checker.Require(
      past.shape.size() == 3 && extent(1) == update.key_width && extent(2) == update.value_width,
      "'" + op.past + "' must be [heads, " +
          (update.value_first ? "value_width, key_width]" : "key_width, value_width]"));
  checker.Require((past.dtype == DType::kInt16 || past.dtype == DType::kInt32) &&
                      past.range.qmin <= 0 && past.range.qmax >= 0,
                  "'" + op.past + "' must be int16 or int32, with 0 in its range");
  const Shape &key = checker.Tensor(op.key).shape, &value = checker.Tensor(op.value).shape;
  const StateHeads heads = HeadsOf(update, key, value, decay.shape, past.shape);
  CheckOperand(checker, op.key, key[0], update.key_width);
  CheckOperand(checker, op.value, key[0], update.value_width);
  CheckOperand(checker, op.decay, key[0], heads.decay_width);
  for (const std::int64_t some : {heads.key, heads.value, heads.decay}) {
    checker.Require(some >= 1 && heads.state % some == 0,
                    "the heads of key, value and decay, " + std::to_string(heads.key) + ", " +
                        std::to_string(heads.value) + " and " + std::to_string(heads.decay) +
                        ", must divide the state's " + std::to_string(heads.state));
  }
  checker.RequireWithin({update.key_zero, update.value_zero, update.decay_zero}, -kMaxZero,
                        kMaxZero, "zero point");
  checker.Require(update.decay_shift >= 1 && update.decay_shift <= 16,
                  "decay_shift must be in 1..16");
  checker.Require(decay.range.qmin >= update.decay_zero &&
                      decay.range.qmax - update.decay_zero <= 1 << update.decay_shift,
                  "'" + op.decay + "' must be in 0..2^decay_shift behind its zero point");
  checker.RequireScales(update.update, heads.state);
  for (const Multiplier& scale : update.update) {
    checker.Require(std::abs(std::int64_t{scale.m}) <= kMaxUpdateMultiplier,
                    "update_multiplier " + std::to_string(scale.m) + " has more than 16 bits");
  }
  return heads;
}

// Matrices of so many rows and columns, one behind the other, each transposed.
std::vector<std::int32_t> Transposed(const std::vector<std::int32_t>& matrices, std::size_t rows,
                                     std::size_t columns) {
  std::vector<std::int32_t> out(matrices.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t matrix = i / (rows * columns), row = i / columns % rows;
    out[(matrix * columns + i % columns) * rows + row] = matrices[i];
  }
  return out;
}

// The state of every head from row to row, [dk, dv] each: visit(row, states) after each.
template <typename AnyRecurrence, typename Visit>
std::int64_t ForEachRow(OperationRun& run, const AnyRecurrence& op, AccRange* seen, Visit visit) {
  const GatedUpdateParams& update = op.update;
  const TensorInfo past = run.Info(op.past);
  const StateHeads heads = HeadsOf(update, run.Info(op.key).shape, run.Info(op.value).shape,
                                   run.Info(op.decay).shape, past.shape);
  const std::vector<std::int32_t> key = run.Wide(op.key), value = run.Wide(op.value),
                                  decay = run.Wide(op.decay);
  const auto dk = static_cast<std::size_t>(update.key_width);
  const auto dv = static_cast<std::size_t>(update.value_width);
  std::vector<std::int32_t> states = run.Wide(op.past);
  if (update.value_first) states = Transposed(states, dv, dk);
  // A row's columns of the head that serves head h of the state.
  const auto columns = [&](const std::vector<std::int32_t>& operand, std::int64_t row,
                           std::int64_t h, std::int64_t fewer, std::int64_t width) {
    const std::int64_t head = row * fewer + StateHeads::Of(h, heads.state, fewer);
    return std::span(operand).subspan(static_cast<std::size_t>(head * width),
                                      static_cast<std::size_t>(width));
  };
  const std::size_t size = dk * dv;
  std::int64_t saturated = 0;
  for (std::int64_t row = 0; row < run.Info(op.key).shape[0]; ++row) {
    for (std::int64_t h = 0; h < heads.state; ++h) {
      const GatedUpdateInputs inputs{columns(key, row, h, heads.key, update.key_width),
                                     columns(value, row, h, heads.value, update.value_width),
                                     columns(decay, row, h, heads.decay, heads.decay_width)};
      saturated +=
          GatedUpdate(inputs, update, EntryFor(update.update, h), past.range,
                      std::span(states).subspan(static_cast<std::size_t>(h) * size, size), seen);
    }
    visit(row, states);
  }
  return saturated;
}

}  // namespace

StateHeads HeadsOf(const GatedUpdateParams& update, const Shape& key, const Shape& value,
                   const Shape& decay, const Shape& past) {
  StateHeads heads;
  heads.state = past[0];
  heads.key = key.back() / update.key_width;
  heads.value = value.back() / update.value_width;
  heads.decay_width = decay.back() == past[0] ? 1 : update.key_width;
  heads.decay = decay.back() / heads.decay_width;
  return heads;
}

std::string RecurrenceOp::Formula(const Program& program) const {
  return UpdateFormula(program, *this) +
         "\ny[t] = clamp(zero + rounding(multiplier sum_k (query[t][k] - query_zero) "
         "rounding(S[t][k] / 2^state_shift) / 2^shift), qmin, qmax)";
}

StateReadoutParams RecurrenceOp::Readout(std::int64_t head, QuantRange range) const {
  return {query_zero, state_shift, EntryFor(readout, head), zero, rounding, range};
}

void RecurrenceOp::Check(const Checker& checker) const {
  const StateHeads heads = CheckUpdate(checker, *this);
  const TensorInfo &out = checker.Tensor(output), &states = checker.Tensor(past),
                   &queries = checker.Tensor(query);
  const std::int64_t rows = checker.Tensor(key).shape[0];
  CheckOperand(checker, query, rows, update.key_width);
  const std::int64_t query_heads = queries.shape[1] / update.key_width;
  const std::int64_t all = std::max(query_heads, heads.state);
  checker.Require(all % query_heads == 0 && all % heads.state == 0,
                  "the heads of query and state, " + std::to_string(query_heads) + " and " +
                      std::to_string(heads.state) + ", must divide each other");
  checker.RequireShape(output, {rows, all * update.value_width});
  checker.Require(BitsOf(out.dtype) <= 16, "output must be 16 bits or narrower");
  checker.RequireWithin({query_zero, zero}, -kMaxZero, kMaxZero, "zero point");
  checker.Require(state_shift >= 0 && state_shift <= 31, "state_shift must be in 0..31");
  checker.RequireScales(readout, all);
  const auto widest = [](QuantRange range, std::int32_t zero_point) {
    return std::max(std::int64_t{range.qmax} - zero_point, std::int64_t{zero_point} - range.qmin);
  };
  const std::int64_t narrow = (widest(states.range, 0) >> state_shift) + 1;
  const Int128 sum = Int128{update.key_width} * widest(queries.range, query_zero) * narrow;
  for (const Multiplier& scale : readout) {
    checker.Require(sum * (scale.m < 0 ? -Int128{scale.m} : Int128{scale.m}) <= Int128{1} << 62,
                    "a readout can leave 63 bits: needs a larger state_shift or fewer bits of "
                    "multiplier");
  }
}

void RecurrenceOp::Run(OperationRun& run) const {
  const TensorInfo info = run.Info(output);
  const std::vector<std::int32_t> queries = run.Wide(query);
  const std::int64_t width = update.value_width, heads = info.shape[1] / width;
  const std::int64_t query_heads = run.Info(query).shape[1] / update.key_width;
  const std::int64_t states_heads = run.Info(past).shape[0];
  const auto dk = static_cast<std::size_t>(update.key_width);
  const auto dv = static_cast<std::size_t>(width);
  std::vector<std::int32_t> out(static_cast<std::size_t>(ElementCount(info.shape)));
  std::int64_t saturated = 0;
  ForEachRow(run, *this, nullptr, [&](std::int64_t row, const std::vector<std::int32_t>& states) {
    for (std::int64_t h = 0; h < heads; ++h) {
      const auto of_query =
          static_cast<std::size_t>(row * query_heads + StateHeads::Of(h, heads, query_heads));
      const auto of_state = static_cast<std::size_t>(StateHeads::Of(h, heads, states_heads));
      saturated += StateReadout(
          std::span(queries).subspan(of_query * dk, dk),
          std::span(states).subspan(of_state * dk * dv, dk * dv), Readout(h, info.range),
          std::span(out).subspan(static_cast<std::size_t>(row * heads + h) * dv, dv));
    }
  });
  run.StoreClamped(output, out, saturated);
}

std::string RecurrenceStateOp::Formula(const Program& program) const {
  return UpdateFormula(program, *this) + "\ny = S of the last t";
}

void RecurrenceStateOp::Check(const Checker& checker) const {
  CheckUpdate(checker, *this);
  checker.RequireShape(output, checker.Tensor(past).shape);
  checker.RequireSameCodes(past, output);
}

void RecurrenceStateOp::Run(OperationRun& run) const {
  std::vector<std::int32_t> last;
  const std::int64_t rows = run.Info(key).shape[0];
  const std::int64_t saturated =
      ForEachRow(run, *this, run.Tracked(output),
                 [&](std::int64_t row, const std::vector<std::int32_t>& states) {
                   if (row + 1 == rows) last = states;
                 });
  if (update.value_first)
    last = Transposed(last, static_cast<std::size_t>(update.key_width),
                      static_cast<std::size_t>(update.value_width));
  run.StoreClamped(output, last, saturated);
}

}  // namespace qsim::golden
