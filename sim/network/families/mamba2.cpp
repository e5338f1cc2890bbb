#include "sim/network/families/mamba2.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "sim/network/families/activations.h"
#include "sim/network/families/sequence_builder.h"
#include "sim/statistics/elementary.h"
#include "sim/text/printable.h"

namespace qsim::network {
namespace {

constexpr NameRule kMambaNames[] = {
    {"embeddings.weight", "embeddings.weight"},
    {"embedding.weight", "embeddings.weight"},
    {"layers.#.norm.*", "layers.#.norm.*"},
    {"layers.#.mixer.in_proj.*", "layers.#.mixer.in_proj.*"},
    {"layers.#.mixer.conv1d.*", "layers.#.mixer.conv1d.*"},
    {"layers.#.mixer.dt_bias", "layers.#.mixer.dt_bias"},
    {"layers.#.mixer.A_log", "layers.#.mixer.A_log"},
    {"layers.#.mixer.D", "layers.#.mixer.D"},
    {"layers.#.mixer.norm.*", "layers.#.mixer.norm.*"},
    {"layers.#.mixer.out_proj.*", "layers.#.mixer.out_proj.*"},
    {"norm_f.*", "norm_f.*"},
    {"lm_head.*", "lm_head.*"},
};
constexpr std::string_view kMambaBodies[] = {"backbone."};
constexpr NamingScheme kMambaSchemes[] = {
    {"transformers and state-spaces", kMambaNames, kMambaBodies}};

// How it is computed or was initialised, not what it is.
constexpr std::string_view kMambaHarmless[] = {
    "A_init_range",
    "A_initializer_range",
    "chunk_size",
    "conv_init",
    "dt_init_floor",
    "dt_max",
    "dt_min",
    "device",
    "emb_initializer_range",
    "fuse_cross_entropy",
    "fuse_linear_cross_entropy",
    "fuse_norm",
    "fused_add_norm",
    "initializer_cfg",
    "process_group",
    "rescale_prenorm_residual",
    "residual_in_fp32",
    "sequence_parallel",
    "time_step_floor",
    "time_step_init_scheme",
    "time_step_max",
    "time_step_min",
    "time_step_rank",
    "time_step_scale",
    "use_l2warp",
    "use_mem_eff_path",
};

// By which keys a configuration says the same: transformers' (and flash-linear-attention's), or
// mamba_ssm's, which has those of the mixer in an object of their own.
struct Keys {
  const char *width, *blocks, *tied;
  const char *state, *taps, *head, *groups, *bias, *conv_bias, *limit;
};
constexpr Keys kTransformers = {"hidden_size",    "num_hidden_layers", "tie_word_embeddings",
                                "state_size",     "conv_kernel",       "head_dim",
                                "n_groups",       "use_bias",          "use_conv_bias",
                                "time_step_limit"};
constexpr Keys kStateSpaces = {"d_model", "n_layer", "tie_embeddings", "d_state",   "d_conv",
                               "headdim", "ngroups", "bias",           "conv_bias", "dt_limit"};

class MambaLoader {
 public:
  explicit MambaLoader(const Manifest& manifest)
      : net_(manifest, kMambaSchemes, "a Mamba-2 model",
             "Mamba-2 model under names of transformers or state-spaces"),
        config_(net_.config()),
        own_(config_.States("d_model")),
        keys_(own_ ? kStateSpaces : kTransformers),
        ssm_(own_ ? std::optional(config_.Inner("ssm_cfg")) : std::nullopt),
        mixer_(own_ ? *ssm_ : config_) {}

  Network Load() {
    Settings();
    const std::int64_t blocks = config_.Positive(keys_.blocks);
    std::string stream = net_.Begin(Vocabulary(), width_, blocks, keys_.blocks);
    for (std::int64_t n = 0; n < blocks; ++n) {
      net_.BeginBlock(n);
      stream = Block(stream);
    }
    net_.BehindBlocks();
    if (ssm_) ssm_->Finish();
    std::optional<bool> tied;
    if (own_ || config_.States(keys_.tied)) tied = config_.Flag(keys_.tied, true);
    return net_.Finish(Norm("norm_f", stream), tied);
  }

 private:
  void Settings() {
    width_ = config_.Positive(keys_.width);
    state_ = mixer_.Positive(keys_.state, 128);
    taps_ = mixer_.Positive(keys_.taps, 4);
    if (taps_ < 2) mixer_.Fail(keys_.taps, "at least 2 rows are convolved");
    const double expand = mixer_.Number("expand", 2);
    inner_ = static_cast<std::int64_t>(expand * static_cast<double>(width_));
    if (inner_ < 1 || inner_ > 1 << 24)
      mixer_.Fail("expand", fmt::format("{:g} times {} are no channels", expand, width_));
    head_ = mixer_.Positive(keys_.head, 64);
    heads_ = inner_ / head_;
    if (heads_ * head_ != inner_ || (!own_ && config_.Positive("num_heads", heads_) != heads_)) {
      mixer_.Fail(own_ ? keys_.head : "num_heads",
                  fmt::format("heads of {} channels do not make up {:g} times {} channels", head_,
                              expand, width_));
    }
    groups_ = mixer_.Positive(keys_.groups, own_ ? 1 : 8);
    if (heads_ % groups_ != 0)
      mixer_.Fail(keys_.groups, fmt::format("{} do not divide {} heads", groups_, heads_));
    // flash-linear-attention has state-spaces' names for some.
    const bool other = !own_ && config_.States("dt_limit");
    limit_ =
        mixer_.Range(other ? "dt_limit" : keys_.limit, 0, std::numeric_limits<double>::infinity());
    normed_ = mixer_.Flag("rmsnorm", true);
    before_gate_ = mixer_.Flag("norm_before_gate", false);
    for (const char* key : {"hidden_act", "activation"}) {
      const std::string word = config_.Word(key, "silu");
      if (word != "swish" && word != "silu")
        config_.Fail(key, fmt::format("'{}' is not supported; silu (swish) is", Printable(word)));
    }
    config_.Ignore(kMambaHarmless);
    if (own_) {
      OfStateSpaces();
    } else {
      OfTransformers();
    }
  }

  void OfStateSpaces() {
    mixer_.Ignore(kMambaHarmless);
    mixer_.Only("layer", "Mamba2", "a layer other than Mamba2");
    mixer_.Only("d_ssm", inner_, "a gated MLP beside the recurrence (d_ssm below expand d_model)");
    config_.Only("attn_layer_idx", nlohmann::json::array(), "softmax attention in layers");
    config_.Only("d_intermediate", 0, "an MLP in every block");
    config_.Ignore(kOfAttention);
    eps_ = kEps;
    block_eps_ = config_.Eps("norm_epsilon", kEps);
    centred_ = !config_.Flag("rms_norm", true);
  }

  void OfTransformers() {
    const bool other = config_.States("norm_eps");
    eps_ = block_eps_ = config_.Eps(other ? "norm_eps" : "layer_norm_epsilon", kEps);
    config_.Only("rms_norm", true, "a layer norm for each block");
    if (config_.States("intermediate_size"))
      config_.Only("intermediate_size", inner_, "another width than expand times hidden_size");
    // transformers 4 wrote it, and took the gate first all the same.
    const std::string version = config_.Word("transformers_version", "");
    if (before_gate_ && version.starts_with("4.")) {
      before_gate_ = false;
      net_.Note(
          fmt::format("config.json says norm_before_gate: true, which transformers {} does "
                      "not read: the gate comes before the norm",
                      Printable(version)));
    }
  }

  // Rows of the table: padded up to a multiple, or as many as there are tokens.
  std::int64_t Vocabulary() const {
    const std::int64_t tokens = config_.Positive("vocab_size");
    const std::int64_t multiple = config_.Positive("pad_vocab_size_multiple", own_ ? 8 : 1);
    const std::int64_t padded = (tokens + multiple - 1) / multiple * multiple;
    return net_.RowsOf("embeddings.weight") == tokens ? tokens : padded;
  }

  // x + mixer(norm(x)). The layer in front stacks gate, x, B, C and dt.
  std::string Block(const std::string& stream) {
    const std::int64_t shared = groups_ * state_;
    const std::int64_t convolved = inner_ + 2 * shared;
    const std::string x = Norm("norm", stream);
    net_.CheckBias("mixer.in_proj", mixer_, keys_.bias);
    net_.CheckBias("mixer.out_proj", mixer_, keys_.bias);
    net_.CheckBias("mixer.conv1d", mixer_, keys_.conv_bias);
    const std::string all = net_.Layer("mixer.in_proj", x, inner_ + convolved + heads_, width_);
    const auto columns = [&](const std::string& name, const std::string& of, std::int64_t first,
                             std::int64_t width, std::int64_t heads, bool view) {
      return net_.Rows(name, Columns{first}, {of}, width, {.heads = heads, .view = view});
    };
    const std::string z = columns("mixer.z", all, 0, inner_, heads_, false);
    const std::string sums =
        net_.Convolution("mixer.conv", "mixer.conv1d",
                         columns("mixer.xBC", all, inner_, convolved, 1, false), convolved, taps_);
    const std::string conv = net_.Rows(
        "mixer.conv1d", Elementwise{{&Silu}, {inner_, shared, shared}}, {sums}, convolved);
    const std::string value = columns("mixer.x", conv, 0, inner_, heads_, true);
    const std::string b = columns("mixer.B", conv, inner_, shared, groups_, true);
    const std::string c = columns("mixer.C", conv, inner_ + shared, shared, groups_, true);
    const SequenceBuilder::Traits of_head = {.heads = heads_};
    const std::string dt = net_.Rows(
        "mixer.dt", TimeStep(),
        {columns("mixer.dt_in", all, inner_ + convolved, heads_, heads_, false)}, heads_, of_head);
    const std::string decay = net_.Rows("mixer.decay", Decay(), {dt}, heads_, of_head);
    const std::string step =
        net_.Rows("mixer.dt_x", Multiply{}, {value, dt}, inner_, {.heads = heads_, .wide = true});
    const std::string readout =
        net_.Recurrent("mixer.readout", {state_, head_, 1, true}, {c, b, step, decay}, inner_,
                       heads_, "mixer.state", "mixer.past");
    const std::string skip =
        net_.Rows("mixer.skip", Scaled{SkipFactors()}, {value}, inner_, of_head);
    const std::string out = net_.Rows("mixer.recurrence", Sum{}, {readout, skip}, inner_, of_head);
    return net_.Sum("residual", net_.Layer("mixer.out_proj", Gated(out, z), width_, inner_),
                    stream);
  }

  // Times the gate, normalised before or behind it.
  std::string Gated(std::string y, const std::string& z) {
    const SequenceBuilder::Traits of_head = {.heads = heads_};
    const std::string gate = net_.Rows("mixer.gate", Elementwise{{&Silu}}, {z}, inner_, of_head);
    const auto norm = [&](const std::string& x) {
      LayerNorm rms = net_.LoadRms("mixer.norm", inner_, inner_, eps_);
      rms.groups = groups_;
      return net_.Norm("mixer.norm", x, std::move(rms), heads_);
    };
    if (normed_ && before_gate_) y = norm(y);
    const bool norm_follows = normed_ && !before_gate_;
    y = net_.Rows("mixer.gated", Multiply{}, {y, gate}, inner_,
                  {.heads = heads_, .wide = norm_follows});
    return norm_follows ? norm(y) : y;
  }

  // The norm in front of a mixer, or of the head.
  std::string Norm(const std::string& name, const std::string& stream) {
    LayerNorm norm = net_.LoadRms(name, width_, width_, block_eps_);
    norm.centred = centred_;
    if (centred_) norm.norm.beta = net_.Load(name + ".bias", {width_}).data;
    return net_.Norm(name, stream, std::move(norm));
  }

  // log(1 + e^(x + bias)) within its limits, for each head.
  Elementwise TimeStep() {
    Elementwise steps;
    for (const float bias : net_.Load("mixer.dt_bias", {heads_}).data) {
      steps.of.emplace_back([bias = static_cast<double>(bias), limit = limit_](double x) {
        return std::clamp(Softplus(x + bias), limit.first, limit.second);
      });
    }
    return steps;
  }

  // e^(dt A), for each head; A = -e^(A_log).
  Elementwise Decay() {
    Elementwise decays;
    constexpr float kLargest = 88;  // e^88 is a float yet
    const std::vector<float> logs = net_.Load("mixer.A_log", {heads_}).data;
    for (std::size_t h = 0; h < logs.size(); ++h) {
      if (logs[h] > kLargest)
        net_.Fail("mixer.A_log",
                  fmt::format("[{}] is {}: its exponential is infinite", h, logs[h]));
      decays.of.emplace_back(
          [a = Exp(static_cast<double>(logs[h]))](double dt) { return Exp(-dt * a); });
    }
    return decays;
  }

  // D is of each head or of each channel.
  std::vector<float> SkipFactors() {
    const bool of_channel = net_.SizeOf("mixer.D") == inner_ && head_ > 1;
    if (mixer_.Flag("D_has_hdim", of_channel) != of_channel)
      mixer_.Fail("D_has_hdim", fmt::format("{}, but tensor 'D' has {} numbers for {} heads of {}",
                                            !of_channel, net_.SizeOf("mixer.D"), heads_, head_));
    const std::vector<float> stored =
        net_.Load("mixer.D", of_channel ? ShapeOfChannels() : Shape{heads_}).data;
    std::vector<float> factors(static_cast<std::size_t>(inner_));
    for (std::size_t c = 0; c < factors.size(); ++c)
      factors[c] = stored[c * stored.size() / factors.size()];
    return factors;
  }

  // Heads and channels may be axes of their own.
  Shape ShapeOfChannels() const {
    return net_.RowsOf("mixer.D") == heads_ && heads_ != inner_ ? Shape{heads_, head_}
                                                                : Shape{inner_};
  }

  static constexpr double kEps = 1e-5;
  static constexpr std::string_view kOfAttention[] = {"attn_cfg"};

  SequenceBuilder net_;
  const ModelConfig& config_;
  const bool own_;  // state-spaces' configuration
  const Keys& keys_;
  const std::optional<ModelConfig> ssm_;  // theirs of the mixer
  const ModelConfig& mixer_;
  std::int64_t width_ = 0, inner_ = 0, state_ = 0, taps_ = 0;
  std::int64_t head_ = 0, heads_ = 0, groups_ = 0;  // channels of a head; heads; groups of B and C
  double eps_ = 0, block_eps_ = 0;                  // of the gated norm, of the others
  std::pair<double, double> limit_;                 // of the time step
  bool centred_ = false, normed_ = true, before_gate_ = false;
};

}  // namespace

Network LoadMamba2(const Manifest& manifest) { return MambaLoader(manifest).Load(); }

}  // namespace qsim::network
