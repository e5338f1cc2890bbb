#include "sim/sweep/cost.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <variant>

#include "golden/ops/gemm.h"
#include "sim/bundle/parameter_table.h"

namespace qsim::sweep {
namespace {

int WidestMultiplier(const ExportInts& multipliers) {
  int widest = 1;
  for (const std::int64_t m : multipliers.values) {
    widest =
        std::max(widest, static_cast<int>(std::bit_width(static_cast<std::uint64_t>(std::abs(m)))));
  }
  return widest;
}

void AddTable(const ExportGroup& operation, ProgramCost& cost) {
  for (const ExportParameter& parameter : operation.parameters) {
    const auto* integers = std::get_if<ExportInts>(&parameter.value);
    if (integers == nullptr) continue;
    int bits = integers->bits;
    if (parameter.multiplier) {
      bits = WidestMultiplier(*integers);
      cost.multiplier_width = std::max(cost.multiplier_width, bits);
    }
    cost.table_bits += bits * static_cast<std::int64_t>(integers->values.size());
  }
}

std::int64_t ConstantBits(const IntTensor& constant) {
  if (constant.dtype() != DType::kInt8) return constant.size() * BitsOf(constant.dtype());
  AccRange range{0, 0};
  for (const std::int8_t code : constant.As<std::int8_t>()) {
    range.min = std::min<std::int64_t>(range.min, code);
    range.max = std::max<std::int64_t>(range.max, code);
  }
  return constant.size() * BitsFor(range);
}

}  // namespace

ProgramCost CostOf(const Bundle& bundle) {
  ProgramCost cost;
  for (const ExportGroup& operation : BuildExportTable(bundle).operations) {
    AddTable(operation, cost);
  }
  for (const auto& [name, constant] : bundle.program.constants) {
    cost.weight_bits += ConstantBits(constant);
  }
  return cost;
}

}  // namespace qsim::sweep
