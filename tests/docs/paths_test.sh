#!/usr/bin/env bash
# Every file that the documents name exists: the targets of links, and `paths` in backticks that start with a
# folder of the source tree (those with placeholders such as <name>, * or N are not looked up).
# Usage: paths_test.sh SOURCE_DIR
set -euo pipefail

cd -- "$1"
shopt -s nullglob
names=0
failures=0
missing() {
  failures=$((failures + 1))
  echo "$1: names '$2', which does not exist"
}

for document in *.md docs/*.md vectors/*.md; do
  folder=$(dirname -- "$document")
  while IFS= read -r target; do
    target=${target%%#*}
    case "$target" in '' | http://* | https://* | mailto:*) continue ;; esac
    names=$((names + 1))
    [[ -e $folder/$target ]] || missing "$document" "$target"
  done < <(grep -oP '\]\(\K[^)\s]+(?=\))' "$document" || true)
  while IFS= read -r path; do
    names=$((names + 1))
    [[ -e $path ]] || missing "$document" "$path"
  done < <(grep -oP '`\K(golden|derivation|sim|rtl|configs|docs|tests|scripts|vectors|bench|cmake|\.ci)/[A-Za-z0-9_./-]*(?=`)' "$document" || true)
done
echo "$names paths named, $failures missing"
((names > 0 && failures == 0))
