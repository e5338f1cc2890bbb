#!/usr/bin/env bash
# The form of every Markdown file: prose in at most 100 columns, and no list inside a table's cell. Tables,
# code, HTML comments and words that cannot break (links) may be wider. A list is Markdown's or HTML's, a line
# break in a cell, or an enumeration of more than five things at its top level (not in brackets or code).
# Usage: form_test.sh SOURCE_DIR
set -euo pipefail

cd -- "$1"
mapfile -t documents < <(find . -name '*.md' -not -path './build*' -not -path './.*' -not -path './out/*' | sort)
((${#documents[@]} > 0))

# Columns are characters: in the C locale an awk counts bytes, so UTF-8's continuation bytes are left out.
LC_ALL=C awk '
  function fail(why) { failures++; print FILENAME ":" FNR ": " why ": " substr($0, 1, 80) }
  function cells(row,   parts, n, i, text) {
    gsub(/\\\|/, " ", row)
    n = split(row, parts, "|")
    for (i = 2; i < n; i++) {
      text = parts[i]
      gsub(/`[^`]*`/, "code", text)
      while (gsub(/\([^()]*\)|\[[^][]*\]|{[^{}]*}/, "", text)) {}
      if (text ~ /^ *([-*+]|[0-9]+[.)]) +[^ ]/ || text ~ /<(br|ul|ol|li)[ \/>]/) fail("a list in a cell")
      if (gsub(/[,;] /, "", text) > 4) fail("an enumeration in a cell")
    }
  }
  FNR == 1 { fence = comment = code = indent = 0; blank = 1 }
  { line = $0; gsub(/[\200-\277]/, "", line) }
  /^ *```/ { fence = !fence; blank = 0; next }
  fence { next }
  comment || /^ *<!--/ { comment = !/-->/; next }
  /^ *$/ { blank = 1; next }
  {
    match(line, /^ */)
    lead = RLENGTH
    item = match(line, /^ *([-*+]|[0-9]+[.)]) +/) ? RLENGTH : 0
  }
  # After a blank line, four columns further in than the text around it is code.
  (blank || code) && lead >= indent + 4 { code = 1; next }
  {
    if (item) indent = item
    else if (blank && lead == 0) indent = 0
    blank = code = 0
  }
  /^ *\|/ { tables++; cells($0); next }
  length(line) > 100 && substr(line, item + 1) ~ /[^ ] +[^ ]/ { fail("wider than 100 columns") }
  END {
    print ARGC - 1 " documents, " tables " rows of tables, " failures + 0 " failures"
    exit failures > 0
  }' "${documents[@]}"
