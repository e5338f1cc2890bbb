#!/usr/bin/env bash
# The style of what has changed: clang-format and clang-tidy on C++, verilator -Wall on rtl/. What a missing
# tool would check is skipped, and said to be.
#
# Usage: scripts/lint.sh [--all | COMMIT]
#   COMMIT   changes since then, uncommitted ones included; default: since main was left, or, on main, since the
#            commit before
#   --all    every file
# Exit status: 0 nothing found, 1 findings, 2 it could not be checked.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd -P)
cd -- "$root"
say() { echo "lint: $*"; }

if [[ $(git rev-parse --show-toplevel 2>/dev/null) != "$root" ]]; then
  say "skipped: what has changed is known in a git checkout only"
  exit 0
fi

if [[ ${1-} == --all ]]; then
  mapfile -d '' -t changed < <(git ls-files -z)
else
  base=${1-}
  for main in origin/main main; do
    [[ -z $base ]] || break
    base=$(git merge-base HEAD "$main" 2>/dev/null || true)
    [[ $base != "$(git rev-parse HEAD)" ]] || base=$(git rev-parse -q --verify HEAD~1 || true)
  done
  if [[ -z $base ]] || ! git cat-file -e "$base^{commit}" 2>/dev/null; then
    say "skipped: no commit to compare with (a shallow clone?)"
    exit 0
  fi
  mapfile -d '' -t changed < <(git diff -z --name-only --diff-filter=d "$base" && git ls-files -z -o --exclude-standard)
fi

sources=() units=() rtl=
for file in "${changed[@]}"; do
  case "$file" in
    *.cpp | *.h)
      sources+=("$file")
      # A header is checked with the source of its name.
      unit=${file%.h}
      unit=${unit%.cpp}.cpp
      [[ ! -f $unit ]] || units+=("$unit")
      ;;
    rtl/*) rtl=1 ;;
  esac
done

failed=
if ((${#sources[@]} == 0)); then
  say "no C++ has changed"
elif ! command -v clang-format >/dev/null; then
  say "clang-format skipped: it is not installed (scripts/install-deps.sh installs it)"
else
  say "clang-format: ${#sources[@]} files"
  clang-format --dry-run --Werror "${sources[@]}" || failed=1
fi

if ((${#units[@]} == 0)); then
  :
elif ! command -v clang-tidy >/dev/null || ! command -v clang++ >/dev/null; then
  say "clang-tidy skipped: it or clang++ is not installed (scripts/install-deps.sh installs them)"
else
  mapfile -d '' -t units < <(printf '%s\0' "${units[@]}" | sort -zu)
  say "clang-tidy: ${#units[@]} files"
  # A configuration of its own: clang cannot read GCC's precompiled headers.
  if ! log=$(cmake -S . -B build/lint -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_C_COMPILER=clang \
    -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON -DQSIM_ARRAYS=16x16 2>&1); then
    tail -n 20 <<<"$log" >&2
    say "cmake failed" >&2
    exit 2
  fi
  printf '%s\0' "${units[@]}" |
    xargs -0 -n 1 -P "$(nproc)" clang-tidy --quiet -p build/lint 2> >(grep -v 'warnings\? generated' >&2) || failed=1
fi

if [[ -n $rtl ]]; then
  say "verilator -Wall: rtl/"
  status=0
  tests/cosim/lint_test.sh "$root" || status=$?
  case $status in
    0) ;;
    77) say "verilator skipped: it is not installed" ;;
    *) failed=1 ;;
  esac
fi

[[ -z $failed ]] || exit 1
say "nothing found"
