#include "sim/bundle/grids_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "golden/program/queries.h"
#include "sim/bundle/parameter_table.h"
#include "sim/error.h"
#include "sim/io/files/content_hash.h"
#include "sim/io/yaml/yaml_values.h"
#include "sim/text/nearest_word.h"
#include "sim/text/printable.h"

namespace qsim::bundle {
namespace {

constexpr std::uint64_t kLargestGridsFile = std::uint64_t{1} << 30;
constexpr int kMostBits = 16;

std::string Entry(const std::string& name, QuantRange range, const TensorScale& stated) {
  const bool rewritten = stated.Rewritten();
  const auto reals = [](const std::vector<double>& values) {
    std::vector<std::string> texts;
    for (const double v : values) texts.push_back(RealText(v));
    return fmt::format("{}", fmt::join(texts, ", "));
  };
  std::string text = fmt::format(
      "{}:\n  range: [{}, {}]\n  scale: [{}]\n  zero_point: [{}]\n", name, range.qmin, range.qmax,
      reals(rewritten ? stated.unit : stated.scale), fmt::join(stated.zero, ", "));
  if (rewritten) text += fmt::format("  factor: [{}]\n", reals(stated.factor));
  return text;
}

class GridsReader {
 public:
  explicit GridsReader(const std::filesystem::path& path)
      : file_(path.string()), root_(LoadYaml(path, kLargestGridsFile)) {}

  GridsFile Read() {
    GridsFile result{file_, {}};
    if (root_->kind != YamlNode::Kind::kMap) Fail(1, "must be a map of tensors");
    for (const YamlEntry& entry : root_->entries) {
      tensor_ = Printable(entry.key);
      result.grids[entry.key] = ReadOne(entry);
    }
    return result;
  }

 private:
  FileGrid ReadOne(const YamlEntry& entry) const {
    if (entry.value->kind != YamlNode::Kind::kMap)
      Fail(entry.line, "must be a map with range, scale and zero_point");
    for (const YamlEntry& key : entry.value->entries) {
      const std::vector<std::string> known = {"range", "scale", "zero_point", "factor", "rounding"};
      if (std::find(known.begin(), known.end(), key.key) == known.end())
        Fail(key.line,
             fmt::format("unknown key '{}'; {}", Printable(key.key), SuggestWord(key.key, known)));
    }
    FileGrid grid;
    grid.line = entry.line;
    std::vector<std::int32_t> range;
    Integers(entry, "range", range);
    grid.range = {range.front(), range.back()};
    const std::int64_t codes = std::int64_t{grid.range.qmax} - grid.range.qmin + 1;
    if (range.size() != 2 || codes < 2 || codes > (std::int64_t{1} << kMostBits))
      Fail(entry.line, "'range' must be [smallest, largest], of 2 to 65536 codes");
    Reals(entry, "scale", grid.scale);
    Integers(entry, "zero_point", grid.zero);
    for (const std::int32_t zero : grid.zero) {
      if (zero < grid.range.qmin || zero > grid.range.qmax) {
        Fail(entry.line, fmt::format("zero point {} lies outside the range {}..{}", zero,
                                     grid.range.qmin, grid.range.qmax));
      }
    }
    if (entry.value->Find("factor")) Reals(entry, "factor", grid.factor);
    if (const YamlPtr rounding = entry.value->Find("rounding")) {
      const auto text = AsText(*rounding);
      grid.rounding = text ? FromName<WeightRounding>(*text) : std::nullopt;
      if (!grid.rounding)
        Fail(rounding->line,
             fmt::format("'rounding' is {}, must be nearest or squant", rounding->Describe()));
    }
    return grid;
  }

  const std::vector<YamlPtr>& List(const YamlEntry& entry, std::string_view key) const {
    const YamlPtr list = entry.value->Find(key);
    if (!list || list->kind != YamlNode::Kind::kSequence || list->items.empty())
      Fail(list ? list->line : entry.line, fmt::format("'{}' must be a list of numbers", key));
    return list->items;
  }
  void Integers(const YamlEntry& entry, std::string_view key,
                std::vector<std::int32_t>& values) const {
    for (const YamlPtr& item : List(entry, key)) {
      const auto value = AsInteger(*item);
      if (!value || *value < std::numeric_limits<std::int32_t>::min() ||
          *value > std::numeric_limits<std::int32_t>::max())
        Fail(item->line,
             fmt::format("'{}' holds {}, no integer of 32 bits", key, item->Describe()));
      values.push_back(static_cast<std::int32_t>(*value));
    }
  }
  void Reals(const YamlEntry& entry, std::string_view key, std::vector<double>& values) const {
    for (const YamlPtr& item : List(entry, key)) {
      const auto value = AsReal(*item);
      if (!value || *value <= 0)
        Fail(item->line, fmt::format("'{}' holds {}, no positive number", key, item->Describe()));
      values.push_back(*value);
    }
  }
  [[noreturn]] void Fail(int line, const std::string& what) const {
    throw InputError(fmt::format("{}:{}: {}: {}", file_, line, tensor_, what));
  }

  std::string file_;
  YamlPtr root_;
  std::string tensor_ = "grids";
};

}  // namespace

QuantRange RangeOfCodes(const IntTensor& weights) {
  QuantRange range = {-2, 1};
  for (const std::int8_t code : weights.As<std::int8_t>()) {
    while (code < range.qmin || code > range.qmax) range = {2 * range.qmin, 2 * range.qmax + 1};
  }
  return range;
}

std::string GridsText(const Bundle& bundle) {
  std::set<std::string> fixed;
  for (const Op& op : bundle.program.ops) {
    // Pixels and tokens are what they are; what is only moved has the grid of what it was.
    if (const auto* patchify = std::get_if<PatchifyOp>(&op))
      fixed.insert({patchify->input, patchify->output});
    if (const auto* lookup = std::get_if<LookupOp>(&op)) fixed.insert(lookup->input);
    if (std::holds_alternative<ViewOp>(op) || std::holds_alternative<LastRowsOp>(op))
      fixed.insert(OutputOf(op));
  }
  for (const Carried& carried : bundle.program.carried) fixed.insert(carried.input);
  // Sums follow from their operands; powers of two and fractions are what they are.
  const auto chosen = [&](const TensorInfo& info) {
    const TensorScale& scale = bundle.scales.at(info.name);
    return info.dtype != DType::kInt32 && scale.kind != TensorScale::Kind::kLog2 &&
           !fixed.contains(info.name) && std::ranges::all_of(scale.zero, [&](std::int32_t zero) {
             return zero >= info.range.qmin && zero <= info.range.qmax;
           });
  };
  std::string text = fmt::format("# {}: {}\n", kContentHash, NoHashYet());
  text += "# real = scale * factor * (q - zero_point); qsim calibrate --grids reads it\n";
  for (const TensorInfo& info : bundle.program.tensors) {
    if (chosen(info)) text += Entry(info.name, info.range, bundle.scales.at(info.name));
  }
  for (const auto& [name, codes] : bundle.program.constants) {
    const auto stated = bundle.scales.find(name);
    if (stated == bundle.scales.end()) continue;
    text += Entry(name, RangeOfCodes(codes), stated->second);
    text += fmt::format("  rounding: {}\n", Name(stated->second.rounding));
  }
  return WithContentHash(std::move(text));
}

GridsFile ReadGrids(const std::filesystem::path& path) { return GridsReader(path).Read(); }

}  // namespace qsim::bundle
