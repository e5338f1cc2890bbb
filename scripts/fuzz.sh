#!/usr/bin/env bash
# Fuzzing: one target for each reader of files, and random programs on every executor (docs/reliability.md).
# With clang++ by libFuzzer, under AddressSanitizer and UBSan (build/fuzz); else by a driver of our own in
# build/release. One line of figures for each target; inputs that show something stay in out/fuzz/TARGET.
#
# Usage: scripts/fuzz.sh TARGET|all SECONDS    SECONDS for each target
#        scripts/fuzz.sh list
#        scripts/fuzz.sh table                 the last figures of each target, for docs/reliability.md
# Environment: QSIM_BUILD, a build directory that exists, to be used as it is; QSIM_SEED, of the random
# changes (1).
# Exit status: 0 no finding; 1 a finding, with the command that repeats it; 2 wrong usage, or no build.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd -P)
cd -- "$root"
out=out/fuzz
seed=${QSIM_SEED:-1}

die() {
  echo "fuzz: $*" >&2
  exit 2
}

[[ ($# == 1 && $1 =~ ^(list|table)$) || ($# == 2 && $2 =~ ^[1-9][0-9]{0,5}$) ]] ||
  die "usage: scripts/fuzz.sh TARGET|all SECONDS, list or table"

if [[ $1 == table ]]; then
  echo '| target | date | seconds | executions | lines covered | findings |'
  echo '|---|---|---|---|---|---|'
  cat "$out"/*/figures 2>/dev/null || die "nothing has been fuzzed: $out"
  exit 0
fi

build=${QSIM_BUILD-}
if [[ -z $build ]]; then
  preset=release
  if command -v clang++ >/dev/null; then preset=fuzz; fi
  build=build/$preset
  mkdir -p "$out"
  { cmake --preset "$preset" && cmake --build "$build" --target fuzz --parallel "$(nproc)"; } >"$out/build.log" 2>&1 ||
    die "$build does not build: $out/build.log"
fi
fuzz=$root/$build/tests/fuzz/fuzz
[[ $build == /* ]] && fuzz=$build/tests/fuzz/fuzz
[[ -x $fuzz ]] || die "$fuzz is not built"
# Inputs are files of a moment.
if [[ -z ${TMPDIR-} && -w /dev/shm ]]; then export TMPDIR=/dev/shm; fi

export LLVM_PROFILE_FILE=/dev/null
if [[ $1 == list ]]; then
  "$fuzz" list | awk -F'\t' '{ printf "%-12s %s\n", $1, $2 }'
  exit 0
fi
mapfile -t targets < <("$fuzz" list | cut -f1)
if [[ $1 != all ]]; then
  [[ " ${targets[*]} " == *" $1 "* ]] || die "no target '$1'; scripts/fuzz.sh list"
  targets=("$1")
fi
libfuzzer=
if grep -qx 'QSIM_FUZZ:BOOL=ON' "$build/CMakeCache.txt"; then libfuzzer=1; fi
cov=$(command -v llvm-cov-14 || command -v llvm-cov || true)
profdata=$(command -v llvm-profdata-14 || command -v llvm-profdata || true)

# Lines of the target's sources that its corpus runs, of those there are.
coverage() {
  local target=$1 sources
  read -ra sources < <("$fuzz" list | awk -F'\t' -v target="$target" '$1 == target { print $3 }')
  LLVM_PROFILE_FILE=$PWD/coverage.raw "$fuzz" "$target" -runs=0 corpus >replay.log 2>&1 || return 0
  "$profdata" merge -o coverage.data coverage.raw
  "$cov" export -summary-only -instr-profile=coverage.data "$fuzz" "${sources[@]/#/$root/}" 2>/dev/null |
    sed -E 's/.*"totals":.*"lines":\{"count":([0-9]+),"covered":([0-9]+).*/\2 of \1/'
  rm -f coverage.raw
}

fuzz_one() {
  local target=$1 seconds=$2 status=0 executions start=$SECONDS covered= finding='no finding'
  mkdir -p "$out/$target/corpus"
  pushd "$out/$target" >/dev/null
  if [[ -n $libfuzzer ]]; then
    "$fuzz" "$target" seeds corpus
    # What one input may take: 10 s and 512 MB, beside what the sanitizers do.
    "$fuzz" "$target" -max_total_time="$seconds" -seed="$seed" -timeout=10 \
      -malloc_limit_mb=512 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 -artifact_prefix="$PWD/" corpus \
      >log 2>&1 || status=$?
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' log)
    [[ -z $cov || -z $profdata ]] || covered=$(coverage "$target")
  else
    "$fuzz" "$target" -max_total_time="$seconds" -seed="$seed" >log 2>&1 || status=$?
    executions=$(sed -n 's/.*: \([0-9]*\) executions.*/\1/p' log)
  fi
  seconds=$((SECONDS - start))
  executions=${executions:-0} covered=${covered:-unknown}
  ((status == 0)) || finding='A FINDING'
  echo "[ fuzz     ] $target: $executions executions in $seconds s, $((executions / (seconds > 0 ? seconds : 1)))/s," \
    "lines covered: $covered, $finding"
  echo "| $target | $(date +%Y-%m-%d) | $seconds | $executions | $covered | $((status != 0)) |" >figures
  if ((status != 0)); then
    grep -aE -m 3 '^finding:|^SUMMARY|^==.*ERROR' log | cut -c1-400 || true
    echo "repeat: $fuzz $target $(find "$PWD" -maxdepth 1 -type f -name '*-*' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-)"
  fi
  popd >/dev/null
  return $((status != 0))
}

status=0
for target in "${targets[@]}"; do fuzz_one "$target" "$2" || status=1; done
exit "$status"
