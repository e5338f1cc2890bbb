#include "sim/diagnose/faults.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "golden/program/queries.h"
#include "sim/diagnose/bundle_faults.h"
#include "sim/diagnose/structure.h"
#include "sim/error.h"
#include "sim/io/files/hash.h"
#include "sim/text/nearest_word.h"

namespace qsim::diagnose {
namespace {

enum class Turn : std::uint8_t { kConfig, kCalibration, kBundle };

// Which of the tensors that can have a fault is hit unless another is named: the first one, or the
// first that is this to the attention.
enum class Usual : std::uint8_t { kAny, kQuery, kKey, kValue, kStackedLayer, kLayerBehind };

struct FaultKind {
  FaultInfo info;
  Turn turn;
  Usual victim = Usual::kAny;
  std::vector<std::string_view> settings = {};  // kConfig: keys of the tensor's section
  BundleFault fault = {};                       // kBundle
};

const std::vector<FaultKind>& Kinds() {
  const auto in_bundle = [](std::string_view name, std::string_view text, BundleFault fault,
                            Usual victim = Usual::kAny) {
    return FaultKind{{name, text}, Turn::kBundle, victim, {}, std::move(fault)};
  };
  static const std::vector<FaultKind> kKinds = {
      in_bundle("double_quantization",
                "codes of one scale for each output channel, read through one scale for the "
                "tensor, its width over the positive codes",
                DoubleQuantization(), Usual::kStackedLayer),
      in_bundle("stacked_scale", "one weight scale over Q, K and V", StackedScale()),
      {{"unsigned_on_signed", "an unsigned type without a zero point: negative values become 0"},
       Turn::kConfig,
       Usual::kValue,
       {"bit_type.signed=False", "bit_type.symmetric=True"}},
      {{"clipping", "a percentile that clips two of three values"},
       Turn::kConfig,
       Usual::kValue,
       {"observer_type=PercentileObserver", "percentile_alpha=0.67"}},
      in_bundle("scale_mismatch", "a multiplier half as large as the ratio of the scales",
                ScaleMismatch(), Usual::kKey),
      in_bundle("zero_point_mismatch", "a zero point an eighth of the range off",
                ZeroPointMismatch(), Usual::kValue),
      in_bundle("channel_outliers",
                "a scale for each channel, three of four chasing an outlier 16 times as large as "
                "the data",
                ChannelOutliers(), Usual::kValue),
      in_bundle("head_dim_scale", "1 / head_dim in place of 1 / sqrt(head_dim)", HeadDimScale()),
      in_bundle("head_layout", "the heads in another order", HeadLayout(), Usual::kKey),
      in_bundle("head_transpose", "channels as [head_dim, heads] in place of [heads, head_dim]",
                HeadTranspose(), Usual::kKey),
      in_bundle("narrow_multiplier", "multipliers of two bits", NarrowMultiplier(), Usual::kQuery),
      in_bundle("variance_underflow",
                "a residual stream of a few steps: the layer norm behind it sees no variance",
                VarianceUnderflow()),
      {{"calibration_coverage", "calibration inputs of an eighth of the contrast"},
       Turn::kCalibration},
      in_bundle("bias_dropped", "a linear layer without its bias", BiasDropped(),
                Usual::kStackedLayer),
      in_bundle("weight_row_zeroed", "the strongest output channel of a linear layer lost",
                WeightRowZeroed(), Usual::kStackedLayer),
      in_bundle("sign_flipped", "a quarter of a linear layer's output channels with the wrong sign",
                SignFlipped(), Usual::kLayerBehind),
      in_bundle("gelu_table", "a table of ReLU in place of GELU", TableOfRelu()),
      in_bundle("softmax_constants", "a softmax with the constants of scores four times as coarse",
                CoarseConstants()),
      in_bundle("channels_swapped", "two channels of K in each other's place", ChannelsSwapped(),
                Usual::kKey),
  };
  return kKinds;
}

bool IsUsual(const network::Network& model, const std::string& tensor, Usual usual) {
  switch (usual) {
    case Usual::kAny:
      return true;
    case Usual::kQuery:
      return OperandOf(model, tensor) == AttentionOperand::kQuery;
    case Usual::kKey:
      return OperandOf(model, tensor) == AttentionOperand::kKey;
    case Usual::kValue:
      return OperandOf(model, tensor) == AttentionOperand::kValue;
    case Usual::kStackedLayer:
      return !PartsOf(model, tensor).empty();
    case Usual::kLayerBehind:
      return std::holds_alternative<network::Product>(
          model.At(model.NodeOf(tensor)->inputs.at(0)).function);
  }
  return false;
}

// The tensors whose grids a configuration decides.
std::vector<std::string> TensorsWithSections(const network::Network& model) {
  std::vector<std::string> names;
  for (const network::Node& node : model.nodes()) {
    for (const std::string_view suffix : {std::string_view(), network::kNarrowSuffix}) {
      const std::string name = fmt::format("{}{}", node.name, suffix);
      if (SectionOf(model, name) != nullptr) names.push_back(name);
    }
  }
  return names;
}

std::string Word(const FaultKind& kind, const std::string& tensor) {
  return tensor.empty() ? std::string(kind.info.name)
                        : fmt::format("{}@{}", kind.info.name, tensor);
}

// Taps are named without what the bundle appends to weights.
std::string TapOf(std::string tensor) {
  constexpr std::string_view kWeight = ".weight";
  if (tensor.ends_with(kWeight)) tensor.resize(tensor.size() - kWeight.size());
  return tensor;
}

// The tensor that a fault hits: the one that was named, else the usual one of the candidates.
std::string VictimOf(const network::Network& model, const FaultKind& kind, const std::string& named,
                     const std::vector<std::string>& candidates) {
  const std::string word = Word(kind, named);
  if (candidates.empty()) {
    throw InputError(
        fmt::format("--inject {}: this program has no tensor that can have it; a "
                    "wider --scope has more",
                    word));
  }
  if (named.empty()) {
    const auto usual = std::find_if(
        candidates.begin(), candidates.end(),
        [&](const std::string& tensor) { return IsUsual(model, tensor, kind.victim); });
    return usual == candidates.end() ? candidates.front() : *usual;
  }
  if (std::find(candidates.begin(), candidates.end(), named) == candidates.end()) {
    throw InputError(
        fmt::format("--inject {}: '{}' is no tensor of this program that can have it; {}", word,
                    named, SuggestWord(named, candidates)));
  }
  return named;
}

}  // namespace

const std::vector<FaultInfo>& KnownFaults() {
  static const std::vector<FaultInfo> kInfos = [] {
    std::vector<FaultInfo> infos;
    for (const FaultKind& kind : Kinds()) infos.push_back(kind.info);
    return infos;
  }();
  return kInfos;
}

Faults::Faults(const std::vector<std::string>& words) {
  std::vector<std::string> names;
  for (const FaultInfo& info : KnownFaults()) names.emplace_back(info.name);
  for (const std::string& word : words) {
    const std::size_t at = word.find('@');
    const std::string name = word.substr(0, at);
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      throw InputError(
          fmt::format("--inject {}: unknown fault '{}'; {}", word, name, SuggestWord(name, names)));
    }
    Fault fault;
    fault.kind = static_cast<std::size_t>(found - names.begin());
    if (at != std::string::npos) fault.tensor = TapOf(word.substr(at + 1));
    if (at != std::string::npos &&
        (fault.tensor.empty() || Kinds()[fault.kind].turn == Turn::kCalibration)) {
      throw InputError(fmt::format(
          "--inject {}: {}", word,
          fault.tensor.empty() ? "no tensor behind '@'" : "this fault has no tensor of its own"));
    }
    faults_.push_back(std::move(fault));
  }
}

void Faults::PlantInConfig(const network::Network& model, Config& config) const {
  for (const Fault& fault : faults_) {
    const FaultKind& kind = Kinds()[fault.kind];
    if (kind.turn != Turn::kConfig) continue;
    const std::string tensor = VictimOf(model, kind, fault.tensor, TensorsWithSections(model));
    for (const std::string_view setting : kind.settings)
      config.Set(fmt::format("{}.{}", TextOf(*SectionOf(model, tensor)), setting));
  }
}

void Faults::PlantInCalibration(ModelInputs& inputs) const {
  constexpr int kContrast = 8;
  for (const Fault& fault : faults_) {
    if (Kinds()[fault.kind].turn != Turn::kCalibration) continue;
    for (FloatTensor& tokens : inputs.more) {
      for (float& v : tokens.data) v /= kContrast;
    }
    if (auto* tokens = std::get_if<FloatTensor>(&inputs.data)) {
      for (float& v : tokens->data) v /= kContrast;
      continue;
    }
    if (std::holds_alternative<TokenInputs>(inputs.data)) {
      throw InputError(
          fmt::format("--inject {}: is of images and embeddings; this model reads token ids",
                      Kinds()[fault.kind].info.name));
    }
    auto& images = std::get<ImageInputs>(inputs.data);
    auto& pixels = images.pixels.As<std::uint8_t>();
    const auto channels = images.mean.size();
    const auto plane =
        static_cast<std::size_t>(images.pixels.shape()[2] * images.pixels.shape()[3]);
    for (std::size_t i = 0; i < pixels.size(); ++i) {
      const auto grey = static_cast<int>(images.mean[i / plane % channels] * 255);
      pixels[i] =
          static_cast<std::uint8_t>(std::clamp(grey + (pixels[i] - grey) / kContrast, 0, 255));
    }
  }
}

void Faults::PlantInBundle(const network::Network& model, const ModelInputs& inputs,
                           Bundle& bundle) const {
  const Rederivation rederivation(model, inputs);
  Program& program = bundle.program;
  for (const Fault& fault : faults_) {
    const FaultKind& kind = Kinds()[fault.kind];
    const auto victim = [&](const std::string& tensor) {
      return Victim{model,  rederivation,          bundle,
                    tensor, *model.NodeOf(tensor), ProducerOf(program, tensor)};
    };
    std::string tensor = fault.tensor;
    if (kind.turn == Turn::kBundle) {
      std::vector<std::string> candidates;
      for (const TensorInfo& info : program.tensors) {
        if (kind.fault.applies(victim(info.name))) candidates.push_back(info.name);
      }
      tensor = VictimOf(model, kind, tensor, candidates);
      const Program before = program;
      kind.fault.plant(victim(tensor));
      if (program == before) {
        throw InputError(fmt::format("--inject {}: changes nothing here ({})",
                                     Word(kind, fault.tensor), tensor));
      }
    } else if (kind.turn == Turn::kConfig) {
      tensor = VictimOf(model, kind, tensor, TensorsWithSections(model));
      std::vector<std::string> names = program.inputs;
      for (const Op& op : program.ops) names.push_back(OutputOf(op));
      VictimOf(model, kind, tensor, names);
    }
    bundle.notes.push_back({LoweringNote::Kind::kInfo, tensor.empty() ? "calibration" : tensor,
                            fmt::format("fault planted by --inject {}: {}",
                                        Word(kind, fault.tensor), kind.info.text)});
  }
  if (faults_.empty()) return;
  // What the configuration alone would give is another bundle.
  std::string& hash = bundle.provenance.config_hash;
  for (const LoweringNote& note : bundle.notes) hash += "\n" + note.tensor + " " + note.text;
  hash = Sha256Hex(hash);
  try {
    Validate(bundle.program);
  } catch (const ProgramError& error) {
    throw InputError(fmt::format("--inject: the faulty program is not valid: {}", error.what()));
  }
}

}  // namespace qsim::diagnose
