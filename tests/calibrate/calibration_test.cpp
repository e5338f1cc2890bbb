// One pass over the inputs in pieces: what it depends on, and what it refuses.
#include "sim/calibrate/observe/calibration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "sim/calibrate/calibrate.h"
#include "sim/error.h"
#include "sim/network/families/vit.h"
#include "tests/support/float_values.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const char* const kSource = QSIM_SOURCE_DIR;

struct Loaded {
  Manifest manifest = Manifest::Load(std::filesystem::path(kSource) / "vectors");
  network::Network model = network::LoadVit(manifest);
  InputReader reader{manifest, manifest.Calibration(), InputUse::kCalibration};
};

Loaded& Shipped() {
  static Loaded loaded;
  return loaded;
}

Config ConfigWith(const std::string& observer) {
  Config config = Config::Defaults();
  if (observer.empty()) return config;
  for (const char* tensor :
       {"norm1", "attn_q_out", "attn_k_out", "attn_v_input", "attn_kv_out", "attn_v_out",
        "residual1", "residual2", "embed", "norm2", "mlp_fc1.output", "mlp_gelu", "norm"}) {
    config.Set(std::string(tensor) + ".observer_type=" + observer);
    config.Set(std::string(tensor) + ".kl_bins=256");  // quick
  }
  config.Set("attn_v_input.calibration_mode=head_wise");
  config.Set("attn_q_out.calibration_mode=channel_wise");
  config.Set("residual1.calibration_mode=channel_wise");
  return config;
}

// The range of every tensor, as bits.
std::vector<double> Ranges(const Observations& observations) {
  std::vector<double> all;
  for (const Observed& seen : observations.tensors()) {
    for (const RealRange& range : observations.Ranges(seen.node->name)) {
      all.insert(all.end(), {range.min, range.max});
    }
    for (const FixedSum& sum : seen.softmax_error) {
      all.push_back(std::ldexp(static_cast<double>(sum.whole()), 0));
      all.push_back(static_cast<double>(sum.fraction()));
    }
  }
  return all;
}

// Images of the shipped set, in the order that `order` gives.
CalibrationInputs Ordered(std::vector<std::int64_t> order) {
  const Loaded& loaded = Shipped();
  CalibrationInputs inputs;
  inputs.count = static_cast<std::int64_t>(order.size());
  inputs.source = InputSource::From(loaded.manifest.Calibration());
  inputs.read = [order = std::move(order)](std::int64_t first, std::int64_t) {
    return Shipped().reader.Read(order[static_cast<std::size_t>(first)], 1);
  };
  return inputs;
}

std::vector<std::int64_t> FirstImages(std::int64_t count) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

Observations Observe(const Config& config, const CalibrationInputs& inputs, std::int64_t batch,
                     int threads, Scope scope = Scope::kModel) {
  CalibrateOptions options;
  options.scope = scope;
  options.batch = batch;
  options.threads = threads;
  const Calibrator calibrator(Shipped().model, config, options);
  Observations observations = calibrator.NoObservations();
  calibrator.Observe(inputs, observations);
  return observations;
}

TEST(Calibration, MergeableObserversDependOnNeitherBatchThreadsNorOrder) {
  testing::SeededRandom random;
  for (const char* observer : {"MinmaxObserver", "HistogramPercentileObserver",
                               "HistogramKLObserver", "HistogramOmseObserver"}) {
    const Config config = ConfigWith(observer);
    const auto expected = Ranges(Observe(config, Ordered(FirstImages(20)), 32, 1));
    ASSERT_GT(expected.size(), 500u);
    EXPECT_EQ(Ranges(Observe(config, Ordered(FirstImages(20)), 7, 2)), expected) << observer;
    std::vector<std::int64_t> shuffled = FirstImages(20);
    std::ranges::shuffle(shuffled, random.engine());
    EXPECT_EQ(Ranges(Observe(config, Ordered(shuffled), 1, 3)), expected) << observer;
  }
}

TEST(Calibration, PublishedObserversDependOnTheBatchButNotOnThreads) {
  for (const char* observer :
       {"PercentileObserver", "EmaObserver", "OmseObserver", "KLObserver", "PtfObserver"}) {
    const Config config = ConfigWith(observer);
    const auto expected = Ranges(Observe(config, Ordered(FirstImages(12)), 5, 1));
    EXPECT_EQ(Ranges(Observe(config, Ordered(FirstImages(12)), 5, 3)), expected) << observer;
    EXPECT_NE(Ranges(Observe(config, Ordered(FirstImages(12)), 4, 1)), expected) << observer;
  }
}

TEST(Calibration, InMemoryAndInPiecesAreTheSame) {
  Loaded& loaded = Shipped();
  const ModelInputs all = loaded.reader.Read(0, 40);
  const Config config = ConfigWith("");
  EXPECT_EQ(
      Ranges(Observe(config, CalibrationInputs::From(all), 16, 2)),
      Ranges(Observe(config,
                     CalibrationInputs::From(loaded.reader, loaded.manifest.Calibration(), 0, 40),
                     16, 2)));
}

// Ranges straight from the float reference.
TEST(Calibration, ObservesWhatTheFloatReferenceComputes) {
  const Loaded& loaded = Shipped();
  const Observations seen = Observe(ConfigWith(""), Ordered(FirstImages(3)), 2, 2);
  std::map<std::string, RealRange> expected;
  for (std::int64_t i = 0; i < 3; ++i) {
    for (const auto& [name, value] :
         testing::FloatValues(loaded.model, loaded.reader.Read(i, 1), 0)) {
      RealRange& range = expected[name];
      for (const float v : value.data) {
        range.min = std::min(range.min, static_cast<double>(v));
        range.max = std::max(range.max, static_cast<double>(v));
      }
    }
  }
  int compared = 0;
  for (const Observed& tensor : seen.tensors()) {
    if (tensor.observer == nullptr) continue;
    const std::string& name = tensor.node->name;
    const std::vector<RealRange> ranges = seen.Ranges(name);
    ASSERT_EQ(ranges.size(), 1u);
    EXPECT_EQ(ranges[0].min, expected.at(name).min) << name;
    EXPECT_EQ(ranges[0].max, expected.at(name).max) << name;
    ++compared;
  }
  // In a chained program the stream is observed where it is computed, not once more where it enters a block.
  EXPECT_EQ(compared, 4 * 11 + 1 + 2);
}

std::string ErrorOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

// Finite weights whose product is not: the first tensor, and the first input, in that order.
TEST(Calibration, NamesTheFirstTensorThatIsNotFinite) {
  network::Network model = Shipped().model;
  auto& fc1 = std::get<network::Projection>(model.At("blocks.2.mlp_fc1").function).layer;
  for (float& w : fc1.weight.data) w = std::copysign(3e38F, w);
  for (const int threads : {1, 3}) {
    CalibrateOptions options;
    options.threads = threads;
    const Config config = ConfigWith("");
    EXPECT_THAT(
        ErrorOf([&] { Calibrate(model, config, Ordered(FirstImages(9)), options); }),
        AllOf(HasSubstr("blocks.2.mlp_fc1[0, "), HasSubstr("is NaN for calibration input 0: ")));
  }
}

TEST(Calibration, NamesEveryTensorThatWasNeverSeen) {
  CalibrateOptions options;
  options.blocks = {1, 3};
  const Config config = ConfigWith("");
  const Calibrator calibrator(Shipped().model, config, options);
  Observations observations = calibrator.NoObservations();
  const std::string all = ErrorOf([&] { calibrator.Lower(observations, {}); });
  for (const char* block : {"blocks.1.", "blocks.3."}) {
    for (const char* tensor : {"input", "norm1", "attn_q_out", "attn_k_out", "attn_v_input",
                               "attn_kv_out", "attn_v_out", "residual1"}) {
      EXPECT_THAT(all, HasSubstr(std::string(block) + tensor));
    }
  }
  EXPECT_THAT(all, Not(HasSubstr("blocks.0")));
  calibrator.Observe(Ordered(FirstImages(2)), observations);
  EXPECT_EQ(ErrorOf([&] { calibrator.Lower(observations, {}); }), "");
}

TEST(Calibration, RefusesInputsOfOneValue) {
  ModelInputs inputs = Shipped().reader.Read(0, 3);
  for (std::uint8_t& p : std::get<ImageInputs>(inputs.data).pixels.As<std::uint8_t>()) p = 7;
  const Config config = ConfigWith("");
  EXPECT_THAT(ErrorOf([&] { Calibrate(Shipped().model, config, inputs, {}); }),
              HasSubstr("every value of the calibration input is the same (7)"));
}

TEST(Calibration, TokensMayDifferInLength) {
  const network::Network& model = Shipped().model;
  testing::SeededRandom random;
  CalibrationInputs inputs;
  inputs.count = 6;
  std::vector<ModelInputs> all;
  for (const std::int64_t tokens : {3, 3, 9, 1, 40, 17}) {
    const std::int64_t dim = model.At("embed").shape.back();
    FloatTensor embeddings{{1, tokens, dim}, {}};
    for (std::int64_t i = 0; i < tokens * dim; ++i) {
      embeddings.data.push_back(static_cast<float>(random.Between(-1000, 1000)) / 500);
    }
    all.push_back({embeddings, {}});
  }
  inputs.read = [&](std::int64_t first, std::int64_t) {
    return all[static_cast<std::size_t>(first)];
  };
  Config config = ConfigWith("HistogramOmseObserver");
  config.Set("attn_kv_out.calibration_mode=head_wise");
  const auto expected = Ranges(Observe(config, inputs, 4, 1));
  std::ranges::reverse(all);
  EXPECT_EQ(Ranges(Observe(config, inputs, 1, 2)), expected);
}

// FQ-ViT's use of it: the factors and the one zero point arrive in the program as they were
// observed.
TEST(Calibration, PtfFactorsReachTheResidualStream) {
  Config config = ConfigWith("");
  for (const std::string tensor : {"embed", "residual1", "residual2"}) {
    config.Set(tensor + ".calibration_mode=channel_wise");
    config.Set(tensor + ".observer_type=PtfObserver");
    config.Set(tensor + ".bit_type={bits: 8, symmetric: False, name: uint8}");
  }
  CalibrateOptions options;
  options.scope = Scope::kModel;
  const Calibrator calibrator(Shipped().model, config, options);
  Observations observations = calibrator.NoObservations();
  const CalibrationInputs inputs = Ordered(FirstImages(8));
  calibrator.Observe(inputs, observations);
  const Bundle bundle = calibrator.Lower(observations, inputs.source);
  std::set<double> factors;
  for (std::int64_t block = 0; block < Shipped().model.depth(); ++block) {
    for (const char* tensor : {"residual1", "residual2"}) {
      const std::string name = "blocks." + std::to_string(block) + "." + tensor;
      const TensorScale& scale = bundle.scales.at(name);
      const auto ranges = observations.Ranges(name);
      ASSERT_EQ(scale.scale.size(), ranges.size()) << name;
      ASSERT_EQ(scale.zero.size(), ranges.size()) << name;
      EXPECT_NE(scale.zero[0], 0) << name;
      const double largest = *std::ranges::max_element(scale.scale);
      for (std::size_t c = 0; c < ranges.size(); ++c) {
        const Quantization expected = QuantizationOf(ranges[c], {0, 255}, true);
        EXPECT_EQ(scale.scale[c], expected.scale) << name << " " << c;
        EXPECT_EQ(scale.zero[c], expected.zero) << name << " " << c;
        EXPECT_EQ(scale.zero[c], scale.zero[0]) << name << " " << c;
        factors.insert(scale.scale[c] / largest);
      }
    }
  }
  EXPECT_GE(factors.size(), 2u);
  for (const double f : factors) EXPECT_TRUE(f == 1 || f == 0.5 || f == 0.25 || f == 0.125) << f;
}

TEST(FixedSum, IsExactInEveryOrder) {
  testing::SeededRandom random;
  std::vector<double> values;
  for (int i = 0; i < 500; ++i) {
    values.push_back(std::ldexp(static_cast<double>(random.Between(0, std::int64_t{1} << 53)),
                                static_cast<int>(random.Between(-140, -14))));
  }
  const auto sum = [&] {
    FixedSum result;
    for (const double v : values) result.Add(v);
    return result;
  };
  const FixedSum expected = sum();
  std::ranges::shuffle(values, random.engine());
  const FixedSum found = sum();
  EXPECT_EQ(found.whole(), expected.whole());
  EXPECT_EQ(found.fraction(), expected.fraction());
  const double naive = std::accumulate(values.begin(), values.end(), 0.0);
  EXPECT_NEAR(expected.ToDouble(), naive, 1e-12 * naive);
  FixedSum half(1, std::uint64_t{1} << 63);
  half.Add(FixedSum(2, std::uint64_t{1} << 63));
  EXPECT_EQ(half.ToDouble(), 4);
}

}  // namespace
}  // namespace qsim::testing
