#!/usr/bin/env bash
# Installs what building and testing qsim needs, from Debian's or Ubuntu's own packages. Installed packages
# are left alone; when nothing is missing, neither root nor a network is needed.
#
# Usage: scripts/install-deps.sh [--build-only]
#   --build-only   leave out what only tests and lint use (GoogleTest, clang and its tools, yosys, iverilog, make)
set -euo pipefail

build_packages=(
  g++ cmake ninja-build
  verilator              # the RTL executor
  zlib1g-dev             # its waveforms (FST)
  libpng-dev libjpeg-dev # image folders
  libssl-dev             # SHA-256 of files
  libgmp-dev             # the second derivations: tests and selftest
  libjs-chart.js         # the plots of report.html
  libhwy-dev             # vectors for every instruction set: the fast kernels
  libeigen3-dev libyaml-cpp-dev libcli11-dev libfmt-dev nlohmann-json3-dev
)
test_packages=(
  libgtest-dev libgmock-dev
  binutils               # objdump: no floating-point instruction in golden/
  clang                  # the same for a second compiler, and the exported headers
  clang-format clang-tidy # scripts/lint.sh
  yosys                  # rtl/ synthesizes
  iverilog               # its $writememh
  make                   # verilator --binary, in the tutorial
)

die() {
  echo "install-deps: $*" >&2
  exit 2
}

packages=("${build_packages[@]}" "${test_packages[@]}")
case "${1-}" in
  '') ;;
  --build-only) packages=("${build_packages[@]}") ;;
  *) die "unknown argument '$1'; usage: scripts/install-deps.sh [--build-only]" ;;
esac

installed() { [[ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null)" == ?i* ]]; }

# A build from source on PATH serves as well as the package.
provided() {
  case "$1" in
    g++ | cmake | verilator | clang | clang-format | clang-tidy | yosys | iverilog | make) command -v "$1" >/dev/null ;;
    ninja-build) command -v ninja >/dev/null ;;
    binutils) command -v objdump >/dev/null ;;
    *) return 1 ;;
  esac
}

missing_packages() {
  local package
  for package in "${packages[@]}"; do
    provided "$package" || installed "$package" || printf '%s\n' "$package"
  done
}

# apt-get with retries: mirrors and networks have bad moments, and another apt may hold the lock.
apt_get() {
  local attempt
  for attempt in 1 2 3; do
    if "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 \
      -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@" >"$log" 2>&1 </dev/null; then
      return 0
    fi
    [[ $attempt == 3 ]] || sleep $((attempt * 5))
  done
  return 1
}

install_missing() {
  local -a missing=("$@")
  command -v apt-get >/dev/null ||
    die "this system has no apt-get; install by hand: ${missing[*]} (names of Debian 12), then run this again"
  as_root=()
  if [[ $EUID -ne 0 ]]; then
    command -v sudo >/dev/null ||
      die "installing packages needs root: run this as root, or have root run: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  echo "install-deps: installing ${missing[*]}" >&2
  # The package lists may be absent or old; a mirror out of reach matters only if the install then fails.
  apt_get update || true
  if ! apt_get install --no-install-recommends "${missing[@]}"; then
    tail -n 20 "$log" >&2
    die "apt-get could not install: ${missing[*]} (its last words are above)"
  fi
}

# require_version NAME WANTED FOUND: versions compare as sort -V orders them.
require_version() {
  local name=$1 wanted=$2 found=$3
  [[ -n $found ]] || die "$name $wanted or newer is needed, and its version cannot be read"
  [[ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1)" == "$wanted" ]] ||
    die "$name $found is too old; $wanted or newer is needed (Debian 12 and Ubuntu 24.04 have it)"
}

mapfile -t missing < <(missing_packages)
if ((${#missing[@]})); then install_missing "${missing[@]}"; fi

require_version CMake 3.25 "$(cmake --version | sed -n '1s/[^0-9]*\([0-9.]*\).*/\1/p')"
require_version Verilator 5.006 "$(verilator --version | sed -n '1s/[^0-9]*\([0-9.]*\).*/\1/p')"
require_version g++ 12 "$(g++ -dumpfullversion)"
