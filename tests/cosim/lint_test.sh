#!/bin/sh
# Lints every module of rtl/ as a top, at several sizes, with every Verilator warning on, and checks that each
# elaboration check stops illegal parameters. Exit status 77 (skipped) without Verilator.
# usage: lint_test.sh SOURCE_DIR
set -u
cd "$1" || exit 1  # relative names below: Verilator cuts a path at a space
if ! command -v verilator >/dev/null 2>&1; then
  echo "SKIPPED: verilator is not installed"
  exit 77
fi
failed=0
checked=0
rejected=""

lint() {
  checked=$((checked + 1))
  if ! output=$(verilator --lint-only -Wall --assert -y rtl rtl/lint_waivers.vlt rtl/qsim_pkg.sv "$@" 2>&1); then
    echo "FAILED: verilator --lint-only -Wall --assert -y rtl rtl/lint_waivers.vlt rtl/qsim_pkg.sv $*"
    echo "$output"
    failed=1
  fi
}

# rejects CHECK MODULE PARAMETER=VALUE...
rejects() {
  check=$1
  module=$2
  shift 2
  checked=$((checked + 1))
  if output=$(verilator --lint-only --top "$module" -y rtl $(printf ' -G%s' "$@") rtl/qsim_pkg.sv "rtl/$module.sv" 2>&1) ||
    ! echo "$output" | grep -q "rtl/$module\.sv:[0-9]*:[0-9]*: $check: "; then
    echo "FAILED: $check does not stop $module with $*"
    echo "$output"
    failed=1
  fi
  rejected="$rejected$module.$check
"
}

for file in rtl/*.sv; do
  [ "$file" = rtl/qsim_pkg.sv ] && continue
  lint "$file"
done
lint -DQSIM_FAULT_REQUANT_ROUND rtl/round_shift.sv
for size in 1x1 1x3 3x1 4x4 8x16 16x16 32x32; do
  lint "-GRows=${size%x*}" "-GCols=${size#*x}" rtl/mac_array.sv
done
lint -GLhsWidth=5 -GRhsWidth=2 rtl/mac_array.sv
for lanes in 1 3 4 32; do
  lint "-GLanes=$lanes" rtl/requantize.sv
  lint "-GLanes=$lanes" rtl/residual_add.sv
done
for bits in 1 29; do
  lint "-GFractionBits=$bits" rtl/row_reciprocal.sv
done

for size in Rows=0 Cols=0; do
  rejects SizeLegal mac_array $size
done
for width in 4 9; do
  rejects LhsWidthLegal mac_array LhsWidth=$width
done
for width in 1 9; do
  rejects RhsWidthLegal mac_array RhsWidth=$width
done
rejects LhsCodeFits mac_operands LhsWidth=4
rejects RowSumFits mac_operands RowSumWidth=31
rejects ColSumFits mac_operands ColSumWidth=23
rejects ProductFits mac_core RhsWidth=10
rejects ProductFits mac_core LhsWidth=17
rejects SumFits mac_correct RowSumWidth=33
rejects SumFits mac_correct ColSumWidth=33
rejects SumFits mac_correct LhsWidth=17
rejects SumIsWider operand_sums Width=8 SumWidth=8
rejects LanesLegal requantize Lanes=0
rejects FractionBitsLegal row_reciprocal FractionBits=30
for width in 1 31; do
  rejects BWidthLegal residual_add BWidth=$width
done

stated=$(grep -o '`QSIM_ASSERT_INIT([A-Za-z]*' rtl/*.sv | sed 's#rtl/\(.*\)\.sv:`QSIM_ASSERT_INIT(#\1.#' | sort -u)
if [ "$stated" != "$(printf '%s' "$rejected" | sort -u)" ]; then
  echo "FAILED: the elaboration checks of rtl/ are not those tried above:"
  echo "$stated"
  failed=1
fi

echo "$checked lint runs, failed: $failed"
exit "$failed"
