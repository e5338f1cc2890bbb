// The records of a bundle: the words of the format, and one description of each record that the
// writer and the reader share, so that what is written is what is read. Private to
// bundle_writer.cpp and bundle_reader.cpp.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "sim/calibrate/bundle.h"

namespace qsim::bundle_format {

inline constexpr int kFormatVersion = 1;
inline constexpr std::string_view kArrays = "arrays";
inline constexpr std::string_view kInputs = "inputs";

// ---- words of the format ----

inline std::string_view Name(ChannelAxis axis) {
  switch (axis) {
    case ChannelAxis::kLast:
      return "last";
    case ChannelAxis::kFirst:
      return "first";
    case ChannelAxis::kNone:
      break;
  }
  return "none";
}

inline std::string_view Name(TensorScale::Kind kind) {
  return kind == TensorScale::Kind::kLog2 ? "log2" : "linear";
}

inline std::string_view Name(LoweringNote::Kind kind) {
  switch (kind) {
    case LoweringNote::Kind::kSubstitution:
      return "substitution";
    case LoweringNote::Kind::kRaisedScale:
      return "raised_scale";
    case LoweringNote::Kind::kInfo:
      break;
  }
  return "info";
}

template <typename Enum>
std::optional<Enum> FromName(std::string_view name, std::initializer_list<Enum> values) {
  for (const Enum value : values) {
    if (Name(value) == name) return value;
  }
  return std::nullopt;
}

inline std::optional<ChannelAxis> Parse(std::string_view name, ChannelAxis) {
  return FromName(name, {ChannelAxis::kNone, ChannelAxis::kLast, ChannelAxis::kFirst});
}
inline std::optional<TensorScale::Kind> Parse(std::string_view name, TensorScale::Kind) {
  return FromName(name, {TensorScale::Kind::kLinear, TensorScale::Kind::kLog2});
}
inline std::optional<LoweringNote::Kind> Parse(std::string_view name, LoweringNote::Kind) {
  return FromName(name, {LoweringNote::Kind::kInfo, LoweringNote::Kind::kSubstitution,
                         LoweringNote::Kind::kRaisedScale});
}
inline std::optional<DType> Parse(std::string_view name, DType) { return DTypeFromName(name); }
inline std::optional<Rounding> Parse(std::string_view name, Rounding) {
  return RoundingFromName(name);
}
inline std::optional<AccPolicy> Parse(std::string_view name, AccPolicy) {
  return AccPolicyFromName(name);
}
inline std::optional<OperandMode> Parse(std::string_view name, OperandMode) {
  return OperandModeFromName(name);
}
inline std::optional<SoftmaxKind> Parse(std::string_view name, SoftmaxKind) {
  return SoftmaxKindFromName(name);
}
inline std::optional<GeluKind> Parse(std::string_view name, GeluKind) {
  return GeluKindFromName(name);
}

// ---- one description of every record, used by the writer and by the reader ----

template <typename Ar>
void DescribeAcc(Ar& ar, Accumulator& acc) {
  ar.Scalar("acc_bits", acc.bits);
  ar.Scalar("acc_policy", acc.policy);
}

// Multipliers and shifts are two arrays, as the hardware's tables are.
template <typename Ar>
void DescribeScales(Ar& ar, std::vector<Multiplier>& scales) {
  std::vector<std::int32_t> m;
  std::vector<std::int32_t> shift;
  for (const Multiplier& s : scales) {
    m.push_back(s.m);
    shift.push_back(s.shift);
  }
  ar.Array("multiplier", m);
  ar.Array("shift", shift);
  ar.CheckSameLength("multiplier", m.size(), "shift", shift.size());
  scales.clear();
  for (std::size_t i = 0; i < m.size(); ++i) scales.push_back({m[i], shift[i]});
}

template <typename Ar>
void Describe(Ar& ar, GemmOp& o) {
  ar.Scalar("output", o.output);
  ar.Scalar("input", o.input);
  ar.Scalar("weight", o.weight);
  ar.Scalar("bias", o.bias);
  ar.Array("weight_zero", o.weight_zero);
  DescribeAcc(ar, o.acc);
  ar.Optional("rows", o.rows);
}

template <typename Ar>
void Describe(Ar& ar, MatmulOp& o) {
  ar.Scalar("output", o.output);
  ar.Scalar("lhs", o.lhs);
  ar.Scalar("rhs", o.rhs);
  ar.Scalar("heads", o.heads);
  ar.Scalar("transpose_rhs", o.transpose_rhs);
  ar.Scalar("mode", o.mode);
  ar.Array("lhs_zero", o.lhs_zero);
  ar.Array("rhs_zero", o.rhs_zero);
  DescribeAcc(ar, o.acc);
}

template <typename Ar>
void Describe(Ar& ar, RequantizeOp& o) {
  ar.Scalar("output", o.output);
  ar.Scalar("input", o.input);
  ar.Scalar("first_column", o.first_column);
  ar.Scalar("channel_axis", o.axis);
  DescribeScales(ar, o.scale);
  ar.Array("zero_point", o.zero);
  ar.Scalar("input_zero", o.input_zero);
  ar.Scalar("rounding", o.rounding);
}

template <typename Ar>
void Describe(Ar& ar, SoftmaxOp& o) {
  ar.Scalar("output", o.output);
  ar.Scalar("input", o.input);
  SoftmaxParams common = o.params.empty() ? SoftmaxParams{} : o.params.front();
  ar.Scalar("scheme", common.kind);
  ar.Scalar("exp_n", common.exp.n);
  ar.Scalar("extra_bits", common.extra_bits);
  ar.Scalar("code_bits", common.code_bits);
  std::vector<std::int64_t> x0;
  std::vector<std::int64_t> b;
  std::vector<std::int64_t> c;
  std::vector<std::int64_t> m;
  std::vector<std::int64_t> shift;
  for (const SoftmaxParams& p : o.params) {
    x0.push_back(p.exp.x0);
    b.push_back(p.exp.b);
    c.push_back(p.exp.c);
    m.push_back(p.act16_multiplier);
    shift.push_back(p.act16_shift);
  }
  ar.Array("x0", x0);
  ar.Array("b", b);
  ar.Array("c", c);
  ar.Array("act16_multiplier", m);
  ar.Array("act16_shift", shift);
  ar.CheckSameLength("x0", x0.size(), "b", b.size());
  ar.CheckSameLength("x0", x0.size(), "c", c.size());
  ar.CheckSameLength("x0", x0.size(), "act16_multiplier", m.size());
  ar.CheckSameLength("x0", x0.size(), "act16_shift", shift.size());
  o.params.clear();
  for (std::size_t i = 0; i < x0.size(); ++i) {
    SoftmaxParams p = common;
    p.exp.x0 = ar.template Narrow<std::int32_t>("x0", x0[i]);
    p.exp.b = b[i];
    p.exp.c = c[i];
    p.act16_multiplier = m[i];
    p.act16_shift = ar.template Narrow<int>("act16_shift", shift[i]);
    o.params.push_back(p);
  }
}

template <typename Ar>
void Describe(Ar& ar, LayernormOp& o) {
  ar.Scalar("output", o.output);
  ar.Scalar("input", o.input);
  ar.Constant("scheme", "ibert");
  ar.Scalar("input_zero", o.input_zero);
  ar.Array("input_shift", o.input_shift);
  ar.Scalar("std_shift", o.std_shift);
  ar.Array("bias", o.bias);
  DescribeScales(ar, o.scale);
  ar.Array("zero_point", o.zero);
  ar.Scalar("rounding", o.rounding);
}

template <typename Ar>
void Describe(Ar& ar, ResidualAddOp& o) {
  ar.Scalar("output", o.output);
  ar.Scalar("a", o.a);
  ar.Scalar("b", o.b);
  ar.Array("a_multiplier", o.a_multiplier);
  ar.Array("b_multiplier", o.b_multiplier);
  ar.Scalar("shift", o.shift);
  ar.Scalar("a_zero", o.a_zero);
  ar.Scalar("b_zero", o.b_zero);
  ar.Scalar("out_zero", o.out_zero);
  ar.Scalar("rounding", o.rounding);
}

template <typename Ar>
void Describe(Ar& ar, PatchifyOp& o) {
  ar.Scalar("output", o.output);
  ar.Scalar("input", o.input);
  ar.Scalar("patch", o.patch);
}

template <typename Ar>
void Describe(Ar& ar, EmbedOp& o) {
  ar.Scalar("output", o.output);
  ar.Scalar("a", o.a);
  ar.Scalar("position", o.position);
  ar.Array("a_multiplier", o.a_multiplier);
  ar.Scalar("b_multiplier", o.b_multiplier);
  ar.Scalar("shift", o.shift);
  ar.Scalar("out_zero", o.out_zero);
  ar.Scalar("rounding", o.rounding);
}

template <typename Ar>
void Describe(Ar& ar, AddOp& o) {
  ar.Scalar("output", o.output);
  ar.Scalar("a", o.a);
  ar.Optional("b", o.b);
  ar.Optional("bias", o.bias);
}

template <typename Ar>
void Describe(Ar& ar, GeluOp& o) {
  ar.Scalar("output", o.output);
  ar.Scalar("input", o.input);
  ar.Scalar("scheme", o.kind);
  if (o.kind == GeluKind::kTable) {
    ar.Array("table", o.table);
    return;
  }
  ar.Scalar("input_zero", o.input_zero);
  ar.Scalar("b", o.ibert.b);
  ar.Scalar("c", o.ibert.c);
  ar.Scalar("shift_int", o.ibert.shift_int);
  ar.Scalar("n", o.ibert.n);
  ar.Scalar("multiplier", o.scale.m);
  ar.Scalar("shift", o.scale.shift);
  ar.Scalar("zero_point", o.zero);
  ar.Scalar("rounding", o.rounding);
}

template <typename Ar>
void Describe(Ar& ar, TensorInfo& o) {
  ar.Scalar("name", o.name);
  ar.List("shape", o.shape);
  ar.Scalar("dtype", o.dtype);
  ar.Scalar("qmin", o.range.qmin);
  ar.Scalar("qmax", o.range.qmax);
}

template <typename Ar>
void Describe(Ar& ar, TensorScale& o) {
  ar.Scalar("kind", o.kind);
  ar.Scalar("channel_axis", o.axis);
  ar.List("scale", o.scale);
  ar.List("zero_point", o.zero);
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
  ar.Scalar("contract_sha256", o.contract_hash);
}

template <typename Ar>
void Describe(Ar& ar, LoweringNote& o) {
  ar.Scalar("kind", o.kind);
  ar.Scalar("tensor", o.tensor);
  ar.Scalar("text", o.text);
}

}  // namespace qsim::bundle_format
