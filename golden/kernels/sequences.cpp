#include "golden/kernels/sequences.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "golden/kernels/recurrence.h"
#include "golden/kernels/tensor_rows.h"
#include "golden/ops/one_or_each.h"
#include "golden/program/accumulator_proof.h"

namespace qsim::golden::kernels {
namespace {

using Integers = std::span<const std::int32_t>;

void Include(Integers sums, AccRange* seen) {
  if (seen == nullptr) return;
  std::int32_t low = 0, high = 0;
  for (const std::int32_t sum : sums) {
    low = std::min(low, sum);
    high = std::max(high, sum);
  }
  seen->Include(low);
  seen->Include(high);
}

// Equation 3.13, no partial sum of which leaves 32 bits; rows are past above input.
void CausalConv(const CausalConvOp& op, const OperationRun& run, Integers rows,
                std::span<std::int32_t> out, AccRange* seen) {
  const std::vector<std::int8_t>& taps_of = run.Constant(op.weight).As<std::int8_t>();
  const std::vector<std::int32_t>& bias = run.Constant(op.bias).As<std::int32_t>();
  const std::size_t channels = bias.size(), taps = taps_of.size() / channels;
  // Tap after tap, so that the inner loops run along the channels.
  std::vector<std::int32_t> weight(taps_of.size()), zero, window;
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t j = 0; j < taps; ++j) weight[j * channels + c] = taps_of[c * taps + j];
    if (!op.weight_zero.empty()) zero.push_back(EntryFor(op.weight_zero, c));
  }
  Include(bias, seen);
  for (std::size_t row = 0; row * channels < out.size(); ++row) {
    const auto sums = out.subspan(row * channels, channels);
    std::copy(bias.begin(), bias.end(), sums.begin());
    window.assign(zero.size(), 0);
    for (std::size_t j = 0; j < taps; ++j) {
      const Integers x = rows.subspan((row + j) * channels, channels);
      const std::int32_t* const w = weight.data() + j * channels;
      for (std::size_t c = 0; c < channels; ++c) sums[c] += x[c] * w[c];
      for (std::size_t c = 0; c < zero.size(); ++c) window[c] += x[c];
      Include(sums, seen);
    }
    for (std::size_t c = 0; c < zero.size(); ++c) sums[c] -= window[c] * zero[c];
    if (!zero.empty()) Include(sums, seen);
  }
}

template <typename AnyRecurrence>
GatedStates StatesOf(const AnyRecurrence& op, const OperationRun& run) {
  const IntTensor& past = run.Value(op.past);
  const StateHeads heads =
      HeadsOf(op.update, run.Value(op.key).shape(), run.Value(op.value).shape(),
              run.Value(op.decay).shape(), past.shape());
  WideRows states(past);
  return {op.update, heads, run.Info(op.past).range, states.Rows(0, RowCount(past))};
}

// Updates the states by each row in turn: visit(row) after each.
template <typename AnyRecurrence, typename Visit>
void ForEachRow(const AnyRecurrence& op, const OperationRun& run, GatedStates& states,
                AccRange* seen, Visit visit) {
  WideRows key(run.Value(op.key)), value(run.Value(op.value)), decay(run.Value(op.decay));
  const std::size_t rows = RowCount(run.Value(op.key));
  for (std::size_t row = 0; row < rows; ++row) {
    states.Update(key.Rows(row, 1), value.Rows(row, 1), decay.Rows(row, 1), seen);
    visit(row);
  }
}

}  // namespace

void Run(const CausalConvOp& op, OperationRun& run) {
  // Where the policy can act, the order of additions matters.
  if (!ProveAccumulator(run.program(), op).fits()) return op.Run(run);
  const IntTensor rows = op.Rows(run);
  WideRows wide(rows);
  IntTensor out(DType::kInt32, run.Info(op.output).shape);
  CausalConv(op, run, wide.Rows(0, RowCount(rows)), out.As<std::int32_t>(), run.Tracked(op.output));
  run.Store(op.output, std::move(out));
}

// Products are proven to hold in 32 bits.
void Run(const MultiplyOp& op, OperationRun& run) {
  const IntTensor& left = run.Value(op.a);
  const IntTensor& right = op.b.empty() ? run.Constant(op.factor) : run.Value(op.b);
  WideRows wide_a(left), wide_b(right);
  const Integers a = wide_a.Rows(0, RowCount(left)), b = wide_b.Rows(0, RowCount(right));
  std::vector<std::int32_t> out(a.size());
  const std::size_t each = a.size() / b.size();
  if (op.b.empty()) {
    for (std::size_t row = 0; row < a.size(); row += b.size()) {
      for (std::size_t c = 0; c < b.size(); ++c) out[row + c] = (a[row + c] - op.a_zero) * b[c];
    }
  } else if (each == 1) {
    for (std::size_t i = 0; i < a.size(); ++i) out[i] = (a[i] - op.a_zero) * (b[i] - op.b_zero);
  } else {
    for (std::size_t i = 0; i < b.size(); ++i) {
      for (std::size_t j = i * each; j < (i + 1) * each; ++j)
        out[j] = (a[j] - op.a_zero) * (b[i] - op.b_zero);
    }
  }
  run.Store(op.output, Narrowed(run.Info(op.output), out));
}

// By chunks the specification is products of matrices already.
void Run(const RecurrenceOp& op, OperationRun& run) {
  if (op.update.chunk != 0) return op.Run(run);
  const TensorInfo info = run.Info(op.output);
  const IntTensor& query = run.Value(op.query);
  WideRows queries(query);
  const auto dk = static_cast<std::size_t>(op.update.key_width),
             dv = static_cast<std::size_t>(op.update.value_width);
  const std::int64_t heads = info.shape[1] / op.update.value_width;
  const std::int64_t query_heads = query.shape()[1] / op.update.key_width;
  const std::int64_t state_heads = run.Value(op.past).shape()[0];
  std::vector<std::int32_t> out(static_cast<std::size_t>(ElementCount(info.shape)));
  auto next = out.begin();
  std::int64_t saturated = 0;
  GatedStates states = StatesOf(op, run);
  ForEachRow(op, run, states, nullptr, [&](std::size_t row) {
    const Integers asked = queries.Rows(row, 1);
    for (std::int64_t h = 0; h < heads; ++h) {
      const auto asks = static_cast<std::size_t>(ShareOf(h, heads, query_heads));
      saturated += states.Read(ShareOf(h, heads, state_heads), asked.subspan(asks * dk, dk),
                               op.Readout(h, info.range), {&*next, dv});
      next += static_cast<std::ptrdiff_t>(dv);
    }
  });
  run.StoreClamped(op.output, Narrowed(info, out), saturated);
}

void Run(const RecurrenceStateOp& op, OperationRun& run) {
  if (op.update.chunk != 0) return op.Run(run);
  GatedStates states = StatesOf(op, run);
  ForEachRow(op, run, states, run.Tracked(op.output), [](std::size_t /*row*/) {});
  run.StoreClamped(op.output, Narrowed(run.Info(op.output), states.States()), states.saturated());
}

void Run(const TableOp& op, OperationRun& run) {
  const IntTensor& in = run.Value(op.input);
  const QuantRange codes = run.Info(op.input).range;
  const auto columns = static_cast<std::size_t>(in.shape().back());
  std::vector<const std::int32_t*> tables;
  for (std::size_t c = 0; c < columns; ++c)
    tables.push_back(op.TableOf(c, std::int64_t{codes.qmax} - codes.qmin + 1).data());
  WideRows wide(in);
  const Integers x = wide.Rows(0, RowCount(in));
  std::vector<std::int32_t> out(x.size());
  const int bits = op.step_bits;
  const std::int32_t half = bits == 0 ? 0 : 1 << (bits - 1), rest = (1 << bits) - 1;
  for (std::size_t i = 0; i < x.size(); i += columns) {
    for (std::size_t c = 0; c < columns; ++c) {
      const std::int32_t index = x[i + c] - codes.qmin;
      const std::int32_t* const entry = tables[c] + (index >> bits);
      // Products of at most 26 bits.
      out[i + c] =
          bits == 0 ? *entry : *entry + (((entry[1] - entry[0]) * (index & rest) + half) >> bits);
    }
  }
  run.Store(op.output, Narrowed(run.Info(op.output), out));
}

}  // namespace qsim::golden::kernels
