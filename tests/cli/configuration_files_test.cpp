// The four kinds of configuration file, every key with the same full section, in the older (signed,
// Affine) and the newer (symmetric, Uniform) spelling: they load and run as they are written.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/io/tensors/npy.h"
#include "tests/cli/process.h"

namespace qsim::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::kSourceDir;
using testing::ProcessResult;

struct Spelling {
  const char* sign;
  const char* method;
};
constexpr Spelling kOlder = {"signed: True", "Affine"};
constexpr Spelling kNewer = {"symmetric: True", "Uniform"};

std::string Section(const Spelling& spelling, const std::string& mode, const std::string& indent,
                    const std::string& observer = "MinmaxObserver") {
  std::string text;
  for (const std::string& line :
       {fmt::format("calibration_mode: {}      # layer_wise | channel_wise | head_wise", mode),
        std::string("bit_type:"), std::string("  bits: 8                           # 2..16"),
        fmt::format("  {}", spelling.sign),
        std::string("  name: int8                        # optional"),
        fmt::format("observer_type: {}", observer),
        fmt::format("quantization_method: {}", spelling.method),
        std::string("percentile_alpha: 0.9995"), std::string("percentile_sigma: 0.1"),
        std::string("kl_bins: 2048"), std::string("enable_profiler: True"),
        std::string("output_quant_enable: False")}) {
    text += indent + line + "\n";
  }
  return text;
}

struct FileKind {
  const char* name;
  std::vector<std::string> linear;  // weight: and output:
  std::vector<std::string> plain;   // one section
  const char* scope;                // that it covers
  bool channel_wise_exact;          // integers can do channel_wise on all of it
};
const FileKind kKinds[] = {
    {"attn_config",
     {"attn_qkv", "attn_proj"},
     {"attn_q_out", "attn_k_out", "attn_v_input", "attn_kv_out", "attn_v_out", "intSoft"},
     "attention",
     false},
    {"block_config", {}, {"norm1", "norm2", "residual1", "residual2"}, "block", true},
    {"mlp_config", {"mlp_fc1", "mlp_fc2"}, {"mlp_gelu"}, "block", false},
    {"global_config",
     {},
     {"outputs", "weight", "activation", "norm", "intsoft"},
     "attention",
     false},
};

std::string FileText(const FileKind& kind, const Spelling& spelling, const std::string& mode,
                     const std::string& observer = "MinmaxObserver") {
  std::string text;
  for (const std::string& key : kind.linear) {
    text += key + ":\n";
    for (const char* part : {"weight", "output"}) {
      text += fmt::format("  {}:\n{}", part, Section(spelling, mode, "    ", observer));
    }
  }
  for (const std::string& key : kind.plain) {
    text += key + ":\n" + Section(spelling, mode, "  ", observer);
  }
  return text;
}

class ConfigurationFiles : public ::testing::Test {
 protected:
  ProcessResult Run(const std::string& text, const std::vector<std::string>& more = {}) const {
    testing::WriteBytes(sandbox_.path() / "config.yaml", text);
    std::vector<std::string> command = {
        "run",   "--config", "config.yaml", "--input", (kSourceDir / "vectors").string(),
        "--rtl", "off",      "--images",    "1"};
    command.insert(command.end(), more.begin(), more.end());
    return testing::RunQsim(command, sandbox_.path());
  }
  IntTensor Golden(const std::string& tensor) const {
    return ReadIntNpy(sandbox_.path() / "out" / "golden" / (tensor + ".npy"));
  }

  testing::TempDir sandbox_;
};

TEST_F(ConfigurationFiles, LayerWiseRunsAsWritten) {
  for (const FileKind& kind : kKinds) {
    for (const Spelling& spelling : {kOlder, kNewer}) {
      const ProcessResult result = Run(FileText(kind, spelling, "layer_wise"), {"--json"});
      ASSERT_EQ(result.exit_status, 0) << kind.name << result.err;
      EXPECT_EQ(nlohmann::json::parse(result.out)["scope"], kind.scope) << kind.name;
    }
  }
}

// What integers cannot do is refused with the way out, never approximated unasked.
TEST_F(ConfigurationFiles, ChannelWiseEverywhereRunsOrNamesTheWayOut) {
  for (const FileKind& kind : kKinds) {
    for (const Spelling& spelling : {kOlder, kNewer}) {
      const std::string text = FileText(kind, spelling, "channel_wise");
      const ProcessResult exact = Run(text);
      EXPECT_EQ(exact.exit_status, kind.channel_wise_exact ? 0 : 2) << kind.name << exact.err;
      if (!kind.channel_wise_exact) {
        EXPECT_THAT(exact.err, AllOf(HasSubstr("config.yaml:"), HasSubstr("cannot be realised"),
                                     HasSubstr("--realise nearest")));
      }
      const ProcessResult nearest = Run(text, {"--realise", "nearest"});
      EXPECT_EQ(nearest.exit_status, 0) << kind.name << nearest.err;
    }
  }
}

TEST_F(ConfigurationFiles, EveryObserverRuns) {
  for (const char* observer :
       {"PercentileObserver", "OmseObserver", "KLObserver", "EmaObserver", "PtfObserver"}) {
    const ProcessResult result = Run(FileText(kKinds[0], kNewer, "channel_wise", observer),
                                     {"--realise", "nearest", "--blocks", "0"});
    EXPECT_EQ(result.exit_status, 0) << observer << result.err;
  }
}

// The one to start with for pretrained models is exact, 8 bits at every product, and costs nothing
// on a model that would have done with less.
TEST_F(ConfigurationFiles, PretrainedKeepsTheAccuracy) {
  const std::string config = (kSourceDir / "configs" / "pretrained.yaml").string();
  const std::string vectors = (kSourceDir / "vectors").string();
  const ProcessResult result = testing::RunQsim({"eval", "--config", config, "--input", vectors,
                                                 "--images", "200", "--json"},
                                                sandbox_.path());
  ASSERT_EQ(result.exit_status, 0) << result.err;
  const nlohmann::json eval = nlohmann::json::parse(result.out);
  EXPECT_GE(eval["integer"]["top1"], eval["float"]["top1"].get<int>() - 1);
  const nlohmann::json& tokens = eval["features"][1];
  EXPECT_GT(tokens["integer"]["qsnr_db"]["value"], 30.5);
  EXPECT_GT(tokens["integer"]["qsnr_db"]["value"].get<double>(),
            tokens["ideal"]["qsnr_db"]["value"].get<double>() - 0.3);
}

// Attention weights are powers of two, and attention times V shifts.
TEST_F(ConfigurationFiles, Log2IsLog2) {
  const std::string log2 = "  calibration_mode: layer_wise\n  quantization_method: Log2\n";
  const std::vector<std::string> output = {"--output", "out", "--blocks", "1"};
  const std::string texts[] = {
      "intSoft:\n" + log2,
      FileText(kKinds[0], kOlder, "layer_wise")
          .replace(FileText(kKinds[0], kOlder, "layer_wise").find("intSoft"), std::string::npos,
                   "intSoft:\n" + log2),
      FileText(kKinds[3], kOlder, "layer_wise")
          .replace(FileText(kKinds[3], kOlder, "layer_wise").find("intsoft"), std::string::npos,
                   "intsoft:\n" + log2)};
  for (const std::string& text : texts) {
    const ProcessResult result = Run(text, output);
    ASSERT_EQ(result.exit_status, 0) << result.err << text;
    const IntTensor code = Golden("blocks.1.intSoft");        // [1, heads, tokens, tokens]
    const IntTensor v = Golden("blocks.1.attn_v_input");      // [1, tokens, dim]
    const IntTensor acc = Golden("blocks.1.attn_v_out.acc");  // [1, tokens, dim]
    const std::int64_t heads = code.shape()[1];
    const std::int64_t tokens = code.shape()[2];
    const std::int64_t dim = v.shape()[2];
    for (std::int64_t t = 0; t < tokens; ++t) {
      for (std::int64_t c = 0; c < dim; ++c) {
        const std::int64_t head = c / (dim / heads);
        std::int64_t sum = 0;
        for (std::int64_t j = 0; j < tokens; ++j) {
          const std::int64_t q = code.At((head * tokens + t) * tokens + j);
          ASSERT_TRUE(q >= 0 && q <= 16);
          if (q < 16) sum += v.At(j * dim + c) << (15 - q);  // 16: zero
        }
        ASSERT_EQ(acc.At(t * dim + c), sum) << t << ", " << c;
      }
    }
    const FloatTensor p = ReadFloatNpy(sandbox_.path() / "out" / "float" / "blocks.1.intSoft.npy");
    std::int64_t near = 0;
    std::int64_t all = 0;
    for (std::int64_t i = 0; i < code.size(); ++i) {
      const double x = static_cast<double>(p.data[static_cast<std::size_t>(i)]);
      if (x < std::ldexp(1.0, -14)) continue;
      ++all;
      near += std::fabs(-std::log2(x) - static_cast<double>(code.At(i))) <= 1 ? 1 : 0;
    }
    EXPECT_GT(all, code.size() / 2);
    EXPECT_GT(near, all * 95 / 100);
  }
  // A code has 4 bits: another width is refused, or taken for 4 where that is asked for.
  const std::string wide =
      "intSoft:\n" + log2 + "  bit_type: {bits: 8, signed: True, name: int8}\n";
  EXPECT_THAT(Run(wide).err,
              AllOf(HasSubstr("8 bits: softmax log_int gives 4"), HasSubstr("--realise nearest")));
  EXPECT_EQ(Run(wide, {"--realise", "nearest"}).exit_status, 0);
  for (const char* key : {"attn_q_out", "activation", "outputs"}) {
    const ProcessResult result = Run(std::string(key) + ":\n" + log2);
    EXPECT_EQ(result.exit_status, 2);
    EXPECT_THAT(result.err, HasSubstr("Log2 is for the softmax output (intSoft) only"));
  }
}

}  // namespace
}  // namespace qsim::testing
