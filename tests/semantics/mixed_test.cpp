#include "sim/semantics/mixed.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "sim/error.h"
#include "tests/diagnose/shipped_model.h"
#include "tests/support/float_values.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

constexpr std::int64_t kImage = 3;

const ShippedModel& Shipped() {
  static const ShippedModel shipped;
  return shipped;
}

struct Case {
  std::string name;
  Scope scope;
  std::vector<std::string> settings;
};

class MixedOf : public ::testing::TestWithParam<Case> {
 protected:
  Bundle Calibrated() const { return Shipped().Calibrated(GetParam().settings, GetParam().scope); }
};

TensorMap CodesOf(const MixedExecutor& network, const MixedState& inputs) {
  TensorMap codes;
  for (const std::string& name : network.bundle().program.inputs) {
    const MixedTensor& input = *inputs.at(name);
    codes[name] =
        input.codes() != nullptr ? *input.codes() : *network.OnGrid(name, input.real())->codes();
  }
  return codes;
}

TEST_P(MixedOf, AllIntegerIsTheGoldenRun) {
  const Bundle bundle = Calibrated();
  const MixedExecutor network(bundle, Shipped().model(), Shipped().evaluation());
  const MixedState inputs = network.ExactInputs(kImage);
  const MixedState state = network.Run(inputs, network.AllOf(Exactness::Golden()));
  GoldenBackend backend;
  const TensorMap golden = Execute(bundle.program, CodesOf(network, inputs), kImage, backend);
  ASSERT_EQ(state.size(), golden.size());
  for (const auto& [name, expected] : golden) {
    ASSERT_NE(state.at(name)->codes(), nullptr) << name;
    EXPECT_EQ(*state.at(name)->codes(), expected) << name;
  }
}

std::map<std::string, FloatTensor> FloatTapsOf(const MixedExecutor& network, Scope scope) {
  std::map<std::string, FloatTensor> taps =
      FloatValues(Shipped().model(), Shipped().evaluation(), kImage);
  taps["head"] = taps["logits"];
  if (scope == Scope::kModel) taps.erase("image");
  for (std::size_t n = 0; n < network.nodes(); ++n) {
    std::string name = network.NameOf(n);
    for (const std::string suffix : {".acc", ".quant"}) {
      if (!name.ends_with(suffix)) continue;
      taps[name] = taps.at(name.substr(0, name.size() - suffix.size()));
    }
  }
  return taps;
}

TEST_P(MixedOf, AllExactIsTheFloatReference) {
  const Bundle bundle = Calibrated();
  const MixedExecutor network(bundle, Shipped().model(), Shipped().evaluation());
  const MixedState state =
      network.Run(network.ExactInputs(kImage), network.AllOf(Exactness::All()));
  const auto taps = FloatTapsOf(network, GetParam().scope);
  for (const auto& [name, tensor] : state) {
    if (name == "image" || name == "patches") continue;
    const FloatTensor& expected = taps.at(name);
    ASSERT_EQ(tensor->real().data.size(), expected.data.size()) << name;
    for (std::size_t i = 0; i < expected.data.size(); ++i) {
      ASSERT_NEAR(tensor->real().data[i], expected.data[i], 1e-5 * (1 + std::abs(expected.data[i])))
          << name << " " << i;
    }
  }
}

// A change of some nodes is what a run of its own gives, and touches nothing else.
TEST_P(MixedOf, ChangeIsARun) {
  const Bundle bundle = Calibrated();
  const MixedExecutor network(bundle, Shipped().model(), Shipped().evaluation());
  const MixedState inputs = network.ExactInputs(kImage);
  SeededRandom random;
  const Modes base_modes = network.AllOf(Exactness::Golden());
  const MixedState base = network.Run(inputs, base_modes);
  for (int trial = 0; trial < 4; ++trial) {
    Modes modes = base_modes;
    for (int i = 0; i < 3; ++i) {
      const auto node = static_cast<std::size_t>(
          random.Between(0, static_cast<std::int64_t>(network.nodes()) - 1));
      const std::int64_t bits = random.Between(1, 63);
      modes[node] = {(bits & 1) != 0, (bits & 2) != 0,  (bits & 4) != 0,
                     (bits & 8) != 0, (bits & 16) != 0, (bits & 32) != 0};
    }
    const MixedState changed = network.Change(inputs, base, base_modes, modes);
    const MixedState whole = network.Run(inputs, modes);
    for (const auto& [name, tensor] : whole) {
      const auto found = changed.find(name);
      const MixedTensor& got = found != changed.end() ? *found->second : *base.at(name);
      ASSERT_EQ(got.real().data, tensor->real().data) << name;
    }
  }
}

// Every tensor keeps its grid, and one that is only moved to another grid is where the golden one
// is, but for roundings.
TEST_P(MixedOf, IdealKeepsTheGrids) {
  const Bundle bundle = Calibrated();
  const MixedExecutor network(bundle, Shipped().model(), Shipped().evaluation());
  const MixedState inputs = network.ExactInputs(kImage);
  const MixedState golden = network.Run(inputs, network.AllOf(Exactness::Golden()));
  const Modes modes = network.AllOf(Exactness::Ideal());
  const MixedState state = network.Run(inputs, modes);
  int requantized = 0;
  for (std::size_t n = 0; n < network.nodes(); ++n) {
    const std::string& name = network.NameOf(n);
    if (bundle.program.Tensor(name).dtype == DType::kInt32) continue;
    ASSERT_NE(state.at(name)->codes(), nullptr) << name;
    const Op* op = network.OpOf(n);
    if (op == nullptr || !std::holds_alternative<RequantizeOp>(*op)) continue;
    ++requantized;
    const auto moved = network.Compute(n, Exactness::Ideal(), golden);
    const IntTensor& expected = *golden.at(name)->codes();
    // Two roundings, one of which may be down, and a multiplier that is rounded itself.
    double inexact = 0;
    const QuantRange range = bundle.program.Tensor(name).range;
    const double steps = static_cast<double>(range.qmax) - range.qmin;
    for (const Multiplier& m : std::get<RequantizeOp>(*op).scale) {
      if (m.m == 1) continue;  // a ratio that is a power of two
      inexact = std::max(inexact, steps / std::abs(m.m));
    }
    for (std::int64_t i = 0; i < expected.size(); ++i) {
      ASSERT_LE(static_cast<double>(std::abs(moved->codes()->At(i) - expected.At(i))),
                1.5 + inexact)
          << name << " " << i;
    }
  }
  EXPECT_GT(requantized, 0);
  const MixedState outputs = network.RunForOutputs(inputs, modes);
  ASSERT_EQ(outputs.size(), network.Last().size());
  for (const auto& [name, tensor] : outputs) {
    EXPECT_EQ(tensor->Doubles(), state.at(name)->Doubles()) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Configurations, MixedOf,
    ::testing::Values(
        Case{"attention", Scope::kAttention, {}}, Case{"block", Scope::kBlock, {}},
        Case{"model", Scope::kModel, {}},
        Case{"asymmetric",
             Scope::kModel,
             {"attn_q_out.bit_type.symmetric=False", "attn_k_out.bit_type.symmetric=False",
              "attn_v_input.bit_type.symmetric=False", "norm1.bit_type.symmetric=False",
              "attn_qkv.weight.bit_type.symmetric=False", "mlp_gelu.bit_type.symmetric=False"}},
        Case{"channel_wise",
             Scope::kBlock,
             {"norm1.calibration_mode=channel_wise", "attn_q_out.calibration_mode=channel_wise",
              "attn_v_input.calibration_mode=channel_wise",
              "residual1.calibration_mode=channel_wise"}},
        Case{"narrow_steps",
             Scope::kBlock,
             {"attn_qkv.output.output_quant_enable=True",
              "attn_proj.output.output_quant_enable=True"}},
        Case{"wide_scores_and_activations",
             Scope::kModel,
             {"attn_kv_out.bit_type.bits=16",
              "mlp_fc1.output.bit_type={bits: 16, symmetric: False}"}},
        Case{"wide_ibert",
             Scope::kModel,
             {"mlp_fc1.output.bit_type.bits=16", "numerics.gelu=ibert"}},
        Case{"log_int", Scope::kModel, {"numerics.softmax=log_int"}},
        Case{"saturating", Scope::kBlock, {"hardware.acc_bits=18", "hardware.acc_policy=saturate"}},
        Case{"ita", Scope::kModel, {"numerics.contract=ita"}},
        Case{"ivit", Scope::kModel, {"numerics.contract=ivit"}},
        Case{"tosa", Scope::kModel, {"numerics.contract=tosa"}},
        Case{"deeploy", Scope::kModel, {"numerics.contract=deeploy"}},
        Case{"power_of_two", Scope::kModel, {"numerics.contract=power-of-two"}}),
    [](const auto& one) { return one.param.name; });

// Between the two, nothing is lost but what a mode leaves: without rounding and with exact products
// the last tensor differs from float by the clipping alone, and so on down to nothing.
TEST(Mixed, ModesBoundWhatIsLost) {
  const Bundle bundle = Shipped().Calibrated(std::vector<std::string>{}, Scope::kModel);
  const MixedExecutor network(bundle, Shipped().model(), Shipped().evaluation());
  const MixedState inputs = network.ExactInputs(kImage);
  const auto noise = [&](Exactness e) {
    const MixedState exact = network.Run(inputs, network.AllOf(Exactness::All()));
    const MixedState state = network.Run(inputs, network.AllOf(e));
    const std::vector<float>& x = exact.at("logits")->real().data;
    const std::vector<float>& y = state.at("logits")->real().data;
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += std::pow(double{x[i]} - double{y[i]}, 2);
    return sum;
  };
  Exactness e = Exactness::All();
  EXPECT_EQ(noise(e), 0);
  e.unrounded = false;
  const double rounding = noise(e);
  EXPECT_GT(rounding, 0);
  e = Exactness::All();
  e.function = false;
  EXPECT_GT(noise(e), 0);
  e = Exactness::All();
  e.weights = false;
  EXPECT_GT(noise(e), 0);
  e = Exactness::All();
  e.ratio = false;
  EXPECT_LT(noise(e), rounding / 10);  // 16-bit multipliers cost far less than 8-bit rounding
}

TEST(Mixed, AnotherModelsProgramIsAnInputError) {
  const Bundle bundle = Shipped().Calibrated(std::vector<std::string>{}, Scope::kBlock);
  network::Network other = Shipped().model();
  std::get<network::Projection>(other.At("blocks.1.mlp_fc1").function).layer.weight.shape[0] /= 2;
  EXPECT_THROW(MixedExecutor(bundle, other, Shipped().evaluation()), InputError);
}

}  // namespace
}  // namespace qsim::testing
