#!/usr/bin/env bash
# Runs the commands of a document and compares what they print with what the document says they print.
# Usage: commands_test.sh DOCUMENT QSIM SOURCE_DIR
#
#   ```sh test            the commands, in one shell for each block; must exit with 0
#   ```sh test exit=1     or as given
#   <!-- sh test: ... --> one command that the reader does not see, for the output of a script
#   ```text output        what the block before it prints: every line must be printed, in this order.
#                         A line that is only "..." stands for lines left out.
#
# Commands run in a scratch directory that looks like the source tree, with qsim on the PATH.
set -euo pipefail

document=$1 qsim=$2 source_dir=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
mkdir "$tree" "$work/bin"
ln -s "$qsim" "$work/bin/qsim"
for entry in configs vectors rtl docs; do ln -s "$source_dir/$entry" "$tree/$entry"; done
export PATH=$work/bin:$PATH NO_COLOR=1

commands=0
failures=0
fail() {
  failures=$((failures + 1))
  echo "$document:$1: $2"
  if [[ -s $work/printed ]]; then sed 's/^/    | /' "$work/printed" | head -n 200; fi
}

run_block() {  # LINE WANTED_STATUS, the commands in $work/block
  local status=0
  (cd "$tree" && bash -euo pipefail "$work/block") >"$work/printed" 2>&1 </dev/null || status=$?
  commands=$((commands + 1))
  [[ $status == "$2" ]] || fail "$1" "exit status $status, the document says $2"
}

compare_block() {  # LINE, the expected lines in $work/block
  local line wanted found
  exec 3<"$work/printed"
  while IFS= read -r wanted; do
    wanted=${wanted%"${wanted##*[![:space:]]}"}
    [[ -n $wanted && $wanted != ... ]] || continue
    found=
    while IFS= read -r line <&3; do
      if [[ ${line%"${line##*[![:space:]]}"} == "$wanted" ]]; then
        found=1
        break
      fi
    done
    if [[ -z $found ]]; then
      fail "$1" "this line is not printed (or not in this order): $wanted"
      break
    fi
  done <"$work/block"
  exec 3<&-
}

number=0
start=0
kind=
while IFS= read -r text || [[ -n $text ]]; do
  number=$((number + 1))
  if [[ -n $kind ]]; then
    if [[ $text != '```' ]]; then
      printf '%s\n' "$text" >>"$work/block"
      continue
    fi
    case "$kind" in
      run) run_block "$start" "$wanted_status" ;;
      output) compare_block "$start" ;;
    esac
    kind=
    continue
  fi
  case "$text" in
    '<!-- sh test: '*' -->')
      text=${text#'<!-- sh test: '}
      printf '%s\n' "${text%' -->'}" >"$work/block"
      run_block "$number" 0
      ;;
    '```sh test') kind=run wanted_status=0 ;;
    '```sh test exit='[0-9]) kind=run wanted_status=${text##*=} ;;
    '```text output') kind=output ;;
    '```sh test'* | '```text output'*) fail "$number" "unknown marker: $text" ;;
    '```'*) kind=skip ;;
  esac
  if [[ -n $kind ]]; then
    start=$number
    : >"$work/block"
  fi
done <"$document"
[[ -z $kind ]] || fail "$start" "this block has no end"
((commands > 0)) || fail 1 "no block is marked 'sh test'"
echo "$document: $commands blocks run, $failures failures"
((failures == 0))
