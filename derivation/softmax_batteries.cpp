#include <algorithm>
#include <array>
#include <string>

#include "derivation/batteries.h"
#include "derivation/softmax_rows.h"

namespace qsim::derivation {
namespace {

constexpr std::array<Battery, 10> kBatteries = {{
    {"softmax", "ibert", CompareIbert},
    {"softmax", "ibert_rn", CompareIbertRounded},
    {"softmax", "log_int", CompareLogInt},
    {"softmax", "shift_exp", CompareShiftExp},
    {"softmax", "shiftmax", CompareShiftmax},
    {"softmax", "ita", CompareIta},
    {"softmax", "ita_streaming", CompareItaStreaming},
    {"softmax", "tflite", CompareTflite},
    {"softmax", "tflite_functions", CompareTfliteFunctions},
    {"softmax", "deeploy_isoftmax", CompareIsoftmax},
}};

}  // namespace

Scores DrawScores(Comparison& comparison, int bits, std::int64_t max_length) {
  const std::int64_t highest = (std::int64_t{1} << (bits - 1)) - 1;
  const std::int64_t lowest = -highest - 1;
  const std::int64_t length = comparison.Corner(1, max_length);
  const auto draw = [&] { return static_cast<std::int32_t>(comparison.Between(lowest, highest)); };
  Scores scores(static_cast<std::size_t>(length), static_cast<std::int32_t>(lowest));
  switch (comparison.Between(0, 6)) {
    case 0:
      break;
    case 1:
      std::fill(scores.begin(), scores.end(), static_cast<std::int32_t>(highest));
      break;
    case 2:
      scores[static_cast<std::size_t>(comparison.Between(0, length - 1))] =
          static_cast<std::int32_t>(highest);
      break;
    case 3: {
      const std::array<std::int32_t, 3> few = {draw(), draw(), draw()};
      for (auto& score : scores) score = few[static_cast<std::size_t>(comparison.Between(0, 2))];
      break;
    }
    case 4: {
      const std::int64_t step = std::max<std::int64_t>(1, (highest - lowest) / length);
      for (std::int64_t i = 0; i < length; ++i) {
        scores[static_cast<std::size_t>(i)] =
            static_cast<std::int32_t>(std::min(lowest + i * step, highest));
      }
      break;
    }
    default:
      for (auto& score : scores) score = draw();
  }
  return scores;
}

DerivedRow DeriveSoftmax(const Scores& scores, const SoftmaxParams& params) {
  return std::visit([&](const auto& own) { return Derive(scores, own); }, params);
}

void CompareSoftmax(Comparison& comparison, const Scores& scores, const SoftmaxParams& params) {
  const DerivedRow derived = DeriveSoftmax(scores, params);
  Scores y(scores.size());
  std::vector<std::int64_t> exp_int(derived.exp_int.size());
  std::vector<std::int32_t> exp16(derived.exp16.size());
  Softmax(scores, params, y, {.exp_int = exp_int, .exp16 = exp16});
  const auto describe = [&](const char* what) {
    return [&scores, &params, what] {
      std::string text(NameOfAlgorithm(params));
      for (const Column& column : ColumnsOf(std::vector{params})) {
        text += " " + std::string(column.field.name) + "=" + std::to_string(column.values.front());
      }
      text += " " + std::string(what) + " of";
      for (const std::int32_t score : scores) text += " " + std::to_string(score);
      return text;
    };
  };
  comparison.Check(exp_int, derived.exp_int, describe("exp_int"));
  comparison.Check(exp16, derived.exp16, describe("exp16"));
  comparison.Check(y, derived.y, describe("y"));
  const QuantRange range = SoftmaxOutputRange(params);
  const bool inside = std::all_of(y.begin(), y.end(), [&](std::int32_t value) {
    return value >= range.qmin && value <= range.qmax;
  });
  comparison.Check(inside, 1, describe("range"));
}

std::span<const Battery> SoftmaxBatteries() { return kBatteries; }

}  // namespace qsim::derivation
