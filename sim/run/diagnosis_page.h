// What a diagnosis shows in report.html: its findings, the ranking of the operations and the loss
// budget, as text and numbers ready to be printed. Absent numbers were not measured.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace qsim::run {

// One confirmed culprit and what mends it.
struct FindingRow {
  int rank = 1;                       // 1 is the worst
  std::string cause;                  // "double quantization"
  std::string tensor;                 // the output of the operation at fault: "blocks.0.scores"
  std::string text;                   // one line: what is wrong
  std::vector<std::string> evidence;  // one line each: "range ratio 6.1 x"
  std::string repair;                 // the change that was tried; empty when none is known
  std::string measured_at;            // where before and after were measured: "logits"
  std::optional<double> before_db, after_db;  // QSNR there, without and with the repair
};

// One operation, or one head of one. QSNR in dB.
struct RankingRow {
  std::string tensor;                   // the tap: "blocks.0.intSoft"
  std::string part;                     // "head 2"; empty for the whole operation
  std::optional<double> own_db;         // the operation's output, exact operands: its own loss
  std::optional<double> alone_db;       // at the output: this step integer, the others float
  std::optional<double> gain_db;        // at the output: this step float, the others integer
  std::optional<double> cumulative_db;  // at the output: this step and all before it integer
};

// One cause of loss. Rows are in the order in which causes were replaced by their exact version, so
// that noise adds up to the total.
struct BudgetRow {
  std::string cause;                 // "8-bit rounding of weights"
  double noise_share = 0;            // of the total noise power; may be negative
  std::optional<double> low, high;   // the share over the orders that were tried
  std::optional<double> after_db;    // QSNR at the output once it is replaced
  std::optional<double> top1_after;  // 0..1, where there are labels
};

struct DiagnosisPage {
  std::string title;                // "qsim diagnose"
  std::string verdict;              // one line that is true: "1 culprit: blocks.0.scores, ..."
  std::string output;               // the tensor called the output: "logits"
  std::optional<double> output_db;  // its QSNR as found
  std::optional<double> top1;       // 0..1, where there are labels
  std::vector<FindingRow> findings;
  std::vector<RankingRow> ranking;  // the most harmful first
  std::vector<BudgetRow> budget;
};

}  // namespace qsim::run
