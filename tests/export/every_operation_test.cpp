// What holds for every operation of the list, on random valid instances of it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "derivation/arbitrary.h"
#include "golden/kernels/fast_backend.h"
#include "golden/kernels/instruction_set.h"
#include "sim/bundle/parameter_table.h"
#include "sim/bundle/size_report.h"
#include "sim/export/describe.h"
#include "sim/io/files/output_directory.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using derivation::Arbitrary;
using derivation::Instance;
using testing::SeededRandom;

template <typename T>
class EveryOperation : public ::testing::Test {};

template <typename T>
struct TypesOf;
template <typename... T>
struct TypesOf<std::variant<T...>> {
  using Types = ::testing::Types<T...>;
};

struct Kinds {
  template <typename T>
  static std::string GetName(int) {
    return std::string(T::kIs.kind);
  }
};
TYPED_TEST_SUITE(EveryOperation, TypesOf<Op>::Types, Kinds);

template <typename T>
Instance Draw(SeededRandom& random) {
  return Arbitrary(std::type_identity<T>(),
                   [&](std::int64_t lo, std::int64_t hi) { return random.Between(lo, hi); });
}

// The choices that an instance made, so that a test can say that it met every one.
std::set<std::string> ChoicesOf(const ExportTable& table) {
  std::set<std::string> choices;
  for (const ExportParameter& parameter : table.operations.front().parameters) {
    if (const auto* choice = std::get_if<ExportChoice>(&parameter.value))
      choices.insert(choice->set + " " + choice->name);
  }
  return choices;
}

Bundle BundleOf(const Instance& instance) {
  Bundle bundle;
  bundle.program = instance.program;
  for (const TensorInfo& info : instance.program.tensors)
    bundle.scales[info.name] = {TensorScale::Kind::kLinear, ChannelAxis::kNone, {0.5}, {0}};
  for (const auto& [name, tensor] : instance.inputs) {
    Shape shape = tensor.shape();
    shape.insert(shape.begin(), 1);
    bundle.inputs[name] = IntTensor(shape, tensor.storage());
  }
  return bundle;
}

TYPED_TEST(EveryOperation, IsValidRunsAndIsOneForEveryBackend) {
  SeededRandom random;
  for (int i = 0; i < 300; ++i) {
    const Instance instance = Draw<TypeParam>(random);
    ASSERT_NO_THROW(Validate(instance.program)) << "instance " << i;
    GoldenBackend golden;
    RunStats golden_stats;
    const ExecuteOptions track = {.track_accumulators = true};
    const TensorMap values =
        Execute(instance.program, instance.inputs, 0, golden, &golden_stats, track);
    for (const std::string_view set : kernels::InstructionSets()) {
      SCOPED_TRACE(fmt::format("instance {} on {}", i, set));
      kernels::UseInstructionSet(set);
      FastBackend fast(instance.program);
      RunStats fast_stats;
      EXPECT_EQ(values, Execute(instance.program, instance.inputs, 0, fast, &fast_stats, track));
      EXPECT_EQ(values, Execute(instance.program, instance.inputs, 0, fast));
      EXPECT_EQ(golden_stats.saturated, fast_stats.saturated);
      for (const auto& [tap, range] : golden_stats.accumulators) {
        EXPECT_EQ(range.min, fast_stats.accumulators[tap].min) << tap;
        EXPECT_EQ(range.max, fast_stats.accumulators[tap].max) << tap;
      }
      ASSERT_FALSE(this->HasFailure());
    }
  }
}

bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

std::set<std::string> WordsOf(const std::string& text) {
  std::set<std::string> words;
  std::string word;
  for (const char c : text + " ") {
    if (IsWord(c)) {
      word += c;
    } else if (!word.empty()) {
      words.insert(std::exchange(word, ""));
    }
  }
  return words;
}

// Whatever number the arithmetic depends on stands in the formula.
TYPED_TEST(EveryOperation, FormulaNamesEveryParameter) {
  SeededRandom random;
  // What a softmax that is divided later has no use for.
  const std::set<std::string_view> last_step = {"extra_bits", "levels", "output_offset",
                                                "output_bits", "group"};
  for (int i = 0; i < 100; ++i) {
    const Instance instance = Draw<TypeParam>(random);
    const Op& op = instance.program.ops.front();
    const auto* softmax = std::get_if<SoftmaxOp>(&op);
    const bool later = softmax != nullptr && softmax->division == SoftmaxDivision::kAfter;
    const std::string formula = FormulaOf(instance.program, op);
    std::set<std::string> words = WordsOf(formula);
    std::visit(
        [&](const auto& o) {
          ForEachParameter(o, [&]<typename T>(const Field& field, const T& member) {
            bool used = true;
            switch (field.role) {
              case Role::kMultiplier:
              case Role::kShift:
              case Role::kInputZero:
              case Role::kOutputZero:
              case Role::kTable:
              case Role::kCoefficient:
                break;
              default:
                used = false;
            }
            // A flag picks the formula; a zero point that must be 0 has no place in it.
            if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, bool>) used = false;
            if constexpr (std::is_same_v<T, std::vector<std::int32_t>>)
              used =
                  used && std::any_of(member.begin(), member.end(), [](auto v) { return v != 0; });
            if constexpr (std::is_same_v<T, std::int32_t>)
              used = used && !(field.optional && member == 0);
            if (!used || (later && last_step.contains(field.name))) return;
            EXPECT_TRUE(words.contains(std::string(field.name))) << field.name << " is not in\n"
                                                                 << formula;
          });
        },
        op);
  }
}

TYPED_TEST(EveryOperation, SurvivesItsBundleAndIsDescribed) {
  SeededRandom random;
  testing::TempDir temp;
  std::set<std::string> met;
  std::set<std::string> sets;
  for (int i = 0; i < 150; ++i) {
    const Bundle bundle = BundleOf(Draw<TypeParam>(random));
    const std::filesystem::path path = temp.path() / std::to_string(i);
    {
      OutputDirectory output(path);
      SaveBundle(bundle, output);
    }
    const Bundle loaded = LoadBundle(path);
    ASSERT_EQ(loaded.program, bundle.program) << "instance " << i;
    EXPECT_EQ(loaded.inputs, bundle.inputs);
    const ExportTable table = BuildExportTable(bundle);
    ASSERT_EQ(table.operations.size(), 1U);
    EXPECT_EQ(table.operations.front().kind, TypeParam::kIs.kind);
    const std::string text = DescribeProgram(bundle, "");
    EXPECT_NE(text.find("[numerics.md " + std::string(TypeParam::kIs.section)), std::string::npos)
        << text;
    EXPECT_GE(SizeOf(bundle).table_bytes, 0);
    met.merge(ChoicesOf(table));
    for (const ExportChoice& choice : table.choices) sets.insert(choice.set + " " + choice.name);
  }
  // Every name of the sets that this operation uses. (A product's policy `error` proves its width.)
  for (const std::string& choice : sets) {
    const std::string set = choice.substr(0, choice.find(' ') + 1);
    const auto used = met.lower_bound(set);
    if (used == met.end() || !used->starts_with(set)) continue;
    EXPECT_TRUE(met.contains(choice)) << "no instance had " << choice;
  }
}

}  // namespace
}  // namespace qsim::testing
