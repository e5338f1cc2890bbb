#include "sim/io/tensors/memh.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

#include "tests/io/io_test_util.h"

namespace qsim::testing {
namespace {

using testing::ErrorOf;
using ::testing::HasSubstr;
using testing::LoadDamagedCopies;
using testing::ReadBytes;
using testing::TempDir;
using testing::WriteBytes;

class MemhTest : public ::testing::Test {
 protected:
  std::string ErrorFor(const std::string& text) {
    WriteBytes(path_, text);
    return ErrorOf([&] { ReadMemh(path_); });
  }
  TempDir dir_;
  std::filesystem::path path_ = dir_.path() / "a.memh";
  std::filesystem::path sidecar_ = dir_.path() / "a.memh.json";
};

TEST_F(MemhTest, OneElementPerLineInTwosComplement) {
  WriteMemh(path_, "blocks.0.attn_q_out",
            IntTensor(Shape{2, 2}, std::vector<std::int8_t>{-1, 0, 127, -128}));
  EXPECT_EQ(ReadBytes(path_), "ff\n00\n7f\n80\n");
  EXPECT_EQ(ReadBytes(sidecar_),
            "{\"name\":\"blocks.0.attn_q_out\",\"shape\":[2,2],\"dtype\":\"int8\",\"bits\":8,"
            "\"signed\":true}\n");
}

TEST_F(MemhTest, EveryWidthSurvivesTheRoundTrip) {
  for (int bits = 1; bits <= 64; ++bits) {
    const std::int64_t top =
        bits == 64 ? std::numeric_limits<std::int64_t>::max() : (std::int64_t{1} << (bits - 1)) - 1;
    const IntTensor tensor(Shape{3}, std::vector<std::int64_t>{-top - 1, 0, top});
    WriteMemh(path_, "t", tensor, bits);
    const Memh back = ReadMemh(path_);
    EXPECT_EQ(back.tensor, tensor) << bits;
    EXPECT_EQ(back.bits, bits);
    EXPECT_TRUE(back.is_signed);
    EXPECT_TRUE(back.has_sidecar);
    EXPECT_EQ(back.name, "t");
    const std::size_t digits = (static_cast<std::size_t>(bits) + 3) / 4;
    EXPECT_EQ(ReadBytes(path_).size(), 3 * (digits + 1)) << bits;
  }
  const IntTensor tensor(Shape{2, 1}, std::vector<std::uint16_t>{0, 65535});
  WriteMemh(path_, "u", tensor);
  EXPECT_EQ(ReadMemh(path_).tensor, tensor);
}

TEST_F(MemhTest, ValuesBeyondTheWidthAreADefect) {
  const IntTensor tensor(Shape{1}, std::vector<std::int8_t>{8});
  EXPECT_THROW(WriteMemh(path_, "t", tensor, 4), InternalError);
  EXPECT_THROW(WriteMemh(path_, "t", tensor, 9), InternalError);
}

TEST_F(MemhTest, WithoutSidecarAFlatUnsignedVector) {
  WriteBytes(path_, "// from a simulator\n0fF\n\n001 // one\r\n");
  const Memh memh = ReadMemh(path_);
  EXPECT_EQ(memh.tensor, IntTensor(Shape{2}, std::vector<std::uint16_t>{0xff, 1}));
  EXPECT_EQ(memh.bits, 12);
  EXPECT_FALSE(memh.is_signed);
  EXPECT_FALSE(memh.has_sidecar);
}

TEST_F(MemhTest, RejectsWhatIsNoWord) {
  EXPECT_THAT(ErrorFor("ff\nfg\n"), HasSubstr("a.memh:2: 'fg': expected a hexadecimal number"));
  EXPECT_THAT(ErrorFor("ff\n0xff\n"), HasSubstr("a.memh:2: '0xff': $readmemh takes this x"));
  EXPECT_THAT(ErrorFor("00 01\n\n/* x\n */ xx\n"), HasSubstr("a.memh:4: 'xx': digit x: a value"));
  EXPECT_THAT(ErrorFor("0z\n"), HasSubstr("a.memh:1: '0z': digit z: high impedance"));
  EXPECT_THAT(ErrorFor("\xef\xbb\xbf"
                       "00\n"),
              HasSubstr("a byte order mark"));
  EXPECT_THAT(ErrorFor("# made by a tool\n00\n"),
              HasSubstr("a.memh:1: '#': '#' begins no comment"));
  EXPECT_THAT(ErrorFor(":10010000214601360121470136007EFE09D2190140\n"), HasSubstr("Intel HEX"));
  EXPECT_THAT(ErrorFor("S00F000068656C6C6F202020202000003C\n"), HasSubstr("S-record"));
  EXPECT_THAT(ErrorFor("-1\n"), HasSubstr("two's complement"));
  EXPECT_THAT(ErrorFor("00,01\n"), HasSubstr("separated by blanks"));
  EXPECT_THAT(ErrorFor("8'hff\n"), HasSubstr("a based number"));
  EXPECT_THAT(ErrorFor("0.5\n"), HasSubstr("hexadecimal integers"));
  EXPECT_THAT(ErrorFor("_0\n"), HasSubstr("cannot begin with '_'"));
  EXPECT_THAT(ErrorFor("00 /* no end\n"), HasSubstr("a comment without its end"));
  EXPECT_THAT(ErrorFor("@\n"), HasSubstr("expected an address"));
  EXPECT_THAT(ErrorFor("@g\n"), HasSubstr("expected an address"));
  EXPECT_THAT(ErrorFor("@ffffffffffffffffff\n"), HasSubstr("at most 15 hexadecimal digits"));
  EXPECT_THAT(ErrorFor("@2 00\n@4\n01\n"), HasSubstr("a.memh:3: nothing is written at address @3"));
  EXPECT_THAT(ErrorFor("@0 00\n@10\n01\n"),
              HasSubstr("a.memh:3: nothing is written at address @1 to @f"));
  EXPECT_THAT(ErrorFor("@0 00 01\n@1\n01\n"), HasSubstr("a.memh:3: address @1 is written twice"));
  EXPECT_THAT(ErrorFor("0123456789abcdef\n"), HasSubstr("more than 15 digits"));
}

// IEEE 1800-2017, 21.4, and what writers of memory files make of it.
TEST_F(MemhTest, ReadsTheLanguageOfReadmemh) {
  const IntTensor tensor(Shape{8}, std::vector<std::int8_t>{0, 1, 2, 3, -1, -128, 127, 16});
  WordForm form;
  form.shape = {8};
  form.bits = 8;
  form.dtype = DType::kInt8;
  for (const std::string text :
       {"00 01 02 03\nff 80 7f 10\n", "@0\n00\n01\n02\n03\nff\n80\n7f\n10",
        "@00000000 00 01 02 03 ff 80 7f 10", "// 0x00000000\n00 01 02 03\nFF\r\n80\t7F // a\n10",
        "/* a\n b */00/**/01 02 03 ff 80 7f 10", "0_0 0_1 0_2 0_3 f_f 8_0 7_f_ 1_0",
        "0 1 2 3 ff 80 7f 10", "0000 0001 0002 0003 ffff ff80 007f 0010",
        "@20 00 01 02 03 ff 80 7f 10", "@4 ff 80 7f 10 @0 00 01 02 03", "107f80ff03020100",
        "03020100\n107f80ff"}) {
    WriteBytes(path_, text);
    const Memh memh = ReadMemh(path_, form);
    EXPECT_EQ(memh.tensor, tensor) << text;
    EXPECT_EQ(memh.bits, 8);
  }
}

// The form of another tensor is a guess: what contradicts it is read as the digits say.
TEST_F(MemhTest, TakesTheFormOfAnotherTensor) {
  WordForm form;
  form.shape = {2, 2};
  form.bits = 8;
  form.dtype = DType::kInt8;
  WriteBytes(path_, "0001 0002 ffff 0180\n");  // 0x180 is no int8
  Memh memh = ReadMemh(path_, form);
  EXPECT_EQ(memh.tensor, IntTensor(Shape({2, 2}), std::vector<std::int16_t>{1, 2, -1, 0x180}));
  EXPECT_EQ(memh.bits, 16);
  WriteBytes(path_, "01 02 ff\n");  // one is missing
  EXPECT_EQ(ReadMemh(path_, form).tensor, IntTensor(Shape{3}, std::vector<std::int8_t>{1, 2, -1}));
  WriteBytes(path_, "1 7 8 f\n");  // registers of 4 bits
  EXPECT_EQ(ReadMemh(path_, form).tensor,
            IntTensor(Shape({2, 2}), std::vector<std::int8_t>{1, 7, -8, -1}));
  WriteBytes(path_, "ff01fffe\n00030004\n");  // two lanes of 16 bits
  memh = ReadMemh(path_, form);
  EXPECT_EQ(memh.tensor, IntTensor(Shape({2, 2}), std::vector<std::int16_t>{-2, -255, 4, 3}));
  form.is_signed = false;
  form.dtype = DType::kUint8;
  WriteBytes(path_, "ff 80 00 01\n");
  EXPECT_EQ(ReadMemh(path_, form).tensor,
            IntTensor(Shape({2, 2}), std::vector<std::uint8_t>{255, 128, 0, 1}));
  WriteBytes(path_, "0123456789abcdef0 0 0 0\n");
  EXPECT_THAT(ErrorOf([&] { ReadMemh(path_, form); }), HasSubstr("('lanes')"));
}

TEST_F(MemhTest, LanesOfASidecar) {
  const auto sidecar = [&](const std::string& more) {
    WriteBytes(sidecar_,
               R"({"name":"t","shape":[2,3],"dtype":"int8","bits":5,"signed":true)" + more + "}");
  };
  const IntTensor tensor(Shape{2, 3}, std::vector<std::int8_t>{1, -1, 2, -16, 15, 0});
  // 00010 11111 00001 and 00000 01111 10000.
  WriteBytes(path_, "0be1\n01f0\n");
  sidecar(R"(,"lanes":3)");
  EXPECT_EQ(ReadMemh(path_).tensor, tensor);
  sidecar("");  // the only way to cut them
  EXPECT_EQ(ReadMemh(path_).tensor, tensor);
  sidecar(R"(,"lanes":3,"lane_order":"high_first")");
  EXPECT_EQ(ReadMemh(path_).tensor,
            IntTensor(Shape({2, 3}), std::vector<std::int8_t>{2, -1, 1, 0, 15, -16}));
  sidecar(R"(,"lanes":4)");  // the last word is filled up
  WriteBytes(path_, "82be1\n001f0\n");
  EXPECT_EQ(ReadMemh(path_).tensor,
            IntTensor(Shape({2, 3}), std::vector<std::int8_t>{1, -1, 10, -16, -16, 15}));
  sidecar(R"(,"lanes":3)");
  EXPECT_THAT(ErrorFor("0be1\n"), HasSubstr("needs 6 elements of 5 bits, 3 in a word"));
  EXPECT_THAT(ErrorFor("0be1\n1\n"), HasSubstr("words of up to 4 digits"));
  EXPECT_THAT(ErrorFor("be1\n1f0\n"), HasSubstr("2 words of 3 digits"));
  sidecar(R"(,"lanes":0)");
  EXPECT_THAT(ErrorFor("0be1\n1\n"), HasSubstr("key 'lanes': expected 1.."));
  sidecar(R"(,"lane_order":"up")");
  EXPECT_THAT(ErrorFor("0be1\n1\n"), HasSubstr("key 'lane_order'"));
}

TEST_F(MemhTest, RejectsWhatTheSidecarForbids) {
  WriteMemh(path_, "t", IntTensor(Shape{2}, std::vector<std::int8_t>{1, -1}), 5);
  EXPECT_EQ(ReadBytes(path_), "01\n1f\n");
  EXPECT_THAT(ErrorFor("01\n3f\n"), HasSubstr("a.memh:2: '3f': does not fit 5 bits"));
  EXPECT_THAT(ErrorFor("01\n"),
              HasSubstr("1 words of 2 digits, but shape [2] of its sidecar needs 2 elements"));
  const auto sidecar_error = [&](const std::string& json) {
    WriteBytes(sidecar_, json);
    return ErrorFor("01\n1f\n");
  };
  EXPECT_THAT(sidecar_error("{"), HasSubstr("a.memh.json: not a JSON object"));
  EXPECT_THAT(sidecar_error(R"({"name":"t"})"), HasSubstr("key 'shape' is missing"));
  EXPECT_THAT(sidecar_error(R"({"name":"t","shape":[-2],"dtype":"int8","bits":5,"signed":true})"),
              HasSubstr("key 'shape'"));
  EXPECT_THAT(
      sidecar_error(
          R"({"name":"t","shape":[18446744073709551615],"dtype":"int8","bits":5,"signed":true})"),
      HasSubstr("key 'shape'"));
  EXPECT_THAT(sidecar_error(R"({"name":"t","shape":[2],"dtype":"int9","bits":5,"signed":true})"),
              HasSubstr("key 'dtype'"));
  EXPECT_THAT(sidecar_error(R"({"name":"t","shape":[2],"dtype":"int8","bits":9,"signed":true})"),
              HasSubstr("key 'bits': expected 1..8"));
  EXPECT_THAT(sidecar_error(R"({"name":"t","shape":[2],"dtype":"uint8","bits":5,"signed":true})"),
              HasSubstr("key 'signed'"));
}

TEST_F(MemhTest, EveryDamagedCopyLoadsOrIsRejected) {
  WriteMemh(path_, "t", IntTensor(Shape{2, 2}, std::vector<std::int16_t>{1, -1, 300, -300}), 12);
  const std::string text = ReadBytes(path_);
  const std::string json = ReadBytes(sidecar_);
  const auto of_text = LoadDamagedCopies(path_, text, [&] { ReadMemh(path_); });
  EXPECT_GT(of_text.loaded, 10u);
  EXPECT_GT(of_text.rejected, text.size());
  WriteBytes(path_, text);
  const auto of_json = LoadDamagedCopies(sidecar_, json, [&] { ReadMemh(path_); });
  EXPECT_GT(of_json.rejected, json.size());
}

}  // namespace
}  // namespace qsim::testing
