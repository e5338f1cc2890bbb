// RequantizeUnit on a Verilated model with one number of lanes.
#pragma once

#include <array>

#include "sim/cosim/bit_pack.h"
#include "sim/cosim/lane_beats.h"
#include "sim/cosim/requantize_unit.h"
#include "sim/cosim/verilated_unit.h"

namespace qsim::cosim {

template <typename Model, std::size_t kLanes>
class RequantizeDriver final : public RequantizeUnit {
 public:
  explicit RequantizeDriver(const std::optional<std::filesystem::path>& trace) : unit_(trace) {}

  int lanes() const override { return static_cast<int>(kLanes); }

  void Run(const RequantizeRun& run, StallGenerator& stalls, std::uint64_t cycle_limit,
           std::span<std::int32_t> y, std::span<std::uint8_t> saturated, RunCost* cost) override {
    unit_.ResetIfNeeded();
    Model& rtl = unit_.model();
    const std::uint64_t beats = run.x.size() / kLanes;
    SetCommand(rtl, run, beats);
    StreamSource command(1);
    StreamSource x(beats);
    std::uint64_t beats_out = 0;

    const auto before = [&](StallGenerator& random) {
      command.Offer(random);
      if (x.Offer(random)) {
        SetLanes<kLanes>(rtl.x_i, run.x, x.position());
        SetAddend(rtl, run.addend, x.position());
      }
      rtl.cmd_valid_i = command.offered();
      rtl.x_valid_i = x.offered();
      rtl.y_ready_i = !random.Draw();
    };
    const auto taken = [&] {
      if (command.offered() && rtl.cmd_ready_o) command.Taken();
      if (x.offered() && rtl.x_ready_o) x.Taken();
      if (rtl.y_valid_o && rtl.y_ready_i) {
        GetLanes<kLanes>(rtl.y_o, rtl.saturated_o, beats_out, y, saturated);
        ++beats_out;
      }
    };
    unit_.Run(stalls, cycle_limit, cost, before, taken,
              [&] { return beats_out == beats && rtl.cmd_ready_o; });
  }

 private:
  static constexpr int kDouble = 5;  // beyond the codes of Rounding

  static void SetCommand(Model& rtl, const RequantizeRun& run, std::uint64_t beats) {
    std::array<std::uint32_t, kLanes> multiplier{};
    std::array<std::uint32_t, kLanes> zero{};
    std::array<std::uint32_t, WordsFor(6 * kLanes)> shift{};
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      multiplier[lane] = static_cast<std::uint32_t>(run.scale[lane].m);
      zero[lane] = static_cast<std::uint32_t>(run.zero[lane]);
      PackLane(shift, lane, 6, static_cast<std::uint32_t>(run.scale[lane].shift));
    }
    SetPort(rtl.cmd_multiplier_i, multiplier);
    SetPort(rtl.cmd_zero_i, zero);
    SetPort(rtl.cmd_shift_i, shift);
    SetNumber(rtl.cmd_beats_i, static_cast<std::int64_t>(beats), 16);
    SetNumber(rtl.cmd_x_zero_i, run.x_zero, 32);
    SetNumber(rtl.cmd_rounding_i, run.double_rounding ? kDouble : static_cast<int>(run.rounding),
              3);
    SetNumber(rtl.cmd_qmin_i, run.range.qmin, 32);
    SetNumber(rtl.cmd_qmax_i, run.range.qmax, 32);
  }

  static void SetAddend(Model& rtl, std::span<const std::int64_t> addend, std::uint64_t beat) {
    std::array<std::uint32_t, 2 * kLanes> words{};
    for (std::size_t lane = 0; lane < kLanes && !addend.empty(); ++lane) {
      const auto value = static_cast<std::uint64_t>(addend[beat * kLanes + lane]);
      words[2 * lane] = static_cast<std::uint32_t>(value);
      words[2 * lane + 1] = static_cast<std::uint32_t>(value >> 32);
    }
    SetPort(rtl.addend_i, words);
  }

  VerilatedUnit<Model> unit_;
};

}  // namespace qsim::cosim
