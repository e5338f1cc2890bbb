// Networks that carry state, from calibration to integers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>

#include "golden/kernels/fast_backend.h"
#include "golden/program/executor.h"
#include "sim/bundle/grids_file.h"
#include "sim/calibrate/calibrate.h"
#include "sim/cosim/rtl_backend.h"
#include "sim/error.h"
#include "sim/run/run_images.h"
#include "sim/semantics/mixed.h"
#include "sim/statistics/metrics.h"
#include "tests/network/sequence.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using ::testing::HasSubstr;

IntTensor Ids(const ModelInputs& inputs, std::int64_t sequence, std::int64_t first,
              std::int64_t count, DType dtype) {
  IntTensor ids(dtype, {count});
  const IntTensor& all = std::get<TokenInputs>(inputs.data).ids;
  std::visit(
      [&]<typename T>(std::vector<T>& values) {
        for (std::int64_t i = 0; i < count; ++i)
          values[static_cast<std::size_t>(i)] =
              static_cast<T>(all.At(sequence * all.shape()[1] + first + i));
      },
      ids.storage());
  return ids;
}

// All taps of a sequence that is cut at these lengths; states: the last ones.
std::map<std::string, std::vector<std::int64_t>> InPieces(const Bundle& bundle,
                                                          const std::vector<std::int64_t>& pieces,
                                                          Backend& backend) {
  const Program& program = bundle.program;
  Execution execution(program, 0, backend);
  std::map<std::string, std::vector<std::int64_t>> taps;
  std::int64_t done = 0;
  for (const std::int64_t piece : pieces) {
    if (done > 0) execution.Advance();
    execution.Supply("tokens",
                     Ids(TheSequence().evaluation, 0, done, piece, program.Tensor("tokens").dtype));
    for (std::size_t i = 0; i < program.ops.size(); ++i) execution.Step(i);
    for (const auto& [name, value] : execution.values()) {
      if (program.Tensor(name).length_axes.empty()) taps[name].clear();
      for (std::int64_t i = 0; i < value.size(); ++i) taps[name].push_back(value.At(i));
    }
    done += piece;
  }
  for (const Carried& carried : program.carried) taps.erase(carried.input);
  return taps;
}

void ExpectFollowsTheFloats(const std::vector<std::string>& settings) {
  const Bundle bundle = TheSequence().BundleOf(settings);
  const MixedExecutor mixed(bundle, TheSequence().model, TheSequence().evaluation);
  const MixedState inputs = mixed.ExactInputs(0);
  const MixedState exact = mixed.Run(inputs, mixed.AllOf(Exactness::All()));
  const MixedState ideal = mixed.Run(inputs, mixed.AllOf(Exactness::Ideal()));
  const MixedState golden = mixed.Run(inputs, mixed.AllOf(Exactness::Golden()));
  for (const auto& [name, value] : golden) {
    if (exact.at(name)->real().data.size() != value->real().data.size()) ADD_FAILURE() << name;
    TensorMetrics of_golden, of_ideal;
    of_golden.Add(exact.at(name)->real().data, value->Doubles());
    of_ideal.Add(exact.at(name)->real().data, ideal.at(name)->Doubles());
    EXPECT_GT(of_golden.QsnrDb(), 14) << name;
    if (std::isfinite(of_golden.QsnrDb()) || std::isfinite(of_ideal.QsnrDb())) {
      EXPECT_NEAR(of_golden.QsnrDb(), of_ideal.QsnrDb(), 2) << name;
    }
  }
  const TensorMap taps = Execute(
      bundle.program,
      {{"tokens", Ids(TheSequence().evaluation, 0, 0, 48, bundle.program.Tensor("tokens").dtype)}},
      0, *std::make_unique<FastBackend>());
  for (const auto& [name, value] : golden) EXPECT_EQ(taps.at(name), *value->codes()) << name;
}

TEST(SequenceNetwork, TheIntegersFollowTheFloats) {
  ExpectFollowsTheFloats({});
  ExpectFollowsTheFloats({"numerics.recurrence_chunk=16"});
  ExpectFollowsTheFloats({"numerics.recurrence_chunk=7", "hardware.state_bits=16"});
}

// On the very operands, beside real numbers: what is read is no noisier, and a state not by much.
TEST(SequenceNetwork, ChunksHaveTheAccuracyOfTheRecurrence) {
  const auto own = [](const std::vector<std::string>& settings) {
    const Bundle bundle = TheSequence().BundleOf(settings);
    const MixedExecutor mixed(bundle, TheSequence().model, TheSequence().evaluation);
    const MixedState exact = mixed.Run(mixed.ExactInputs(0), mixed.AllOf(Exactness::All()));
    std::map<std::string, double> db;
    for (std::size_t node = 0; node < mixed.nodes(); ++node) {
      const std::string& name = mixed.NameOf(node);
      if (name != "recurrence" && name != "state" && name != "readout" && name != "ssm_state")
        continue;
      MixedState inputs;
      for (const std::string& read : mixed.ReadsOf(node))
        inputs[read] = mixed.OnGrid(read, exact.at(read)->real());
      TensorMetrics metrics;
      metrics.Add(mixed.Compute(node, Exactness::All(), inputs)->real().data,
                  mixed.Compute(node, Exactness::Golden(), inputs)->Doubles());
      db[name] = metrics.QsnrDb();
    }
    return db;
  };
  const auto recurrent = own({});
  EXPECT_EQ(recurrent.size(), 4U);
  for (const char* chunk : {"1", "8", "48"}) {
    for (const auto& [name, db] : own({std::string("numerics.recurrence_chunk=") + chunk})) {
      EXPECT_GT(db, name.ends_with("state") ? 80 : recurrent.at(name) - 1)
          << name << " by chunks of " << chunk;
    }
  }
}

TEST(SequenceNetwork, ItsGridsGiveItsBundle) {
  const Config config = TheSequence().ConfigWith({});
  const Bundle bundle = TheSequence().Calibrated(config);
  const TempDir temp;
  const auto path = temp.path() / "grids.yaml";
  std::ofstream(path) << GridsText(bundle);
  CalibrateOptions options;
  options.scope = Scope::kModel;
  options.grids = ReadGrids(path);
  const Bundle again =
      calibrate::Calibrate(TheSequence().model, config, TheSequence().calibration, options);
  EXPECT_EQ(again.scales, bundle.scales);
  EXPECT_TRUE(again.program == bundle.program);
}

// Keys that were pruned: the state stays empty, and its steps are within reach of a multiplier.
TEST(SequenceNetwork, AHeadMayHoldNothing) {
  SequenceSubjects subject;
  auto& keys = std::get<network::Projection>(subject.model.At("k").function).layer;
  const std::size_t half = keys.bias.size() / 2;
  std::fill_n(keys.bias.begin(), half, 0.0F);
  std::fill_n(keys.weight.data.begin(), keys.weight.data.size() / 2, 0.0F);
  for (const char* chunk : {"0", "16"}) {
    for (const char* bits : {"16", "8"}) {
      const Bundle bundle =
          subject.BundleOf({std::string("numerics.recurrence_chunk=") + chunk,
                            std::string("w8a8.wide_bits=") + bits, "w8a8.a_symmetric=True"});
      GoldenBackend golden;
      const std::vector<std::int64_t> state = InPieces(bundle, {48}, golden).at("state");
      const auto middle = state.begin() + static_cast<std::ptrdiff_t>(state.size() / 2);
      EXPECT_EQ(std::count(state.begin(), middle, 0), middle - state.begin());
      EXPECT_NE(std::count(middle, state.end(), 0), state.end() - middle);
    }
  }
}

TEST(SequenceNetwork, AnyCutGivesTheSameTaps) {
  for (const std::vector<std::string>& settings :
       {std::vector<std::string>{},
        {"w8a8.wide_bits=8", "hardware.state_bits=16"},
        {"numerics.recurrence=floor", "w8a8.a_symmetric=True"}}) {
    const Bundle bundle = TheSequence().BundleOf(settings);
    GoldenBackend reference;
    FastBackend fast;
    const auto whole = InPieces(bundle, {48}, reference);
    EXPECT_EQ(InPieces(bundle, {48}, fast), whole);
    EXPECT_EQ(InPieces(bundle, std::vector<std::int64_t>(48, 1), fast), whole);
    for (std::int64_t cut = 1; cut < 48; ++cut)
      EXPECT_EQ(InPieces(bundle, {cut, 48 - cut}, fast), whole) << cut;
  }
}

TEST(SequenceNetwork, WidthsAreThoseThatAreAskedFor) {
  const auto bits = [](const Bundle& bundle, const char* tensor) {
    const QuantRange range = bundle.program.Tensor(tensor).range;
    return BitsOf(StorageFor(range));
  };
  const Bundle wide = TheSequence().BundleOf({});
  const Bundle narrow = TheSequence().BundleOf({"w8a8.wide_bits=8", "hardware.state_bits=16"});
  for (const char* tensor : {"embeddings", "q.quant", "decay", "log_decay", "recurrence", "conv",
                             "conv1d", "dt", "a", "skip", "sum", "gate", "residual1"}) {
    EXPECT_EQ(bits(wide, tensor), std::string(tensor) == "recurrence" ? 8 : 16) << tensor;
    EXPECT_EQ(bits(narrow, tensor), 8) << tensor;
  }
  for (const Bundle* bundle : {&wide, &narrow}) {
    for (const char* tensor : {"norm1", "norm2", "xBC", "gated_norm"})
      EXPECT_EQ(bits(*bundle, tensor), 8) << tensor;
    for (const char* tensor : {"gated", "dt_x"}) EXPECT_EQ(bits(*bundle, tensor), 16) << tensor;
  }
  EXPECT_EQ(bits(wide, "state"), 32);
  EXPECT_EQ(bits(narrow, "state"), 16);
  EXPECT_EQ(wide.scales.at("ssm_state").scale.size(), 3u);
  EXPECT_EQ(wide.scales.at("norm1").scale.size(), 12u);  // smoothed
}

// Every product and every requantization, the convolution's among them, in pieces of any length.
TEST(SequenceNetwork, TheRtlAgrees) {
  if (!cosim::BuiltWithRtl()) GTEST_SKIP() << "built with -DQSIM_RTL=OFF";
  for (const std::vector<std::string>& settings :
       {std::vector<std::string>{}, {"w8a8.wide_bits=8", "w8a8.a_symmetric=True"}}) {
    const Bundle bundle = TheSequence().BundleOf(settings);
    const FloatSource floats = {TheSequence().model, TheSequence().evaluation};
    RunSettings run;
    run.images = 2;
    run.chunk = {20, 7};
    run.rtl.emplace();
    run.rtl->stall_probability = 0.2;
    const RunReport report = RunImages(bundle, &floats, run);
    EXPECT_EQ(report.total_mismatches(), 0);
    std::set<std::string> computed;
    for (const auto& product : report.cycles) computed.insert(product.name);
    for (const char* tensor : {"q", "q.quant", "conv.acc", "conv", "dt_x", "gated", "residual2"})
      EXPECT_TRUE(computed.contains(tensor)) << tensor;
    for (const TapReport& tap : report.taps) EXPECT_TRUE(tap.qsnr_db.has_value()) << tap.name;
  }
}

// A fused gate reads the product of two layers and not what a hook sees: what was never seen has no
// scale, and all of it is named.
TEST(SequenceNetwork, ATensorThatWasNeverSeenIsAnError) {
  const Config config = Config::Defaults(TheSequence().model.Vocabulary());
  CalibrateOptions options;
  options.scope = Scope::kModel;
  const Calibrator calibrator(TheSequence().model, config, options);
  try {
    calibrator.Lower(calibrator.NoObservations(), {});
    FAIL() << "accepted";
  } catch (const InputError& error) {
    for (const char* tensor : {"no statistics for", "gated", "conv1d", "state", "logits"})
      EXPECT_THAT(error.what(), HasSubstr(tensor));
  }
}

TEST(SequenceNetwork, SaysWhatItCannotRealise) {
  const auto message = [](const std::string& setting) -> std::string {
    try {
      TheSequence().BundleOf({setting});
    } catch (const InputError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_THAT(message("k.output.calibration_mode=channel_wise"),
              HasSubstr("what reads it takes one scale"));
  EXPECT_THAT(message("gate.bit_type.bits=16"), HasSubstr("it multiplies sum of 16"));
  EXPECT_THAT(message("xBC.bit_type.bits=16"), HasSubstr("bits: 8"));
  EXPECT_THAT(message("decay.calibration_mode=channel_wise"), HasSubstr("layer_wise"));
  EXPECT_THAT(message("hardware.requant=power_of_two"), HasSubstr("the recurrence recurrence"));
}

TEST(SequenceNetwork, WarnsOfARoundingThatDrifts) {
  for (const Rounding rounding : kAllRoundings) {
    const std::string name(Name(rounding));
    const Bundle bundle = TheSequence().BundleOf({"numerics.recurrence=" + name});
    const auto drifts = std::count_if(
        bundle.notes.begin(), bundle.notes.end(),
        [](const LoweringNote& note) { return note.text.find("drifts") != std::string::npos; });
    const auto states =
        std::count_if(bundle.program.ops.begin(), bundle.program.ops.end(),
                      [](const Op& op) { return std::holds_alternative<RecurrenceStateOp>(op); });
    EXPECT_EQ(drifts, rounding == Rounding::kFloor ? states : 0) << name;
    EXPECT_GT(states, 0);
  }
}

}  // namespace
}  // namespace qsim::testing
