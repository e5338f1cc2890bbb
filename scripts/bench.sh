#!/usr/bin/env bash
# The products beside oneDNN's (google-benchmark, one thread), then qsim bench. Arguments go to the first, for
# example --benchmark_filter=vit-b. Needs libdnnl-dev and libbenchmark-dev, which nothing else of qsim does.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd -P)
for package in libdnnl-dev libbenchmark-dev; do
  [[ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null)" == ?i* ]] || {
    echo "bench: $package is missing: apt-get install libdnnl-dev libbenchmark-dev" >&2
    exit 2
  }
done
cmake -S "$root" -B "$root/build/bench" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_UNITY_BUILD=ON \
  -DQSIM_BUILD_TESTS=OFF -DQSIM_BUILD_BENCH=ON >/dev/null
ninja -C "$root/build/bench" bench_products qsim >/dev/null
OMP_NUM_THREADS=1 "$root/build/bench/bench/bench_products" "$@"
"$root/build/bench/sim/cli/qsim" bench
