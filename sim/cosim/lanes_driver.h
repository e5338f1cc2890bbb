// LanesUnit on a Verilated model with one number of lanes.
#pragma once

#include <array>
#include <type_traits>

#include "sim/cosim/bit_pack.h"
#include "sim/cosim/lanes_unit.h"
#include "sim/cosim/qsim_pkg.h"
#include "sim/cosim/verilated_unit.h"

namespace qsim::cosim {

template <typename Model, std::size_t kLanes, typename Command>
class LanesDriver final : public LanesUnit<Command> {
 public:
  explicit LanesDriver(const std::optional<std::filesystem::path>& trace) : unit_(trace) {}

  int lanes() const override { return static_cast<int>(kLanes); }

  void Run(const Command& run, StallGenerator& stalls, std::uint64_t cycle_limit,
           std::span<std::int32_t> y, std::span<std::uint8_t> saturated, RunCost* cost) override {
    unit_.ResetIfNeeded();
    Model& rtl = unit_.model();
    const std::uint64_t beats = run.x.size() / kLanes;
    SetNumber(rtl.cmd_beats_i, static_cast<std::int64_t>(beats), 16);
    SetNumber(rtl.cmd_qmin_i, run.range.qmin, 32);
    SetNumber(rtl.cmd_qmax_i, run.range.qmax, 32);
    PutFields<6>(rtl.cmd_shift_i, [&](std::size_t lane) { return run.scale[lane].shift; });
    PutFields<32>(rtl.cmd_zero_i, [&](std::size_t lane) { return run.zero[lane]; });
    const auto multiplier = [&](std::size_t lane) { return run.scale[lane].m; };
    const auto beat_of = [](std::span<const std::int32_t> values, std::uint64_t beat) {
      return [values, beat](std::size_t lane) { return values[beat * kLanes + lane]; };
    };

    InputStream command("cmd", 1, rtl.cmd_valid_i, rtl.cmd_ready_o, [](std::uint64_t) {});
    OutputStream out("y", beats, rtl.y_valid_o, rtl.y_ready_i,
                     [&](std::uint64_t beat) { GetBeat(rtl, beat, y, saturated); });
    if constexpr (std::is_same_v<Command, RequantizeRun>) {
      SetNumber(rtl.cmd_x_zero_i, run.x_zero, 32);
      SetNumber(rtl.cmd_rounding_i,
                run.double_rounding ? qsim_pkg::kRoundDouble : static_cast<int>(run.rounding), 3);
      PutFields<32>(rtl.cmd_multiplier_i, multiplier);
      InputStream x("x", beats, rtl.x_valid_i, rtl.x_ready_o, [&](std::uint64_t beat) {
        PutFields<32>(rtl.x_i, beat_of(run.x, beat));
        PutFields<32, 2 * kLanes>(rtl.addend_i, [&](std::size_t word) {
          const std::size_t lane = beat * kLanes + word / 2;
          return run.addend.empty() ? 0 : run.addend[lane] >> (32 * (word % 2));
        });
      });
      unit_.Run(stalls, cycle_limit, cost, rtl.cmd_ready_o, out, command, x);
    } else {
      SetNumber(rtl.cmd_a_zero_i, run.x_zero, 32);
      SetNumber(rtl.cmd_b_zero_i, run.b_zero, qsim_pkg::kResidualWidth);
      SetNumber(rtl.cmd_rounding_i, static_cast<int>(run.rounding), 3);
      PutFields<32>(rtl.cmd_a_multiplier_i, multiplier);
      PutFields<32>(rtl.cmd_b_multiplier_i,
                    [&](std::size_t lane) { return run.b_multiplier[lane]; });
      InputStream a("a", beats, rtl.a_valid_i, rtl.a_ready_o,
                    [&](std::uint64_t beat) { PutFields<32>(rtl.a_i, beat_of(run.x, beat)); });
      InputStream b("b", beats, rtl.b_valid_i, rtl.b_ready_o, [&](std::uint64_t beat) {
        PutFields<qsim_pkg::kResidualWidth>(rtl.b_i, beat_of(run.b, beat));
      });
      unit_.Run(stalls, cycle_limit, cost, rtl.cmd_ready_o, out, command, a, b);
    }
  }

 private:
  // A port of kCount fields of kWidth bits: the low bits of value(0), value(1), ...
  template <unsigned kWidth, std::size_t kCount = kLanes, typename Port, typename Value>
  static void PutFields(Port& port, Value value) {
    std::array<std::uint32_t, WordsFor(kWidth * kCount)> words{};
    for (std::size_t i = 0; i < kCount; ++i) {
      PackLane(words, i, kWidth, static_cast<std::uint32_t>(value(i)));
    }
    SetPort(port, words);
  }

  static void GetBeat(const Model& rtl, std::uint64_t beat, std::span<std::int32_t> y,
                      std::span<std::uint8_t> saturated) {
    std::array<std::uint32_t, kLanes> words{};
    std::array<std::uint32_t, WordsFor(kLanes)> flags{};
    GetPort(rtl.y_o, words);
    GetPort(rtl.saturated_o, flags);
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      y[beat * kLanes + lane] = static_cast<std::int32_t>(words[lane]);
      saturated[beat * kLanes + lane] =
          static_cast<std::uint8_t>((flags[lane / 32] >> (lane % 32)) & 1U);
    }
  }

  VerilatedUnit<Model> unit_;
};

}  // namespace qsim::cosim
