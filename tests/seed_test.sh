#!/usr/bin/env bash
# A local run repeats the last one; GTEST_RANDOM_SEED, --gtest_random_seed, --gtest_shuffle and CI=true draw something
# else, and the command that a random test prints draws the same again.
# Usage: seed_test.sh SOURCE_DIR SEED_PROBE
set -euo pipefail
cd -- "$1"
probe=$2
unset CI GTEST_RANDOM_SEED GTEST_SHUFFLE

fail() {
  echo "seed_test: $*" >&2
  exit 1
}
drawn() { sed -n 's/^drawn: //p'; }
draw() { env "$@" "$probe" | drawn; }

fixed=$(draw)
[[ -n $fixed && $fixed == "$(draw)" ]] || fail "a local run does not repeat the last one"
seven=$(draw GTEST_RANDOM_SEED=7)
[[ $seven != "$fixed" ]] || fail "GTEST_RANDOM_SEED changes nothing"
[[ $seven == "$("$probe" --gtest_random_seed=7 | drawn)" ]] || fail "--gtest_random_seed differs from GTEST_RANDOM_SEED"
[[ $seven == "$(draw CI=true GTEST_RANDOM_SEED=7)" ]] || fail "CI=true overrides the seed that was asked for"

# Two of 99999 seeds are alike once in a blue moon, three hardly ever.
[[ $(for _ in 1 2 3; do draw CI=true; done | sort -u | wc -l) -gt 1 ]] || fail "CI=true draws the same every time"
for fresh in CI=true GTEST_SHUFFLE=1 GTEST_RANDOM_SEED=99; do
  output=$(env "$fresh" "$probe")
  command=$(sed -n 's/^\[ random   \] //p' <<<"$output")
  [[ $(drawn <<<"$output") == "$(bash -c "$command" | drawn)" ]] || fail "under $fresh, '$command' does not repeat the run"
done
