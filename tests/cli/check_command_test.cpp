// qsim check, and what every command that reads a bundle says of one that was edited.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/process.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::kSourceDir;
using testing::ProcessResult;

class EditedBundle : public ::testing::Test {
 protected:
  void SetUp() override {
    const ProcessResult made = Qsim({"calibrate", "--config", Config(), "--input", Vectors(),
                                     "--scope", "model", "--images", "2", "--output", "b"});
    ASSERT_EQ(made.exit_status, 0) << made.err;
  }
  ProcessResult Qsim(const std::vector<std::string>& words) const {
    return testing::RunQsim(words, sandbox_.path());
  }
  static std::string Config() { return (kSourceDir / "configs" / "attn_config.yaml").string(); }
  static std::string Vectors() { return (kSourceDir / "vectors").string(); }
  void Flip(const std::string& file) const {
    const fs::path path = (sandbox_.path() / "b" / file).lexically_normal();
    std::string bytes = testing::ReadBytes(path);
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    testing::WriteBytes(path, bytes);
  }
  const std::vector<std::vector<std::string>> refusing_ = {
      {"run", "--bundle", "b", "--rtl", "off"},
      {"eval", "--bundle", "b", "--input", Vectors(), "--images", "2"},
      {"export", "--bundle", "b", "--format", "json"},
      {"check", "b"}};
  const std::vector<std::vector<std::string>> taking_ = {
      {"describe", "--bundle", "b"},
      {"explain", "--bundle", "b", "out/golden", "out/golden"},
      {"diagnose", "--bundle", "b", "--input", Vectors(), "--images", "2"}};
  testing::TempDir sandbox_;
};

TEST_F(EditedBundle, IsNamedBeforeAnythingRuns) {
  ASSERT_EQ(Qsim({"run", "--bundle", "b", "--rtl", "off", "--output", "out"}).exit_status, 0);
  const std::string message = "b/arrays/blocks.0.attn_qkv.weight.npy: is not as qsim wrote it";
  for (const bool edited : {false, true}) {
    if (edited) Flip("arrays/blocks.0.attn_qkv.weight.npy");
    for (const auto& words : refusing_) {
      const ProcessResult result = Qsim(words);
      EXPECT_EQ(result.exit_status, edited ? 2 : 0) << words[0] << result.err;
      if (!edited) continue;
      EXPECT_THAT(result.err,
                  HasSubstr(message + " (another SHA-256 than in .qsim-result); restore "
                                      "it, or accept what is there: `qsim check --seal"
                                      " b`"));
      EXPECT_EQ(testing::Lines(result.err).size(), 1u);
      EXPECT_EQ(result.out, "");
    }
    for (const auto& words : taking_) {
      const ProcessResult result = Qsim(words);
      EXPECT_LE(result.exit_status, 1) << words[0] << result.err;
      if (edited) {
        EXPECT_EQ(result.err.find("note: " + message), 0u) << words[0] << result.err;
      }
    }
  }
  const ProcessResult sealed = Qsim({"check", "--seal", "b"});
  EXPECT_EQ(sealed.exit_status, 0) << sealed.err;
  EXPECT_THAT(sealed.out, HasSubstr("b: a bundle of "));
  for (const auto& words : refusing_) EXPECT_EQ(Qsim(words).exit_status, 0) << words[0];
}

TEST_F(EditedBundle, OneOfAnOlderQsimIsTakenAndThatIsSaid) {
  testing::WriteBytes(sandbox_.path() / "b" / ".qsim-result",
                      "A result directory written by qsim.\n");
  for (const auto& words : refusing_) {
    const ProcessResult result = Qsim(words);
    EXPECT_EQ(result.exit_status, 0) << words[0] << result.err;
    EXPECT_THAT(result.err, HasSubstr("note: b: has no hashes of its files"));
  }
}

TEST_F(EditedBundle, AnInputIsNeverReplaced) {
  const auto before = testing::FilesOf(sandbox_.path() / "b");
  const auto refused = [&](const std::vector<std::string>& words, const std::string& what) {
    const ProcessResult result = Qsim(words);
    EXPECT_EQ(result.exit_status, 2) << words[0];
    EXPECT_THAT(result.err, HasSubstr(what));
    EXPECT_EQ(testing::FilesOf(sandbox_.path() / "b"), before) << words[0];
  };
  refused({"run", "--bundle", "b", "--rtl", "off", "--output", "./b/"}, "is an input of this");
  refused({"export", "--bundle", "b", "--format", "memh", "--output", "b"}, "is an input of this");
  refused({"export", "--bundle", "b", "--format", "json", "--output", "b/scales.yaml"},
          "b/scales.yaml: is an input of this command and is not replaced");
  // Not read, but somebody's: the result would lose it.
  testing::WriteBytes(sandbox_.path() / "b" / "mine.txt", "mine");
  const ProcessResult result = Qsim(
      {"calibrate", "--config", Config(), "--input", Vectors(), "--images", "1", "--output", "b"});
  EXPECT_EQ(result.exit_status, 2);
  EXPECT_THAT(result.err, HasSubstr("b/mine.txt: was not written by qsim and would be lost"));
}

TEST_F(EditedBundle, MessagesAreOneLineWhateverTheyName) {
  const std::string name = "a\nb\x1b[31m\xc2\x9b";
  fs::rename(sandbox_.path() / "b", sandbox_.path() / name);
  Flip("../" + name + "/scales.yaml");
  for (std::vector<std::string> words : refusing_) {
    for (std::string& word : words) {
      if (word == "b") word = name;
    }
    const ProcessResult result = Qsim(words);
    EXPECT_EQ(result.exit_status, 2) << words[0];
    EXPECT_EQ(testing::Lines(result.err).size(), 1u) << words[0];
    EXPECT_THAT(result.err, HasSubstr("a\\x0ab\\x1b[31m\\xc2\\x9b/scales.yaml")) << words[0];
  }
  EXPECT_THAT(Qsim({"--a\nb"}).err, HasSubstr("--a\\x0ab"));
}

TEST_F(EditedBundle, OtherResultsAreCheckedToo) {
  ASSERT_EQ(Qsim({"export", "--bundle", "b", "--format", "memh", "--output", "m"}).exit_status, 0);
  const ProcessResult good = Qsim({"check", "m"});
  EXPECT_EQ(good.exit_status, 0) << good.err;
  EXPECT_THAT(good.out, HasSubstr("files as they were written"));
  testing::WriteBytes(sandbox_.path() / "m" / "mine.txt", "mine");
  EXPECT_THAT(Qsim({"check", "m"}).out, HasSubstr("note: m/mine.txt: is none of them"));
  for (const auto& entry : fs::recursive_directory_iterator(sandbox_.path() / "m")) {
    if (entry.path().extension() == ".memh") fs::resize_file(entry.path(), 3);
  }
  const ProcessResult cut = Qsim({"check", "m"});
  EXPECT_EQ(cut.exit_status, 2);
  EXPECT_THAT(cut.err, HasSubstr(".memh: is not as qsim wrote it"));
  EXPECT_THAT(Qsim({"check", "."}).err, HasSubstr("is no bundle and has no list of files"));
  EXPECT_THAT(Qsim({"check", "none"}).err, HasSubstr("none: no such directory"));
}

// Whatever bit of an export changes, the file is named.
TEST_F(EditedBundle, ExportsOfOneFileCarryAHash) {
  for (const std::string format : {"json", "yaml", "csv", "svh", "c", "grids"}) {
    SCOPED_TRACE(format);
    const fs::path file = sandbox_.path() / format;
    ASSERT_EQ(Qsim({"export", "--bundle", "b", "--format", format, "--output", format}).exit_status,
              0);
    EXPECT_EQ(Qsim({"export", "--bundle", "b", "--format", format}).out, testing::ReadBytes(file));
    EXPECT_EQ(Qsim({"check", format}).out, format + ": as it was written\n");
    const std::string written = testing::ReadBytes(file);
    for (int flip = 0; flip < 12; ++flip) {
      std::string bytes = written;
      const std::size_t at = bytes.size() * static_cast<std::size_t>(flip) / 12;
      bytes[at] = static_cast<char>(bytes[at] ^ 1 << flip % 7);
      testing::WriteBytes(file, bytes);
      const ProcessResult result = Qsim({"check", format});
      EXPECT_EQ(result.exit_status, 2) << "byte " << at;
      EXPECT_EQ(testing::Lines(result.err).size(), 1u);
      EXPECT_THAT(result.err, HasSubstr("qsim: " + format + ": is not as qsim wrote it")) << at;
    }
    EXPECT_EQ(Qsim({"check", "--seal", format}).exit_status, 0);
    EXPECT_EQ(Qsim({"check", format}).exit_status, 0);
    testing::WriteBytes(file, "content_sha256: 00\n");
    EXPECT_THAT(Qsim({"check", format}).err, HasSubstr(format + ": carries no hash"));
  }
}

}  // namespace
}  // namespace qsim::testing
