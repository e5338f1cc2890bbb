#!/bin/sh
# no_float_check.sh OBJECT-OR-ARCHIVE...
# Fails when an object holds an SSE, AVX, MMX or x87 instruction, or needs a soft-float library function
# (__adddf3, __floatsidf, ...). Exit status 77: cannot tell on this machine.
set -eu
if [ "$(uname -m)" != x86_64 ] || ! command -v objdump >/dev/null; then
  echo "SKIPPED: needs x86_64 and objdump"
  exit 77
fi
status=0
for object in "$@"; do
  code=$(objdump -d --no-show-raw-insn "$object" | grep -E '^ *[0-9a-f]+:[[:space:]]' || true)
  if [ -z "$code" ]; then
    echo "$object: no instructions found, so nothing was checked"
    status=1
  fi
  # A vector register, or a mnemonic that begins with f: on x86 these are all x87 (fs is a prefix).
  found=$(printf '%s\n' "$code" |
    grep -E '%[xyz]?mm[0-9]|%st\b|:[[:space:]]+f[a-rt-z][a-z0-9]*|:[[:space:]]+fs[a-z]+' || true)
  if [ -n "$found" ]; then
    echo "$object: floating-point or vector instructions:"
    printf '%s\n' "$found" | head -5
    status=1
  fi
  found=$(nm -u "$object" | grep -E ' __[a-z]*[hsdtxb][fc]([a-z][a-z])?[0-9]?$' || true)
  if [ -n "$found" ]; then
    echo "$object: soft-float functions:"
    printf '%s\n' "$found" | head -5
    status=1
  fi
done
exit $status
