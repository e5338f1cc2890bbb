#include "sim/run/float_taps.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>
#include <utility>
#include <variant>

#include "sim/error.h"

namespace qsim {
namespace {

constexpr std::string_view kImageInput = "image";

std::string BlockPrefix(std::int64_t block) { return fmt::format("blocks.{}.", block); }

// Which part of the network computes a tensor.
std::int64_t PartOf(std::string_view name, std::int64_t depth) {
  constexpr std::string_view kBlocks = "blocks.";
  if (name.starts_with(kBlocks)) {
    std::int64_t block = 0;
    std::from_chars(name.data() + kBlocks.size(), name.data() + name.size(), block);
    return block + 1;
  }
  return name == "norm" || name == "logits" ? depth + 1 : 0;
}

}  // namespace

std::string FloatNameOf(std::string tensor) {
  for (const std::string_view suffix : {".acc", ".quant"}) {
    if (tensor.ends_with(suffix)) tensor.resize(tensor.size() - suffix.size());
  }
  if (tensor == "head") return "logits";
  return tensor;
}

const FloatTensor* FloatTaps::Find(const std::string& name) {
  const std::int64_t part = PartOf(name, source_.model.geometry.depth);
  if (part < part_) throw InternalError("float tensor '" + name + "' is asked for too late");
  while (part_ < part) ComputePart(part_ + 1);
  const auto found = taps_.find(name);
  return found == taps_.end() ? nullptr : &found->second;
}

void FloatTaps::ComputePart(std::int64_t part) {
  taps_.clear();
  const std::int64_t depth = source_.model.geometry.depth;
  const std::string prefix = part == 0 || part > depth ? "" : BlockPrefix(part - 1);
  const FloatSink keep = [&](const std::string& name, const FloatTensor& value) {
    if (wanted_.contains(prefix + name)) taps_.emplace(prefix + name, value);
  };
  if (part == 0) {
    x_ = reference_.Embed(source_.inputs, image_, keep);
  } else if (part <= depth) {
    x_ = reference_.Block(part - 1, x_, keep);
  } else {
    x_ = reference_.Head(x_, keep);
  }
  part_ = part;
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
  if (name == kImageInput) {
    return SliceImage(std::get<ImageInputs>(source.inputs.data).pixels, image);
  }
  const FloatTensor* value = taps.Find(name);
  if (value == nullptr) throw InternalError("input '" + name + "' has no float tensor");
  return bundle.GridOf(name).Quantize(value->data, saturated);
}

}  // namespace qsim
