// Sequences of any length that carry state: explained from the state they begin with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "golden/program/executor.h"
#include "sim/error.h"
#include "sim/explain/bundle_explain.h"
#include "sim/io/tensors/npy.h"
#include "tests/io/io_test_util.h"
#include "tests/support/token_bundle.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AnyOf;
using ::testing::HasSubstr;

// Every tensor but those that are handed from piece to piece, the sequences in front.
void Dump(const Bundle& bundle, const fs::path& directory) {
  fs::create_directories(directory);
  GoldenBackend backend;
  const IntTensor& all = bundle.inputs.at("tokens");
  std::map<std::string, std::vector<IntTensor>> tensors;
  for (std::int64_t i = 0; i < bundle.images(); ++i) {
    const auto& ids = all.As<std::int8_t>();
    const std::int64_t length = all.shape()[1];
    IntTensor tokens({length}, std::vector<std::int8_t>(ids.begin() + i * length,
                                                        ids.begin() + (i + 1) * length));
    for (auto& [name, tensor] : Execute(bundle.program, {{"tokens", tokens}}, i, backend)) {
      if (name != "s" && name != "rows") tensors[name].push_back(std::move(tensor));
    }
  }
  for (auto& [name, parts] : tensors) {
    Shape shape = parts[0].shape();
    shape.insert(shape.begin(), bundle.images());
    IntTensor stacked(parts[0].dtype(), shape);
    std::visit(
        [&](auto& values) {
          auto to = values.begin();
          for (const IntTensor& part : parts) {
            const auto& from = part.As<typename std::decay_t<decltype(values)>::value_type>();
            to = std::copy(from.begin(), from.end(), to);
          }
        },
        stacked.storage());
    WriteNpy(directory / (name + ".npy"), stacked);
  }
}

std::string WorstOf(const Bundle& bundle, const Bundle& other, const std::string& tap) {
  const TempDir temp;
  Dump(bundle, temp.path() / "a");
  Dump(other, temp.path() / "b");
  const DirectoryExplanation explained =
      ExplainDirectories(temp.path() / "a", temp.path() / "b", bundle, tap);
  EXPECT_EQ(explained.taps.size(), 1U);
  if (explained.taps.empty() || explained.taps[0].findings.empty()) return "";
  EXPECT_EQ(explained.taps[0].verdict, Explanation::Verdict::kExplained);
  return explained.taps[0].findings[0].phrase;
}

Bundle Equal() {
  Bundle bundle = TokenBundle({13, 13});
  bundle.lengths.clear();
  return bundle;
}

TEST(ExplainSequences, AProductsRounding) {
  const Bundle bundle = Equal();
  Bundle floor = bundle;
  OpNamed<RequantizeOp>(floor.program, "logits").rounding = Rounding::kFloor;
  EXPECT_THAT(WorstOf(bundle, floor, "logits"), HasSubstr("floor"));
}

TEST(ExplainSequences, AStatesRounding) {
  const Bundle bundle = Equal();
  Bundle floor = bundle;
  OpNamed<RecurrenceStateOp>(floor.program, "next_s").update.rounding = Rounding::kFloor;
  EXPECT_THAT(WorstOf(bundle, floor, "next_s"), HasSubstr("floor instead of half_up"));
  Bundle shift = bundle;
  OpNamed<RecurrenceOp>(shift.program, "o").state_shift += 1;
  // Of few sums the readout's own shift gives the same.
  EXPECT_THAT(WorstOf(bundle, shift, "o"),
              AnyOf(HasSubstr("state shift"), HasSubstr("a shift that is one too large")));
}

TEST(ExplainSequences, OfDifferentLengthsAreRefused) {
  const TempDir temp;
  EXPECT_THAT(ErrorOf([&] {
                ExplainDirectories(temp.path(), temp.path(), TokenBundle({9, 4}), "");
              }),
              HasSubstr("explain takes sequences of one length"));
}

}  // namespace
}  // namespace qsim::testing
