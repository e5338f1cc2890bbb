#pragma once

#include <string>
#include <vector>

#include "golden/ops/fields.h"
#include "golden/ops/softmax.h"

namespace qsim::golden {

class Checker;
class OperationRun;
struct Program;

// Softmax over the last axis of [H, T, S]; params has one entry or one per head, all of one
// algorithm. Which of the S columns row t sees: those where `mask` is not 0, and of a `causal` one
// s <= t + S - T, so that the last row sees all of them. `division` after: exponentials that
// RowSumOp adds up and RowDivideOp divides by their sum.
struct SoftmaxOp {
  static constexpr Description kIs{"softmax", "5", /*clamps=*/true};
  std::string output, input;
  std::vector<SoftmaxParams> params;
  std::string mask = {};  // a tensor, uint8 of 0 and 1, [T, S] or [1, S]; empty: all are seen
  bool causal = false;
  SoftmaxDivision division = SoftmaxDivision::kBefore;
  bool operator==(const SoftmaxOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"input", Role::kReads}, self.input);
    v(Field{"algorithm", Role::kAlgorithm, 32, true, Axis::kHead}, self.params);
    v(Field{.name = "mask", .role = Role::kReads, .optional = true}, self.mask);
    v(Field{"causal", Role::kSize, 8, false, Axis::kTensor, true}, self.causal);
    v(Field{.name = "division", .role = Role::kChoice, .optional = true}, self.division);
  }
  std::string Formula(const Program& program) const;
  // That of its algorithm, up to the exponential, and what comes of it.
  template <typename Params>
  std::string FormulaOf(const Params& algorithm) const {
    std::string exponential;
    if constexpr (requires { algorithm.Exponential(); }) {
      exponential = algorithm.Exponential();
    } else {
      exponential = Params::kExponential;
    }
    std::string name = "e";
    if constexpr (requires { Params::kExponentialName; }) name = Params::kExponentialName;
    return exponential + "\n" +
           LastStep(std::string(Params::kFormula), name, std::string(Params::kLargest));
  }
  // Section 5 has one of its own for what is divided later.
  std::string_view Section() const {
    return division == SoftmaxDivision::kAfter ? "5.11" : kIs.section;
  }
  // For each row and column of one head; empty where every row sees everything.
  std::vector<std::uint8_t> Visible(const OperationRun& run) const;
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;

 private:
  std::string LastStep(std::string before, const std::string& exponential,
                       const std::string& largest) const;
};

}  // namespace qsim::golden
