#include "tests/network/plain_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace qsim::testing {
namespace {

double Silu(double x) { return x / (1 + std::exp(-x)); }
double Softplus(double x) { return std::log1p(std::exp(x)); }

PlainRows Columns(const PlainRows& x, std::size_t first, std::size_t count) {
  PlainRows out;
  for (const std::vector<double>& row : x)
    out.emplace_back(row.begin() + static_cast<std::ptrdiff_t>(first),
                     row.begin() + static_cast<std::ptrdiff_t>(first + count));
  return out;
}

PlainRows Sum(PlainRows a, const PlainRows& b) {
  for (std::size_t t = 0; t < a.size(); ++t) {
    for (std::size_t c = 0; c < a[t].size(); ++c) a[t][c] += b[t][c];
  }
  return a;
}

PlainRows TimesSilu(PlainRows a, const PlainRows& gate) {
  for (std::size_t t = 0; t < a.size(); ++t) {
    for (std::size_t c = 0; c < a[t].size(); ++c) a[t][c] *= Silu(gate[t][c]);
  }
  return a;
}

const char* Word(bool is) { return is ? "true" : "false"; }

}  // namespace

void PlainModel::Draw(const std::string& name, const Shape& shape, double spread, double middle) {
  FloatTensor tensor{shape, {}};
  for (std::int64_t i = 0; i < ElementCount(shape); ++i)
    tensor.data.push_back(static_cast<float>(
        middle + spread * static_cast<double>(random_.Between(-1000, 1000)) / 1000));
  tensors[name] = std::move(tensor);
}

void PlainModel::DrawLayer(const std::string& name, std::int64_t out, std::int64_t in, bool bias) {
  Draw(name + ".weight", {out, in}, 1.5 / std::sqrt(static_cast<double>(in)));
  if (bias) Draw(name + ".bias", {out}, 0.3);
}

PlainRows PlainModel::Table(const std::string& name, const std::vector<std::int32_t>& ids) const {
  const auto width = static_cast<std::size_t>(tensors.at(name).shape[1]);
  PlainRows rows;
  for (const std::int32_t id : ids) {
    rows.emplace_back();
    for (std::size_t c = 0; c < width; ++c)
      rows.back().push_back(At(name, static_cast<std::size_t>(id) * width + c));
  }
  return rows;
}

PlainRows PlainModel::Linear(const std::string& name, const PlainRows& x) const {
  return Linear(name + ".weight", name + ".bias", x);
}

PlainRows PlainModel::Head(const std::string& table, const PlainRows& x) const {
  const bool tied = !tensors.contains("lm_head.weight");
  return Linear(tied ? table : "lm_head.weight", "lm_head.bias", x);
}

PlainRows PlainModel::Linear(const std::string& weight, const std::string& bias,
                             const PlainRows& x) const {
  const auto outs = static_cast<std::size_t>(tensors.at(weight).shape[0]);
  PlainRows y;
  for (const std::vector<double>& row : x) {
    y.emplace_back();
    for (std::size_t o = 0; o < outs; ++o) {
      double sum = tensors.contains(bias) ? At(bias, o) : 0;
      for (std::size_t i = 0; i < row.size(); ++i) sum += At(weight, o * row.size() + i) * row[i];
      y.back().push_back(sum);
    }
  }
  return y;
}

PlainRows PlainModel::Rms(const std::string& name, const PlainRows& x, std::size_t group,
                          double eps) const {
  PlainRows y = x;
  const std::string weight = name + ".weight";
  for (std::vector<double>& row : y) {
    for (std::size_t first = 0; first < row.size(); first += group) {
      double squares = 0;
      for (std::size_t c = first; c < first + group; ++c) squares += row[c] * row[c];
      for (std::size_t c = first; c < first + group; ++c) {
        row[c] /= std::sqrt(squares / static_cast<double>(group) + eps);
        if (tensors.contains(weight)) row[c] *= At(weight, c % tensors.at(weight).data.size());
      }
    }
  }
  return y;
}

PlainRows PlainModel::LayerNorm(const std::string& name, const PlainRows& x, double eps) const {
  PlainRows y = x;
  for (std::vector<double>& row : y) {
    const auto count = static_cast<double>(row.size());
    double mean = 0, squares = 0;
    for (const double v : row) mean += v / count;
    for (const double v : row) squares += (v - mean) * (v - mean) / count;
    for (std::size_t c = 0; c < row.size(); ++c)
      row[c] = (row[c] - mean) / std::sqrt(squares + eps) * At(name + ".weight", c) +
               At(name + ".bias", c);
  }
  return y;
}

PlainRows PlainModel::ConvolvedSilu(const std::string& name, const PlainRows& x) const {
  const std::string weight = name + ".weight", bias = name + ".bias";
  const auto taps = static_cast<std::size_t>(tensors.at(weight).shape.back());
  PlainRows y = x;
  for (std::size_t t = 0; t < x.size(); ++t) {
    for (std::size_t c = 0; c < x[t].size(); ++c) {
      double sum = tensors.contains(bias) ? At(bias, c) : 0;
      for (std::size_t back = 0; back < taps && back <= t; ++back)
        sum += At(weight, c * taps + taps - 1 - back) * x[t - back][c];
      y[t][c] = Silu(sum);
    }
  }
  return y;
}

PlainGla::PlainGla(const GlaSettings& settings, std::uint64_t seed)
    : PlainModel(seed), s(settings) {
  const auto keys = static_cast<std::int64_t>(static_cast<double>(s.width) * s.expand_k);
  const auto values = static_cast<std::int64_t>(static_cast<double>(s.width) * s.expand_v);
  const std::int64_t fewer = s.heads / s.shared;
  Draw("model.embeddings.weight", {s.vocabulary, s.width}, 1);
  for (std::int64_t n = 0; n < s.blocks; ++n) {
    const std::string p = fmt::format("model.layers.{}.", n), a = p + "attn.";
    Draw(p + "attn_norm.weight", {s.width}, 0.4, 1);
    DrawLayer(a + "q_proj", keys, s.width, s.biased);
    DrawLayer(a + "k_proj", keys / fewer, s.width, s.biased);
    DrawLayer(a + "v_proj", values / fewer, s.width, s.biased);
    DrawLayer(a + "gk_proj.0", s.rank, s.width, s.biased);
    DrawLayer(a + "gk_proj.1", keys / fewer, s.rank, true);
    if (s.gated) DrawLayer(a + "g_proj", values, s.width, s.biased);
    for (const auto& [name, width] :
         {std::pair("q", keys), std::pair("k", keys / fewer), std::pair("v", values / fewer)}) {
      if (!s.convolved) continue;
      Draw(fmt::format("{}{}_conv1d.weight", a, name), {width, 1, s.taps}, 0.6);
      if (s.conv_bias) Draw(fmt::format("{}{}_conv1d.bias", a, name), {width}, 0.3);
    }
    const char* norm = s.gated && s.fused ? "g_norm_swish_gate" : "g_norm";
    if (s.affine) Draw(a + norm + ".weight", {values / s.heads}, 0.4, 1);
    DrawLayer(a + "o_proj", s.width, values, s.biased);
    Draw(p + "mlp_norm.weight", {s.width}, 0.4, 1);
    DrawLayer(p + "mlp.gate_proj", s.hidden, s.width, s.biased);
    DrawLayer(p + "mlp.up_proj", s.hidden, s.width, s.biased);
    DrawLayer(p + "mlp.down_proj", s.width, s.hidden, s.biased);
  }
  Draw("model.norm.weight", {s.width}, 0.4, 1);
  if (!s.tied) DrawLayer("lm_head", s.vocabulary, s.width, s.biased);
}

PlainRows PlainGla::Logits(const std::vector<std::int32_t>& ids) const {
  const auto heads = static_cast<std::size_t>(s.heads), width = static_cast<std::size_t>(s.width);
  const std::size_t sharing = heads / static_cast<std::size_t>(s.shared);
  PlainRows x = Table("model.embeddings.weight", ids);
  for (std::int64_t n = 0; n < s.blocks; ++n) {
    const std::string p = fmt::format("model.layers.{}.", n), a = p + "attn.";
    const PlainRows h = Rms(p + "attn_norm", x, width, s.eps);
    const auto operand = [&](const std::string& name) {
      const PlainRows y = Linear(a + name + "_proj", h);
      return s.convolved ? ConvolvedSilu(a + name + "_conv1d", y) : y;
    };
    const PlainRows q = operand("q"), k = operand("k"), v = operand("v");
    const PlainRows gate = Linear(a + "gk_proj.1", Linear(a + "gk_proj.0", h));
    const std::size_t dk = q[0].size() / heads, dv = v[0].size() * sharing / heads;
    PlainRows out(x.size(), std::vector<double>(heads * dv));
    for (std::size_t head = 0; head < heads; ++head) {
      PlainRows state(dk, std::vector<double>(dv));
      const std::size_t of = head / sharing;
      for (std::size_t t = 0; t < x.size(); ++t) {
        for (std::size_t i = 0; i < dk; ++i) {
          const double log = -Softplus(-gate[t][of * dk + i]) / s.normalizer;
          const double decay = std::exp(std::max(log, s.clamp));
          for (std::size_t j = 0; j < dv; ++j) {
            state[i][j] = decay * state[i][j] + k[t][of * dk + i] * v[t][of * dv + j];
            out[t][head * dv + j] +=
                q[t][head * dk + i] * state[i][j] / std::sqrt(static_cast<double>(dk));
          }
        }
      }
    }
    out = Rms(a + (s.gated && s.fused ? "g_norm_swish_gate" : "g_norm"), out, dv, s.eps);
    if (s.gated) out = TimesSilu(out, Linear(a + "g_proj", h));
    x = Sum(x, Linear(a + "o_proj", out));
    const PlainRows m = Rms(p + "mlp_norm", x, width, s.eps);
    x = Sum(x, Linear(p + "mlp.down_proj",
                      TimesSilu(Linear(p + "mlp.up_proj", m), Linear(p + "mlp.gate_proj", m))));
  }
  return Head("model.embeddings.weight", Rms("model.norm", x, width, s.eps));
}

std::string PlainGla::Config() const {
  return fmt::format(
      R"({{"architectures": ["GLAForCausalLM"], "attn": null, "attn_mode": "chunk", "bos_token_id": 1,
"clamp_min": {}, "conv_size": {}, "elementwise_affine": {}, "expand_k": {}, "expand_v": {},
"feature_map": null, "fuse_norm": {}, "gate_logit_normalizer": {}, "hidden_act": "swish",
"hidden_ratio": 4, "hidden_size": {}, "intermediate_size": {}, "max_position_embeddings": 64,
"model_type": "gla", "norm_eps": {}, "num_heads": {}, "num_hidden_layers": {}, "num_kv_heads": {},
"tie_word_embeddings": {}, "use_gk": true, "use_gv": false, "use_output_gate": {},
"use_short_conv": {}, "vocab_size": {}}})",
      s.clamp < -1e8 ? "null" : fmt::format("{}", s.clamp), s.taps, Word(s.affine), s.expand_k,
      s.expand_v, Word(s.fused), s.normalizer, s.width, s.hidden, s.eps, s.heads, s.blocks,
      s.shared == s.heads ? "null" : fmt::format("{}", s.shared), Word(s.tied), Word(s.gated),
      Word(s.convolved), s.vocabulary);
}

PlainMamba2::PlainMamba2(const Mamba2Settings& settings, std::uint64_t seed)
    : PlainModel(seed), s(settings) {
  const std::int64_t inner = s.width * s.expand, heads = inner / s.head;
  const std::int64_t convolved = inner + 2 * s.groups * s.state;
  Draw("backbone.embeddings.weight", {s.rows, s.width}, 1);
  const auto norm = [&](const std::string& name) {
    Draw(name + ".weight", {s.width}, 0.4, 1);
    if (!s.rms) Draw(name + ".bias", {s.width}, 0.3);
  };
  for (std::int64_t n = 0; n < s.blocks; ++n) {
    const std::string p = fmt::format("backbone.layers.{}.", n), m = p + "mixer.";
    norm(p + "norm");
    DrawLayer(m + "in_proj", inner + convolved + heads, s.width, s.bias);
    Draw(m + "conv1d.weight", {convolved, 1, s.taps}, 0.6);
    if (s.conv_bias) Draw(m + "conv1d.bias", {convolved}, 0.3);
    Draw(m + "dt_bias", {heads}, 2, -2);
    Draw(m + "A_log", {heads}, 1, 0.5);
    Draw(m + "D", {s.of_channel ? inner : heads}, 0.7, 0.5);
    if (s.normed) Draw(m + "norm.weight", {inner}, 0.4, 1);
    DrawLayer(m + "out_proj", s.width, inner, s.bias);
  }
  norm("backbone.norm_f");
  if (!s.tied) DrawLayer("lm_head", s.rows, s.width, false);
}

PlainRows PlainMamba2::Logits(const std::vector<std::int32_t>& ids) const {
  const auto width = static_cast<std::size_t>(s.width), head = static_cast<std::size_t>(s.head);
  const std::size_t inner = width * static_cast<std::size_t>(s.expand), heads = inner / head;
  const auto state = static_cast<std::size_t>(s.state), groups = static_cast<std::size_t>(s.groups);
  const std::size_t shared = groups * state;
  const auto normalised = [&](const std::string& name, const PlainRows& x) {
    return s.rms ? Rms(name, x, width, s.eps) : LayerNorm(name, x, s.eps);
  };
  PlainRows stream = Table("backbone.embeddings.weight", ids);
  for (std::int64_t n = 0; n < s.blocks; ++n) {
    const std::string p = fmt::format("backbone.layers.{}.", n), m = p + "mixer.";
    const PlainRows all = Linear(m + "in_proj", normalised(p + "norm", stream));
    const PlainRows z = Columns(all, 0, inner);
    const PlainRows conv = ConvolvedSilu(m + "conv1d", Columns(all, inner, inner + 2 * shared));
    PlainRows out(stream.size(), std::vector<double>(inner));
    for (std::size_t h = 0; h < heads; ++h) {
      const double a = -std::exp(At(m + "A_log", h));
      const std::size_t b = inner + h / (heads / groups) * state;
      PlainRows memory(head, std::vector<double>(state));
      for (std::size_t t = 0; t < stream.size(); ++t) {
        const double raw = all[t][2 * inner + 2 * shared + h] + At(m + "dt_bias", h);
        const double dt = std::min(std::max(Softplus(raw), s.low), s.high);
        for (std::size_t c = 0; c < head; ++c) {
          const double x = conv[t][h * head + c];
          double sum = At(m + "D", s.of_channel ? h * head + c : h) * x;
          for (std::size_t i = 0; i < state; ++i) {
            memory[c][i] = std::exp(dt * a) * memory[c][i] + dt * x * conv[t][b + i];
            sum += memory[c][i] * conv[t][b + shared + i];
          }
          out[t][h * head + c] = sum;
        }
      }
    }
    if (s.normed && s.before_gate) out = Rms(m + "norm", out, inner / groups, s.eps);
    out = TimesSilu(out, z);
    if (s.normed && !s.before_gate) out = Rms(m + "norm", out, inner / groups, s.eps);
    stream = Sum(stream, Linear(m + "out_proj", out));
  }
  return Head("backbone.embeddings.weight", normalised("backbone.norm_f", stream));
}

std::string PlainMamba2::Config() const {
  return fmt::format(
      R"({{"architectures": ["Mamba2ForCausalLM"], "bos_token_id": 0, "chunk_size": 64,
"conv_kernel": {}, "expand": {}, "head_dim": {}, "hidden_act": "silu", "hidden_size": {},
"layer_norm_epsilon": {}, "model_type": "mamba2", "n_groups": {}, "num_heads": {},
"num_hidden_layers": {}, "residual_in_fp32": true, "state_size": {}, "tie_word_embeddings": {},
"time_step_limit": [{}, {}], "time_step_rank": 8, "use_bias": {}, "use_conv_bias": {},
"vocab_size": {}}})",
      s.taps, s.expand, s.head, s.width, s.eps, s.groups, s.width * s.expand / s.head, s.blocks,
      s.state, Word(s.tied), s.low, s.high > 1e8 ? "Infinity" : fmt::format("{}", s.high),
      Word(s.bias), Word(s.conv_bias), s.vocabulary);
}

std::string PlainMamba2::StateSpaces() const {
  return fmt::format(
      R"({{"d_model": {}, "d_intermediate": 0, "n_layer": {}, "vocab_size": {}, "ssm_cfg":
{{"layer": "Mamba2", "d_state": {}, "d_conv": {}, "expand": {}, "headdim": {}, "ngroups": {},
"D_has_hdim": {}, "rmsnorm": {}, "norm_before_gate": {}, "bias": {}, "conv_bias": {},
"dt_limit": [{}, {}], "dt_min": 0.001}}, "attn_layer_idx": [], "attn_cfg": {{}}, "rms_norm": {},
"residual_in_fp32": true, "fused_add_norm": true, "pad_vocab_size_multiple": 8,
"tie_embeddings": {}}})",
      s.width, s.blocks, s.vocabulary, s.state, s.taps, s.expand, s.head, s.groups,
      Word(s.of_channel), Word(s.normed), Word(s.before_gate), Word(s.bias), Word(s.conv_bias),
      s.low, s.high > 1e8 ? R"({"__float__": "Infinity"})" : fmt::format("{}", s.high), Word(s.rms),
      Word(s.tied));
}

}  // namespace qsim::testing
