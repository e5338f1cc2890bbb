// The records of a bundle: the words of the format, and one description of each record that the
// writer and the reader share, so that what is written is what is read. Private to
// bundle_writer.cpp and bundle_reader.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "golden/ops/one_or_each.h"
#include "sim/bundle/bundle.h"

namespace qsim::bundle {

constexpr auto NamesOf(TensorScale::Kind /*enum*/) {
  return std::to_array<NamedValue<TensorScale::Kind>>({
      {TensorScale::Kind::kLinear, "linear"},
      {TensorScale::Kind::kLog2, "log2"},
  });
}

}  // namespace qsim::bundle

namespace qsim::bundle::bundle_format {

inline constexpr int kFormatVersion = 2;
inline constexpr std::string_view kArrays = "arrays";
inline constexpr std::string_view kInputs = "inputs";
inline constexpr std::string_view kLengths = "lengths.npy";

// What format 1 called a parameter, by operation; to "" where an algorithm without it had it too.
struct Rename {
  std::string_view operation;
  std::string_view from, to;
};
inline constexpr Rename kFormat1[] = {
    {"requantize", "zero_point", "zero"},
    {"layernorm", "zero_point", "zero"},
    {"layernorm", "scheme", "algorithm"},
    {"gelu", "zero_point", "zero"},
    {"gelu", "scheme", "algorithm"},
    {"residual_add", "out_zero", "zero"},
    {"embed", "out_zero", "zero"},
    {"softmax", "scheme", "algorithm"},
    {"softmax", "exp_n", "n"},
    {"softmax", "extra_bits", ""},
    {"softmax", "code_bits", ""},
    {"softmax", "act16_multiplier", ""},
    {"softmax", "act16_shift", ""},
    {"softmax", "group", ""},
    {"gelu", "input_zero", ""},
    {"gelu", "rounding", ""},
    {"layernorm", "std_shift", ""},
};

// ---- one description of every record, used by the writer and by the reader ----

// Multipliers and shifts are two arrays, as the hardware's tables are.
template <typename Ar>
void DescribeScales(Ar& ar, std::string_view name, std::vector<Multiplier>& scales) {
  const std::string shifts = ShiftsOf(name);
  std::vector<std::int32_t> m;
  std::vector<std::int32_t> shift;
  for (const Multiplier& s : scales) {
    m.push_back(s.m);
    shift.push_back(s.shift);
  }
  ar.Array(name, m);
  ar.Array(shifts, shift);
  ar.CheckSameLength(name, m.size(), shifts, shift.size());
  scales.clear();
  for (std::size_t i = 0; i < m.size(); ++i) scales.push_back({m[i], shift[i]});
}

// A parameter of heads that share an algorithm is one array. One entry holds for all of them; the
// first parameter always has one for each. Lists stand head after head.
template <typename Ar, typename... T>
void DescribeHeads(Ar& ar, std::string_view key, std::vector<std::variant<T...>>& heads) {
  using Algorithm = std::variant<T...>;
  Algorithm algorithm = heads.empty() ? Algorithm() : heads.front();
  ar.Algorithm(key, algorithm);
  std::vector<Column> columns =
      ColumnsOf(heads.empty() ? std::vector<Algorithm>(1, algorithm) : heads);
  std::erase_if(columns, [](const Column& column) { return column.fixed; });
  for (Column& column : columns) {
    if (column.list() && ar.Skips(column.field.optional, column.field.name, column.values))
      continue;
    ar.Column(column.field.name, column.values, column.list() || &column == &columns.front());
    if (&column == &columns.front()) heads.resize(column.values.size(), algorithm);
    if (column.list()) {
      const std::size_t each = column.values.size() / heads.size();
      ar.CheckSameLength(columns.front().field.name, each * heads.size(), column.field.name,
                         column.values.size());
    } else if (column.values.size() != 1)
      ar.CheckSameLength(columns.front().field.name, heads.size(), column.field.name,
                         column.values.size());
  }
  for (std::size_t h = 0; h < heads.size(); ++h) {
    std::size_t next = 0;
    const auto scatter = [&]<typename M>(const Field& field, M& member) {
      const std::vector<std::int64_t>& values = columns[next++].values;
      if constexpr (kIsVector<M>) {
        const std::size_t each = values.size() / heads.size();
        member.clear();
        for (std::size_t i = h * each; i < (h + 1) * each; ++i)
          member.push_back(ar.template Narrow<typename M::value_type>(field.name, values[i]));
      } else {
        member = ar.template Narrow<M>(field.name, EntryFor(values, h));
      }
    };
    std::visit([&](auto& params) { ForEachField(params, scatter); }, heads[h]);
  }
}

// An operation or the algorithm that it names: every parameter under its own name.
template <typename Ar>
struct RecordVisitor {
  Ar& ar;
  template <typename T>
  void operator()(const Field& field, T& member) const {
    if constexpr (std::is_same_v<T, Accumulator>) {
      ar.Scalar("acc_bits", member.bits);
      ar.Scalar("acc_policy", member.policy);
    } else if constexpr (std::is_same_v<T, Multiplier>) {
      ar.Scalar(field.name, member.m);
      ar.Scalar(ShiftsOf(field.name), member.shift);
    } else if constexpr (std::is_same_v<T, std::vector<Multiplier>>) {
      DescribeScales(ar, field.name, member);
    } else if constexpr (kIsVariant<T>) {
      ar.Algorithm(field.name, member);
      std::visit([this](auto& params) { ForEachField(params, *this); }, member);
    } else if constexpr (kIsVectorOfVariants<T>) {
      DescribeHeads(ar, field.name, member);
    } else if constexpr (kIsVector<T>) {
      if (ar.Skips(field.optional, field.name, member)) return;
      ar.Array(field.name, member);
    } else {
      if (ar.Skips(field.optional, field.name, member)) return;
      ar.Scalar(field.name, member);
    }
  }
};

template <typename Ar, HasFields T>
void Describe(Ar& ar, T& o) {
  ForEachField(o, RecordVisitor<Ar>{ar});
}

template <typename Ar>
void Describe(Ar& ar, TensorInfo& o) {
  ar.Scalar("name", o.name);
  ar.List("shape", o.shape);
  ar.Scalar("dtype", o.dtype);
  ar.Scalar("qmin", o.range.qmin);
  ar.Scalar("qmax", o.range.qmax);
  if (!ar.Skips(true, "length_axes", o.length_axes)) ar.List("length_axes", o.length_axes);
}

template <typename Ar>
void Describe(Ar& ar, Carried& o) {
  ar.Scalar("output", o.output);
  ar.Scalar("input", o.input);
  ar.Scalar("initial", o.initial);
}

template <typename Ar>
void Describe(Ar& ar, TensorScale& o) {
  ar.Scalar("kind", o.kind);
  ar.Scalar("channel_axis", o.axis);
  ar.List("scale", o.scale);
  ar.List("zero_point", o.zero);
  if (!ar.Skips(true, "unit", o.unit)) ar.List("unit", o.unit);
  if (!ar.Skips(true, "factor", o.factor)) ar.List("factor", o.factor);
  if (!ar.Skips(true, "rounding", o.rounding)) ar.Scalar("rounding", o.rounding);
}

template <typename Ar>
void Describe(Ar& ar, HardwareParams& o) {
  ar.Scalar("array_rows", o.array_rows);
  ar.Scalar("array_cols", o.array_cols);
  ar.Scalar("multiplier_bits", o.multiplier_bits);
  ar.Scalar("power_of_two", o.power_of_two);
}

template <typename Ar>
void Describe(Ar& ar, Provenance& o) {
  ar.Scalar("qsim_version", o.qsim_version);
  ar.Scalar("config_sha256", o.config_hash);
  ar.Scalar("weights_sha256", o.weights_hash);
  ar.Scalar("contract", o.contract);
  ar.Scalar("contract_sha256", o.contract_hash);
}

template <typename Ar>
void Describe(Ar& ar, LoweringNote& o) {
  ar.Scalar("kind", o.kind);
  ar.Scalar("tensor", o.tensor);
  ar.Scalar("text", o.text);
}

}  // namespace qsim::bundle::bundle_format
