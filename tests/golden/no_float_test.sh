#!/bin/sh
# no_float_test.sh COMPILER SOURCE-DIR FLAGS...
# Compiles golden/ops and golden/program at -O2 with the flags that golden/CMakeLists.txt uses, and checks
# every object. Then shows that the check can fail. Exit status 77: no such compiler.
set -eu
compiler=$1
source_dir=$2
shift 2
if ! command -v "$compiler" >/dev/null; then
  echo "SKIPPED: no compiler '$compiler'"
  exit 77
fi
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

compile() {  # compile SOURCE OBJECT FLAGS...
  source=$1
  object=$2
  shift 2
  "$compiler" -std=c++20 -O2 -I"$source_dir" "$@" -c "$source" -o "$object"
}

count=0
for source in "$source_dir"/golden/ops/*.cpp "$source_dir"/golden/ops/*/*.cpp "$source_dir"/golden/program/*.cpp "$source_dir"/golden/program/*/*.cpp; do
  compile "$source" "$work/$count.o" "$@"
  count=$((count + 1))
done
"$here/no_float_check.sh" "$work"/*.o
echo "$count objects hold no floating point"
[ "$count" -ge 8 ]

# Negative controls. A check that cannot fail is not a check.
expect_caught() {  # expect_caught WHAT OBJECT
  if "$here/no_float_check.sh" "$2" >"$work/log"; then
    echo "the check let $1 pass"
    exit 1
  fi
  echo "caught $1: $(sed -n 2p "$work/log")"
}
cat >"$work/control.cpp" <<'EOF'
int Third(int value) {
  double x = value;
  return static_cast<int>(x * x / 3);
}
EOF
compile "$work/control.cpp" "$work/control.obj"
expect_caught "a double under the default flags" "$work/control.obj"
if compile "$work/control.cpp" "$work/control.obj" "$@" 2>"$work/log"; then
  expect_caught "a double under the golden flags" "$work/control.obj"
else
  echo "a double does not compile under the golden flags: $(grep -m1 error "$work/log")"
fi
cat >"$work/soft.cpp" <<'EOF'
extern "C" long __floatsidf(int value);
extern "C" long __muldf3(long a, long b);
long Square(int value) { return __muldf3(__floatsidf(value), __floatsidf(value)); }
EOF
compile "$work/soft.cpp" "$work/soft.obj" "$@"
expect_caught "a soft-float call" "$work/soft.obj"
