#!/usr/bin/env bash
# qsim beside what a user would run instead: ONNX Runtime in int8 (QDQ, weights per channel) and float, and PyTorch in
# float, on one geometry with random weights, as ratios in one run. Needs python3 with venv, PyPI and about 1 GB in
# build/bench_peers (with --torch 2 GB more); nothing else of qsim needs Python.
#
# Usage: scripts/bench_peers.sh [--torch] [--model deit-t|vit-s|vit-b|vit-l] [--threads N] [--repeats N] [--json]
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd -P)
work=$root/build/bench_peers
die() {
  echo "bench_peers: $*" >&2
  exit 2
}
torch=
if [[ ${1-} == --torch ]]; then
  torch=torch
  shift
fi
if [[ ! -x $work/python/bin/python ]]; then
  python3 -c 'import venv, ensurepip' 2>/dev/null || die "python3 with venv is missing: apt-get install python3-venv"
  python3 -m venv "$work/python"
fi
"$work/python/bin/pip" --quiet install onnx onnxruntime safetensors numpy sympy
if [[ -n $torch ]]; then
  "$work/python/bin/pip" --quiet install torch
fi

"$root/scripts/build.sh" --main-job >&2
cd -- "$root"
exec "$work/python/bin/python" scripts/bench_peers.py build/release/sim/cli/qsim "$work" "$@"
