#!/usr/bin/env bash
# The long share of tests whose short share is in ctest, part by part. Each part leaves its log and one line of figures
# in out/campaign; a part that is done for this commit is skipped, so that the campaign may be stopped and started again.
#
# Usage: scripts/campaign.sh PART...   calls kills limits flips (tests/faults, tests/bundle), mutants coverage
#                                      determinism fuzz address thread; or all
#        scripts/campaign.sh table     writes the figures so far into docs/reliability.md
# Environment: QSIM_BUILD, the build directory (build/release); QSIM_CAMPAIGN, how many times the short share
# (25); QSIM_SECONDS, of each target of the fuzzing (60); QSIM_TESTS, what the sanitizers run, a pattern for
# ctest -R (all).
# Exit status: 0 no finding; 1 a part found something, its log says what; 2 wrong usage.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd -P)
cd -- "$root"
build=${QSIM_BUILD:-build/release}
share=${QSIM_CAMPAIGN:-25}
out=out/campaign
commit=$(git rev-parse --short HEAD)
all=(calls kills limits flips mutants coverage determinism fuzz address thread)

die() {
  echo "campaign: $*" >&2
  exit 2
}

tests() { # tests BINARY FILTER
  [[ -x $build/tests/$1 ]] || die "$build/tests/$1 is not built (QSIM_BUILD)"
  QSIM_CAMPAIGN=$share "$build/tests/$1" --gtest_filter="$2"
}

# The whole test suite under a sanitizer; what a sanitizer cannot live with is not built there.
sanitized() { # sanitized PRESET
  cmake --preset "$1" && cmake --build "build/$1" --parallel "$(nproc)" || return 1
  local status=0
  ctest --preset "$1" --parallel "$(nproc)" ${QSIM_TESTS:+-R "$QSIM_TESTS"} >"$out/$1.tests" || status=1
  cat "$out/$1.tests"
  sed -n "s/^\([0-9]*% tests passed.*\)/[ $1 ] \1/p" "$out/$1.tests"
  return "$status"
}

part() {
  case "$1" in
    calls) tests faults/faults_test "FailingCalls.*" ;;
    kills) tests faults/faults_test "Kills.*" ;;
    limits) tests faults/faults_test "Limits.*:Defect.*" ;;
    flips) tests bundle/bundle_test "CheckedBundle.*" ;;
    mutants) scripts/mutants.py sample --build "$build" ;;
    coverage) scripts/coverage.py --build "$build" ;;
    determinism) QSIM_DETERMINISM=$out/determinism scripts/determinism.sh "$build/sim/cli/qsim" all ;;
    fuzz) scripts/fuzz.sh all "${QSIM_SECONDS:-60}" ;;
    address) sanitized debug ;;
    thread) sanitized thread ;;
  esac
}

run_part() {
  local part=$1 figures verdict=passed start=$SECONDS
  local log=$out/$part.log
  if [[ -f $out/$part.done && $(cut -d' ' -f2 "$out/$part.done") == "$commit" ]]; then
    echo "$part: done for $commit"
    return 0
  fi
  (set +e; part "$part") >"$log" 2>&1 || verdict=FAILED
  figures=$(sed -n 's/^\[ [a-z]* *\] //p' "$log" | grep -v -- --gtest_filter | paste -sd, | sed 's/,\([^ ]\)/, \1/g')
  [[ $part != fuzz ]] || figures=$(awk '/^\[ fuzz/ { ++targets; sum += $5; findings += /A FINDING/ }
    END { print targets + 0 " targets, " sum + 0 " executions, " findings + 0 " findings" }' "$log")
  echo "$(date +%Y-%m-%d) $commit $part $verdict $((SECONDS - start)) s: $figures" | tee "$out/$part.line"
  [[ $verdict == passed ]] || return 1
  cp "$out/$part.line" "$out/$part.done"
}

# Replaces a part's row in the table, and adds one that has none.
write_table() {
  local line row
  for line in "$out"/*.done; do
    [[ -f $line ]] || die "no part is done"
    row=$(sed -E 's/^(\S+) (\S+) (\S+) (\S+) ([0-9]+ s): (.*)$/| \3 | \1 | \2 | \5 | \6 |/' "$line")
    row=$row awk -v part="$(basename "$line" .done)" '
      $0 ~ "^\\| " part " \\|" { if (!done) print ENVIRON["row"]; done = 1; next }
      table && !/^\|/ { if (!done) print ENVIRON["row"]; done = 1; table = 0 }
      /^\| part \| date \|/ { table = 1 }
      { print }
      END { if (table && !done) print ENVIRON["row"] }
    ' docs/reliability.md >"$out/reliability.md"
    cp "$out/reliability.md" docs/reliability.md
  done
}

(($# > 0)) || die "which part? ${all[*]}, all or table"
mkdir -p "$out"
if [[ $1 == table ]]; then
  write_table
  exit 0
fi
parts=("$@")
[[ $1 == all ]] && parts=("${all[@]}")
for name in "${parts[@]}"; do
  [[ " ${all[*]} " == *" $name "* ]] || die "unknown part '$name'; ${all[*]}"
done
status=0
for name in "${parts[@]}"; do run_part "$name" || status=1; done
exit "$status"
