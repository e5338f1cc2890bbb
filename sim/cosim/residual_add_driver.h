// ResidualAddUnit on a Verilated model with one number of lanes.
#pragma once

#include <array>

#include "sim/cosim/bit_pack.h"
#include "sim/cosim/lane_beats.h"
#include "sim/cosim/residual_add_unit.h"
#include "sim/cosim/verilated_unit.h"

namespace qsim::cosim {

template <typename Model, std::size_t kLanes>
class ResidualAddDriver final : public ResidualAddUnit {
 public:
  explicit ResidualAddDriver(const std::optional<std::filesystem::path>& trace) : unit_(trace) {}

  int lanes() const override { return static_cast<int>(kLanes); }

  void Run(const ResidualAddRun& run, StallGenerator& stalls, std::uint64_t cycle_limit,
           std::span<std::int32_t> y, std::span<std::uint8_t> saturated, RunCost* cost) override {
    unit_.ResetIfNeeded();
    Model& rtl = unit_.model();
    const std::uint64_t beats = run.a.size() / kLanes;
    SetCommand(rtl, run, beats);
    StreamSource command(1);
    StreamSource a(beats);
    StreamSource b(beats);
    std::uint64_t beats_out = 0;

    const auto before = [&](StallGenerator& random) {
      command.Offer(random);
      if (a.Offer(random)) SetLanes<kLanes>(rtl.a_i, run.a, a.position());
      if (b.Offer(random)) SetResidual(rtl, run.b, b.position());
      rtl.cmd_valid_i = command.offered();
      rtl.a_valid_i = a.offered();
      rtl.b_valid_i = b.offered();
      rtl.y_ready_i = !random.Draw();
    };
    const auto taken = [&] {
      if (command.offered() && rtl.cmd_ready_o) command.Taken();
      if (a.offered() && rtl.a_ready_o) a.Taken();
      if (b.offered() && rtl.b_ready_o) b.Taken();
      if (rtl.y_valid_o && rtl.y_ready_i) {
        GetLanes<kLanes>(rtl.y_o, rtl.saturated_o, beats_out, y, saturated);
        ++beats_out;
      }
    };
    unit_.Run(stalls, cycle_limit, cost, before, taken,
              [&] { return beats_out == beats && rtl.cmd_ready_o; });
  }

 private:
  static void SetCommand(Model& rtl, const ResidualAddRun& run, std::uint64_t beats) {
    std::array<std::uint32_t, kLanes> a_multiplier{};
    std::array<std::uint32_t, kLanes> b_multiplier{};
    std::array<std::uint32_t, kLanes> zero{};
    std::array<std::uint32_t, WordsFor(6 * kLanes)> shift{};
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      a_multiplier[lane] = static_cast<std::uint32_t>(run.a_multiplier[lane]);
      b_multiplier[lane] = static_cast<std::uint32_t>(run.b_multiplier[lane]);
      zero[lane] = static_cast<std::uint32_t>(run.out_zero);
      PackLane(shift, lane, 6, static_cast<std::uint32_t>(run.shift));
    }
    SetPort(rtl.cmd_a_multiplier_i, a_multiplier);
    SetPort(rtl.cmd_b_multiplier_i, b_multiplier);
    SetPort(rtl.cmd_zero_i, zero);
    SetPort(rtl.cmd_shift_i, shift);
    SetNumber(rtl.cmd_beats_i, static_cast<std::int64_t>(beats), 16);
    SetNumber(rtl.cmd_a_zero_i, run.a_zero, 32);
    SetNumber(rtl.cmd_b_zero_i, run.b_zero, kResidualWidth);
    SetNumber(rtl.cmd_rounding_i, static_cast<int>(run.rounding), 3);
    SetNumber(rtl.cmd_qmin_i, run.range.qmin, 32);
    SetNumber(rtl.cmd_qmax_i, run.range.qmax, 32);
  }

  static void SetResidual(Model& rtl, std::span<const std::int32_t> b, std::uint64_t beat) {
    std::array<std::uint32_t, WordsFor(kResidualWidth * kLanes)> words{};
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      PackLane(words, lane, kResidualWidth, static_cast<std::uint32_t>(b[beat * kLanes + lane]));
    }
    SetPort(rtl.b_i, words);
  }

  VerilatedUnit<Model> unit_;
};

}  // namespace qsim::cosim
