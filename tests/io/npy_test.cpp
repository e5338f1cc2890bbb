#include "sim/io/tensors/npy.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "sim/io/tensors/half.h"
#include "sim/io/tensors/npy_stack.h"
#include "tests/io/io_test_util.h"

namespace qsim::testing {
namespace {

using testing::BytesOf;
using testing::ErrorOf;
using testing::FilesIn;
using ::testing::HasSubstr;
using testing::LoadDamagedCopies;
using testing::ReadBytes;
using testing::TempDir;
using testing::WriteBytes;

std::string WithHeader(const std::string& header, const std::string& data, int major = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += static_cast<char>(major);
  bytes += '\0';
  for (int i = 0; i < (major == 1 ? 2 : 4); ++i) {
    bytes += static_cast<char>(header.size() >> (8 * i) & 0xff);
  }
  return bytes + header + data;
}

std::string Npy(const std::string& descr, const std::string& shape, const std::string& data,
                int major = 1) {
  return WithHeader(
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}\n", descr, shape), data,
      major);
}

class NpyTest : public ::testing::Test {
 protected:
  std::string ErrorFor(const std::string& bytes) {
    WriteBytes(path_, bytes);
    return ErrorOf([&] { ReadNpy(path_); });
  }
  std::filesystem::path File(const std::filesystem::path& name) const { return dir_.path() / name; }

  TempDir dir_;
  std::filesystem::path path_ = dir_.path() / "a.npy";
};

template <typename T>
IntTensor Extremes() {
  std::vector<T> values = {std::numeric_limits<T>::min(), 0, 1, 2, 3,
                           std::numeric_limits<T>::max()};
  return IntTensor(Shape{2, 3}, IntTensor::Storage(values));
}

TEST_F(NpyTest, EveryIntegerTypeSurvivesTheRoundTrip) {
  for (const IntTensor& tensor :
       {Extremes<std::int8_t>(), Extremes<std::uint8_t>(), Extremes<std::int16_t>(),
        Extremes<std::uint16_t>(), Extremes<std::int32_t>(), Extremes<std::int64_t>()}) {
    WriteNpy(path_, tensor);
    EXPECT_EQ(ReadIntNpy(path_), tensor) << Name(tensor.dtype());
  }
}

TEST_F(NpyTest, ShapesOfEveryRankSurviveTheRoundTrip) {
  for (const Shape& shape :
       {Shape{}, Shape{1}, Shape{7}, Shape{0}, Shape{3, 0, 2}, Shape{2, 3, 4}}) {
    std::int64_t count = 1;
    for (const std::int64_t dim : shape) count *= dim;
    FloatTensor tensor{shape, std::vector<float>(static_cast<std::size_t>(count), 1.5f)};
    WriteNpy(path_, tensor);
    const FloatTensor back = ReadFloatNpy(path_);
    EXPECT_EQ(back.shape, shape);
    EXPECT_EQ(back.data, tensor.data);
  }
}

TEST_F(NpyTest, DataAreAlignedAndTheBytesAreNumpys) {
  WriteNpy(path_, IntTensor(Shape{3}, std::vector<std::int16_t>{1, -1, 256}));
  const std::string bytes = ReadBytes(path_);
  EXPECT_EQ(bytes.size(), 128u + 6u);
  EXPECT_EQ(bytes.substr(0, 10), std::string("\x93NUMPY\x01\x00\x76\x00", 10));
  EXPECT_EQ(bytes.substr(10, 56), "{'descr': '<i2', 'fortran_order': False, 'shape': (3,), ");
  EXPECT_EQ(bytes[127], '\n');
  EXPECT_EQ(bytes.substr(128), std::string("\x01\x00\xff\xff\x00\x01", 6));
}

TEST_F(NpyTest, ReadsEveryFloatWidthAndHeaderVersion) {
  for (int major = 1; major <= 3; ++major) {
    WriteBytes(path_,
               Npy("<f2", "(2,)", BytesOf<std::uint16_t>({FloatToHalf(0.5f), 0xc000}), major));
    EXPECT_EQ(ReadFloatNpy(path_).data, (std::vector<float>{0.5f, -2.0f}));
    WriteBytes(path_, Npy("<f8", "(1, 1)", BytesOf<double>({1e-3}), major));
    EXPECT_EQ(ReadFloatNpy(path_).data, (std::vector<float>{1e-3f}));
  }
}

TEST_F(NpyTest, TheOtherKindIsAnError) {
  WriteBytes(path_, Npy("<f4", "(1,)", BytesOf<float>({1})));
  EXPECT_THAT(ErrorOf([&] { ReadIntNpy(path_); }),
              HasSubstr("a.npy: holds floats; integers expected"));
  WriteBytes(path_, Npy("|u1", "(1,)", "x"));
  EXPECT_THAT(ErrorOf([&] { ReadFloatNpy(path_); }), HasSubstr("a.npy: holds integers"));
}

TEST_F(NpyTest, RejectsWhatItCannotRead) {
  const std::string one = BytesOf<float>({1});
  EXPECT_THAT(
      ErrorFor(Npy("|O", "(1,)", one)),
      HasSubstr("dtype '|O' is not supported (Python objects); save numbers of 8 to 64 bits, "
                "like numpy.save(path, a.astype(numpy.int32))"));
  EXPECT_THAT(ErrorFor(Npy("<c8", "(1,)", one + one)), HasSubstr("dtype '<c8' is not supported"));
  EXPECT_THAT(ErrorFor(Npy("<f16", "(1,)", one)), HasSubstr("a.astype(numpy.float32)"));
  EXPECT_THAT(ErrorFor(Npy("<U3", "(1,)", one)), HasSubstr("dtype '<U3' is not supported"));
  EXPECT_THAT(ErrorFor(Npy("", "(1,)", one)), HasSubstr("dtype '' is not supported"));
  EXPECT_THAT(
      ErrorFor(WithHeader("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", one)),
      HasSubstr("structured dtype"));
  EXPECT_THAT(ErrorFor("PK\x03\x04 this is a zip file"),
              HasSubstr("a .npz holds several, save one by"));
  EXPECT_THAT(ErrorFor(""), HasSubstr("not a .npy file"));
  EXPECT_THAT(ErrorFor(Npy("<f4", "(1,)", one, 4)), HasSubstr(".npy version 4.0"));
}

std::string Reversed(std::string bytes, std::size_t each) {
  for (std::size_t at = 0; at < bytes.size(); at += each)
    std::reverse(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                 bytes.begin() + static_cast<std::ptrdiff_t>(at + each));
  return bytes;
}

template <typename T>
void ExpectReadsBothByteOrders(const std::filesystem::path& path, char kind) {
  const IntTensor tensor = Extremes<T>();
  const std::string bytes = BytesOf(tensor.As<T>());
  for (const char order : {'<', '>', '='}) {
    WriteBytes(path, Npy(fmt::format("{}{}{}", order, kind, sizeof(T)), "(2, 3)",
                         order == '>' ? Reversed(bytes, sizeof(T)) : bytes));
    EXPECT_EQ(ReadIntNpy(path), tensor) << order << kind << sizeof(T);
  }
}

TEST_F(NpyTest, ReadsEitherByteOrder) {
  ExpectReadsBothByteOrders<std::int8_t>(path_, 'i');
  ExpectReadsBothByteOrders<std::uint8_t>(path_, 'u');
  ExpectReadsBothByteOrders<std::int16_t>(path_, 'i');
  ExpectReadsBothByteOrders<std::uint16_t>(path_, 'u');
  ExpectReadsBothByteOrders<std::int32_t>(path_, 'i');
  ExpectReadsBothByteOrders<std::int64_t>(path_, 'i');
  const std::vector<float> reals = {0.5f, -3.0f};
  WriteBytes(path_, Npy(">f4", "(2,)", Reversed(BytesOf(reals), 4)));
  EXPECT_EQ(ReadFloatNpy(path_).data, reals);
  WriteBytes(path_, Npy(">f8", "(1,)", Reversed(BytesOf<double>({1e-3}), 8)));
  EXPECT_EQ(ReadFloatNpy(path_).data, (std::vector<float>{1e-3f}));
  WriteBytes(path_, Npy(">f2", "(1,)", std::string("\x38\x00", 2)));
  EXPECT_EQ(ReadFloatNpy(path_).data, (std::vector<float>{0.5f}));
}

TEST_F(NpyTest, ReadsBooleansAndUnsignedWordsAsIntegers) {
  WriteBytes(path_, Npy("|b1", "(3,)", std::string("\x00\x01\x02", 3)));
  EXPECT_EQ(ReadIntNpy(path_), IntTensor(Shape{3}, std::vector<std::uint8_t>{0, 1, 1}));
  WriteBytes(path_, Npy("<u4", "(2,)", BytesOf<std::uint32_t>({1, 4294967295u})));
  EXPECT_EQ(ReadIntNpy(path_), IntTensor(Shape{2}, std::vector<std::int64_t>{1, 4294967295}));
  WriteBytes(path_, Npy("<u8", "(2,)", BytesOf<std::uint64_t>({7, std::uint64_t{1} << 63})));
  EXPECT_THAT(ErrorOf([&] { ReadNpy(path_); }),
              HasSubstr("9223372036854775808 at [1] is beyond int64; save it as a.astype"));
  WriteBytes(path_, Npy("<u8", "(1,)", BytesOf<std::uint64_t>({7})));
  EXPECT_EQ(ReadIntNpy(path_), IntTensor(Shape{1}, std::vector<std::int64_t>{7}));
}

TEST_F(NpyTest, ReadsFortranOrder) {
  // [i][j][k] = 100 i + 10 j + k of [2, 3, 2]; the first index runs fastest in the file.
  std::vector<std::int16_t> c_order, fortran_order;
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 3; ++j)
      for (int k = 0; k < 2; ++k)
        c_order.push_back(static_cast<std::int16_t>(100 * i + 10 * j + k));
  for (int k = 0; k < 2; ++k)
    for (int j = 0; j < 3; ++j)
      for (int i = 0; i < 2; ++i)
        fortran_order.push_back(static_cast<std::int16_t>(100 * i + 10 * j + k));
  const auto file = [&](const std::string& shape, const std::string& data) {
    WriteBytes(path_,
               WithHeader("{'descr': '<i2', 'fortran_order': True, 'shape': " + shape + "}", data));
  };
  file("(2L, 3L, 2L)", BytesOf(fortran_order));
  const NpyReader reader(path_);
  const IntTensor whole(Shape{2, 3, 2}, c_order);
  EXPECT_EQ(std::get<IntTensor>(reader.Read()), whole);
  EXPECT_EQ(std::get<IntTensor>(reader.Read(0, 2)), whole);
  EXPECT_EQ(
      std::get<IntTensor>(reader.Read(1, 1)),
      IntTensor(Shape{1, 3, 2}, std::vector<std::int16_t>(c_order.begin() + 6, c_order.end())));
  file("(12,)", BytesOf(c_order));
  EXPECT_EQ(ReadIntNpy(path_), IntTensor(Shape{12}, c_order));
  file("(3, 0)", "");
  EXPECT_EQ(ReadIntNpy(path_).size(), 0);
}

TEST_F(NpyTest, RejectsWrongAmountsOfData) {
  EXPECT_THAT(ErrorFor(Npy("<f4", "(2,)", BytesOf<float>({1}))), HasSubstr("truncated"));
  EXPECT_THAT(ErrorFor(Npy("<f4", "(1,)", BytesOf<float>({1, 2}))), HasSubstr("4 trailing bytes"));
  EXPECT_THAT(ErrorFor(Npy("|i1", "(0,)", "x")), HasSubstr("1 trailing bytes"));
}

TEST_F(NpyTest, HostileShapesAllocateNothing) {
  EXPECT_THAT(ErrorFor(Npy("<f4", "(-1,)", "")), HasSubstr("negative or too large"));
  EXPECT_THAT(ErrorFor(Npy("<f4", "(4611686018427387904, 4)", "")),
              HasSubstr("negative or too large"));
  EXPECT_THAT(ErrorFor(Npy("|u1", "(4294967296, 4294967296, 0)", "")),
              HasSubstr("negative or too large"));
  EXPECT_THAT(ErrorFor(Npy("<f8", "(9223372036854775807,)", "")), HasSubstr("truncated"));
  EXPECT_THAT(ErrorFor(Npy("<f4", "(99999999999999999999,)", "")), HasSubstr("64 bits"));
  EXPECT_THAT(ErrorFor(Npy("<f4", "(1000000000000,)", "abcd")), HasSubstr("truncated"));
  EXPECT_THAT(ErrorFor(Npy("<f4", "3", "")), HasSubstr("bad .npy header"));
  EXPECT_THAT(ErrorFor(WithHeader("{'descr': '<f4', 'descr': '<f4'}", "")),
              HasSubstr("repeated key"));
  EXPECT_THAT(ErrorFor(WithHeader("{'descr': '<f4'}", "")), HasSubstr("is missing"));
  std::string dims;
  for (int i = 0; i < 40; ++i) dims += "1,";
  EXPECT_THAT(ErrorFor(Npy("|u1", "(" + dims + ")", "x")), HasSubstr("more than 32 dimensions"));
}

TEST_F(NpyTest, ReadsSlicesOfTheFirstAxis) {
  const std::vector<std::int16_t> values = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  WriteNpy(File("a.npy"), IntTensor(Shape{4, 3}, values));
  const NpyReader reader(File("a.npy"));
  EXPECT_EQ(reader.shape(), (Shape{4, 3}));
  EXPECT_EQ(reader.dtype(), DType::kInt16);
  EXPECT_EQ(std::get<IntTensor>(reader.Read()), IntTensor(Shape({4, 3}), values));
  EXPECT_EQ(std::get<IntTensor>(reader.Read(1, 2)),
            IntTensor(Shape{2, 3}, std::vector<std::int16_t>{4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(std::get<IntTensor>(reader.Read(3, 1)),
            IntTensor(Shape{1, 3}, std::vector<std::int16_t>{10, 11, 12}));
  // Values are checked when they are read; the index is the file's.
  WriteNpy(File("f.npy"), FloatTensor{{3, 2}, {1, 2, 3, 4, NAN, 6}});
  const NpyReader floats(File("f.npy"));
  EXPECT_EQ(floats.dtype(), std::nullopt);
  EXPECT_EQ(std::get<FloatTensor>(floats.Read(1, 1)).data, (std::vector<float>{3, 4}));
  EXPECT_THAT(ErrorOf([&] { floats.Read(2, 1); }), HasSubstr("f.npy: NaN at [2, 0]"));
}

TEST_F(NpyTest, AStackWrittenInAnyOrderIsTheWholeFile) {
  const IntTensor parts[] = {IntTensor(Shape{2}, std::vector<std::int32_t>{1, -2}),
                             IntTensor(Shape{2}, std::vector<std::int32_t>{3, -4}),
                             IntTensor(Shape{2}, std::vector<std::int32_t>{5, -6})};
  const NpyStack stack(File("stack.npy"), 3, parts[0], {2});
  for (const std::int64_t i : {2, 0, 1}) stack.Write(i, parts[i]);
  WriteNpy(File("whole.npy"),
           IntTensor(Shape{3, 2}, std::vector<std::int32_t>{1, -2, 3, -4, 5, -6}));
  EXPECT_EQ(ReadBytes(File("stack.npy")), ReadBytes(File("whole.npy")));
  const NpyStack floats(File("stack.npy"), 2, FloatTensor{{1}, {0.5F}}, {1});
  floats.Write(1, FloatTensor{{1}, {0.5F}});
  floats.Write(0, FloatTensor{{1}, {-1.5F}});
  WriteNpy(File("whole.npy"), FloatTensor{{2, 1}, {-1.5F, 0.5F}});
  EXPECT_EQ(ReadBytes(File("stack.npy")), ReadBytes(File("whole.npy")));
  EXPECT_THAT(ErrorOf([&] { NpyStack(File("no") / "a.npy", 1, parts[0], {2}); }),
              HasSubstr("no/a.npy: cannot be written"));
}

TEST_F(NpyTest, AStackWrittenInPiecesIsZeroWhereNothingIsWritten) {
  const NpyStack stack(File("stack.npy"), 2, IntTensor(DType::kInt16, {1}), {3, 2});
  stack.Write(1, IntTensor(Shape{1, 2}, std::vector<std::int16_t>{7, 8}), 2);
  stack.Write(0, IntTensor(Shape{2, 2}, std::vector<std::int16_t>{1, 2, 3, 4}));
  stack.Write(1, IntTensor(Shape{1, 2}, std::vector<std::int16_t>{5, 6}));
  WriteNpy(File("whole.npy"), IntTensor(Shape{2, 3, 2}, std::vector<std::int16_t>{
                                                            1, 2, 3, 4, 0, 0, 5, 6, 7, 8, 0, 0}));
  EXPECT_EQ(ReadBytes(File("stack.npy")), ReadBytes(File("whole.npy")));
}

TEST_F(NpyTest, NamesTheFirstValueThatIsNotFinite) {
  EXPECT_THAT(ErrorFor(Npy("<f4", "(2, 3)", BytesOf<float>({0, 1, 2, 3, NAN, INFINITY}))),
              HasSubstr("a.npy: NaN at [1, 1]"));
  EXPECT_THAT(ErrorFor(Npy("<f8", "(2,)", BytesOf<double>({1, -1e300}))),
              HasSubstr("Inf (in float32) at [1]"));
  EXPECT_THAT(ErrorFor(Npy("<f2", "(1,)", BytesOf<std::uint16_t>({0x7c01}))),
              HasSubstr("NaN at [0]"));
  // The largest double that still rounds to a finite float, and the smallest that does not.
  const double limit = 3.4028235677973366e38;
  WriteBytes(path_, Npy("<f8", "(1,)", BytesOf<double>({std::nextafter(limit, 0.0)})));
  EXPECT_EQ(ReadFloatNpy(path_).data[0], std::numeric_limits<float>::max());
  EXPECT_THAT(ErrorFor(Npy("<f8", "(1,)", BytesOf<double>({limit}))), HasSubstr("Inf"));
}

TEST_F(NpyTest, EveryDamagedCopyLoadsOrIsRejected) {
  const std::string ints = Npy("<i2", "(2, 3)", BytesOf<std::int16_t>({1, 2, 3, 4, 5, 6}));
  const std::string floats = Npy("<f4", "(2, 2)", BytesOf<float>({1, 2, 3, 4}), 2);
  for (const std::string& bytes : {ints, floats}) {
    const auto count = LoadDamagedCopies(path_, bytes, [&] { ReadNpy(path_); });
    EXPECT_GT(count.loaded, 100u);  // flips inside the data
    EXPECT_GT(count.rejected, bytes.size());
  }
}

TEST_F(NpyTest, BadPathsAreNamed) {
  const IntTensor tensor(Shape{1}, std::vector<std::int8_t>{1});
  EXPECT_THAT(ErrorOf([&] { WriteNpy(dir_.path(), tensor); }), HasSubstr("is a directory"));
  EXPECT_THAT(ErrorOf([&] { WriteNpy(dir_.path() / "no" / "a.npy", tensor); }),
              HasSubstr("cannot be written: No such file"));
  EXPECT_THAT(ErrorOf([&] { ReadNpy(dir_.path()); }), HasSubstr("is a directory"));
  EXPECT_THAT(ErrorOf([&] { ReadNpy("/dev/zero"); }), HasSubstr("not a regular file"));
  EXPECT_EQ(FilesIn(dir_.path()), 0u);
}

TEST_F(NpyTest, ReadsTheFilesOfNumpyItself) {
  const AnyTensor images =
      ReadNpy(std::filesystem::path(QSIM_SOURCE_DIR) / "vectors" / "calib_images.npy");
  EXPECT_EQ(std::get<IntTensor>(images).shape(), (Shape{256, 1, 8, 8}));
  EXPECT_EQ(std::get<IntTensor>(images).dtype(), DType::kUint8);
}

}  // namespace
}  // namespace qsim::testing
