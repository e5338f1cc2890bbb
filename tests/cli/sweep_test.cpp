// qsim sweep through the real binary on the shipped model.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "tests/cli/process.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::kSourceDir;
using testing::ProcessResult;

#ifdef QSIM_SANITIZED_MEMORY
constexpr int kPoints = 4;  // a point takes a minute
#else
constexpr int kPoints = 6;
#endif

class Sweep : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::WriteBytes(sandbox_.path() / "space.yaml",
                        "axes:\n"
                        "  - {key: blocks.*.attn_q_out.bit_type.bits, values: [8, 4]}\n"
                        "  - {key: hardware.multiplier_bits, values: [16, 6]}\n");
  }
  std::vector<std::string> Command(const std::vector<std::string>& more) const {
    std::vector<std::string> command = {"sweep",
                                        "--config",
                                        (kSourceDir / "configs" / "attn_config.yaml").string(),
                                        "--input",
                                        (kSourceDir / "vectors").string(),
                                        "--space",
                                        "space.yaml",
                                        "--images",
                                        "2",
                                        "--points",
                                        std::to_string(kPoints)};
    command.insert(command.end(), more.begin(), more.end());
    return command;
  }
  ProcessResult Qsim(const std::vector<std::string>& more) const {
    return testing::RunQsim(Command(more), sandbox_.path());
  }
  testing::TempDir sandbox_;
};

TEST_F(Sweep, FindsWhatNothingBeatsAndWritesTheBest) {
  const ProcessResult result = Qsim({"--json", "--output", "out"});
  ASSERT_EQ(result.exit_status, 0) << result.err;
  const nlohmann::json sweep = nlohmann::json::parse(result.out);
  EXPECT_EQ(sweep["space"], 32);
  ASSERT_EQ(sweep["points"].size(), kPoints + 1u);
  double best = 0;
  for (const auto& point : sweep["points"]) best = std::max(best, point["qsnr_db"].get<double>());
  const auto& first = sweep["points"][sweep["front"][0].get<std::size_t>()];
  EXPECT_EQ(first["qsnr_db"], best);
  EXPECT_EQ(testing::ReadBytes(sandbox_.path() / "out" / "sweep.json"), result.out);
  // Narrow multipliers make small tables, so some point with them is on the front.
  bool narrow = false;
  for (const auto& index : sweep["front"]) {
    narrow = narrow || sweep["points"][index.get<std::size_t>()]["multiplier_width"] == 6;
  }
  EXPECT_TRUE(narrow);
  // The best is a configuration of its own that gives the same numbers.
  const ProcessResult again = testing::RunQsim(
      {"run", "--config", "out/best.yaml", "--input", (kSourceDir / "vectors").string(), "--scope",
       "model", "--images", "2", "--rtl", "off", "--json"},
      sandbox_.path());
  ASSERT_EQ(again.exit_status, 0) << again.err;
  const nlohmann::json run = nlohmann::json::parse(again.out);
  bool found = false;
  for (const auto& tap : run["taps"]) {
    if (tap["name"] != "logits") continue;
    found = true;
    EXPECT_EQ(tap["qsnr_db"], best);
  }
  EXPECT_TRUE(found);
}

TEST_F(Sweep, SaysWhatLoadingAssumed) {
  const fs::path vectors = sandbox_.path() / "vectors";
  fs::copy(kSourceDir / "vectors", vectors);
  testing::WriteBytes(vectors / "manifest.yaml", testing::ReadBytes(vectors / "manifest.yaml") +
                                                     "\nignore_tensors: ['head.*']\n");
  std::vector<std::string> command = Command({});
  *std::find(command.begin(), command.end(), (kSourceDir / "vectors").string()) = "vectors";
  const ProcessResult sweep = testing::RunQsim(command, sandbox_.path());
  EXPECT_EQ(sweep.exit_status, 0) << sweep.err;
  EXPECT_THAT(sweep.err, HasSubstr("note: no head: the network ends in features, 'norm'"));
}

TEST_F(Sweep, IsTheSameForEveryThreadCount) {
  const ProcessResult one = Qsim({"--json", "--threads", "1"});
  ASSERT_EQ(one.exit_status, 0) << one.err;
  EXPECT_EQ(Qsim({"--json", "--threads", "3"}).out, one.out);
}

// kill -9 in the middle, and once more after it.
TEST_F(Sweep, KilledAndResumedEndsTheSame) {
  const ProcessResult whole = Qsim({"--json"});
  ASSERT_EQ(whole.exit_status, 0) << whole.err;
  const fs::path state = sandbox_.path() / "state";
  for (const std::size_t lines : {2u, 4u}) {
    std::vector<std::string> words = Command({"--state", state.string(), "--threads", "1"});
    words.insert(words.begin(), QSIM_BINARY);
    words[7] = (sandbox_.path() / "space.yaml").string();
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t pid = 0;
    ASSERT_EQ(posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    // Until so many points are recorded; a sweep that ends before is as good.
    int status = 0;
    while (::waitpid(pid, &status, WNOHANG) == 0) {
      if (fs::exists(state) && testing::Lines(testing::ReadBytes(state)).size() > lines) {
        ::kill(pid, SIGKILL);
        ASSERT_EQ(::waitpid(pid, &status, 0), pid);
        EXPECT_TRUE(WIFSIGNALED(status));
        break;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  const std::size_t recorded = testing::Lines(testing::ReadBytes(state)).size();
  EXPECT_GT(recorded, 4u);
  EXPECT_EQ(Qsim({"--json", "--state", "state"}).out, whole.out);
  // Everything is recorded now: nothing is left to try, and the result is the same.
  EXPECT_EQ(Qsim({"--json", "--state", "state"}).out, whole.out);
}

// Options of the calibration count here as in every other command.
TEST_F(Sweep, HasTheFaultsThatArePlanted) {
  const auto base = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const ProcessResult result = Qsim(arguments);
    EXPECT_EQ(result.exit_status, 0) << result.err;
    return nlohmann::json::parse(result.out)["points"][0]["qsnr_db"].get<double>();
  };
  EXPECT_LT(base({"--inject", "scale_mismatch"}), base({}) - 10);  // in the bundle
}

TEST_F(Sweep, AStateIsBoundToFaultsAndContents) {
  ASSERT_EQ(Qsim({"--state", "state"}).exit_status, 0);
  const auto refused = [&](const std::vector<std::string>& more, const std::string& parts) {
    std::vector<std::string> words = {"--state", "state"};
    words.insert(words.end(), more.begin(), more.end());
    const ProcessResult result = Qsim(words);
    EXPECT_EQ(result.exit_status, 2);
    EXPECT_THAT(result.err, HasSubstr("state: is of another run, with other " + parts + ";"));
  };
  refused({"--inject", "scale_mismatch"}, "inject");
  refused({"--inject", "calibration_coverage"}, "inject, calibration inputs");
  refused({"--seed", "3"}, "seed");
  refused({"--set", "norm1.bit_type.bits=7"}, "configuration");
}

TEST_F(Sweep, NamesAPointThatIntegersCannotRealise) {
  testing::WriteBytes(sandbox_.path() / "space.yaml",
                      "axes:\n  - {key: attn_kv_out.calibration_mode, values: [layer_wise, "
                      "channel_wise]}\n");
  const ProcessResult result = Qsim({});
  ASSERT_EQ(result.exit_status, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("1 point cannot be lowered"));
  EXPECT_THAT(result.out, HasSubstr("a softmax row needs one"));
  for (const std::string& line : testing::Lines(result.out)) EXPECT_LE(line.size(), 80u) << line;
}

TEST_F(Sweep, BadInputIsOneLine) {
  const auto expect = [&](const std::vector<std::string>& more, const std::string& what) {
    const ProcessResult result = Qsim(more);
    EXPECT_EQ(result.exit_status, 2);
    EXPECT_EQ(testing::Lines(result.err).size(), 1u) << result.err;
    EXPECT_THAT(result.err, HasSubstr(what));
    EXPECT_EQ(result.out, "");
  };
  expect({"--scope", "attention", "--objective", "top1"}, "--scope model");
  expect({"--set", "attn_kv_out.calibration_mode=channel_wise"}, "a softmax row needs one");
  std::vector<std::string> beyond = Command({});
  std::replace(beyond.begin(), beyond.end(), std::string("2"), std::string("501"));
  EXPECT_THAT(testing::RunQsim(beyond, sandbox_.path()).err,
              HasSubstr("has 500 evaluation inputs"));
  testing::WriteBytes(sandbox_.path() / "state", "something else\n");
  expect({"--state", "state"}, "was not written by --state");
  testing::WriteBytes(sandbox_.path() / "space.yaml", "axes: [{key: norm1.bits, values: [8]}]\n");
  expect({}, "space.yaml:1: key 'norm1.bits'");
  fs::remove(sandbox_.path() / "space.yaml");
  expect({}, "space.yaml");
}

}  // namespace
}  // namespace qsim::testing
