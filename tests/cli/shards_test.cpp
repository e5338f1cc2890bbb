// One calibration, divided: the bundle's bytes for every batch, number of threads, split and order;
// and shards that do not belong together.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "sim/io/tensors/npy.h"
#include "tests/cli/process.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using testing::FilesOf;
using ::testing::HasSubstr;
using testing::kSourceDir;

class Shards : public ::testing::Test {
 protected:
  void SetUp() override {
    const fs::path vectors = sandbox_.path() / "vectors";
    fs::copy(kSourceDir / "vectors", vectors, fs::copy_options::recursive);
    calibration_ = vectors / "calib_images.npy";
    all_ = ReadIntNpy(calibration_);
    WriteImages(Order(40));
  }

  static std::vector<std::int64_t> Order(std::int64_t count) {
    std::vector<std::int64_t> order(static_cast<std::size_t>(count));
    std::iota(order.begin(), order.end(), 0);
    return order;
  }
  // The calibration inputs: these of the shipped ones, in this order.
  void WriteImages(const std::vector<std::int64_t>& order) {
    Shape shape = all_.shape();
    shape[0] = static_cast<std::int64_t>(order.size());
    IntTensor images(DType::kUint8, shape);
    const std::int64_t each = images.size() / shape[0];
    const auto& from = all_.As<std::uint8_t>();
    auto to = images.As<std::uint8_t>().begin();
    for (const std::int64_t image : order) {
      to = std::copy_n(from.begin() + image * each, each, to);
    }
    WriteNpy(calibration_, images);
  }

  testing::ProcessResult Calibrate(const std::vector<std::string>& more) const {
    std::vector<std::string> command = {"calibrate", "--input", "vectors", "--scope", "model"};
    for (const char* name : {"attn_config", "block_config", "mlp_config", "model_config"}) {
      command.insert(command.end(),
                     {"--config", (kSourceDir / "configs" / name).string() + ".yaml"});
    }
    for (const char* setting :
         {"norm1.observer_type=HistogramOmseObserver", "norm1.calibration_mode=channel_wise",
          "attn_kv_out.observer_type=HistogramPercentileObserver",
          "attn_v_input.observer_type=HistogramKLObserver", "attn_v_input.kl_bins=400",
          "residual1.observer_type=HistogramOmseObserver",
          "attn_q_out.calibration_mode=channel_wise", "attn_v_input.smooth=0.5",
          "attn_proj.weight.bias_correction=True", "mlp_fc2.weight.bias_correction=True",
          "patch_embed.weight.rounding=squant", "mlp_fc2.weight.rounding=squant"}) {
      command.insert(command.end(), {"--set", setting});
    }
    command.insert(command.end(), more.begin(), more.end());
    return testing::RunQsim(command, sandbox_.path());
  }
  std::map<std::string, std::string> BundleOf(std::vector<std::string> more) {
    const std::string output = "out" + std::to_string(number_++);
    more.insert(more.end(), {"--output", output});
    const testing::ProcessResult result = Calibrate(more);
    EXPECT_EQ(result.exit_status, 0) << result.err;
    return FilesOf(sandbox_.path() / output);
  }
  void WriteShards(int count) {
    fs::remove_all(sandbox_.path() / "shards");
    fs::create_directory(sandbox_.path() / "shards");
    for (int i = 1; i <= count; ++i) {
      const auto result = Calibrate({"--shard", std::to_string(i) + "/" + std::to_string(count),
                                     "--output", "shards", "--threads", std::to_string(i % 2 + 1)});
      ASSERT_EQ(result.exit_status, 0) << result.err;
      EXPECT_THAT(result.out, HasSubstr("peak memory"));
    }
  }
  void ExpectRefused(const std::vector<std::string>& more,
                     const std::vector<std::string>& fragments) {
    std::vector<std::string> command = more;
    command.insert(command.end(), {"--output", "refused"});
    const testing::ProcessResult result = Calibrate(command);
    EXPECT_EQ(result.exit_status, 2);
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    for (const std::string& fragment : fragments) EXPECT_THAT(result.err, HasSubstr(fragment));
    EXPECT_FALSE(fs::exists(sandbox_.path() / "refused"));
  }
  fs::path Shard(const std::string& name) const { return sandbox_.path() / "shards" / name; }

  testing::TempDir sandbox_;
  fs::path calibration_;
  IntTensor all_;
  int number_ = 0;
};

TEST_F(Shards, EveryBatchThreadShardAndOrderGivesTheSameBundle) {
  const auto expected = BundleOf({"--threads", "1"});
  EXPECT_GT(expected.size(), 60u);
  for (const char* batch : {"1", "7", "256"}) {
    EXPECT_EQ(BundleOf({"--batch", batch, "--threads", "2"}), expected) << batch;
  }
  for (const int count : {1, 5}) {
    WriteShards(count);
    EXPECT_EQ(BundleOf({"--merge", "shards"}), expected) << count;
  }
  std::vector<std::int64_t> order = Order(40);
  testing::SeededRandom random;
  std::ranges::shuffle(order, random.engine());
  WriteImages(order);
  EXPECT_EQ(BundleOf({"--threads", "2"}), expected);
  WriteShards(3);
  EXPECT_EQ(BundleOf({"--merge", "shards/shard-3-of-3.json", "shards/shard-1-of-3.json",
                      "shards/shard-2-of-3.json"}),
            expected);
}

TEST_F(Shards, AreRefusedWhereTheyDoNotBelongTogether) {
  WriteShards(3);
  ExpectRefused({"--merge", "shards/shard-2-of-3.json"}, {"shards 1, 3 of 3 missing"});
  ExpectRefused({"--merge", "shards", "shards/shard-1-of-3.json"},
                {"shard 1 of 3 is given twice", "shard-1-of-3.json"});
  ExpectRefused({"--merge", "shards", "--set", "norm2.bit_type.bits=7"},
                {"shard-1-of-3.json: made with another configuration"});
  ExpectRefused({"--merge", "vectors"}, {"vectors has no files shard-*.json"});
  ExpectRefused({"--merge", "vectors/model.safetensors"}, {"not a calibration shard"});
  ExpectRefused({"--merge", "none.json"}, {"none.json"});

  const std::string good = testing::ReadBytes(Shard("shard-2-of-3.json"));
  const auto with = [&](const std::string& text) {
    testing::WriteBytes(Shard("shard-2-of-3.json"), text);
  };
  with(good.substr(0, good.size() / 2));
  ExpectRefused({"--merge", "shards"}, {"shard-2-of-3.json: not a calibration shard, or cut off"});
  with("");
  ExpectRefused({"--merge", "shards"}, {"shard-2-of-3.json: not a calibration shard"});
  std::string damaged = good;
  const std::size_t place = damaged.find("\"counts\":[") + 10;
  damaged[place] = damaged[place] == '1' ? '2' : '1';
  with(damaged);
  ExpectRefused({"--merge", "shards"}, {"shard-2-of-3.json: damaged"});
  std::string later = good;
  later.replace(later.rfind("\"version\":3"), 11, "\"version\":9");
  with(later);
  ExpectRefused({"--merge", "shards"}, {"version 9; this qsim reads version 3"});
  with(good);

  std::vector<std::int64_t> order = Order(40);
  std::swap(order[0], order[20]);
  WriteImages(order);
  ExpectRefused({"--merge", "shards"}, {"shard-1-of-3.json: made with other calibration inputs"});

  WriteImages(Order(41));
  ExpectRefused({"--merge", "shards"}, {"has seen 13 inputs, but 14 of the 41"});
  const auto two = Calibrate({"--shard", "1/2", "--output", "shards"});
  ASSERT_EQ(two.exit_status, 0) << two.err;
  WriteImages(Order(40));
  ExpectRefused({"--merge", "shards"}, {"one of 3 shards, but", "is one of 2"});
}

TEST_F(Shards, ShardsThatCannotBe) {
  for (const char* shard :
       {"0/3", "4/3", "1", "1/", "/2", "a/b", "1/5000", "-1/2", "1/2x", "1//2"}) {
    ExpectRefused({"--shard", shard}, {"--shard: '" + std::string(shard) + "'", "1/5"});
  }
  ExpectRefused({"--shard", "1/41"}, {"only 40 calibration inputs"});
  ExpectRefused({"--shard", "1/2", "--set", "norm1.observer_type=EmaObserver", "--set",
                 "blocks.2.norm2.observer_type=KLObserver"},
                {"blocks.0,1,2,3.norm1 (EmaObserver, ", "blocks.2.norm2 (KLObserver, ",
                 "HistogramOmseObserver"});
  ExpectRefused({"--shard", "1/2", "--merge", "shards"}, {"--merge"});
}

}  // namespace
}  // namespace qsim::testing
