#!/usr/bin/env bash
# The long share of tests whose short share is in ctest: every failing system call, hundreds of kills, every
# memory limit. Each part leaves its log and one line of figures in out/campaign; a part that is done for this
# commit is skipped, so that the campaign may be stopped and started again.
#
# Usage: scripts/campaign.sh PART...      parts: calls kills limits flips, or all
#        scripts/campaign.sh table        the figures so far, as a table for docs/reliability.md
# Environment: QSIM_BUILD, the build directory (build/release); QSIM_CAMPAIGN, how many times the short share
# (25).
# Exit status: 0 no finding; 1 a part found something, its log says what; 2 wrong usage.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd -P)
cd -- "$root"
build=${QSIM_BUILD:-build/release}
share=${QSIM_CAMPAIGN:-25}
out=out/campaign
commit=$(git rev-parse --short HEAD)

die() {
  echo "campaign: $*" >&2
  exit 2
}

# The test binary and the tests of a part.
tests_of() {
  case "$1" in
    calls) echo "faults/faults_test FailingCalls.*" ;;
    kills) echo "faults/faults_test Kills.*" ;;
    limits) echo "faults/faults_test Limits.*:Defect.*" ;;
    flips) echo "bundle/bundle_test CheckedBundle.*" ;;
    *) return 1 ;;
  esac
}

run_part() {
  local part=$1 binary filter log figures verdict=passed
  read -r binary filter <<<"$(tests_of "$part")"
  [[ -x $build/tests/$binary ]] || die "$build/tests/$binary is not built (QSIM_BUILD)"
  log=$out/$part.log
  if [[ -f $out/$part.done && $(cut -d' ' -f2 "$out/$part.done") == "$commit" ]]; then
    echo "$part: done for $commit"
    return 0
  fi
  local start=$SECONDS
  QSIM_CAMPAIGN=$share "$build/tests/$binary" --gtest_filter="$filter" >"$log" 2>&1 || verdict=FAILED
  figures=$(sed -n 's/^\[ \(faults\|kills\|limits\|flips\) *\] //p' "$log" | paste -sd, | sed 's/,/, /g')
  echo "$(date +%Y-%m-%d) $commit $part $verdict $((SECONDS - start)) s: $figures" | tee "$out/$part.line"
  [[ $verdict == passed ]] || return 1
  cp "$out/$part.line" "$out/$part.done"
}

(($# > 0)) || die "which part? calls, kills, limits, flips, all or table"
mkdir -p "$out"
if [[ $1 == table ]]; then
  echo '| part | date | commit | figures |'
  echo '|---|---|---|---|'
  cat "$out"/*.done 2>/dev/null | sed -E 's/^(\S+) (\S+) (\S+) (\S+) ([0-9]+ s): (.*)$/| \3 | \1 | \2 | \4 in \5: \6 |/'
  exit 0
fi
parts=("$@")
[[ $1 == all ]] && parts=(calls kills limits flips)
for part in "${parts[@]}"; do tests_of "$part" >/dev/null || die "unknown part '$part'"; done
status=0
for part in "${parts[@]}"; do run_part "$part" || status=1; done
exit "$status"
