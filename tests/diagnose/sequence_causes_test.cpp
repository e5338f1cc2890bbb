// Causes in networks that carry state, and operations that read what the network does not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "golden/program/queries.h"
#include "sim/calibrate/calibrate.h"
#include "sim/calibrate/lower/rederivation.h"
#include "sim/diagnose/causes/causes.h"
#include "sim/diagnose/diagnosis.h"
#include "sim/error.h"
#include "sim/semantics/mixed.h"
#include "tests/diagnose/shipped_model.h"
#include "tests/network/sequence.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using ::testing::HasSubstr;

Diagnosis Diagnosed(const Bundle& bundle) {
  DiagnoseOptions options;
  options.scope = "model";
  options.threads = 2;
  options.recognise = RecogniseCauses;
  return Diagnose({TheSequence().model, bundle, TheSequence().evaluation}, options);
}
const Bundle& Healthy() {
  static const Bundle bundle = TheSequence().BundleOf({});
  return bundle;
}
double HealthyDb() {
  static const double db = Diagnosed(Healthy()).measured.output.Db();
  return db;
}

// One culprit, and the network without it as it was before.
Culprit OnlyCulprit(const Bundle& bundle, Cause cause, const std::string& tensor) {
  const Diagnosis diagnosis = Diagnosed(bundle);
  if (diagnosis.findings.size() != 1) {
    ADD_FAILURE() << tensor << ": " << diagnosis.findings.size() << " findings";
    return {};
  }
  const Culprit& found = diagnosis.findings[0];
  EXPECT_EQ(Name(found.cause), Name(cause)) << found.text;
  EXPECT_EQ(found.tensor, tensor) << found.text;
  EXPECT_NEAR(diagnosis.repaired_db, HealthyDb(), 1) << tensor;
  return found;
}

double EvidenceOf(const Culprit& culprit, const std::string& name) {
  for (const Evidence& e : culprit.evidence) {
    if (e.name == name) return e.value;
  }
  ADD_FAILURE() << "no evidence '" << name << "'";
  return 0;
}

TEST(SequenceCauses, NoneWhereNothingIsWrong) {
  for (const char* setting : {"hardware.state_bits=24", "hardware.state_bits=16",
                              "w8a8.wide_bits=8", "numerics.recurrence_chunk=16"}) {
    const Diagnosis found = Diagnosed(TheSequence().BundleOf({setting}));
    EXPECT_TRUE(found.healthy()) << setting << ": " << found.findings[0].text;
  }
}

// ---- states ----

TEST(SequenceCauses, AStateThatSaturates) {
  const std::vector<std::vector<std::string>> states = {{"state", "past"},
                                                        {"ssm_state", "ssm_past"}};
  for (const auto& names : states) {
    Bundle bundle = Healthy();
    int bits = 0;
    for (TensorInfo& info : bundle.program.tensors) {
      if (info.name != names[0] && info.name != names[1]) continue;
      bits = BitsFor({info.range.qmin, info.range.qmax}) - 5;
      const std::int32_t half = 1 << (bits - 1);
      info.range = {-half, half - 1};
    }
    Validate(bundle.program);
    const Culprit found = OnlyCulprit(bundle, Cause::kStateSaturates, names[0]);
    EXPECT_THAT(found.text, HasSubstr("'" + names[0] + "' of " + std::to_string(bits) + " bits"));
    EXPECT_GT(EvidenceOf(found, "updates clamped"), 0);
    // A quarter of the range is used where nothing saturates.
    EXPECT_NEAR(EvidenceOf(found, "bits for these data"), bits + 3, 1);
    EXPECT_GT(found.trial.output_after, found.trial.output_before + 3);
  }
}

TEST(SequenceCauses, ASequenceThatDoesNotBeginAtZero) {
  for (std::size_t c = 0; c < Healthy().program.carried.size(); ++c) {
    Bundle bundle = Healthy();
    const Carried& carried = bundle.program.carried[c];
    const QuantRange range = bundle.program.Tensor(carried.input).range;
    std::visit(
        [&]<typename T>(std::vector<T>& codes) {
          for (std::size_t i = 0; i < codes.size(); i += 2)
            codes[i] = static_cast<T>(range.qmax - static_cast<std::int32_t>(i));
        },
        bundle.program.constants.at(carried.initial).storage());
    Validate(bundle.program);
    const Culprit found = OnlyCulprit(bundle, Cause::kInitialState, carried.input);
    EXPECT_NEAR(EvidenceOf(found, "codes off"), 50, 1);
    EXPECT_EQ(found.trial.output_after, Finite(HealthyDb()));
  }
}

TEST(SequenceCauses, DecaysThatBecomeOne) {
  SequenceSubjects subject;
  subject.model.At("log_decay").function =
      network::Elementwise{{[](double x) { return -std::log1p(std::exp(-x)) / 400; }}};
  const std::string bits = "decay.bit_type.bits=8";
  const Config config = subject.ConfigWith({bits});
  const Bundle bundle = subject.Calibrated(config);
  const std::vector<Suspicion> found =
      RecogniseCauses({subject.model, bundle, subject.evaluation, &config}, 2);
  const auto decay = std::find_if(found.begin(), found.end(), [](const Suspicion& s) {
    return s.cause == Cause::kDecayRoundsToOne;
  });
  ASSERT_NE(decay, found.end());
  EXPECT_EQ(decay->tensor, "decay");
  EXPECT_EQ(decay->repairs.front().settings, std::vector<std::string>{"decay.bit_type.bits=16"});
  Bundle wide = bundle;
  decay->repairs.back().change(wide);
  Validate(wide.program);
  for (const Suspicion& s : RecogniseCauses({subject.model, wide, subject.evaluation, &config}, 2))
    EXPECT_NE(Name(s.cause), Name(Cause::kDecayRoundsToOne));
}

// ---- tables and factors ----

TEST(SequenceCauses, TablesOfAnotherFunction) {
  for (const char* name : {"decay", "log_decay", "a", "dt", "conv1d", "gate"}) {
    Bundle bundle = Healthy();
    auto& table = std::get<TableOp>(*ProducerOf(bundle.program, name)).table;
    const std::int32_t most = *std::max_element(table.begin(), table.end());
    for (std::int32_t& entry : table) entry = most - (most - entry) / 2;
    Validate(bundle.program);
    const Diagnosis found = Diagnosed(bundle);
    ASSERT_FALSE(found.healthy()) << name;
    EXPECT_EQ(found.findings[0].tensor, name);
    EXPECT_EQ(Name(found.findings[0].cause), "table") << found.findings[0].text;
    EXPECT_NEAR(found.repaired_db, HealthyDb(), 1) << name;
  }
}

TEST(SequenceCauses, FactorsThatAreDropped) {
  Bundle bundle = Healthy();
  auto& factor = bundle.program.constants.at("skip.acc.factor").As<std::int16_t>();
  std::fill(factor.begin(), factor.end(), std::int16_t{0});
  const Culprit found = OnlyCulprit(bundle, Cause::kConstants, "skip.acc");
  EXPECT_THAT(found.text, HasSubstr("'skip.acc.factor' are 0"));
}

TEST(SequenceCauses, AGateThatSaturates) {
  const Rederivation rederivation(TheSequence().model, TheSequence().evaluation);
  Bundle bundle = Healthy();
  Activation grid = StatedUnits(bundle, "gate");
  for (double& s : grid.scale) s *= 0.1;
  rederivation.Regrid(grid, bundle);
  const Culprit found = OnlyCulprit(bundle, Cause::kGateSaturates, "gate");
  EXPECT_THAT(found.text, HasSubstr("the gate saturates: the range ["));
}

// ---- wiring ----

// Every program in which one operation reads another tensor; visit(bundle, the operation's output).
template <typename Visit>
void ForEachRewiring(const Bundle& healthy, Visit visit) {
  for (std::size_t o = 0; o < healthy.program.ops.size(); ++o) {
    const std::size_t reads = InputsOf(healthy.program.ops[o]).size();
    for (std::size_t r = 0; r < reads; ++r) {
      for (const TensorInfo& other : healthy.program.tensors) {
        Bundle bundle = healthy;
        std::size_t i = 0;
        ForEachParameterOf(bundle.program.ops[o], [&](const Field& field, auto& member) {
          if constexpr (std::is_same_v<std::decay_t<decltype(member)>, std::string>) {
            if (field.role == Role::kReads && !member.empty() && i++ == r) member = other.name;
          }
        });
        if (bundle.program.ops[o] == healthy.program.ops[o]) continue;
        try {
          Validate(bundle.program);
        } catch (const ProgramError&) {
          continue;
        }
        visit(bundle, OutputOf(bundle.program.ops[o]));
      }
    }
  }
}

void ExpectWiringNamed(const network::Network& model, const ModelInputs& inputs,
                       const Bundle& bundle, const std::string& tensor) {
  if (RewiringsOf(bundle.program, model).empty()) return;  // the same real numbers
  EXPECT_THAT([&] { MixedExecutor(bundle, model, inputs); },
              ::testing::ThrowsMessage<InputError>(HasSubstr(tensor + ": reads '")));
  const std::vector<Suspicion> found = RecogniseCauses({model, bundle, inputs}, 2);
  const bool named = std::any_of(found.begin(), found.end(), [&](const Suspicion& s) {
    return s.cause == Cause::kWrongInput && s.tensor == tensor;
  });
  EXPECT_TRUE(named) << tensor << " reads "
                     << ::testing::PrintToString(InputsOf(*ProducerOf(bundle.program, tensor)));
}

TEST(Wiring, AnyOtherInputIsNamed) {
  EXPECT_TRUE(RewiringsOf(Healthy().program, TheSequence().model).empty());
  int count = 0;
  ForEachRewiring(Healthy(), [&](const Bundle& bundle, const std::string& tensor) {
    ++count;
    ExpectWiringNamed(TheSequence().model, TheSequence().evaluation, bundle, tensor);
  });
  EXPECT_GT(count, 100);
}

TEST(Wiring, OfAVisionTransformer) {
  const ShippedModel shipped;
  const Bundle healthy = shipped.Calibrated(ShippedModel::ConfigWith(), Scope::kBlock, {1});
  ModelInputs two = shipped.evaluation();
  EXPECT_TRUE(RewiringsOf(healthy.program, shipped.model()).empty());
  int count = 0;
  ForEachRewiring(healthy, [&](const Bundle& bundle, const std::string& tensor) {
    if (count++ % 3 == 0) ExpectWiringNamed(shipped.model(), two, bundle, tensor);
  });
  EXPECT_GT(count, 10);
}

TEST(Wiring, IsTheFirstFinding) {
  struct Rewired {
    std::string tensor, from, to;
  };
  for (const auto& [tensor, from, to] :
       std::vector<Rewired>{{"gated_norm", "gated", "sum"},
                            {"readout", "C", "B"},
                            {"sum", "skip", "readout"},
                            {"logits", "norm", "norm2"},
                            {"recurrence", "decay", "log_decay"},
                            {"residual2", "residual1", "embeddings"}}) {
    Bundle bundle = Healthy();
    ForEachParameterOf(*ProducerOf(bundle.program, tensor), [&](const Field& field, auto& member) {
      if constexpr (std::is_same_v<std::decay_t<decltype(member)>, std::string>) {
        if (field.role == Role::kReads && member == from) member = to;
      }
    });
    Validate(bundle.program);
    const Culprit found = OnlyCulprit(bundle, Cause::kWrongInput, tensor);
    EXPECT_THAT(found.text, HasSubstr("reads '" + to + "' where the network has '" + from + "'"));
  }
}

}  // namespace
}  // namespace qsim::testing
