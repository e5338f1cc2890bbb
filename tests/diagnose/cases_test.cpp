// Bundles that people brought: of each the right answer comes first, in text and in JSON.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "sim/diagnose/causes/causes.h"
#include "sim/diagnose/diagnosis_json.h"
#include "sim/diagnose/diagnosis_text.h"
#include "tests/diagnose/shipped_model.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Case {
  std::string name, tensor, cause;
  std::vector<std::string> says;
  double repaired;  // dB at the output, at least
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class Cases : public ::testing::TestWithParam<Case> {};

TEST_P(Cases, TheRightAnswerFirst) {
  const auto shared = SharedDir();
  if (!shared) GTEST_SKIP() << "no ../shared beside the source tree and no QSIM_SHARED_DIR";
  const std::filesystem::path archive = *shared / "cases" / GetParam().name / "bundle.tgz";
  if (!std::filesystem::exists(archive)) GTEST_SKIP() << "no " << archive;
  const TempDir temp;
  const std::string unpack =
      fmt::format("tar -xzf {} -C {}", archive.string(), temp.path().string());
  ASSERT_EQ(std::system(unpack.c_str()), 0);  // NOLINT(cert-env33-c)
  const Bundle bundle = LoadBundle(temp.path() / "bundle");
  const ShippedModel shipped;
  DiagnoseOptions options;
  options.scope = "model";
  options.bundle = "the/bundle";
  options.threads = 2;
  options.recognise = RecogniseCauses;
  const Diagnosis d = Diagnose({shipped.model(), bundle, shipped.FirstImages(8)}, options);
  ASSERT_FALSE(d.findings.empty()) << DiagnosisText(d);
  EXPECT_EQ(d.findings.size(), 1U) << DiagnosisText(d);
  EXPECT_EQ(d.findings[0].tensor, GetParam().tensor) << DiagnosisText(d);
  EXPECT_EQ(Name(d.findings[0].cause), GetParam().cause) << DiagnosisText(d);
  EXPECT_GT(d.repaired_db, GetParam().repaired);
  for (const std::string& words : GetParam().says)
    EXPECT_THAT(d.findings[0].text, HasSubstr(words));
  const std::string text = DiagnosisText(d);
  EXPECT_THAT(text, StartsWith("scope model, 8 images, bundle the/bundle\n"));
  EXPECT_THAT(text, HasSubstr(fmt::format("\n1. {}: {}\n   what      ", GetParam().tensor,
                                          GetParam().cause)));
  const nlohmann::json json = nlohmann::json::parse(DiagnosisJsonText(d));
  EXPECT_EQ(json["findings"][0]["cause"], GetParam().cause);
  EXPECT_EQ(json["findings"][0]["tensor"], GetParam().tensor);
  EXPECT_EQ(json["findings"][0]["text"], d.findings[0].text);
  EXPECT_EQ(json["bundle"], "the/bundle");
  EXPECT_EQ(json["scope"], "model");
}

INSTANTIATE_TEST_SUITE_P(
    Brought, Cases,
    ::testing::Values(
        Case{"diagnose_layernorm_unsigned", "norm", "zero_point_mismatch", {"16 too large"}, 40},
        Case{"diagnose_gamma_channel",
             "blocks.1.norm2",
             "scale_mismatch",
             {"channel 55 has lost its multiplier", "1 in place of"},
             41},
        Case{"diagnose_inverted_calibration",
             "blocks.1.intSoft",
             "calibration_coverage",
             {"ends at 0.498", "reach 0.872", "calibrated on other data"},
             38},
        Case{"diagnose_bias_scale",
             "blocks.1.attn_qkv",
             "scale_mismatch",
             {"the biases are 0.0252 times", "weight's scale alone, without the input's"},
             41},
        Case{"diagnose_patch_pixels",
             "patch_embed",
             "head_layout",
             {"pixels are stored as [colour, column, row]"},
             41}),
    [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace qsim::testing
