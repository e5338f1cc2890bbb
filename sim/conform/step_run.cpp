// Running an imported network: one program execution for each image, its tensors in the case's
// layout.
#include <type_traits>
#include <utility>

#include "sim/conform/step_program.h"

namespace qsim::conform {
namespace {

// One image's values, in the case's order.
void AppendInLayout(const StepTensor& tensor, const IntTensor& value,
                    std::vector<std::int64_t>& out) {
  if (tensor.layout != StepLayout::kHeads) {
    for (std::int64_t i = 0; i < value.size(); ++i) out.push_back(value.At(i));
    return;
  }
  const std::int64_t tokens = value.shape()[0];
  const std::int64_t channels = value.shape()[1];
  const std::int64_t width = channels / tensor.heads;
  const std::int64_t rows = tensor.transposed ? width : tokens;
  const std::int64_t columns = tensor.transposed ? tokens : width;
  for (std::int64_t h = 0; h < tensor.heads; ++h) {
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t n = 0; n < columns; ++n) {
        const std::int64_t token = tensor.transposed ? n : r;
        const std::int64_t channel = tensor.transposed ? r : n;
        out.push_back(value.At(token * channels + h * width + channel));
      }
    }
  }
}

Shape ShapeInLayout(const StepTensor& tensor, std::int64_t images, const Shape& shape) {
  if (tensor.layout == StepLayout::kHeads) {
    const std::int64_t width = shape[1] / tensor.heads;
    if (tensor.transposed) return {images, tensor.heads, width, shape[0]};
    return {images, tensor.heads, shape[0], width};
  }
  Shape stacked = {images};
  stacked.insert(stacked.end(), shape.begin(), shape.end());
  return stacked;
}

}  // namespace

CaseTensors RunSteps(const ConformCase& c, const ImportedNetwork& network, Backend& backend) {
  std::map<std::string, std::vector<std::int64_t>> values;
  for (std::int64_t image = 0; image < network.images; ++image) {
    TensorMap inputs;
    for (const std::string& name : network.program.inputs) {
      const IntTensor& all = c.Input(name);
      const TensorInfo& info = network.program.Tensor(name);
      IntTensor one(info.dtype, info.shape);
      std::visit(
          [&](auto& storage) {
            using T = typename std::decay_t<decltype(storage)>::value_type;
            for (std::int64_t i = 0; i < one.size(); ++i)
              storage[static_cast<std::size_t>(i)] = static_cast<T>(all.At(image * one.size() + i));
          },
          one.storage());
      inputs.emplace(name, std::move(one));
    }
    const TensorMap computed = Execute(network.program, inputs, image, backend);
    for (const auto& [name, tensor] : network.tensors) {
      if (c.HasOutput(name)) AppendInLayout(tensor, computed.at(tensor.name), values[name]);
    }
  }
  CaseTensors results;
  for (auto& [name, all] : values) {
    const StepTensor& tensor = network.tensors.at(name);
    Shape shape = ShapeInLayout(tensor, network.images, network.program.Tensor(tensor.name).shape);
    if (!network.batched && shape.size() == 4) shape.erase(shape.begin());
    results.emplace(name, MakeCaseTensor(shape, std::move(all)));
  }
  return results;
}

}  // namespace qsim::conform
