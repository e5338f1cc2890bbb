// What changed in a bundle since it was written is named before anything is done with it.
#include "sim/bundle/checked_bundle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <random>

#include "sim/error.h"
#include "sim/io/files/hash.h"
#include "tests/report/sample_bundle.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CheckedBundle : public ::testing::Test {
 protected:
  void SetUp() override {
    OutputDirectory output(directory_);
    SaveBundle(SampleBundle(), output);
  }
  static std::string Read(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static void Write(const fs::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  }
  static std::string MessageOf(const auto& action) {
    try {
      action();
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  }
  std::string Refusal() {
    std::vector<std::string> notes;
    return MessageOf([&] { OpenBundle(directory_, Edits::kRefuse, notes); });
  }
  std::vector<std::string> Notes() {
    std::vector<std::string> notes;
    OpenBundle(directory_, Edits::kTake, notes);
    return notes;
  }

  TempDir temp_;
  fs::path directory_ = temp_.path() / "bundle";
};

// One bit each, anywhere in any file, the list itself included.
TEST_F(CheckedBundle, AFlippedBitIsNamedWhereverItIs) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory_)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  ASSERT_GT(files.size(), 5u);
  EXPECT_EQ(Refusal(), "");
  testing::SeededRandom random;
  const char* const campaign = std::getenv("QSIM_CAMPAIGN");
  const int flips = campaign == nullptr ? 200 : 1000;
  int named = 0;
  for (int i = 0; i < flips; ++i) {
    const fs::path& file = files[static_cast<std::size_t>(i) % files.size()];
    const std::string bytes = Read(file);
    const std::size_t bit = random.engine()() % (bytes.size() * 8);
    std::string changed = bytes;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
    Write(file, changed);
    const std::string refusal = Refusal();
    EXPECT_THAT(refusal, HasSubstr(file.string() + ": is not as qsim wrote it")) << bit;
    named += refusal.find(file.string()) != std::string::npos ? 1 : 0;
    Write(file, bytes);
  }
  EXPECT_EQ(Refusal(), "");
  std::cout << fmt::format("[ flips    ] {} of {} flipped bits named\n", named, flips);
}

TEST_F(CheckedBundle, WhatIsMissingOrWasAddedIsNamed) {
  const fs::path scales = directory_ / "scales.yaml";
  const std::string bytes = Read(scales);
  fs::remove(scales);
  EXPECT_THAT(Refusal(), HasSubstr("scales.yaml: is missing; .qsim-result lists it"));
  Write(scales, bytes.substr(0, bytes.size() / 2));
  EXPECT_THAT(Refusal(), HasSubstr("scales.yaml: is not as qsim wrote it"));
  Write(scales, bytes);
  Write(directory_ / "README", "mine");  // nobody reads it
  EXPECT_EQ(Refusal(), "");
  Write(directory_ / "lengths.npy", "would be read");
  EXPECT_THAT(Refusal(), HasSubstr("lengths.npy: is not as qsim wrote it"));
}

TEST_F(CheckedBundle, EditsAreTakenWithANoteOrWhenSealed) {
  const fs::path program = directory_ / "program.yaml";
  Write(program, Read(program) + "# edited\n");
  EXPECT_THAT(Refusal(), HasSubstr("qsim check --seal " + directory_.string()));
  EXPECT_THAT(Notes(), ElementsAre(HasSubstr("program.yaml: is not as qsim wrote it")));
  Write(directory_ / "README", "mine");
  Seal(directory_);
  EXPECT_EQ(Refusal(), "");
  EXPECT_THAT(Notes(), IsEmpty());
  // What is not qsim's does not become so.
  EXPECT_THAT(MessageOf([&] { OutputDirectory output(directory_); }), HasSubstr("README"));
  Write(program, "not a program");
  EXPECT_ANY_THROW(Seal(directory_));
}

TEST_F(CheckedBundle, AnOlderBundleHasNoHashes) {
  for (const bool marker : {true, false}) {
    fs::remove(directory_ / kResultMarker);
    if (marker) Write(directory_ / kResultMarker, "A result directory written by qsim.\n");
    EXPECT_THAT(Notes(), ElementsAre(HasSubstr("has no hashes of its files")));
    EXPECT_EQ(Refusal(), "");
  }
  Seal(directory_);
  EXPECT_THAT(Notes(), IsEmpty());
  Write(directory_ / "scales.yaml", Read(directory_ / "scales.yaml") + "\n");
  EXPECT_THAT(Refusal(), HasSubstr("scales.yaml"));
}

// A list that somebody made: nothing outside the directory is read, and nothing crashes.
TEST_F(CheckedBundle, AForgedListIsHarmless) {
  const std::string head =
      "# Written by qsim: the files and their SHA-256 (sha256sum -c .qsim-result)\n";
  for (const std::string& line : std::vector<std::string>{
           "", "x\n", "\\\n", "0123  short\n", std::string(64, '0') + "  ../../etc/passwd\n",
           "\\" + std::string(64, '0') + "  \\\n"}) {
    const std::string text = head + line;
    Write(directory_ / kResultMarker, text + "# this list: " + Sha256Hex(text) + "\n");
    EXPECT_THAT(Refusal() + "bundle", HasSubstr("bundle")) << line;
  }
}

}  // namespace
}  // namespace qsim::testing
