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

  std::vector<bool> Run(std::span<const MacPass> passes, StallGenerator& stalls,
                        std::uint64_t cycle_limit, std::span<std::uint32_t> out,
                        RunCost* cost) override {
    unit_.ResetIfNeeded();
    Model& rtl = unit_.model();
    Cursor init(passes, [](const MacPass& pass) { return std::int64_t{pass.first}; });
    Cursor lhs(passes, [](const MacPass& pass) { return pass.k; });
    Cursor rhs = lhs;
    Cursor rows(passes, [](const MacPass& pass) { return pass.last ? pass.rows : 0; });
    std::vector<bool> overflows;
    InputStream command("cmd", passes.size(), rtl.cmd_valid_i, rtl.cmd_ready_o,
                        [&](std::uint64_t beat) { SetCommand(rtl, passes[beat]); });
    InputStream init_in("init", init.total(), rtl.init_valid_i, rtl.init_ready_o,
                        [&](std::uint64_t) { SetPort(rtl.init_i, init.Next().pass->init); });
    InputStream lhs_in("lhs", lhs.total(), rtl.lhs_valid_i, rtl.lhs_ready_o, [&](std::uint64_t) {
      const auto [pass, beat] = lhs.Next();
      SetPort(rtl.lhs_i, Beat<WordsFor(8 * kRows)>(pass->lhs, beat));
    });
    InputStream rhs_in("rhs", rhs.total(), rtl.rhs_valid_i, rtl.rhs_ready_o, [&](std::uint64_t) {
      const auto [pass, beat] = rhs.Next();
      SetPort(rtl.rhs_i, Beat<WordsFor(8 * kCols)>(pass->rhs, beat));
    });
    OutputStream rows_out("out", rows.total(), rtl.out_valid_o, rtl.out_ready_i,
                          [&](std::uint64_t row) {
                            GetPort(rtl.out_o, out.subspan(row * kCols, kCols));
                            const auto [pass, beat] = rows.Next();
                            if (beat + 1 != pass->rows) return;
                            overflows.push_back(rtl.overflow_o != 0);
                            ++cost->tiles;
                          });
    unit_.Run(stalls, cycle_limit, cost, rtl.idle_o, rows_out, command, init_in, lhs_in, rhs_in);
    return overflows;
  }

 private:
  // Goes through the beats that the passes give a stream: count(pass) of each.
  class Cursor {
   public:
    struct Position {
      const MacPass* pass;
      std::int64_t beat;
    };

    Cursor(std::span<const MacPass> passes, std::int64_t (*count)(const MacPass&))
        : passes_(passes), count_(count) {}

    std::uint64_t total() const {
      std::int64_t beats = 0;
      for (const MacPass& pass : passes_) beats += count_(pass);
      return static_cast<std::uint64_t>(beats);
    }
    // Of the beat after the one that was asked for last.
    Position Next() {
      while (beat_ == count_(passes_[pass_])) {
        ++pass_;
        beat_ = 0;
      }
      return {&passes_[pass_], beat_++};
    }

   private:
    std::span<const MacPass> passes_;
    std::int64_t (*count_)(const MacPass&);
    std::size_t pass_ = 0;
    std::int64_t beat_ = 0;
  };

  template <std::size_t kWords>
  static std::span<const std::uint32_t> Beat(std::span<const std::uint32_t> words,
                                             std::int64_t beat) {
    return words.subspan(static_cast<std::size_t>(beat) * kWords, kWords);
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
