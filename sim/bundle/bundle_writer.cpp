#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>

#include "sim/bundle/bundle_records.h"
#include "sim/io/files/atomic_file.h"
#include "sim/io/files/hash.h"
#include "sim/io/tensors/npy.h"

namespace qsim::bundle {
namespace bundle_format {
namespace {

namespace fs = std::filesystem;

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      quoted += c;
    }
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

// Takes the arrays of a program by the names of their files.
using ArraySink = std::function<void(const std::string& file, const IntTensor& array)>;

// Writes one record as YAML lines at an indentation; arrays longer than one entry go to .npy files.
class Writer {
 public:
  Writer(std::string& out, std::string indent, std::string first, ArraySink arrays = {},
         std::string prefix = {})
      : out_(out),
        indent_(std::move(indent)),
        next_(std::move(first)),
        arrays_(std::move(arrays)),
        prefix_(std::move(prefix)) {}

  template <typename T>
  void Scalar(std::string_view key, const T& value) {
    Line(key, Text(value));
  }
  // An optional value that is T{} is not written: its absence means just that.
  template <typename T>
  bool Skips(bool optional, std::string_view /*key*/, const T& value) const {
    return optional && value == T{};
  }
  template <typename Variant>
  void Algorithm(std::string_view key, const Variant& algorithm) {
    Line(key, std::string(NameOfAlgorithm(algorithm)));
  }
  void Column(std::string_view key, const std::vector<std::int64_t>& values, bool whole) {
    const bool same =
        std::adjacent_find(values.begin(), values.end(), std::not_equal_to<>()) == values.end();
    Array(key, same && !whole ? std::vector<std::int64_t>(1, values.front()) : values);
  }
  void Constant(std::string_view key, std::string_view value) { Line(key, std::string(value)); }
  template <typename T>
  void List(std::string_view key, const std::vector<T>& values) {
    std::string text;
    for (const T& value : values) text += (text.empty() ? "" : ", ") + Text(value);
    Line(key, "[" + text + "]");
  }
  template <typename T>
  void Array(std::string_view key, const std::vector<T>& values) {
    if (values.size() <= 1) {
      List(key, values);
      return;
    }
    const std::string file = fmt::format("{}.{}.npy", prefix_, key);
    arrays_(file, IntTensor({static_cast<std::int64_t>(values.size())}, values));
    Line(key, fmt::format("{}/{}", kArrays, file));
  }
  void CheckSameLength(std::string_view, std::size_t, std::string_view, std::size_t) const {}
  template <typename T>
  T Narrow(std::string_view, std::int64_t value) const {
    return static_cast<T>(value);
  }

 private:
  void Line(std::string_view key, const std::string& value) {
    out_ += fmt::format("{}{}: {}\n", next_, key, value);
    next_ = indent_;
  }

  std::string& out_;
  std::string indent_;
  std::string next_;
  ArraySink arrays_;
  std::string prefix_;
};

std::string ProgramYaml(const Bundle& bundle, const ArraySink& arrays) {
  // The record descriptions serve reading too, and so take mutable references: to copies.
  std::string out = fmt::format("format_version: {}\n", kFormatVersion);
  out += "provenance:\n";
  Writer provenance(out, "  ", "  ");
  Provenance provenance_copy = bundle.provenance;
  Describe(provenance, provenance_copy);
  out += "hardware:\n";
  Writer hardware(out, "  ", "  ");
  HardwareParams hardware_copy = bundle.hardware;
  Describe(hardware, hardware_copy);
  out += "inputs:\n";
  for (const std::string& name : bundle.program.inputs) out += fmt::format("  - {}\n", name);
  out += "tensors:\n";
  for (TensorInfo info : bundle.program.tensors) {
    Writer writer(out, "    ", "  - ");
    Describe(writer, info);
  }
  out += bundle.program.constants.empty() ? "constants: []\n" : "constants:\n";
  for (const auto& [name, unused] : bundle.program.constants) out += fmt::format("  - {}\n", name);
  out += "operations:\n";
  for (Op op : bundle.program.ops) {
    out += fmt::format("  - op: {}\n", KindName(op));
    Writer writer(out, "    ", "    ", arrays, OutputOf(op));
    std::visit([&](auto& o) { Describe(writer, o); }, op);
  }
  if (!bundle.program.carried.empty()) out += "carried:\n";
  for (Carried carried : bundle.program.carried) {
    Writer writer(out, "    ", "  - ");
    Describe(writer, carried);
  }
  return out;
}

// The end of that file.
std::string NotesYaml(const Bundle& bundle) {
  std::string out = bundle.notes.empty() ? "notes: []\n" : "notes:\n";
  for (LoweringNote note : bundle.notes) {
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

}  // namespace
}  // namespace bundle_format

void SaveBundle(const Bundle& bundle, OutputDirectory& output) {
  const std::filesystem::path arrays = output.path() / bundle_format::kArrays;
  const std::filesystem::path inputs = output.path() / bundle_format::kInputs;
  std::filesystem::create_directories(arrays);
  std::filesystem::create_directories(inputs);
  const bundle_format::ArraySink write = [&](const std::string& file, const IntTensor& array) {
    WriteNpy(arrays / file, array);
  };
  for (const auto& [name, constant] : bundle.program.constants) write(name + ".npy", constant);
  for (const auto& [name, input] : bundle.inputs) WriteNpy(inputs / (name + ".npy"), input);
  if (!bundle.lengths.empty()) {
    WriteNpy(output.path() / bundle_format::kLengths,
             IntTensor({bundle.images()}, std::vector<std::int64_t>(bundle.lengths)));
  }
  WriteFileAtomically(output.path() / "program.yaml",
                      bundle_format::ProgramYaml(bundle, write) + bundle_format::NotesYaml(bundle));
  WriteFileAtomically(output.path() / kContractFile, ContractsYaml(bundle.contracts));
  WriteFileAtomically(output.path() / "scales.yaml", bundle_format::ScalesYaml(bundle));
  output.Commit();
}

std::string HashOf(const Bundle& bundle) {
  Sha256 hash;
  const bundle_format::ArraySink add = [&](const std::string& file, const IntTensor& array) {
    hash.Update(fmt::format("\n{} {} ", file, array.size()));
    std::visit(
        [&](const auto& values) { hash.Update(values.data(), values.size() * sizeof(values[0])); },
        array.storage());
  };
  for (const auto& [name, constant] : bundle.program.constants) add(name, constant);
  hash.Update(bundle_format::ProgramYaml(bundle, add));
  hash.Update(bundle_format::ScalesYaml(bundle));
  return hash.Finish();
}

}  // namespace qsim::bundle
