#include "sim/semantics/real_weights.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/error.h"

namespace qsim {
namespace {

constexpr std::string_view kPatchEmbed = "patch_embed";
constexpr std::string_view kQkv = ".attn_qkv";

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
  const IntTensor& constant = bundle.program.Constant(op.weight);
  const auto& codes = constant.As<std::int8_t>();
  const auto rows = static_cast<std::size_t>(constant.shape().at(0));
  const auto depth = static_cast<std::size_t>(constant.shape().at(1));
  const TensorScale& input = bundle.scales.at(op.input);
  const TensorScale& output = bundle.scales.at(op.output);
  const TensorScale& weight = bundle.scales.at(op.weight);
  if (!input.Fits(depth) || !output.Fits(rows) || !weight.Fits(rows)) {
    throw InternalError(op.output + ": scales that do not fit the weights");
  }
  const double absorbed = *std::max_element(input.scale.begin(), input.scale.end());
  std::vector<double> column(depth);
  for (std::size_t k = 0; k < depth; ++k) {
    column[k] = absorbed / input.At(k).scale;
    if (op.output == kPatchEmbed && !stddev.empty())
      column[k] *= stddev[k / (depth / stddev.size())];
  }
  std::vector<double> real(codes.size());
  for (std::size_t n = 0; n < rows; ++n) {
    const Quantization q = weight.At(n);
    // Of the three matrices, Q and K can have a factor that only their taps' scales tell.
    const bool factored = op.output.ends_with(kQkv) && n < rows / 3 * 2;
    const double row = factored ? output.At(n).scale / (q.scale * absorbed) : 1.0;
    for (std::size_t k = 0; k < depth; ++k) {
      real[n * depth + k] = q.scale * (codes[n * depth + k] - q.zero) * (row * column[k]);
    }
  }
  return real;
}

}  // namespace qsim
