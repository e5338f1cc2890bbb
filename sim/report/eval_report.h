// Top-1 and top-5 of the float model, of ideal fake quantization and of the integer program over
// labelled images.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace qsim::report {

// The classes one executor ranks first, best first; at most five.
using TopClasses = std::vector<std::int32_t>;

struct ImageVerdict {
  std::int64_t index = 0;
  std::string name;  // index or path
  std::int64_t label = 0;
  TopClasses reference, ideal, integer;
  bool operator==(const ImageVerdict&) const = default;
};

struct Accuracy {
  std::int64_t top1 = 0;  // images
  std::int64_t top5 = 0;
};

struct EvalSummary {
  std::int64_t images = 0;
  Accuracy reference, ideal, integer;
  std::int64_t same_as_reference = 0;  // integer and float agree on the first class
  // Float top-1 minus integer top-1, in points, and the half-width of its 95 % interval: paired by
  // image, 1.96 sqrt(var / n).
  double drop_points = 0;
  double drop_interval = 0;
  std::vector<ImageVerdict> changed;  // first class differs between float and integer
};

// The five largest of the logits, ties to the smaller class.
TopClasses TopFive(const std::vector<double>& logits);

EvalSummary Summarise(const std::vector<ImageVerdict>& verdicts);

std::string FormatEval(const EvalSummary& summary, bool verbose);
std::string EvalJsonText(const EvalSummary& summary);

}  // namespace qsim::report
