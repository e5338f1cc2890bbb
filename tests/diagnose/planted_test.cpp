// Every kind of fault at random places: the operation is always right, the cause or the sentence in
// nine of ten, and no sentence is false. QSIM_PLACES: places for each kind (1); QSIM_PLANTS: a
// directory with another model; QSIM_SET: settings; QSIM_KIND: one kind only; QSIM_DEBUG: the whole
// text of what is not right. The seed is the run's.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <regex>
#include <sstream>

#include "golden/program/queries.h"
#include "sim/diagnose/causes/causes.h"
#include "sim/diagnose/diagnosis_text.h"
#include "sim/error.h"
#include "tests/diagnose/plants.h"
#include "tests/diagnose/shipped_model.h"

namespace qsim::testing {
namespace {

constexpr int kMostDraws = 8;  // until one is no harmless one

struct Count {
  int places = 0, operation = 0, cause = 0, sentence = 0, unexplained = 0, missed = 0, wrong = 0;
};

std::string Setting(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : value;
}

class PlantedFaults : public ::testing::Test {
 protected:
  PlantedFaults()
      : shipped_(Setting("QSIM_PLANTS", QSIM_SOURCE_DIR "/vectors")),
        inputs_(shipped_.FirstImages(2)),
        healthy_(shipped_.Calibrated(Settings(), ScopeOfModel())),
        sound_(Diagnosed(healthy_)) {}

  // GELU by a table, so that there is one.
  static std::vector<std::string> Settings() {
    std::vector<std::string> settings;
    std::istringstream words(Setting("QSIM_SET", "numerics.gelu=table"));
    for (std::string word; words >> word;) settings.push_back(word);
    return settings;
  }
  Scope ScopeOfModel() const {
    return shipped_.model().Head() != nullptr ? Scope::kModel : Scope::kBlock;
  }
  Diagnosis Diagnosed(const Bundle& bundle) const {
    DiagnoseOptions options;
    options.scope = "model";
    options.threads = 2;
    options.recognise = RecogniseCauses;
    options.work = 0;  // the eight worst steps
    return Diagnose({shipped_.model(), bundle, inputs_}, options);
  }

  // Whether the fault can be heard: at the output, or at the operation.
  bool Harmless(const Diagnosis& d, const Planted& planted) const {
    if (sound_.measured.output.Db() - d.measured.output.Db() >= 4) return false;
    for (const TensorLoss& tap : d.measured.taps) {
      if (!planted.operations.contains(tap.tensor)) continue;
      const TensorLoss* before = sound_.measured.Find(tap.tensor);
      if (before != nullptr && before->OwnDb() - tap.OwnDb() >= 8 && tap.ExcessDb() >= 7)
        return false;
    }
    return true;
  }

  void Judge(const PlantKind& kind, const Planted& planted, const Diagnosis& d, Count& count) {
    ++count.places;
    std::string answer = "no culprit";
    std::string verdict = "MISSED";
    if (d.findings.empty()) {
      ++count.missed;
    } else {
      const Culprit& first = d.findings[0];
      answer = fmt::format("{} {}: {}", first.tensor, Name(first.cause), first.text);
      const bool operation = planted.operations.contains(first.tensor) || Reads(first, planted);
      const bool cause = planted.causes.contains(first.cause);
      const bool sentence = std::regex_search(first.text, std::regex(planted.says));
      count.operation += operation;
      count.cause += operation && cause;
      count.sentence += operation && sentence;
      const bool unexplained = first.cause == Cause::kUnexplained;
      count.unexplained += unexplained;
      const bool wrong = !unexplained && !(operation && (cause || sentence));
      count.wrong += wrong;
      verdict = wrong               ? "FALSE"
                : unexplained       ? "unexplained"
                : cause && sentence ? "right"
                                    : "half";
    }
    // Whatever else is found is found behind the repair, where only what was planted is left.
    for (std::size_t i = 1; i < d.findings.size(); ++i) {
      const Culprit& more = d.findings[i];
      if (planted.operations.contains(more.tensor) || Reads(more, planted)) continue;
      ++count.wrong;
      verdict = "FALSE";
      answer += fmt::format("\n   -> {} {}: {}", more.tensor, Name(more.cause), more.text);
    }
    if (verdict != "right" && std::getenv("QSIM_DEBUG")) fmt::print("{}\n", DiagnosisText(d));
    if (verdict != "right")
      fmt::print("{}: {} [{}]\n   -> {}\n", verdict, kind.name, planted.what, answer);
  }

  // A product's step is that of its requantization.
  bool Reads(const Culprit& first, const Planted& planted) const {
    const Op* op = ProducerOf(healthy_.program, first.tensor);
    if (op == nullptr || !AccumulatorOf(*op)) return false;
    const std::vector<std::string> readers = ReadersOf(healthy_.program, first.tensor);
    return readers.size() == 1 && planted.operations.contains(readers[0]) && !LinearOperandsOf(*op);
  }

  ShippedModel shipped_;
  ModelInputs inputs_;
  Bundle healthy_;
  Diagnosis sound_;
};

TEST_F(PlantedFaults, AreNamed) {
  const int places = std::stoi(Setting("QSIM_PLACES", "1"));
  const std::string only = Setting("QSIM_KIND", "");
  SeededRandom random;
  ASSERT_TRUE(sound_.healthy()) << DiagnosisText(sound_);
  Count all;
  fmt::print("{:<30}{:>7}{:>10}{:>7}{:>10}{:>12}{:>8}{:>7}\n", "kind", "places", "operation",
             "cause", "sentence", "unexplained", "missed", "false");
  for (const PlantKind& kind : PlantKinds()) {
    if (!only.empty() && kind.name.find(only) == std::string::npos) continue;
    Count count;
    for (int place = 0; place < places; ++place) {
      for (int draw = 0; draw < kMostDraws; ++draw) {
        Bundle faulty = healthy_;
        Planting planting{shipped_.model(), inputs_, random, faulty};
        std::optional<Planted> planted;
        try {
          planted = kind.plant(planting);
          if (planted) Validate(faulty.program);
        } catch (const InputError&) {
          continue;  // not what integers can do
        } catch (const ProgramError& e) {
          if (std::getenv("QSIM_DEBUG")) fmt::print("{}\n", e.what());
          continue;
        }
        if (!planted) continue;
        const Diagnosis d = Diagnosed(faulty);
        if (d.findings.empty() && Harmless(d, *planted)) continue;
        Judge(kind, *planted, d, count);
        break;
      }
    }
    fmt::print("{:<30}{:>7}{:>10}{:>7}{:>10}{:>12}{:>8}{:>7}\n", kind.name, count.places,
               count.operation, count.cause, count.sentence, count.unexplained, count.missed,
               count.wrong);
    std::fflush(stdout);
    all.places += count.places;
    all.operation += count.operation;
    all.cause += std::max(count.cause, count.sentence);
    all.unexplained += count.unexplained;
    all.missed += count.missed;
    all.wrong += count.wrong;
  }
  ASSERT_GT(all.places, 0);
  EXPECT_EQ(all.operation, all.places);
  EXPECT_GE(all.cause * 10, all.places * 9);
  EXPECT_LE(all.unexplained * 10, all.places);
  EXPECT_EQ(all.wrong, 0);
}

}  // namespace
}  // namespace qsim::testing
