// What people handed in, outside the source tree: the right answer is the first sentence, in the
// terminal and in JSON.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <regex>

#include "sim/explain/explain_report.h"
#include "sim/explain/plain_input.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

struct Case {
  const char* name;
  const char* directory;
  std::function<PlainOptions(const fs::path&)> options;
  const char* actual;
  const char* sentence;
};

PlainOptions AccOptions(const fs::path& at, const char* acc, const char* multiplier,
                        const char* shift) {
  PlainOptions options;
  options.acc = at / acc;
  const auto number = [&](const char* text) {
    return std::string(text).ends_with(".npy") ? (at / text).string() : std::string(text);
  };
  options.multiplier = number(multiplier);
  options.shift = number(shift);
  return options;
}

PlainOptions SumOptions(const fs::path& at, const char* a, const char* b, const char* m,
                        const char* mb, const char* shift) {
  PlainOptions options;
  options.a = at / a;
  options.b = at / b;
  options.multiplier = m;
  options.b_multiplier = mb;
  options.shift = shift;
  return options;
}

PlainOptions CodeOptions(const fs::path& at, const char* m, const char* mb, const char* shift,
                         const char* rounding) {
  PlainOptions options = SumOptions(at, "add_a.npy", "add_b.npy", m, mb, shift);
  options.zero = "-7";
  options.input_zero = -31;
  options.b_zero = 12;
  options.rounding = rounding;
  return options;
}

PlainOptions HalfEvenOptions(PlainOptions options) {
  options.zero = "-4";
  options.rounding = "half_even";
  return options;
}

PlainOptions ProductOptions(const fs::path& at, const char* lhs, const char* rhs,
                            const char* bias) {
  PlainOptions options;
  options.lhs = at / lhs;
  options.rhs = at / rhs;
  if (*bias != 0) options.bias = (at / bias).string();
  return options;
}

PlainOptions Zeros(const fs::path& at) {
  PlainOptions options = ProductOptions(at, "a.npy", "b.npy", "");
  options.lhs_zero = "42";
  options.rhs_zero = "-26";
  return options;
}

PlainOptions Biased(const fs::path& at) { return ProductOptions(at, "x.npy", "w.npy", "b.npy"); }

PlainOptions Limits(const fs::path& at) { return SumOptions(at, "a.npy", "b.npy", "1", "1", "0"); }

PlainOptions Guard(const fs::path& at, const char* a, const char* b) {
  return SumOptions(at, a, b, "1518500250", "1181116006", "31");
}

const Case kCases[] = {
    {"HalfThenDivided", "explain_add_half_divide",
     [](const fs::path& at) { return AccOptions(at, "acc.npy", "1", "8"); }, "y.npy",
     "all 9,974 mismatches in y.npy are explained by half added, then divided toward zero"},
    {"HalfThenDividedScaled", "explain_add_half_divide",
     [](const fs::path& at) { return AccOptions(at, "acc_m.npy", "40503", "23"); }, "y_m.npy",
     "all 10,043 mismatches in y_m.npy are explained by half added, then divided toward zero"},
    {"UpperLimit", "explain_limit_128", Limits, "y.npy",
     "all 616 mismatches in y.npy are explained by the upper limit 128 instead of 127"},
    {"UpperLimitWraps", "explain_limit_128", Limits, "y_wrapped.npy",
     "are explained by the upper limit 128, one too large: it then wraps to -128"},
    {"GuardBits4", "explain_residual_guard_bits",
     [](const fs::path& at) { return Guard(at, "a4.npy", "b4.npy"); }, "y_guard4.npy",
     "all 1,261 mismatches in y_guard4.npy are explained by each product rounded by itself to 4 "
     "guard bits"},
    {"GuardBits12", "explain_residual_guard_bits",
     [](const fs::path& at) { return Guard(at, "a12.npy", "b12.npy"); }, "y_guard12.npy",
     "all 41 mismatches in y_guard12.npy are explained by each product rounded by itself to 12 "
     "guard bits"},
    {"Unsigned", "explain_unsigned_output",
     [](const fs::path& at) { return AccOptions(at, "acc.npy", "1", "5"); }, "hw.npy",
     "all 6 mismatches in hw.npy are explained by the output saturates as an unsigned number, at 0 "
     "and 255"},
    {"UnsignedWide", "explain_unsigned_output",
     [](const fs::path& at) { return AccOptions(at, "acc.npy", "1", "5"); }, "hw_as_int16.npy",
     "all 6 mismatches in hw_as_int16.npy are explained by the output saturates as an unsigned"},
    {"Pairs", "explain_pair_saturation",
     [](const fs::path& at) { return ProductOptions(at, "x.npy", "w.npy", ""); }, "chip_acc.npy",
     "all 84 mismatches in chip_acc.npy are explained by the products of two neighbouring k added "
     "in 16 bits, saturating"},
    {"PairsOnce", "explain_pair_saturation",
     [](const fs::path& at) {
       PlainOptions options = ProductOptions(at, "thread_x.npy", "thread_w.npy", "");
       options.lhs_zero = "120";
       return options;
     },
     "thread_acc.npy",
     "the only mismatch in thread_acc.npy is explained by the products of two neighbouring k"},
    {"BiasPerTile", "explain_bias_per_tile", Biased, "acc3.npy",
     "are explained by the bias added 3 times, as once for each K tile of 16 is"},
    {"NoBias", "explain_bias_per_tile", Biased, "acc0.npy", "are explained by the bias left out"},
    {"KTilesReversed", "explain_bias_per_tile", Biased, "acc_ktiles_reversed.npy",
     "are explained by the k of one operand (lhs or rhs) in tiles of 16 that come in reverse "
     "order"},
    {"LastTileLost", "explain_bias_per_tile", Biased, "acc_last_tile_lost.npy",
     "are explained by the last 16 terms of each sum missing"},
    {"StaleTile", "explain_bias_per_tile", Biased, "acc_stale_ntile.npy",
     "columns 16 to 23 hold what columns 0 to 7 should"},
    {"NotCleared", "explain_bias_per_tile", Biased, "acc_not_cleared.npy",
     "are explained by the accumulator not cleared but carried on from the row before"},
    {"TileTruncation", "explain_tile_truncation",
     [](const fs::path& at) {
       PlainOptions options = ProductOptions(at, "lhs.npy", "rhs.npy", "bias.npy");
       options.transpose_rhs = true;
       return options;
     },
     "y.npy",
     "are explained by the low 4 bits of the partial sum cleared before each K tile of 16"},
    {"Stochastic", "explain_stochastic",
     [](const fs::path& at) { return AccOptions(at, "acc.npy", "3", "5"); }, "y.npy",
     "no rule: each output of y.npy is floor or ceil of its exact value (stochastic rounding?)"},
    {"PowerOfTwo", "explain_power_of_two",
     [](const fs::path& at) { return AccOptions(at, "acc.npy", "m.npy", "s.npy"); }, "y.npy",
     "nearest power of two"},
    {"PreviousMultiplier", "explain_previous_multiplier",
     [](const fs::path& at) { return AccOptions(at, "acc.npy", "m.npy", "s.npy"); }, "y.npy",
     "all 2,703 mismatches in y.npy are explained by the previous channel's multiplier, with the "
     "rest its own"},
    {"NeverWritten", "explain_columns_never_written", Zeros, "y.npy",
     "all 72 mismatches in y.npy are explained by the constant 0 for column 16 and up"},
    {"Stale", "explain_columns_never_written", Zeros, "y_stale.npy",
     "all 72 mismatches in y_stale.npy are explained by the constant 7777 for column 16 and up"},
    {"Ratio", "explain_finer_multiplier",
     [](const fs::path& at) { return AccOptions(at, "acc.npy", "187", "15"); }, "y.npy",
     "all 52 mismatches in y.npy are explained by a ratio of 0.005711245 instead of 187 / 2^15 = "
     "0.0057067871 (0.005711171 to 0.005711319 fit; M has too few bits)"},
    {"RatioOfEightBits", "explain_finer_multiplier",
     [](const fs::path& at) { return HalfEvenOptions(AccOptions(at, "ort_acc.npy", "196", "15")); },
     "ort_y.npy", "all 518 mismatches in ort_y.npy are explained by a ratio of 0.005967"},
    {"RatioOfSixteenBits", "explain_finer_multiplier",
     [](const fs::path& at) {
       return HalfEvenOptions(AccOptions(at, "ort_acc.npy", "50058", "23"));
     },
     "ort_y.npy", "3 mismatches are few for a rule with 1 number to choose: take it as a guess"},
    {"RatiosOfTflite", "explain_finer_multiplier",
     [](const fs::path& at) { return CodeOptions(at, "11356", "13954", "14", "half_up"); },
     "add_tflite.npy", "all 78 mismatches in add_tflite.npy are explained by ratios of 0.69309"},
    {"RatiosOfOnnx", "explain_finer_multiplier",
     [](const fs::path& at) { return CodeOptions(at, "177", "218", "8", "half_even"); },
     "add_ort.npy", "all 6,008 mismatches in add_ort.npy are explained by ratios of 0.69309"},
    {"NoRowSum", "explain_zero_point_terms", Zeros, "no_rowsum.npy",
     "the correction of the right zero point by the row sums of the left operand missing"},
    {"NoColumnSum", "explain_zero_point_terms", Zeros, "no_colsum.npy",
     "the correction of the left zero point by the column sums of the right operand missing"},
    {"NoCross", "explain_zero_point_terms", Zeros, "no_cross.npy",
     "the correction K z_l z_r missing"},
    {"CrossSign", "explain_zero_point_terms", Zeros, "cross_sign.npy",
     "the correction K z_l z_r with the wrong sign"},
    {"PaddedK", "explain_zero_point_terms", Zeros, "cross_padK.npy",
     "K z_l z_r counted for K = 48 instead of 40"},
    {"ColumnSumSign", "explain_zero_point_terms", Zeros, "colsum_plus.npy",
     "the correction of the left zero point by the column sums of the right operand with the wrong "
     "sign"},
    {"Exchanged", "explain_zero_point_terms", Zeros, "swap.npy",
     "all 480 mismatches in swap.npy are explained by the two zero points exchanged"},
};

class HandedIn : public ::testing::TestWithParam<Case> {};

TEST_P(HandedIn, RightAnswerComesFirst) {
  const Case& c = GetParam();
  const auto shared = SharedDir();
  if (!shared || !fs::is_directory(*shared / "cases" / c.directory)) GTEST_SKIP() << "no such case";
  const fs::path at = *shared / "cases" / c.directory;
  PlainOptions options = c.options(at);
  options.actual = at / c.actual;
  const Explanation e = ExplainFiles(options);
  const std::string sentence = SentenceOf(e);
  EXPECT_THAT(sentence, HasSubstr(c.sentence));
  EXPECT_EQ(e.broken, 0);
  // The sentence comes first, in lines of 80 columns.
  const std::string text = ExplanationText(e);
  const std::string first = text.substr(0, text.find("\n\n"));
  EXPECT_EQ(std::regex_replace(first, std::regex("\n +"), " "), sentence);
  for (std::size_t from = 0; from < text.size(); from = text.find('\n', from) + 1)
    EXPECT_LE(text.find('\n', from) - from, 80U) << text;
  EXPECT_THAT(ExplanationJson(e), HasSubstr("\"sentence\": \"" + sentence + "\""));
}

INSTANTIATE_TEST_SUITE_P(All, HandedIn, ::testing::ValuesIn(kCases),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace qsim::testing
