#include "sim/diagnose/faults.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "sim/diagnose/bundle_faults.h"
#include "sim/diagnose/tensor_key.h"
#include "sim/error.h"
#include "sim/io/files/hash.h"
#include "sim/text/nearest_word.h"

namespace qsim {
namespace {

enum class Turn : std::uint8_t { kConfig, kCalibration, kBundle };

struct FaultKind {
  FaultInfo info;
  Turn turn;
  std::vector<std::string_view> settings;  // kConfig: keys of the tensor's section
  BundleFault plant;                       // kBundle
};

const std::vector<FaultKind>& Kinds() {
  static const std::vector<FaultKind> kKinds = {
      {{"double_quantization",
        "codes of one scale for each output channel, read through one scale for the tensor, its "
        "width "
        "over the positive codes",
        "blocks.0.attn_qkv"},
       Turn::kBundle,
       {},
       DoubleQuantization()},
      {{"stacked_scale", "one weight scale over Q, K and V", "blocks.0.attn_qkv"},
       Turn::kBundle,
       {},
       StackedScale()},
      {{"unsigned_on_signed", "an unsigned type without a zero point: negative values become 0",
        "blocks.0.attn_v_input"},
       Turn::kConfig,
       {"bit_type.signed=False", "bit_type.symmetric=True"},
       {}},
      {{"clipping", "a percentile that clips two of three values", "blocks.0.attn_v_input"},
       Turn::kConfig,
       {"observer_type=PercentileObserver", "percentile_alpha=0.67"},
       {}},
      {{"scale_mismatch", "a multiplier half as large as the ratio of the scales",
        "blocks.0.attn_k_out"},
       Turn::kBundle,
       {},
       ScaleMismatch()},
      {{"zero_point_mismatch", "a zero point an eighth of the range off", "blocks.0.attn_v_input"},
       Turn::kBundle,
       {},
       ZeroPointMismatch()},
      {{"channel_outliers",
        "a scale for each channel, three of four chasing an outlier 16 times as "
        "large as the data",
        "blocks.0.attn_v_input"},
       Turn::kBundle,
       {},
       ChannelOutliers()},
      {{"head_dim_scale", "1 / head_dim in place of 1 / sqrt(head_dim)", "blocks.0.attn_kv_out"},
       Turn::kBundle,
       {},
       HeadDimScale()},
      {{"head_layout", "the heads in another order", "blocks.0.attn_k_out"},
       Turn::kBundle,
       {},
       HeadLayout()},
      {{"head_transpose", "channels as [head_dim, heads] in place of [heads, head_dim]",
        "blocks.0.attn_k_out"},
       Turn::kBundle,
       {},
       HeadTranspose()},
      {{"narrow_multiplier", "multipliers of two bits", "blocks.0.attn_q_out"},
       Turn::kBundle,
       {},
       NarrowMultiplier()},
      {{"variance_underflow",
        "a residual stream of a few steps: the layer norm behind it sees no "
        "variance",
        "blocks.0.input"},
       Turn::kBundle,
       {},
       VarianceUnderflow()},
      {{"calibration_coverage", "calibration inputs of an eighth of the contrast", ""},
       Turn::kCalibration,
       {},
       {}},
      {{"bias_dropped", "a linear layer without its bias", "blocks.0.attn_qkv"},
       Turn::kBundle,
       {},
       BiasDropped()},
      {{"weight_row_zeroed", "the strongest output channel of a linear layer lost",
        "blocks.0.attn_qkv"},
       Turn::kBundle,
       {},
       WeightRowZeroed()},
      {{"sign_flipped", "a quarter of a linear layer's output channels with the wrong sign",
        "blocks.0.attn_proj"},
       Turn::kBundle,
       {},
       SignFlipped()},
      {{"gelu_table", "a table of ReLU in place of GELU", "blocks.0.mlp_gelu"},
       Turn::kBundle,
       {},
       GeluOfRelu()},
      {{"softmax_constants", "a softmax with the constants of scores four times as coarse",
        "blocks.0.intSoft"},
       Turn::kBundle,
       {},
       SoftmaxConstants()},
      {{"channels_swapped", "two channels of K in each other's place", "blocks.0.attn_k_out"},
       Turn::kBundle,
       {},
       ChannelsSwapped()},
  };
  return kKinds;
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

[[noreturn]] void ThrowNoTensor(const std::string& word, const std::string& tensor,
                                const std::vector<std::string>& candidates) {
  if (candidates.empty()) {
    throw InputError(
        fmt::format("--inject {}: this program has no tensor that can have it; a "
                    "wider --scope has more",
                    word));
  }
  throw InputError(
      fmt::format("--inject {}: '{}' is no tensor of this program that can have it; {}", word,
                  tensor, SuggestWord(tensor, candidates)));
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
        (fault.tensor.empty() || Kinds()[fault.kind].info.victim.empty())) {
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
    const std::string tensor = fault.tensor.empty() ? std::string(kind.info.victim) : fault.tensor;
    const auto key = KeyOfTensor(config.sections(), tensor);
    if (!key || key->block >= model.depth()) {
      std::vector<std::string> candidates;
      for (std::int64_t n = 0; n < model.depth(); ++n) {
        for (const SectionKind& section : config.sections()) {
          if (section.is_per_block && section.tensor == section.key) {
            candidates.push_back(fmt::format("blocks.{}.{}", n, section.key));
          }
        }
      }
      ThrowNoTensor(Word(kind, fault.tensor), tensor, candidates);
    }
    for (const std::string_view setting : kind.settings) {
      config.Set(fmt::format("{}.{}", key->text, setting));
    }
  }
}

void Faults::PlantInCalibration(ModelInputs& inputs) const {
  constexpr int kContrast = 8;
  for (const Fault& fault : faults_) {
    if (Kinds()[fault.kind].turn != Turn::kCalibration) continue;
    if (auto* tokens = std::get_if<FloatTensor>(&inputs.data)) {
      for (float& v : tokens->data) v /= kContrast;
      continue;
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

void Faults::PlantInBundle(const network::Network& model, const ModelInputs& inputs, Bundle& bundle) const {
  for (const Fault& fault : faults_) {
    const FaultKind& kind = Kinds()[fault.kind];
    const std::string word = Word(kind, fault.tensor);
    std::string tensor = fault.tensor.empty() ? std::string(kind.info.victim) : fault.tensor;
    if (kind.turn == Turn::kBundle) {
      const std::vector<std::string> candidates = kind.plant.Candidates(bundle);
      // The stream that enters block 0 has another name in a chained program.
      if (fault.tensor.empty() && tensor == "blocks.0.input" &&
          bundle.program.FindTensor(tensor) == nullptr) {
        tensor = "embed";
      }
      if (std::find(candidates.begin(), candidates.end(), tensor) == candidates.end()) {
        ThrowNoTensor(word, tensor, candidates);
      }
      const Program before = bundle.program;
      kind.plant.plant(tensor, Relowering(model, inputs), bundle);
      if (bundle.program == before) {
        throw InputError(fmt::format("--inject {}: changes nothing here ({})", word, tensor));
      }
    } else if (kind.turn == Turn::kConfig && bundle.program.FindTensor(tensor) == nullptr) {
      std::vector<std::string> names;
      for (const Op& op : bundle.program.ops) names.push_back(OutputOf(op));
      ThrowNoTensor(word, tensor, names);
    }
    bundle.notes.push_back({LoweringNote::Kind::kInfo, tensor.empty() ? "calibration" : tensor,
                            fmt::format("fault planted by --inject {}: {}", word, kind.info.text)});
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

}  // namespace qsim
