#include "sim/network/families/sequence_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/error.h"
#include "sim/io/files/hash.h"
#include "sim/network/families/left_out.h"
#include "sim/text/block_name.h"

namespace qsim::network {
namespace {

constexpr std::int64_t kLongest = 4096;  // tokens at once, where nothing asks for more
constexpr const char* kTable = "embeddings.weight";
constexpr const char* kHead = "lm_head";

// A manifest that says what config.json says would have to agree with it; it need not say it.
void RefuseGeometry(const Manifest& manifest, std::string_view family) {
  const Geometry& stated = manifest.geometry;
  const std::pair<const char*, bool> keys[] = {
      {"image", stated.image.has_value()},           {"channels", stated.channels.has_value()},
      {"patch", stated.patch.has_value()},           {"dim", stated.dim.has_value()},
      {"heads", stated.heads.has_value()},           {"tokens", stated.tokens.has_value()},
      {"depth", stated.depth.has_value()},           {"mlp_hidden", stated.mlp_hidden.has_value()},
      {"classes", stated.classes.has_value()},       {"eps", stated.eps.has_value()},
      {"activation", stated.activation.has_value()}, {"pool", stated.pool.has_value()},
  };
  for (const auto& [key, is_stated] : keys) {
    if (!is_stated) continue;
    throw InputError(fmt::format("{}: key '{}': the geometry of {} is what {} says; take it out",
                                 manifest.Origin(key), key, family, manifest.config.string()));
  }
}

const std::filesystem::path& ConfigOf(const Manifest& manifest, std::string_view family) {
  if (manifest.config.empty()) {
    throw InputError(fmt::format("{}: no config.json: the weights of {} do not tell its settings",
                                 manifest.path.string(), family));
  }
  RefuseGeometry(manifest, family);
  return manifest.config;
}

}  // namespace

SequenceBuilder::SequenceBuilder(const Manifest& manifest, std::span<const NamingScheme> schemes,
                                 std::string_view family, std::string_view names)
    : manifest_(manifest),
      family_(family),
      config_(ConfigOf(manifest, family)),
      file_(manifest.model, schemes, names) {
  length_ = std::max(kLongest, config_.Positive("max_position_embeddings", kLongest));
}

std::string SequenceBuilder::Begin(std::int64_t vocabulary, std::int64_t width, std::int64_t blocks,
                                   const std::string& key) {
  vocabulary_ = vocabulary;
  width_ = width;
  blocks_ = static_cast<int>(blocks);
  std::int64_t stored = 0;
  std::string last;
  for (const auto& [ours, name] : file_.names()) {
    if (SplitBlock(ours).number < stored) continue;
    stored = SplitBlock(ours).number + 1;
    last = name;
  }
  if (stored > blocks) {
    config_.Fail(key, fmt::format("{} blocks, but {} holds tensor '{}'", blocks,
                                  file_.file().path().string(), last));
  }
  if (stored < blocks) {
    config_.Fail(key, fmt::format("{} blocks, but {} holds {}", blocks,
                                  file_.file().path().string(), stored));
  }
  Add({.name = "tokens", .function = Tokens{vocabulary}, .shape = {length_}, .length_axes = {0}});
  return Rows("embeddings", Embedding{Load(kTable, {vocabulary, width})}, {"tokens"}, width,
              {.stream = true});
}

void SequenceBuilder::BeginBlock(std::int64_t block) {
  block_ = static_cast<int>(block);
  part_ = block_ + 1;
}

void SequenceBuilder::BehindBlocks() {
  block_ = -1;
  part_ = blocks_ + 1;
}

Network SequenceBuilder::Finish(const std::string& stream, std::optional<bool> tied) {
  const std::string weight = std::string(kHead) + ".weight";
  Linear head;
  bool repeated = false;  // the file has the table twice
  if (tied.value_or(!Has(weight))) {
    head.weight = Load(kTable, {vocabulary_, width_});
    head.bias.assign(static_cast<std::size_t>(vocabulary_), 0.0F);
    if (!tied) Note("no lm_head.weight: the head's weights are the embeddings'");
    repeated = Has(weight);
    if (repeated && file_.Load(weight, {vocabulary_, width_}).data != head.weight.data)
      Fail(weight, "is not the table of the embeddings, though the configuration ties them");
  } else {
    head = LoadLinear(kHead, vocabulary_, width_);
  }
  Rows(kHead, Projection{std::move(head)}, {stream}, vocabulary_, {.wide = true});
  config_.Finish();
  if (!file_.prefix().empty())
    Note(fmt::format("every tensor's name begins with '{}', which is left out", file_.prefix()));
  const WhyUnread why = [&](std::string_view,
                            std::string_view ours) -> std::optional<std::string_view> {
    if (repeated && ours == weight)
      return "the same numbers as the embeddings, to which it is tied";
    return std::nullopt;
  };
  for (const std::string& line : LeftOut(file_, manifest_, read_, why, family_)) Note(line);
  net_.weights_hash = Sha256HexOfFile(manifest_.model);
  return std::move(net_);
}

std::string SequenceBuilder::Full(const std::string& name) const {
  return block_ < 0 ? name : fmt::format("layers.{}.{}", block_, name);
}

// Rows of the run's length, unless the node has a shape.
std::string SequenceBuilder::Add(Node node) {
  node.name = Full(node.name);
  node.block = block_;
  node.part = part_;
  return net_.Add(std::move(node)).name;
}

std::string SequenceBuilder::Rows(const std::string& name, Function function,
                                  std::vector<std::string> inputs, std::int64_t width,
                                  const Traits& traits) {
  Node node;
  node.name = name;
  const bool layer = std::holds_alternative<Projection>(function) ||
                     std::holds_alternative<CausalConvolution>(function);
  if (!traits.view) node.section = {name + (layer ? ".output" : ""), block_};
  if (layer) node.weight_section = {name + ".weight", block_};
  node.function = std::move(function);
  node.inputs = std::move(inputs);
  node.shape = {length_, width};
  node.length_axes = {0};
  node.heads = traits.heads;
  node.stream = traits.stream;
  node.wide = traits.wide;
  return Add(std::move(node));
}

std::string SequenceBuilder::Layer(const std::string& name, const std::string& input,
                                   std::int64_t out, std::int64_t in, std::int64_t heads) {
  return Layer(name, LoadLinear(name, out, in), input, heads);
}

std::string SequenceBuilder::Layer(const std::string& name, Linear layer, const std::string& input,
                                   std::int64_t heads) {
  const std::int64_t out = layer.out_features();
  return Rows(name, Projection{std::move(layer)}, {input}, out, {.heads = heads});
}

std::string SequenceBuilder::Norm(const std::string& name, const std::string& input, LayerNorm norm,
                                  std::int64_t heads) {
  const auto width = static_cast<std::int64_t>(norm.norm.gamma.size());
  return Rows(name, std::move(norm), {input}, width, {.heads = heads});
}

std::string SequenceBuilder::Sum(const std::string& name, const std::string& layer,
                                 const std::string& stream, bool is_stream) {
  return Rows(name, network::Sum{}, {layer, stream}, net_.At(layer).shape.back(),
              {.stream = is_stream});
}

std::string SequenceBuilder::Convolution(const std::string& name, const std::string& weights,
                                         const std::string& input, std::int64_t channels,
                                         std::int64_t taps) {
  CausalConvolution convolution{Load(weights + ".weight", {channels, taps}),
                                std::vector<float>(static_cast<std::size_t>(channels), 0.0F)};
  if (Has(weights + ".bias")) convolution.bias = Load(weights + ".bias", {channels}).data;
  const Shape rows = {taps - 1, channels};
  const std::string past = Add({.name = name + "_past", .function = Past{}, .shape = rows});
  const std::string out = Rows(name, std::move(convolution), {input, past}, channels);
  const std::string tail =
      Add({.name = name + "_tail", .function = LastRows{}, .inputs = {input, past}, .shape = rows});
  net_.carried.push_back({tail, past});
  return out;
}

std::string SequenceBuilder::Recurrent(const std::string& name, const Recurrence& function,
                                       std::vector<std::string> inputs, std::int64_t width,
                                       std::int64_t heads, const std::string& state,
                                       const std::string& past) {
  const auto columns = [&](std::size_t input) { return net_.At(inputs[input]).shape.back(); };
  const std::int64_t keys = function.key_width, values = function.value_width;
  const std::int64_t states =
      HeadsOf(keys, values, columns(0), columns(1), columns(2), columns(3)).state;
  const Shape shape =
      function.value_first ? Shape{states, values, keys} : Shape{states, keys, values};
  inputs.push_back(Add({.name = past, .function = Past{}, .shape = shape, .heads = states}));
  const std::string out = Rows(name, function, inputs, width, {.heads = heads});
  const std::string carried = inputs.back();
  inputs.erase(inputs.begin());
  const std::string last = Add({.name = state,
                                .function = FinalState{keys, values, function.value_first},
                                .inputs = std::move(inputs),
                                .shape = shape,
                                .section = SectionKey{state, block_},
                                .heads = states});
  net_.carried.push_back({last, carried});
  return out;
}

std::int64_t SequenceBuilder::SizeOf(const std::string& name) const {
  return ElementCount(file_.ShapeOf(Full(name)));
}

std::int64_t SequenceBuilder::RowsOf(const std::string& name) const {
  const Shape& shape = file_.file().ShapeOf(file_.Stored(Full(name)));
  if (shape.empty()) Fail(name, "has no rows");
  return shape.front();
}

FloatTensor SequenceBuilder::Load(const std::string& name, const Shape& shape) {
  read_.insert(Full(name));
  return file_.Load(Full(name), shape);
}

Linear SequenceBuilder::LoadLinear(const std::string& name, std::int64_t out, std::int64_t in) {
  Linear layer{Load(name + ".weight", {out, in}),
               std::vector<float>(static_cast<std::size_t>(out), 0.0F)};
  if (Has(name + ".bias")) layer.bias = Load(name + ".bias", {out}).data;
  return layer;
}

LayerNorm SequenceBuilder::LoadRms(const std::string& name, std::int64_t width, std::int64_t stored,
                                   double eps, bool affine) {
  LayerNorm rms{{std::vector<float>(static_cast<std::size_t>(width), 1.0F), {}, eps}, false};
  if (!affine) return rms;
  const std::vector<float> gamma = Load(name + ".weight", {stored}).data;
  for (std::size_t c = 0; c < rms.norm.gamma.size(); ++c)
    rms.norm.gamma[c] = gamma[c % gamma.size()];
  return rms;
}

void SequenceBuilder::CheckBias(const std::string& layer, const ModelConfig& config,
                                const std::string& key) const {
  const bool there = Has(layer + ".bias");
  if (config.Flag(key, there) == there) return;
  config.Fail(key, fmt::format("{}, but {} holds {} '{}'", !there, file_.file().path().string(),
                               there ? "a tensor" : "no", file_.Stored(Full(layer + ".bias"))));
}

void SequenceBuilder::Fail(const std::string& tensor, const std::string& what) const {
  throw InputError(fmt::format("{}: tensor '{}' {}", file_.file().path().string(),
                               file_.Stored(Full(tensor)), what));
}

}  // namespace qsim::network
