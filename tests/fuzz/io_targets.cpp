// The readers of sim/io, and numbers as people write them.
#include <fmt/format.h>

#include <cmath>
#include <stdexcept>

#include "sim/error.h"
#include "sim/io/files/json_text.h"
#include "sim/io/files/result_list.h"
#include "sim/io/files/resume_log.h"
#include "sim/io/images/image.h"
#include "sim/io/tensors/npy.h"
#include "sim/io/tensors/safetensors.h"
#include "sim/io/tensors/tensor_file.h"
#include "sim/io/yaml/yaml_document.h"
#include "sim/io/yaml/yaml_values.h"
#include "sim/text/number.h"
#include "tests/fuzz/files.h"
#include "tests/fuzz/target.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;

const fs::path kTree = QSIM_SOURCE_DIR;

std::vector<std::string> FilesEndingIn(const fs::path& directory, std::string_view ending) {
  std::vector<std::string> seeds;
  for (const auto& [name, bytes] : FilesIn(directory, 8192)) {
    if (name.ends_with(ending)) seeds.push_back(bytes);
  }
  return seeds;
}

[[noreturn]] void Wrong(const std::string& what) { throw std::logic_error(what); }

void Walk(const YamlNode& node) {
  node.Describe();
  AsInteger(node);
  AsReal(node);
  AsBoolean(node);
  AsText(node);
  for (const YamlPtr& item : node.items) Walk(*item);
  for (const YamlEntry& entry : node.entries) {
    if (node.Find(entry.key) == nullptr) Wrong("a key that is there is not found");
    if (entry.line < 1) Wrong("a key without a line");
  }
}

std::vector<std::string> YamlSeeds() {
  std::vector<std::string> seeds = FilesEndingIn(kTree / "configs", ".yaml");
  seeds.emplace_back("x-a: &a {b: 1, c: [2, '3']}\nd: {<<: *a, c: ~}\ne: *a\n");
  seeds.emplace_back(
      "a: |\n  text\n  more\nb: >-\n  folded\nc: \"\\x41\\u00e4\\n\"\n'd': 'it''s'\n");
  seeds.emplace_back("- 1\n- [a, [b, {c: d}]]\n-\n  - 0x10\n  - 010\n  - 1e5\n  - .nan\n# end\n");
  seeds.emplace_back("---\n? key\n: value\n...\n");
  return seeds;
}

// A text that is a number stands for one number, whichever type is asked for.
void RunNumbers(std::string_view text) {
  const auto whole = ParseNumber<std::int64_t>(text);
  const auto natural = ParseNumber<std::uint64_t>(text);
  const auto narrow = ParseNumber<int>(text);
  const auto real = ParseNumber<double>(text);
  if (whole && *whole >= 0 && text[0] != '-' && natural != static_cast<std::uint64_t>(*whole))
    Wrong("a whole number that is no natural one");
  if (narrow && whole != std::int64_t{*narrow}) Wrong("an int of another value");
  if (whole && real != static_cast<double>(*whole)) Wrong("a whole number that is no real one");
  if (real && !std::isfinite(*real)) Wrong("a number that is none");
  if (const auto index = ParseIndex(text); index && (*index < 0 || std::to_string(*index) != text))
    Wrong("an index that is written otherwise");
}

AnyTensor SmallInts(DType type) {
  IntTensor tensor(type, {2, 3});
  std::visit([](auto& values) { values[1] = 7; }, tensor.storage());
  return tensor;
}

std::vector<std::string> NpySeeds() {
  std::vector<std::string> seeds =
      FilesEndingIn(kTree / "tests" / "conform" / "cases" / "gelu", ".npy");
  for (const DType type : {DType::kInt8, DType::kUint16, DType::kInt64}) {
    WriteNpy(Written(Files{}) / "a.npy", AsInts(SmallInts(type), "a.npy"));
    seeds.push_back(BytesOfFile(Written(Files{}) / "a.npy"));
  }
  for (const char* header : {"{'descr': '>f8', 'fortran_order': True, 'shape': (1, 2), }\n",
                             "{'descr': '<f2', 'fortran_order': False, 'shape': (), }\n",
                             "{'descr': '|b1', 'fortran_order': False, 'shape': (3,), }\n"}) {
    const std::string text = header;
    std::string bytes = std::string("\x93NUMPY\x02\x00", 8);
    for (int i = 0; i < 4; ++i) bytes += static_cast<char>(text.size() >> 8 * i);
    seeds.push_back(bytes + text + std::string(16, '\1'));
  }
  return seeds;
}

void RunNpy(std::string_view input) {
  const fs::path path = Written("a.npy", input);
  const NpyReader reader(path);
  reader.ReadExact();
  if (!reader.shape().empty() && reader.shape()[0] > 1) reader.Read(1, 1);
  ReadNpy(path);
}

std::vector<std::string> SafetensorsSeeds() {
  const fs::path path = Written(Files{}) / "m.safetensors";
  const FloatTensor vector{{3}, {1, -2, 0.5F}}, matrix{{2, 2}, {1, 2, 3, 4}}, nothing{{0, 4}, {}};
  WriteSafetensors(path, {{"blocks.0.norm1.weight", WeightDType::kF32, vector},
                          {"b", WeightDType::kBf16, matrix},
                          {"c", WeightDType::kF16, vector},
                          {"d", WeightDType::kF32, nothing}});
  std::vector<std::string> seeds = {BytesOfFile(path)};
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
      R"("b":{"dtype":"F64","shape":[],"data_offsets":[8,16]}})";
  std::string length(8, '\0');
  length[0] = static_cast<char>(header.size());
  seeds.push_back(length + header + std::string(16, '\x3F'));
  return seeds;
}

void RunSafetensors(std::string_view input) {
  const Safetensors file = Safetensors::Open(Written("m.safetensors", input));
  for (const std::string& name : file.names()) {
    try {
      file.CheckFinite(name);
      file.Load(name);
    } catch (const InputError&) {  // one tensor's, and the next may be another
    }
  }
}

std::vector<std::string> MemhSeeds() {
  std::vector<std::string> seeds;
  const fs::path directory = Written(Files{});
  WriteMemh(directory / "a.memh", "a", AsInts(SmallInts(DType::kInt16), "a"), 12);
  seeds.push_back(Joined(FilesIn(directory)));
  seeds.push_back(Joined({{"a.memh", "// words\n@0 00 01 /* two\nlines */ fF_7\n@4\n10 11 x0\n"}}));
  seeds.push_back(Joined(
      {{"a.memh", "0302 0504\n"},
       {"a.memh.json", R"({"name": "a", "shape": [4], "bits": 8, "signed": true, "lanes": 2})"}}));
  return seeds;
}

void RunMemh(std::string_view input) {
  const fs::path file = Written(Split(input)) / "a.memh";
  StatedForm(file);
  ReadTensorFile(file);
  ReadTensorFile(file, WordForm{.shape = {2, 3}, .dtype = DType::kInt16, .bits = 16});
}

void RunImage(std::string_view input) {
  const fs::path file = Written("image", input);
  const Image gray = ReadImage(file, 1), color = ReadImage(file, 3);
  if (gray.width != color.width || gray.height != color.height ||
      std::ssize(color.pixels) != 3 * color.width * color.height)
    Wrong("gray and colour differ in size");
}

std::vector<std::string> ImageSeeds() {
  std::vector<std::string> seeds =
      FilesEndingIn(kTree / "tests" / "io" / "data" / "decode", ".png");
  for (std::string& jpeg : FilesEndingIn(kTree / "tests" / "io" / "data" / "decode", ".jpg"))
    seeds.push_back(std::move(jpeg));
  return seeds;
}

const Identity kIdentity = {{"weights", "1234"}, {"--images", "5"}};

std::vector<std::string> StateSeeds() {
  const fs::path path = Written(Files{}) / "state";
  {
    ResumeLog log(path, "eval 5", kIdentity);
    log.Add(0, "3\t0.5");
    log.Add(12, "4\t-1e-3");
  }
  return {BytesOfFile(path)};
}

// Whatever was changed: a finished piece is one that was written, or the state is refused.
void RunState(std::string_view input) {
  const ResumeLog log(Written("state", input), "eval 5", kIdentity);
  Written(Files{});  // the log may have been added to
  const std::map<std::int64_t, std::string> written = {{0, "3\t0.5"}, {12, "4\t-1e-3"}};
  for (const auto& [number, text] : log.done()) {
    if (!written.contains(number) || written.at(number) != text) Wrong("a piece nobody finished");
  }
}

std::vector<std::string> ListSeeds() {
  const fs::path directory = Written(Files{{"a.npy", "1"}, {"inputs/b.yaml", ""}});
  WriteResultList(directory, {"a.npy", "inputs/b.yaml"});
  return {Joined(FilesIn(directory))};
}

void RunList(std::string_view input) {
  const fs::path directory = Written(Split(input));
  const ResultList list = ReadResultList(directory);
  const ResultChanges changes = CompareResult(directory);
  if (changes.listed != list.listed) Wrong("a list that is there and is not");
  for (const std::string& name : changes.missing) {
    if (fs::exists(directory / name)) Wrong("missing and there: " + name);
  }
}

void RunJson(std::string_view input) {
  const nlohmann::json json = ParseJson(input, "a.json");
  if (!json.is_discarded() && nlohmann::json::parse(json.dump()) != json)
    Wrong("JSON that is another one when written");
}

}  // namespace

std::vector<Target> IoTargets() {
  return {
      {"yaml", "YAML documents", "sim/io/yaml", YamlSeeds,
       [](std::string_view input) { Walk(*ParseYaml(input, "a.yaml")); }},
      {"json", "JSON", "sim/io/files/json_text.cpp",
       [] { return FilesEndingIn(kTree / "vectors", ".json"); }, RunJson},
      {"number", "numbers of options and files", "sim/text/number.h",
       [] {
         return std::vector<std::string>{"0", "-12", "+7", "1e-3", "0.25", "9223372036854775807"};
       },
       RunNumbers},
      {"npy", "arrays of numpy", "sim/io/tensors/npy.cpp sim/io/tensors/npy_header.cpp", NpySeeds,
       RunNpy},
      {"safetensors", "weights",
       "sim/io/tensors/safetensors.cpp sim/io/tensors/safetensors_header.cpp", SafetensorsSeeds,
       RunSafetensors},
      {"memh", "memory files and their sidecars",
       "sim/io/tensors/memh.cpp sim/io/tensors/memh_words.cpp sim/io/tensors/tensor_file.cpp",
       MemhSeeds, RunMemh},
      {"image", "PNG and JPEG",
       "sim/io/images/image.cpp sim/io/images/jpeg_decoder.cpp sim/io/images/png_decoder.cpp",
       ImageSeeds, RunImage},
      {"state", "states of interrupted runs", "sim/io/files/resume_log.cpp", StateSeeds, RunState},
      {"list", "lists of a result's files", "sim/io/files/result_list.cpp", ListSeeds, RunList},
  };
}

}  // namespace qsim::testing
