#include "sim/bundle/parameter_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <map>

#include "golden/program/accumulator_proof.h"
#include "sim/error.h"

namespace qsim {
namespace {

// Builds one group; the channel axis of the vectors to come is set by the caller's `axis`
// arguments.
class GroupBuilder {
 public:
  GroupBuilder(std::string name, std::string kind) {
    group_.name = std::move(name);
    group_.kind = std::move(kind);
  }

  void Int(const std::string& name, int bits, bool is_signed, std::int64_t value) {
    Add(name, {}, "", ExportInts{bits, is_signed, {value}});
  }
  template <typename T>
  void Ints(const std::string& name, int bits, bool is_signed, const std::string& axis,
            const std::vector<T>& values) {
    Add(name, {static_cast<std::int64_t>(values.size())}, axis,
        ExportInts{bits, is_signed, {values.begin(), values.end()}});
  }
  void Reals(const std::string& name, const std::string& axis, const std::vector<double>& values) {
    Add(name, {static_cast<std::int64_t>(values.size())}, axis, values);
  }
  void Text(const std::string& name, const std::string& value) { Add(name, {}, "", value); }
  template <typename Enum>
  void Choice(const std::string& name, const std::string& set, Enum value) {
    Add(name, {}, "",
        ExportChoice{set, std::string(Name(value)), static_cast<std::int64_t>(value)});
  }
  void Multipliers(const std::string& axis, const std::vector<Multiplier>& scale) {
    std::vector<std::int32_t> m, shift;
    for (const Multiplier& entry : scale) {
      m.push_back(entry.m);
      shift.push_back(entry.shift);
    }
    Ints("multiplier", 32, true, axis, m);
    Ints("shift", 8, false, axis, shift);
  }
  void Clamp(const QuantRange& range) {
    Int("clamp_min", 32, true, range.qmin);
    Int("clamp_max", 32, true, range.qmax);
  }
  void Accumulate(const Accumulator& acc, const AccumulatorProof& proof) {
    Int("acc_bits", 8, false, acc.bits);
    Choice("acc_policy", "acc_policy", acc.policy);
    Int("acc_bits_needed", 8, false, proof.bits_needed);
    Int("acc_worst_min", 64, true, proof.range.min);
    Int("acc_worst_max", 64, true, proof.range.max);
    Int("acc_worst_channel", 32, true, proof.worst_channel);
  }
  ExportGroup Take() { return std::move(group_); }

 private:
  template <typename Value>
  void Add(const std::string& name, Shape shape, const std::string& axis, Value value) {
    group_.parameters.push_back({name, std::move(shape), axis, std::move(value)});
  }
  ExportGroup group_;
};

// What the entries of a per-channel list run along. One entry means the whole tensor.
template <typename T>
std::string AxisOf(const std::vector<T>& list, const std::string& axis) {
  return list.size() > 1 ? axis : "tensor";
}

std::string AxisName(ChannelAxis axis) { return axis == ChannelAxis::kFirst ? "head" : "channel"; }

class OperationBuilder {
 public:
  explicit OperationBuilder(const Program& program) : program_(program) {}

  ExportGroup operator()(const GemmOp& op) const {
    GroupBuilder group = Start(op);
    group.Text("weight", op.weight);
    group.Text("bias_name", op.bias);
    const IntTensor& bias = program_.Constant(op.bias);
    std::vector<std::int64_t> values;
    for (std::int64_t i = 0; i < bias.size(); ++i) values.push_back(bias.At(i));
    group.Ints("bias", 32, true, "channel", values);
    if (!op.weight_zero.empty())
      group.Ints("weight_zero", 16, true, AxisOf(op.weight_zero, "channel"), op.weight_zero);
    if (op.rows != 0) group.Int("rows", 32, false, op.rows);
    group.Accumulate(op.acc, ProveAccumulator(program_, op));
    return group.Take();
  }

  ExportGroup operator()(const MatmulOp& op) const {
    GroupBuilder group = Start(op);
    group.Int("heads", 32, false, op.heads);
    group.Int("transpose_rhs", 8, false, op.transpose_rhs ? 1 : 0);
    group.Choice("mode", "operand_mode", op.mode);
    group.Ints("lhs_zero", 16, true, AxisOf(op.lhs_zero, "head"), op.lhs_zero);
    group.Ints("rhs_zero", 16, true, AxisOf(op.rhs_zero, op.transpose_rhs ? "head" : "channel"),
               op.rhs_zero);
    group.Accumulate(op.acc, ProveAccumulator(program_, op));
    return group.Take();
  }

  ExportGroup operator()(const RequantizeOp& op) const {
    GroupBuilder group = Start(op);
    const std::string axis = AxisName(op.axis);
    group.Int("first_column", 32, false, op.first_column);
    group.Multipliers(AxisOf(op.scale, axis), op.scale);
    group.Ints("zero", 32, true, AxisOf(op.zero, axis), op.zero);
    group.Int("input_zero", 32, true, op.input_zero);
    group.Choice("scheme", "requant_scheme", op.scheme);
    group.Choice("rounding", "rounding", op.rounding);
    if (!op.addend.empty()) group.Ints("addend", 64, true, AxisOf(op.addend, axis), op.addend);
    group.Clamp(program_.Tensor(op.output).range);
    return group.Take();
  }

  ExportGroup operator()(const SoftmaxOp& op) const {
    GroupBuilder group = Start(op);
    const auto list = [&](const std::string& name, int bits, bool is_signed, auto field) {
      std::vector<std::int64_t> values;
      for (const SoftmaxParams& params : op.params) values.push_back(field(params));
      group.Ints(name, bits, is_signed, AxisOf(values, "head"), values);
    };
    for (const SoftmaxParams& params : op.params) {
      if (params.kind != op.params.front().kind)
        throw InputError(
            fmt::format("export: softmax '{}' uses '{}' and '{}' on different heads; "
                        "one algorithm per tensor can be exported",
                        op.output, Name(op.params.front().kind), Name(params.kind)));
    }
    group.Choice("algorithm", "softmax", op.params.front().kind);
    using P = SoftmaxParams;
    switch (op.params.front().kind) {
      case SoftmaxKind::kIbert:
      case SoftmaxKind::kIbertRn:
      case SoftmaxKind::kLogInt:
        list("x0", 32, true, [](const P& p) { return p.exp.x0; });
        list("b", 32, true, [](const P& p) { return p.exp.b; });
        list("c", 64, true, [](const P& p) { return p.exp.c; });
        list("n", 8, false, [](const P& p) { return p.exp.n; });
        list("act16_multiplier", 32, true, [](const P& p) { return p.act16_multiplier; });
        list("act16_shift", 8, false, [](const P& p) { return p.act16_shift; });
        list("extra_bits", 8, false, [](const P& p) { return p.extra_bits; });
        list("code_bits", 8, false, [](const P& p) { return p.code_bits; });
        break;
      case SoftmaxKind::kShiftmax:
        list("x0", 32, true, [](const P& p) { return p.shiftmax.x0; });
        list("n", 8, false, [](const P& p) { return p.shiftmax.n; });
        list("output_bits", 8, false, [](const P& p) { return p.shiftmax.output_bits; });
        break;
      case SoftmaxKind::kIta:
      case SoftmaxKind::kItaStreaming:
        list("shift_bits", 8, false, [](const P& p) { return p.ita.shift_bits; });
        list("levels", 32, false, [](const P& p) { return p.ita.levels; });
        list("output_offset", 32, true, [](const P& p) { return p.ita.output_offset; });
        list("group", 32, false, [](const P& p) { return p.ita.group; });
        break;
      case SoftmaxKind::kTflite:
        list("beta_multiplier", 32, true, [](const P& p) { return p.tflite.beta_multiplier; });
        list("beta_left_shift", 8, false, [](const P& p) { return p.tflite.beta_left_shift; });
        list("diff_min", 32, true, [](const P& p) { return p.tflite.diff_min; });
        list("output_bits", 8, false, [](const P& p) { return p.tflite.output_bits; });
        break;
      case SoftmaxKind::kDeeploy:
        list("coeff_a", 32, true, [](const P& p) { return p.isoftmax.coeff_a; });
        list("coeff_b", 32, true, [](const P& p) { return p.isoftmax.coeff_b; });
        list("coeff_c", 64, true, [](const P& p) { return p.isoftmax.coeff_c; });
        list("log2", 32, true, [](const P& p) { return p.isoftmax.log2; });
        list("levels", 32, false, [](const P& p) { return p.isoftmax.levels; });
        list("output_offset", 32, true, [](const P& p) { return p.isoftmax.output_offset; });
        break;
    }
    group.Clamp(program_.Tensor(op.output).range);
    return group.Take();
  }

  ExportGroup operator()(const LayernormOp& op) const {
    GroupBuilder group = Start(op);
    group.Choice("algorithm", "layernorm", op.kind);
    group.Int("input_zero", 32, true, op.input_zero);
    group.Ints("bias", 64, true, AxisOf(op.bias, "channel"), op.bias);
    if (op.kind == LayernormKind::kDeeploy) {
      group.Ints("weight", 32, true, AxisOf(op.weight, "channel"), op.weight);
      group.Int("log2d", 8, false, op.log2d);
      group.Int("wrap", 8, false, op.wrap ? 1 : 0);
    } else {
      if (!op.input_shift.empty())
        group.Ints("input_shift", 8, false, AxisOf(op.input_shift, "channel"), op.input_shift);
      group.Int("std_shift", 8, false, op.std_shift);
      group.Multipliers(AxisOf(op.scale, "channel"), op.scale);
      group.Ints("zero", 32, true, AxisOf(op.zero, "channel"), op.zero);
      group.Choice("rounding", "rounding", op.rounding);
    }
    group.Clamp(program_.Tensor(op.output).range);
    return group.Take();
  }

  ExportGroup operator()(const ResidualAddOp& op) const {
    GroupBuilder group = Start(op);
    group.Ints("a_multiplier", 32, true, AxisOf(op.a_multiplier, "channel"), op.a_multiplier);
    group.Ints("b_multiplier", 32, true, AxisOf(op.b_multiplier, "channel"), op.b_multiplier);
    group.Int("shift", 8, false, op.shift);
    group.Int("a_zero", 32, true, op.a_zero);
    group.Int("b_zero", 32, true, op.b_zero);
    group.Int("zero", 32, true, op.out_zero);
    group.Choice("rounding", "rounding", op.rounding);
    group.Clamp(program_.Tensor(op.output).range);
    return group.Take();
  }

  ExportGroup operator()(const PatchifyOp& op) const {
    GroupBuilder group = Start(op);
    group.Int("patch", 32, false, op.patch);
    return group.Take();
  }

  ExportGroup operator()(const EmbedOp& op) const {
    GroupBuilder group = Start(op);
    group.Text("position", op.position);
    group.Ints("a_multiplier", 32, true, AxisOf(op.a_multiplier, "channel"), op.a_multiplier);
    group.Int("b_multiplier", 32, true, op.b_multiplier);
    group.Int("shift", 8, false, op.shift);
    group.Int("zero", 32, true, op.out_zero);
    group.Choice("rounding", "rounding", op.rounding);
    group.Clamp(program_.Tensor(op.output).range);
    return group.Take();
  }

  ExportGroup operator()(const AddOp& op) const {
    GroupBuilder group = Start(op);
    if (!op.bias.empty()) {
      group.Ints("bias", 32, true, "channel", program_.Constant(op.bias).As<std::int32_t>());
    }
    return group.Take();
  }

  ExportGroup operator()(const GeluOp& op) const {
    GroupBuilder group = Start(op);
    group.Choice("algorithm", "gelu", op.kind);
    if (op.kind == GeluKind::kTable) {
      group.Int("table_first_code", 32, true, program_.Tensor(op.input).range.qmin);
      group.Ints("table", 32, true, "code", op.table);
      return group.Take();
    }
    group.Int("input_zero", 32, true, op.input_zero);
    switch (op.kind) {
      case GeluKind::kTable:
        break;
      case GeluKind::kIbert:
        group.Int("b", 64, true, op.ibert.b);
        group.Int("c", 64, true, op.ibert.c);
        group.Int("shift_int", 64, true, op.ibert.shift_int);
        group.Int("n", 8, false, op.ibert.n);
        break;
      case GeluKind::kShiftGelu:
        group.Int("x0", 32, true, op.shiftgelu.x0);
        group.Int("n", 8, false, op.shiftgelu.n);
        group.Int("output_bits", 8, false, op.shiftgelu.output_bits);
        break;
      case GeluKind::kIta:
        group.Int("q_1", 64, true, op.ita.q_1);
        group.Int("q_b", 64, true, op.ita.q_b);
        group.Int("q_c", 64, true, op.ita.q_c);
        break;
      case GeluKind::kDeeploy:
        group.Int("b", 64, true, op.deeploy.b);
        group.Int("one", 64, true, op.deeploy.one);
        group.Int("addend", 64, true, op.addend);
        break;
    }
    group.Multipliers("tensor", {op.scale});
    group.Int("zero", 32, true, op.zero);
    group.Choice("rounding", "rounding", op.rounding);
    group.Clamp(program_.Tensor(op.output).range);
    return group.Take();
  }

 private:
  GroupBuilder Start(const Op& op) const {
    GroupBuilder group(OutputOf(op), std::string(KindName(op)));
    const std::vector<std::string> inputs = InputsOf(op);
    for (std::size_t i = 0; i < inputs.size(); ++i)
      group.Text(fmt::format("input{}", i), inputs[i]);
    return group;
  }
  const Program& program_;
};

void AddScale(GroupBuilder& group, const std::string& tensor, const std::string& axis,
              const TensorScale& scale) {
  const bool log2 = scale.kind == TensorScale::Kind::kLog2;
  group.Text("scale_kind", log2 ? "log2" : "linear");
  if (log2) return;
  for (const double value : scale.scale) {
    if (!std::isfinite(value))
      throw InputError(fmt::format("export: a scale of tensor '{}' is not finite", tensor));
  }
  group.Reals("scale", AxisOf(scale.scale, axis), scale.scale);
  group.Ints("zero_point", 32, true, AxisOf(scale.zero, axis), scale.zero);
}

ExportGroup TensorGroup(const Bundle& bundle, const TensorInfo& info) {
  GroupBuilder group(info.name, "tensor");
  group.Text("dtype", std::string(Name(info.dtype)));
  group.Ints("shape", 32, false, "dimension", info.shape);
  group.Int("qmin", 32, true, info.range.qmin);
  group.Int("qmax", 32, true, info.range.qmax);
  const auto scale = bundle.scales.find(info.name);
  if (scale != bundle.scales.end())
    AddScale(group, info.name, AxisName(scale->second.axis), scale->second);
  return group.Take();
}

ExportGroup ConstantGroup(const Bundle& bundle, const std::string& name, const TensorScale& scale) {
  GroupBuilder group(name, "constant");
  const auto constant = bundle.program.constants.find(name);
  if (constant != bundle.program.constants.end()) {
    group.Text("dtype", std::string(Name(constant->second.dtype())));
    group.Ints("shape", 32, false, "dimension", constant->second.shape());
  }
  // The first axis of a weight is its output channel.
  AddScale(group, name, "channel", scale);
  return group.Take();
}

ExportGroup HardwareGroup(const HardwareParams& hardware) {
  GroupBuilder group("hardware", "hardware");
  group.Int("array_rows", 32, false, hardware.array_rows);
  group.Int("array_cols", 32, false, hardware.array_cols);
  group.Int("multiplier_bits", 8, false, hardware.multiplier_bits);
  group.Int("power_of_two", 8, false, hardware.power_of_two ? 1 : 0);
  return group.Take();
}

ExportGroup ProvenanceGroup(const Provenance& provenance, const ModelContracts& contracts) {
  GroupBuilder group("provenance", "provenance");
  group.Text("qsim_version", provenance.qsim_version);
  group.Text("config_sha256", provenance.config_hash);
  group.Text("weights_sha256", provenance.weights_hash);
  group.Text("contract", provenance.contract);
  group.Text("contract_sha256", provenance.contract_hash);
  for (const NumericsContract::Choice& choice : contracts.model.Operations()) {
    group.Text("contract_" + choice.operation, choice.scheme);
  }
  return group.Take();
}

template <typename Values>
void AddChoices(ExportTable& table, const std::string& set, const Values& values) {
  for (const auto value : values)
    table.choices.push_back({set, std::string(Name(value)), static_cast<std::int64_t>(value)});
}

void RequireDistinctIdentifiers(const ExportTable& table) {
  std::map<std::string, std::string> seen;
  for (const auto* groups : {&table.operations, &table.tensors}) {
    for (const ExportGroup& group : *groups) {
      for (const ExportParameter& parameter : group.parameters) {
        const std::string what = group.name + " " + parameter.name;
        const auto [at, inserted] =
            seen.try_emplace(ExportIdentifier(group.name, parameter.name), what);
        if (!inserted)
          throw InputError(fmt::format("export: '{}' and '{}' both become '{}'; rename one tensor",
                                       at->second, what, at->first));
      }
    }
  }
}

}  // namespace

ExportTable BuildExportTable(const Bundle& bundle) {
  ExportTable table;
  AddChoices(table, "rounding", kAllRoundings);
  AddChoices(table, "acc_policy",
             std::array{AccPolicy::kError, AccPolicy::kWrap, AccPolicy::kSaturate});
  AddChoices(table, "operand_mode", std::array{OperandMode::kMultiply, OperandMode::kShift});
  AddChoices(table, "softmax",
             std::array{SoftmaxKind::kIbert, SoftmaxKind::kIbertRn, SoftmaxKind::kLogInt,
                        SoftmaxKind::kShiftmax, SoftmaxKind::kIta, SoftmaxKind::kItaStreaming,
                        SoftmaxKind::kTflite, SoftmaxKind::kDeeploy});
  AddChoices(table, "requant_scheme", kAllRequantSchemes);
  AddChoices(table, "layernorm",
             std::array{LayernormKind::kIbert, LayernormKind::kIvit, LayernormKind::kDeeploy});
  AddChoices(table, "gelu",
             std::array{GeluKind::kTable, GeluKind::kIbert, GeluKind::kShiftGelu, GeluKind::kIta,
                        GeluKind::kDeeploy});
  table.provenance = ProvenanceGroup(bundle.provenance, bundle.contracts);
  table.hardware = HardwareGroup(bundle.hardware);
  const OperationBuilder build(bundle.program);
  for (const Op& op : bundle.program.ops) table.operations.push_back(std::visit(build, op));
  for (const TensorInfo& info : bundle.program.tensors)
    table.tensors.push_back(TensorGroup(bundle, info));
  for (const auto& [name, scale] : bundle.scales) {
    if (bundle.program.FindTensor(name) == nullptr)
      table.tensors.push_back(ConstantGroup(bundle, name, scale));
  }
  RequireDistinctIdentifiers(table);
  return table;
}

std::string ExportIdentifier(const std::string& group, const std::string& parameter) {
  std::string out = "qsim_" + group + (parameter.empty() ? "" : "_" + parameter);
  std::replace_if(
      out.begin(), out.end(),
      [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return out;
}

std::string RealText(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find('.') != std::string::npos) return text;
  const std::size_t exponent = text.find('e');
  return text.insert(exponent == std::string::npos ? text.size() : exponent, ".0");
}

}  // namespace qsim
