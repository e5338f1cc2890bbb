// Every command that writes something, small enough to be run hundreds of times.
#pragma once

#include <fmt/format.h>

#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "sim/io/tensors/npy.h"
#include "tests/cli/process.h"

namespace qsim::testing {

struct WritingCommand {
  std::string name;
  std::vector<std::string> words;  // QSIM's; the result is at kResult
  bool resumes = false;            // its result is a state, of which a part is a result too
};
inline constexpr const char* kResult = "result";

// How many cases there are for one that a test tries; the campaign tries all of them.
inline std::int64_t CampaignShare() {
  const char* const share = std::getenv("QSIM_CAMPAIGN");
  return share == nullptr ? 0 : std::atoll(share);
}

// The library of failing_calls.c for LD_PRELOAD, whose entries end at a blank: under a path
// without.
inline const char* FailingCallsLibrary() {
  static const TempDir directory;
  static const std::string path = [] {
    const std::filesystem::path copy = directory.path() / "failing_calls.so";
    std::filesystem::copy_file(QSIM_FAILING_CALLS, copy);
    return copy.string();
  }();
  return path.c_str();
}

// A directory with a bundle to read, and the commands, which run in it.
class WritingCommands {
 public:
  WritingCommands() {
    const std::string config = (kSourceDir / "configs" / "attn_config.yaml").string();
    const std::string vectors = "vectors";
    std::filesystem::copy(kSourceDir / "vectors", directory() / vectors);
    Shorten("calib_images.npy", 8);
    const std::vector<std::string> model = {"--config", config, "--input", vectors};
    WriteBytes(directory() / "space.yaml",
               "axes:\n  - {key: blocks.*.attn_q_out.bit_type.bits, values: [8, 4]}\n");
    const auto add = [&](const std::string& name, std::vector<std::string> words, bool with_model,
                         bool resumes = false) {
      if (with_model) words.insert(words.end(), model.begin(), model.end());
      list_.push_back({name, std::move(words), resumes});
    };
    add("calibrate", {"calibrate", "--images", "1", "--blocks", "0", "--output", kResult}, true);
    add("shard", {"calibrate", "--shard", "1/8", "--blocks", "0", "--output", kResult}, true);
    add("run", {"run", "--images", "1", "--blocks", "0", "--rtl", "off", "--output", kResult},
        true);
    add("memh", {"export", "--bundle", "bundle", "--format", "memh", "--output", kResult}, false);
    add("export", {"export", "--bundle", "bundle", "--format", "svh", "--output", kResult}, false);
    add("eval", {"eval", "--images", "3", "--batch", "1", "--state", kResult}, true, true);
    add("sweep",
        {"sweep", "--space", "space.yaml", "--scope", "block", "--blocks", "0", "--images", "1",
         "--points", "1", "--output", kResult},
        true);
    const ProcessResult made = Run({"calibrate", "--config", config, "--input", vectors, "--blocks",
                                    "0", "--images", "1", "--output", "bundle"});
    EXPECT_EQ(made.exit_status, 0) << made.err;
  }
  const std::vector<WritingCommand>& list() const { return list_; }
  const std::filesystem::path& directory() const { return temp_.path(); }
  std::filesystem::path result() const { return directory() / kResult; }
  ProcessResult Run(const std::vector<std::string>& words) const {
    return RunQsim(words, directory());
  }
  // The result's files; of a single file that one.
  std::map<std::string, std::string> Files() const {
    if (std::filesystem::is_directory(result())) return FilesOf(result());
    if (!std::filesystem::exists(result())) return {};
    return {{"", ReadBytes(result())}};
  }
  // What else there is in the directory than what was there at first.
  std::set<std::string> LeftOver() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory())) {
      const std::string name = entry.path().filename().string();
      if (name != kResult && name != "bundle" && name != "vectors" && name != "space.yaml")
        names.insert(name);
    }
    return names;
  }
  void Clear() const { std::filesystem::remove_all(result()); }

 private:
  // Of the inputs the first few are enough, and quickly done.
  void Shorten(const std::string& name, std::int64_t count) const {
    const std::filesystem::path path = directory() / "vectors" / name;
    const IntTensor all = ReadIntNpy(path);
    Shape shape = all.shape();
    const std::int64_t each = all.size() / shape[0];
    shape[0] = count;
    const auto& values = all.As<std::uint8_t>();
    WriteNpy(path, IntTensor(shape, std::vector<std::uint8_t>(values.begin(),
                                                              values.begin() + count * each)));
  }

  TempDir temp_;
  std::vector<WritingCommand> list_;
};

}  // namespace qsim::testing
