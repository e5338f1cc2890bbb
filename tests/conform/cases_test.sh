#!/usr/bin/env bash
# The shipped cases are what make_cases writes, one at least of every algorithm that qsim has, and qsim computes every element
# of them.
# Usage: cases_test.sh CASES_DIR MAKE_CASES QSIM
set -euo pipefail
cases=$1 make_cases=$2 qsim=$3

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$make_cases" "$dir"
if ! diff -r -x README.md "$dir" "$cases"; then
  echo "tests/conform/cases differs from what make_cases writes; if that is meant: make_cases tests/conform/cases" >&2
  exit 1
fi
"$qsim" conform "$cases"
