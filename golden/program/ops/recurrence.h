#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "golden/ops/fields.h"
#include "golden/ops/int128.h"
#include "golden/ops/recurrence.h"
#include "golden/program/tensor.h"

namespace qsim::golden {

class Checker;
class OperationRun;
struct ChunkBounds;
struct Program;

// The heads of the operands, which share those of the state (ShareOf).
struct StateHeads {
  std::int64_t state = 1, key = 1, value = 1, decay = 1;
  std::int64_t decay_width = 1;  // columns of one head: the key's, or one
};

// The order of the recurrence, or by chunks.
constexpr std::string_view SectionOfOrder(const GatedUpdateParams& update) {
  return update.chunk == 0 ? "17" : "17.2";
}

// A linear recurrence with gates, over the rows of its operands: the state of each head,
// S_t = diag(a_t) S_(t-1) + k_t^T v_t, [dk, dv], read out by a query at every row, o_t = q_t S_t.
// The operands hold their heads side by side: query [T, nq dk], key [T, nk dk], value [T, nv dv],
// decay [T, na dk] with a fraction for each key channel or [T, H] with one for each head of the
// state. Past is the state that the rows begin with, [H, dk, dv] (or [H, dv, dk]: value_first), and
// its range that of the state; output [T, max(nq, H) dv].
struct RecurrenceOp {
  static constexpr Description kIs{"recurrence", "17", /*clamps=*/true};
  std::string output, query, key, value, decay, past;
  GatedUpdateParams update;
  std::int32_t query_zero = 0;
  int state_shift = 0;                   // narrows the state before the products with the query
  std::vector<Multiplier> readout = {};  // one, or one for each head of the output
  std::int32_t zero = 0;
  Rounding rounding = Rounding::kHalfUp;
  int score_shift = 0;  // by chunks: narrows the products of queries and keys
  bool operator==(const RecurrenceOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"query", Role::kReads}, self.query);
    v(Field{"key", Role::kReads}, self.key);
    v(Field{"value", Role::kReads}, self.value);
    v(Field{"decay", Role::kReads}, self.decay);
    v(Field{"past", Role::kReads}, self.past);
    v(Field{"update", Role::kGroup}, self.update);
    v(Field{"query_zero", Role::kInputZero}, self.query_zero);
    v(Field{"state_shift", Role::kCoefficient, 8, false}, self.state_shift);
    v(Field{"multiplier", Role::kMultiplier, 32, true, Axis::kHead}, self.readout);
    v(Field{"zero", Role::kOutputZero}, self.zero);
    v(Field{"rounding", Role::kChoice}, self.rounding);
    v(Field{"score_shift", Role::kCoefficient, 8, false, Axis::kTensor, true}, self.score_shift);
  }
  std::string Formula(const Program& program) const;
  std::string_view Section() const { return SectionOfOrder(update); }
  // Products of a run of so many rows: of the readout, and by chunks of scores and values as well.
  std::int64_t Macs(const Program& program, std::int64_t rows) const;
  // Of one head of the output, in that range.
  StateReadoutParams Readout(std::int64_t head, QuantRange range) const;
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;

 private:
  void CheckWithin(const Checker& checker, const ChunkBounds& bounds, Multiplier scale) const;
  // Of the sums that the last multiplier takes.
  Int128 LargestSum(QuantRange queries, QuantRange states) const;
};

// The state that the last row leaves, of the shape of past: what the next step begins with. It has
// the range of past; the clamp to it is counted over all rows.
struct RecurrenceStateOp {
  static constexpr Description kIs{
      .kind = "recurrence_state", .section = "17", .clamps = true, .in_words = "recurrence state"};
  std::string output, key, value, decay, past;
  GatedUpdateParams update;
  bool operator==(const RecurrenceStateOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"key", Role::kReads}, self.key);
    v(Field{"value", Role::kReads}, self.value);
    v(Field{"decay", Role::kReads}, self.decay);
    v(Field{"past", Role::kReads}, self.past);
    v(Field{"update", Role::kGroup}, self.update);
  }
  std::string Formula(const Program& program) const;
  std::string_view Section() const { return SectionOfOrder(update); }
  // Products of a run of so many rows: of keys and values.
  std::int64_t Macs(const Program& program, std::int64_t rows) const;
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

// Of shapes that fit.
StateHeads HeadsOf(const GatedUpdateParams& update, const Shape& key, const Shape& value,
                   const Shape& decay, const Shape& past);

}  // namespace qsim::golden
