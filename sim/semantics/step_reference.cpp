#include "sim/semantics/step_reference.h"

#include <utility>

#include "sim/error.h"
#include "sim/semantics/float_nodes.h"

namespace qsim {
namespace {

// A requantization is the identity, of the columns that it reads.
std::vector<float> Columns(const RequantizeOp& op, const FloatTensor& in, std::int64_t width) {
  std::vector<float> out;
  const std::int64_t in_width = in.shape.back();
  for (std::int64_t begin = 0; begin < static_cast<std::int64_t>(in.data.size());
       begin += in_width) {
    const auto first = in.data.begin() + begin + op.first_column;
    out.insert(out.end(), first, first + width);
  }
  return out;
}

}  // namespace

StepReference::StepReference(const Bundle& bundle, const network::Network& model,
                             std::vector<double> mean, std::vector<double> stddev)
    : bundle_(bundle), model_(model), mean_(std::move(mean)), stddev_(std::move(stddev)) {}

std::vector<float> StepReference::Output(const Op& op, const TensorMap& values) const {
  return Output(op, [&](const std::string& tensor) -> FloatTensor {
    const IntTensor& codes = values.at(tensor);
    const std::vector<double> real = bundle_.GridOf(tensor).Dequantize(codes);
    return {codes.shape(), std::vector<float>(real.begin(), real.end())};
  });
}

std::vector<float> StepReference::Output(const Op& op, const RealTensors& real) const {
  if (const auto* requantize = std::get_if<RequantizeOp>(&op)) {
    return Columns(*requantize, real(requantize->input),
                   bundle_.program.Tensor(requantize->output).shape.back());
  }
  const network::Node* node = model_.NodeOf(OutputOf(op));
  // Pure data movement, and networks that were imported as integers: nothing to compare with.
  if (node == nullptr || !node->compared) return {};
  std::vector<FloatTensor> inputs;
  std::vector<const FloatTensor*> pointers;
  for (std::size_t i = 0; i < node->inputs.size(); ++i) inputs.push_back(Input(op, *node, i, real));
  for (const FloatTensor& input : inputs) pointers.push_back(&input);
  return Compute(*node, pointers).data;
}

// Pixels are codes in the program, and normalised in the network.
FloatTensor StepReference::Input(const Op& op, const network::Node& node, std::size_t index,
                                 const RealTensors& real) const {
  FloatTensor x = real(InputsOf(op).at(index));
  const network::Node& from = model_.At(node.inputs.at(index));
  if (from.compared) return x;
  const auto depth = static_cast<std::size_t>(x.shape.back());
  const std::size_t per_channel = depth / mean_.size();
  for (std::size_t i = 0; i < x.data.size(); ++i) {
    const std::size_t c = i % depth / per_channel;
    x.data[i] = static_cast<float>((static_cast<double>(x.data[i]) - mean_[c]) / stddev_[c]);
  }
  return x;
}

const network::Linear* StepReference::LinearOf(const std::string& output) const {
  const network::Node* node = model_.NodeOf(output);
  const auto* projection =
      node == nullptr ? nullptr : std::get_if<network::Projection>(&node->function);
  return projection == nullptr ? nullptr : &projection->layer;
}

const network::Norm* StepReference::NormOf(const std::string& output) const {
  const auto* layer = model_.FunctionOf<network::LayerNorm>(output);
  return layer == nullptr ? nullptr : &layer->norm;
}

}  // namespace qsim
