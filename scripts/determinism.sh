#!/usr/bin/env bash
# One digest of bundles and of every tap (the vision transformer and both language models), whatever computes
# them: 1, 2, 3 and 8 threads, batches, fast and reference kernels, and builds by other compilers, levels of
# optimisation and instruction sets.
#
# Usage: scripts/determinism.sh QSIM [BUILD...]    each BUILD a compiler and its flags, e.g. 'clang++ -O0';
#                                                  'all' for g++ and clang++, -O0, -O2 and -O3, baseline and native
# Environment: QSIM_DETERMINISM, where builds are kept (a temporary directory, removed).
# Exit status: 0 the same; 1 something differs, and is named; 2 wrong usage or a failed build;
# 77 a compiler is missing.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd -P)
if [[ ! -x ${1-} ]]; then
  echo "determinism: which qsim? usage: scripts/determinism.sh QSIM [BUILD...]" >&2
  exit 2
fi
qsim=$(realpath -- "$1")
shift
builds=("$@")
if [[ ${builds[*]-} == all ]]; then
  builds=()
  for compiler in g++ clang++; do
    for level in -O0 -O2 -O3; do builds+=("$compiler $level" "$compiler $level -march=native"); done
  done
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/qsim-determinism-XXXXXX")
trap 'rm -rf "$work"' EXIT
kept=${QSIM_DETERMINISM:-$work}

# digest QSIM NAME RUN-OPTION...: the hashes of all that this qsim computes, in $work/NAME.
digest() {
  local binary=$1 out=$work/out threads=() model name
  local config=$root/configs
  local vit=(--config "$config/attn_config.yaml" --config "$config/block_config.yaml" --config "$config/mlp_config.yaml"
    --config "$config/model_config.yaml" --input "$root/vectors")
  local list=$work/$2
  shift 2
  [[ ${1-} == --threads ]] && threads=("$1" "$2")
  mkdir "$out"
  "$binary" calibrate "${vit[@]}" "${threads[@]}" --output "$out/bundle"
  "$binary" calibrate --config "$config/attn_config.yaml" --input "$root/vectors" "${threads[@]}" \
    --set hardware.requant=power_of_two --set norm1.observer_type=PercentileObserver \
    --set attn_qkv.weight.observer_type=OmseObserver --set attn_v_out.observer_type=EmaObserver \
    --set attn_v_input.bit_type.symmetric=False --output "$out/other_bundle"
  "$binary" run "${vit[@]}" --rtl off --images 3 "$@" --output "$out/run"
  for model in gla mamba2; do
    "$binary" run --config "$config/lm_8bit.yaml" --input "$root/vectors/$model" --rtl off --images 3 "$@" \
      --output "$out/$model"
    "$binary" calibrate --config "$config/lm_8bit.yaml" --input "$root/vectors/$model" "${threads[@]}" \
      --output "$out/$model.bundle"
  done
  # Reports name the machine; the tensors do not.
  for name in run gla mamba2; do rm -f "$out/$name"/{report.*,.qsim-result}; done
  (cd "$out" && find . -type f -print0 | sort -z | xargs -0 sha256sum) >"$list"
  rm -r "$out"
} >/dev/null

status=0
variants=0
same() { # same NAME TEXT
  variants=$((variants + 1))
  if diff "$work/first" "$work/$1" >"$work/differs"; then
    echo "the same: $2"
  else
    echo "DIFFERS: $2"
    sed -n 's/^> \S* *//p' "$work/differs" | head -n 20
    status=1
  fi
}

digest "$qsim" first --threads 1 --batch 1
for variant in "--threads 2 --batch 2" "--threads 3 --batch 3" "--threads 8" "--threads 2 --kernels reference"; do
  read -r -a options <<<"$variant"
  digest "$qsim" now "${options[@]}"
  same now "$variant"
done

((${#builds[@]} == 0)) || "$qsim" selftest >"$work/selftest"
for build in ${builds[@]+"${builds[@]}"}; do
  read -r compiler flags <<<"$build"
  command -v "$compiler" >/dev/null || { echo "SKIPPED: $compiler is not installed"; exit 77; }
  directory=$kept/${build//[^A-Za-z0-9]/_}
  mkdir -p "$directory"
  { cmake -S "$root" -B "$directory" -G Ninja -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_BUILD_TYPE=None \
    -DCMAKE_CXX_FLAGS="$flags" -DCMAKE_UNITY_BUILD=ON -DQSIM_RTL=OFF -DQSIM_BUILD_TESTS=OFF &&
    cmake --build "$directory" --target qsim -j 2; } >"$work/build.log" 2>&1 || { tail -n 40 "$work/build.log"; exit 2; }
  digest "$directory/sim/cli/qsim" now
  "$directory/sim/cli/qsim" selftest | diff "$work/selftest" - || { echo "DIFFERS: selftest of $build"; status=1; }
  same now "$build"
done

echo "[ determinism ] $variants variants beside the first, $(wc -l <"$work/first") files," \
  "digest $(sha256sum <"$work/first" | cut -c1-16)"
exit "$status"
