#include "sim/report/eval_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "sim/text/text_util.h"

namespace qsim::report {
namespace {

constexpr std::size_t kListed = 10;

void CountHit(const TopClasses& top, std::int64_t label, Accuracy& accuracy) {
  if (top.empty()) return;
  if (top.front() == label) ++accuracy.top1;
  if (std::find(top.begin(), top.end(), static_cast<std::int32_t>(label)) != top.end())
    ++accuracy.top5;
}

}  // namespace

TopClasses TopFive(const std::vector<double>& logits) {
  TopClasses classes(logits.size());
  std::iota(classes.begin(), classes.end(), 0);
  std::stable_sort(classes.begin(), classes.end(), [&](std::int32_t a, std::int32_t b) {
    return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
  });
  classes.resize(std::min<std::size_t>(classes.size(), 5));
  return classes;
}

EvalSummary Summarise(const std::vector<ImageVerdict>& verdicts) {
  EvalSummary s;
  s.images = static_cast<std::int64_t>(verdicts.size());
  double sum = 0;
  double squares = 0;
  for (const ImageVerdict& v : verdicts) {
    CountHit(v.reference, v.label, s.reference);
    CountHit(v.ideal, v.label, s.ideal);
    CountHit(v.integer, v.label, s.integer);
    if (v.reference.front() == v.integer.front()) {
      ++s.same_as_reference;
    } else {
      s.changed.push_back(v);
    }
    const double d =
        (v.reference.front() == v.label ? 1.0 : 0.0) - (v.integer.front() == v.label ? 1.0 : 0.0);
    sum += d;
    squares += d * d;
  }
  const double n = static_cast<double>(s.images);
  const double mean = sum / n;
  s.drop_points = 100 * mean;
  s.drop_interval = 100 * 1.96 * std::sqrt(std::max(0.0, squares / n - mean * mean) / n);
  return s;
}

std::string FormatEval(const EvalSummary& s, bool verbose) {
  std::string text = fmt::format("{} images{:>24}{:>12}\n", s.images, "top-1 %", "top-5 %");
  const auto row = [&](const char* name, const Accuracy& a) {
    text += fmt::format("  {:<24}{:>10.2f}{:>12.2f}\n", name, Percent(a.top1, s.images),
                        Percent(a.top5, s.images));
  };
  row("float", s.reference);
  row("ideal fake quantization", s.ideal);
  row("integer", s.integer);
  text +=
      fmt::format("integer against float: {:.2f} points lower (95 % interval {:.2f} to {:.2f})\n",
                  s.drop_points, s.drop_points - s.drop_interval, s.drop_points + s.drop_interval);
  text += fmt::format("same class as float: {} of {} ({:.2f} %)\n", s.same_as_reference, s.images,
                      Percent(s.same_as_reference, s.images));
  const std::size_t listed = verbose ? s.changed.size() : std::min(kListed, s.changed.size());
  if (!s.changed.empty()) text += "class changed:\n";
  for (std::size_t i = 0; i < listed; ++i) {
    const ImageVerdict& v = s.changed[i];
    // The name last: a path may be longer than the line.
    text += fmt::format("  label {:<5} float {:<5} integer {:<5} {}\n", v.label,
                        v.reference.front(), v.integer.front(), v.name);
  }
  if (listed < s.changed.size()) {
    text += fmt::format("  ... {} more (--verbose lists all)\n", s.changed.size() - listed);
  }
  return text;
}

std::string EvalJsonText(const EvalSummary& s) {
  nlohmann::ordered_json json;
  json["images"] = s.images;
  const auto accuracy = [&](const Accuracy& a) {
    return nlohmann::ordered_json{{"top1", a.top1},
                                  {"top5", a.top5},
                                  {"top1_percent", Percent(a.top1, s.images)},
                                  {"top5_percent", Percent(a.top5, s.images)}};
  };
  json["float"] = accuracy(s.reference);
  json["ideal"] = accuracy(s.ideal);
  json["integer"] = accuracy(s.integer);
  json["same_class_as_float"] = s.same_as_reference;
  json["top1_drop_points"] = s.drop_points;
  json["top1_drop_interval95"] = {s.drop_points - s.drop_interval, s.drop_points + s.drop_interval};
  json["changed"] = nlohmann::ordered_json::array();
  for (const ImageVerdict& v : s.changed) {
    json["changed"].push_back({{"image", v.name},
                               {"label", v.label},
                               {"float", v.reference.front()},
                               {"integer", v.integer.front()}});
  }
  return json.dump(2) + "\n";
}

}  // namespace qsim::report
