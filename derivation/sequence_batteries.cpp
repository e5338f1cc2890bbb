// Sections 3.8, 12 and 17 in arbitrary precision: convolutions, tables with steps, recurrences.
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

// Equation 3.12 with the sequence of additions and the policy of 3.2 and 3.3.
void CompareCausalConv(Comparison& comparison) {
  for (int i = 0; i < 300; ++i) {
    const Ran<CausalConvOp> ran(comparison);
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
          if (op.acc.policy == AccPolicy::kWrap)
            sum -= 2 * half * Floor(Ratio(sum + half, 2 * half));
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
}

// Equations 12.1 and 12.2: the point of a straight line, as a fraction.
void CompareTableSteps(Comparison& comparison) {
  for (int i = 0; i < 400; ++i) {
    const Ran<TableOp> ran(comparison);
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
      const auto which =
          op.table_of.empty() ? 0 : op.table_of[static_cast<std::size_t>(e % columns)];
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
}

// Where an element of [H][dk][dv] lies.
std::int64_t Stored(const GatedUpdateParams& p, std::int64_t e) {
  if (!p.value_first) return e;
  const std::int64_t dk = p.key_width, dv = p.value_width;
  const std::int64_t head = e / (dk * dv);
  return (head * dv + e % dv) * dk + e / dv % dk;
}

// Equation 17.1: the states of every row, [T][H][dk][dv], as numbers of any size.
template <typename T>
std::vector<Numbers> States(const Ran<T>& ran) {
  const auto& op = ran.op;
  const GatedUpdateParams& p = op.update;
  const IntTensor &key = ran.tensors.at(op.key), &value = ran.tensors.at(op.value),
                  &decay = ran.tensors.at(op.decay), &past = ran.tensors.at(op.past);
  const QuantRange range = ran.instance.program.Tensor(op.past).range;
  const std::int64_t heads = past.shape()[0], dk = p.key_width, dv = p.value_width;
  // The column of one head's channel, of operands whose heads are `width` wide.
  const auto at = [&](const IntTensor& operand, std::int64_t t, std::int64_t h, std::int64_t width,
                      std::int64_t channel) {
    const std::int64_t columns = operand.shape()[1];
    const std::int64_t head = Small(Floor(Ratio(Big(h) * (columns / width), Big(heads))));
    return Big(operand.At(t * columns + head * width + channel));
  };
  const bool one_decay = decay.shape()[1] == heads;
  std::vector<Numbers> rows;
  Numbers state;
  for (std::int64_t e = 0; e < heads * dk * dv; ++e) state.push_back(Big(past.At(Stored(p, e))));
  for (std::int64_t t = 0; t < key.shape()[0]; ++t) {
    for (std::int64_t e = 0; e < heads * dk * dv; ++e) {
      const std::int64_t h = e / (dk * dv), k = e / dv % dk, v = e % dv;
      const Multiplier m = p.update[p.update.size() == 1 ? 0 : static_cast<std::size_t>(h)];
      const mpz_class a =
          (one_decay ? at(decay, t, h, 1, 0) : at(decay, t, h, dk, k)) - p.decay_zero;
      mpz_class& s = state[static_cast<std::size_t>(e)];
      const mpq_class kept = Scaled(a * s, -p.decay_shift);
      const mpz_class product =
          (at(key, t, h, dk, k) - p.key_zero) * (at(value, t, h, dv, v) - p.value_zero);
      s = Clamp(Rounded(kept, p.rounding) + Rounded(Scaled(product * m.m, -m.shift), p.rounding),
                range.qmin, range.qmax);
    }
    rows.push_back(state);
  }
  return rows;
}

void CompareState(Comparison& comparison) {
  for (int i = 0; i < 150; ++i) {
    const Ran<RecurrenceStateOp> ran(comparison);
    const Numbers last = States(ran).back();
    const IntTensor& y = ran.tensors.at(ran.op.output);
    for (std::int64_t e = 0; e < y.size(); ++e) {
      comparison.Check(y.At(Stored(ran.op.update, e)), Small(last[static_cast<std::size_t>(e)]),
                       [&] { return "element " + std::to_string(e); });
    }
  }
}

// Equation 17.2.
void CompareRecurrence(Comparison& comparison) {
  for (int i = 0; i < 150; ++i) {
    const Ran<RecurrenceOp> ran(comparison);
    const auto& op = ran.op;
    const TensorMap& tensors = ran.tensors;
    const Program& program = ran.instance.program;
    const std::vector<Numbers> states = States(ran);
    const IntTensor &query = tensors.at(op.query), &y = tensors.at(op.output);
    const QuantRange range = program.Tensor(op.output).range;
    const std::int64_t dk = op.update.key_width, dv = op.update.value_width;
    const std::int64_t columns = y.shape()[1], heads = columns / dv;
    const std::int64_t state_heads = tensors.at(op.past).shape()[0];
    const std::int64_t query_heads = query.shape()[1] / dk;
    for (std::int64_t e = 0; e < y.size(); ++e) {
      const std::int64_t t = e / columns, h = e % columns / dv, v = e % dv;
      const std::int64_t from = h * state_heads / heads, asks = h * query_heads / heads;
      const Multiplier m = op.readout[op.readout.size() == 1 ? 0 : static_cast<std::size_t>(h)];
      mpz_class sum = 0;
      for (std::int64_t k = 0; k < dk; ++k) {
        const mpz_class& s =
            states[static_cast<std::size_t>(t)][static_cast<std::size_t>((from * dk + k) * dv + v)];
        sum += (Big(query.At((t * query_heads + asks) * dk + k)) - op.query_zero) *
               Rounded(Scaled(s, -op.state_shift), op.rounding);
      }
      const mpz_class value = Rounded(Scaled(sum * m.m, -m.shift), op.rounding) + op.zero;
      comparison.Check(y.At(e), Small(Clamp(value, range.qmin, range.qmax)),
                       [&] { return "element " + std::to_string(e); });
    }
  }
}

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
    {"causal_conv", "policies", CompareCausalConv},
    {"table", "steps", CompareTableSteps},
    {"recurrence", "update", CompareUpdate},
    {"recurrence", "readout", CompareReadout},
    {"recurrence", "rows", CompareRecurrence},
    {"recurrence_state", "rows", CompareState},
}};

}  // namespace

std::span<const Battery> SequenceBatteries() { return kSequenceBatteries; }

}  // namespace qsim::derivation
