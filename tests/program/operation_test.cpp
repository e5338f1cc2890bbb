// What holds for every operation and every algorithm, whatever it is.
#include "golden/program/operation.h"
#include "tests/namespaces.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>

namespace qsim::testing {
namespace {

// Converts to any type: initializes a member without knowing it.
struct Anything {
  template <typename T>
  operator T() const;
};

template <std::size_t>
using AnythingAt = Anything;

template <typename T, std::size_t... I>
constexpr bool TakesMembers(std::index_sequence<I...>) {
  return requires { T{AnythingAt<I>()...}; };
}

// The number of members of an aggregate: the most initializers that it takes.
template <typename T, std::size_t kCount = 0>
constexpr std::size_t MemberCount() {
  if constexpr (TakesMembers<T>(std::make_index_sequence<kCount + 1>())) {
    return MemberCount<T, kCount + 1>();
  } else {
    return kCount;
  }
}

// How many members the description names, and that no two have one name.
template <typename T>
std::size_t CountFields(const std::string& what) {
  std::size_t count = 0;
  std::set<std::string> names;
  T value;
  T::Fields(value, [&]<typename M>(const Field& field, M&&) {
    EXPECT_TRUE(names.emplace(field.name).second) << what << " has two of " << field.name;
    if constexpr (!kIsFixed<std::remove_cvref_t<M>>) ++count;
  });
  return count;
}

template <typename T>
void CheckEveryMemberIsNamed(const std::string& what);

template <typename T>
void CheckAlgorithms(const std::string& /*what*/, const T&) {}
template <typename... T>
void CheckAlgorithms(const std::string& what, const std::variant<T...>&) {
  (CheckEveryMemberIsNamed<T>(what + " " + std::string(T::kName)), ...);
}
template <typename... T>
void CheckAlgorithms(const std::string& what, const std::vector<std::variant<T...>>&) {
  CheckAlgorithms(what, std::variant<T...>());
}

template <typename T>
void CheckEveryMemberIsNamed(const std::string& what) {
  EXPECT_EQ(CountFields<T>(what), MemberCount<T>()) << what << ": Fields forgets a member";
  T value;
  T::Fields(value, [&]<typename M>(const Field& field, M&&) {
    using Member = std::remove_cvref_t<M>;
    if constexpr (HasFields<Member>) {
      CheckEveryMemberIsNamed<Member>(what + " " + std::string(field.name));
    } else {
      CheckAlgorithms(what, Member());
    }
  });
}

template <typename... T>
void CheckAll(const std::variant<T...>&) {
  (CheckEveryMemberIsNamed<T>(std::string(T::kIs.kind)), ...);
}

TEST(Operations, FieldsNameEveryMember) { CheckAll(Op()); }

// The counting itself: a struct whose description forgets a member is caught.
struct Forgetful {
  int a = 0;
  std::string b;
  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"a"}, self.a);
  }
};
TEST(Operations, AForgottenMemberIsSeen) {
  EXPECT_EQ(MemberCount<Forgetful>(), 2U);
  EXPECT_EQ(CountFields<Forgetful>("forgetful"), 1U);
}

TEST(Operations, KindsAreDistinctAndWriteOneTensor) {
  std::set<std::string_view> kinds;
  for (std::size_t i = 0; i < std::variant_size_v<Op>; ++i) {
    const Op op = Alternative<Op>(i);
    EXPECT_TRUE(kinds.insert(KindName(op)).second) << KindName(op);
    EXPECT_FALSE(Describe(op).section.empty()) << KindName(op);
    int written = 0;
    std::visit(
        [&](const auto& o) {
          ForEachField(
              o, [&](const Field& field, const auto&) { written += field.role == Role::kWrites; });
        },
        op);
    EXPECT_EQ(written, 1) << KindName(op);
  }
}

TEST(Operations, NamesOfWhatIsRead) {
  const AddOp with_bias{.output = "y", .a = "x", .b = "", .bias = "bias"};
  EXPECT_EQ(InputsOf(with_bias), std::vector<std::string>{"x"});
  EXPECT_EQ(ConstantsOf(with_bias), std::vector<std::string>{"bias"});
  const AddOp of_two{.output = "y", .a = "x", .b = "z", .bias = ""};
  EXPECT_EQ(InputsOf(of_two), (std::vector<std::string>{"x", "z"}));
  EXPECT_TRUE(ConstantsOf(of_two).empty());
  const EmbedOp embed{.output = "y", .a = "x", .position = "p", .a_multiplier = {}};
  EXPECT_EQ(ConstantsOf(embed), std::vector<std::string>{"p"});
  EXPECT_EQ(OutputOf(embed), "y");
}

}  // namespace
}  // namespace qsim::testing
