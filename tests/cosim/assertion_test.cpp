// Every assertion of rtl/ fires: one violation each, on the modules of assertions.sv. The list of
// assertions is that of the sources.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <verilated.h>
#include <verilated_sym_props.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "Vassertions.h"
#include "sim/cosim/verilated_hooks.h"
#include "tests/namespaces.h"

namespace qsim::cosim {
namespace {

struct Signal {
  const char* name;
  std::uint64_t value;
};
using Cycle = std::vector<Signal>;  // set before the clock edge; every other signal keeps its value

struct Violation {
  const char* module;
  const char* assertion;
  std::vector<Cycle> cycles;  // the assertion fires in the last of them
};

constexpr std::uint64_t kMostNegative = 0x80000000;

// A legal command, and one that differs from it.
Cycle With(Cycle cycle, const Cycle& changes) {
  cycle.insert(cycle.end(), changes.begin(), changes.end());
  return cycle;
}
Cycle Pass(const Cycle& changes = {}) {
  return With({{"cmd_valid_i", 1},
               {"cmd_first_i", 1},
               {"cmd_k_i", 1},
               {"cmd_rows_i", 1},
               {"cmd_cols_i", 1},
               {"cmd_acc_bits_i", 32}},
              changes);
}
Cycle Beats(const Cycle& changes = {}) {
  return With({{"cmd_valid_i", 1}, {"cmd_beats_i", 2}}, changes);
}
// A pass of which nothing has been fed.
Cycle OpenPass() { return {{"open_q", 1}, {"k_left_q", 1}}; }
// The next pass of an open tile.
Cycle NextPass(const Cycle& changes) {
  return With(Pass({{"k_left_q", 0}, {"start_q", 0}, {"last_q", 0}, {"cmd_first_i", 0}}), changes);
}

const std::vector<Violation>& Violations() {
  static const std::vector<Violation> violations = {
      {"mac_array", "CommandStable", {Pass(), {}, {{"cmd_valid_i", 0}}}},
      {"mac_array", "CommandStable", {Pass(), {}, {{"cmd_k_i", 2}}}},
      {"mac_array", "CommandHeld", {OpenPass(), {{"rows_q", 2}}}},
      {"mac_array", "TileHeld", {{{"leaving_q", 1}}, {{"done_rows_q", 2}}}},
      {"mac_array", "RowsLegal", {Pass({{"cmd_rows_i", 0}})}},
      {"mac_array", "RowsLegal", {Pass({{"cmd_rows_i", 3}})}},
      {"mac_array", "ColsLegal", {Pass({{"cmd_cols_i", 0}})}},
      {"mac_array", "ColsLegal", {Pass({{"cmd_cols_i", 3}})}},
      {"mac_array", "AccBitsLegal", {Pass({{"cmd_acc_bits_i", 15}})}},
      {"mac_array", "AccBitsLegal", {Pass({{"cmd_acc_bits_i", 33}})}},
      {"mac_array", "AccPolicyLegal", {Pass({{"cmd_acc_policy_i", 3}})}},
      {"mac_array", "ShiftModeLegal", {Pass({{"cmd_mode_i", 1}, {"cmd_lhs_zero_i", 1}})}},
      {"mac_array", "ShiftModeLegal", {Pass({{"cmd_mode_i", 1}, {"cmd_lhs_signed_i", 1}})}},
      {"mac_array", "DepthLegal", {Pass(), NextPass({{"cmd_k_i", 65535}})}},
      {"mac_array", "TileOpen", {Pass({{"cmd_first_i", 0}, {"cmd_last_i", 1}})}},
      {"mac_array", "TileOpen", {Pass(), NextPass({{"cmd_first_i", 1}})}},
      {"mac_array", "TileShared", {Pass(), NextPass({{"cmd_rows_i", 2}})}},
      {"mac_array", "SumsHeld", {{{"row_valid_q", 1}}, Pass({{"open_q", 1}})}},
      {"mac_array", "WaveLegal", {{{"wave_q", 4}}}},

      {"mac_core", "StartIsFirst", {{{"start_i", 1}}}},
      {"mac_core", "StartIsFirst", {{{"start_i", 1}, {"step_i", 1}, {"wave_i", 1}}}},
      {"mac_core", "ReadRowLegal", {{{"read_row_i", 2}}}},

      {"mac_correct", "InputStable", {{{"valid_i", 1}}, {}, {}, {}, {{"acc_i", 1}}}},
      {"mac_correct", "InputStable", {{{"valid_i", 1}}, {}, {}, {}, {{"valid_i", 0}}}},
      {"mac_correct", "FieldsStable", {{{"valid_i", 1}}, {{"valid_i", 0}, {"k_i", 1}}}},

      {"requantize", "CommandStable", {Beats(), {}, {{"cmd_valid_i", 0}}}},
      {"requantize", "CommandStable", {Beats(), {}, {{"cmd_shift_i", 1}}}},
      {"requantize", "BeatsLegal", {Beats({{"cmd_beats_i", 0}})}},
      {"requantize", "RoundingLegal", {Beats({{"cmd_rounding_i", 6}})}},
      {"requantize", "RangeLegal", {Beats({{"cmd_qmin_i", 1}})}},
      {"requantize", "ParametersHeld", {Beats(), {{"cmd_valid_i", 0}}, {{"shift_q", 1}}}},
      {"requantize", "MultiplierLegal", {Beats({{"cmd_multiplier_i", kMostNegative}})}},
      {"requantize", "ShiftLegal", {Beats({{"cmd_shift_i", 63}})}},
      {"requantize", "ZeroLegal", {Beats({{"cmd_zero_i", 0x20001}})}},
      {"requantize",
       "DifferenceLegal",
       {Beats({{"cmd_x_zero_i", 1}}),
        {{"cmd_valid_i", 0}, {"x_valid_i", 1}, {"x_i", kMostNegative}}}},
      {"requantize",
       "AddendLegal",
       {Beats(),
        {{"cmd_valid_i", 0}, {"x_valid_i", 1}, {"addend_i", (std::uint64_t{1} << 61) + 1}}}},
      {"requantize", "InputStable", {{{"x_valid_i", 1}}, {{"x_valid_i", 0}}}},
      {"requantize", "InputStable", {{{"x_valid_i", 1}}, {{"addend_i", 1}}}},
      {"requantize",
       "OutputStable",
       {Beats(), {{"cmd_valid_i", 0}, {"x_valid_i", 1}}, {}, {{"x_valid_i", 0}}, {{"valid_q", 0}}}},

      {"residual_add", "CommandStable", {Beats(), {}, {{"cmd_valid_i", 0}}}},
      {"residual_add", "CommandStable", {Beats(), {}, {{"cmd_b_zero_i", 1}}}},
      {"residual_add", "ParametersHeld", {Beats(), {{"cmd_valid_i", 0}}, {{"b_zero_q", 1}}}},
      {"residual_add", "MultiplierLegal", {Beats({{"cmd_b_multiplier_i", kMostNegative}})}},
      {"residual_add", "InputAStable", {{{"a_valid_i", 1}}, {{"a_valid_i", 0}}}},
      {"residual_add", "InputAStable", {{{"a_valid_i", 1}}, {{"a_i", 1}}}},
      {"residual_add", "InputBStable", {{{"b_valid_i", 1}}, {{"b_valid_i", 0}}}},
      {"residual_add", "InputBStable", {{{"b_valid_i", 1}}, {{"b_i", 1}}}},

      {"row_reciprocal", "InputStable", {{{"d_valid_i", 1}}, {}, {{"d_i", 1}}}},
      {"row_reciprocal", "InputStable", {{{"d_valid_i", 1}}, {}, {{"d_valid_i", 0}}}},
      {"row_reciprocal", "OutputStable", {{{"valid_q", 1}}, {}, {{"valid_q", 0}}}},
      {"row_reciprocal", "OutputStable", {{{"valid_q", 1}}, {}, {{"n_q", 1}}}},
      {"row_reciprocal", "RoundingLegal", {{{"d_valid_i", 1}, {"rounding_i", 5}}}},

      {"stream_register", "InputStable", {{{"valid_i", 1}}, {}, {}, {{"data_i", 1}}}},
      {"stream_register", "InputStable", {{{"valid_i", 1}}, {}, {}, {{"valid_i", 0}}}},
      {"stream_register", "OutputStable", {{{"valid_i", 1}}, {}, {{"head_valid_q", 0}}}},
      {"stream_register", "OutputStable", {{{"valid_i", 1}}, {}, {{"head_q", 1}}}},
  };
  return violations;
}

class Modules {
 public:
  Modules() {
    context_.threads(1);
    rtl_.rst_ni = 0;
    Clock();
    rtl_.rst_ni = 1;
    Clock();
  }
  ~Modules() { rtl_.final(); }

  void Set(const std::string& module, const Signal& signal) {
    const VerilatedScope* scope = context_.scopeFind(("TOP.assertions.u_" + module).c_str());
    ASSERT_NE(scope, nullptr) << module;
    const VerilatedVar* variable = scope->varFind(signal.name);
    ASSERT_NE(variable, nullptr) << module << "." << signal.name;
    switch (variable->vltype()) {
      case VLVT_UINT8:
        *static_cast<std::uint8_t*>(variable->datap()) = static_cast<std::uint8_t>(signal.value);
        break;
      case VLVT_UINT16:
        *static_cast<std::uint16_t*>(variable->datap()) = static_cast<std::uint16_t>(signal.value);
        break;
      case VLVT_UINT32:
        *static_cast<std::uint32_t*>(variable->datap()) = static_cast<std::uint32_t>(signal.value);
        break;
      case VLVT_UINT64:
        *static_cast<std::uint64_t*>(variable->datap()) = signal.value;
        break;
      default:
        FAIL() << module << "." << signal.name << " is wider than 64 bits";
    }
  }

  // What fired: empty, or the first failure's text.
  std::string Clock() {
    rtl_.clk_i = 0;
    rtl_.eval();
    rtl_.clk_i = 1;
    rtl_.eval();
    return TakeRtlFailure();
  }

 private:
  VerilatedContext context_;
  Vassertions rtl_{&context_};
};

// "module.Name" of every assertion that the sources state.
std::set<std::string> StatedAssertions() {
  std::set<std::string> stated;
  const std::regex pattern(R"(`QSIM_ASSERT\((\w+),)");
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(QSIM_SOURCE_DIR) / "rtl")) {
    if (entry.path().extension() != ".sv") continue;
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      std::smatch match;
      if (std::regex_search(line, match, pattern)) {
        stated.insert(entry.path().stem().string() + "." + match[1].str());
      }
    }
  }
  return stated;
}

TEST(AssertionTest, EveryAssertionFires) {
  std::set<std::string> fired;
  for (const Violation& violation : Violations()) {
    const std::string name = std::string(violation.module) + "." + violation.assertion;
    Modules modules;
    for (std::size_t i = 0; i < violation.cycles.size(); ++i) {
      for (const Signal& signal : violation.cycles[i]) modules.Set(violation.module, signal);
      const std::string failure = modules.Clock();
      if (i + 1 < violation.cycles.size()) {
        EXPECT_EQ(failure, "") << name << ", cycle " << i;
        continue;
      }
      const std::regex pattern(
          // Of a path with a space Verilator prints a piece.
          std::string(R"(\S+:\d+: Assertion failed in TOP\.assertions\.u_)") + violation.module +
          R"((\.\w+\[\d\])?\.)" + violation.assertion + ": .+");
      const bool matches = std::regex_match(failure, pattern);
      EXPECT_TRUE(matches) << name << " did not fire, but: " << failure;
      if (matches) fired.insert(name);
    }
  }
  EXPECT_EQ(fired, StatedAssertions());
}

}  // namespace
}  // namespace qsim::cosim
