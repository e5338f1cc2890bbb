// Sections 3.8, 12 and 17 in arbitrary precision: convolutions, tables with steps, recurrences.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "derivation/batteries.h"
#include "derivation/exact.h"
#include "derivation/ran.h"
#include "golden/ops/recurrence.h"

namespace qsim::derivation {
namespace {

using Numbers = std::vector<mpz_class>;

}  // namespace

// Equation 3.13 with the sequence of additions and the policy of 3.2 and 3.3.
void CompareRan(Comparison& comparison, const Ran<CausalConvOp>& ran) {
  const auto& op = ran.op;
  const TensorMap& tensors = ran.tensors;
  const Program& program = ran.instance.program;
  const IntTensor &x = tensors.at(op.input), &past = tensors.at(op.past);
  const IntTensor& y = tensors.at(op.output);
  const IntTensor &w = program.Constant(op.weight), &bias = program.Constant(op.bias);
  const std::int64_t channels = w.shape()[0], taps = w.shape()[1];
  const mpz_class half = Power2(op.acc.bits - 1);
  for (std::int64_t t = 0; t < x.shape()[0]; ++t) {
    for (std::int64_t c = 0; c < channels; ++c) {
      mpz_class sum = 0, window = 0;
      const auto add = [&](const mpz_class& term) {
        sum += term;
        if (op.acc.policy == AccPolicy::kSaturate) sum = Clamp(sum, -half, half - 1);
        if (op.acc.policy == AccPolicy::kWrap) sum -= 2 * half * Floor(Ratio(sum + half, 2 * half));
      };
      add(Big(bias.At(c)));
      for (std::int64_t j = 0; j < taps; ++j) {
        const std::int64_t row = t + j - (taps - 1);
        const mpz_class value =
            Big(row < 0 ? past.At((taps - 1 + row) * channels + c) : x.At(row * channels + c));
        add(value * Big(w.At(c * taps + j)));
        window += value;
      }
      if (!op.weight_zero.empty()) {
        const std::size_t at = op.weight_zero.size() == 1 ? 0 : static_cast<std::size_t>(c);
        add(-window * op.weight_zero[at]);
      }
      comparison.Check(y.At(t * channels + c), Small(sum), [&] {
        return "row " + std::to_string(t) + " of channel " + std::to_string(c);
      });
    }
  }
}

// Equations 12.1 and 12.2: the point of a straight line, as a fraction.
void CompareRan(Comparison& comparison, const Ran<TableOp>& ran) {
  const auto& op = ran.op;
  const TensorMap& tensors = ran.tensors;
  const Program& program = ran.instance.program;
  const IntTensor &x = tensors.at(op.input), &y = tensors.at(op.output);
  const QuantRange codes = program.Tensor(op.input).range;
  const std::int64_t columns = x.shape().back();
  const std::int64_t last = std::int64_t{codes.qmax} - codes.qmin;
  const std::int64_t entries =
      op.step_bits == 0 ? last + 1 : Small(Floor(Scaled(last, -op.step_bits))) + 2;
  for (std::int64_t e = 0; e < x.size(); ++e) {
    const auto which = op.table_of.empty() ? 0 : op.table_of[static_cast<std::size_t>(e % columns)];
    const auto entry = [&](const mpz_class& at) {
      return Big(op.table[static_cast<std::size_t>(which * entries + Small(at))]);
    };
    const mpq_class at = Scaled(Big(x.At(e)) - codes.qmin, -op.step_bits);
    const mpz_class below = Floor(at);
    mpz_class value = entry(below);
    if (at != below) value += HalfUp((at - below) * mpq_class(entry(below + 1) - value));
    comparison.Check(y.At(e), Small(value), [&] { return "code " + std::to_string(x.At(e)); });
  }
}

namespace {

// Where an element of [H][dk][dv] lies.
std::int64_t Stored(const GatedUpdateParams& p, std::int64_t e) {
  if (!p.value_first) return e;
  const std::int64_t dk = p.key_width, dv = p.value_width;
  const std::int64_t head = e / (dk * dv);
  return (head * dv + e % dv) * dk + e / dv % dk;
}

// The operands of an update behind their zero points, by head of the state.
template <typename T>
struct Gates {
  const Ran<T>& ran;
  const GatedUpdateParams& p = ran.op.update;
  const IntTensor &key = ran.tensors.at(ran.op.key), &value = ran.tensors.at(ran.op.value),
                  &decay = ran.tensors.at(ran.op.decay), &past = ran.tensors.at(ran.op.past);
  const QuantRange range = ran.instance.program.Tensor(ran.op.past).range;
  const std::int64_t rows = key.shape()[0], heads = past.shape()[0], dk = p.key_width,
                     dv = p.value_width;

  // The column of one head's channel, of operands whose heads are `width` wide.
  mpz_class At(const IntTensor& operand, std::int64_t t, std::int64_t h, std::int64_t width,
               std::int64_t channel) const {
    const std::int64_t columns = operand.shape()[1];
    const std::int64_t head = Small(Floor(Ratio(Big(h) * (columns / width), Big(heads))));
    return Big(operand.At(t * columns + head * width + channel));
  }
  mpz_class Key(std::int64_t t, std::int64_t h, std::int64_t k) const {
    return At(key, t, h, dk, k) - p.key_zero;
  }
  mpz_class Value(std::int64_t t, std::int64_t h, std::int64_t v) const {
    return At(value, t, h, dv, v) - p.value_zero;
  }
  mpz_class Decay(std::int64_t t, std::int64_t h, std::int64_t k) const {
    return (decay.shape()[1] == heads ? At(decay, t, h, 1, 0) : At(decay, t, h, dk, k)) -
           p.decay_zero;
  }
  Multiplier Scale(std::int64_t h) const {
    return p.update[p.update.size() == 1 ? 0 : static_cast<std::size_t>(h)];
  }
  // [H][dk][dv].
  Numbers Initial() const {
    Numbers state;
    for (std::int64_t e = 0; e < heads * dk * dv; ++e) state.push_back(Big(past.At(Stored(p, e))));
    return state;
  }
};

// Equation 17.1: the states of every row, [T][H][dk][dv], as numbers of any size.
template <typename T>
std::vector<Numbers> States(const Ran<T>& ran) {
  const Gates<T> gates{ran};
  const GatedUpdateParams& p = gates.p;
  std::vector<Numbers> rows;
  Numbers state = gates.Initial();
  for (std::int64_t t = 0; t < gates.rows; ++t) {
    for (std::size_t e = 0; e < state.size(); ++e) {
      const auto at = static_cast<std::int64_t>(e);
      const std::int64_t h = at / (gates.dk * gates.dv), k = at / gates.dv % gates.dk;
      const Multiplier m = gates.Scale(h);
      const mpq_class kept = Scaled(gates.Decay(t, h, k) * state[e], -p.decay_shift);
      const mpz_class product = gates.Key(t, h, k) * gates.Value(t, h, at % gates.dv);
      state[e] =
          Clamp(Rounded(kept, p.rounding) + Rounded(Scaled(product * m.m, -m.shift), p.rounding),
                gates.range.qmin, gates.range.qmax);
    }
    rows.push_back(state);
  }
  return rows;
}

// What rows from .. to - 1 leave of a channel in fractions of 2^24, taken in that order (17.5):
// `to` may be the smaller.
template <typename T>
mpz_class LeftBy(const Gates<T>& gates, std::int64_t from, std::int64_t to, std::int64_t h,
                 std::int64_t k) {
  mpz_class left = Power2(24);
  const std::int64_t step = from <= to ? 1 : -1;
  for (std::int64_t t = from; t != to; t += step) {
    const std::int64_t row = step > 0 ? t : t - 1;
    left = Floor(Scaled(left * gates.Decay(row, h, k), -gates.p.decay_shift));
  }
  return left;
}

// Keys of a row as those behind it leave them, up to a boundary.
template <typename T>
mpz_class KeyAt(const Gates<T>& gates, std::int64_t row, std::int64_t boundary, std::int64_t h,
                std::int64_t k) {
  return Truncate(Scaled(gates.Key(row, h, k) * LeftBy(gates, boundary, row + 1, h, k), -18));
}

// Equation 17.8: the states in front of every chunk, and behind the last.
template <typename T>
std::vector<Numbers> ChunkStates(const Ran<T>& ran) {
  const Gates<T> gates{ran};
  const GatedUpdateParams& p = gates.p;
  std::vector<Numbers> states = {gates.Initial()};
  for (std::int64_t first = 0; first < gates.rows; first += p.chunk) {
    const std::int64_t last = std::min<std::int64_t>(first + p.chunk, gates.rows);
    Numbers state = states.back();
    for (std::size_t e = 0; e < state.size(); ++e) {
      const auto at = static_cast<std::int64_t>(e);
      const std::int64_t h = at / (gates.dk * gates.dv), k = at / gates.dv % gates.dk;
      const Multiplier m = gates.Scale(h);
      mpz_class sum = 0;
      for (std::int64_t j = first; j < last; ++j)
        sum += KeyAt(gates, j, last, h, k) * gates.Value(j, h, at % gates.dv);
      const mpz_class kept = LeftBy(gates, first, last, h, k) * state[e];
      state[e] = Clamp(Rounded(Scaled(kept, -24), p.rounding) +
                           Rounded(Scaled(sum * m.m, -m.shift - 6), p.rounding),
                       gates.range.qmin, gates.range.qmax);
    }
    states.push_back(state);
  }
  return states;
}

}  // namespace

void CompareRan(Comparison& comparison, const Ran<RecurrenceStateOp>& ran) {
  const Numbers last = ran.op.update.chunk == 0 ? States(ran).back() : ChunkStates(ran).back();
  const IntTensor& y = ran.tensors.at(ran.op.output);
  for (std::int64_t e = 0; e < y.size(); ++e) {
    comparison.Check(y.At(Stored(ran.op.update, e)), Small(last[static_cast<std::size_t>(e)]),
                     [&] { return "element " + std::to_string(e); });
  }
}

namespace {

// Row t's query and the key of row j where their halves meet, times each other (17.6).
mpz_class Score(const Gates<RecurrenceOp>& gates, const Numbers& query, std::int64_t first,
                std::int64_t t, std::int64_t j, std::int64_t h) {
  const RecurrenceOp& op = gates.ran.op;
  // The highest bit in which their places within the chunk differ, and those above it.
  std::int64_t boundary = t + 1;
  if (t != j) {
    std::int64_t low = 1;
    while ((t - first) / (2 * low) != (j - first) / (2 * low)) low *= 2;
    boundary = first + (t - first) / low * low;
  }
  mpz_class sum = 0;
  for (std::int64_t k = 0; k < gates.dk; ++k) {
    const mpz_class q = Rounded(
        Scaled(query[static_cast<std::size_t>(k)] * LeftBy(gates, boundary, t + 1, h, k), -18),
        op.rounding);
    // Of its own row nothing is forgotten.
    sum += q * (t == j ? mpz_class(gates.Key(j, h, k) * 64) : KeyAt(gates, j, boundary, h, k));
  }
  return Rounded(Scaled(sum, -op.score_shift), op.rounding);
}

// Equations 17.2 and 17.7: what is read before the last multiplier.
mpz_class ReadSum(const Gates<RecurrenceOp>& gates, const std::vector<Numbers>& states,
                  const Numbers& query, std::int64_t t, std::int64_t h, std::int64_t v) {
  const RecurrenceOp& op = gates.ran.op;
  const std::int64_t chunk = op.update.chunk, c = chunk == 0 ? t : t / chunk;
  mpz_class sum = 0;
  for (std::int64_t k = 0; k < gates.dk; ++k) {
    const mpz_class& s = states[static_cast<std::size_t>(c)]
                               [static_cast<std::size_t>((h * gates.dk + k) * gates.dv + v)];
    mpz_class q = query[static_cast<std::size_t>(k)];
    if (chunk != 0)
      q = Rounded(Scaled(q * LeftBy(gates, c * chunk, t + 1, h, k), -18), op.rounding);
    sum += q * Rounded(Scaled(s, -op.state_shift), op.rounding);
  }
  if (chunk == 0) return sum;
  mpz_class within = 0;
  for (std::int64_t j = c * chunk; j <= t; ++j)
    within += Score(gates, query, c * chunk, t, j, h) * gates.Value(j, h, v);
  const Multiplier m = gates.Scale(h);
  const mpz_class read =
      Rounded(Scaled(sum, -6), op.rounding) +
      Rounded(Scaled(within * m.m, op.score_shift - 12 - op.state_shift - m.shift), op.rounding);
  // What a state within its range can give.
  const QuantRange queries = gates.ran.instance.program.Tensor(op.query).range;
  const mpz_class widest =
      Big(std::max(queries.qmax - op.query_zero, op.query_zero - queries.qmin));
  const mpz_class state =
      Big(std::max<std::int64_t>(gates.range.qmax, -Small(Big(gates.range.qmin))));
  const mpz_class most = Big(gates.dk) * widest * (Floor(Scaled(state, -op.state_shift)) + 1);
  return Clamp(read, -most, most);
}

}  // namespace

void CompareRan(Comparison& comparison, const Ran<RecurrenceOp>& ran) {
  const auto& op = ran.op;
  const Gates<RecurrenceOp> gates{ran};
  const std::vector<Numbers> states = op.update.chunk == 0 ? States(ran) : ChunkStates(ran);
  const IntTensor &query = ran.tensors.at(op.query), &y = ran.tensors.at(op.output);
  const QuantRange range = ran.instance.program.Tensor(op.output).range;
  const std::int64_t dk = gates.dk, columns = y.shape()[1], heads = columns / gates.dv;
  const std::int64_t query_heads = query.shape()[1] / dk;
  for (std::int64_t e = 0; e < y.size(); ++e) {
    const std::int64_t t = e / columns, h = e % columns / gates.dv;
    const std::int64_t from = h * gates.heads / heads, asks = h * query_heads / heads;
    const Multiplier m = op.readout[op.readout.size() == 1 ? 0 : static_cast<std::size_t>(h)];
    Numbers asked;
    for (std::int64_t k = 0; k < dk; ++k)
      asked.push_back(Big(query.At((t * query_heads + asks) * dk + k)) - op.query_zero);
    const mpz_class sum = ReadSum(gates, states, asked, t, from, e % gates.dv);
    const mpz_class value = Rounded(Scaled(sum * m.m, -m.shift), op.rounding) + op.zero;
    comparison.Check(y.At(e), Small(Clamp(value, range.qmin, range.qmax)),
                     [&] { return "element " + std::to_string(e); });
  }
}

namespace {

// One element at the ends of every width that section 17 states, and at ties.
void CompareUpdate(Comparison& comparison) {
  for (int i = 0; i < 4000; ++i) {
    const bool ties = comparison.Between(0, 1) == 0;
    GatedUpdateParams p;
    p.decay_shift = static_cast<int>(comparison.Corner(1, 16));
    p.decay_zero = static_cast<std::int32_t>(comparison.Corner(-65536, 65536));
    p.key_zero = static_cast<std::int32_t>(comparison.Corner(-65536, 65536));
    p.value_zero = static_cast<std::int32_t>(comparison.Corner(-65536, 65536));
    p.rounding = static_cast<Rounding>(comparison.Between(0, 4));
    Multiplier m{static_cast<std::int32_t>(comparison.Corner(-65535, 65535)),
                 static_cast<int>(comparison.Corner(0, 62))};
    std::int64_t reach = 65535;
    if (ties) {
      p.key_zero = p.value_zero = 0;
      m = {static_cast<std::int32_t>(comparison.Between(-3, 3)),
           static_cast<int>(comparison.Between(1, 2))};
      reach = 9;
    }
    const auto bits = static_cast<int>(comparison.Between(16, 32));
    const std::int64_t most = (std::int64_t{1} << (bits - 1)) - 1;
    const QuantRange range{static_cast<std::int32_t>(-most - 1), static_cast<std::int32_t>(most)};
    const std::int64_t a = ties ? std::int64_t{1} << (p.decay_shift - 1)
                                : comparison.Corner(0, std::int64_t{1} << p.decay_shift);
    const std::vector<std::int32_t> decay = {static_cast<std::int32_t>(a + p.decay_zero)};
    const std::vector<std::int32_t> key = {
        static_cast<std::int32_t>(comparison.Corner(-reach, reach))};
    const std::vector<std::int32_t> value = {
        static_cast<std::int32_t>(comparison.Corner(-reach, reach))};
    const std::int64_t before =
        ties ? comparison.Between(-9, 9) : comparison.Corner(-most - 1, most);
    std::vector<std::int32_t> state = {static_cast<std::int32_t>(before)};
    AccRange seen;
    const std::int64_t saturated = GatedUpdate({key, value, decay}, p, m, range, state, &seen);
    const mpz_class kept = Rounded(Ratio(Big(a) * Big(before), Power2(p.decay_shift)), p.rounding);
    const mpz_class product = (Big(key[0]) - p.key_zero) * (Big(value[0]) - p.value_zero) * m.m;
    const mpz_class sum = kept + Rounded(Ratio(product, Power2(m.shift)), p.rounding);
    const mpz_class clamped = Clamp(sum, range.qmin, range.qmax);
    const auto describe = [&] {
      return "state " + std::to_string(before) + " decay " + std::to_string(a) + " / 2^" +
             std::to_string(p.decay_shift);
    };
    comparison.Check(state[0], Small(clamped), describe);
    comparison.Check(saturated, clamped != sum, describe);
    comparison.Check(sum >= 0 ? seen.max : seen.min, Small(sum), describe);
    // The widths of the section's table.
    comparison.Check(abs(mpz_class(Big(a) * Big(before))) <= Power2(47), 1, describe);
    comparison.Check(abs(product) < Power2(50), 1, describe);
  }
}

// One column at the ends of the widths of equation 17.2, and at ties: the products reach 2^62.
void CompareReadout(Comparison& comparison) {
  for (int i = 0; i < 4000; ++i) {
    const std::int64_t dk = comparison.Corner(1, 64);
    const bool ties = comparison.Between(0, 1) == 0;
    const std::int64_t reach = ties ? 9 : comparison.Between(0, 1) == 0 ? 255 : 131071;
    const int bits = static_cast<int>(comparison.Between(16, 32));
    const std::int64_t most = ties ? 9 : (std::int64_t{1} << (bits - 1)) - 1;
    StateReadoutParams p;
    p.state_shift = static_cast<int>(ties ? comparison.Between(0, 2) : comparison.Between(0, 31));
    p.query_zero = static_cast<std::int32_t>(comparison.Corner(-65536, 65536));
    p.zero = static_cast<std::int32_t>(comparison.Corner(-65536, 65536));
    p.rounding = static_cast<Rounding>(comparison.Between(0, 4));
    p.range = {-32768, 32767};
    // As much of a multiplier as the products leave.
    const std::int64_t narrow = ((most + 1) >> p.state_shift) + 1;
    const mpz_class room = Floor(Ratio(Power2(62), Big(dk * reach) * Big(narrow)));
    const std::int64_t largest = Small(Clamp(room, 1, INT32_MAX));
    p.scale = {static_cast<std::int32_t>(ties ? comparison.Between(-3, 3)
                                              : comparison.Corner(-largest, largest)),
               static_cast<int>(ties ? comparison.Between(1, 3) : comparison.Corner(0, 62))};
    std::vector<std::int32_t> query, state;
    mpz_class sum = 0;
    for (std::int64_t k = 0; k < dk; ++k) {
      query.push_back(static_cast<std::int32_t>(comparison.Corner(-reach, reach) + p.query_zero));
      state.push_back(static_cast<std::int32_t>(comparison.Corner(-most - 1, most)));
      const mpz_class q = Big(query.back()) - p.query_zero;
      sum += q * Rounded(Scaled(Big(state.back()), -p.state_shift), p.rounding);
    }
    const mpz_class product = sum * p.scale.m;
    const mpz_class value = Rounded(Scaled(product, -p.scale.shift), p.rounding) + p.zero;
    const mpz_class clamped = Clamp(value, p.range.qmin, p.range.qmax);
    std::vector<std::int32_t> out(1);
    const std::int64_t saturated = StateReadout(query, state, p, out);
    const auto describe = [&] {
      return "sum " + sum.get_str() + " times " + std::to_string(p.scale.m) + " / 2^" +
             std::to_string(p.scale.shift);
    };
    comparison.Check(out[0], Small(clamped), describe);
    comparison.Check(saturated, clamped != value, describe);
    comparison.Check(abs(product) <= Power2(62), 1, describe);
  }
}

constexpr std::array<Battery, 6> kSequenceBatteries = {{
    {"causal_conv", "policies", CompareInstances<CausalConvOp, 300>},
    {"table", "steps", CompareInstances<TableOp, 400>},
    {"recurrence", "update", CompareUpdate},
    {"recurrence", "readout", CompareReadout},
    {"recurrence", "rows", CompareInstances<RecurrenceOp, 150>},
    {"recurrence_state", "rows", CompareInstances<RecurrenceStateOp, 150>},
}};

}  // namespace

std::span<const Battery> SequenceBatteries() { return kSequenceBatteries; }

}  // namespace qsim::derivation
