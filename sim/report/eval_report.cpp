#include "sim/report/eval_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "sim/text/printable.h"
#include "sim/text/text_util.h"

namespace qsim::report {
namespace {

constexpr std::size_t kListed = 10;

using Json = nlohmann::ordered_json;

void CountHit(const TopClasses& top, std::int64_t label, Accuracy& accuracy) {
  if (top.empty()) return;
  if (top.front() == label) ++accuracy.top1;
  if (std::find(top.begin(), top.end(), static_cast<std::int32_t>(label)) != top.end())
    ++accuracy.top5;
}

// Of all images, what one executor's features come to.
FeatureSummary SummaryOf(const std::vector<ImageVerdict>& verdicts,
                         ImageFeatures ImageVerdict::*executor,
                         FeatureDistance ImageFeatures::*rows) {
  std::vector<FeatureDistance> distances;
  std::vector<std::vector<float>> reference;
  std::vector<std::vector<float>> value;
  for (const ImageVerdict& v : verdicts) {
    distances.push_back(v.*executor.*rows);
    if (v.row.empty()) continue;
    reference.push_back(v.row);
    value.push_back((v.*executor).row);
  }
  FeatureSummary summary = SummariseFeatures(distances);
  // Tokens are compared with those of their own image, images with each other.
  if (rows == &ImageFeatures::first) summary.nearest = NearestAgreement(reference, value);
  return summary;
}

std::vector<FeatureRow> FeaturesOf(const std::vector<ImageVerdict>& verdicts,
                                   const std::string& last, const std::string& first_row,
                                   const std::string& tokens) {
  std::vector<FeatureRow> rows;
  for (const bool first : {true, false}) {
    const auto which = first ? &ImageFeatures::first : &ImageFeatures::tokens;
    rows.push_back({first ? last : tokens, first ? first_row : "each token",
                    SummaryOf(verdicts, &ImageVerdict::ideal_features, which),
                    SummaryOf(verdicts, &ImageVerdict::integer_features, which)});
  }
  return rows;
}

std::string Text(const Estimate& e, int digits, double times = 1) {
  std::string text = fmt::format("{:.{}f}", times * e.value, digits);
  if (std::isnan(e.low) || std::isinf(e.low)) return text;
  return text + fmt::format(" ({:.{}f}..{:.{}f})", times * e.low, digits, times * e.high, digits);
}

std::string FeaturesText(const std::vector<FeatureRow>& rows) {
  std::string text = fmt::format("features against float (95 % intervals)\n{:>12}{:>25}{:>42}\n",
                                 "dB", "cosine", "nearest as in float %");
  for (const FeatureRow& row : rows) {
    text += fmt::format("{}, {}\n", row.tensor, row.rows);
    for (const bool integer : {false, true}) {
      const FeatureSummary& s = integer ? row.integer : row.ideal;
      text +=
          fmt::format("  {:<8}{:<21}{:<27}{}\n", integer ? "integer" : "ideal", Text(s.qsnr_db, 2),
                      Text(s.cosine, 5), s.nearest ? Text(*s.nearest, 1, 100) : "-");
    }
  }
  return text;
}

std::string AccuracyText(const EvalSummary& s) {
  std::string text = fmt::format("{:>24}{:>12}\n", "top-1 %", "top-5 %");
  const auto row = [&](const char* name, const Accuracy& a) {
    text += fmt::format("  {:<24}{:>10.2f}{:>12.2f}\n", name, Percent(a.top1, s.images),
                        Percent(a.top5, s.images));
  };
  row("float", s.reference);
  row("ideal fake quantization", s.ideal);
  row("integer", s.integer);
  return text + fmt::format(
                    "integer against float: {:.2f} points lower (95 % interval {:.2f} to {:.2f})\n",
                    s.drop_points, s.drop_points - s.drop_interval,
                    s.drop_points + s.drop_interval);
}

std::string ClassesText(const EvalSummary& s, bool verbose) {
  std::string text = fmt::format("same class as float: {} of {} ({:.2f} %)\n", s.same_as_reference,
                                 s.images, Percent(s.same_as_reference, s.images));
  const std::size_t listed = verbose ? s.changed.size() : std::min(kListed, s.changed.size());
  if (!s.changed.empty()) text += "class changed:\n";
  for (std::size_t i = 0; i < listed; ++i) {
    const ImageVerdict& v = s.changed[i];
    const std::string label = v.label ? fmt::format("label {:<5} ", *v.label) : "";
    // The name last: a path may be longer than the line.
    text += fmt::format("  {}float {:<5} integer {:<5} {}\n", label, v.reference.front(),
                        v.integer.front(), Escaped(v.name));
  }
  if (listed < s.changed.size()) {
    text += fmt::format("  ... {} more (--verbose lists all)\n", s.changed.size() - listed);
  }
  return text;
}

// Whole numbers and reals of a line read as they were written.
Json ToJson(const FeatureDistance& d) {
  return {d.signal, d.noise, d.cosine, d.nearest ? Json(*d.nearest) : Json()};
}
Json ToJson(const ImageFeatures& f) { return {ToJson(f.first), ToJson(f.tokens), f.row}; }

FeatureDistance DistanceFrom(const Json& json) {
  FeatureDistance d{json.at(0).get<double>(), json.at(1).get<double>(), json.at(2).get<double>()};
  if (!json.at(3).is_null()) d.nearest = json.at(3).get<double>();
  return d;
}
ImageFeatures FeaturesFrom(const Json& json) {
  return {DistanceFrom(json.at(0)), DistanceFrom(json.at(1)), json.at(2).get<std::vector<float>>()};
}

Json ToJson(const Estimate& e) {
  const auto real = [](double v) { return std::isfinite(v) ? Json(v) : Json(); };
  return {{"value", real(e.value)}, {"interval95", {real(e.low), real(e.high)}}};
}
Json ToJson(const Accuracy& a, std::int64_t images) {
  return {{"top1", a.top1},
          {"top5", a.top5},
          {"top1_percent", Percent(a.top1, images)},
          {"top5_percent", Percent(a.top5, images)}};
}
Json ToJson(const FeatureSummary& s) {
  return {{"qsnr_db", ToJson(s.qsnr_db)},
          {"cosine", ToJson(s.cosine)},
          {"nearest_as_in_float", s.nearest ? ToJson(*s.nearest) : Json()}};
}

}  // namespace

std::string LineOf(const ImageVerdict& v) {
  const Json json = {v.label ? Json(*v.label) : Json(),
                     v.reference,
                     v.ideal,
                     v.integer,
                     v.row,
                     ToJson(v.ideal_features),
                     ToJson(v.integer_features)};
  return json.dump();
}

std::optional<ImageVerdict> ParseVerdict(std::int64_t index, const std::string& line) {
  try {
    const Json json = Json::parse(line);
    ImageVerdict v;
    v.index = index;
    if (!json.at(0).is_null()) v.label = json.at(0).get<std::int64_t>();
    v.reference = json.at(1).get<TopClasses>();
    v.ideal = json.at(2).get<TopClasses>();
    v.integer = json.at(3).get<TopClasses>();
    v.row = json.at(4).get<std::vector<float>>();
    v.ideal_features = FeaturesFrom(json.at(5));
    v.integer_features = FeaturesFrom(json.at(6));
    return v;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

TopClasses TopFive(const std::vector<double>& logits) {
  TopClasses classes(logits.size());
  std::iota(classes.begin(), classes.end(), 0);
  std::stable_sort(classes.begin(), classes.end(), [&](std::int32_t a, std::int32_t b) {
    return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
  });
  classes.resize(std::min<std::size_t>(classes.size(), 5));
  return classes;
}

EvalSummary Summarise(const std::vector<ImageVerdict>& verdicts, const std::string& last,
                      const std::string& first_row, const std::string& tokens) {
  EvalSummary s;
  s.images = static_cast<std::int64_t>(verdicts.size());
  s.classes = !verdicts.front().reference.empty();
  s.labels = s.classes && verdicts.front().label.has_value();
  s.features = FeaturesOf(verdicts, last, first_row, tokens);
  if (!s.classes) return s;
  double sum = 0;
  double squares = 0;
  for (const ImageVerdict& v : verdicts) {
    const std::int64_t label = v.label.value_or(-1);  // which no class has
    CountHit(v.reference, label, s.reference);
    CountHit(v.ideal, label, s.ideal);
    CountHit(v.integer, label, s.integer);
    if (v.reference.front() == v.integer.front()) {
      ++s.same_as_reference;
    } else {
      s.changed.push_back(v);
    }
    const double d =
        (v.reference.front() == label ? 1.0 : 0.0) - (v.integer.front() == label ? 1.0 : 0.0);
    sum += d;
    squares += d * d;
  }
  const double n = static_cast<double>(s.images);
  const double mean = sum / n;
  s.drop_points = 100 * mean;
  s.drop_interval = 100 * 1.96 * std::sqrt(std::max(0.0, squares / n - mean * mean) / n);
  return s;
}

std::string FormatOnly(const std::vector<ImageVerdict>& verdicts, const std::string& executor,
                       bool json) {
  const auto of = executor == "float"   ? &ImageVerdict::reference
                  : executor == "ideal" ? &ImageVerdict::ideal
                                        : &ImageVerdict::integer;
  const auto images = static_cast<std::int64_t>(verdicts.size());
  const bool classes = !(verdicts.front().*of).empty();
  const bool labels = classes && verdicts.front().label.has_value();
  Accuracy accuracy;
  Json first = Json::array();
  for (const ImageVerdict& v : verdicts) {
    CountHit(v.*of, v.label.value_or(-1), accuracy);
    if (classes) first.push_back((v.*of).front());
  }
  if (json) {
    Json summary = {{"images", images}};
    if (labels) summary[executor] = ToJson(accuracy, images);
    if (classes) summary["classes"] = first;
    return summary.dump(2) + "\n";
  }
  std::string text = fmt::format("{}, {} alone\n", Count(images, "image", "images"), executor);
  if (labels) {
    text += fmt::format("  top-1 {:.2f} %, top-5 {:.2f} %\n", Percent(accuracy.top1, images),
                        Percent(accuracy.top5, images));
  } else if (classes) {
    text += WrapText("  ", "classes " + first.dump());
  }
  return text;
}

std::string FormatEval(const EvalSummary& s, bool verbose) {
  std::string text = fmt::format("{} images", s.images);
  if (s.labels)
    text += AccuracyText(s);
  else
    text += "\n";
  if (s.classes) text += ClassesText(s, verbose);
  return text + FeaturesText(s.features);
}

std::string EvalJsonText(const EvalSummary& s) {
  Json json;
  json["images"] = s.images;
  if (s.labels) {
    json["float"] = ToJson(s.reference, s.images);
    json["ideal"] = ToJson(s.ideal, s.images);
    json["integer"] = ToJson(s.integer, s.images);
    json["top1_drop_points"] = s.drop_points;
    json["top1_drop_interval95"] = {s.drop_points - s.drop_interval,
                                    s.drop_points + s.drop_interval};
  }
  if (s.classes) {
    json["same_class_as_float"] = s.same_as_reference;
    json["changed"] = Json::array();
    for (const ImageVerdict& v : s.changed) {
      Json changed = {{"image", v.name}};
      if (v.label) changed["label"] = *v.label;
      changed["float"] = v.reference.front();
      changed["integer"] = v.integer.front();
      json["changed"].push_back(std::move(changed));
    }
  }
  json["features"] = Json::array();
  for (const FeatureRow& row : s.features) {
    json["features"].push_back({{"tensor", row.tensor},
                                {"rows", row.rows},
                                {"ideal", ToJson(row.ideal)},
                                {"integer", ToJson(row.integer)}});
  }
  return json.dump(2) + "\n";
}

}  // namespace qsim::report
