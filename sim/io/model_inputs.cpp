#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "sim/error.h"
#include "sim/io/manifest.h"
#include "sim/io/npy.h"
#include "sim/io/shape.h"

namespace qsim {
namespace {

[[noreturn]] void Fail(const std::filesystem::path& file, const std::string& what) {
  throw InputError(fmt::format("{}: {}", file.string(), what));
}

// One dimension of a loaded array against what the manifest says, if it says anything.
void CheckDimension(const std::filesystem::path& file, const Shape& shape, std::size_t axis,
                    std::optional<std::int64_t> expected, const char* key) {
  if (expected && shape[axis] != *expected) {
    Fail(file, fmt::format("shape {}: axis {} is {}, but the manifest's {} is {}",
                           FormatShape(shape), axis, shape[axis], key, *expected));
  }
}

template <typename T>
bool IsConstant(const std::vector<T>& values) {
  return std::adjacent_find(values.begin(), values.end(), std::not_equal_to<>()) == values.end();
}

ImageInputs LoadImages(const Geometry& geometry, const InputSpec& spec) {
  const std::filesystem::path& file = *spec.images;
  ImageInputs inputs{ReadIntNpy(file), spec.mean, spec.stddev};
  const Shape& shape = inputs.pixels.shape();
  if (inputs.pixels.dtype() != DType::kUint8 || shape.size() != 4) {
    Fail(file, fmt::format("{} of shape {}; images are uint8 [N, channels, height, width]",
                           Name(inputs.pixels.dtype()), FormatShape(shape)));
  }
  if (shape[0] == 0) Fail(file, "zero samples");
  if (shape[2] != shape[3])
    Fail(file, fmt::format("shape {}: images must be square", FormatShape(shape)));
  if (inputs.pixels.size() == 0)
    Fail(file, fmt::format("shape {}: empty images", FormatShape(shape)));
  CheckDimension(file, shape, 1, geometry.channels, "channels");
  CheckDimension(file, shape, 2, geometry.image, "image");
  if (geometry.patch && shape[2] % *geometry.patch != 0) {
    Fail(file,
         fmt::format("patch ({}) must divide the image size ({})", *geometry.patch, shape[2]));
  }
  if (geometry.patch && geometry.tokens) {
    const std::int64_t side = shape[2] / *geometry.patch;
    if (*geometry.tokens != side * side + 1) {
      Fail(file,
           fmt::format("images of {} in patches of {} make {} tokens with the class token, but the "
                       "manifest's tokens is {}",
                       shape[2], *geometry.patch, side * side + 1, *geometry.tokens));
    }
  }
  for (const auto* values : {&inputs.mean, &inputs.stddev}) {
    if (static_cast<std::int64_t>(values->size()) != shape[1]) {
      Fail(file, fmt::format("{} image channels, but the manifest's mean or std has {} values",
                             shape[1], values->size()));
    }
  }
  return inputs;
}

FloatTensor LoadTokens(const Geometry& geometry, const InputSpec& spec) {
  FloatTensor all;
  for (const std::filesystem::path& file : spec.tokens) {
    FloatTensor tensor = ReadFloatNpy(file);
    if (tensor.shape.size() != (spec.token_list ? 2u : 3u)) {
      Fail(file, fmt::format("shape {}; expected {}", FormatShape(tensor.shape),
                             spec.token_list ? "[tokens, dim] for each file of a list"
                                             : "[N, tokens, dim]"));
    }
    if (spec.token_list) tensor.shape.insert(tensor.shape.begin(), 1);
    if (tensor.shape[0] == 0) Fail(file, "zero samples");
    if (tensor.data.empty())
      Fail(file, fmt::format("shape {}: no tokens", FormatShape(tensor.shape)));
    CheckDimension(file, tensor.shape, 1, geometry.tokens, "tokens");
    CheckDimension(file, tensor.shape, 2, geometry.dim, "dim");
    if (all.shape.empty()) {
      all = std::move(tensor);
      continue;
    }
    if (tensor.shape[1] != all.shape[1] || tensor.shape[2] != all.shape[2]) {
      Fail(file, fmt::format("[tokens, dim] is [{}, {}], but [{}, {}] in {}", tensor.shape[1],
                             tensor.shape[2], all.shape[1], all.shape[2], spec.tokens[0].string()));
    }
    all.data.insert(all.data.end(), tensor.data.begin(), tensor.data.end());
    ++all.shape[0];
  }
  return all;
}

std::vector<std::int64_t> LoadLabels(const Geometry& geometry, const std::filesystem::path& file,
                                     std::int64_t samples) {
  const IntTensor tensor = ReadIntNpy(file);
  if (tensor.shape().size() != 1) {
    Fail(file, fmt::format("shape {}; labels are [N]", FormatShape(tensor.shape())));
  }
  if (tensor.size() != samples) {
    Fail(file, fmt::format("{} labels for {} samples", tensor.size(), samples));
  }
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < tensor.size(); ++i) {
    const std::int64_t label = tensor.At(i);
    if (label < 0 || (geometry.classes && label >= *geometry.classes)) {
      Fail(file, fmt::format("label {} at [{}] is outside 0..{}", label, i,
                             geometry.classes ? fmt::to_string(*geometry.classes - 1) : "N"));
    }
    labels.push_back(label);
  }
  return labels;
}

}  // namespace

std::int64_t ModelInputs::count() const {
  if (const auto* images = std::get_if<ImageInputs>(&data)) return images->pixels.shape()[0];
  return std::get<FloatTensor>(data).shape[0];
}

ModelInputs LoadInputs(const Manifest& manifest, const InputSpec& spec, InputUse use) {
  ModelInputs inputs;
  bool constant = false;
  if (spec.images) {
    ImageInputs images = LoadImages(manifest.geometry, spec);
    constant = IsConstant(images.pixels.As<std::uint8_t>());
    inputs.data = std::move(images);
  } else {
    FloatTensor tokens = LoadTokens(manifest.geometry, spec);
    constant = IsConstant(tokens.data);
    inputs.data = std::move(tokens);
  }
  if (use == InputUse::kCalibration && constant) {
    Fail(spec.images ? *spec.images : spec.tokens.front(),
         "every value of the calibration input is the same; no range can be calibrated from it");
  }
  if (spec.labels) inputs.labels = LoadLabels(manifest.geometry, *spec.labels, inputs.count());
  return inputs;
}

}  // namespace qsim
