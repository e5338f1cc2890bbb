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
    const auto rows = static_cast<std::uint64_t>(pass.rows);
    const auto depth = static_cast<std::uint64_t>(pass.k);
    InputStream command("cmd", 1, rtl.cmd_valid_i, rtl.cmd_ready_o, [](std::uint64_t) {});
    InputStream init("init", pass.first ? 1 : rows, rtl.init_valid_i, rtl.init_ready_o,
                     Put(rtl.init_i, pass.init, kCols));
    InputStream lhs("lhs", depth, rtl.lhs_valid_i, rtl.lhs_ready_o,
                    Put(rtl.lhs_i, pass.lhs, WordsFor(8 * kRows)));
    InputStream rhs("rhs", depth, rtl.rhs_valid_i, rtl.rhs_ready_o,
                    Put(rtl.rhs_i, pass.rhs, WordsFor(8 * kCols)));
    OutputStream rows_out("out", rows, rtl.out_valid_o, rtl.out_ready_i, [&](std::uint64_t row) {
      GetPort(rtl.out_o, out.subspan(row * kCols, kCols));
    });
    unit_.Run(stalls, cycle_limit, cost, rows_out, command, init, lhs, rhs);
    return rtl.overflow_o != 0;
  }

 private:
  // Puts beats of `stride` words on a port.
  template <typename Port>
  static auto Put(Port& port, std::span<const std::uint32_t> words, std::size_t stride) {
    return [&port, words, stride](std::uint64_t beat) {
      SetPort(port, words.subspan(beat * stride, stride));
    };
  }

  static void SetCommand(Model& rtl, const MacPass& pass) {
    rtl.cmd_first_i = pass.first;
    rtl.cmd_last_i = pass.last;
    SetNumber(rtl.cmd_k_i, pass.k, 16);
    SetNumber(rtl.cmd_rows_i, pass.rows, 16);
    SetNumber(rtl.cmd_cols_i, pass.cols, 16);
    SetNumber(rtl.cmd_mode_i, static_cast<int>(pass.mode), 1);
    rtl.cmd_lhs_signed_i = pass.lhs_signed;
    SetNumber(rtl.cmd_lhs_zero_i, pass.lhs_zero, 9);
    SetPort(rtl.cmd_rhs_zero_i, pass.rhs_zero);
    SetNumber(rtl.cmd_acc_bits_i, pass.acc.bits, 6);
    SetNumber(rtl.cmd_acc_policy_i, static_cast<int>(pass.acc.policy), 2);
  }

  VerilatedUnit<Model> unit_;
};

}  // namespace qsim::cosim
