#!/usr/bin/env bash
# A picture of a report page, as the README shows one: needs Debian's chromium.
#
# Usage: scripts/report_picture.sh REPORT.html PICTURE.png [WIDTHxHEIGHT]   default: 1100x900
set -euo pipefail

if (($# < 2 || $# > 3)) || [[ ! -f ${1-} ]]; then
  echo "usage: scripts/report_picture.sh REPORT.html PICTURE.png [WIDTHxHEIGHT]" >&2
  exit 2
fi
command -v chromium >/dev/null || { echo "report_picture: chromium is missing: apt-get install chromium" >&2; exit 2; }
size=${3:-1100x900}
page=$(realpath -- "$1")
profile=$(mktemp -d)
trap 'rm -rf -- "$profile"' EXIT
# Without animations, so that the plots are as they stay.
chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --force-prefers-reduced-motion \
  --user-data-dir="$profile" --virtual-time-budget=10000 --window-size="${size/x/,}" \
  --screenshot="$(realpath -m -- "$2")" "file://$page" 2>/dev/null
