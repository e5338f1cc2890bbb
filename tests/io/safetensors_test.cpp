#include "sim/io/tensors/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>

#include "tests/io/io_test_util.h"

namespace qsim::testing {
namespace {

using testing::BytesOf;
using ::testing::ElementsAre;
using testing::ErrorOf;
using ::testing::HasSubstr;
using testing::LoadDamagedCopies;
using testing::ReadBytes;
using testing::TempDir;
using testing::WriteBytes;

std::string File(const std::string& header, const std::string& data) {
  return BytesOf<std::uint64_t>({header.size()}) + header + data;
}

class SafetensorsTest : public ::testing::Test {
 protected:
  // What opening and then loading every tensor says.
  std::string ErrorFor(const std::string& bytes) {
    WriteBytes(path_, bytes);
    return ErrorOf([&] { LoadAll(); });
  }
  void LoadAll() {
    const Safetensors file = Safetensors::Open(path_);
    for (const std::string& name : file.names()) file.Load(name);
  }
  TempDir dir_;
  std::filesystem::path path_ = dir_.path() / "m.safetensors";
};

TEST_F(SafetensorsTest, EveryFloatTypeSurvivesTheRoundTrip) {
  const FloatTensor tensor{{2, 2}, {0.5f, -1.0f, 3.25f, 0.0f}};  // exact in every width
  WriteSafetensors(path_, {{"b.f32", WeightDType::kF32, tensor},
                           {"a.f16", WeightDType::kF16, tensor},
                           {"c.bf16", WeightDType::kBf16, tensor},
                           {"d.empty", WeightDType::kF32, {{0, 3}, {}}}});
  const Safetensors file = Safetensors::Open(path_);
  EXPECT_THAT(file.names(), ElementsAre("a.f16", "b.f32", "c.bf16", "d.empty"));
  EXPECT_EQ(file.DTypeOf("c.bf16"), "BF16");
  for (const char* name : {"a.f16", "b.f32", "c.bf16"}) {
    EXPECT_EQ(file.Load(name, Shape{2, 2}).data, tensor.data) << name;
  }
  EXPECT_TRUE(file.Load("d.empty").data.empty());
  EXPECT_FALSE(file.Has("e"));
}

TEST_F(SafetensorsTest, OtherTypesAreListedAndNotLoaded) {
  WriteBytes(path_, File(R"({"step":{"dtype":"I64","shape":[],"data_offsets":[0,8]}})",
                         std::string(8, 'x')));
  const Safetensors file = Safetensors::Open(path_);
  EXPECT_EQ(file.ShapeOf("step"), Shape{});
  EXPECT_THAT(ErrorOf([&] { file.Load("step"); }),
              HasSubstr("tensor 'step': has dtype I64; expected F32, F16 or BF16"));
}

// As the reference implementation does, whose map takes a name that it has for a new value of it.
TEST_F(SafetensorsTest, OfANameTwiceTheLastOneCounts) {
  WriteBytes(
      path_,
      File(
          R"({"w":{"dtype":"U8","shape":[99],"data_offsets":[7,2]},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
          BytesOf<float>({1, 2})));
  EXPECT_EQ(Safetensors::Open(path_).Load("w").data, (std::vector<float>{1, 2}));
}

TEST_F(SafetensorsTest, MissingAndMisshapenTensorsAreExplained) {
  WriteSafetensors(path_, {{"blocks.0.attn.qkv.weight", WeightDType::kF32, {{2}, {1, 2}}}});
  const Safetensors file = Safetensors::Open(path_);
  EXPECT_THAT(
      ErrorOf([&] { file.Load("blocks.0.attn.qkv.weigth"); }),
      HasSubstr(
          "no tensor 'blocks.0.attn.qkv.weigth'; the nearest name is 'blocks.0.attn.qkv.weight'"));
  EXPECT_THAT(ErrorOf([&] {
                file.Load("blocks.0.attn.qkv.weight", Shape{3, 1});
              }),
              HasSubstr("has shape [2], expected [3, 1]"));
}

TEST_F(SafetensorsTest, NamesTheFirstValueThatIsNotFinite) {
  WriteSafetensors(path_, {{"w", WeightDType::kF32, {{2, 2}, {0, 1, NAN, 2}}}});
  EXPECT_THAT(ErrorOf([&] { LoadAll(); }), HasSubstr("tensor 'w': NaN at [1, 0]"));
  WriteSafetensors(path_, {{"w", WeightDType::kBf16, {{3}, {0, 1, -INFINITY}}}});
  EXPECT_THAT(ErrorOf([&] { LoadAll(); }), HasSubstr("tensor 'w': Inf at [2]"));
  WriteSafetensors(path_, {{"w", WeightDType::kF16, {{1}, {1e6f}}}});
  EXPECT_THAT(ErrorOf([&] { LoadAll(); }), HasSubstr("tensor 'w': Inf at [0]"));
}

TEST_F(SafetensorsTest, RejectsBadLengths) {
  EXPECT_THAT(ErrorFor(""), HasSubstr("truncated"));
  EXPECT_THAT(ErrorFor("1234567"), HasSubstr("truncated"));
  for (const std::uint64_t length : {std::uint64_t{1} << 63, ~std::uint64_t{0}, std::uint64_t{3}}) {
    EXPECT_THAT(ErrorFor(BytesOf<std::uint64_t>({length}) + "{}"), HasSubstr("header length"))
        << length;
  }
}

struct BadHeader {
  const char* header;
  const char* message;
};

TEST_F(SafetensorsTest, RejectsBadHeaders) {
  // Four bytes of data follow each.
  const BadHeader cases[] = {
      {"", "not valid JSON"},
      {"{", "not valid JSON"},
      {"{} {}", "not valid JSON"},
      {"[1]", "is a list; expected a JSON object"},
      {"7", "expected a JSON object"},
      {"null", "expected a JSON object"},
      {"{}", "4 bytes after the last tensor belong to none"},
      {R"({"w":1})", "where an object is expected"},
      // Of a name twice the last one counts; the first one is read as well.
      {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"w":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}})",
       "2 bytes after the last tensor belong to none"},
      {R"({"w":{"dtype":"F9","shape":[1],"data_offsets":[0,4]},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
       "dtype 'F9' is none"},
      {R"({"w":3,"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
       "where an object is expected"},
      {R"({"w":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
       "key 'dtype' twice"},
      {R"({"w":{"dtype":"F9","shape":[1],"data_offsets":[0,4]}})", "dtype 'F9' is none"},
      {R"({"w":{"dtype":"f32","shape":[1],"data_offsets":[0,4]}})", "dtype 'f32' is none"},
      {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}x)", "not valid JSON"},
      {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},})", "not valid JSON"},
      {"\xef\xbb\xbf{}", "not valid JSON"},
      {R"({"w":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", "a fraction"},
      {R"({"w":{"dtype":"F32","shape":[18446744073709551616,0],"data_offsets":[0,4]}})",
       "beyond 64 bits"},
      {R"({"w":{"dtype":"F4","shape":[7],"data_offsets":[0,4]}})", "does not fill its 4 bytes"},
      {R"({"__metadata__":{},"__metadata__":{}})", "tensor '__metadata__' appears twice"},
      {R"({"__metadata__":[]})", "tensor '__metadata__' is a list"},
      {R"({"w":{"dtype":"F32","shape":[1]}})", "lacks dtype, shape or data_offsets"},
      {R"({"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "negative number"},
      {R"({"w":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", "a fraction"},
      {R"({"w":{"dtype":7,"shape":[1],"data_offsets":[0,4]}})", "a number for 'dtype'"},
      {R"({"w":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}})", "a list for 'shape'"},
      {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}})", "not two numbers"},
      {R"({"w":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4]}})", "63 bits"},
      {R"({"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})",
       "does not fill its 4 bytes"},
      {R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})",
       "shape [2] of F32 does not fill its 4 bytes"},
      {R"({"w":{"dtype":"F16","shape":[1],"data_offsets":[0,4]}})", "does not fill"},
      {R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "leave the file"},
      {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[18446744073709551612,0]}})",
       "end before they begin"},
      {R"({"w":{"dtype":"F16","shape":[1],"data_offsets":[2,4]}})", "leave a hole after byte 0"},
      {R"({"w":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}})",
       "2 bytes after the last tensor"},
      {R"({"w":{"dtype":"I8","shape":[3],"data_offsets":[0,3]},"v":{"dtype":"I8","shape":[2],"data_offsets":[2,4]}})",
       "tensor 'v': data_offsets [2, 4] overlap the tensor before"},
      {R"({"__metadata__":{"format":1},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
       "tensor '__metadata__'"},
  };
  for (const BadHeader& bad : cases) {
    EXPECT_THAT(ErrorFor(File(bad.header, "abcd")), HasSubstr(bad.message)) << bad.header;
    EXPECT_THAT(ErrorFor(File(bad.header, "abcd")), HasSubstr("m.safetensors")) << bad.header;
  }
}

// What the reference implementation (safetensors 0.8) does with the same bytes, tried on it.
TEST_F(SafetensorsTest, AcceptsWhatTheReferenceAccepts) {
  const std::string w = R"("w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  const std::string data = BytesOf<float>({1.5f});
  const std::vector<std::string> accepted = {
      "{" + w + "}   ",
      "  {" + w + "}",
      "{" + w + "}\n\t\r ",
      "{" + w + R"(,"__metadata__":null})",
      "{" + w + R"(,"__metadata__":{"q":"1","q":"2"}})",
      R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}})",
      R"({"w":{"x":{"y":[1,[-2.5],null]},"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
      R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":)" + std::string(100, '[') +
          std::string(100, ']') + "}}",
      "{" + w + R"(,"e":{"dtype":"F32","shape":[1,9223372036854775807,0],"data_offsets":[4,4]}})",
      R"({"e":{"dtype":"I8","shape":[0],"data_offsets":[0,0]},)" + w + "}",
  };
  for (const std::string& header : accepted) {
    WriteBytes(path_, File(header, data));
    EXPECT_EQ(Safetensors::Open(path_).Load("w").data, (std::vector<float>{1.5f})) << header;
  }
  std::string many = R"({"w":{"dtype":"F32","shape":[1)";
  for (int i = 0; i < 32; ++i) many += ",1";
  WriteBytes(path_, File(many + R"(],"data_offsets":[0,4]}})", data));
  EXPECT_EQ(Safetensors::Open(path_).ShapeOf("w").size(), 33u);
  for (const char* dtype :
       {"F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "BOOL"}) {
    WriteBytes(
        path_,
        File(fmt::format(R"({{"a":{{"dtype":"{}","shape":[4],"data_offsets":[0,4]}}}})", dtype),
             data));
    EXPECT_EQ(Safetensors::Open(path_).DTypeOf("a"), dtype);
  }
}

TEST_F(SafetensorsTest, RefusesWhatTheReferenceRefuses) {
  const std::string w = R"("w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  using namespace std::string_literals;
  for (const std::string& header : {"{" + w + "}\0\0"s, "\0{"s + w + "}", "{" + w + "}\0x"s})
    EXPECT_THAT(ErrorFor(File(header, "abcd")), HasSubstr("is NUL; a header is filled up"));
  EXPECT_THAT(ErrorFor(File(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":)" +
                                std::string(200, '[') + std::string(200, ']') + "}}",
                            "abcd")),
              HasSubstr("nested deeper than 127"));
  EXPECT_THAT(
      ErrorFor(File(
          R"({"e":{"dtype":"F32","shape":[9223372036854775807,9223372036854775807,0],"data_offsets":[0,0]}})",
          "")),
      HasSubstr("does not fill its 0 bytes"));
  EXPECT_THAT(
      ErrorFor(File("{" + w + R"(,"e":{"dtype":"F32","shape":[0],"data_offsets":[2,2]}})", "abcd")),
      HasSubstr("tensor 'e': data_offsets [2, 2] overlap"));
}

TEST_F(SafetensorsTest, DeepNestingIsRejectedAtOnce) {
  EXPECT_THAT(ErrorFor(File(std::string(1'000'000, '['), "")), HasSubstr("m.safetensors"));
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "{\"a\":";
  EXPECT_THAT(ErrorFor(File(deep, "")), HasSubstr("m.safetensors"));
}

TEST_F(SafetensorsTest, EveryDamagedCopyLoadsOrIsRejected) {
  WriteSafetensors(path_, {{"w", WeightDType::kF32, {{2}, {1, 2}}},
                           {"v", WeightDType::kBf16, {{1, 2}, {3, 4}}}});
  const std::string bytes = ReadBytes(path_);
  const auto count = LoadDamagedCopies(path_, bytes, [&] { LoadAll(); });
  EXPECT_GT(count.loaded, 50u);
  EXPECT_GT(count.rejected, bytes.size());
}

TEST_F(SafetensorsTest, ReadsTheShippedModel) {
  const Safetensors file =
      Safetensors::Open(std::filesystem::path(QSIM_SOURCE_DIR) / "vectors" / "model.safetensors");
  EXPECT_EQ(file.Load("blocks.3.attn.qkv.weight", Shape{192, 64}).data.size(), 192u * 64u);
}

}  // namespace
}  // namespace qsim::testing
