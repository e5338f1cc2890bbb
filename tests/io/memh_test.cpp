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

TEST_F(MemhTest, RejectsMalformedLines) {
  EXPECT_THAT(ErrorFor("ff\nfg\n"), HasSubstr("a.memh:2: 'fg': expected one hexadecimal number"));
  EXPECT_THAT(ErrorFor("ff\n0xff\n"), HasSubstr("a.memh:2: '0xff'"));
  EXPECT_THAT(ErrorFor("ff\nf\n"), HasSubstr("a.memh:2: 'f': expected 2 digits"));
  EXPECT_THAT(ErrorFor("@10\nff\n"), HasSubstr("a.memh:1: '@10'"));
  EXPECT_THAT(ErrorFor("xx\n"), HasSubstr("a.memh:1: 'xx'"));
  EXPECT_THAT(ErrorFor("ff 00\n"), HasSubstr("a.memh:1: 'ff 00'"));
  EXPECT_THAT(ErrorFor("0123456789abcdef\n"), HasSubstr("more than 15 digits"));
}

TEST_F(MemhTest, RejectsWhatTheSidecarForbids) {
  WriteMemh(path_, "t", IntTensor(Shape{2}, std::vector<std::int8_t>{1, -1}), 5);
  EXPECT_EQ(ReadBytes(path_), "01\n1f\n");
  EXPECT_THAT(ErrorFor("01\n3f\n"), HasSubstr("a.memh:2: '3f': does not fit 5 bits"));
  EXPECT_THAT(ErrorFor("01\n"), HasSubstr("1 elements, but shape [2] of its sidecar needs 2"));
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
