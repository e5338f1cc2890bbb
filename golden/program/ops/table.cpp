#include "golden/program/ops/table.h"

#include "golden/program/checker.h"
#include "golden/program/operation_run.h"

namespace qsim::golden {
namespace {

std::int64_t CodesOf(QuantRange range) { return std::int64_t{range.qmax} - range.qmin + 1; }

}  // namespace

void TableOp::Check(const Checker& checker) const {
  const TensorInfo &in = checker.Tensor(input), &out = checker.Tensor(output);
  checker.Require(BitsOf(in.dtype) <= 16, "input must be 16 bits or narrower");
  checker.RequireShape(output, in.shape);
  if (table_of.empty() && step_bits == 0) return checker.RequireTable(table, input, output);
  checker.Require(step_bits >= 0 && step_bits <= kMaxTableStepBits, "step_bits must be in 0..8");
  const std::int64_t entries = TableEntries(CodesOf(in.range), step_bits);
  const auto size = static_cast<std::int64_t>(table.size());
  checker.Require(size >= 1 && size % entries == 0 && (size == entries || !table_of.empty()),
                  "table needs " + std::to_string(entries) +
                      " entries for each of the tables that table_of names, has " +
                      std::to_string(size));
  checker.RequireWithin(table, out.range.qmin, out.range.qmax, "table");
  if (table_of.empty()) return;
  checker.Require(static_cast<std::int64_t>(table_of.size()) == in.shape.back(),
                  "table_of needs one entry for each column");
  checker.RequireWithin(table_of, 0, static_cast<std::int32_t>(size / entries - 1), "table_of");
}

std::string TableOp::Formula(const Program& program) const {
  std::string first;
  if (!table_of.empty()) {
    first = "table_of[c] " +
            std::to_string(TableEntries(CodesOf(program.Tensor(input).range), step_bits)) + " + ";
  }
  if (step_bits == 0) return "y = table[" + first + "x - (input_qmin)], table_entries entries";
  return "i = x - (input_qmin), j = " + first +
         "floor(i / 2^step_bits), f = i mod 2^step_bits\n"
         "y = table[j] + half_up((table[j+1] - table[j]) f / 2^step_bits), table_entries entries";
}

std::span<const std::int32_t> TableOp::TableOf(std::size_t column, std::int64_t codes) const {
  const auto entries = static_cast<std::size_t>(TableEntries(codes, step_bits));
  const auto which = table_of.empty() ? 0 : static_cast<std::size_t>(table_of[column]);
  return std::span(table).subspan(which * entries, entries);
}

void TableOp::Run(OperationRun& run) const {
  const std::vector<std::int32_t> in = run.Wide(input);
  const QuantRange codes = run.Info(input).range;
  const auto columns = static_cast<std::size_t>(run.Info(input).shape.back());
  std::vector<std::int32_t> out(in.size());
  for (std::size_t i = 0; i < in.size(); ++i) {
    out[i] = TableValue(std::int64_t{in[i]} - codes.qmin, TableOf(i % columns, CodesOf(codes)),
                        step_bits);
  }
  run.Store(output, out);
}

}  // namespace qsim::golden
