// The generator of programs, the comparison and what shrinks a difference; and what fuzzing found.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "derivation/operations.h"
#include "golden/kernels/fast_backend.h"
#include "golden/program/queries.h"
#include "sim/error.h"
#include "tests/fuzz/files.h"
#include "tests/fuzz/mutate.h"
#include "tests/fuzz/random_program.h"
#include "tests/fuzz/target.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using ::testing::AnyOf;

std::string RandomBytes(SeededRandom& random, std::int64_t count) {
  std::string bytes;
  for (; count > 0; --count) bytes += static_cast<char>(random.Between(0, 255));
  return bytes;
}

TEST(RandomProgram, HoldsEveryOperationAndMostlyReadsOthers) {
  SeededRandom random;
  std::set<std::string_view> kinds;
  std::int64_t reads = 0, connected = 0, carried = 0;
  for (int i = 0; i < 600; ++i) {
    const Case c = DrawCase(DrawFrom(RandomBytes(random, 40)));
    Validate(c.program);
    carried += std::ssize(c.program.carried);
    for (const Op& op : c.program.ops) {
      kinds.insert(KindName(op));
      for (const std::string& name : InputsOf(op)) {
        ++reads;
        if (ProducerOf(c.program, name) != nullptr) ++connected;
      }
    }
  }
  EXPECT_EQ(kinds.size(), std::variant_size_v<Op>);
  EXPECT_GT(connected, reads / 2);
  EXPECT_GT(carried, 10);
}

TEST(RandomProgram, EveryExecutorComputesTheSame) {
  SeededRandom random;
  for (int i = 0; i < 60; ++i) {
    const std::string bytes = RandomBytes(random, 40);
    EXPECT_EQ(DifferenceIn(DrawCase(DrawFrom(bytes)), AllExecutors()), "") << "program " << i;
  }
}

// A result that is wrong in one element is one that the second derivation does not have.
TEST(RandomProgram, TheSecondDerivationNoticesAWrongElement) {
  SeededRandom random;
  std::set<std::string_view> derived, noticed;
  for (int i = 0; i < 150; ++i) {
    const Case c = DrawCase(DrawFrom(RandomBytes(random, 40)));
    if (!c.program.carried.empty()) continue;
    GoldenBackend golden;
    const TensorMap values = Execute(c.program, c.steps.front(), 0, golden);
    for (const Op& op : c.program.ops) {
      Comparison right(0), wrong(0);
      if (!CompareOperation(right, c.program, op, values)) continue;
      EXPECT_EQ(right.mismatches(), 0) << KindName(op) << ": " << right.first_mismatch();
      derived.insert(KindName(op));
      TensorMap changed = values;
      std::visit([](auto& elements) { elements.back() ^= 1; }, changed.at(OutputOf(op)).storage());
      CompareOperation(wrong, c.program, op, changed);
      if (wrong.mismatches() == 1) noticed.insert(KindName(op));
    }
  }
  EXPECT_EQ(derived.size(), 13U);
  EXPECT_EQ(noticed, derived);
}

// Wrong in one element of the requantizations that clamp nothing.
class WrongBackend final : public GoldenBackend {
 public:
  std::int64_t Requantize(const OpId& id, std::span<const std::int32_t> in, std::int64_t row_length,
                          const RequantizeParams& params, std::span<std::int32_t> out) override {
    const std::int64_t saturated = GoldenBackend::Requantize(id, in, row_length, params, out);
    if (saturated == 0 && out.back() > params.range.qmin) --out.back();
    return saturated;
  }
};

TEST(RandomProgram, ADifferenceIsShrunkToOneOperationThatABundleRepeats) {
  SeededRandom random;
  const std::vector<Executor> wrong = {{"wrong", [](const Program&, const auto& use) {
                                          WrongBackend backend;
                                          use(backend);
                                        }}};
  int found = 0;
  for (int i = 0; i < 100; ++i) {
    const Case c = DrawCase(DrawFrom(RandomBytes(random, 40)));
    if (DifferenceIn(c, wrong).empty()) continue;
    ++found;
    const Case small = Shrunk(c, wrong);
    ASSERT_EQ(small.program.ops.size(), 1U);
    // What divides by rows requantizes them.
    EXPECT_THAT(KindName(small.program.ops.front()), AnyOf("requantize", "row_divide"));
    EXPECT_EQ(small.steps.size(), 1U);
    const TempDir directory;
    SaveCase(small, directory.path() / "bundle");
    const Case again = LoadCase(directory.path() / "bundle");
    EXPECT_EQ(again.program, small.program);
    EXPECT_EQ(DifferenceIn(again, wrong), DifferenceIn(small, wrong));
    EXPECT_EQ(DifferenceIn(again, AllExecutors()), "");
  }
  EXPECT_GT(found, 10);
}

TEST(Fuzz, EveryTargetTakesItsSeeds) {
  for (const Target& target : Targets()) {
    int taken = 0;
    for (const std::string& seed : target.seeds()) {
      try {
        target.run(seed);
        ++taken;
      } catch (const InputError&) {
      }
    }
    EXPECT_GT(taken, 0) << target.name;
  }
}

TEST(Fuzz, ADirectoryIsOneInput) {
  const Files files = {
      {"a.yaml", "x: 1\n"}, {"inputs/b.npy", std::string("\0\n-- \n", 6)}, {"c", ""}};
  EXPECT_EQ(Split(Joined(files)), files);
  EXPECT_TRUE(Split("-- ../a --\nb\n-- /a --\nb\n-- a//b --\n").empty());
  EXPECT_EQ(FilesIn(Written(files)), files);
  EXPECT_EQ(FilesIn(Written(Files{{"c", "d"}})), (Files{{"c", "d"}}));
}

// Texts that a file has at great length are cut where a message quotes them; RunTarget ends the
// process for one that is long.
TEST(Fuzz, MessagesQuoteNoLongText) {
  const std::string text(5000, 'a');
  const auto refused = [&](const char* name, std::string input, const std::string& place) {
    const std::size_t at = input.find(place);
    if (at == std::string::npos) return std::string();
    return RunTarget(*FindTarget(name), input.replace(at, place.size(), text));
  };
  EXPECT_NE(refused("grids", "x:\n  scale: [1]\n", "x"), "");
  for (const char* place : {"qmin", "-2147483648", "\"x\"", "shape"})
    EXPECT_NE(refused("bundle", FindTarget("bundle")->seeds().front(), place), "") << place;
  EXPECT_NE(refused("model", FindTarget("model")->seeds().front(), "model.safetensors\ngeo"), "");
  // A case that cannot be read is one of the report's errors, which the target looks at.
  EXPECT_EQ(refused("conform", FindTarget("conform")->seeds().front(), ".npy\""), "");
}

}  // namespace
}  // namespace qsim::testing
