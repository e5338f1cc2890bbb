#!/usr/bin/env bash
# From an empty clone to tested: installs what is missing, builds everything and runs all tests. Passed tests
# are counted, the others shown with their output. Exit status: that of ctest, 2 when the build fails.
#
# Usage: scripts/test.sh [further arguments of ctest]
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd -P)
"$root/scripts/build.sh"
cd -- "$root"

status=0
ctest --preset release --parallel "$(nproc)" "$@" </dev/null |
  sed -E '/^ *Start +[0-9]+: /d; /^ *[0-9]+\/[0-9]+ Test +#[0-9]+: .*[. ]Passed +[0-9.]+ sec$/d; s/ \.{4,}/ .../' || status=$?
exit "$status"
