#include "sim/semantics/real_weights.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/bundle/dequantize.h"
#include "sim/error.h"

namespace qsim {
namespace {

constexpr std::string_view kPatchEmbed = "patch_embed";
constexpr std::string_view kQkv = ".attn_qkv";

double Entry(const std::vector<double>& list, std::size_t i) {
  return list.size() == 1 ? list.front() : list.at(i);
}

}  // namespace

std::map<std::string, const Linear*> LinearsByOutput(const VitModel& model) {
  std::map<std::string, const Linear*> linears;
  for (std::size_t n = 0; n < model.blocks.size(); ++n) {
    const BlockWeights& block = model.blocks[n];
    const std::string prefix = fmt::format("blocks.{}.", n);
    linears[prefix + "attn_qkv"] = &block.qkv;
    linears[prefix + "attn_proj"] = &block.proj;
    linears[prefix + "mlp_fc1"] = &block.fc1;
    linears[prefix + "mlp_fc2"] = &block.fc2;
  }
  linears[std::string(kPatchEmbed)] = &model.patch_embed;
  linears["head"] = &model.head;
  return linears;
}

std::vector<double> RealWeights(const Bundle& bundle, const GemmOp& op,
                                const std::vector<double>& stddev) {
  const IntTensor& codes = bundle.program.Constant(op.weight);
  std::vector<double> real = Dequantize(codes, bundle.scales.at(op.weight));
  const auto rows = static_cast<std::size_t>(codes.shape().at(0));
  const auto depth = static_cast<std::size_t>(codes.shape().at(1));
  const std::vector<double>& input = bundle.scales.at(op.input).scale;
  const std::vector<double>& output = bundle.scales.at(op.output).scale;
  const std::vector<double>& weight = bundle.scales.at(op.weight).scale;
  const auto fits = [](const std::vector<double>& list, std::size_t channels) {
    return list.size() == 1 || list.size() == channels;
  };
  if (!fits(input, depth) || !fits(output, rows) || !fits(weight, rows)) {
    throw InternalError(op.output + ": scales that do not fit the weights");
  }
  const double absorbed = *std::max_element(input.begin(), input.end());
  std::vector<double> column(depth);
  for (std::size_t k = 0; k < depth; ++k) {
    column[k] = absorbed / Entry(input, k);
    if (op.output == kPatchEmbed && !stddev.empty())
      column[k] *= stddev[k / (depth / stddev.size())];
  }
  for (std::size_t n = 0; n < rows; ++n) {
    // Of the three matrices, Q and K can have a factor that only their taps' scales tell.
    const bool factored = op.output.ends_with(kQkv) && n < rows / 3 * 2;
    const double row = factored ? Entry(output, n) / (Entry(weight, n) * absorbed) : 1.0;
    for (std::size_t k = 0; k < depth; ++k) real[n * depth + k] *= row * column[k];
  }
  return real;
}

}  // namespace qsim
