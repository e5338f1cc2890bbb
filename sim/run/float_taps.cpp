#include "sim/run/float_taps.h"

#include <utility>
#include <variant>

#include "sim/error.h"

namespace qsim::run {

const FloatTensor* FloatTaps::Find(const network::Node* node) {
  if (node == nullptr) return nullptr;
  if (node->part < part_) {
    throw InternalError("float tensor '" + node->name + "' is asked for too late");
  }
  while (part_ < node->part) {
    taps_.clear();
    run_.Part(++part_, state_, [&](const network::Node& n, const FloatTensor& value) {
      if (n.compared && wanted_.contains(n.name)) taps_.emplace(n.name, value);
    });
  }
  const auto found = taps_.find(node->name);
  return found == taps_.end() ? nullptr : &found->second;
}

IntTensor SliceImage(const IntTensor& stacked, std::int64_t image) {
  Shape shape(stacked.shape().begin() + 1, stacked.shape().end());
  const std::int64_t size = ElementCount(shape);
  IntTensor::Storage part = std::visit(
      [&](const auto& values) -> IntTensor::Storage {
        const auto begin = values.begin() + image * size;
        return std::decay_t<decltype(values)>(begin, begin + size);
      },
      stacked.storage());
  return {std::move(shape), std::move(part)};
}

IntTensor ProgramInput(const Bundle& bundle, const FloatSource& source, std::int64_t image,
                       const std::string& name, FloatTaps& taps, std::int64_t* saturated) {
  const network::Node* node = source.model.Find(name);
  if (node != nullptr && std::holds_alternative<network::Pixels>(node->function)) {
    return SliceImage(std::get<ImageInputs>(source.inputs.data).pixels, image);
  }
  const FloatTensor* value = taps.Find(node);
  if (value == nullptr) throw InternalError("input '" + name + "' has no float tensor");
  return bundle.GridOf(name).Quantize(value->data, saturated);
}

}  // namespace qsim::run
