#include "sim/bundle/size_report.h"

#include <fmt/format.h>

#include <variant>

#include "sim/bundle/parameter_table.h"

namespace qsim::bundle {
namespace {

constexpr std::int64_t kFloatBytes = 4;

}  // namespace

SizeReport SizeOf(const Bundle& bundle) {
  const Program& program = bundle.program;
  SizeReport size;
  for (const auto& [name, constant] : program.constants) {
    size.float_bytes += constant.size() * kFloatBytes;
    (constant.dtype() == DType::kInt8 ? size.weight_bytes : size.bias_bytes) +=
        constant.size() * BitsOf(constant.dtype()) / 8;
  }
  for (const Op& op : program.ops) {
    const std::int64_t channels = program.Tensor(OutputOf(op)).shape.back();
    size.float_bytes += Describe(op).float_vectors * channels * kFloatBytes;
  }
  for (const ExportGroup& operation : BuildExportTable(bundle).operations) {
    for (const ExportParameter& parameter : operation.parameters) {
      const auto* integers = std::get_if<ExportInts>(&parameter.value);
      if (integers == nullptr || !parameter.stored) continue;
      size.table_bytes += integers->bits / 8 * static_cast<std::int64_t>(integers->values.size());
    }
  }
  return size;
}

std::string Format(const SizeReport& size) {
  return fmt::format(
      "size in bytes: float {}, integers {}, {:.2f} times smaller\n"
      "  weights {}, biases and positions {}, tables {}",
      size.float_bytes, size.integer_bytes(), size.ratio(), size.weight_bytes, size.bias_bytes,
      size.table_bytes);
}

}  // namespace qsim::bundle
