#!/usr/bin/env bash
# Builds qsim with another compiler and without optimisation, and compares bundle bytes and golden tensors
# with those of the build under test: results may depend on neither.
#
# usage: cross_build_test.sh SOURCE_DIR QSIM OTHER_COMPILER OPTIMISATION
# Exit status 77 (skipped) when the compiler is missing.
set -euo pipefail
source_dir=$1
qsim=$2
compiler=$3
optimisation=$4

if ! command -v "$compiler" >/dev/null; then
  echo "SKIPPED: $compiler is not installed"
  exit 77
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/qsim-cross-XXXXXX")
trap 'rm -rf "$work"' EXIT

cmake -S "$source_dir" -B "$work/build" -G Ninja -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_BUILD_TYPE=None \
  -DCMAKE_CXX_FLAGS="$optimisation" -DQSIM_RTL=OFF -DQSIM_BUILD_TESTS=OFF >"$work/configure.log" 2>&1 ||
  { cat "$work/configure.log"; exit 1; }
cmake --build "$work/build" --target qsim -j 2 >"$work/build.log" 2>&1 || { tail -n 40 "$work/build.log"; exit 1; }

run_all() { # run_all QSIM DIRECTORY
  local model=(--config "$source_dir/configs/attn_config.yaml" --input "$source_dir/vectors")
  "$1" calibrate "${model[@]}" --output "$2/bundle"
  "$1" calibrate "${model[@]}" --set hardware.requant=power_of_two --set norm1.observer_type=PercentileObserver \
    --set attn_qkv.weight.observer_type=OmseObserver --set attn_v_out.observer_type=EmaObserver \
    --set attn_v_input.bit_type.symmetric=False --output "$2/other_bundle"
  "$1" run "${model[@]}" --rtl off --images 16 --output "$2/run" >/dev/null
  "$1" selftest >"$2/selftest.txt"
}
mkdir "$work/tested" "$work/other"
run_all "$qsim" "$work/tested" >/dev/null
run_all "$work/build/sim/cli/qsim" "$work/other" >/dev/null

status=0
for part in bundle other_bundle run/golden run/float selftest.txt; do
  if diff -r "$work/tested/$part" "$work/other/$part"; then
    echo "$part: $(find "$work/tested/$part" -type f | wc -l) files are the same with $compiler $optimisation"
  else
    status=1
  fi
done
exit $status
