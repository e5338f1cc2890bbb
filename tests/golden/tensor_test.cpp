#include "golden/program/tensor.h"
#include "tests/namespaces.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <limits>
#include <new>
#include <stdexcept>

namespace qsim::testing {
namespace {

constexpr std::array<DType, 6> kAllDTypes = {DType::kInt8,   DType::kUint8, DType::kInt16,
                                             DType::kUint16, DType::kInt32, DType::kInt64};

TEST(Tensor, EveryDTypeKnowsItsNameWidthAndStorage) {
  for (const DType dtype : kAllDTypes) {
    EXPECT_EQ(FromName<DType>(Name(dtype)), dtype);
    const IntTensor tensor(dtype, {2, 3});
    EXPECT_EQ(tensor.dtype(), dtype);
    EXPECT_EQ(tensor.size(), 6);
    EXPECT_EQ(tensor.At(5), 0);
    std::visit(
        [&](const auto& values) {
          using T = typename std::decay_t<decltype(values)>::value_type;
          EXPECT_EQ(BitsOf(dtype), static_cast<int>(8 * sizeof(T)));
          EXPECT_EQ(IsSigned(dtype), std::is_signed_v<T>);
        },
        tensor.storage());
  }
  EXPECT_EQ(FromName<DType>("float32"), std::nullopt);
  EXPECT_THROW(IntTensor(static_cast<DType>(99), {1}), std::invalid_argument);
  EXPECT_THROW(BitsOf(static_cast<DType>(99)), std::invalid_argument);
}

#ifndef QSIM_SANITIZED_MEMORY  // ends where memory is short
// std::bad_alloc, and nothing is destroyed that was not made.
TEST(Tensor, ACopyWithoutMemoryThrows) {
  const IntTensor tensor(DType::kInt16, {1 << 26});
  IntTensor other;
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_AS, &limit), 0);
  const rlimit none{0, limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &none), 0);
  int thrown = 0;
  try {
    const IntTensor copy = tensor;
  } catch (const std::bad_alloc&) {
    ++thrown;
  }
  try {
    other = tensor;
  } catch (const std::bad_alloc&) {
    ++thrown;
  }
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &limit), 0);
  EXPECT_EQ(thrown, 2);
  EXPECT_EQ(other, IntTensor());
  other = tensor;
  EXPECT_EQ(other, tensor);
}
#endif

TEST(Tensor, StorageForIsTheNarrowestThatHolds) {
  EXPECT_EQ(StorageFor({-128, 127}), DType::kInt8);
  EXPECT_EQ(StorageFor({0, 255}), DType::kUint8);
  EXPECT_EQ(StorageFor({0, 127}), DType::kInt8);
  EXPECT_EQ(StorageFor({-1, 128}), DType::kInt16);
  EXPECT_EQ(StorageFor({-32768, 32767}), DType::kInt16);
  EXPECT_EQ(StorageFor({0, 256}), DType::kInt16);
  EXPECT_EQ(StorageFor({0, 65535}), DType::kUint16);
  EXPECT_EQ(StorageFor({-1, 32768}), DType::kInt32);
}

TEST(Tensor, ShapesAreChecked) {
  EXPECT_EQ(ElementCount({}), 1);
  EXPECT_EQ(ElementCount({3, 0, 5}), 0);
  EXPECT_EQ(ElementCount({4, 5, 6}), 120);
  EXPECT_THROW(ElementCount({-1, 5}), std::invalid_argument);
  EXPECT_THROW(ElementCount({std::int64_t{1} << 40, std::int64_t{1} << 40}), std::invalid_argument);
  EXPECT_THROW(IntTensor({2, 2}, std::vector<std::int8_t>(3)), std::invalid_argument);
  EXPECT_THROW(IntTensor(DType::kInt8, {-2}), std::invalid_argument);
}

TEST(Tensor, AtReadsEveryStorageTypeAndChecksItsIndex) {
  const IntTensor tensor({3},
                         std::vector<std::int64_t>{std::numeric_limits<std::int64_t>::min(), 0, 7});
  EXPECT_EQ(tensor.At(0), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(tensor.At(2), 7);
  EXPECT_THROW(tensor.At(3), std::out_of_range);
  EXPECT_THROW(tensor.At(-1), std::out_of_range);
  EXPECT_EQ(IntTensor({1}, std::vector<std::uint8_t>{200}).At(0), 200);
}

TEST(Tensor, EqualityCoversShapeTypeAndValues) {
  const IntTensor tensor({1, 2}, std::vector<std::int8_t>{1, 2});
  EXPECT_EQ(tensor, IntTensor({1, 2}, std::vector<std::int8_t>{1, 2}));
  EXPECT_NE(tensor, IntTensor({2, 1}, std::vector<std::int8_t>{1, 2}));
  EXPECT_NE(tensor, IntTensor({1, 2}, std::vector<std::int16_t>{1, 2}));
  EXPECT_NE(tensor, IntTensor({1, 2}, std::vector<std::int8_t>{1, 3}));
  EXPECT_EQ(tensor.As<std::int8_t>()[1], 2);
}

}  // namespace
}  // namespace qsim::testing
