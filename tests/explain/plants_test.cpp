// How often planted faults are named: counted by kind. A false sentence is never allowed, and at
// most one place in ten may be left unexplained.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>

#include "sim/explain/explain_report.h"
#include "sim/explain/op_models.h"
#include "sim/explain/search.h"
#include "tests/explain/plants.h"

namespace qsim::testing {
namespace {

constexpr int kPlaces = 20;

bool Holds(const std::string& text, const std::vector<std::string>& right) {
  return std::any_of(right.begin(), right.end(), [&](const std::string& words) {
    return text.find(words) != std::string::npos;
  });
}

// Where the data cannot tell two rules apart, the planted one may be among the ties.
bool IsRight(const Plant& planted) {
  const Explanation& e = planted.explanation;
  if (e.verdict == Explanation::Verdict::kUnexplained && !planted.unexplained_is_right &&
      !e.floor_or_ceil)
    return false;
  const std::string sentence = SentenceOf(e);
  if (!std::all_of(planted.besides.begin(), planted.besides.end(),
                   [&](const std::string& words) { return Holds(sentence, {words}); }))
    return false;
  if (Holds(sentence, planted.right)) return true;
  return e.verdict == Explanation::Verdict::kExplained &&
         std::any_of(e.ties.begin(), e.ties.end(),
                     [&](const Tie& tie) { return Holds(tie.phrase, planted.right); });
}

class PlantedKind : public ::testing::TestWithParam<Kind> {};

TEST_P(PlantedKind, IsNamedOrLeftUnexplained) {
  SeededRandom random(17);
  int right = 0;
  int unexplained = 0;
  int wrong = 0;
  for (int place = 0; place < kPlaces; ++place) {
    Plant planted = GetParam().plant(random);
    // Where the fault changes nothing, another place.
    for (int again = 0; again < 60 && planted.explanation.mismatches < 5; ++again)
      planted = GetParam().plant(random);
    const Explanation& e = planted.explanation;
    ASSERT_GE(e.mismatches, 5);
    if (IsRight(planted)) {
      ++right;
      continue;
    }
    const bool silent = e.verdict == Explanation::Verdict::kUnexplained;
    (silent ? unexplained : wrong) += 1;
    std::cout << (silent ? "unexplained: " : "WRONG: ") << planted.parameters
              << "; planted: " << planted.right.front() << "\n"
              << ExplanationText(e);
  }
  std::cout << "rates: " << GetParam().name << ": right " << right << ", unexplained "
            << unexplained << ", false " << wrong << " of " << kPlaces << std::endl;
  EXPECT_EQ(wrong, 0);
  EXPECT_LE(unexplained * 10, kPlaces);
}

INSTANTIATE_TEST_SUITE_P(Requant, PlantedKind, ::testing::ValuesIn(RequantKinds()),
                         [](const auto& test) { return test.param.name; });
INSTANTIATE_TEST_SUITE_P(Product, PlantedKind, ::testing::ValuesIn(ProductKinds()),
                         [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(Part, PlantedKind, ::testing::ValuesIn(PartKinds()),
                         [](const auto& test) { return test.param.name; });
INSTANTIATE_TEST_SUITE_P(Softmax, PlantedKind, ::testing::ValuesIn(SoftmaxKinds()),
                         [](const auto& test) { return test.param.name; });
INSTANTIATE_TEST_SUITE_P(Norm, PlantedKind, ::testing::ValuesIn(NormKinds()),
                         [](const auto& test) { return test.param.name; });
INSTANTIATE_TEST_SUITE_P(Table, PlantedKind, ::testing::ValuesIn(TableKinds()),
                         [](const auto& test) { return test.param.name; });
INSTANTIATE_TEST_SUITE_P(Recurrence, PlantedKind, ::testing::ValuesIn(RecurrenceKinds()),
                         [](const auto& test) { return test.param.name; });

}  // namespace

Plant ExplainOutputs(const Program& program, const std::vector<TensorMap>& inputs,
                     const std::vector<std::int64_t>& actual, std::vector<std::string> right,
                     std::string parameters) {
  WideTensors wide;
  for (const TensorMap& image : inputs) {
    for (const auto& [name, tensor] : image) {
      const WideTensor one = Widen(tensor);
      WideTensor& all = wide[name];
      if (all.values.empty()) {
        all.shape = one.shape;
        all.shape.insert(all.shape.begin(), std::ssize(inputs));
      }
      all.values.insert(all.values.end(), one.values.begin(), one.values.end());
    }
  }
  const OpModel op = MakeOpModel(program, program.ops.front(), wide, actual);
  return {Explain(*op.model, actual, "y", op.golden),
          std::move(right),
          {},
          false,
          std::move(parameters)};
}

}  // namespace qsim::testing
