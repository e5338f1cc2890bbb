#!/usr/bin/env bash
# Installs what is missing, then configures and builds the release preset in build/release. Compiler output
# goes to build/release/build.log; when a step fails, the errors in it are shown.
#
# Usage: scripts/build.sh [--main-job | TARGET...]   default: everything, tests included
#   --main-job   qsim, as scripts/run.sh needs it: in a new tree without tests and with one MAC array. What
#                build/release already holds stays as it is configured.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd -P)
build=$root/build/release
log=$build/build.log

quietly() {
  local status=0
  "$@" >>"$log" 2>&1 </dev/null || status=$?
  if ((status == 0)); then return; fi
  { grep -m 20 -A 5 -E 'error:|Error|FAILED' "$log" || tail -n 40 "$log"; } >&2
  echo "build: '$1 ${2-}' failed with status $status; its complete output is in $log" >&2
  exit 2
}

main_job=
if [[ ${1-} == --main-job ]]; then main_job=1; set -- qsim; fi

"$root/scripts/install-deps.sh" ${main_job:+--build-only}

mkdir -p -- "$build" 2>/dev/null || true
if ! : 2>/dev/null >"$log"; then
  echo "build: $build cannot be written by $(id -un); remove it, or run this as its owner" >&2
  exit 2
fi

cd -- "$root"
configure=(cmake --preset release)
cached() { grep -qxF "$1" "$build/CMakeCache.txt" 2>/dev/null; }
# A tree that was copied or moved brings a cache full of its old paths.
if [[ -f $build/CMakeCache.txt ]] && ! cached "CMAKE_HOME_DIRECTORY:INTERNAL=$root"; then
  configure+=(--fresh)
  fresh=1
fi
main_job_tests=QSIM_BUILD_TESTS:BOOL=OFF main_job_arrays=QSIM_ARRAYS:STRING=16x16
if [[ -n $main_job ]]; then
  if [[ -n ${fresh-} || ! -f $build/CMakeCache.txt ]]; then configure+=("-D$main_job_tests" "-D$main_job_arrays"); fi
elif cached "$main_job_tests" && cached "$main_job_arrays"; then
  configure+=(-UQSIM_BUILD_TESTS -UQSIM_ARRAYS)  # back to their defaults
fi

jobs=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
echo "build: bringing build/release up to date (the first time takes several minutes)" >&2
started=$SECONDS
quietly "${configure[@]}"
if (($#)); then
  quietly cmake --build "$build" --parallel "$jobs" --target "$@"
else
  quietly cmake --build "$build" --parallel "$jobs"
fi
echo "build: done in $((SECONDS - started)) s" >&2
