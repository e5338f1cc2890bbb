#!/bin/sh
# Reads and elaborates every module of rtl/ as a top with yosys, as synthesis would; arrays in a small size, for
# its time grows with the square of the elements. State arrays become registers, which it would have us know.
# Exit status 77 (skipped) without yosys. usage: yosys_test.sh SOURCE_DIR
set -u
cd "$1/rtl" || exit 1
if ! command -v yosys >/dev/null 2>&1; then
  echo "SKIPPED: yosys is not installed"
  exit 77
fi
failed=0
checked=0
modules=$(ls ./*.sv | grep -v qsim_pkg)
for file in $modules; do
  module=$(basename "$file" .sv)
  checked=$((checked + 1))
  size=$(sed -n 's/.*parameter int unsigned \(Rows\|Cols\) .*/ -chparam \1 3/p' "$file")
  if ! output=$(yosys -q -w 'Replacing memory .* with list of registers' -e '.*' -p "read_verilog -defer -sv qsim_pkg.sv $(echo $modules); hierarchy -top $module$(echo "$size" | tr -d '\n'); proc; check -assert" 2>&1); then
    echo "FAILED: $module"
    echo "$output"
    failed=1
  fi
done
echo "$checked modules, failed: $failed"
[ "$checked" -gt 0 ] || failed=1
exit "$failed"
