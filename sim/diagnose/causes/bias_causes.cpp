#include "sim/diagnose/causes/bias_causes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace qsim::diagnose {
namespace {

double RootMeanSquare(const Lines& lines) {
  double sum = 0;
  for (const double v : lines.values) sum += v * v;
  return std::sqrt(sum / static_cast<double>(lines.values.size()));
}

// Biases in steps of the accumulator; `stored`: with the correction for the input's zero point.
Lines Codes(const WeightFit& fit, bool in_place, bool stored) {
  Lines lines;
  for (std::size_t n = 0; n < fit.rows(); ++n) {
    const double code = in_place ? fit.BiasCode(n) : fit.Bias(n) / fit.RowScale(n);
    lines.values.push_back(code + (stored ? fit.ZeroCorrection(n) : 0));
  }
  return lines;
}

Lines Reals(const WeightFit& fit, bool in_place) {
  Lines lines;
  for (std::size_t n = 0; n < fit.rows(); ++n)
    lines.values.push_back(in_place ? fit.BiasInPlace(n) : fit.Bias(n));
  return lines;
}

// Whether every bias is `of` times what it should be, up to a step.
template <typename Of>
bool AllTimes(const WeightFit& fit, Of of) {
  double seen = 0, rest = 0;  // beyond a step
  for (std::size_t n = 0; n < fit.rows(); ++n) {
    const double is = fit.BiasInPlace(n), off = is - of(n) * fit.Bias(n);
    const double step = fit.RowScale(n);
    seen += std::max(0.0, is * is - step * step);
    rest += std::max(0.0, off * off - step * step);
  }
  return rest * 400 < seen;
}

// Squares that the best factor of the wanted values leaves.
double RestOfFactor(const Lines& values, const Lines& wanted) {
  double squares = 0, both = 0, of_wanted = 0;
  for (std::size_t n = 0; n < values.values.size(); ++n) {
    squares += values.values[n] * values.values[n];
    both += values.values[n] * wanted.values[n];
    of_wanted += wanted.values[n] * wanted.values[n];
  }
  return squares - both * both / of_wanted;
}

// A factor that is a scale which somebody forgot, or applied twice.
std::string ForgottenScale(const WeightFit& fit, double factor) {
  const double input = fit.InputScale(0);
  for (std::size_t k = 1; k < fit.depth(); ++k) {
    if (fit.InputScale(k) != input) return "";
  }
  if (std::fabs(factor / input - 1) < 0.03) {
    return fmt::format("quantized with the weight's scale alone, without the input's of {:.4g}",
                       input);
  }
  if (std::fabs(factor * input - 1) < 0.03)
    return fmt::format("divided by the input's scale of {:.4g} twice", input);
  const double power = std::nearbyint(std::log2(std::max(factor, 1e-30)));
  if (power != 0 && std::fabs(factor / std::exp2(power) - 1) < 0.005)
    return fmt::format("shifted by {:.0f} {}", std::fabs(power),
                       std::fabs(power) == 1 ? "bit" : "bits");
  return "";
}

// Solves a small symmetric system; zeros where it has no solution.
std::vector<double> Solve(std::vector<std::vector<double>> a, std::vector<double> b) {
  const std::size_t n = b.size();
  for (std::size_t i = 0; i < n; ++i) {
    std::size_t pivot = i;
    for (std::size_t r = i + 1; r < n; ++r) {
      if (std::fabs(a[r][i]) > std::fabs(a[pivot][i])) pivot = r;
    }
    std::swap(a[i], a[pivot]);
    std::swap(b[i], b[pivot]);
    if (std::fabs(a[i][i]) < 1e-300) return std::vector<double>(n, 0);
    for (std::size_t r = 0; r < n; ++r) {
      if (r == i) continue;
      const double f = a[r][i] / a[i][i];
      for (std::size_t c = i; c < n; ++c) a[r][c] -= f * a[i][c];
      b[r] -= f * b[i];
    }
  }
  for (std::size_t i = 0; i < n; ++i) b[i] /= a[i][i];
  return b;
}

std::string Vector(const std::vector<double>& values) {
  std::vector<std::string> words;
  for (const double v : values) words.push_back(fmt::format("{:.3g}", v));
  return fmt::format("[{}]", fmt::join(words, ", "));
}

}  // namespace

Story ExplainBiases(const WeightFit& fit, const Places& places,
                    const std::vector<Foreign>& others) {
  const Lines is = Codes(fit, true, false), should = Codes(fit, false, false);
  const Lines stored = Codes(fit, true, true), wanted = Codes(fit, false, true);
  const Lines real = Reals(fit, true), exact = Reals(fit, false);
  double all = 0, with_rows = 0, rows = 0;
  for (std::size_t n = 0; n < fit.rows(); ++n) {
    const double off = is.values[n] - should.values[n];
    double sum = 0;
    for (std::size_t k = 0; k < fit.depth(); ++k) sum += fit.Code(n, k);
    all += off * off;
    with_rows += off * sum;
    rows += sum * sum;
  }
  Lines difference = real;
  for (std::size_t n = 0; n < fit.rows(); ++n) difference.values[n] -= exact.values[n];
  Story story{
      Cause::kZeroPointMismatch,
      "",
      {{"bias off by", RootMeanSquare(difference), ""}, {"bias", RootMeanSquare(exact), ""}}};
  const auto none = [](const std::vector<double>& values) {
    return std::all_of(values.begin(), values.end(), [](double v) { return std::fabs(v) < 0.5; });
  };
  if (none(stored.values) && !none(is.values)) {
    story.cause = Cause::kConstants;
    story.text =
        "the bias is missing, and with it what corrects for the input's zero point: all of them "
        "are 0";
    return story;
  }
  constexpr double kRelative = 0.02;
  const Tolerance codes{kRelative, 2, {}};
  Tolerance reals{kRelative, 0, {}};
  for (std::size_t n = 0; n < fit.rows(); ++n) reals.of_line.push_back(2 * fit.RowScale(n));
  const Kinship kin = KinshipOf(real, exact, places, reals, others);
  // Where the mean of pixels is most of a bias, a zero point could say the same of both.
  const bool plain = kin.kind == Kinship::Kind::kZero || kin.kind == Kinship::Kind::kNegated ||
                     kin.kind == Kinship::Kind::kScaled;
  const double rest = rows > 0 ? all - with_rows * with_rows / rows : all;
  if (!plain && rest < 0.02 * all) {
    // A factor of what is stored, most of which corrects for the zero point, says nearly the same.
    const Kinship factor = KinshipOf(stored, wanted, places, codes);
    if (factor.kind == Kinship::Kind::kScaled && RestOfFactor(stored, wanted) < rest) {
      story.cause = Cause::kScaleMismatch;
      story.text = factor.Sentence("the stored biases", "what they should be");
      return story;
    }
    story.text =
        fmt::format("the biases are off as if the input's zero point were another one, by {:.3g}",
                    -with_rows / rows);
    return story;
  }
  const auto say = [&](Cause cause, std::string text) {
    story.cause = cause;
    story.text = std::move(text);
    return story;
  };
  const std::string asked = "what they should be";
  // By the scales of the rows, which are near each other in some layers.
  const std::string by_scale =
      AllTimes(fit, [&](std::size_t n) { return fit.RowScale(n) / fit.InputScale(0); })
          ? "the biases are quantized with the input's scale alone, without the weight's"
      : AllTimes(fit, [&](std::size_t n) { return fit.RowScale(n); })
          ? "the biases are rounded as they are, without any scale"
          : "";
  switch (kin.kind) {
    case Kinship::Kind::kZero:
      return say(Cause::kConstants, fmt::format("the bias is missing{}", kin.where));
    case Kinship::Kind::kNegated:
    case Kinship::Kind::kForeign:
      return say(Cause::kConstants, kin.Sentence("the biases", asked));
    case Kinship::Kind::kScaled: {
      const std::string scale = ForgottenScale(fit, kin.factor);
      if (scale.empty() && !by_scale.empty()) return say(Cause::kScaleMismatch, by_scale);
      story.evidence.push_back({"factor", kin.factor, "x"});
      return say(Cause::kScaleMismatch,
                 kin.Sentence("the biases", asked) + (scale.empty() ? "" : ": " + scale));
    }
    case Kinship::Kind::kGroups:
      return say(Cause::kScaleMismatch, kin.Sentence("the biases", asked));
    case Kinship::Kind::kOrder:
      return say(Cause::kHeadLayout, kin.Sentence("the biases", asked));
    default:
      break;
  }
  if (!by_scale.empty()) return say(Cause::kScaleMismatch, by_scale);
  // In steps of the accumulator: what was done to stored integers.
  for (const bool corrected : {false, true}) {
    const Kinship code =
        corrected ? KinshipOf(stored, wanted, places, codes) : KinshipOf(is, should, places, codes);
    const std::string text = code.Sentence("the stored biases", asked);
    if (code.kind == Kinship::Kind::kOrder) return say(Cause::kHeadLayout, text);
    if (code.kind == Kinship::Kind::kScaled) return say(Cause::kScaleMismatch, text);
    if (code.kind == Kinship::Kind::kZero || code.kind == Kinship::Kind::kNegated)
      return say(Cause::kConstants, text);
    if (code.kind == Kinship::Kind::kShifted)
      return say(Cause::kZeroPointMismatch, text + " steps of the accumulator");
  }
  return say(Cause::kUnexplained, fmt::format("the biases at {} are not those of the layer",
                                              PlacesText(kin.at, fit.rows(), places)));
}

std::optional<Story> ExplainStatistics(const WeightFit& fit, const ImageInputs& images) {
  const std::size_t colours = images.stddev.size();
  const std::size_t each = fit.depth() / colours;
  std::vector<double> factor(colours);
  double noise = 0, off = 0, missed = 0;
  for (std::size_t c = 0; c < colours; ++c) {
    double both = 0, exact = 0;
    for (std::size_t n = 0; n < fit.rows(); ++n) {
      for (std::size_t k = c * each; k < (c + 1) * each; ++k) {
        both += fit.Weight(n, k) * fit.InPlace(n, k);
        exact += fit.Weight(n, k) * fit.Weight(n, k);
        noise += std::pow(fit.InPlace(n, k) - fit.Weight(n, k), 2);
      }
    }
    if (both <= 0 || exact <= 0) return std::nullopt;
    factor[c] = both / exact;
  }
  // What the biases are off by, in the colours' sums of weights.
  std::vector<std::vector<double>> sums(fit.rows(), std::vector<double>(colours));
  std::vector<std::vector<double>> squares(colours, std::vector<double>(colours));
  std::vector<double> both(colours);
  double signal = 0;
  for (std::size_t n = 0; n < fit.rows(); ++n) {
    const double bias = fit.BiasInPlace(n) - fit.Bias(n);
    for (std::size_t k = 0; k < fit.depth(); ++k) {
      sums[n][k / each] += fit.Weight(n, k);
      missed += std::pow(fit.InPlace(n, k) - factor[k / each] * fit.Weight(n, k), 2);
      signal += fit.Weight(n, k) * fit.Weight(n, k);
    }
    off += bias * bias;
    for (std::size_t c = 0; c < colours; ++c) {
      both[c] += bias * sums[n][c];
      for (std::size_t d = 0; d < colours; ++d) squares[c][d] += sums[n][c] * sums[n][d];
    }
  }
  const std::vector<double> by = Solve(squares, both);
  double rest = 0;
  for (std::size_t n = 0; n < fit.rows(); ++n) {
    double left = fit.BiasInPlace(n) - fit.Bias(n);
    for (std::size_t c = 0; c < colours; ++c) left -= by[c] * sums[n][c];
    rest += left * left;
  }
  const bool scaled =
      std::any_of(factor.begin(), factor.end(), [](double f) { return std::fabs(f - 1) > 0.01; });
  if (rest > 0.02 * off || (scaled && missed > 0.2 * noise) || missed > 0.02 * signal)
    return std::nullopt;
  // The weights are those of the normalised pixels over 1 / deviation, the bias less mean /
  // deviation times their sum.
  std::vector<double> mean(colours), deviation(colours);
  double moved = 0;
  for (std::size_t c = 0; c < colours; ++c) {
    deviation[c] = images.stddev[c] / factor[c];
    mean[c] = (images.mean[c] - by[c]) / factor[c];
    moved = std::max(moved, std::fabs(mean[c] - images.mean[c]));
  }
  if (moved < 0.005 && !scaled) return std::nullopt;
  // Pixels are between black and white; only with a deviation of its own may a mean be in other
  // units. Biases that are missing say nothing of them.
  constexpr double kBlack = -0.02, kWhite = 1.02;
  if (std::any_of(mean.begin(), mean.end(),
                  [&](double m) { return m < kBlack || (!scaled && m > kWhite); })) {
    return std::nullopt;
  }
  // Nor do those that are one factor of what they should be: that is said of them then.
  double stored = 0, with_exact = 0, exact = 0;
  for (std::size_t n = 0; n < fit.rows(); ++n) {
    stored += std::pow(fit.BiasInPlace(n), 2);
    with_exact += fit.BiasInPlace(n) * fit.Bias(n);
    exact += std::pow(fit.Bias(n), 2);
  }
  if (!scaled && stored - with_exact * with_exact / exact <= std::max(2 * rest, 1e-6 * exact))
    return std::nullopt;
  return Story{
      Cause::kConstants,
      fmt::format("it is made for pixels of mean {} and deviation {}; these images have "
                  "{} and {}",
                  Vector(mean), Vector(deviation), Vector(images.mean), Vector(images.stddev)),
      {}};
}

}  // namespace qsim::diagnose
