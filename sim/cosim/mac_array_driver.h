// MacArrayUnit on a Verilated model of one size.
#pragma once

#include "sim/cosim/bit_pack.h"
#include "sim/cosim/mac_array_unit.h"
#include "sim/cosim/verilated_unit.h"

namespace qsim::cosim {

template <typename Model, std::size_t kRows, std::size_t kCols>
class MacArrayDriver final : public MacArrayUnit {
 public:
  explicit MacArrayDriver(const std::optional<std::filesystem::path>& trace) : unit_(trace) {}

  ArrayShape shape() const override { return {static_cast<int>(kRows), static_cast<int>(kCols)}; }

  bool Run(const MacPass& pass, StallGenerator& stalls, std::uint64_t cycle_limit,
           std::span<std::uint32_t> out, RunCost* cost) override {
    unit_.ResetIfNeeded();
    Model& rtl = unit_.model();
    SetCommand(rtl, pass);
    StreamSource command(1);
    StreamSource init(pass.first ? 1 : static_cast<std::uint64_t>(pass.rows));
    StreamSource lhs(static_cast<std::uint64_t>(pass.k));
    StreamSource rhs(static_cast<std::uint64_t>(pass.k));
    const auto rows = static_cast<std::uint64_t>(pass.rows);
    std::uint64_t rows_out = 0;

    const auto before = [&](StallGenerator& random) {
      command.Offer(random);
      if (init.Offer(random)) SetPort(rtl.init_i, Beat(pass.init, init.position(), kInitWords));
      if (lhs.Offer(random)) SetPort(rtl.lhs_i, Beat(pass.lhs, lhs.position(), kLhsWords));
      if (rhs.Offer(random)) SetPort(rtl.rhs_i, Beat(pass.rhs, rhs.position(), kRhsWords));
      rtl.cmd_valid_i = command.offered();
      rtl.init_valid_i = init.offered();
      rtl.lhs_valid_i = lhs.offered();
      rtl.rhs_valid_i = rhs.offered();
      rtl.out_ready_i = !random.Draw();
    };
    const auto taken = [&] {
      if (command.offered() && rtl.cmd_ready_o) command.Taken();
      if (init.offered() && rtl.init_ready_o) init.Taken();
      if (lhs.offered() && rtl.lhs_ready_o) lhs.Taken();
      if (rhs.offered() && rtl.rhs_ready_o) rhs.Taken();
      if (rtl.out_valid_o && rtl.out_ready_i) {
        if (rows_out == rows) throw InternalError("the array gave more rows than it was asked for");
        GetPort(rtl.out_o, out.subspan(rows_out * kCols, kCols));
        ++rows_out;
      }
    };
    unit_.Run(stalls, cycle_limit, cost, before, taken,
              [&] { return rows_out == rows && rtl.cmd_ready_o; });
    if (!command.done() || !init.done() || !lhs.done() || !rhs.done()) {
      throw InternalError("the array gave its last row before it had taken every beat");
    }
    return rtl.overflow_o != 0;
  }

 private:
  static constexpr std::size_t kInitWords = kCols;
  static constexpr std::size_t kLhsWords = WordsFor(8 * kRows);
  static constexpr std::size_t kRhsWords = WordsFor(8 * kCols);

  static std::span<const std::uint32_t> Beat(std::span<const std::uint32_t> words,
                                             std::uint64_t beat, std::size_t stride) {
    return words.subspan(beat * stride, stride);
  }

  static void SetCommand(Model& rtl, const MacPass& pass) {
    rtl.cmd_first_i = pass.first;
    rtl.cmd_last_i = pass.last;
    SetNumber(rtl.cmd_k_i, pass.k, 16);
    SetNumber(rtl.cmd_rows_i, pass.rows, 16);
    SetNumber(rtl.cmd_cols_i, pass.cols, 16);
    rtl.cmd_mode_i = pass.mode == OperandMode::kShift;
    rtl.cmd_lhs_signed_i = pass.lhs_signed;
    SetNumber(rtl.cmd_lhs_zero_i, pass.lhs_zero, 9);
    SetPort(rtl.cmd_rhs_zero_i, pass.rhs_zero);
    SetNumber(rtl.cmd_acc_bits_i, pass.acc.bits, 6);
    SetNumber(rtl.cmd_acc_policy_i, static_cast<int>(pass.acc.policy), 2);
  }

  VerilatedUnit<Model> unit_;
};

}  // namespace qsim::cosim
