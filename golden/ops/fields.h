// How an operation describes its parameters. Every operation, and every algorithm that it can name,
// has
//
//   template <typename Self, typename Visitor>
//   static void Fields(Self& self, Visitor&& v) { v(Field{"shift", ...}, self.shift); ... }
//
// which calls the visitor once for each member, in the order of the exported tables. Bundles,
// exports, reports and faults read this and nothing else. ForEachField is how they call it.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "golden/ops/names.h"

namespace qsim::golden {

// What a parameter is to its operation.
enum class Role : std::uint8_t {
  kWrites,       // the name of the tensor that it computes
  kReads,        // the name of a tensor that it reads; "" where it reads none
  kConstant,     // the name of a constant of the program; "" where it has none
  kWeight,       // the same, quantized like a tensor: it has a grid of its own
  kBias,         // the same, int32 and one entry for each output channel: tables list its values
  kMultiplier,   // M of a ratio of scales, or M and S: the first one belongs to the main input
  kShift,        // S of a ratio of scales
  kInputZero,    // zero point of an input
  kOutputZero,   // zero point of the output
  kAddend,       // added before a rounding
  kEpsilon,      // added to a sum of squares, under a root
  kTable,        // one entry for each code of the input
  kCoefficient,  // of the algorithm's own formula
  kSize,         // a number of rows, columns, heads, ..., or which of them
  kAxis,         // what the entries of its lists run along: part of their shape, not of a table
  kChoice,       // an enumerator: rounding, scheme, mode
  kAccumulator,  // width and policy
  kAlgorithm,    // a variant of algorithms, or one for each head
  kGroup,        // a struct with fields of its own
};

// What the entries of a list run along. A list of one entry holds for the whole tensor.
enum class Axis : std::uint8_t { kTensor, kChannel, kHead, kCode };
constexpr std::string_view Name(Axis axis) {
  constexpr std::string_view kNames[] = {"tensor", "channel", "head", "code"};
  return kNames[static_cast<std::size_t>(axis)];
}

struct Field {
  std::string_view name;
  Role role = Role::kCoefficient;
  int bits = 32;  // of an entry, as hardware stores it: 8, 16, 32 or 64
  bool is_signed = true;
  Axis axis = Axis::kTensor;
  bool optional = false;  // not written where it is empty or 0
};

// Multipliers that bring their shifts along are called "multiplier" or "..._multiplier": the name
// of the shifts.
inline std::string ShiftsOf(std::string_view multipliers) {
  constexpr std::string_view kMultiplier = "multiplier";
  return std::string(multipliers.substr(0, multipliers.size() - kMultiplier.size())) + "shift";
}

// A parameter that the algorithm fixes, beside relatives that choose it: tables list it, so that
// one block serves the family from one layout. No member stands behind it.
template <auto kValue>
struct Fixed {};

struct Description {
  std::string_view kind;     // "residual_add"
  std::string_view section;  // of docs/numerics.md
  bool clamps = false;       // to its output's range, which is then a parameter of its hardware
  // What it computes, line by line, in the names of its fields: x or a is the first tensor that it
  // reads, b the second, y the output. qmin and qmax are the output's range, input_qmin the
  // input's. An operation whose text depends on its parameters has a function Formula(program)
  // instead, and one whose section does a function Section(). Algorithms have kFormula or
  // Formula(), unless the operation has a FormulaOf(params).
  std::string_view formula = {};
  // Of the network's parameters, those with one entry for each channel of the output that went into
  // its integers beside its constants: gamma and beta.
  int float_vectors = 0;
  std::string_view in_words = kind;
};

// For unevaluated questions.
struct AnyVisitor {
  template <typename T>
  void operator()(const Field& /*field*/, T&& /*member*/) const {}
};

template <typename T>
concept HasFields = requires(T& t) {
  std::remove_const_t<T>::Fields(t, AnyVisitor{});
};

template <typename T>
inline constexpr bool kIsFixed = false;
template <auto kValue>
inline constexpr bool kIsFixed<Fixed<kValue>> = true;

template <typename T>
inline constexpr bool kIsVariant = false;
template <typename... T>
inline constexpr bool kIsVariant<std::variant<T...>> = true;

template <typename T>
inline constexpr bool kIsVector = false;
template <typename T>
inline constexpr bool kIsVector<std::vector<T>> = true;

template <typename T>
inline constexpr bool kIsVectorOfVariants = false;
template <typename... T>
inline constexpr bool kIsVectorOfVariants<std::vector<std::variant<T...>>> = true;

// Calls visitor(field, member) for each member of `self`, those of groups in place of the group. A
// visitor with a member function Fixed(field, value) hears of what the algorithm fixes as well.
template <HasFields Self, typename Visitor>
void ForEachField(Self& self, Visitor&& visitor) {
  std::remove_const_t<Self>::Fields(self, [&]<typename T>(const Field& field, T&& member) {
    using Member = std::remove_cvref_t<T>;
    if constexpr (kIsFixed<Member>) {
      [&]<auto kValue>(Fixed<kValue>) {
        if constexpr (requires { visitor.Fixed(field, kValue); }) visitor.Fixed(field, kValue);
      }
      (Member{});
    } else if constexpr (HasFields<Member>) {
      ForEachField(member, visitor);
    } else {
      visitor(field, member);
    }
  });
}

// The same, and those of the algorithm that the operation names, or of each head's, in place of it.
template <HasFields Self, typename Visitor>
void ForEachParameter(Self& self, Visitor&& visitor) {
  ForEachField(self, [&]<typename T>(const Field& field, T& member) {
    using Member = std::remove_const_t<T>;
    const auto visit = [&](auto& params) { ForEachField(params, visitor); };
    if constexpr (kIsVariant<Member>) {
      std::visit(visit, member);
    } else if constexpr (kIsVectorOfVariants<Member>) {
      for (auto& algorithm : member) std::visit(visit, algorithm);
    } else {
      visitor(field, member);
    }
  });
}

// One parameter of every head.
struct Column {
  Field field;
  std::vector<std::int64_t> values;  // of a list (Axis::kCode): head after head
  bool fixed = false;                // by the algorithm
  bool list() const { return field.axis == Axis::kCode; }
};

// The parameters of heads that share one algorithm, in order.
template <typename... T>
std::vector<Column> ColumnsOf(const std::vector<std::variant<T...>>& heads) {
  struct Gather {
    std::vector<Column>& columns;
    std::size_t next = 0;
    std::vector<std::int64_t>& Next(const Field& field, bool fixed) {
      if (next == columns.size()) columns.push_back({field, {}, fixed});
      return columns[next++].values;
    }
    void operator()(const Field& field, std::int64_t value) { Next(field, false).push_back(value); }
    void operator()(const Field& field, const std::vector<std::int32_t>& list) {
      std::vector<std::int64_t>& values = Next(field, false);
      values.insert(values.end(), list.begin(), list.end());
    }
    void Fixed(const Field& field, std::int64_t value) { Next(field, true).push_back(value); }
  };
  std::vector<Column> columns;
  for (const auto& head : heads) {
    std::visit([&](const auto& params) { ForEachField(params, Gather{columns}); }, head);
  }
  return columns;
}

// The default alternative with this index.
template <typename Variant>
Variant Alternative(std::size_t index) {
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    Variant variant;
    static_cast<void>(((I == index ? (variant.template emplace<I>(), true) : false) || ...));
    return variant;
  }
  (std::make_index_sequence<std::variant_size_v<Variant>>());
}

// "ibert", ...: what each algorithm of a variant calls itself, in order.
template <typename Variant>
struct AlgorithmNames;
template <typename... T>
struct AlgorithmNames<std::variant<T...>> {
  static constexpr std::array<std::string_view, sizeof...(T)> kNames = {T::kName...};
};
template <typename... T>
constexpr std::string_view NameOfAlgorithm(const std::variant<T...>& algorithm) {
  return AlgorithmNames<std::variant<T...>>::kNames[algorithm.index()];
}

template <typename Variant>
constexpr std::optional<std::size_t> AlgorithmNamed(std::string_view name) {
  for (std::size_t i = 0; i < std::variant_size_v<Variant>; ++i) {
    if (AlgorithmNames<Variant>::kNames[i] == name) return i;
  }
  return std::nullopt;
}

// Whether an enum counts a variant's algorithms in order, under the same names.
template <typename Variant, Named Kind>
constexpr bool NamesAgree() {
  for (std::size_t i = 0; i < std::variant_size_v<Variant>; ++i) {
    if (Name(static_cast<Kind>(i)) != AlgorithmNames<Variant>::kNames[i]) return false;
  }
  return true;
}

}  // namespace qsim::golden
