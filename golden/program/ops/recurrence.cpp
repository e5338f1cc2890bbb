#include "golden/program/ops/recurrence.h"

#include <algorithm>
#include <span>

#include "golden/ops/chunked_recurrence.h"
#include "golden/ops/one_or_each.h"
#include "golden/program/checker.h"
#include "golden/program/operation_run.h"

namespace qsim::golden {
namespace {

template <typename AnyRecurrence>
std::string UpdateFormula(const Program& program, const AnyRecurrence& op) {
  const TensorInfo& past = program.Tensor(op.past);
  const std::string range =
      std::to_string(past.range.qmin) + ", " + std::to_string(past.range.qmax) + "), S[-1] = past";
  if (op.update.chunk == 0) {
    return "S[t] = clamp(state_rounding((decay[t] - decay_zero) S[t-1] / 2^decay_shift) + "
           "state_rounding((key[t] - key_zero) (value[t] - value_zero) update_multiplier / "
           "2^update_shift), " +
           range;
  }
  return "by chunks c of " + std::to_string(op.update.chunk) +
         " rows, of which `left` is the product of (decay[t] - decay_zero) / 2^decay_shift, in "
         "fractions of 2^24:\n"
         "S[c] = clamp(state_rounding(left(all of c) S[c-1] / 2^24) + state_rounding("
         "sum_j K[j] (value[j] - value_zero) update_multiplier / 2^(update_shift + 6)), " +
         range + "\nK[j] = toward_zero((key[j] - key_zero) left(those behind j) / 2^18)";
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

std::int64_t Magnitude(std::int32_t value) { return std::abs(std::int64_t{value}); }

constexpr Int128 kMost = Int128{1} << 62;

template <typename AnyRecurrence>
void CheckChunk(const Checker& checker, const AnyRecurrence& op) {
  const GatedUpdateParams& update = op.update;
  checker.Require(update.chunk >= 1 && update.chunk <= kMaxChunk, "chunk must be in 1..256");
  const Int128 sum = Int128{update.chunk} * Widest(checker.Tensor(op.key).range, update.key_zero) *
                         Widest(checker.Tensor(op.value).range, update.value_zero)
                     << kChunkGuard;
  for (const Multiplier& scale : update.update) {
    checker.Require(scale.shift + kChunkGuard <= 62, "update_shift must be in 0..56 by chunks");
    checker.Require(sum * Magnitude(scale.m) <= kMost,
                    "a chunk's update can leave 63 bits: needs fewer rows");
  }
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
    checker.Require(heads.state % some == 0,
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
  if (update.chunk != 0) CheckChunk(checker, op);
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

// The operands of an update, and the state of every head, [dk, dv] each: behind the rows that were
// taken so far.
template <typename AnyRecurrence>
class GatedRun {
 public:
  GatedRun(OperationRun& run, const AnyRecurrence& op)
      : update_(op.update),
        past_(run.Info(op.past)),
        heads_(HeadsOf(update_, run.Info(op.key).shape, run.Info(op.value).shape,
                       run.Info(op.decay).shape, past_.shape)),
        rows_(run.Info(op.key).shape[0]),
        key_(run.Wide(op.key)),
        value_(run.Wide(op.value)),
        decay_(run.Wide(op.decay)),
        states_(run.Wide(op.past)),
        size_(static_cast<std::size_t>(update_.key_width) *
              static_cast<std::size_t>(update_.value_width)) {
    if (update_.value_first) states_ = Transposed(states_, ValueWidth(), KeyWidth());
  }

  std::size_t KeyWidth() const { return static_cast<std::size_t>(update_.key_width); }
  std::size_t ValueWidth() const { return static_cast<std::size_t>(update_.value_width); }
  std::span<std::int32_t> State(std::int64_t head) {
    return std::span(states_).subspan(static_cast<std::size_t>(head) * size_, size_);
  }
  // As they are stored.
  std::vector<std::int32_t> States() const {
    return update_.value_first ? Transposed(states_, KeyWidth(), ValueWidth()) : states_;
  }

  // Takes all rows, one by one or by chunks: visit(first, count) for each, with the state in front
  // of a chunk and behind a row. Returns how many elements the clamp changed.
  template <typename Visit>
  std::int64_t Take(AccRange* seen, Visit visit) {
    std::int64_t saturated = 0;
    const std::int64_t step = update_.chunk == 0 ? 1 : update_.chunk;
    for (std::int64_t first = 0; first < rows_; first += step) {
      const std::int64_t count = std::min(step, rows_ - first);
      if (update_.chunk != 0) visit(first, count);
      for (std::int64_t h = 0; h < heads_.state; ++h) {
        const Multiplier scale = EntryFor(update_.update, h);
        saturated +=
            update_.chunk == 0
                ? GatedUpdate({Columns(key_, first, h, heads_.key, update_.key_width),
                               Columns(value_, first, h, heads_.value, update_.value_width),
                               Columns(decay_, first, h, heads_.decay, heads_.decay_width)},
                              update_, scale, past_.range, State(h), seen)
                : ChunkUpdate(Chunk(h, first, count), scale, update_.rounding, past_.range,
                              State(h), seen);
      }
      if (update_.chunk == 0) visit(first, count);
    }
    return saturated;
  }

  // The rows of head h of the state.
  GatedChunk Chunk(std::int64_t h, std::int64_t first, std::int64_t count) const {
    const auto rows = [&](const std::vector<std::int32_t>& operand, std::int64_t fewer,
                          std::int64_t width, std::int32_t zero) {
      return RowsOf(operand, first, count, fewer, ShareOf(h, heads_.state, fewer), width, zero);
    };
    return {.rows = count,
            .keys = update_.key_width,
            .values = update_.value_width,
            .key = rows(key_, heads_.key, update_.key_width, update_.key_zero),
            .value = rows(value_, heads_.value, update_.value_width, update_.value_zero),
            .decay = rows(decay_, heads_.decay, heads_.decay_width, update_.decay_zero),
            .decay_shift = update_.decay_shift};
  }
  // Of one of so many heads side by side, behind their zero point.
  static std::vector<std::int32_t> RowsOf(const std::vector<std::int32_t>& operand,
                                          std::int64_t first, std::int64_t count,
                                          std::int64_t heads, std::int64_t head, std::int64_t width,
                                          std::int32_t zero) {
    std::vector<std::int32_t> rows;
    for (std::int64_t row = first; row < first + count; ++row) {
      for (std::int64_t c = 0; c < width; ++c)
        rows.push_back(operand[static_cast<std::size_t>((row * heads + head) * width + c)] - zero);
    }
    return rows;
  }

 private:
  // A row's columns of the head that serves head h of the state.
  std::span<const std::int32_t> Columns(const std::vector<std::int32_t>& operand, std::int64_t row,
                                        std::int64_t h, std::int64_t fewer,
                                        std::int64_t width) const {
    const std::int64_t head = row * fewer + ShareOf(h, heads_.state, fewer);
    return std::span(operand).subspan(static_cast<std::size_t>(head * width),
                                      static_cast<std::size_t>(width));
  }

  const GatedUpdateParams& update_;
  TensorInfo past_;
  StateHeads heads_;
  std::int64_t rows_;
  std::vector<std::int32_t> key_, value_, decay_, states_;
  std::size_t size_;
};

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
  const std::string text = UpdateFormula(program, *this);
  if (update.chunk == 0) {
    return text +
           "\ny[t] = clamp(zero + rounding(multiplier sum_k (query[t][k] - query_zero) "
           "rounding(S[t][k] / 2^state_shift) / 2^shift), qmin, qmax)";
  }
  return text +
         "\nA[t][j] = rounding(sum_k Q K / 2^score_shift): Q = rounding((query[t] - query_zero) "
         "left(from m to t) / 2^18), K = toward_zero((key[j] - key_zero) left(behind j, up to m) / "
         "2^18), m the first row of the half with t where halves part j and t\n"
         "R[t] = rounding(sum_k Q rounding(S[c-1][k] / 2^state_shift) / 2^6) + rounding("
         "sum_j A[t][j] (value[j] - value_zero) update_multiplier / 2^(update_shift + state_shift "
         "+ 12 - score_shift)), Q with m the first row of c\n"
         "y[t] = clamp(zero + rounding(multiplier clamp(R[t], what S can give) / 2^shift), qmin, "
         "qmax)";
}

StateReadoutParams RecurrenceOp::Readout(std::int64_t head, QuantRange range) const {
  return {query_zero, state_shift, EntryFor(readout, head), zero, rounding, range};
}

std::int64_t RecurrenceOp::Macs(const Program& program, std::int64_t rows) const {
  const std::int64_t keys = update.key_width, values = update.value_width;
  const std::int64_t heads = program.Tensor(output).shape[1] / values;
  std::int64_t macs = rows * keys * values;
  for (std::int64_t first = 0; update.chunk != 0 && first < rows; first += update.chunk) {
    const std::int64_t count = std::min<std::int64_t>(update.chunk, rows - first);
    macs += count * (count + 1) / 2 * (keys + values);
  }
  return heads * macs;
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
  const ChunkBounds bounds = {.rows = update.chunk,
                              .keys = update.key_width,
                              .query = Widest(queries.range, query_zero),
                              .key = Widest(checker.Tensor(key).range, update.key_zero),
                              .value = Widest(checker.Tensor(value).range, update.value_zero)};
  const Int128 most = LargestSum(queries.range, states.range);
  for (std::int64_t h = 0; h < all; ++h) {
    const Multiplier scale = EntryFor(update.update, ShareOf(h, all, heads.state));
    if (update.chunk != 0) CheckWithin(checker, bounds, scale);
    checker.Require(most * Magnitude(EntryFor(readout, h).m) <= kMost,
                    "a readout can leave 63 bits: needs a larger state_shift or fewer bits of "
                    "multiplier");
  }
}

void RecurrenceOp::CheckWithin(const Checker& checker, const ChunkBounds& bounds,
                               Multiplier scale) const {
  const int least = LeastScoreShift(bounds, Magnitude(scale.m));
  checker.Require(score_shift >= least && score_shift <= 62,
                  "score_shift must be in " + std::to_string(least) +
                      "..62: a chunk's products can leave 63 bits");
  const int shift = WithinShift(scale, state_shift, score_shift);
  checker.Require(shift >= 0 && shift <= 62,
                  "update_shift + state_shift + 12 - score_shift must be in 0..62");
}

Int128 RecurrenceOp::LargestSum(QuantRange queries, QuantRange states) const {
  return Int128{update.key_width} * Widest(queries, query_zero) *
         ((Widest(states, 0) >> state_shift) + 1);
}

void RecurrenceOp::Run(OperationRun& run) const {
  const TensorInfo info = run.Info(output);
  const std::vector<std::int32_t> queries = run.Wide(query);
  const std::int64_t width = update.value_width, heads = info.shape[1] / width;
  const std::int64_t query_heads = run.Info(query).shape[1] / update.key_width;
  const std::int64_t state_heads = run.Info(past).shape[0];
  const auto dk = static_cast<std::size_t>(update.key_width);
  const auto dv = static_cast<std::size_t>(width);
  std::vector<std::int32_t> out(static_cast<std::size_t>(ElementCount(info.shape)));
  const auto most =
      static_cast<std::int64_t>(LargestSum(run.Info(query).range, run.Info(past).range));
  std::int64_t saturated = 0;
  using Gated = GatedRun<RecurrenceOp>;
  Gated gated(run, *this);
  const auto row = [&](std::int64_t t, std::int64_t h) {
    return std::span(out).subspan(static_cast<std::size_t>(t * heads + h) * dv, dv);
  };
  gated.Take(nullptr, [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t h = 0; h < heads; ++h) {
      const std::int64_t of_query = ShareOf(h, heads, query_heads);
      const std::int64_t of_state = ShareOf(h, heads, state_heads);
      const StateReadoutParams params = Readout(h, info.range);
      if (update.chunk == 0) {
        saturated +=
            StateReadout(std::span(queries).subspan(
                             static_cast<std::size_t>(first * query_heads + of_query) * dk, dk),
                         gated.State(of_state), params, row(first, h));
        continue;
      }
      std::vector<std::int32_t> rows(static_cast<std::size_t>(count) * dv);
      saturated += ChunkReadout(
          gated.Chunk(of_state, first, count),
          Gated::RowsOf(queries, first, count, query_heads, of_query, update.key_width, query_zero),
          gated.State(of_state), EntryFor(update.update, of_state), score_shift, most, params,
          rows);
      for (std::int64_t t = 0; t < count; ++t)
        std::copy_n(rows.begin() + t * width, dv, row(first + t, h).begin());
    }
  });
  run.StoreClamped(output, out, saturated);
}

std::string RecurrenceStateOp::Formula(const Program& program) const {
  return UpdateFormula(program, *this) +
         (update.chunk == 0 ? "\ny = S of the last t" : "\ny = S of the last c");
}

std::int64_t RecurrenceStateOp::Macs(const Program& program, std::int64_t rows) const {
  return rows * ElementCount(program.Tensor(output).shape);
}

void RecurrenceStateOp::Check(const Checker& checker) const {
  CheckUpdate(checker, *this);
  checker.RequireShape(output, checker.Tensor(past).shape);
  checker.RequireSameCodes(past, output);
}

void RecurrenceStateOp::Run(OperationRun& run) const {
  GatedRun<RecurrenceStateOp> gated(run, *this);
  const std::int64_t saturated =
      gated.Take(run.Tracked(output), [](std::int64_t /*first*/, std::int64_t /*count*/) {});
  run.StoreClamped(output, gated.States(), saturated);
}

}  // namespace qsim::golden
