// Top-1 and top-5 of the float model, of ideal fake quantization and of the integer program, and
// how far the features of both are from float's.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/namespaces.h"
#include "sim/statistics/features.h"

namespace qsim::report {

// The classes one executor ranks first, best first; at most five.
using TopClasses = std::vector<std::int32_t>;

// One executor's features of one image against float's.
struct ImageFeatures {
  FeatureDistance first;   // the network's last tensor, its first row: the class token
  FeatureDistance tokens;  // the last tensor with a row for each token, all of them
  std::vector<float> row;  // the first row itself; empty beyond the first kNeighbours images
  bool operator==(const ImageFeatures&) const = default;
};
// Every pair of them is compared.
inline constexpr std::int64_t kNeighbours = 1000;

struct ImageVerdict {
  std::int64_t index = 0;
  std::string name;                      // index or path
  std::optional<std::int64_t> label;     // absent: none is known
  TopClasses reference, ideal, integer;  // empty for a network without classes
  std::vector<float> row;                // as ImageFeatures::row, in float
  ImageFeatures ideal_features, integer_features;
  bool operator==(const ImageVerdict&) const = default;
};

struct Accuracy {
  std::int64_t top1 = 0;  // images
  std::int64_t top5 = 0;
};

// What is compared: `tensor`, its first row or each of its tokens.
struct FeatureRow {
  std::string tensor;
  std::string rows;  // "class token", "mean of patches", "each token"
  FeatureSummary ideal, integer;
};

struct EvalSummary {
  std::int64_t images = 0;
  bool classes = false;  // the network has them
  bool labels = false;   // accuracies and drop count
  Accuracy reference, ideal, integer;
  std::int64_t same_as_reference = 0;  // integer and float agree on the first class
  // Float top-1 minus integer top-1, in points, and the half-width of its 95 % interval: paired by
  // image, 1.96 sqrt(var / n).
  double drop_points = 0;
  double drop_interval = 0;
  std::vector<ImageVerdict> changed;  // first class differs between float and integer
  std::vector<FeatureRow> features;
};

// The five largest of the logits, ties to the smaller class.
TopClasses TopFive(const std::vector<double>& logits);

// `last` and `tokens`: the names of the tensors whose features these are; `first_row`: what the
// first row of the last one stands for, "class token".
EvalSummary Summarise(const std::vector<ImageVerdict>& verdicts, const std::string& last,
                      const std::string& first_row, const std::string& tokens);

// One line that a resumed run reads again; nothing for a text that LineOf does not write.
std::string LineOf(const ImageVerdict& verdict);
std::optional<ImageVerdict> ParseVerdict(std::int64_t index, const std::string& line);

// Of one executor alone, "float", "ideal" or "integer": its accuracy where labels are known, and
// what it ranks first.
std::string FormatOnly(const std::vector<ImageVerdict>& verdicts, const std::string& executor,
                       bool json);

std::string FormatEval(const EvalSummary& summary, bool verbose);
std::string EvalJsonText(const EvalSummary& summary);

}  // namespace qsim::report
