// The runner on cases written here: what it counts, and how it reports what it cannot run.
#include "sim/conform/conform_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "sim/conform/conform_report.h"
#include "sim/error.h"
#include "sim/io/tensors/npy.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// One row [3, 1] of ITA's softmax with shift 0: E = 256 + 64, inv = floor(255 * 256 / 320) = 204.
class ConformRun : public ::testing::Test {
 protected:
  fs::path WriteCase(const std::string& name, std::vector<std::int64_t> y,
                     const std::string& algorithm = "ita",
                     const std::string& params = R"({"shift_bits": 0, "levels": 256})") {
    const fs::path dir = dir_.path() / "softmax" / algorithm / name;
    fs::create_directories(dir);
    std::ofstream(dir / "case.json")
        << R"({"op": "softmax", "algorithm": ")" << algorithm << R"(", "params": )" << params
        << R"(, "inputs": {"x": "x.npy"}, "outputs": {"y": "y.npy"}})";
    WriteNpy(dir / "x.npy", IntTensor({1, 2}, std::vector<std::int8_t>{3, 1}));
    const auto size = static_cast<std::int64_t>(y.size());
    WriteNpy(dir / "y.npy", IntTensor({1, size}, std::move(y)));
    return dir;
  }
  ConformReport Run(const std::string& only = "") { return RunConform(dir_.path(), only, nullptr); }

  testing::TempDir dir_;
};

TEST_F(ConformRun, EqualOutputs) {
  WriteCase("right", {204, 51});
  const ConformReport report = Run();
  EXPECT_EQ(report.Total().golden.elements, 2);
  EXPECT_EQ(report.Total().golden.mismatches, 0);
  EXPECT_THAT(FormatConform(report), HasSubstr("1 case, 2 elements: 0 mismatches in golden"));
}

TEST_F(ConformRun, AMismatchIsCountedAndNamed) {
  WriteCase("right", {204, 51});
  WriteCase("wrong", {204, 50});
  const ConformRow total = Run().Total();
  EXPECT_EQ(total.cases, 2);
  EXPECT_EQ(total.golden.mismatches, 1);
  EXPECT_EQ(total.golden.first_mismatch, "softmax/ita/wrong y[0, 1]: 51, expected 50");
}

TEST_F(ConformRun, AnotherShapeIsAMismatch) {
  WriteCase("long", {204, 51, 0});
  const ConformRow total = Run().Total();
  EXPECT_EQ(total.golden.mismatches, 1);
  EXPECT_THAT(total.golden.first_mismatch, HasSubstr("shape [1, 2], expected [1, 3]"));
}

TEST_F(ConformRun, UnknownAlgorithms) {
  WriteCase("right", {204, 51}, "nobody");
  const ConformReport report = Run();
  EXPECT_FALSE(report.Total().supported);
  EXPECT_EQ(report.Total().golden.elements, 0);
  EXPECT_THAT(FormatConform(report), HasSubstr("1 case unsupported"));
}

TEST_F(ConformRun, ABrokenCaseDoesNotHideTheOthers) {
  WriteCase("a_broken", {204, 51}, "ita", R"({"shift_bits": "five", "levels": 256})");
  WriteCase("b_right", {204, 51});
  std::ofstream(WriteCase("c_no_json", {204, 51}) / "case.json") << "{";
  const ConformReport report = Run();
  EXPECT_EQ(report.Total().golden.elements, 2);
  ASSERT_EQ(report.errors.size(), 2U);
  EXPECT_THAT(report.errors[0],
              HasSubstr("a_broken/case.json: params.shift_bits must be an integer"));
  EXPECT_THAT(report.errors[1], HasSubstr("c_no_json/case.json: is not a JSON object"));
}

TEST_F(ConformRun, HostileCasesAreNamedAndPassedOver) {
  WriteCase("a_right", {204, 51});
  const auto with = [&](const std::string& name, const std::string& json) {
    std::ofstream(WriteCase(name, {204, 51}) / "case.json") << json;
  };
  with("b_deep", "{\"a\":" + std::string(66'000, '[') + std::string(66'000, ']') + "}");
  with("c_outside",
       R"({"op":"softmax","algorithm":"ita","inputs":{"x":"../a_right/x.npy"},"outputs":{}})");
  const fs::path empty = WriteCase("d_empty_products", {204, 51});
  WriteNpy(empty / "x.npy", IntTensor(DType::kInt8, {1, 1, 60'000, 0}));
  std::ofstream(empty / "case.json")
      << R"({"op":"matmul_requant","algorithm":"cmsisnn_batch_matmul_s8","params":{"multiplier":1,)"
      << R"("shift":0,"activation_min":-128,"activation_max":127},)"
      << R"("inputs":{"lhs":"x.npy","rhs_t":"x.npy"},"outputs":{"y":"x.npy"}})";
  const ConformReport report = Run();
  EXPECT_EQ(report.Total().golden.elements, 2);
  ASSERT_EQ(report.errors.size(), 3U);
  EXPECT_THAT(report.errors[0], HasSubstr("b_deep/case.json: byte 68 is nested deeper than 64"));
  EXPECT_THAT(report.errors[1], HasSubstr("'..' is not followed"));
  EXPECT_THAT(report.errors[2], HasSubstr("a result of 60000 x 60000 elements"));
}

TEST_F(ConformRun, OnlySelects) {
  WriteCase("right", {204, 51});
  EXPECT_EQ(Run("softmax/ita").Total().cases, 1);
  try {
    Run("softmax/itta");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("did you mean 'softmax"));
  }
}

TEST_F(ConformRun, AnEmptyFolderIsAnError) { EXPECT_THROW(Run(), InputError); }

}  // namespace
}  // namespace qsim::testing
