#!/usr/bin/env bash
# cmake/Commit.cmake: the commit of a checkout, of an archive of the sources, of neither; and a file that is
# left alone when nothing has changed, so that a build does not compile it again.
# Usage: commit_test.sh SOURCE_DIR
set -euo pipefail

command -v git >/dev/null || exit 77
source_dir=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
tree="$work/a tree"
git_here() { git -C "$tree" -c user.name=test -c user.email=test@example.org "$@"; }

found() {  # DIRECTORY
  cmake -DSOURCE="$1" -DOUTPUT="$work/commit.cpp" -P "$source_dir/cmake/Commit.cmake"
  sed -n 's/.*kCommit = "\(.*\)";/\1/p' "$work/commit.cpp"
}
expect() {  # WHAT WANTED FOUND
  [[ $2 == "$3" ]] || { echo "$1: expected '$2', found '$3'"; exit 1; }
}

mkdir -p "$tree/cmake"
cp "$source_dir/cmake/commit.txt" "$tree/cmake"
cp "$source_dir/.gitattributes" "$tree"
expect "a copy" unknown "$(found "$tree")"
git_here init -q
git_here add -A
git_here commit -q -m one
commit=$(git_here rev-parse --short=12 HEAD)
expect "a checkout" "$commit" "$(found "$tree")"
touch -d @0 "$work/commit.cpp"
found "$tree" >/dev/null
expect "the file's time, unchanged" 0 "$(stat -c %Y "$work/commit.cpp")"
echo change >>"$tree/.gitattributes"
expect "a changed checkout" "$commit-dirty" "$(found "$tree")"
mkdir "$work/archive"
git_here archive HEAD | tar -x -C "$work/archive"
expect "an archive" "$commit" "$(found "$work/archive")"
# An archive inside somebody else's checkout is not that checkout.
mkdir "$tree/archive"
git_here archive HEAD | tar -x -C "$tree/archive"
expect "an archive inside a checkout" "$commit" "$(found "$tree/archive")"
echo "all as expected"
