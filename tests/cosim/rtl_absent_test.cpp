// A build without RTL says so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/cosim/rtl_backend.h"
#include "sim/error.h"
#include "tests/namespaces.h"

namespace qsim::cosim {
namespace {

TEST(RtlAbsentTest, ConstructorSaysHowToGetIt) {
  EXPECT_FALSE(BuiltWithRtl());
  EXPECT_TRUE(BuiltArrays().empty());
  try {
    const RtlBackend backend(RtlOptions{});
    FAIL() << "no error";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("-DQSIM_RTL=ON"));
  }
}

}  // namespace
}  // namespace qsim::cosim
