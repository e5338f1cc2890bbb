// The divider behind a softmax's sums equals the golden reciprocal: every sum of a short row, the
// ends, and random ones, in every rounding, under back-pressure.
#include <gtest/gtest.h>

#include <vector>

#include "Vrow_reciprocal.h"
#include "golden/ops/row_divide.h"
#include "sim/cosim/verilated_hooks.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::cosim {
namespace {

class Divider {
 public:
  Divider() {
    rtl_.rst_ni = 0;
    Clock();
    rtl_.rst_ni = 1;
  }
  ~Divider() { rtl_.final(); }

  Multiplier Divide(std::int32_t d, Rounding rounding, int stalls) {
    rtl_.d_valid_i = 1;
    rtl_.d_i = static_cast<std::uint32_t>(d);
    rtl_.rounding_i = static_cast<std::uint8_t>(rounding);
    rtl_.r_ready_i = 0;
    Settle();
    EXPECT_EQ(rtl_.d_ready_o, 1);
    Clock();
    rtl_.d_valid_i = 0;
    int cycles = 0;
    for (Settle(); rtl_.r_valid_o == 0 && cycles < 40; Settle(), ++cycles) Clock();
    EXPECT_EQ(cycles, 15);  // one for each fraction bit
    for (int i = 0; i < stalls; ++i) Clock();
    Settle();
    const Multiplier result = {static_cast<std::int32_t>(rtl_.r_o), rtl_.n_o};
    rtl_.r_ready_i = 1;
    Clock();
    return result;
  }

 private:
  void Settle() {
    rtl_.clk_i = 0;
    rtl_.eval();
  }
  void Clock() {
    Settle();
    rtl_.clk_i = 1;
    rtl_.eval();
    EXPECT_EQ(TakeRtlFailure(), "");
  }

  // Before the model, which starts the threads.
  static VerilatedContext* OneThread(VerilatedContext& context) {
    context.threads(1);
    return &context;
  }

  VerilatedContext context_;
  Vrow_reciprocal rtl_{OneThread(context_)};
};

TEST(RowReciprocalRtl, EqualsTheGoldenReciprocal) {
  testing::SeededRandom random;
  Divider divider;
  std::vector<std::int32_t> divisors = {INT32_MIN, -1, 0, INT32_MAX, INT32_MAX - 1};
  for (std::int32_t d = 1; d < 5000; ++d) divisors.push_back(d);
  for (int bit = 12; bit < 31; ++bit) {
    for (int off = -1; off <= 1; ++off) divisors.push_back((1 << bit) + off);
  }
  for (int i = 0; i < 5000; ++i)
    divisors.push_back(
        static_cast<std::int32_t>(random.Between(1, INT32_MAX) >> random.Between(0, 20)));
  for (const std::int32_t d : divisors) {
    const auto rounding = kAllRoundings[static_cast<std::size_t>(random.Between(0, 4))];
    for (const Rounding each : {Rounding::kHalfUp, rounding}) {
      ASSERT_EQ(divider.Divide(d, each, static_cast<int>(random.Between(0, 2))),
                RowReciprocal(d, 15, each))
          << d << " " << Name(each);
    }
  }
}

}  // namespace
}  // namespace qsim::cosim
