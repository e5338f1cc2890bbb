// A program from token ids to logits, of any length and with carried state: a lookup, a causal
// convolution, a gate, a recurrence and a linear layer.
#pragma once

#include <string>
#include <vector>

#include "tests/program/stateful_programs.h"

namespace qsim::testing {

inline constexpr std::int64_t kVocabulary = 11;
inline constexpr std::int64_t kTokensAtOnce = 16;

inline Program TokenProgram(std::uint64_t seed) {
  StatefulBuilder b(seed);
  constexpr std::int64_t c = kWidth;
  const std::int64_t t = kTokensAtOnce;
  b.program.inputs = {"tokens"};
  b.Define("tokens", {t}, {0, kVocabulary - 1}, {0});
  b.program.constants["table"] =
      IntTensor({kVocabulary, c}, b.Many<std::int8_t>(kVocabulary * c, -128, 127));
  b.Define("x", {t, c}, kInt8Range, {0});
  b.Add(LookupOp{"x", "tokens", "table"});

  b.Define("rows", {kKernel - 1, c});
  b.program.constants["w"] = IntTensor({c, kKernel}, b.Many<std::int8_t>(c * kKernel, -128, 127));
  b.program.constants["w.bias"] = IntTensor({c}, b.Many<std::int32_t>(c, -500, 500));
  b.DefineAccumulator("conv.acc", {t, c}, {0});
  b.Add(CausalConvOp{"conv.acc", "x", "rows", "w", "w.bias", {}});
  b.Define("conv", {t, c}, kInt8Range, {0});
  b.Narrow("conv", "conv.acc", 0, 22);
  b.Define("next_rows", {kKernel - 1, c});
  b.Add(LastRowsOp{"next_rows", "x", "rows"});
  b.Carry("next_rows", "rows", IntTensor(DType::kInt8, {kKernel - 1, c}));

  b.Define("decay", {t, c}, {0, 255}, {0});
  TableOp gate{"decay", "conv", {}};
  for (std::int32_t code = -128; code <= 127; ++code) gate.table.push_back(128 + code);
  b.Add(gate);
  GatedUpdateParams update{.key_width = 2, .value_width = 2, .decay_zero = -1};
  update.update = {{1000, 10}};
  const Shape state = {2, 2, 2};
  b.Define("s", state, kInt16Range);
  b.Define("o", {t, c}, kInt8Range, {0});
  RecurrenceOp recurrence{"o", "x", "conv", "x", "decay", "s", update};
  recurrence.state_shift = 4;
  recurrence.readout = {{1, 9}};
  b.Add(recurrence);
  b.Define("next_s", state, kInt16Range);
  b.Add(RecurrenceStateOp{"next_s", "conv", "x", "decay", "s", update});
  b.Carry("next_s", "s", IntTensor(DType::kInt16, state));

  b.program.constants["head"] =
      IntTensor({kVocabulary, c}, b.Many<std::int8_t>(kVocabulary * c, -128, 127));
  b.program.constants["head.bias"] =
      IntTensor({kVocabulary}, b.Many<std::int32_t>(kVocabulary, -500, 500));
  b.DefineAccumulator("head.acc", {t, kVocabulary}, {0});
  b.Add(GemmOp{"head.acc", "o", "head", "head.bias", {}, {}});
  b.Define("logits", {t, kVocabulary}, kInt16Range, {0});
  b.Narrow("logits", "head.acc", 0, 16);
  return std::move(b.program);
}

}  // namespace qsim::testing
