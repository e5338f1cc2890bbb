#!/bin/sh
# Lints every module of rtl/ as a top, at several sizes, with every Verilator warning on, and checks that
# illegal parameters stop the elaboration. Exit status 77 (skipped) without Verilator.
# usage: lint_test.sh SOURCE_DIR
set -u
cd "$1" || exit 1  # relative names below: Verilator cuts a path at a space
if ! command -v verilator >/dev/null 2>&1; then
  echo "SKIPPED: verilator is not installed"
  exit 77
fi
failed=0
checked=0

lint() {
  checked=$((checked + 1))
  if ! output=$(verilator --lint-only -Wall --assert -y rtl rtl/lint_waivers.vlt "$@" 2>&1); then
    echo "FAILED: verilator --lint-only -Wall --assert -y rtl rtl/lint_waivers.vlt $*"
    echo "$output"
    failed=1
  fi
}

rejects() {
  checked=$((checked + 1))
  if output=$(verilator --lint-only -y rtl "$@" 2>&1); then
    echo "FAILED: illegal parameters pass: $*"
    failed=1
  fi
}

for file in rtl/*.sv; do
  lint "$file"
  lint -DQSIM_FAULT_REQUANT_ROUND "$file"
done
for size in 1x1 1x3 3x1 4x4 8x16 16x16 32x32; do
  lint "-GRows=${size%x*}" "-GCols=${size#*x}" rtl/mac_array.sv
done
lint -GLhsWidth=5 -GRhsWidth=2 rtl/mac_array.sv
for lanes in 1 3 4 32; do
  lint "-GLanes=$lanes" rtl/requantize.sv
  lint "-GLanes=$lanes" rtl/residual_add.sv
done

for parameter in Rows=0 Cols=0 LhsWidth=4 LhsWidth=9 RhsWidth=1 RhsWidth=9; do
  rejects "-G$parameter" rtl/mac_array.sv
done
rejects -GLanes=0 rtl/requantize.sv
rejects -GBWidth=31 rtl/residual_add.sv
rejects -GSumWidth=32 rtl/acc_policy.sv

echo "$checked lint runs, failed: $failed"
exit "$failed"
