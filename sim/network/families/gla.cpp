#include "sim/network/families/gla.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "sim/error.h"
#include "sim/network/families/activations.h"
#include "sim/network/families/sequence_builder.h"
#include "sim/statistics/elementary.h"
#include "sim/text/printable.h"

namespace qsim::network {
namespace {

constexpr NameRule kGlaNames[] = {
    {"embeddings.weight", "embeddings.weight"},
    {"embed_tokens.weight", "embeddings.weight"},
    {"layers.#.attn_norm.*", "layers.#.attn_norm.*"},
    {"layers.#.attn.q_proj.*", "layers.#.attn.q_proj.*"},
    {"layers.#.attn.k_proj.*", "layers.#.attn.k_proj.*"},
    {"layers.#.attn.v_proj.*", "layers.#.attn.v_proj.*"},
    {"layers.#.attn.q_conv1d.*", "layers.#.attn.q_conv1d.*"},
    {"layers.#.attn.k_conv1d.*", "layers.#.attn.k_conv1d.*"},
    {"layers.#.attn.v_conv1d.*", "layers.#.attn.v_conv1d.*"},
    {"layers.#.attn.gk_proj.0.*", "layers.#.attn.gk_proj.0.*"},
    {"layers.#.attn.gk_proj.1.*", "layers.#.attn.gk_proj.1.*"},
    {"layers.#.attn.g_proj.*", "layers.#.attn.g_proj.*"},
    {"layers.#.attn.g_norm_swish_gate.*", "layers.#.attn.g_norm.*"},
    {"layers.#.attn.g_norm.*", "layers.#.attn.g_norm.*"},
    {"layers.#.attn.o_proj.*", "layers.#.attn.o_proj.*"},
    {"layers.#.mlp_norm.*", "layers.#.mlp_norm.*"},
    {"layers.#.mlp.gate_proj.*", "layers.#.mlp.gate_proj.*"},
    {"layers.#.mlp.up_proj.*", "layers.#.mlp.up_proj.*"},
    {"layers.#.mlp.down_proj.*", "layers.#.mlp.down_proj.*"},
    {"norm.*", "norm.*"},
    {"lm_head.*", "lm_head.*"},
};
constexpr std::string_view kGlaBodies[] = {"model."};
constexpr NamingScheme kGlaSchemes[] = {{"flash-linear-attention", kGlaNames, kGlaBodies}};

// How it is computed, not what.
constexpr std::string_view kGlaHarmless[] = {
    "attn_mode", "fuse_cross_entropy", "fuse_linear_cross_entropy",
    "fuse_norm", "fuse_swiglu",        "rescale_prenorm_residual",
    "use_l2warp"};

class GlaLoader {
 public:
  explicit GlaLoader(const Manifest& manifest)
      : net_(manifest, kGlaSchemes, "a GLA model",
             "language model with gated linear attention under names of flash-linear-attention"),
        config_(net_.config()) {}

  Network Load() {
    Settings();
    const std::int64_t blocks = config_.Positive("num_hidden_layers");
    std::string stream =
        net_.Begin(config_.Positive("vocab_size"), width_, blocks, "num_hidden_layers");
    for (std::int64_t n = 0; n < blocks; ++n) {
      net_.BeginBlock(n);
      stream = Mlp(Attention(stream));
    }
    net_.BehindBlocks();
    const std::string last = Rms("norm", stream);
    std::optional<bool> tied;
    if (config_.States("tie_word_embeddings")) tied = config_.Flag("tie_word_embeddings", false);
    return net_.Finish(last, tied);
  }

 private:
  void Settings() {
    width_ = config_.Positive("hidden_size");
    heads_ = config_.Positive("num_heads", 4);
    shared_ = config_.Positive("num_kv_heads", heads_);
    if (heads_ % shared_ != 0)
      config_.Fail("num_kv_heads",
                   fmt::format("{} does not divide num_heads, {}", shared_, heads_));
    keys_ = HeadWidth("expand_k", 0.5);
    values_ = HeadWidth("expand_v", 1);
    eps_ = config_.Eps("norm_eps", 1e-6);
    affine_ = config_.Flag("elementwise_affine", true);
    gated_ = config_.Flag("use_output_gate", true);
    convolved_ = config_.Flag("use_short_conv", false);
    taps_ = config_.Positive("conv_size", 4);
    if (convolved_ && taps_ < 2) config_.Fail("conv_size", "at least 2 rows are convolved");
    if (convolved_)
      config_.Only("share_conv_kernel", false, "one convolution for queries, keys and values");
    config_.Flag("share_conv_kernel", false);
    config_.Flag("conv_bias", false);
    normalizer_ = config_.Number("gate_logit_normalizer", 16);
    if (!(normalizer_ > 0)) config_.Fail("gate_logit_normalizer", "must be above 0");
    if (config_.States("clamp_min")) clamp_ = config_.Number("clamp_min", 0);
    for (const char* key : {"hidden_act", "gate_fn"}) {
      const std::string word = config_.Word(key, "swish");
      if (word != "swish" && word != "silu")
        config_.Fail(key, fmt::format("'{}' is not supported; swish (silu) is", Printable(word)));
    }
    ReadHidden();
    config_.Only("feature_map", nullptr, "a feature map of queries and keys");
    config_.Only("use_gk", true, "a network without gates of the keys");
    config_.Only("use_gv", false, "a gate of the values");
    config_.Only("attnres_block_size", nullptr, "attention over the residuals");
    if (config_.States("attn") && config_.Inner("attn").States("layers"))
      config_.Inner("attn").Only("layers", nlohmann::json::array(), "softmax attention in layers");
    config_.Ignore(kGlaHarmless);
  }

  // The columns of one head.
  std::int64_t HeadWidth(const char* key, double usual) const {
    const double columns = config_.Number(key, usual) * static_cast<double>(width_);
    const double whole = std::round(columns);
    const auto count = static_cast<std::int64_t>(std::clamp(whole, 0.0, 1e9));
    if (count < 1 || std::fabs(columns - whole) > 1e-6 * columns || count % heads_ != 0) {
      config_.Fail(key, fmt::format("{:g} of {} channels are not columns for {} heads",
                                    config_.Number(key, usual), width_, heads_));
    }
    return count / heads_;
  }

  // The MLP's width: stated, or two thirds of the ratio in steps of 256.
  void ReadHidden() {
    const double ratio = config_.Number("hidden_ratio", 4);
    const auto wanted = static_cast<std::int64_t>(static_cast<double>(width_) * ratio * 2 / 3);
    constexpr std::int64_t kStep = 256;
    hidden_ = config_.Positive("intermediate_size",
                               std::max<std::int64_t>(1, (wanted + kStep - 1) / kStep) * kStep);
  }

  // x + attention(norm(x)).
  std::string Attention(const std::string& stream) {
    const std::string x = Rms("attn_norm", stream);
    const std::string q = Operand("q", x, heads_, keys_);
    const std::string k = Operand("k", x, shared_, keys_);
    const std::string v = Operand("v", x, shared_, values_);
    const std::int64_t rank =
        config_.Positive("gate_low_rank_dim", net_.RowsOf("attn.gk_proj.0.weight"));
    const std::int64_t decays = shared_ * keys_;
    const std::string low = net_.Layer("attn.gk_proj.0", x, rank, width_);
    const std::string gate = net_.Layer("attn.gk_proj.1", low, decays, rank, shared_);
    const std::string log =
        net_.Rows("attn.log_decay", LogDecay(), {gate}, decays, {.heads = shared_});
    const std::string decay =
        net_.Rows("attn.decay", Elementwise{{&Exp}}, {log}, decays, {.heads = shared_});
    const std::int64_t width = heads_ * values_;
    const std::string sum =
        net_.Recurrent("attn.recurrence", {keys_, values_, std::sqrt(static_cast<double>(keys_))},
                       {q, k, v, decay}, width, heads_, "attn.state", "attn.past");
    LayerNorm norm = net_.LoadRms("attn.g_norm", width, values_, eps_, affine_);
    norm.groups = heads_;
    std::string out = net_.Norm("attn.g_norm", sum, std::move(norm), heads_);
    if (gated_) {
      const std::string g = net_.Layer("attn.g_proj", x, width, width_, heads_);
      const std::string act =
          net_.Rows("attn.gate", Elementwise{{&Silu}}, {g}, width, {.heads = heads_});
      out = net_.Rows("attn.gated", Multiply{}, {out, act}, width, {.heads = heads_});
    }
    return net_.Sum("residual1", net_.Layer("attn.o_proj", out, width_, width), stream);
  }

  // Queries, keys or values.
  std::string Operand(const std::string& name, const std::string& x, std::int64_t heads,
                      std::int64_t width) {
    const std::int64_t columns = heads * width;
    const std::string p = "attn." + name;
    const std::string layer = net_.Layer(p + "_proj", x, columns, width_, heads);
    if (!convolved_) return layer;
    net_.CheckBias(p + "_conv1d", config_, "conv_bias");
    const std::string sums = net_.Convolution(p + "_conv", p + "_conv1d", layer, columns, taps_);
    return net_.Rows(p + "_conv1d", Elementwise{{&Silu}}, {sums}, columns, {.heads = heads});
  }

  // x + mlp(norm(x)). Older versions stack the gate on the layer that it multiplies.
  std::string Mlp(const std::string& stream) {
    const std::string x = Rms("mlp_norm", stream);
    std::string gate, up;
    if (!net_.Has("mlp.up_proj.weight") && net_.Has("mlp.gate_proj.weight") &&
        net_.RowsOf("mlp.gate_proj.weight") == 2 * hidden_) {
      auto [first, second] = Halves(net_.LoadLinear("mlp.gate_proj", 2 * hidden_, width_));
      gate = net_.Layer("mlp.gate_proj", std::move(first), x);
      up = net_.Layer("mlp.up_proj", std::move(second), x);
    } else {
      gate = net_.Layer("mlp.gate_proj", x, hidden_, width_);
      up = net_.Layer("mlp.up_proj", x, hidden_, width_);
    }
    const std::string act = net_.Rows("mlp.act", Elementwise{{&Silu}}, {gate}, hidden_);
    const std::string out = net_.Rows("mlp.swiglu", Multiply{}, {act, up}, hidden_);
    return net_.Sum("residual2", net_.Layer("mlp.down_proj", out, width_, hidden_), stream);
  }

  static std::pair<Linear, Linear> Halves(const Linear& both) {
    const auto half = [&](bool second) {
      const auto part = [&](const std::vector<float>& all) {
        const auto middle = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
        return second ? std::vector<float>(middle, all.end())
                      : std::vector<float>(all.begin(), middle);
      };
      return Linear{{{both.out_features() / 2, both.in_features()}, part(both.weight.data)},
                    part(both.bias)};
    };
    return {half(false), half(true)};
  }

  std::string Rms(const std::string& name, const std::string& stream) {
    return net_.Norm(name, stream, net_.LoadRms(name, width_, width_, eps_));
  }

  Elementwise LogDecay() const {
    return {{[normalizer = normalizer_, clamp = clamp_](double x) {
      const double log = -Softplus(-x) / normalizer;
      return clamp ? std::max(log, *clamp) : log;
    }}};
  }

  SequenceBuilder net_;
  const ModelConfig& config_;
  std::int64_t width_ = 0, heads_ = 0, shared_ = 0, hidden_ = 0;
  std::int64_t keys_ = 0, values_ = 0;  // columns of one head
  std::int64_t taps_ = 0;
  double eps_ = 0, normalizer_ = 0;
  std::optional<double> clamp_;  // of the log decay
  bool affine_ = true, gated_ = true, convolved_ = false;
};

}  // namespace

Network LoadGla(const Manifest& manifest) { return GlaLoader(manifest).Load(); }

}  // namespace qsim::network
