#!/usr/bin/env bash
# From an empty clone to the main job: installs what is missing, builds, and runs the attention datapath of
# the shipped model in float, in integers and in RTL. Exit status: that of `qsim run`, 2 when the build fails.
#
# Usage: scripts/run.sh [further arguments of qsim run]
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd -P)
"$root/scripts/build.sh" --main-job
cd -- "$root"
exec build/release/sim/cli/qsim run --config configs/attn_config.yaml --input vectors/ "$@"
