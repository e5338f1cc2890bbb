// What carries from token to token in float: the causal convolution, the recurrence with heads that
// share, and a sequence that is cut anywhere.
#include "sim/semantics/float_recurrence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "sim/semantics/float_run.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

FloatTensor Draw(SeededRandom& random, Shape shape, double low = -1, double high = 1) {
  FloatTensor x{std::move(shape), {}};
  for (std::int64_t i = 0; i < ElementCount(x.shape); ++i)
    x.data.push_back(static_cast<float>(
        low + (high - low) * static_cast<double>(random.Between(0, 1 << 20)) / (1 << 20)));
  return x;
}

double At(const FloatTensor& x, std::int64_t row, std::int64_t column) {
  return static_cast<double>(x.data[static_cast<std::size_t>(row * x.shape.back() + column)]);
}

struct Case {
  std::int64_t query, key, value, decay;  // heads
  bool decay_of_key;
  bool value_first;
};

// Every head with operands of its own, in double.
void ExpectsRecurrence(const Case& c, std::uint64_t seed) {
  SeededRandom random(seed);
  constexpr std::int64_t kRows = 9, kKeys = 3, kValues = 5;
  const std::int64_t states = std::max({c.key, c.value, c.decay});
  const std::int64_t outputs = std::max(c.query, states);
  const FloatTensor q = Draw(random, {kRows, c.query * kKeys});
  const FloatTensor k = Draw(random, {kRows, c.key * kKeys});
  const FloatTensor v = Draw(random, {kRows, c.value * kValues});
  const FloatTensor a = Draw(random, {kRows, c.decay * (c.decay_of_key ? kKeys : 1)}, 0, 1);
  const FloatTensor past =
      Draw(random, c.value_first ? Shape{states, kValues, kKeys} : Shape{states, kKeys, kValues});
  const auto element = [&](std::int64_t h, std::int64_t i, std::int64_t j) {
    return static_cast<std::size_t>(c.value_first ? (h * kValues + j) * kKeys + i
                                                  : (h * kKeys + i) * kValues + j);
  };
  const std::vector<const FloatTensor*> inputs = {&q, &k, &v, &a, &past};
  const FloatTensor out = FloatRecurrence({kKeys, kValues, 1.7, c.value_first}, inputs);
  const FloatTensor last = FloatFinalState({kKeys, kValues, c.value_first},
                                           std::vector<const FloatTensor*>{&k, &v, &a, &past});
  ASSERT_EQ(out.shape, (Shape{kRows, outputs * kValues}));
  ASSERT_EQ(last.shape, past.shape);
  for (std::int64_t o = 0; o < outputs; ++o) {
    const std::int64_t h = o / (outputs / states);
    for (std::int64_t j = 0; j < kValues; ++j) {
      std::vector<double> state;
      for (std::int64_t i = 0; i < kKeys; ++i)
        state.push_back(static_cast<double>(past.data[element(h, i, j)]));
      for (std::int64_t t = 0; t < kRows; ++t) {
        double sum = 0;
        for (std::int64_t i = 0; i < kKeys; ++i) {
          const std::int64_t of = h / (states / c.decay);
          const double decay = At(a, t, c.decay_of_key ? of * kKeys + i : of);
          double& s = state[static_cast<std::size_t>(i)];
          s = decay * s + At(k, t, h / (states / c.key) * kKeys + i) *
                              At(v, t, h / (states / c.value) * kValues + j);
          sum += At(q, t, o / (outputs / c.query) * kKeys + i) * s;
        }
        EXPECT_NEAR(At(out, t, o * kValues + j), sum / 1.7, 2e-6) << o << " " << t << " " << j;
      }
      for (std::int64_t i = 0; i < kKeys; ++i)
        EXPECT_NEAR(static_cast<double>(last.data[element(h, i, j)]),
                    state[static_cast<std::size_t>(i)], 2e-6);
    }
  }
}

TEST(FloatRecurrence, QueriesOfMoreHeadsThanKeysShareAState) {
  ExpectsRecurrence({4, 2, 2, 2, true, false}, 1);
}
TEST(FloatRecurrence, OneKeyForAllValuesAndADecayForEachState) {
  ExpectsRecurrence({1, 1, 4, 4, false, true}, 2);
}
TEST(FloatRecurrence, GroupsOfKeysAndQueries) {
  ExpectsRecurrence({2, 2, 6, 6, false, true}, 3);
  ExpectsRecurrence({2, 2, 6, 6, false, false}, 3);
}
TEST(FloatRecurrence, OneHead) { ExpectsRecurrence({1, 1, 1, 1, true, false}, 4); }

// Decay's columns alone do not tell 4 heads of one column from one head of 4.
TEST(HeadsOf, AsManyDecaysAsStatesAreOneForEach) {
  const network::RecurrenceHeads heads = network::HeadsOf(4, 8, 4, 4, 32, 4);
  EXPECT_FALSE(heads.decay_of_key);
  EXPECT_EQ(heads.decay, 4);
  EXPECT_EQ(heads.state, 4);
  const network::RecurrenceHeads shared = network::HeadsOf(4, 8, 32, 8, 16, 8);
  EXPECT_TRUE(shared.decay_of_key);
  EXPECT_EQ(shared.decay, 2);
  EXPECT_EQ(shared.state, 2);
  EXPECT_EQ(shared.output, 8);
}

TEST(FloatCausalConvolution, SeesItsOwnRowAndThoseBeforeIt) {
  SeededRandom random(5);
  constexpr std::int64_t kRows = 5, kChannels = 3, kTaps = 4;
  const FloatTensor x = Draw(random, {kRows, kChannels});
  const FloatTensor past = Draw(random, {kTaps - 1, kChannels});
  network::CausalConvolution convolution{Draw(random, {kChannels, kTaps}),
                                         Draw(random, {kChannels}).data};
  for (const bool biased : {true, false}) {
    if (!biased) convolution.bias.clear();
    const FloatTensor y = FloatCausalConvolution(convolution, x, past);
    for (std::int64_t t = 0; t < kRows; ++t) {
      for (std::int64_t c = 0; c < kChannels; ++c) {
        double sum =
            biased ? static_cast<double>(convolution.bias.at(static_cast<std::size_t>(c))) : 0;
        for (std::int64_t back = 0; back < kTaps; ++back) {
          const double from = t >= back ? At(x, t - back, c) : At(past, t - back + kTaps - 1, c);
          sum += from * At(convolution.weight, c, kTaps - 1 - back);
        }
        EXPECT_NEAR(At(y, t, c), sum, 1e-6) << t << " " << c;
      }
    }
  }
}

// Tokens to logits through everything that carries.
network::Network Carrying(SeededRandom& random) {
  constexpr std::int64_t kTokens = 11, kLength = 16, kWidth = 6, kKeys = 3, kValues = 2, kTaps = 3;
  network::Network net;
  const auto add = [&](const std::string& name, network::Function function,
                       std::vector<std::string> inputs, std::int64_t width) {
    net.Add({.name = name,
             .function = std::move(function),
             .inputs = std::move(inputs),
             .shape = {kLength, width},
             .length_axes = {0}});
  };
  net.Add({.name = "tokens",
           .function = network::Tokens{kTokens},
           .shape = {kLength},
           .length_axes = {0}});
  add("embeddings", network::Embedding{Draw(random, {kTokens, kWidth})}, {"tokens"}, kWidth);
  net.Add({.name = "past", .function = network::Past{}, .shape = {kTaps - 1, kWidth}});
  add("conv",
      network::CausalConvolution{Draw(random, {kWidth, kTaps}), Draw(random, {kWidth}).data},
      {"embeddings", "past"}, kWidth);
  net.Add({.name = "tail",
           .function = network::LastRows{},
           .inputs = {"embeddings", "past"},
           .shape = {kTaps - 1, kWidth}});
  add("decay",
      network::Elementwise{
          {[](double x) { return 0.6 + 0.1 * x; }, [](double x) { return 0.5 - 0.1 * x; }}},
      {"conv"}, kWidth);
  add("value", network::Columns{1}, {"conv"}, 2 * kValues);
  net.Add({.name = "state_past", .function = network::Past{}, .shape = {2, kKeys, kValues}});
  add("recurrence", network::Recurrence{kKeys, kValues, 2},
      {"embeddings", "conv", "value", "decay", "state_past"}, 2 * kValues);
  net.Add({.name = "state",
           .function = network::FinalState{kKeys, kValues},
           .inputs = {"conv", "value", "decay", "state_past"},
           .shape = {2, kKeys, kValues}});
  net.Add({.name = "scaled",
           .function = network::Scaled{Draw(random, {2 * kValues}).data},
           .inputs = {"recurrence"},
           .shape = {kLength, 2 * kValues},
           .part = 1,
           .length_axes = {0}});
  net.Add({.name = "gate",
           .function = network::Columns{4},
           .inputs = {"embeddings"},
           .shape = {kLength, 2},
           .part = 1,
           .length_axes = {0}});
  net.Add({.name = "gated",
           .function = network::Multiply{},
           .inputs = {"scaled", "gate"},
           .shape = {kLength, 2 * kValues},
           .part = 1,
           .length_axes = {0}});
  net.carried = {{"tail", "past"}, {"state", "state_past"}};
  return net;
}

using Taps = std::map<std::string, FloatTensor>;

// Rows of pieces under each other; what has no rows as the last piece has it.
Taps RunInPieces(const network::Network& net, const std::vector<std::int32_t>& ids,
                 const std::vector<std::size_t>& cuts) {
  Taps taps;
  const FloatRun run(net);
  FloatRun::State carried;
  std::size_t first = 0;
  for (const std::size_t end : cuts) {
    const auto count = static_cast<std::int64_t>(end - first);
    ModelInputs inputs;
    inputs.data = TokenInputs{IntTensor(
        {1, count}, std::vector<std::int32_t>(ids.begin() + static_cast<std::ptrdiff_t>(first),
                                              ids.begin() + static_cast<std::ptrdiff_t>(end)))};
    EXPECT_EQ(inputs.count(), 1);
    FloatRun::State state = run.Begin(inputs, 0, carried);
    for (int part = 0; part < net.parts(); ++part) {
      run.Part(part, state, [&](const network::Node& node, const FloatTensor& value) {
        FloatTensor& all = taps[node.name];
        if (node.length_axes.empty() || all.shape.empty()) {
          all = value;
          return;
        }
        all.shape[0] += value.shape[0];
        all.data.insert(all.data.end(), value.data.begin(), value.data.end());
      });
    }
    carried = run.Carried(std::move(state));
    first = end;
  }
  for (auto& [name, value] : carried) taps["carried " + name] = std::move(value);
  return taps;
}

TEST(FloatRun, ASequenceMayBeCutAnywhere) {
  SeededRandom random(6);
  const network::Network net = Carrying(random);
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 13; ++i) ids.push_back(static_cast<std::int32_t>(random.Between(0, 10)));
  const Taps whole = RunInPieces(net, ids, {ids.size()});
  ASSERT_EQ(whole.at("gated").shape, (Shape{13, 4}));
  ASSERT_EQ(whole.at("carried state_past").data, whole.at("state").data);
  ASSERT_NE(whole.at("carried past").data, whole.at("past").data);
  std::vector<std::vector<std::size_t>> all = {{}, {4, 5, 9, 13}};
  for (std::size_t one = 1; one <= ids.size(); ++one) {
    all[0].push_back(one);
    if (one < ids.size()) all.push_back({one, ids.size()});
  }
  for (const std::vector<std::size_t>& cuts : all) {
    for (const auto& [name, value] : RunInPieces(net, ids, cuts)) {
      if (name == "past" || name == "state_past") continue;  // of the last piece
      EXPECT_EQ(value.shape, whole.at(name).shape) << name;
      EXPECT_EQ(value.data, whole.at(name).data) << name << ", " << cuts.front();
    }
  }
}

TEST(FloatRun, AnEmbeddingHasTheRowsThatTokensName) {
  SeededRandom random(7);
  const network::Network net = Carrying(random);
  const Taps taps = RunInPieces(net, {3, 10, 3}, {3});
  const FloatTensor& table = net.FunctionOf<network::Embedding>("embeddings")->weight;
  for (std::int64_t c = 0; c < 6; ++c) {
    EXPECT_EQ(At(taps.at("embeddings"), 1, c), At(table, 10, c));
    EXPECT_EQ(At(taps.at("embeddings"), 2, c), At(table, 3, c));
  }
  EXPECT_ANY_THROW(RunInPieces(net, {11}, {1}));
  for (std::int64_t t = 0; t < 3; ++t) {
    for (std::int64_t c = 0; c < 6; ++c) {
      const double x = At(taps.at("conv"), t, c);
      EXPECT_NEAR(At(taps.at("decay"), t, c), c < 3 ? 0.6 + 0.1 * x : 0.5 - 0.1 * x, 1e-6);
    }
    for (std::int64_t c = 0; c < 4; ++c)
      EXPECT_EQ(At(taps.at("gated"), t, c),
                static_cast<double>(static_cast<float>(At(taps.at("scaled"), t, c)) *
                                    static_cast<float>(At(taps.at("embeddings"), t, 4 + c / 2))));
  }
}

}  // namespace
}  // namespace qsim::testing
