#include "sim/calibrate/bundle.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <type_traits>
#include <utility>

#include "sim/error.h"
#include "sim/io/atomic_file.h"
#include "sim/io/nearest_word.h"
#include "sim/io/npy.h"
#include "sim/io/yaml_document.h"

namespace qsim {
namespace {

namespace fs = std::filesystem;

constexpr int kFormatVersion = 1;
constexpr std::string_view kArrays = "arrays";
constexpr std::string_view kInputs = "inputs";

// ---- words of the format ----

std::string_view Name(ChannelAxis axis) {
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

std::string_view Name(TensorScale::Kind kind) {
  return kind == TensorScale::Kind::kLog2 ? "log2" : "linear";
}

std::string_view Name(LoweringNote::Kind kind) {
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

std::optional<ChannelAxis> Parse(std::string_view name, ChannelAxis) {
  return FromName(name, {ChannelAxis::kNone, ChannelAxis::kLast, ChannelAxis::kFirst});
}
std::optional<TensorScale::Kind> Parse(std::string_view name, TensorScale::Kind) {
  return FromName(name, {TensorScale::Kind::kLinear, TensorScale::Kind::kLog2});
}
std::optional<LoweringNote::Kind> Parse(std::string_view name, LoweringNote::Kind) {
  return FromName(name, {LoweringNote::Kind::kInfo, LoweringNote::Kind::kSubstitution,
                         LoweringNote::Kind::kRaisedScale});
}
std::optional<DType> Parse(std::string_view name, DType) { return DTypeFromName(name); }
std::optional<Rounding> Parse(std::string_view name, Rounding) { return RoundingFromName(name); }
std::optional<AccPolicy> Parse(std::string_view name, AccPolicy) { return AccPolicyFromName(name); }
std::optional<OperandMode> Parse(std::string_view name, OperandMode) {
  return OperandModeFromName(name);
}
std::optional<SoftmaxKind> Parse(std::string_view name, SoftmaxKind) {
  return SoftmaxKindFromName(name);
}
std::optional<GeluKind> Parse(std::string_view name, GeluKind) { return GeluKindFromName(name); }

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

// ---- writing ----

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c == '\n' ? ' ' : c;
  }
  return quoted + '"';
}

std::string Text(const std::string& value) { return Quoted(value); }
std::string Text(bool value) { return value ? "true" : "false"; }
std::string Text(double value) { return fmt::format("{:.17g}", value); }
template <typename T>
std::string Text(T value) {
  if constexpr (std::is_enum_v<T>) {
    return std::string(Name(value));
  } else {
    return std::to_string(value);
  }
}

// Writes one record as YAML lines at an indentation; arrays longer than one entry go to .npy files.
class Writer {
 public:
  Writer(std::string& out, std::string indent, std::string first, fs::path arrays = {},
         std::string prefix = {})
      : out_(out),
        indent_(std::move(indent)),
        next_(std::move(first)),
        arrays_(std::move(arrays)),
        prefix_(std::move(prefix)) {}

  template <typename T>
  void Scalar(const char* key, const T& value) {
    Line(key, Text(value));
  }
  // Written where it differs from T{}, which is what its absence means.
  template <typename T>
  void Optional(const char* key, const T& value) {
    if (value != T{}) Scalar(key, value);
  }
  void Constant(const char* key, const char* value) { Line(key, value); }
  template <typename T>
  void List(const char* key, const std::vector<T>& values) {
    std::string text;
    for (const T& value : values) text += (text.empty() ? "" : ", ") + Text(value);
    Line(key, "[" + text + "]");
  }
  template <typename T>
  void Array(const char* key, const std::vector<T>& values) {
    if (values.size() <= 1) {
      List(key, values);
      return;
    }
    const std::string file = fmt::format("{}.{}.npy", prefix_, key);
    WriteNpy(arrays_ / file, IntTensor({static_cast<std::int64_t>(values.size())}, values));
    Line(key, fmt::format("{}/{}", kArrays, file));
  }
  void CheckSameLength(const char*, std::size_t, const char*, std::size_t) const {}
  template <typename T>
  T Narrow(const char*, std::int64_t value) const {
    return static_cast<T>(value);
  }

 private:
  void Line(const char* key, const std::string& value) {
    out_ += fmt::format("{}{}: {}\n", next_, key, value);
    next_ = indent_;
  }

  std::string& out_;
  std::string indent_;
  std::string next_;
  fs::path arrays_;
  std::string prefix_;
};

std::string ProgramYaml(const Bundle& bundle, const fs::path& arrays) {
  Bundle b = bundle;  // the record descriptions serve reading too, and so take mutable references
  std::string out = fmt::format("format_version: {}\n", kFormatVersion);
  out += "provenance:\n";
  Writer provenance(out, "  ", "  ");
  Describe(provenance, b.provenance);
  out += "hardware:\n";
  Writer hardware(out, "  ", "  ");
  Describe(hardware, b.hardware);
  out += "inputs:\n";
  for (const std::string& name : b.program.inputs) out += fmt::format("  - {}\n", name);
  out += "tensors:\n";
  for (TensorInfo& info : b.program.tensors) {
    Writer writer(out, "    ", "  - ");
    Describe(writer, info);
  }
  out += "constants:\n";
  for (const auto& [name, unused] : b.program.constants) out += fmt::format("  - {}\n", name);
  out += "operations:\n";
  for (Op& op : b.program.ops) {
    out += fmt::format("  - op: {}\n", KindName(op));
    Writer writer(out, "    ", "    ", arrays, OutputOf(op));
    std::visit([&](auto& o) { Describe(writer, o); }, op);
  }
  out += b.notes.empty() ? "notes: []\n" : "notes:\n";
  for (LoweringNote& note : b.notes) {
    Writer writer(out, "    ", "  - ");
    Describe(writer, note);
  }
  return out;
}

std::string ScalesYaml(const Bundle& bundle) {
  std::string out = "# real = scale * (q - zero_point); kind log2: real = 2^-q, q = 16 is 0\n";
  for (auto [name, scale] : bundle.scales) {
    out += name + ":\n";
    Writer writer(out, "  ", "  ");
    Describe(writer, scale);
  }
  return out;
}

// ---- reading ----

class Reader {
 public:
  Reader(YamlPtr node, std::string file, std::string where, fs::path root = {})
      : node_(std::move(node)),
        file_(std::move(file)),
        where_(std::move(where)),
        root_(std::move(root)) {
    if (node_->kind != YamlNode::Kind::kMap)
      Fail(node_->line, "must be a map, is " + node_->Describe());
  }

  // Call when every field has been read: what is left is unknown.
  void Finish() const {
    for (const YamlEntry& entry : node_->entries) {
      if (std::find(known_.begin(), known_.end(), entry.key) == known_.end()) {
        Fail(entry.line,
             fmt::format("unknown key '{}'; {}", entry.key, SuggestWord(entry.key, known_)));
      }
    }
  }

  template <typename T>
  void Scalar(const char* key, T& value) {
    Parse(key, *Get(key, YamlNode::Kind::kScalar, "a value"), value);
  }
  template <typename T>
  void Optional(const char* key, T& value) {
    if (node_->Find(key)) {
      Scalar(key, value);
    } else {
      known_.emplace_back(key);
      value = T{};
    }
  }
  void Constant(const char* key, const char* expected) {
    std::string value;
    Scalar(key, value);
    if (value != expected)
      Fail(node_->line, fmt::format("'{}' is '{}', must be '{}'", key, value, expected));
  }
  template <typename T>
  void List(const char* key, std::vector<T>& values) {
    const YamlPtr list = Get(key, YamlNode::Kind::kSequence, "a list");
    values.clear();
    for (const YamlPtr& item : list->items) {
      if (item->kind != YamlNode::Kind::kScalar)
        Fail(item->line, fmt::format("'{}' must hold numbers", key));
      T value{};
      Parse(key, *item, value);
      values.push_back(value);
    }
  }
  template <typename T>
  void Array(const char* key, std::vector<T>& values) {
    const YamlPtr value = Find(key);
    if (value->kind == YamlNode::Kind::kSequence) {
      List(key, values);
      return;
    }
    std::string file;
    Scalar(key, file);
    if (file.find("..") != std::string::npos || !file.starts_with(kArrays)) {
      Fail(value->line, fmt::format("'{}' must name a file in {}/", key, kArrays));
    }
    const IntTensor tensor = ReadIntNpy(root_ / file);
    const auto* stored = std::get_if<std::vector<T>>(&tensor.storage());
    if (stored == nullptr || tensor.shape().size() != 1) {
      throw InputError(fmt::format("{}: must be a one-dimensional array of int{}",
                                   (root_ / file).string(), 8 * sizeof(T)));
    }
    values = *stored;
  }
  void CheckSameLength(const char* a, std::size_t a_size, const char* b, std::size_t b_size) const {
    if (a_size != b_size) {
      Fail(node_->line, fmt::format("'{}' has {} entries, '{}' has {}", a, a_size, b, b_size));
    }
  }
  template <typename T>
  T Narrow(const char* key, std::int64_t value) const {
    if (value < std::numeric_limits<T>::min() || value > std::numeric_limits<T>::max()) {
      Fail(node_->line, fmt::format("'{}' holds {}, out of range", key, value));
    }
    return static_cast<T>(value);
  }
  YamlPtr Get(const char* key, YamlNode::Kind kind, const char* expected) {
    const YamlPtr value = Find(key);
    if (value->kind != kind) {
      Fail(value->line, fmt::format("'{}' must be {}, is {}", key, expected, value->Describe()));
    }
    return value;
  }
  [[noreturn]] void Fail(int line, const std::string& what) const {
    throw InputError(
        fmt::format("{}:{}: {}{}", file_, line, where_.empty() ? "" : where_ + ": ", what));
  }

 private:
  YamlPtr Find(const char* key) {
    known_.emplace_back(key);
    const YamlPtr value = node_->Find(key);
    if (!value) Fail(node_->line, fmt::format("'{}' is missing", key));
    return value;
  }

  void Parse(const char*, const YamlNode& node, std::string& value) const { value = node.scalar; }
  void Parse(const char* key, const YamlNode& node, bool& value) const {
    if (node.scalar != "true" && node.scalar != "false") {
      Fail(node.line, fmt::format("'{}' must be true or false, is '{}'", key, node.scalar));
    }
    value = node.scalar == "true";
  }
  template <typename T>
  void Parse(const char* key, const YamlNode& node, T& value) const {
    if constexpr (std::is_enum_v<T>) {
      const auto parsed = qsim::Parse(node.scalar, T{});
      if (!parsed) Fail(node.line, fmt::format("'{}' has an unknown value '{}'", key, node.scalar));
      value = *parsed;
    } else {
      const char* end = node.scalar.data() + node.scalar.size();
      const auto [rest, error] = std::from_chars(node.scalar.data(), end, value);
      if (error != std::errc() || rest != end) {
        Fail(node.line,
             fmt::format("'{}' must be {}, is '{}'", key,
                         std::is_integral_v<T> ? "an integer in range" : "a number", node.scalar));
      }
    }
  }

  YamlPtr node_;
  std::string file_;
  std::string where_;
  fs::path root_;
  std::vector<std::string> known_;
};

template <std::size_t... I>
std::optional<Op> OpFromKind(std::string_view kind, std::index_sequence<I...>) {
  std::optional<Op> found;
  ((KindName(Op(std::in_place_index<I>)) == kind ? void(found = Op(std::in_place_index<I>))
                                                 : void()),
   ...);
  return found;
}

class BundleReader {
 public:
  explicit BundleReader(fs::path root)
      : root_(std::move(root)), file_((root_ / "program.yaml").string()) {}

  Bundle Read() {
    if (!fs::is_directory(root_)) throw InputError(root_.string() + ": no such bundle directory");
    ReadProgram();
    ReadScales();
    try {
      Validate(bundle_.program);
    } catch (const ProgramError& error) {
      throw InputError(file_ + ": " + error.what());
    }
    CheckScales();
    ReadInputs();
    return std::move(bundle_);
  }

 private:
  template <typename T>
  void ReadRecord(const YamlPtr& node, const std::string& where, T& record) {
    Reader reader(node, file_, where, root_);
    Describe(reader, record);
    reader.Finish();
  }

  std::vector<std::string> ReadNames(Reader& reader, const char* key) const {
    std::vector<std::string> names;
    reader.List(key, names);
    return names;
  }

  void ReadProgram() {
    Reader reader(LoadYaml(root_ / "program.yaml"), file_, "");
    int version = 0;
    reader.Scalar("format_version", version);
    if (version != kFormatVersion) {
      throw InputError(fmt::format("{}: format_version {} is not supported, this qsim reads {}",
                                   file_, version, kFormatVersion));
    }
    ReadRecord(reader.Get("provenance", YamlNode::Kind::kMap, "a map"), "provenance",
               bundle_.provenance);
    ReadRecord(reader.Get("hardware", YamlNode::Kind::kMap, "a map"), "hardware", bundle_.hardware);
    bundle_.program.inputs = ReadNames(reader, "inputs");
    for (const YamlPtr& node : reader.Get("tensors", YamlNode::Kind::kSequence, "a list")->items) {
      ReadRecord(node, "tensors", bundle_.program.tensors.emplace_back());
      CheckFileName(bundle_.program.tensors.back().name);
    }
    for (const std::string& name : ReadNames(reader, "constants")) {
      CheckFileName(name);
      bundle_.program.constants[name] = ReadIntNpy(root_ / kArrays / (name + ".npy"));
    }
    for (const YamlPtr& node :
         reader.Get("operations", YamlNode::Kind::kSequence, "a list")->items) {
      ReadOp(node);
    }
    for (const YamlPtr& node : reader.Get("notes", YamlNode::Kind::kSequence, "a list")->items) {
      ReadRecord(node, "notes", bundle_.notes.emplace_back());
    }
    reader.Finish();
  }

  void ReadOp(const YamlPtr& node) {
    Reader reader(node, file_, "operation", root_);
    std::string kind;
    reader.Scalar("op", kind);
    std::optional<Op> op = OpFromKind(kind, std::make_index_sequence<std::variant_size_v<Op>>());
    if (!op)
      throw InputError(fmt::format("{}:{}: unknown operation '{}'", file_, node->line, kind));
    std::visit([&](auto& o) { Describe(reader, o); }, *op);
    reader.Finish();
    bundle_.program.ops.push_back(std::move(*op));
  }

  // Names become file names; a bundle must not reach outside its directory.
  void CheckFileName(const std::string& name) const {
    if (name.empty() || name.find('/') != std::string::npos || name.starts_with(".")) {
      throw InputError(fmt::format("{}: '{}' is not a tensor name", file_, name));
    }
  }

  void ReadScales() {
    const fs::path path = root_ / "scales.yaml";
    const YamlPtr root = LoadYaml(path);
    for (const YamlEntry& entry : root->entries) {
      Reader reader(entry.value, path.string(), entry.key);
      Describe(reader, bundle_.scales[entry.key]);
      reader.Finish();
    }
  }

  void CheckScales() const {
    const std::string file = (root_ / "scales.yaml").string();
    for (const TensorInfo& info : bundle_.program.tensors) {
      const auto found = bundle_.scales.find(info.name);
      if (found == bundle_.scales.end()) {
        throw InputError(fmt::format("{}: tensor '{}' has no scale", file, info.name));
      }
      const TensorScale& s = found->second;
      const std::int64_t channels = s.axis == ChannelAxis::kLast    ? info.shape.back()
                                    : s.axis == ChannelAxis::kFirst ? info.shape.front()
                                                                    : 1;
      const auto fits = [&](std::size_t n) {
        return n == 1 || static_cast<std::int64_t>(n) == channels;
      };
      if (!fits(s.scale.size()) || !fits(s.zero.size())) {
        throw InputError(fmt::format("{}: tensor '{}' needs one scale and zero point, or {}", file,
                                     info.name, channels));
      }
      for (const double scale : s.scale) {
        if (!std::isfinite(scale) || scale <= 0) {
          throw InputError(
              fmt::format("{}: tensor '{}' has a scale that is not positive", file, info.name));
        }
      }
    }
  }

  void ReadInputs() {
    if (bundle_.program.inputs.empty()) throw InputError(file_ + ": 'inputs' is empty");
    std::int64_t images = -1;
    for (const std::string& name : bundle_.program.inputs) {
      const fs::path path = root_ / kInputs / (name + ".npy");
      IntTensor tensor = ReadProgramInput(path, bundle_.program.Tensor(name));
      if (images >= 0 && images != tensor.shape().front()) {
        throw InputError(path.string() +
                         ": another number of images than the bundle's other inputs");
      }
      images = tensor.shape().front();
      bundle_.inputs[name] = std::move(tensor);
    }
  }

  fs::path root_;
  std::string file_;
  Bundle bundle_;
};

}  // namespace

IntTensor ReadProgramInput(const fs::path& file, const TensorInfo& info) {
  IntTensor tensor = ReadIntNpy(file);
  const bool same_shape =
      tensor.shape().size() == info.shape.size() + 1 &&
      std::equal(info.shape.begin(), info.shape.end(), tensor.shape().begin() + 1);
  if (!same_shape || tensor.dtype() != info.dtype) {
    throw InputError(fmt::format("{}: must be {} with the shape [images, {}]", file.string(),
                                 Name(info.dtype), fmt::join(info.shape, ", ")));
  }
  if (tensor.size() == 0) throw InputError(file.string() + ": zero images");
  for (std::int64_t i = 0; i < tensor.size(); ++i) {
    const std::int64_t value = tensor.At(i);
    if (value < info.range.qmin || value > info.range.qmax) {
      throw InputError(fmt::format("{}: element {} is {}, outside the range {}..{} of '{}'",
                                   file.string(), i, value, info.range.qmin, info.range.qmax,
                                   info.name));
    }
  }
  return tensor;
}

void SaveBundle(const Bundle& bundle, OutputDirectory& output) {
  const fs::path arrays = output.path() / kArrays;
  const fs::path inputs = output.path() / kInputs;
  fs::create_directories(arrays);
  fs::create_directories(inputs);
  for (const auto& [name, constant] : bundle.program.constants)
    WriteNpy(arrays / (name + ".npy"), constant);
  for (const auto& [name, input] : bundle.inputs) WriteNpy(inputs / (name + ".npy"), input);
  WriteFileAtomically(output.path() / "program.yaml", ProgramYaml(bundle, arrays));
  WriteFileAtomically(output.path() / "scales.yaml", ScalesYaml(bundle));
  output.Commit();
}

Bundle LoadBundle(const fs::path& directory) { return BundleReader(directory).Read(); }

}  // namespace qsim
