// Which requests are realised: docs/architecture.md, "What a granularity means in integers".
#include "sim/calibrate/plan/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "sim/error.h"
#include "sim/network/families/vit.h"
#include "tests/io/io_test_util.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using ::testing::HasSubstr;

Config ConfigWith(const std::vector<std::string>& settings) {
  Config config = Config::Defaults();
  for (const std::string& setting : settings) config.Set(setting);
  return config;
}

const network::Network& Shipped() {
  static const network::Network network =
      network::LoadVit(Manifest::Load(std::filesystem::path(QSIM_SOURCE_DIR) / "vectors"));
  return network;
}

Plan PlanOf(const Config& config, std::int64_t block, Realise realise = Realise::kExact) {
  return Plan(Shipped(), config, {Scope::kAttention, {block}}, realise);
}
const Section& SectionOf(const Plan& plan, const std::string& tensor) {
  return *plan.At("blocks.0." + tensor).section;
}
const Section& WeightOf(const Plan& plan, const std::string& tensor) {
  return *plan.At("blocks.0." + tensor).weight;
}

std::string ErrorOf(const std::vector<std::string>& settings) {
  try {
    PlanOf(ConfigWith(settings), 0);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

struct Refused {
  std::vector<std::string> settings;
  std::string tensor;
  std::string problem;
  std::string nearest;
  std::function<bool(const Plan&)> taken;  // what `--realise nearest` gives
};

std::vector<Refused> RefusedRequests() {
  constexpr auto kLayer = CalibrationMode::kLayerWise;
  constexpr auto kChannel = CalibrationMode::kChannelWise;
  constexpr auto kHead = CalibrationMode::kHeadWise;
  const std::string head = ".calibration_mode=head_wise";
  const std::string channel = ".calibration_mode=channel_wise";
  const std::string nine = ".bit_type.bits=9";
  const std::string zero = ".bit_type.symmetric=False";
  std::vector<Refused> all = {
      {{"attn_kv_out" + channel},
       "attn_kv_out",
       "a softmax row needs one scale",
       "head_wise",
       [=](const Plan& p) { return SectionOf(p, "attn_kv_out").calibration_mode == kHead; }},
      {{"intSoft" + channel},
       "intSoft",
       "one scale is fixed by the algorithm",
       "layer_wise",
       [=](const Plan& p) { return SectionOf(p, "intSoft").calibration_mode == kLayer; }},
      {{"intSoft" + head},
       "intSoft",
       "one scale is fixed by the algorithm",
       "layer_wise",
       [=](const Plan& p) { return SectionOf(p, "intSoft").calibration_mode == kLayer; }},
      {{"intSoft.bit_type.bits=6"},
       "intSoft",
       "softmax ibert_rn gives 8",
       "bits: 8",
       [](const Plan& p) { return SectionOf(p, "intSoft").bits == 8; }},
      {{"attn_q_out.smooth=0.5"},
       "attn_q_out",
       "smooth: 0.5: only the output of a norm",
       "smooth: 0",
       [](const Plan& p) { return SectionOf(p, "attn_q_out").smooth == 0; }},
      {{"attn_q_out.outlier_channels=0.01"},
       "attn_q_out",
       "outlier_channels: 0.01: only the output of a norm",
       "outlier_channels: 0",
       [](const Plan& p) { return SectionOf(p, "attn_q_out").outlier_channels == 0; }},
      {{"residual1.smooth=0.5"},
       "residual1",
       "smooth: 0.5: only the output of a norm",
       "smooth: 0",
       [](const Plan& p) { return SectionOf(p, "residual1").smooth == 0; }},
      {{"attn_qkv.output.smooth=1"},
       "attn_qkv.output",
       "smooth: 1: only the output of a norm",
       "smooth: 0",
       [](const Plan& p) { return !p.At("blocks.0.attn_qkv").section; }},
      {{"attn_proj.weight.smooth=0.5"},
       "attn_proj.weight",
       "the weights are what absorbs it",
       "smooth: 0",
       [](const Plan& p) { return WeightOf(p, "attn_proj").smooth == 0; }},
      {{"norm1.smooth=0.5", "norm1" + channel},
       "norm1",
       "channel_wise gives every channel a scale of its own",
       "smooth: 0",
       [=](const Plan& p) { return SectionOf(p, "norm1").calibration_mode == kChannel; }},
      {{"attn_v_input.smooth=0.5", "attn_v_out" + channel},
       "attn_v_out",
       "attn_v_input is smoothed",
       "layer_wise",
       [=](const Plan& p) { return SectionOf(p, "attn_v_out").calibration_mode == kLayer; }},
      {{"attn_q_out" + channel, "attn_k_out" + channel},
       "attn_k_out",
       "channel_wise on both Q and K",
       "layer_wise",
       [=](const Plan& p) {
         return SectionOf(p, "attn_q_out").calibration_mode == kChannel &&
                SectionOf(p, "attn_k_out").calibration_mode == kLayer;
       }},
      {{"norm1" + head},
       "norm1",
       "has no heads",
       "channel_wise",
       [=](const Plan& p) { return SectionOf(p, "norm1").calibration_mode == kChannel; }},
      {{"embed" + head},
       "input",
       "has no heads",
       "channel_wise",
       [=](const Plan& p) { return SectionOf(p, "input").calibration_mode == kChannel; }},
      {{"residual1" + head},
       "residual1",
       "has no heads",
       "channel_wise",
       [=](const Plan& p) { return SectionOf(p, "residual1").calibration_mode == kChannel; }},
      {{"residual1" + channel, "residual1" + zero},
       "residual1",
       "channel_wise residual stream with a zero point",
       "channel_wise symmetric",
       [](const Plan& p) {
         return !SectionOf(p, "residual1").has_zero_point && SectionOf(p, "residual1").is_signed;
       }},
      {{"attn_proj.weight" + head},
       "attn_proj.weight",
       "contraction axis",
       "channel_wise",
       [=](const Plan& p) { return WeightOf(p, "attn_proj").calibration_mode == kChannel; }},
      {{"attn_qkv.output" + channel, "attn_qkv.output" + zero,
        "attn_qkv.output.output_quant_enable=True"},
       "attn_qkv.output",
       "one zero point per channel",
       "symmetric",
       [](const Plan& p) { return !SectionOf(p, "attn_qkv").has_zero_point; }},
      {{"attn_proj.output" + head, "attn_proj.output.output_quant_enable=True"},
       "attn_proj.output",
       "has no heads",
       "channel_wise",
       [=](const Plan& p) { return SectionOf(p, "attn_proj").calibration_mode == kChannel; }},
      {{"hardware.requant=power_of_two", "attn_qkv.output.output_quant_enable=True"},
       "attn_qkv.output",
       "one int8 step cannot be a power of two apart",
       "output_quant_enable: False",
       [](const Plan& p) { return !p.At("blocks.0.attn_qkv").section; }},
      {{"hardware.requant=power_of_two", "attn_kv_out" + head,
        "attn_qkv.weight.calibration_mode=layer_wise"},
       "attn_kv_out",
       "layer_wise attn_qkv weights",
       "layer_wise",
       [=](const Plan& p) { return SectionOf(p, "attn_kv_out").calibration_mode == kLayer; }},
  };
  const std::string bits = "more than 8 bits are for the residual stream, scores and norm inputs";
  all.push_back({{"norm1" + nine}, "norm1", bits, "bits: 8", [](const Plan& p) {
                   return SectionOf(p, "norm1").bits == 8;
                 }});
  all.push_back({{"attn_q_out" + nine}, "attn_q_out", bits, "bits: 8", [](const Plan& p) {
                   return SectionOf(p, "attn_q_out").bits == 8;
                 }});
  all.push_back({{"attn_k_out" + nine}, "attn_k_out", bits, "bits: 8", [](const Plan& p) {
                   return SectionOf(p, "attn_k_out").bits == 8;
                 }});
  all.push_back({{"attn_v_input" + nine}, "attn_v_input", bits, "bits: 8", [](const Plan& p) {
                   return SectionOf(p, "attn_v_input").bits == 8;
                 }});
  all.push_back({{"attn_v_out" + nine}, "attn_v_out", bits, "bits: 8", [](const Plan& p) {
                   return SectionOf(p, "attn_v_out").bits == 8;
                 }});
  all.push_back({{"attn_qkv.weight" + nine}, "attn_qkv.weight", bits, "bits: 8", [](const Plan& p) {
                   return WeightOf(p, "attn_qkv").bits == 8;
                 }});
  all.push_back(
      {{"attn_proj.weight" + nine}, "attn_proj.weight", bits, "bits: 8", [](const Plan& p) {
         return WeightOf(p, "attn_proj").bits == 8;
       }});
  return all;
}

TEST(Plan, RefusalsNameOriginProblemAndNearestChoice) {
  for (const Refused& request : RefusedRequests()) {
    const std::string error = ErrorOf(request.settings);
    EXPECT_THAT(error, HasSubstr("--set: blocks.0." + request.tensor + ": cannot be realised"));
    EXPECT_THAT(error, HasSubstr(request.problem));
    EXPECT_THAT(error, HasSubstr("the nearest realisable choice is " + request.nearest));
    EXPECT_EQ(error.find('\n'), std::string::npos);
  }
}

TEST(Plan, NearestSubstitutesAndListsIt) {
  for (const Refused& request : RefusedRequests()) {
    const Plan plan = PlanOf(ConfigWith(request.settings), 0, Realise::kNearest);
    EXPECT_TRUE(request.taken(plan)) << request.tensor << ": " << request.problem;
    int listed = 0;
    for (const LoweringNote& note : plan.notes()) {
      if (note.kind != LoweringNote::Kind::kSubstitution) continue;
      EXPECT_EQ(note.tensor, "blocks.0." + request.tensor);
      EXPECT_THAT(note.text, HasSubstr(request.problem));
      EXPECT_THAT(note.text, HasSubstr(request.nearest + " taken"));
      ++listed;
    }
    EXPECT_EQ(listed, 1) << request.tensor;
  }
}

TEST(Plan, NamesTheLineOfAFile) {
  const testing::TempDir temp;
  const auto file = temp.path() / "mine.yaml";
  std::ofstream(file) << "norm1:\n  calibration_mode: layer_wise\n\nattn_kv_out:\n"
                         "  calibration_mode: channel_wise\n";
  try {
    PlanOf(Config::Load({file}), 2);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("mine.yaml:4"));
    EXPECT_THAT(error.what(), HasSubstr("blocks.2.attn_kv_out"));
  }
}

TEST(Plan, RealisableRequestsPass) {
  const std::vector<std::vector<std::string>> accepted = {
      {},
      {"attn_qkv.weight.calibration_mode=head_wise"},
      {"attn_q_out.calibration_mode=channel_wise"},
      {"attn_k_out.calibration_mode=channel_wise", "attn_q_out.calibration_mode=head_wise"},
      {"attn_v_input.calibration_mode=channel_wise", "attn_v_input.bit_type.symmetric=False"},
      {"attn_kv_out.calibration_mode=head_wise", "attn_kv_out.bit_type.bits=16"},
      {"residual1.calibration_mode=channel_wise"},
      {"embed.bit_type.bits=16", "embed.bit_type.symmetric=False"},
      {"residual1.bit_type.bits=2"},
      {"numerics.softmax=log_int"},
      {"intSoft.bit_type.bits=4", "intSoft.quantization_method=Log2", "numerics.softmax=log_int"},
      {"attn_qkv.output.bit_type.bits=16"},  // not quantized, so not looked at
      {"intSoft.observer_type=KLObserver"},  // no observer decides this scale
  };
  for (const auto& settings : accepted)
    EXPECT_EQ(ErrorOf(settings), "") << ::testing::PrintToString(settings);
}

// What the activation reads is no operand of the array: its algorithm says how wide it may be.
TEST(Plan, ActivationsReadUpTo16Bits) {
  const auto fc1 = [](const std::string& gelu, Realise realise) {
    return *Plan(Shipped(),
                 ConfigWith({"mlp_fc1.output.bit_type.bits=16", "numerics.gelu=" + gelu}),
                 {Scope::kBlock, {1}}, realise)
                .At("blocks.1.mlp_fc1")
                .section;
  };
  for (const char* gelu : {"table", "ibert", "deeploy"})
    EXPECT_EQ(fc1(gelu, Realise::kExact).bits, 16) << gelu;
  for (const std::string gelu : {"ita", "shiftgelu"}) {
    EXPECT_THAT(
        testing::ErrorOf([&] { fc1(gelu, Realise::kExact); }),
        HasSubstr("blocks.1.mlp_fc1.output: cannot be realised in integers: 16 bits: GELU " + gelu +
                  " reads 8; table, ibert and deeploy read up to 16"));
    EXPECT_EQ(fc1(gelu, Realise::kNearest).bits, 8) << gelu;
  }
}

TEST(Plan, EveryObserverServesEveryTensor) {
  for (const char* observer :
       {"MinmaxObserver", "PercentileObserver", "EmaObserver", "OmseObserver", "KLObserver",
        "PtfObserver", "HistogramPercentileObserver", "HistogramKLObserver",
        "HistogramOmseObserver"}) {
    for (const char* tensor : {"norm1", "attn_v_out", "attn_qkv.weight", "embed"}) {
      EXPECT_EQ(ErrorOf({std::string(tensor) + ".observer_type=" + observer}), "") << observer;
    }
  }
}

// Its channels share one zero point; those of other observers do not.
TEST(Plan, PtfGivesTheStreamChannelsAndAZeroPoint) {
  const std::string channels = "residual1.calibration_mode=channel_wise";
  const std::string zero_point = "residual1.bit_type={bits: 8, symmetric: False, name: uint8}";
  EXPECT_EQ(ErrorOf({channels, zero_point, "residual1.observer_type=PtfObserver"}), "");
  EXPECT_NE(ErrorOf({channels, zero_point, "residual1.observer_type=OmseObserver"}), "");
}

TEST(Plan, BlocksReadTheResidualStreamOfTheBlockBefore) {
  const Config config = ConfigWith({"embed.bit_type.bits=12", "residual2.bit_type.bits=14",
                                    "blocks.1.residual2.bit_type.bits=10"});
  const auto bits = [&](std::int64_t block) {
    return PlanOf(config, block).At("blocks." + std::to_string(block) + ".input").section->bits;
  };
  EXPECT_EQ(bits(0), 12);
  EXPECT_EQ(bits(1), 14);
  EXPECT_EQ(bits(2), 10);
}

}  // namespace
}  // namespace qsim::testing
