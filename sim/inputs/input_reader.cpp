#include "sim/inputs/input_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "sim/error.h"
#include "sim/io/tensors/npy.h"
#include "sim/io/tensors/shape.h"

namespace qsim::inputs {
namespace {

[[noreturn]] void FailFile(const std::filesystem::path& file, const std::string& what) {
  throw InputError(fmt::format("{}: {}", file.string(), what));
}

// One dimension of an array against what manifest or model say, if they say anything.
void CheckDimension(const std::filesystem::path& file, const Shape& shape, std::size_t axis,
                    std::optional<std::int64_t> expected, const char* key) {
  if (expected && shape[axis] != *expected) {
    FailFile(file, fmt::format("shape {}: axis {} is {}, but the model's {} is {}",
                               FormatShape(shape), axis, shape[axis], key, *expected));
  }
}

template <typename T>
bool IsConstant(const std::vector<T>& values) {
  return std::adjacent_find(values.begin(), values.end(), std::not_equal_to<>()) == values.end();
}

// What a file of a model that reads ids has: [tokens], or [N, tokens].
void CheckIdFile(const NpyReader& file, bool list, std::int64_t vocabulary) {
  const Shape& shape = file.shape();
  if (!file.dtype()) {
    FailFile(file.path(), fmt::format("holds floats; the model reads token ids, integers in 0..{}",
                                      vocabulary - 1));
  }
  if (shape.size() != 1 && (list || shape.size() != 2)) {
    FailFile(file.path(), fmt::format("shape {}; expected {}", FormatShape(shape),
                                      list ? "[tokens] for each file of ids" : "[N, tokens]"));
  }
  if (shape.size() == 2 && shape[0] == 0) FailFile(file.path(), "zero samples");
  if (ElementCount(shape) == 0)
    FailFile(file.path(), fmt::format("shape {}: no tokens", FormatShape(shape)));
}

// All of them, behind the first `skipped` of the file.
void AppendIds(const IntTensor& ids, const std::filesystem::path& file, std::int64_t skipped,
               std::int64_t vocabulary, std::vector<std::int32_t>& to) {
  for (std::int64_t i = 0; i < ids.size(); ++i) {
    const std::int64_t id = ids.At(i);
    if (id < 0 || id >= vocabulary) {
      FailFile(file, fmt::format("token id {} at [{}] is outside 0..{}: the model's vocabulary has "
                                 "{} tokens",
                                 id, skipped + i, vocabulary - 1, vocabulary));
    }
    to.push_back(static_cast<std::int32_t>(id));
  }
}

// [N, tokens, dim], or [tokens, dim] for each file of a list, then of any length where
// `any_length`.
void CheckTokenFile(const NpyReader& file, bool list, bool any_length, const Geometry& geometry) {
  const Shape& shape = file.shape();
  if (file.dtype())
    FailFile(file.path(), "holds integers; floats expected: the model reads token embeddings");
  if (shape.size() != (list ? 2u : 3u)) {
    FailFile(file.path(),
             fmt::format("shape {}; expected {}", FormatShape(shape),
                         list ? "[tokens, dim] for each file of a list" : "[N, tokens, dim]"));
  }
  if (!list && shape[0] == 0) FailFile(file.path(), "zero samples");
  if (ElementCount(shape) == 0)
    FailFile(file.path(), fmt::format("shape {}: no tokens", FormatShape(shape)));
  if (!any_length) {
    CheckDimension(file.path(), shape, shape.size() - 2, geometry.tokens, "tokens");
  }
  CheckDimension(file.path(), shape, shape.size() - 1, geometry.dim, "dim");
}

// Images that somebody else's program would take.
std::string WhyNoFloats(const NpyReader& file) {
  constexpr std::int64_t kSeen = 8;
  if (file.shape().empty() || ElementCount(file.shape()) == 0)
    return "holds floats; images are uint8";
  const FloatTensor some = AsFloats(file.Read(0, std::min(kSeen, file.shape()[0])), file.path());
  const auto [min, max] = std::minmax_element(some.data.begin(), some.data.end());
  const char* cause = "store 0..255 as uint8";
  if (*min < 0) {
    cause = "give the pixels before they are normalised: mean and std are applied to them";
  } else if (*max <= 1) {
    cause = "multiply by 255, round and store as uint8";
  }
  return fmt::format("holds floats of {:.4g}..{:.4g}, but images are uint8, 0..255: {}", *min, *max,
                     cause);
}

}  // namespace

std::int64_t ModelInputs::count() const {
  if (const auto* images = std::get_if<ImageInputs>(&data)) return images->pixels.shape()[0];
  if (const auto* tokens = std::get_if<TokenInputs>(&data)) return tokens->ids.shape()[0];
  return std::get<FloatTensor>(data).shape[0];
}

IntTensor TokenInputs::Sequence(std::int64_t index) const {
  const std::int64_t row = ids.shape()[1];
  const std::int64_t length = lengths.empty() ? row : lengths[static_cast<std::size_t>(index)];
  const auto begin = ids.As<std::int32_t>().begin() + index * row;
  return IntTensor({length}, std::vector<std::int32_t>(begin, begin + length));
}

std::vector<const FloatTensor*> ModelInputs::Sequences() const {
  std::vector<const FloatTensor*> all;
  if (const auto* first = std::get_if<FloatTensor>(&data)) all.push_back(first);
  for (const FloatTensor& sequence : more) all.push_back(&sequence);
  return all;
}

std::string Format(const LengthSummary& lengths, std::string_view section) {
  return fmt::format(
      "{} inputs: {} used, {} skipped (shorter than {} tokens); length min {}, mean {:.1f}, max {}",
      section, lengths.used, lengths.skipped, lengths.least_length, lengths.min, lengths.mean,
      lengths.max);
}

InputReader::InputReader(const Manifest& manifest, const InputSpec& spec, InputUse use,
                         std::int64_t least_length)
    : spec_(spec) {
  vocabulary_ = manifest.geometry.vocabulary.value_or(0);
  if (spec_.images && vocabulary_ > 0) {
    FailFile(*spec_.images,
             fmt::format("images, but the model reads token ids: 'tokens' of the section '{}', or "
                         "without a manifest.yaml a directory {}",
                         spec_.name, use == InputUse::kCalibration ? "calib" : "eval"));
  }
  if (spec_.images) {
    if (least_length > 0) {
      throw InputError(fmt::format(
          "--min-length {}: the {} inputs are images, which all make the same number of tokens; "
          "leave it out",
          least_length, spec_.name));
    }
    file_.emplace(*spec_.images);
    CheckImages(manifest.geometry);
  } else {
    CheckTokens(manifest.geometry, use, least_length);
  }
  if (spec_.labels) ReadLabels(manifest.geometry.classes);
}

void InputReader::CheckImages(const Geometry& geometry) {
  const std::filesystem::path& file = *spec_.images;
  const Shape& shape = file_->shape();
  if (!file_->dtype()) FailFile(file, WhyNoFloats(*file_));
  if (*file_->dtype() == DType::kInt8) {
    FailFile(file, "int8 pixels: images are uint8, 0..255; where 0 stands for 128, add 128");
  }
  if (shape.size() == 4 && shape[1] == shape[2] && shape[3] < shape[1] && shape[3] <= 4) {
    FailFile(file, fmt::format("shape {}: the channels come last; transpose to [{}, {}, {}, {}]",
                               FormatShape(shape), shape[0], shape[3], shape[1], shape[2]));
  }
  if (*file_->dtype() != DType::kUint8 || shape.size() != 4) {
    FailFile(file, fmt::format("{} of shape {}; images are uint8 [N, channels, height, width]",
                               Name(*file_->dtype()), FormatShape(shape)));
  }
  if (shape[0] == 0) FailFile(file, "zero samples");
  if (shape[2] != shape[3])
    FailFile(file, fmt::format("shape {}: images must be square", FormatShape(shape)));
  if (ElementCount(shape) == 0)
    FailFile(file, fmt::format("shape {}: empty images", FormatShape(shape)));
  CheckDimension(file, shape, 1, geometry.channels, "channels");
  if (geometry.image && shape[2] != *geometry.image) {
    FailFile(file,
             fmt::format("shape {}: axis 2 is {}, but the model's image is {}; with image: {} "
                         "in manifest.yaml its positions are interpolated",
                         FormatShape(shape), shape[2], *geometry.image, shape[2]));
  }
  if (geometry.patch && shape[2] % *geometry.patch != 0) {
    FailFile(file,
             fmt::format("patch ({}) must divide the image size ({})", *geometry.patch, shape[2]));
  }
  if (geometry.patch && geometry.tokens) {
    const std::int64_t side = shape[2] / *geometry.patch;
    if (*geometry.tokens < side * side) {
      FailFile(file,
               fmt::format("images of {} in patches of {} make {} tokens and the class token, "
                           "but the model's tokens is {}",
                           shape[2], *geometry.patch, side * side, *geometry.tokens));
    }
  }
  for (const auto* values : {&spec_.mean, &spec_.stddev}) {
    if (static_cast<std::int64_t>(values->size()) != shape[1]) {
      FailFile(file, fmt::format("{} image channels, but the manifest's mean or std has {} values",
                                 shape[1], values->size()));
    }
  }
  count_ = shape[0];
}

void InputReader::CheckTokens(const Geometry& geometry, InputUse use, std::int64_t least_length) {
  LengthSummary lengths;
  lengths.least_length = least_length;
  std::int64_t longest = 0;  // of all, the skipped ones too
  std::int64_t sum = 0;
  const auto add = [&](std::int64_t length, std::int64_t samples) {
    longest = std::max(longest, length);
    if (length < least_length) {
      lengths.skipped += samples;
      return false;
    }
    lengths.min = lengths.used == 0 ? length : std::min(lengths.min, length);
    lengths.max = std::max(lengths.max, length);
    lengths.used += samples;
    sum += length * samples;
    return true;
  };
  const bool ids = vocabulary_ > 0;
  if (!spec_.token_list) {
    file_.emplace(spec_.tokens.front());
    if (ids) {
      CheckIdFile(*file_, false, vocabulary_);
    } else {
      CheckTokenFile(*file_, false, false, geometry);
    }
    // One sequence of ids may do without the axis of inputs.
    spec_.token_list = file_->shape().size() == 1;
    if (!spec_.token_list) add(file_->shape()[1], file_->shape()[0]);
  }
  if (spec_.token_list) {
    file_.reset();
    // The program is for sequences of the manifest's length; ranges come from any.
    const bool any_length = use == InputUse::kCalibration;
    Shape first;
    for (std::size_t i = 0; i < spec_.tokens.size(); ++i) {
      const NpyReader file(spec_.tokens[i]);
      if (ids) {
        CheckIdFile(file, true, vocabulary_);
      } else {
        CheckTokenFile(file, true, any_length, geometry);
      }
      if (first.empty()) first = file.shape();
      if (!ids && (file.shape()[1] != first[1] || (!any_length && file.shape() != first))) {
        FailFile(file.path(),
                 fmt::format("[tokens, dim] is {}, but {} in {}", FormatShape(file.shape()),
                             FormatShape(first), spec_.tokens.front().string()));
      }
      const std::int64_t length = file.shape()[0];
      if (!add(length, 1)) continue;
      kept_.push_back(static_cast<std::int64_t>(i));
      file_length_.push_back(length);
    }
  }
  if (lengths.used == 0) {
    throw InputError(fmt::format(
        "{}: none of the {} {} inputs is used: the longest has {} tokens, below --min-length {}",
        spec_.origin, lengths.skipped, spec_.name, longest, least_length));
  }
  count_ = lengths.used;
  lengths.mean = static_cast<double>(sum) / static_cast<double>(lengths.used);
  lengths_ = lengths;
}

void InputReader::ReadLabels(const std::optional<std::int64_t>& classes) {
  const std::filesystem::path& file = *spec_.labels;
  const IntTensor tensor = ReadIntNpy(file);
  if (tensor.shape().size() != 1) {
    FailFile(file, fmt::format("shape {}; labels are [N]", FormatShape(tensor.shape())));
  }
  const std::int64_t samples =
      spec_.token_list ? static_cast<std::int64_t>(spec_.tokens.size()) : count_;
  if (tensor.size() != samples) {
    FailFile(file, fmt::format("{} labels for {} samples", tensor.size(), samples));
  }
  for (std::int64_t i = 0; i < tensor.size(); ++i) {
    const std::int64_t label = tensor.At(i);
    if (classes && (label < 0 || label >= *classes)) {
      FailFile(file, fmt::format("label {} at [{}] is outside 0..{}: the model has {} classes",
                                 label, i, *classes - 1, *classes));
    }
    if (label < 0) FailFile(file, fmt::format("label {} at [{}] is negative", label, i));
    labels_.push_back(label);
  }
  if (!spec_.token_list) return;
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    labels_[i] = labels_[static_cast<std::size_t>(kept_[i])];
  }
  labels_.resize(kept_.size());
}

std::int64_t InputReader::EqualRun(std::int64_t first, std::int64_t most) const {
  const std::int64_t all = std::min(most, count_ - first);
  if (file_length_.empty()) return all;
  const auto begin = file_length_.begin() + first;
  const auto differs = [&](std::int64_t length) { return length != *begin; };
  return std::find_if(begin, begin + all, differs) - begin;
}

ModelInputs InputReader::Read(std::int64_t first, std::int64_t count) const {
  ModelInputs inputs;
  if (spec_.images) {
    inputs.data =
        ImageInputs{AsInts(file_->Read(first, count), file_->path()), spec_.mean, spec_.stddev};
  } else if (vocabulary_ > 0) {
    inputs.data = ReadIds(first, count);
  } else {
    inputs.data = ReadEmbeddings(first, count);
  }
  if (!labels_.empty()) {
    const auto begin = labels_.begin() + first;
    inputs.labels.assign(begin, begin + count);
  }
  return inputs;
}

const std::filesystem::path& InputReader::FileOf(std::int64_t index) const {
  if (file_) return file_->path();
  return spec_.tokens[static_cast<std::size_t>(kept_[static_cast<std::size_t>(index)])];
}

std::string InputReader::NameOf(std::int64_t index) const {
  return file_ ? fmt::format("{} {}", spec_.images ? "image" : "input", index)
               : FileOf(index).string();
}

FloatTensor InputReader::ReadEmbeddings(std::int64_t first, std::int64_t count) const {
  if (file_) return AsFloats(file_->Read(first, count), file_->path());
  FloatTensor all;
  for (std::int64_t i = first; i < first + count; ++i) {
    const FloatTensor one = ReadFloatNpy(FileOf(i));
    if (all.shape.empty()) all.shape = {count, one.shape.at(0), one.shape.at(1)};
    all.data.insert(all.data.end(), one.data.begin(), one.data.end());
  }
  if (static_cast<std::int64_t>(all.data.size()) != ElementCount(all.shape))
    FailFile(FileOf(first), "changed while it was being read");
  return all;
}

TokenInputs InputReader::ReadIds(std::int64_t first, std::int64_t count) const {
  if (file_) {
    const IntTensor stored = AsInts(file_->Read(first, count), file_->path());
    std::vector<std::int32_t> ids;
    AppendIds(stored, file_->path(), first * stored.shape()[1], vocabulary_, ids);
    return {IntTensor(stored.shape(), std::move(ids))};
  }
  TokenInputs inputs;
  std::vector<std::vector<std::int32_t>> rows(static_cast<std::size_t>(count));
  std::size_t longest = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::filesystem::path& file = FileOf(first + static_cast<std::int64_t>(i));
    AppendIds(ReadIntNpy(file), file, 0, vocabulary_, rows[i]);
    if (std::ssize(rows[i]) != file_length_[static_cast<std::size_t>(first) + i])
      FailFile(file, "changed while it was being read");
    inputs.lengths.push_back(std::ssize(rows[i]));
    longest = std::max(longest, rows[i].size());
  }
  std::vector<std::int32_t> ids;
  for (std::vector<std::int32_t>& row : rows) {
    row.resize(longest, 0);
    ids.insert(ids.end(), row.begin(), row.end());
  }
  if (std::all_of(inputs.lengths.begin(), inputs.lengths.end(), [&](std::int64_t length) {
        return length == static_cast<std::int64_t>(longest);
      }))
    inputs.lengths.clear();
  inputs.ids = IntTensor({count, static_cast<std::int64_t>(longest)}, std::move(ids));
  return inputs;
}

ModelInputs LoadInputs(const Manifest& manifest, const InputSpec& spec, InputUse use,
                       std::int64_t least_length) {
  const InputReader reader(manifest, spec, use, least_length);
  if (!manifest.geometry.vocabulary && reader.EqualRun(0, reader.count()) != reader.count()) {
    FailFile(spec.tokens.front(), "the files of the list differ in length: read them in pieces");
  }
  ModelInputs inputs = reader.Read(0, reader.count());
  bool constant = false;
  if (const auto* images = std::get_if<ImageInputs>(&inputs.data)) {
    constant = IsConstant(images->pixels.As<std::uint8_t>());
  } else if (const auto* tokens = std::get_if<TokenInputs>(&inputs.data)) {
    constant = IsConstant(tokens->ids.As<std::int32_t>());
  } else {
    constant = IsConstant(std::get<FloatTensor>(inputs.data).data);
  }
  if (use == InputUse::kCalibration && constant) {
    FailFile(
        spec.images ? *spec.images : spec.tokens.front(),
        "every value of the calibration input is the same; no range can be calibrated from it");
  }
  return inputs;
}

}  // namespace qsim::inputs
