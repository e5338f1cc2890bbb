#include "sim/report/tensor_diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "sim/error.h"
#include "sim/io/tensors/memh.h"
#include "sim/io/tensors/npy.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;
using Kind = TensorDiff::Kind;

class TensorDiffTest : public ::testing::Test {
 protected:
  TensorDiffTest() {
    fs::create_directories(a() / "golden");
    fs::create_directories(b() / "golden");
  }
  fs::path a() const { return temp_.path() / "a"; }
  fs::path b() const { return temp_.path() / "b"; }

  // Both directories get the tensor under this name.
  void WriteBoth(const std::string& name, const IntTensor& left, const IntTensor& right) {
    WriteNpy(a() / "golden" / (name + ".npy"), left);
    WriteNpy(b() / "golden" / (name + ".npy"), right);
  }

  testing::TempDir temp_;
};

IntTensor Ramp(Shape shape, std::int8_t first = -3) {
  std::vector<std::int8_t> values(static_cast<std::size_t>(ElementCount(shape)));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<std::int8_t>(first + static_cast<std::int8_t>(i));
  return IntTensor(std::move(shape), values);
}

std::string Listing(const std::vector<HistogramBin>& histogram) {
  std::string out;
  for (const HistogramBin& bin : histogram)
    out += "[" + std::to_string(bin.low) + "," + std::to_string(bin.high) +
           "]=" + std::to_string(bin.count) + " ";
  return out;
}

std::string ErrorOf(const fs::path& a, const fs::path& b) {
  try {
    DiffPaths(a, b);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

TEST_F(TensorDiffTest, EqualDirectoriesCountWhatWasCompared) {
  WriteBoth("blocks.0.x", Ramp({2, 3}), Ramp({2, 3}));
  WriteBoth("blocks.0.y", Ramp({4}), Ramp({4}));
  std::ofstream(a() / "report.json") << "{}";  // ignored
  std::ofstream(b() / "report.html") << "<html>";
  const DiffResult result = DiffPaths(a(), b());
  EXPECT_EQ(result.compared(), 2);
  EXPECT_EQ(result.differing(), 0);
  EXPECT_EQ(result.elements, 10);
  EXPECT_THAT(FormatDiff(result), HasSubstr("2 tensors, 10 elements compared: all equal\n"));
  EXPECT_EQ(nlohmann::json::parse(DiffJsonText(result))["equal"], true);
}

TEST_F(TensorDiffTest, OneFlippedBitIsNamed) {
  IntTensor flipped = Ramp({1, 3, 4});
  flipped.As<std::int8_t>()[6] ^= 1;  // 3 -> 2
  WriteBoth("blocks.0.attn_q_out", Ramp({1, 3, 4}), flipped);
  WriteBoth("blocks.0.attn_k_out", Ramp({2}), Ramp({2}));
  const DiffResult result = DiffPaths(a(), b());
  ASSERT_EQ(result.differing(), 1);
  const std::string text = FormatDiff(result);
  EXPECT_THAT(text,
              HasSubstr("golden/blocks.0.attn_q_out.npy\n  1 of 12 elements differ (int8 1x3x4)\n"
                        "  first at [0, 1, 2]: a 3 (0x03), b 2 (0x02)\n"));
  EXPECT_THAT(text, HasSubstr("       -1      1  ####"));
  EXPECT_THAT(text, HasSubstr("2 tensors, 14 elements compared: 1 of 2 tensors differ"));
  EXPECT_THAT(text, Not(HasSubstr("attn_k_out")));
  const auto json = nlohmann::json::parse(DiffJsonText(result));
  EXPECT_EQ(json["equal"], false);
  EXPECT_EQ(json["tensors"][1]["first"]["index"], (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(json["tensors"][1]["first"]["b"], 2);
  EXPECT_EQ(json["tensors"][1]["first"]["b_hex"], "0x02");
}

TEST_F(TensorDiffTest, GoldenAgainstRtlOfOneRun) {
  fs::create_directories(a() / "rtl");
  WriteNpy(a() / "golden" / "x.npy", Ramp({3}));
  WriteNpy(a() / "rtl" / "x.npy", Ramp({3}, -4));
  const DiffResult result = DiffPaths(a() / "golden", a() / "rtl");
  ASSERT_EQ(result.tensors.size(), 1u);
  EXPECT_EQ(result.tensors[0].differing, 3);
}

TEST_F(TensorDiffTest, MissingShapeAndTypeAreDifferences) {
  WriteNpy(a() / "golden" / "only_a.npy", Ramp({2}));
  WriteNpy(b() / "golden" / "only_b.npy", Ramp({2}));
  WriteBoth("shape", Ramp({2, 3}), Ramp({3, 2}));
  WriteBoth("type", IntTensor(DType::kInt8, {2}), IntTensor(DType::kUint8, {2}));
  const DiffResult result = DiffPaths(a(), b());
  ASSERT_EQ(result.tensors.size(), 4u);
  EXPECT_EQ(result.tensors[0].kind, Kind::kOnlyInA);
  EXPECT_EQ(result.tensors[1].kind, Kind::kOnlyInB);
  EXPECT_EQ(result.tensors[2].kind, Kind::kShape);
  EXPECT_EQ(result.tensors[3].kind, Kind::kDtype);
  EXPECT_EQ(result.compared(), 2);
  EXPECT_EQ(result.elements, 0);
  const std::string text = FormatDiff(result);
  EXPECT_THAT(text, HasSubstr("missing in b; a is int8 2"));
  EXPECT_THAT(text, HasSubstr("missing in a; b is int8 2"));
  EXPECT_THAT(text, HasSubstr("shapes differ: a is int8 2x3, b is int8 3x2"));
  EXPECT_THAT(text, HasSubstr("types differ: a is int8, b is uint8"));
  EXPECT_THAT(FormatDiff(result, 1), HasSubstr("and 3 more tensors not listed (--max 1)"));
  EXPECT_EQ(nlohmann::json::parse(DiffJsonText(result))["tensors"][0]["b"], nullptr);
}

void WriteText(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

// What a testbench writes: no sidecar, another ending, several words a line.
TEST_F(TensorDiffTest, ArraysAndMemoryFilesArePairedByName) {
  WriteNpy(a() / "blocks.0.x.npy", Ramp({2, 3}));
  WriteText(b() / "blocks.0.x.memh", "// 0x00000000\nfd\nfe\nff\n00\n01\n02\n");
  WriteNpy(a() / "blocks.0.y.npy", Ramp({2, 3}));
  WriteText(b() / "blocks.0.y.hex", "fd fe ff\n00 01 03\n");
  WriteNpy(a() / "blocks.0.z.npy", Ramp({1, 2, 4}));
  WriteText(b() / "blocks.0.z.txt", "00fffefd\n04030201\n");  // a row in each word
  WriteNpy(a() / "w.npy", IntTensor({2}, std::vector<std::int32_t>{-1, 1000}));
  WriteText(b() / "w.mem", "fffff\n003e8\n");  // 20 bits
  WriteText(b() / "simulation_log.txt", "not a tensor");
  WriteText(b() / "only_b.memh", "1\n");
  const DiffResult result = DiffPaths(a(), b());
  ASSERT_EQ(result.tensors.size(), 5u);
  EXPECT_EQ(result.tensors[0].name, "blocks.0.x.npy");
  EXPECT_EQ(result.tensors[0].kind, Kind::kEqual);
  EXPECT_EQ(result.tensors[1].kind, Kind::kValues);
  EXPECT_EQ(result.tensors[1].differing, 1);
  EXPECT_EQ(result.tensors[1].first->index, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(result.tensors[1].first->b_hex, "0x03");
  EXPECT_EQ(result.tensors[2].kind, Kind::kEqual);
  EXPECT_EQ(result.tensors[3].kind, Kind::kOnlyInB);
  EXPECT_EQ(result.tensors[4].kind, Kind::kEqual);
  const DiffResult turned = DiffPaths(b(), a());
  EXPECT_EQ(turned.tensors[1].differing, 1);
  EXPECT_EQ(turned.differing(), 2);
}

TEST_F(TensorDiffTest, WordsThatDoNotFitTheOtherSideAreStillCompared) {
  WriteNpy(a() / "x.npy", IntTensor({3}, std::vector<std::int8_t>{1, 127, -1}));
  WriteText(b() / "x.memh", "0001\n0080\nffff\n");
  WriteNpy(a() / "y.npy", Ramp({2, 2}));
  WriteText(b() / "y.memh", "fd\nfe\nff\n");
  const DiffResult result = DiffPaths(a(), b());
  EXPECT_EQ(result.tensors[0].kind, Kind::kValues);
  EXPECT_EQ(result.tensors[0].first->b, "128");
  EXPECT_EQ(result.tensors[0].first->b_hex, "0x0080");
  EXPECT_EQ(result.tensors[1].kind, Kind::kShape);
  EXPECT_THAT(FormatDiff(result), HasSubstr("shapes differ: a is int8 2x2, b is int8 3"));
}

// A run's golden/ and memh/: the storage type of one, the proven width of the other.
TEST_F(TensorDiffTest, ASidecarsWidthFitsAnArray) {
  const IntTensor sums({2}, std::vector<std::int32_t>{-70000, 70000});
  WriteNpy(a() / "acc.npy", sums);
  WriteMemh(b() / "acc.memh", "acc", sums, 18);
  EXPECT_EQ(DiffPaths(a(), b()).differing(), 0);
  WriteMemh(b() / "acc.memh", "acc", IntTensor({2}, std::vector<std::uint8_t>{1, 2}));
  EXPECT_EQ(DiffPaths(a(), b()).tensors[0].kind, Kind::kDtype);
}

TEST_F(TensorDiffTest, ADumpOfTheSharedCases) {
  const auto shared = SharedDir();
  const fs::path rtl_case = shared ? *shared / "cases" / "files_rtl_dump" : fs::path();
  if (!shared || !fs::is_directory(rtl_case)) GTEST_SKIP() << "no shared cases";
  fs::copy_file(rtl_case / "blocks.0.norm1.npy", a() / "blocks.0.norm1.npy");
  for (const char* form : {"rtl", "hex"}) {
    // hex/ has no sidecar; the shape and the sign are the golden side's.
    const DiffResult result = DiffPaths(a(), rtl_case / form);
    const auto norm = std::find_if(
        result.tensors.begin(), result.tensors.end(),
        [](const TensorDiff& diff) { return diff.name.starts_with("blocks.0.norm1"); });
    ASSERT_NE(norm, result.tensors.end());
    EXPECT_EQ(norm->kind, Kind::kValues);
    EXPECT_EQ(norm->elements, 1 * 17 * 64);
    EXPECT_EQ(norm->first->index, (std::vector<std::int64_t>{0, 0, 3}));
    EXPECT_EQ(norm->first->a, "15");
    EXPECT_EQ(norm->first->b, "127");
  }
}

TEST_F(TensorDiffTest, HistogramBinsAreExactThenPowersOfTwo) {
  const std::vector<std::int32_t> differences = {0,  1,  -1, 2,  3,  -3,  4,    7,   8,
                                                 15, 16, -4, -7, -8, 100, 1000, 1000};
  const std::vector<std::int32_t> zeros(differences.size(), 0);
  const Shape shape = {static_cast<std::int64_t>(differences.size())};
  WriteBoth("x", IntTensor(shape, zeros), IntTensor(shape, differences));
  const DiffResult result = DiffPaths(a(), b());
  EXPECT_EQ(Listing(result.tensors[0].histogram),
            "[-15,-8]=1 [-7,-4]=2 [-3,-3]=1 [-1,-1]=1 [1,1]=1 [2,2]=1 [3,3]=1 [4,7]=2 [8,15]=2 "
            "[16,31]=1 [64,127]=1 [512,1023]=2 ");
}

TEST_F(TensorDiffTest, ExtremesNeitherOverflowNorOverrunTheLine) {
  constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  WriteBoth("x", IntTensor({3}, std::vector<std::int64_t>{kMin, kMax, 0}),
            IntTensor({3}, std::vector<std::int64_t>{kMax, kMin, kMin}));
  const DiffResult result = DiffPaths(a(), b());
  std::int64_t counted = 0;
  for (const HistogramBin& bin : result.tensors[0].histogram) counted += bin.count;
  EXPECT_EQ(counted, 3);
  const std::string text = FormatDiff(result);
  EXPECT_THAT(text, HasSubstr("-9223372036854775808 (0x8000000000000000)"));
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);)
    EXPECT_TRUE(line.size() <= 80 || line.starts_with("a: ") || line.starts_with("b: ")) << line;
}

TEST_F(TensorDiffTest, HistogramCountsEveryDifferenceOnce) {
  testing::SeededRandom random;
  std::vector<std::int16_t> x(5000), y(5000);
  std::int64_t differing = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = static_cast<std::int16_t>(random.Between(-32768, 32767));
    y[i] = random.Between(0, 1) == 0 ? x[i] : static_cast<std::int16_t>(random.Between(-9, 9));
    if (x[i] != y[i]) ++differing;
  }
  ASSERT_GT(differing, 1000);
  WriteBoth("x", IntTensor({5000}, x), IntTensor({5000}, y));
  const TensorDiff diff = DiffPaths(a(), b()).tensors[0];
  std::int64_t counted = 0;
  for (const HistogramBin& bin : diff.histogram) {
    EXPECT_LE(bin.low, bin.high);
    counted += bin.count;
  }
  EXPECT_EQ(diff.differing, differing);
  EXPECT_EQ(counted, differing);
}

TEST_F(TensorDiffTest, FloatsAreComparedBitForBit) {
  WriteNpy(a() / "f.npy", FloatTensor{{3}, {1.0f, 0.0f, 0.1f}});
  WriteNpy(b() / "f.npy", FloatTensor{{3}, {1.0f, -0.0f, 0.1f}});
  const DiffResult result = DiffPaths(a() / "f.npy", b() / "f.npy");
  ASSERT_EQ(result.tensors[0].differing, 1);
  EXPECT_THAT(FormatDiff(result), HasSubstr("first at [1]: a 0 (0x00000000), b -0 (0x80000000)"));
  WriteNpy(b() / "f.npy", FloatTensor{{3}, {1.0f, 0.0f, 0.100000009f}});
  const DiffResult next = DiffPaths(a() / "f.npy", b() / "f.npy");
  EXPECT_EQ(next.tensors[0].first->b, "0.100000009");
  EXPECT_EQ(nlohmann::json::parse(DiffJsonText(next))["tensors"][0]["first"]["b"], 0.100000009);
}

TEST_F(TensorDiffTest, MemhAtItsOwnWidth) {
  const IntTensor left({2, 2}, std::vector<std::int32_t>{-1, 5, 100, -32768});
  IntTensor right = left;
  right.As<std::int32_t>()[3] = -32767;
  WriteMemh(a() / "x.memh", "x", left, 17);
  WriteMemh(b() / "x.memh", "x", right, 17);
  const DiffResult result = DiffPaths(a(), b());
  ASSERT_EQ(result.tensors.size(), 1u);  // the sidecars are no tensors
  EXPECT_EQ(result.tensors[0].a_dtype, "int17");
  EXPECT_THAT(FormatDiff(result),
              HasSubstr("first at [1, 1]: a -32768 (0x18000), b -32767 (0x18001)"));
}

TEST_F(TensorDiffTest, NpyAgainstMemh) {
  WriteNpy(a() / "x.npy", Ramp({2, 2}));
  WriteMemh(b() / "x.memh", "x", Ramp({2, 2}));
  EXPECT_EQ(DiffPaths(a() / "x.npy", b() / "x.memh").differing(), 0);
}

TEST_F(TensorDiffTest, InputErrorsNameTheFile) {
  WriteBoth("x", Ramp({2}), Ramp({2}));
  const fs::path file = a() / "golden" / "x.npy";
  EXPECT_THAT(ErrorOf(temp_.path() / "nowhere", b()), HasSubstr("nowhere"));
  EXPECT_THAT(ErrorOf(a(), file), HasSubstr("two of a kind"));
  fs::create_directories(temp_.path() / "empty1");
  fs::create_directories(temp_.path() / "empty2");
  EXPECT_THAT(ErrorOf(temp_.path() / "empty1", temp_.path() / "empty2"),
              HasSubstr("nothing to compare"));
  std::ofstream(temp_.path() / "x.txt") << "text";
  EXPECT_THAT(ErrorOf(temp_.path() / "x.txt", temp_.path() / "x.txt"), HasSubstr("x.txt"));
  std::ofstream(b() / "golden" / "x.npy") << "corrupt";
  EXPECT_THAT(ErrorOf(a(), b()), HasSubstr("x.npy"));
  EXPECT_THAT(ErrorOf(a(), b()), Not(HasSubstr("\n")));
  // A corrupt file without a partner is an error too, not merely "missing".
  fs::remove(file);
  EXPECT_THAT(ErrorOf(a(), b()), HasSubstr("x.npy"));
}

}  // namespace
}  // namespace qsim::testing
