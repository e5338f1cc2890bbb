// Language models without softmax attention, in float: two that are trained, against taps of
// another program; small random ones for each setting, against a plain implementation; what is
// refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <iostream>
#include <regex>

#include "sim/io/tensors/npy.h"
#include "sim/network/families/families.h"
#include "sim/network/families/model_config.h"
#include "tests/io/io_test_util.h"
#include "tests/network/plain_models.h"
#include "tests/support/float_values.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

ModelInputs InputsOf(std::vector<std::int32_t> ids) {
  ModelInputs inputs;
  const auto count = static_cast<std::int64_t>(ids.size());
  inputs.data = TokenInputs{IntTensor({1, count}, std::move(ids))};
  return inputs;
}

// Of the tensor's largest magnitude.
double WorstError(const FloatTensor& value, const std::vector<float>& expected) {
  double largest = 0, worst = 0;
  for (const float v : expected) largest = std::max(largest, static_cast<double>(std::fabs(v)));
  for (std::size_t i = 0; i < expected.size(); ++i)
    worst = std::max(worst, static_cast<double>(std::fabs(value.data.at(i) - expected[i])));
  return worst / largest;
}

// Some of the taps are stored column by column, which our reader refuses.
std::vector<float> TapOf(const fs::path& path, const TempDir& scratch) {
  std::string bytes = ReadBytes(path);
  const std::string columns = "'fortran_order': True, ", rows = "'fortran_order': False,";
  const std::size_t at = bytes.find(columns);
  if (at == std::string::npos) return ReadFloatNpy(path).data;
  bytes.replace(at, columns.size(), rows);
  WriteBytes(scratch.path() / "tap.npy", bytes);
  const FloatTensor stored = ReadFloatNpy(scratch.path() / "tap.npy");
  EXPECT_EQ(stored.shape.size(), 2U) << path;
  const auto height = static_cast<std::size_t>(stored.shape[0]);
  const std::size_t width = stored.data.size() / height;
  std::vector<float> tap;
  for (std::size_t i = 0; i < stored.data.size(); ++i)
    tap.push_back(stored.data[i % width * height + i / width]);
  return tap;
}

void ExpectsTapsOf(const std::string& model) {
  const auto shared = SharedDir();
  if (!shared || !fs::exists(*shared / "data" / model / "float_taps"))
    GTEST_SKIP() << "no ../shared beside the source tree and no QSIM_SHARED_DIR";
  const fs::path directory = *shared / "data" / model;
  const network::Network net = network::LoadNetwork(Manifest::Load(directory));
  const IntTensor tokens = ReadIntNpy(directory / "float_taps" / "tokens.npy");
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < tokens.size(); ++i)
    ids.push_back(static_cast<std::int32_t>(tokens.At(i)));
  const auto values = FloatValues(net, InputsOf(ids), 0);
  const TempDir scratch;
  double worst = 0;
  std::string where;
  int taps = 0;
  for (const auto& entry : fs::directory_iterator(directory / "float_taps")) {
    const std::string name = entry.path().stem();
    if (name == "tokens") continue;
    const std::vector<float> expected = TapOf(entry.path(), scratch);
    ASSERT_TRUE(values.contains(name)) << name;
    ASSERT_EQ(values.at(name).data.size(), expected.size()) << name;
    const double error = WorstError(values.at(name), expected);
    EXPECT_LE(error, 1e-4) << name;
    std::cout << fmt::format("{:<40} {:.2g}\n", name, error);
    if (error > worst) where = name;
    worst = std::max(worst, error);
    ++taps;
  }
  std::cout << fmt::format("{} taps; largest error of a tensor's largest magnitude: {:.2g}, {}\n",
                           taps, worst, where);
  EXPECT_GT(taps, 30);
}

TEST(TrainedLanguageModels, GlaHasTheTapsOfAnotherProgram) { ExpectsTapsOf("gla"); }
TEST(TrainedLanguageModels, Mamba2HasTheTapsOfAnotherProgram) { ExpectsTapsOf("mamba2"); }

class LanguageModels : public ::testing::Test {
 protected:
  LanguageModels() {
    fs::create_directory(dir_.path() / "calib");
    WriteNpy(dir_.path() / "calib" / "0.npy", IntTensor(Shape{4}, std::vector<std::uint8_t>(4)));
  }
  void Write(const std::map<std::string, FloatTensor>& tensors, const std::string& config,
             WeightDType dtype = WeightDType::kF32) const {
    std::vector<SafetensorsItem> items;
    for (const auto& [name, tensor] : tensors) items.push_back({name, dtype, tensor});
    WriteSafetensors(dir_.path() / "model.safetensors", items);
    WriteBytes(dir_.path() / "config.json", config);
  }
  network::Network Load() const { return network::LoadNetwork(Manifest::Load(dir_.path())); }
  static std::vector<float> LogitsOf(const network::Network& net) {
    EXPECT_EQ(net.nodes().back().name, "lm_head");
    return FloatValues(net, InputsOf(kIds), 0).at("lm_head").data;
  }
  std::vector<float> Logits(const std::map<std::string, FloatTensor>& tensors,
                            const std::string& config) const {
    Write(tensors, config);
    return LogitsOf(Load());
  }
  template <typename Model>
  void Expects(const Model& model, const std::string& config) const {
    const std::vector<float> logits = Logits(model.tensors, config);
    std::vector<float> expected;
    for (const std::vector<double>& row : model.Logits(kIds))
      expected.insert(expected.end(), row.begin(), row.end());
    ASSERT_EQ(logits.size(), expected.size());
    EXPECT_LE(WorstError({{}, logits}, expected), 1e-5) << config;
  }
  void Gla(const std::function<void(GlaSettings&)>& change) const {
    GlaSettings settings;
    change(settings);
    const PlainGla model(settings, 1);
    Expects(model, model.Config());
  }
  void Mamba2(const std::function<void(Mamba2Settings&)>& change) const {
    Mamba2Settings settings;
    change(settings);
    const PlainMamba2 model(settings, 1);
    Expects(model, model.Config());
  }
  void StateSpaces(const std::function<void(Mamba2Settings&)>& change) const {
    Mamba2Settings settings;
    settings.rows = 16;  // padded to a multiple of 8
    change(settings);
    PlainMamba2 model(settings, 1);
    std::map<std::string, FloatTensor> tensors = model.tensors;
    tensors["backbone.embedding.weight"] = tensors.at("backbone.embeddings.weight");
    tensors.erase("backbone.embeddings.weight");
    // mamba_ssm stores a head that is tied as well.
    if (settings.tied) tensors["lm_head.weight"] = tensors.at("backbone.embedding.weight");
    const std::vector<float> logits = Logits(tensors, model.StateSpaces());
    std::vector<float> expected;
    for (const std::vector<double>& row : model.Logits(kIds))
      expected.insert(expected.end(), row.begin(), row.end());
    EXPECT_LE(WorstError({{}, logits}, expected), 1e-5) << model.StateSpaces();
  }
  std::string Error(const std::map<std::string, FloatTensor>& tensors,
                    const std::string& config) const {
    Write(tensors, config);
    const std::string error = ErrorOf([&] { Load(); });
    EXPECT_LT(error.size(), 300 + dir_.path().string().size()) << error;
    return error;
  }

  inline static const std::vector<std::int32_t> kIds = {3, 0, 12, 5, 5, 7, 1, 0, 9, 2, 11};
  TempDir dir_;
};

// "key": what stands there, for another text.
std::string With(const std::string& config, const std::string& key, const std::string& value) {
  const std::regex stated("\"" + key + "\": (\\[[^\\]]*\\]|\"[^\"]*\"|[^,}]*)");
  if (std::regex_search(config, stated))
    return std::regex_replace(config, stated, "\"" + key + "\": " + value);
  return "{\"" + key + "\": " + value + ", " + config.substr(1);
}

TEST_F(LanguageModels, GlaAsItIs) {
  Gla([](GlaSettings&) {});
}
TEST_F(LanguageModels, GlaHeadsShareKeysAndValues) {
  Gla([](GlaSettings& s) { s.heads = 6, s.shared = 2, s.expand_k = 1, s.expand_v = 2; });
  Gla([](GlaSettings& s) { s.heads = 6, s.shared = 1, s.expand_v = 0.5; });
}
TEST_F(LanguageModels, GlaShortConvolutions) {
  Gla([](GlaSettings& s) { s.convolved = true; });
  Gla([](GlaSettings& s) {
    s.convolved = s.conv_bias = true;
    s.taps = 3;
    s.heads = 4;
    s.shared = 2;
    s.expand_k = 1;
  });
}
TEST_F(LanguageModels, GlaWithoutOutputGate) {
  Gla([](GlaSettings& s) { s.gated = false; });
}
TEST_F(LanguageModels, GlaNormsUnderEitherNameOrWithoutWeights) {
  Gla([](GlaSettings& s) { s.fused = false; });
  Gla([](GlaSettings& s) { s.affine = false, s.eps = 0.1; });
}
TEST_F(LanguageModels, GlaGates) {
  Gla([](GlaSettings& s) { s.normalizer = 2, s.rank = 5; });
  Gla([](GlaSettings& s) { s.normalizer = 1, s.clamp = -0.2, s.rank = 1; });
}
TEST_F(LanguageModels, GlaTiedHeadAndBiases) {
  Gla([](GlaSettings& s) { s.tied = true; });
  Gla([](GlaSettings& s) { s.biased = true, s.convolved = s.conv_bias = true; });
}
TEST_F(LanguageModels, GlaMlpWidthByRatio) {
  // 12 * 80 * 2 / 3 = 640, in steps of 256.
  GlaSettings settings;
  settings.hidden = 768;
  const PlainGla model(settings, 2);
  const std::string ratio = With(model.Config(), "hidden_ratio", "80");
  Expects(model, With(ratio, "intermediate_size", "null"));
}
TEST_F(LanguageModels, GlaGateStackedOnItsLayer) {
  const PlainGla model({}, 3);
  std::map<std::string, FloatTensor> stacked = model.tensors;
  for (const char* block : {"model.layers.0.", "model.layers.1."}) {
    const std::string up = std::string(block) + "mlp.up_proj.weight";
    FloatTensor& gate = stacked.at(std::string(block) + "mlp.gate_proj.weight");
    const FloatTensor second = stacked.at(up);
    gate.shape[0] *= 2;
    gate.data.insert(gate.data.end(), second.data.begin(), second.data.end());
    stacked.erase(up);
  }
  EXPECT_EQ(Logits(stacked, model.Config()), Logits(model.tensors, model.Config()));
}

TEST_F(LanguageModels, Mamba2AsItIs) {
  Mamba2([](Mamba2Settings&) {});
}
TEST_F(LanguageModels, Mamba2GroupsHeadsAndStates) {
  Mamba2([](Mamba2Settings& s) { s.groups = 2, s.head = 2, s.state = 3; });
  Mamba2([](Mamba2Settings& s) { s.groups = 4, s.head = 4, s.expand = 4, s.width = 4; });
  Mamba2([](Mamba2Settings& s) { s.head = 16, s.state = 16; });
  // As many heads as a state has channels: a decay for each head all the same.
  Mamba2([](Mamba2Settings& s) { s.head = 4, s.state = 4; });
}
TEST_F(LanguageModels, Mamba2ConvolutionAndBiases) {
  Mamba2([](Mamba2Settings& s) { s.conv_bias = false, s.taps = 2; });
  Mamba2([](Mamba2Settings& s) { s.bias = true, s.tied = false; });
}
TEST_F(LanguageModels, Mamba2TimeStepLimits) {
  Mamba2([](Mamba2Settings& s) { s.low = 0.1, s.high = 0.3; });
  Mamba2([](Mamba2Settings& s) { s.low = 0.2; });
}
TEST_F(LanguageModels, Mamba2OfStateSpaces) {
  StateSpaces([](Mamba2Settings&) {});
  StateSpaces([](Mamba2Settings& s) { s.tied = false, s.groups = 2; });
  StateSpaces([](Mamba2Settings& s) { s.of_channel = true, s.bias = true; });
  StateSpaces([](Mamba2Settings& s) { s.before_gate = true, s.groups = 2; });
  StateSpaces([](Mamba2Settings& s) { s.normed = false, s.high = 0.2; });
  StateSpaces([](Mamba2Settings& s) { s.rms = false, s.conv_bias = false; });
}
TEST_F(LanguageModels, Mamba2SettingsOfBothInOneConfiguration) {
  Mamba2Settings settings;
  settings.of_channel = true;
  settings.before_gate = true;
  const PlainMamba2 model(settings, 4);
  Expects(model, With(With(model.Config(), "norm_before_gate", "true"), "D_has_hdim", "true"));
}
// Its configurations said norm_before_gate: true, and its code took the gate first.
TEST_F(LanguageModels, TransformersFourTakesTheGateFirst) {
  const PlainMamba2 model({}, 5);
  const std::string config = With(model.Config(), "norm_before_gate", "true");
  Expects(model, With(config, "transformers_version", "\"4.44.0\""));
  EXPECT_THAT(Load().notes, Contains(HasSubstr("norm_before_gate")));
  Write(model.tensors, With(config, "transformers_version", "\"5.24.0\""));
  const std::vector<float> norm_first = LogitsOf(Load());
  EXPECT_NE(norm_first, Logits(model.tensors, model.Config()));
}

TEST_F(LanguageModels, InfinityInBothForms) {
  const PlainMamba2 model({}, 6);
  const std::vector<float> bare = Logits(model.tensors, model.Config());
  EXPECT_EQ(bare, Logits(model.tensors, With(model.Config(), "time_step_limit",
                                             R"([0.0, {"__float__": "Infinity"}])")));
}

TEST_F(LanguageModels, NamesBehindAnyPrefixAndWithoutOne) {
  const PlainGla gla({.tied = true}, 7);
  const PlainMamba2 mamba({}, 7);
  const auto expects = [&](const auto& model, const std::string& body) {
    const std::vector<float> logits = Logits(model.tensors, model.Config());
    for (const std::string prefix : {"", "module.", "module.model."}) {
      std::map<std::string, FloatTensor> renamed;
      for (const auto& [name, tensor] : model.tensors) renamed[prefix + name] = tensor;
      EXPECT_EQ(Logits(renamed, model.Config()), logits) << prefix;
    }
    std::map<std::string, FloatTensor> bare;
    for (const auto& [name, tensor] : model.tensors) bare[name.substr(body.size())] = tensor;
    EXPECT_EQ(Logits(bare, model.Config()), logits);
  };
  expects(gla, "model.");
  expects(mamba, "backbone.");
}

TEST_F(LanguageModels, HalfPrecisionWeights) {
  PlainGla model({}, 8);
  for (auto& [name, tensor] : model.tensors) {
    for (float& v : tensor.data) v = std::round(v * 128) / 128;
  }
  const std::vector<float> whole = Logits(model.tensors, model.Config());
  for (const WeightDType dtype : {WeightDType::kF16, WeightDType::kBf16}) {
    Write(model.tensors, model.Config(), dtype);
    const std::vector<float> logits = LogitsOf(Load());
    if (dtype == WeightDType::kF16) {
      EXPECT_EQ(logits, whole);
    }
    EXPECT_LE(WorstError({{}, logits}, whole), 0.05);
  }
}

// A sequence of 257 tokens in two pieces anywhere, and in chunks: every tap and state.
TEST_F(LanguageModels, ASequenceMayBeCutAnywhere) {
  GlaSettings convolved;
  convolved.convolved = true;
  convolved.shared = 1;
  const PlainGla gla(convolved, 9);
  const PlainMamba2 mamba({.head = 2, .groups = 2}, 9);
  SeededRandom random(10);
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 257; ++i) ids.push_back(static_cast<std::int32_t>(random.Between(0, 12)));
  const auto expects = [&](const network::Network& net) {
    const FloatRun run(net);
    const auto taps_of = [&](std::size_t chunk, std::size_t first_chunk) {
      std::map<std::string, std::vector<float>> taps;
      FloatRun::State carried;
      for (std::size_t first = 0; first < ids.size();) {
        const std::size_t end = std::min(ids.size(), first + (first == 0 ? first_chunk : chunk));
        const auto at = [&](std::size_t i) { return ids.begin() + static_cast<std::ptrdiff_t>(i); };
        FloatRun::State state = run.Begin(InputsOf({at(first), at(end)}), 0, carried);
        for (int part = 0; part < net.parts(); ++part) {
          run.Part(part, state, [&](const network::Node& node, const FloatTensor& value) {
            std::vector<float>& all = taps[node.name];
            if (node.length_axes.empty()) all.clear();
            all.insert(all.end(), value.data.begin(), value.data.end());
          });
        }
        carried = run.Carried(std::move(state));
        first = end;
      }
      for (const network::Carry& carry : net.carried) taps.erase(carry.input);
      return taps;
    };
    const auto whole = taps_of(257, 257);
    EXPECT_EQ(whole.at("tokens").size(), 257U);
    for (const std::size_t chunk : {1U, 16U, 64U, 256U}) EXPECT_EQ(taps_of(chunk, chunk), whole);
    for (std::size_t first = 1; first < 257; first += 5) EXPECT_EQ(taps_of(257, first), whole);
  };
  Write(gla.tensors, gla.Config());
  expects(Load());
  Write(mamba.tensors, mamba.Config());
  expects(Load());
}

// ---- what is refused ----

TEST_F(LanguageModels, SettingsThatAreNotCoveredAreNamed) {
  const PlainGla gla({}, 11);
  const PlainMamba2 mamba({}, 11);
  const auto of_gla = [&](const std::string& key, const std::string& value) {
    return Error(gla.tensors, With(gla.Config(), key, value));
  };
  const auto of_mamba = [&](const std::string& key, const std::string& value) {
    return Error(mamba.tensors, With(mamba.Config(), key, value));
  };
  const auto of_own = [&](const std::string& key, const std::string& value) {
    return Error(mamba.tensors, With(mamba.StateSpaces(), key, value));
  };
  EXPECT_THAT(of_gla("feature_map", "\"relu\""), HasSubstr("key 'feature_map': \"relu\""));
  EXPECT_THAT(of_gla("attn", R"({"layers": [1], "num_heads": 2})"),
              AllOf(HasSubstr("key 'attn.layers': [1]"), HasSubstr("softmax attention")));
  EXPECT_THAT(of_gla("use_gv", "true"), HasSubstr("key 'use_gv'"));
  EXPECT_THAT(of_gla("use_gk", "false"), HasSubstr("key 'use_gk'"));
  EXPECT_THAT(of_gla("attnres_block_size", "2"), HasSubstr("key 'attnres_block_size'"));
  EXPECT_THAT(of_gla("hidden_act", "\"powlu\""), HasSubstr("key 'hidden_act': 'powlu'"));
  EXPECT_THAT(of_gla("num_heads", "5"), HasSubstr("key 'expand_k'"));
  EXPECT_THAT(of_gla("num_kv_heads", "3"), HasSubstr("key 'num_kv_heads': 3 does not divide"));
  EXPECT_THAT(of_gla("hidden_size", "null"), HasSubstr("key 'hidden_size': is missing"));
  EXPECT_THAT(of_gla("hidden_size", "\"12\""), HasSubstr("expected a positive integer"));
  EXPECT_THAT(of_gla("num_hidden_layers", "1"),
              AllOf(HasSubstr("key 'num_hidden_layers': 1 blocks"), HasSubstr("layers.1.")));
  EXPECT_THAT(of_gla("num_hidden_layers", "3"), HasSubstr("holds 2"));
  EXPECT_THAT(of_gla("intermediate_size", "11"), HasSubstr("mlp.gate_proj.weight"));
  EXPECT_THAT(of_gla("use_shortconv", "true"), HasSubstr("did you mean 'use_short_conv'"));
  EXPECT_THAT(of_gla("rotary_something", "1"), HasSubstr("key 'rotary_something': is not known"));
  EXPECT_THAT(of_gla("conv_bias", "true"), ::testing::IsEmpty());  // nothing is convolved
  EXPECT_THAT(of_gla("use_short_conv", "true"), HasSubstr("q_conv1d.weight"));
  EXPECT_THAT(of_mamba("n_groups", "3"), HasSubstr("key 'n_groups': 3 do not divide 4 heads"));
  EXPECT_THAT(of_mamba("num_heads", "3"), HasSubstr("key 'num_heads'"));
  EXPECT_THAT(of_mamba("hidden_act", "\"gelu\""), HasSubstr("key 'hidden_act': 'gelu'"));
  EXPECT_THAT(of_mamba("time_step_limit", "[0.3, 0.1]"), HasSubstr("key 'time_step_limit'"));
  EXPECT_THAT(of_mamba("time_step_limit", "0.5"), HasSubstr("key 'time_step_limit'"));
  EXPECT_THAT(of_mamba("use_bias", "true"), HasSubstr("key 'use_bias': true, but"));
  EXPECT_THAT(of_mamba("use_conv_bias", "false"), HasSubstr("key 'use_conv_bias': false, but"));
  EXPECT_THAT(of_mamba("state_size", "6"), HasSubstr("in_proj.weight"));
  EXPECT_THAT(of_mamba("vocab_size", "20"), HasSubstr("embeddings.weight"));
  EXPECT_THAT(of_mamba("ssm_cfg", "{}"), HasSubstr("key 'ssm_cfg'"));
  EXPECT_THAT(of_mamba("D_has_hdim", "true"), HasSubstr("key 'D_has_hdim': true, but"));
  EXPECT_THAT(of_own("layer", "\"Mamba1\""), HasSubstr("key 'ssm_cfg.layer': \"Mamba1\""));
  EXPECT_THAT(of_own("d_intermediate", "64"), HasSubstr("key 'd_intermediate'"));
  EXPECT_THAT(of_own("attn_layer_idx", "[1]"), HasSubstr("key 'attn_layer_idx'"));
  EXPECT_THAT(Error(mamba.tensors, With(mamba.StateSpaces(), "d_state", "5, \"d_ssm\": 8")),
              HasSubstr("key 'ssm_cfg.d_ssm'"));
}

TEST_F(LanguageModels, TensorsAreReadOrNamed) {
  const PlainGla gla({}, 12);
  const PlainMamba2 mamba({}, 12);
  const auto changed = [](auto tensors, const std::function<void(decltype(tensors)&)>& change) {
    change(tensors);
    return tensors;
  };
  using Tensors = std::map<std::string, FloatTensor>;
  const auto of_gla = [&](const std::function<void(Tensors&)>& change) {
    return Error(changed(gla.tensors, change), gla.Config());
  };
  EXPECT_THAT(of_gla([](Tensors& t) { t.erase("model.layers.1.attn.o_proj.weight"); }),
              HasSubstr("model.layers.1.attn.o_proj.weight"));
  EXPECT_THAT(of_gla([](Tensors& t) {
                t["model.layers.1.attn.q_norm.weight"] = {{6}, {1, 1, 1, 1, 1, 1}};
              }),
              AllOf(HasSubstr("model.layers.1.attn.q_norm.weight"), HasSubstr("a GLA model")));
  EXPECT_THAT(of_gla([](Tensors& t) {
                t["model.norm.bias"] = {{12}, std::vector<float>(12)};
              }),
              HasSubstr("model.norm.bias"));
  EXPECT_THAT(of_gla([](Tensors& t) { t.at("model.layers.0.attn.v_proj.weight").data[14] = NAN; }),
              AllOf(HasSubstr("v_proj.weight"), HasSubstr("[1, 2]")));
  EXPECT_THAT(of_gla([](Tensors& t) { t.at("model.embeddings.weight").data[1] = INFINITY; }),
              AllOf(HasSubstr("embeddings.weight"), HasSubstr("[0, 1]")));
  EXPECT_THAT(of_gla([](Tensors& t) {
                t["model.layers.0.attn.g_norm.weight"] =
                    t.at("model.layers.0.attn.g_norm_swish_gate.weight");
              }),
              HasSubstr("one of them"));
  EXPECT_THAT(Error(changed(mamba.tensors,
                            [](Tensors& t) { t.at("backbone.layers.1.mixer.A_log").data[2] = 90; }),
                    mamba.Config()),
              AllOf(HasSubstr("mixer.A_log"), HasSubstr("[2] is 90")));
  // A head that is tied and not the table.
  EXPECT_THAT(Error(changed(mamba.tensors,
                            [](Tensors& t) {
                              t["lm_head.weight"] = t.at("backbone.embeddings.weight");
                              t["lm_head.weight"].data[5] += 1;
                            }),
                    mamba.Config()),
              HasSubstr("lm_head.weight"));
}

TEST_F(LanguageModels, AHeadThatNothingMentionsIsTied) {
  const PlainGla tied({.tied = true}, 13);
  const std::vector<float> logits = Logits(tied.tensors, tied.Config());
  EXPECT_EQ(Logits(tied.tensors, With(tied.Config(), "tie_word_embeddings", "null")), logits);
  EXPECT_THAT(Load().notes, Contains(HasSubstr("no lm_head.weight")));
  EXPECT_THAT(Error(tied.tensors, With(tied.Config(), "tie_word_embeddings", "false")),
              HasSubstr("lm_head.weight"));
}

TEST_F(LanguageModels, TheNetworkSaysWhatIsCarriedAndHowLongItIs) {
  const PlainMamba2 model({.head = 2, .groups = 2}, 14);
  Write(model.tensors, model.Config());
  const network::Network net = Load();
  ASSERT_EQ(net.carried.size(), 4U);
  EXPECT_EQ(net.carried[1].output, "layers.0.mixer.state");
  EXPECT_EQ(net.carried[1].input, "layers.0.mixer.past");
  EXPECT_EQ(net.At("layers.0.mixer.state").shape, (Shape{8, 2, 5}));
  EXPECT_EQ(net.At("layers.1.mixer.recurrence").length_axes, Shape{0});
  EXPECT_TRUE(net.At("lm_head").wide);
  EXPECT_EQ(net.classes(), 13);
  EXPECT_EQ(net.depth(), 2);
  EXPECT_NE(net.Vocabulary().Find("mixer.in_proj.weight"), nullptr);
  EXPECT_EQ(net.Vocabulary().Find("mixer.x"), nullptr);
}

TEST_F(LanguageModels, AManifestStatesNoGeometry) {
  const PlainGla model({}, 16);
  Write(model.tensors, model.Config());
  WriteBytes(dir_.path() / "manifest.yaml",
             "model: model.safetensors\nheads: 3\ncalibration: {tokens: calib}\n");
  EXPECT_THAT(ErrorOf([&] { Load(); }), AllOf(HasSubstr("key 'heads'"), HasSubstr("config.json")));
}

TEST_F(LanguageModels, WithoutConfigurationTheWeightsNameTheFamily) {
  const PlainGla model({}, 15);
  Write(model.tensors, model.Config());
  WriteBytes(dir_.path() / "manifest.yaml", "model: model.safetensors\n");
  fs::remove(dir_.path() / "config.json");
  EXPECT_THAT(ErrorOf([&] { Load(); }), HasSubstr("no config.json: the weights of a GLA model"));
}

}  // namespace
}  // namespace qsim::testing
