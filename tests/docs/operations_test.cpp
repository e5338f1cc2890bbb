// The last section of docs/numerics.md says of every operation and every choice who computes it:
// what the descriptions, the backends and the batteries of the second derivation say.
// QSIM_WRITE_DOCS=1 writes the table.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "derivation/arbitrary.h"
#include "derivation/batteries.h"
#include "golden/kernels/fast_backend.h"
#include "sim/cosim/rtl_backend.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

// Whether a backend has a call of its own: a pointer to an inherited one is the base's.
template <typename Mine, typename Base>
constexpr bool Overrides(Mine, Base) {
  return !std::is_same_v<Mine, Base>;
}

// Whether RTL computes a call.
const std::map<std::string, bool>& RtlOfCalls() {
  using Golden = GoldenBackend;
  using Rtl = RtlBackend;
  static const std::map<std::string, bool> calls = {
      {"gemm", Overrides(&Rtl::Gemm, &Golden::Gemm)},
      {"requantize", Overrides(&Rtl::Requantize, &Golden::Requantize)},
      {"residual_add", Overrides(&Rtl::ResidualAdd, &Golden::ResidualAdd)},
  };
  return calls;
}

// Notes which calls an operation makes of a backend.
class Listener final : public GoldenBackend {
 public:
  void Gemm(const OpId& id, const LhsView& lhs, MatrixView<const std::int8_t> rhs,
            const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen) override {
    calls.insert("gemm");
    GoldenBackend::Gemm(id, lhs, rhs, params, out, seen);
  }
  std::int64_t Requantize(const OpId& id, std::span<const std::int32_t> in, std::int64_t row_length,
                          const RequantizeParams& params, std::span<std::int32_t> out) override {
    calls.insert("requantize");
    return GoldenBackend::Requantize(id, in, row_length, params, out);
  }
  std::int64_t ResidualAdd(const OpId& id, std::span<const std::int32_t> a,
                           std::span<const std::int32_t> b, std::int64_t row_length,
                           const ResidualAddParams& params, std::span<std::int32_t> out) override {
    calls.insert("residual_add");
    return GoldenBackend::ResidualAdd(id, a, b, row_length, params, out);
  }
  std::set<std::string> calls;
};

// The choices that an operation has, by the name of the field, in the order of their tables.
struct Choices {
  std::vector<std::pair<std::string, std::vector<std::string_view>>> fields;
  template <typename T>
  void operator()(const Field& field, const T& /*member*/) {
    using Member = std::remove_cvref_t<T>;
    if constexpr (kIsVariant<Member>) {
      const auto& names = AlgorithmNames<Member>::kNames;
      fields.emplace_back(field.name, std::vector<std::string_view>(names.begin(), names.end()));
    } else if constexpr (kIsVectorOfVariants<Member>) {
      (*this)(field, typename Member::value_type());
    } else if constexpr (std::is_same_v<Member, Accumulator>) {
      (*this)(Field{"accumulator"}, AccPolicy());
    } else if constexpr (Named<Member>) {
      if (field.role == Role::kAxis) return;
      std::vector<std::string_view> names;
      for (const auto& entry : kNamesOf<Member>) names.push_back(entry.name);
      fields.emplace_back(field.name, names);
    }
  }
};

std::string YesNo(bool yes) { return yes ? "yes" : "no"; }

struct Table {
  // "softmax": what has batteries, and "softmax ibert": one for this choice.
  std::set<std::string> derived;
  std::ostringstream text;

  Table() {
    for (const derivation::Battery& battery : derivation::AllBatteries()) {
      if (battery.scheme == "kernels") continue;
      std::string operation(battery.operation);
      // The same operation on a tensor.
      operation = operation.substr(0, operation.find("_tensor"));
      derived.insert(operation);
      derived.insert(operation + " " + std::string(battery.scheme));
    }
    text << "| operation | section | choice | golden | fast | RTL | proven |\n"
            "|---|---|---|---|---|---|---|\n";
  }

  // The arithmetic that an operation hands to its backend is derived once for all that use it. A
  // field by which no batteries are told apart is drawn at random in all of them.
  bool Derived(const std::set<std::string>& operations, const std::string& choice,
               const std::vector<std::string_view>& choices) const {
    return std::any_of(operations.begin(), operations.end(), [&](const std::string& operation) {
      const auto has = [&](std::string_view one) {
        return derived.contains(operation + " " + std::string(one));
      };
      return std::any_of(choices.begin(), choices.end(), has) ? has(choice)
                                                              : derived.contains(operation);
    });
  }

  void Row(const Op& op, const std::set<std::string>& calls, bool fast, const std::string& field,
           const std::string& choice, const std::vector<std::string_view>& choices = {}) {
    const bool rtl = !calls.empty() && std::all_of(calls.begin(), calls.end(), [&](const auto& c) {
      return RtlOfCalls().at(c);
    });
    text << "| " << KindName(op) << " | " << SectionOf(op) << " | "
         << (choice.empty() ? "" : field + " `" + choice + "`") << " | yes | " << YesNo(fast)
         << " | " << YesNo(rtl) << " | "
         << YesNo(Derived(calls.empty() ? std::set{std::string(KindName(op))} : calls, choice,
                          choices))
         << " |\n";
  }

  template <typename T>
  void Add(SeededRandom& random) {
    Listener listener;
    bool fast = true;
    for (int i = 0; i < 20; ++i) {
      const derivation::Instance instance = derivation::Arbitrary(
          std::type_identity<T>(),
          [&](std::int64_t lo, std::int64_t hi) { return random.Between(lo, hi); });
      Execute(instance.program, instance.inputs, 0, listener);
      FastBackend kernels(instance.program);
      Execute(instance.program, instance.inputs, 0, kernels);
      fast = fast && kernels.ByReference().empty();
    }
    Choices choices;
    const T op;
    ForEachField(op, choices);
    if (choices.fields.empty()) Row(op, listener.calls, fast, "", "");
    for (const auto& [field, names] : choices.fields) {
      for (const std::string_view name : names) {
        Row(op, listener.calls, fast, field, std::string(name), names);
      }
    }
  }

  template <typename... T>
  void AddAll(std::type_identity<std::variant<T...>>, SeededRandom& random) {
    (Add<T>(random), ...);
  }
};

TEST(Documents, TheTableOfOperationsIsWhatTheProgramSays) {
  SeededRandom random;
  Table table;
  table.AddAll(std::type_identity<Op>(), random);

  const std::string path = std::string(QSIM_SOURCE_DIR) + "/docs/numerics.md";
  std::stringstream file;
  file << std::ifstream(path).rdbuf();
  const std::string document = file.str();
  const std::size_t begin = document.find("| operation | section |");
  ASSERT_NE(begin, std::string::npos) << path;
  const std::string head = document.substr(0, begin);
  if (std::getenv("QSIM_WRITE_DOCS") != nullptr) std::ofstream(path) << head << table.text.str();
  EXPECT_EQ(document.substr(begin), table.text.str()) << "QSIM_WRITE_DOCS=1 writes it";
}

}  // namespace
}  // namespace qsim::testing
