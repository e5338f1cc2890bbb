// The lattice of the matrix product: what may be suspected without looking at the outputs.
#include <fmt/format.h>

#include <algorithm>

#include "sim/explain/gemm_model.h"

namespace qsim::explain {

void GemmModel::BuildCoordinates() {
  for (const char* name :
       {"lhs", "rhs", "lhs_zero", "rhs_zero", "corrections", "bias", "accumulator", "operands",
        "depth", "borrow", "carry", "lhs_heads", "rhs_heads"}) {
    coordinates_.push_back({name, {{"golden", "as given", 0, true}}});
  }
  corrections_.push_back({});
  biases_.push_back(spec_.bias);
  depths_.push_back({});
  borrows_.push_back({});
  carries_.push_back({});
  lhs_heads_.emplace_back();
  rhs_heads_.emplace_back();
  AddOperands();
  AddAccumulator();
}

void GemmModel::AddOperands() {
  const auto add_sign = [this](std::size_t coordinate, const char* name, int bits, bool is_signed) {
    if (bits == 0) return;
    coordinates_[coordinate].choices.push_back(
        {is_signed ? "unsigned" : "signed",
         fmt::format("the {} operand read as {}", name, is_signed ? "unsigned" : "signed")});
  };
  add_sign(0, "left", spec_.lhs_bits, spec_.lhs_signed);
  add_sign(1, "right", spec_.rhs_bits, spec_.rhs_signed);
  const auto add_zero = [this](std::size_t coordinate, const char* name,
                               const std::vector<std::int64_t>& zeros,
                               std::vector<ZeroKind>& settings) {
    settings.push_back(ZeroKind::kGolden);
    if (std::all_of(zeros.begin(), zeros.end(), [](std::int64_t z) { return z == 0; })) return;
    auto& choices = coordinates_[coordinate].choices;
    settings.push_back(ZeroKind::kIgnored);
    choices.push_back({"ignored", fmt::format("the {} operand's zero point ignored", name)});
    settings.push_back(ZeroKind::kAdded);
    choices.push_back(
        {"added", fmt::format("the {} operand's zero point added, not subtracted", name)});
  };
  add_zero(2, "left", spec_.lhs_zero, lhs_zeros_);
  add_zero(3, "right", spec_.rhs_zero, rhs_zeros_);

  operands_.push_back({});
  const auto add = [this](OperandChoice choice, const char* id, const char* phrase, int cost) {
    operands_.push_back(std::move(choice));
    coordinates_[7].choices.push_back({id, phrase, cost});
  };
  const std::int64_t depth = spec_.depth;
  if (depth == spec_.cols && depth > 1)
    add({OperandKind::kRhsTransposed}, "rhs_transposed", "the right operand transposed", 2);
  if (depth == spec_.rows && depth > 1)
    add({OperandKind::kLhsTransposed}, "lhs_transposed", "the left operand transposed", 2);
  if (depth == spec_.cols && depth == spec_.rows && depth > 1)
    add({OperandKind::kSwapped}, "swapped", "the operands swapped", 2);
  add({OperandKind::kNegated}, "negated", "the sum negated", 3);
  if (depth < 2) return;
  add({OperandKind::kOneWeight, {}, 0}, "first_weight",
      "the first weight of each column used for the whole column", 3);
  add({OperandKind::kOneWeight, {}, depth - 1}, "last_weight",
      "the last weight of each column used for the whole column", 3);
  add({OperandKind::kOneInput, {}, 0}, "first_input",
      "the first input of each row used for the whole row", 3);
  add({OperandKind::kOneInput, {}, depth - 1}, "last_input",
      "the last input of each row used for the whole row", 3);
}

void GemmModel::AddAccumulator() {
  accs_.push_back({});
  auto& choices = coordinates_[6].choices;
  const auto add = [&](AccKind kind, int bits, std::string id, std::string phrase, int cost) {
    accs_.push_back({kind, bits});
    choices.push_back({std::move(id), std::move(phrase), cost, bits % 8 == 0});
  };
  if (spec_.acc.policy != AccPolicy::kError)
    add(AccKind::kExact, 32, "wrap_32", "the accumulator has 32 bits", 2);
  for (int bits = 31; bits >= 8; --bits) {
    const int cost = bits % 8 == 0 ? 2 : 3;
    if (spec_.acc != Accumulator{bits, AccPolicy::kWrap})
      add(AccKind::kWrap, bits, fmt::format("wrap_{}", bits),
          fmt::format("the accumulator wraps to {} bits", bits), cost);
    if (spec_.acc != Accumulator{bits, AccPolicy::kSaturate})
      add(AccKind::kSaturate, bits, fmt::format("saturate_{}", bits),
          fmt::format("the accumulator saturates at {} bits in every addition", bits), cost);
    add(AccKind::kSaturateFinal, bits, fmt::format("saturate_{}_at_the_end", bits),
        fmt::format("the final sum saturates at {} bits", bits), cost);
  }
  for (int bits = 1; bits <= 16; ++bits) {
    const std::string low = bits == 1 ? "bit" : fmt::format("{} bits", bits);
    add(AccKind::kDropLow, bits, fmt::format("drop_{}", bits),
        fmt::format("the sum shifted down by its lowest {}", low), 3);
    add(AccKind::kClearLow, bits, fmt::format("clear_{}", bits),
        fmt::format("the lowest {} of the sum cleared", low), 3);
  }
}

}  // namespace qsim::explain
