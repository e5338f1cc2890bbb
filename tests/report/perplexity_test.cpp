#include "sim/report/perplexity_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/namespaces.h"

namespace qsim::testing {
namespace {

using ::testing::HasSubstr;

std::vector<SequenceBits> Three() {
  return {{0, "a.npy", 10, 15.0, 15.5, 16.0},
          {1, "b.npy", 10, 14.0, 14.0, 14.5},
          {2, "c.npy", 20, 31.0, 31.0, 31.5}};
}

TEST(Perplexity, TokensCountNotFiles) {
  const PerplexitySummary s = Summarise(Three());
  EXPECT_EQ(s.tokens, 40);
  EXPECT_DOUBLE_EQ(s.reference->value, 60.0 / 40);
  EXPECT_DOUBLE_EQ(s.integer->value, 62.0 / 40);
  ASSERT_EQ(s.differences.size(), 3U);
  const BitsDifference& d = s.differences[0];
  EXPECT_EQ(d.key, "integer_float");
  EXPECT_DOUBLE_EQ(d.bits.value, 2.0 / 40);
  EXPECT_DOUBLE_EQ(d.percent.value, 100 * 2.0 / 60);
  EXPECT_LT(d.bits.low, d.bits.value);
  EXPECT_GT(d.bits.high, d.bits.value);
}

// Of files of one length, the interval is that of a mean of their differences.
TEST(Perplexity, IntervalsArePairedByFile) {
  std::vector<SequenceBits> sequences;
  for (int i = 0; i < 4; ++i)
    sequences.push_back({i, "", 100, 100.0 + 50 * i, {}, 100.0 + 50 * i + (i % 2 == 0 ? 1 : 2)});
  const PerplexitySummary s = Summarise(sequences);
  ASSERT_EQ(s.differences.size(), 1U);
  // 0.01, 0.02, 0.01, 0.02: deviation sqrt(1 / 3) / 100, t of three degrees 3.182.
  const double half = 3.182 * std::sqrt(1.0 / 3 / 4) / 100;
  EXPECT_NEAR(s.differences[0].bits.value, 0.015, 1e-12);
  EXPECT_NEAR(s.differences[0].bits.high - 0.015, half, 2e-5);
  EXPECT_NEAR(0.015 - s.differences[0].bits.low, half, 2e-5);
}

TEST(Perplexity, LinesReadAsTheyWereWritten) {
  SequenceBits bits{7, "", 256, 365.0 / 7, std::nullopt, 1e-3};
  EXPECT_EQ(ParseSequenceBits(7, LineOf(bits)), bits);
  for (const char* line : {"", "{}", "[1]", "[1, 2, 3, \"x\"]"})
    EXPECT_EQ(ParseSequenceBits(7, line), std::nullopt) << line;
}

TEST(Perplexity, JsonAndTextSayTheSame) {
  const PerplexitySummary s = Summarise(Three());
  const nlohmann::json json = nlohmann::json::parse(PerplexityJsonText(s));
  EXPECT_EQ(json["sequences"], 3);
  EXPECT_DOUBLE_EQ(json["bits_per_token"]["integer"], 1.55);
  EXPECT_DOUBLE_EQ(json["perplexity"]["float"], std::exp2(1.5));
  EXPECT_EQ(json["differences"]["integer_ideal"]["bits"]["interval95"].size(), 2U);
  EXPECT_EQ(json["per_sequence"][2]["name"], "c.npy");
  const std::string text = FormatPerplexity(s, true);
  EXPECT_THAT(text, HasSubstr("3 sequences, 40 tokens predicted"));
  EXPECT_THAT(text, HasSubstr("1.55000"));
  EXPECT_THAT(text, HasSubstr("integer against float"));
  EXPECT_THAT(text, HasSubstr("c.npy"));
  std::size_t from = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos;
       from = end + 1, end = text.find('\n', from))
    EXPECT_LE(end - from, 80U);
}

TEST(Perplexity, OneExecutorAlone) {
  std::vector<SequenceBits> sequences = {{0, "a", 4, {}, {}, 8.0}};
  const nlohmann::json json =
      nlohmann::json::parse(PerplexityJsonText(Summarise(std::move(sequences))));
  EXPECT_EQ(json["bits_per_token"].size(), 1U);
  EXPECT_TRUE(json["differences"].empty());
}

}  // namespace
}  // namespace qsim::testing
