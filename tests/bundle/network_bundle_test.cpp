// A bundle with the operations of the whole network: what is written is read again, and a record
// that was tampered with is one clear error.
#include "sim/bundle/bundle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "sim/error.h"
#include "sim/io/files/output_directory.h"
#include "tests/program/network_program.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::NetworkProgram;
using testing::SeededRandom;

Bundle NetworkBundle(SeededRandom& random, testing::NetworkProgramOptions options = {}) {
  Bundle bundle;
  bundle.program = NetworkProgram(random, options);
  for (const TensorInfo& info : bundle.program.tensors)
    bundle.scales[info.name] = {TensorScale::Kind::kLinear, ChannelAxis::kNone, {0.25}, {0}};
  Shape shape = bundle.program.Tensor("image").shape;
  shape.insert(shape.begin(), 2);
  bundle.inputs["image"] = IntTensor(DType::kUint8, shape);
  return bundle;
}

void Save(const Bundle& bundle, const fs::path& path) {
  OutputDirectory output(path);
  SaveBundle(bundle, output);
}

std::string Text(const fs::path& path) {
  std::ifstream stream(path);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

TEST(NetworkBundle, OfTheWholeNetworkRoundTrips) {
  SeededRandom random;
  const testing::TempDir temp;
  int count = 0;
  for (const testing::NetworkProgramOptions& options : testing::AllNetworkOptions()) {
    const Bundle bundle = NetworkBundle(random, options);
    const fs::path path = temp.path() / std::to_string(count++);
    Save(bundle, path);
    const Bundle loaded = LoadBundle(path);
    EXPECT_EQ(loaded.program, bundle.program);
    EXPECT_EQ(loaded.inputs, bundle.inputs);
  }
}

// A head's `rows` is written; no other gemm has the key, so that older bundles stay as they were.
TEST(NetworkBundle, RowsAreWrittenWhereTheyAreSet) {
  SeededRandom random;
  const testing::TempDir temp;
  Bundle bundle = NetworkBundle(random);
  Save(bundle, temp.path() / "first_row");
  const std::string text = Text(temp.path() / "first_row" / "program.yaml");
  const std::string rows = "\n    rows: ";
  const std::size_t at = text.find(rows + "1\n");
  ASSERT_NE(at, std::string::npos);
  EXPECT_EQ(text.find(rows), at);
  EXPECT_EQ(text.find(rows, at + 1), std::string::npos);
}

TEST(NetworkBundle, TamperedRecordsOfTheNetwork) {
  SeededRandom random;
  const testing::TempDir temp;
  const auto error = [&](GeluKind gelu, const std::string& from, const std::string& to) {
    const fs::path path = temp.path() / "bundle";
    fs::remove_all(path);
    Save(NetworkBundle(random, {.gelu = gelu}), path);
    std::string text = Text(path / "program.yaml");
    const std::size_t at = text.find(from);
    if (at == std::string::npos) return "no '" + from + "' in the bundle";
    text.replace(at, from.size(), to);
    std::ofstream(path / "program.yaml") << text;
    try {
      LoadBundle(path);
    } catch (const InputError& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_THAT(error(GeluKind::kTable, "    rows: 1\n", "    rows: -1\n"),
              HasSubstr("rows is -1, must be 0"));
  EXPECT_THAT(error(GeluKind::kTable, "    rows: 1\n", "    rows: one\n"),
              HasSubstr("'rows' must be an integer in range, is 'one'"));
  EXPECT_THAT(error(GeluKind::kTable, "    rows: 1\n", "    row: 1\n"),
              HasSubstr("unknown key 'row'"));
  EXPECT_THAT(error(GeluKind::kTable, "algorithm: table", "algorithm: tabel"),
              HasSubstr("'algorithm' has an unknown value 'tabel'"));
  EXPECT_THAT(error(GeluKind::kTable, "algorithm: table", "algorithm: ibert"),
              HasSubstr("'input_zero' is missing"));
  EXPECT_THAT(error(GeluKind::kIbert, "shift_int: -884", "shift_int: 884"),
              HasSubstr("gelu 'gelu': Gelu: shift_int must be in"));
  EXPECT_THAT(error(GeluKind::kTable, "patch: 2", "patch: 5"), HasSubstr("patch must divide"));
  EXPECT_THAT(error(GeluKind::kTable, "position: \"embed.position\"", "position: \"nothing\""),
              HasSubstr("constant 'nothing' is used but not defined"));
}

}  // namespace
}  // namespace qsim::testing
