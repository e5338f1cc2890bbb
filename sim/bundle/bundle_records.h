// The records of a bundle: the words of the format, and one description of each record that the
// writer and the reader share, so that what is written is what is read. Private to
// bundle_writer.cpp and bundle_reader.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "sim/bundle/bundle.h"

namespace qsim {

template <>
inline constexpr std::array<NamedValue<ChannelAxis>, 3> kNamesOf<ChannelAxis> = {{
    {ChannelAxis::kNone, "none"},
    {ChannelAxis::kLast, "last"},
    {ChannelAxis::kFirst, "first"},
}};
template <>
inline constexpr std::array<NamedValue<TensorScale::Kind>, 2> kNamesOf<TensorScale::Kind> = {{
    {TensorScale::Kind::kLinear, "linear"},
    {TensorScale::Kind::kLog2, "log2"},
}};
template <>
inline constexpr std::array<NamedValue<LoweringNote::Kind>, 3> kNamesOf<LoweringNote::Kind> = {{
    {LoweringNote::Kind::kInfo, "info"},
    {LoweringNote::Kind::kSubstitution, "substitution"},
    {LoweringNote::Kind::kRaisedScale, "raised_scale"},
}};

}  // namespace qsim

namespace qsim::bundle_format {

inline constexpr int kFormatVersion = 1;
inline constexpr std::string_view kArrays = "arrays";
inline constexpr std::string_view kInputs = "inputs";

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
  ar.Scalar("scheme", o.scheme);
  ar.Scalar("rounding", o.rounding);
  ar.Array("addend", o.addend);
}

// Fields that may differ from head to head: one array each, all of the same length.
template <typename Ar>
class PerHead {
 public:
  // `common` holds what the heads share; reading makes as many copies as the first array has
  // entries.
  PerHead(Ar& ar, std::vector<SoftmaxParams>& params, const SoftmaxParams& common)
      : ar_(ar), params_(params), common_(common) {}

  // `field` maps SoftmaxParams& to an integer&.
  template <typename Field>
  void Array(const char* key, Field field) {
    std::vector<std::int64_t> values;
    for (SoftmaxParams& p : params_) values.push_back(field(p));
    ar_.Array(key, values);
    if (first_key_ == nullptr) {
      first_key_ = key;
      params_.resize(values.size(), common_);
    }
    ar_.CheckSameLength(first_key_, params_.size(), key, values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      auto& value = field(params_[i]);
      value = ar_.template Narrow<std::remove_reference_t<decltype(value)>>(key, values[i]);
    }
  }

 private:
  Ar& ar_;
  std::vector<SoftmaxParams>& params_;
  const SoftmaxParams& common_;
  const char* first_key_ = nullptr;
};

template <typename Ar>
void Describe(Ar& ar, SoftmaxOp& o) {
  ar.Scalar("output", o.output);
  ar.Scalar("input", o.input);
  SoftmaxParams common = o.params.empty() ? SoftmaxParams{} : o.params.front();
  ar.Scalar("scheme", common.kind);
  PerHead<Ar> heads(ar, o.params, common);
  switch (common.kind) {
    case SoftmaxKind::kIbert:
    case SoftmaxKind::kIbertRn:
    case SoftmaxKind::kLogInt:
      ar.Scalar("exp_n", common.exp.n);
      ar.Scalar("extra_bits", common.extra_bits);
      ar.Scalar("code_bits", common.code_bits);
      heads.Array(
          "x0", [](SoftmaxParams & p) -> auto& { return p.exp.x0; });
      heads.Array(
          "b", [](SoftmaxParams & p) -> auto& { return p.exp.b; });
      heads.Array(
          "c", [](SoftmaxParams & p) -> auto& { return p.exp.c; });
      heads.Array(
          "act16_multiplier", [](SoftmaxParams & p) -> auto& { return p.act16_multiplier; });
      heads.Array(
          "act16_shift", [](SoftmaxParams & p) -> auto& { return p.act16_shift; });
      return;
    case SoftmaxKind::kShiftmax:
      ar.Scalar("exp_n", common.shiftmax.n);
      ar.Scalar("output_bits", common.shiftmax.output_bits);
      heads.Array(
          "x0", [](SoftmaxParams & p) -> auto& { return p.shiftmax.x0; });
      return;
    case SoftmaxKind::kIta:
    case SoftmaxKind::kItaStreaming:
      ar.Scalar("levels", common.ita.levels);
      ar.Scalar("output_offset", common.ita.output_offset);
      ar.Scalar("group", common.ita.group);
      heads.Array(
          "shift_bits", [](SoftmaxParams & p) -> auto& { return p.ita.shift_bits; });
      return;
    case SoftmaxKind::kTflite:
      ar.Scalar("output_bits", common.tflite.output_bits);
      heads.Array(
          "beta_multiplier", [](SoftmaxParams & p) -> auto& { return p.tflite.beta_multiplier; });
      heads.Array(
          "beta_left_shift", [](SoftmaxParams & p) -> auto& { return p.tflite.beta_left_shift; });
      heads.Array(
          "diff_min", [](SoftmaxParams & p) -> auto& { return p.tflite.diff_min; });
      return;
    case SoftmaxKind::kDeeploy:
      ar.Scalar("levels", common.isoftmax.levels);
      ar.Scalar("output_offset", common.isoftmax.output_offset);
      heads.Array(
          "coeff_a", [](SoftmaxParams & p) -> auto& { return p.isoftmax.coeff_a; });
      heads.Array(
          "coeff_b", [](SoftmaxParams & p) -> auto& { return p.isoftmax.coeff_b; });
      heads.Array(
          "coeff_c", [](SoftmaxParams & p) -> auto& { return p.isoftmax.coeff_c; });
      heads.Array(
          "log2", [](SoftmaxParams & p) -> auto& { return p.isoftmax.log2; });
      return;
  }
}

template <typename Ar>
void Describe(Ar& ar, LayernormOp& o) {
  ar.Scalar("output", o.output);
  ar.Scalar("input", o.input);
  ar.Scalar("scheme", o.kind);
  ar.Scalar("input_zero", o.input_zero);
  ar.Array("bias", o.bias);
  if (o.kind == LayernormKind::kDeeploy) {
    ar.Array("weight", o.weight);
    ar.Scalar("log2d", o.log2d);
    ar.Scalar("wrap", o.wrap);
    return;
  }
  ar.Array("input_shift", o.input_shift);
  ar.Scalar("std_shift", o.std_shift);
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
  switch (o.kind) {
    case GeluKind::kTable:
      break;
    case GeluKind::kIbert:
      ar.Scalar("b", o.ibert.b);
      ar.Scalar("c", o.ibert.c);
      ar.Scalar("shift_int", o.ibert.shift_int);
      ar.Scalar("n", o.ibert.n);
      break;
    case GeluKind::kShiftGelu:
      ar.Scalar("x0", o.shiftgelu.x0);
      ar.Scalar("n", o.shiftgelu.n);
      ar.Scalar("output_bits", o.shiftgelu.output_bits);
      break;
    case GeluKind::kIta:
      ar.Scalar("q_1", o.ita.q_1);
      ar.Scalar("q_b", o.ita.q_b);
      ar.Scalar("q_c", o.ita.q_c);
      break;
    case GeluKind::kDeeploy:
      ar.Scalar("b", o.deeploy.b);
      ar.Scalar("one", o.deeploy.one);
      ar.Scalar("addend", o.addend);
      break;
  }
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
  ar.Scalar("contract", o.contract);
  ar.Scalar("contract_sha256", o.contract_hash);
}

template <typename Ar>
void Describe(Ar& ar, LoweringNote& o) {
  ar.Scalar("kind", o.kind);
  ar.Scalar("tensor", o.tensor);
  ar.Scalar("text", o.text);
}

}  // namespace qsim::bundle_format
