#!/bin/sh
# golden_purity_test.sh SOURCE-DIR
# golden/ include nothing but the standard library and golden/, golden/kernels/ Highway too, and do
# not mention float or double outside comments.
set -eu

impurities() {  # impurities FILE...: offending lines, comments removed
  for file in "$@"; do
    sed -E 's://.*$::; s:/\*[^*]*\*/::g' "$file" |
      grep -nE '^[[:space:]]*#[[:space:]]*include' |
      grep -vE '#include (<[a-z0-9_]+>|"golden/[a-z0-9_/]+\.h")[[:space:]]*$' |
      case "$file" in golden/kernels/*) grep -vE '#include <hwy/[a-z_]+\.h>' ;; *) cat ;; esac |
      sed "s|^|$file:|" || true
    sed -E 's://.*$::; s:/\*[^*]*\*/::g' "$file" |
      grep -nwE 'float|double|_Float[0-9]+|__float[0-9]+|cmath|cfloat|complex' |
      sed "s|^|$file:|" || true
  done
}

cd "$1"
found=$(impurities golden/ops/*.h golden/ops/*.cpp golden/ops/*/*.h golden/ops/*/*.cpp golden/program/*.h golden/program/*.cpp \
  golden/program/ops/*.h golden/program/ops/*.cpp golden/kernels/*.h golden/kernels/*.cpp)
if [ -n "$found" ]; then
  echo "golden/ may include <std> and golden/ only, and holds no floating point:"
  echo "$found"
  exit 1
fi

# The check can fail: each of these lines must be found.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for line in '#include "sim/error.h"' '#include <Eigen/Dense>' '#include <sys/types.h>' \
  'double x = 1;  // a scale' 'std::vector<float> y;' '#include <cmath>'; do
  echo "$line" >"$work/bad.h"
  if [ -z "$(impurities "$work/bad.h")" ]; then
    echo "not caught: $line"
    exit 1
  fi
done
echo '#include <vector>  // not a float' >"$work/good.h"
[ -z "$(impurities "$work/good.h")" ]
echo "golden/ is pure"
