// RunStreams on a block of C++, and on its misbehaving relatives.
#include "sim/cosim/stream.h"
#include "tests/namespaces.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <vector>

namespace qsim::cosim {
namespace {

enum class Fault { kNone, kExtraBeat, kLostBeat, kIdleTooSoon, kDeaf, kWithdraw };

// Hands each beat of x on to y, one cycle later.
struct Block {
  Fault fault = Fault::kNone;
  int beats = 0;

  std::uint8_t cmd_valid_i = 0, x_valid_i = 0, y_ready_i = 0;
  std::uint8_t cmd_ready_o = 1, x_ready_o = 0, y_valid_o = 0;
  int x_i = 0, y_o = 0;

  int beats_left = 0;
  std::optional<int> held = {};

  void Settle() {
    const bool last = beats_left == 1;
    cmd_ready_o = beats_left == 0 && (!held || fault == Fault::kIdleTooSoon);
    x_ready_o = beats_left != 0 && !held && !(last && fault == Fault::kDeaf);
    y_valid_o = held.has_value();
    y_o = held.value_or(-1);
  }

  void Edge() {
    const bool last = beats_left == 1;
    if (held && y_ready_i) {
      // The beat that was the last comes once more.
      if (!(fault == Fault::kExtraBeat && beats_left == 0)) held.reset();
    } else if (fault == Fault::kWithdraw) {
      held.reset();
    }
    if (x_valid_i && x_ready_o) {
      --beats_left;
      if (!(last && fault == Fault::kLostBeat)) held = x_i;
    }
    if (cmd_valid_i && cmd_ready_o) beats_left = beats;
    Settle();
  }
};

constexpr int kBeats = 5;

// What came out of y. The error's text is left in *error.
std::vector<int> RunBlock(Fault fault, double stall, std::string* error, RunCost* cost,
                          std::uint64_t cycle_limit = 100'000) {
  Block block{.fault = fault, .beats = kBeats};
  std::vector<int> y(kBeats, -1);
  StallGenerator stalls(stall, 1);
  InputStream command("cmd", 1, block.cmd_valid_i, block.cmd_ready_o, [](std::uint64_t) {});
  InputStream x("x", kBeats, block.x_valid_i, block.x_ready_o,
                [&](std::uint64_t beat) { block.x_i = static_cast<int>(beat); });
  OutputStream out("y", kBeats, block.y_valid_o, block.y_ready_i,
                   [&](std::uint64_t beat) { y.at(beat) = block.y_o; });
  error->clear();
  try {
    RunStreams(
        stalls, cycle_limit, cost, [&] { block.Settle(); }, [&] { block.Edge(); },
        block.cmd_ready_o, out, command, x);
  } catch (const InternalError& caught) {
    *error = caught.what();
  }
  return y;
}

TEST(StreamTest, EveryBeatMovesOnceWithAndWithoutStalls) {
  std::string error;
  RunCost smooth;
  EXPECT_THAT(RunBlock(Fault::kNone, 0, &error, &smooth), ::testing::ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(error, "");
  EXPECT_EQ(smooth.cycles, 1U + 2U * kBeats);
  EXPECT_EQ(smooth.stalled_cycles, 0U);

  RunCost stalled;
  EXPECT_THAT(RunBlock(Fault::kNone, 0.6, &error, &stalled), ::testing::ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(error, "");
  EXPECT_GT(stalled.cycles, smooth.cycles);
  EXPECT_GT(stalled.stalled_cycles, 0U);
}

TEST(StreamTest, WhatABlockDoesWrongIsSeen) {
  const std::vector<std::pair<Fault, std::string>> expected = {
      {Fault::kExtraBeat, "the RTL gives a beat too many: y 5/5"},
      {Fault::kLostBeat,
       "the RTL is idle before every beat has moved; beats moved: y 4/5, cmd 1/1, x 5/5"},
      {Fault::kDeaf,
       "no beat after 1000 cycles: the RTL hangs; beats moved: y 4/5, cmd 1/1, x 4/5"},
      {Fault::kIdleTooSoon,
       "the RTL is idle and offers a beat; beats moved: y 4/5, cmd 1/1, x 5/5"},
  };
  for (const double stall : {0.0, 0.5}) {
    for (const auto& [fault, message] : expected) {
      std::string error;
      RunCost cost;
      RunBlock(fault, stall, &error, &cost);
      EXPECT_EQ(error, message);
      EXPECT_LT(cost.cycles, kQuietCycles + 100);
    }
  }
  std::string error;
  RunCost cost;
  RunBlock(Fault::kWithdraw, 0.5, &error, &cost);
  EXPECT_THAT(error, ::testing::StartsWith("the RTL withdrew a beat: y "));
}

TEST(StreamTest, CycleLimit) {
  std::string error;
  RunCost cost;
  RunBlock(Fault::kNone, 0, &error, &cost, 6);
  EXPECT_EQ(error, "no end after 6 cycles: the RTL hangs; beats moved: y 2/5, cmd 1/1, x 3/5");
}

}  // namespace
}  // namespace qsim::cosim
