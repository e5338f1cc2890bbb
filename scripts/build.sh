#!/usr/bin/env bash
# Installs what is missing, then configures and builds the release preset in build/release. Compiler output
# goes to build/release/build.log; when a step fails, the errors in it are shown.
#
# Usage: scripts/build.sh [TARGET...]   default: everything, tests included
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

"$root/scripts/install-deps.sh"

mkdir -p -- "$build" 2>/dev/null || true
if ! : 2>/dev/null >"$log"; then
  echo "build: $build cannot be written by $(id -un); remove it, or run this as its owner" >&2
  exit 2
fi

cd -- "$root"
configure=(cmake --preset release)
# A tree that was copied or moved brings a cache full of its old paths.
if [[ -f $build/CMakeCache.txt ]] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$build/CMakeCache.txt"; then
  configure+=(--fresh)
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
