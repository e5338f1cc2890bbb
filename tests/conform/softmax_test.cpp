// The softmax families against outputs of their authors' own code.
#include <gmock/gmock.h>

#include <fstream>

#include "sim/error.h"
#include "tests/conform/run_cases.h"

namespace qsim::testing {
namespace {

using testing::ExpectCasesConform;

class SoftmaxCases : public ::testing::TestWithParam<const char*> {};

TEST_P(SoftmaxCases, EveryElementIsEqual) { ExpectCasesConform("softmax", GetParam()); }

INSTANTIATE_TEST_SUITE_P(Every, SoftmaxCases,
                         ::testing::Values("ibert", "fqvit_logint", "ivit_shiftmax", "ita",
                                           "deeploy_itamax", "ita_streaming",
                                           "deeploy_itapartialmax", "deeploy_isoftmax",
                                           "tflite_s8"),
                         [](const auto& algorithm) { return std::string(algorithm.param); });

// One made-up case in a folder of its own.
class SoftmaxCase : public ::testing::Test {
 protected:
  ConformCase Make(const std::string& algorithm, const std::string& params, Shape shape,
                   std::vector<std::int64_t> x) {
    WriteNpy(dir_.path() / "x.npy", MakeCaseTensor(std::move(shape), std::move(x)));
    std::ofstream(dir_.path() / "case.json")
        << R"({"op": "softmax", "algorithm": ")" << algorithm << R"(", "params": {)" << params
        << R"(}, "inputs": {"x": "x.npy"}, "outputs": {}})";
    return ConformCase::Load(dir_.path());
  }

  // The integers of one output.
  std::vector<std::int64_t> OutputOf(const ConformCase& c, const std::string& output) {
    const CaseTensors computed = FindConformAlgorithm("softmax", c.algorithm())->golden(c);
    const auto& tensor = std::get<IntTensor>(computed.at(output));
    std::vector<std::int64_t> values;
    for (std::int64_t i = 0; i < tensor.size(); ++i) values.push_back(tensor.At(i));
    return values;
  }

  std::string ErrorOf(const ConformCase& c) {
    try {
      FindConformAlgorithm("softmax", c.algorithm())->golden(c);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  }

 private:
  testing::TempDir dir_;
};

// I-BERT's mantissa of a real factor of exactly a power of two: 2^31, one more than 31 bits hold.
TEST_F(SoftmaxCase, IbertTakesAMultiplierOfTwoToThe31) {
  const std::string exp = R"("x0_int": -8, "b_int": 31, "c_int": 256, "n": 22, "output_bits": 8, )";
  const auto half = Make("ibert", exp + R"("act16_multiplier": 1073741824, "act16_shift": 46)", {3},
                         {0, -8, -16});
  EXPECT_EQ(OutputOf(half, "exp16"), (std::vector<std::int64_t>{16384, 8192, 4096}));
  const auto whole = Make("ibert", exp + R"("act16_multiplier": 2147483648, "act16_shift": 47)",
                          {3}, {0, -8, -16});
  EXPECT_EQ(OutputOf(whole, "exp16"), OutputOf(half, "exp16"));
}

TEST_F(SoftmaxCase, EmptyTensorsHaveNoRows) {
  const std::string ita = R"("shift_bits": 5, "levels": 256)";
  EXPECT_TRUE(OutputOf(Make("ita", ita, {0, 4}, {}), "y").empty());
  EXPECT_TRUE(OutputOf(Make("ita", ita, {4, 0}, {}), "y").empty());
}

TEST_F(SoftmaxCase, UndefinedParametersAreNamed) {
  using ::testing::HasSubstr;
  EXPECT_THAT(ErrorOf(Make("ita", R"("shift_bits": 32, "levels": 256)", {1}, {0})),
              HasSubstr("case.json: params.shift_bits is 32, must be in 0..31 for ita"));
  EXPECT_THAT(ErrorOf(Make("ita_streaming", R"("shift_bits": 5, "levels": 256)", {1}, {0})),
              HasSubstr("params.group is missing"));
  EXPECT_THAT(ErrorOf(Make("ivit_shiftmax", R"("x0_int": 0, "n": 15, "output_bits": 8)", {1}, {0})),
              HasSubstr("x0 must be"));
  EXPECT_THAT(ErrorOf(Make("tflite_s8",
                           R"("input_beta_multiplier": 1073741824, "input_beta_left_shift": 20,
                              "diff_min": -100, "output_bits": 12)",
                           {1}, {0})),
              HasSubstr("output_bits must be 8 or 16"));
  EXPECT_THAT(ErrorOf(Make("tflite_s8",
                           R"("input_beta_multiplier": 1073741824, "input_beta_left_shift": 20,
                              "diff_min": -100, "output_bits": 8)",
                           {8192}, std::vector<std::int64_t>(8192))),
              HasSubstr("'x' has rows that are too long"));
  EXPECT_THAT(ErrorOf(Make("ita", R"("shift_bits": 5, "levels": 256)", {1}, {1LL << 31})),
              HasSubstr("x[0] is 2147483648"));
}

}  // namespace
}  // namespace qsim::testing
