#include <algorithm>
#include <array>
#include <string>

#include "derivation/arbitrary.h"
#include "derivation/batteries.h"
#include "derivation/ran.h"
#include "derivation/softmax_rows.h"
#include "golden/ops/one_or_each.h"

namespace qsim::derivation {
namespace {

constexpr std::array<Battery, 14> kSoftmaxBatteries = {{
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
    {"softmax", "masks", CompareMasks},
    {"softmax", "table", CompareTable},
    {"softmax", "division_after", CompareDivisionAfter},
    {"softmax", "masks_after", CompareMasksAfter},
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

// Rows that see everything: what masks do has batteries of its own.
void CompareRan(Comparison& comparison, const Ran<SoftmaxOp>& ran) {
  const SoftmaxOp& op = ran.op;
  if (op.causal || !op.mask.empty()) return;
  const IntTensor &x = ran.tensors.at(op.input), &y = ran.tensors.at(op.output);
  const std::int64_t rows = x.shape()[1];
  CompareRows(comparison, x, y, [&](const Scores& scores, std::int64_t row) {
    const SoftmaxParams& head = EntryFor(op.params, static_cast<std::size_t>(row / rows));
    return op.division == SoftmaxDivision::kAfter ? DeriveExponentials(scores, head)
                                                  : DeriveSoftmax(scores, head).y;
  });
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
        text += " " + std::string(column.field.name) + "=";
        for (const std::int64_t value : column.values)
          text += (text.back() == '=' ? "" : ",") + std::to_string(value);
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

Integers DeriveExponentials(const Scores& scores, const SoftmaxParams& params) {
  const std::vector<mpz_class> exps = DeriveSoftmax(scores, params).exps;
  const auto top = std::max_element(scores.begin(), scores.end()) - scores.begin();
  const mpz_class largest = exps[static_cast<std::size_t>(top)];
  const auto* log_int = std::get_if<LogIntSoftmaxParams>(&params);
  Integers codes;
  for (const mpz_class& e : exps) {
    codes.push_back(log_int == nullptr
                        ? Small(Clamp(HalfUp(Ratio(255 * e, largest)), 0, 255))
                        : DeriveLogCode(largest, e, std::int64_t{1} << log_int->code_bits));
  }
  return codes;
}

namespace {

// Section 5.9 on whole operations: every row by itself, whatever stands where it does not see.
void CompareWhole(Comparison& comparison, std::size_t algorithms, SoftmaxDivision division) {
  const bool after = division == SoftmaxDivision::kAfter;
  for (int i = 0; i < 200; ++i) {
    const Instance instance = ArbitrarySoftmax(
        [&](std::int64_t lo, std::int64_t hi) { return comparison.Between(lo, hi); }, algorithms,
        division);
    const auto& op = std::get<SoftmaxOp>(instance.program.ops.front());
    GoldenBackend golden;
    const TensorMap tensors = Execute(instance.program, instance.inputs, 0, golden);
    const IntTensor &x = tensors.at("x"), &y = tensors.at("y");
    const std::int64_t heads = x.shape()[0], rows = x.shape()[1], keys = x.shape()[2];
    const auto sees = [&](std::int64_t t, std::int64_t s) {
      if (op.causal && rows - 1 - t > keys - 1 - s) return false;
      if (op.mask.empty()) return true;
      const IntTensor& mask = tensors.at(op.mask);
      return mask.At(mask.shape()[0] == 1 ? s : t * keys + s) == 1;
    };
    for (std::int64_t h = 0; h < heads; ++h) {
      const SoftmaxParams& params = EntryFor(op.params, h);
      const auto* log_int = std::get_if<LogIntSoftmaxParams>(&params);
      const std::int64_t nothing = log_int == nullptr
                                       ? (after ? 0 : SoftmaxOutputRange(params).qmin)
                                       : std::int64_t{1} << log_int->code_bits;
      for (std::int64_t t = 0; t < rows; ++t) {
        Scores seen, got;
        for (std::int64_t s = 0; s < keys; ++s) {
          const std::int64_t at = (h * rows + t) * keys + s;
          got.push_back(static_cast<std::int32_t>(y.At(at)));
          if (sees(t, s)) seen.push_back(static_cast<std::int32_t>(x.At(at)));
        }
        Integers row;
        if (!seen.empty())
          row = after ? DeriveExponentials(seen, params) : DeriveSoftmax(seen, params).y;
        Integers derived;
        auto next = row.begin();
        for (std::int64_t s = 0; s < keys; ++s) derived.push_back(sees(t, s) ? *next++ : nothing);
        comparison.Check(got, derived, [&] {
          return std::string(NameOfAlgorithm(params)) + " head " + std::to_string(h) + " row " +
                 std::to_string(t) + " of " + std::to_string(rows) + " by " + std::to_string(keys);
        });
      }
    }
  }
}

}  // namespace

void CompareMasks(Comparison& comparison) {
  CompareWhole(comparison, kPublishedSoftmaxes, SoftmaxDivision::kBefore);
}
void CompareMasksAfter(Comparison& comparison) {
  CompareWhole(comparison, std::variant_size_v<SoftmaxParams>, SoftmaxDivision::kAfter);
}

// Rows of every algorithm: drawn ones, and the edges.
void CompareDivisionAfter(Comparison& comparison) {
  for (int i = 0; i < 600; ++i) {
    const Instance instance = ArbitrarySoftmax(
        [&](std::int64_t lo, std::int64_t hi) { return comparison.Between(lo, hi); },
        std::variant_size_v<SoftmaxParams>, SoftmaxDivision::kAfter);
    const SoftmaxParams& params = std::get<SoftmaxOp>(instance.program.ops.front()).params.front();
    const int bits =
        comparison.Between(0, 1) == 0 ? 8 : static_cast<int>(comparison.Between(2, 32));
    Scores scores = DrawScores(comparison, bits, i % 16 == 0 ? 4096 : 70);
    if (i % 20 == 1) scores.resize(1);
    Scores y(scores.size());
    const std::int64_t saturated = SoftmaxExponentials(scores, params, y);
    const auto describe = [&] { return "exponentials of " + std::string(NameOfAlgorithm(params)); };
    comparison.Check(y, DeriveExponentials(scores, params), describe);
    const std::int64_t top = KindOf(params) == SoftmaxKind::kLogInt ? 0 : 255;
    for (std::size_t k = 0; k < scores.size(); ++k) {
      if (scores[k] == *std::max_element(scores.begin(), scores.end()))
        comparison.Check(y[k], top, describe);
    }
    comparison.Check(saturated > 0 && KindOf(params) != SoftmaxKind::kDeeploy, 0, describe);
  }
}

std::span<const Battery> SoftmaxBatteries() { return kSoftmaxBatteries; }

}  // namespace qsim::derivation
