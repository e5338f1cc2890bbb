// How a tensor diff is shown: text for people, JSON for machines.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sim/report/tensor_diff.h"
#include "sim/text/text_util.h"

namespace qsim::report {
namespace {

using Json = nlohmann::ordered_json;

std::string BinLabel(const HistogramBin& bin) {
  if (bin.low == bin.high) return fmt::format("{:+}", bin.low);
  return fmt::format("{:+} .. {:+}", bin.low, bin.high);
}

std::string HistogramText(const std::vector<HistogramBin>& histogram) {
  std::int64_t largest = 1;
  std::size_t label_width = 5;
  std::size_t count_width = 5;
  for (const HistogramBin& bin : histogram) {
    largest = std::max(largest, bin.count);
    label_width = std::max(label_width, BinLabel(bin).size());
    count_width = std::max(count_width, fmt::formatted_size("{}", bin.count));
  }
  std::string out = fmt::format("    {:>{}}  {:>{}}\n", "b - a", label_width, "count", count_width);
  const std::size_t used = 4 + label_width + 2 + count_width + 2;
  const std::size_t room = used < kTextColumns ? kTextColumns - used : 1;
  for (const HistogramBin& bin : histogram) {
    // At least one mark, so that a rare difference is not an empty line.
    const double share = static_cast<double>(bin.count) / static_cast<double>(largest);
    const auto bar =
        std::max<std::size_t>(1, static_cast<std::size_t>(share * static_cast<double>(room)));
    out += fmt::format("    {:>{}}  {:>{}}  {}\n", BinLabel(bin), label_width, bin.count,
                       count_width, std::string(bar, '#'));
  }
  return out;
}

std::string DiffText(const TensorDiff& diff) {
  std::string out = diff.name + "\n";
  switch (diff.kind) {
    case TensorDiff::Kind::kEqual:
      return "";
    case TensorDiff::Kind::kOnlyInA:
      return out + WrapText("  ", fmt::format("missing in b; a is {} {}", diff.a_dtype,
                                              ShapeText(diff.a_shape)));
    case TensorDiff::Kind::kOnlyInB:
      return out + WrapText("  ", fmt::format("missing in a; b is {} {}", diff.b_dtype,
                                              ShapeText(diff.b_shape)));
    case TensorDiff::Kind::kShape:
      return out + WrapText("  ", fmt::format("shapes differ: a is {} {}, b is {} {}", diff.a_dtype,
                                              ShapeText(diff.a_shape), diff.b_dtype,
                                              ShapeText(diff.b_shape)));
    case TensorDiff::Kind::kDtype:
      return out + WrapText("  ", fmt::format("types differ: a is {}, b is {}", diff.a_dtype,
                                              diff.b_dtype));
    case TensorDiff::Kind::kValues:
      break;
  }
  out += WrapText("  ", fmt::format("{} of {} elements differ ({} {})", diff.differing,
                                    diff.elements, diff.a_dtype, ShapeText(diff.a_shape)));
  const FirstDifference& first = *diff.first;
  out += WrapText("  ", fmt::format("first at {}: a {} ({}), b {} ({})", IndexText(first.index),
                                    first.a, first.a_hex, first.b, first.b_hex));
  if (!diff.histogram.empty()) out += HistogramText(diff.histogram);
  return out;
}

std::string_view KindName(TensorDiff::Kind kind) {
  switch (kind) {
    case TensorDiff::Kind::kEqual:
      return "equal";
    case TensorDiff::Kind::kValues:
      return "values";
    case TensorDiff::Kind::kShape:
      return "shape";
    case TensorDiff::Kind::kDtype:
      return "dtype";
    case TensorDiff::Kind::kOnlyInA:
      return "only_in_a";
    case TensorDiff::Kind::kOnlyInB:
      return "only_in_b";
  }
  return "";
}

std::string ContractsText(const DiffResult& result) {
  std::string out = WrapText("", fmt::format("different numerics contracts: a {}, b {}",
                                             result.a_contract, result.b_contract));
  out += fmt::format("  {:<24}{:<24}{}\n", "operation", "a", "b");
  for (const ContractDifference& d : result.contracts) {
    out += fmt::format("  {:<24}{:<24}{}\n", d.field, d.a, d.b);
  }
  return out;
}

Json SideJson(const std::string& dtype, const Shape& shape) {
  if (dtype.empty()) return nullptr;
  return {{"dtype", dtype}, {"shape", shape}};
}

Json TensorJson(const TensorDiff& diff) {
  Json json = {{"name", diff.name}, {"result", KindName(diff.kind)}};
  json["a"] = SideJson(diff.a_dtype, diff.a_shape);
  json["b"] = SideJson(diff.b_dtype, diff.b_shape);
  json["elements"] = diff.elements;
  json["differing"] = diff.differing;
  json["first"] = nullptr;
  if (diff.first) {
    // The texts are decimal numbers already, floats with every digit that matters.
    json["first"] = {{"index", diff.first->index},
                     {"a", Json::parse(diff.first->a)},
                     {"b", Json::parse(diff.first->b)},
                     {"a_hex", diff.first->a_hex},
                     {"b_hex", diff.first->b_hex}};
  }
  json["histogram"] = Json::array();
  for (const HistogramBin& bin : diff.histogram)
    json["histogram"].push_back({{"low", bin.low}, {"high", bin.high}, {"count", bin.count}});
  return json;
}

}  // namespace

std::string FormatDiff(const DiffResult& result, std::int64_t max_listed, bool tensors_anyway) {
  std::string out = "a: " + result.a + "\nb: " + result.b + "\n\n";
  if (!result.contracts.empty()) out += ContractsText(result) + "\n";
  const std::string compared =
      fmt::format("{}, {} compared", Count(result.compared(), "tensor", "tensors"),
                  Count(result.elements, "element", "elements"));
  const std::int64_t differing = result.differing();
  if (differing == 0) return out + compared + ": all equal\n";
  const std::string summary = WrapText(
      "",
      fmt::format("{}: {} of {} differ", compared, differing,
                  Count(static_cast<std::int64_t>(result.tensors.size()), "tensor", "tensors")));
  if (!result.contracts.empty() && !tensors_anyway) {
    return out + summary + "as they must under different contracts; --tensors lists them\n";
  }
  std::int64_t listed = 0;
  for (const TensorDiff& diff : result.tensors) {
    if (diff.kind == TensorDiff::Kind::kEqual) continue;
    if (max_listed != 0 && listed == max_listed) break;
    ++listed;
    out += DiffText(diff) + "\n";
  }
  if (listed != differing)
    out += fmt::format("and {} not listed (--max {})\n\n",
                       Count(differing - listed, "more tensor", "more tensors"), max_listed);
  return out + summary;
}

std::string DiffJsonText(const DiffResult& result) {
  Json json = {{"format", "qsim-diff"},
               {"format_version", 1},
               {"a", result.a},
               {"b", result.b},
               {"equal", result.differing() == 0},
               {"tensors_compared", result.compared()},
               {"tensors_differing", result.differing()},
               {"elements_compared", result.elements}};
  json["a_contract"] = result.a_contract;
  json["b_contract"] = result.b_contract;
  json["contract_differences"] = Json::array();
  for (const ContractDifference& d : result.contracts) {
    json["contract_differences"].push_back({{"field", d.field}, {"a", d.a}, {"b", d.b}});
  }
  json["tensors"] = Json::array();
  for (const TensorDiff& diff : result.tensors) json["tensors"].push_back(TensorJson(diff));
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace qsim::report
