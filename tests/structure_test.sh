#!/usr/bin/env bash
# The order of the rooms: a folder of sim/ includes golden/ and the folders above it in this list; golden/
# includes nothing else, derivation/ only what reads and prints. Each source file is compiled once.
# Usage: structure_test.sh SOURCE_DIR
set -euo pipefail
cd -- "$1"

order=(text io inputs statistics config network bundle semantics calibrate cosim run report export explain diagnose
       sweep conform cli)

mapfile -t files < <(find sim golden derivation -name '*.h' -o -name '*.cpp' | sort)
awk -v order="${order[*]}" '
  BEGIN { n = split(order, names, " "); for (i = 1; i <= n; ++i) rank[names[i]] = i }
  function place(path,  parts) { split(path, parts, "/"); return parts[1] == "sim" ? parts[2] : parts[1] }
  /^#include "(sim|golden|derivation|tests)\// {
    split($2, quoted, "\""); to = place(quoted[2]); from = place(FILENAME)
    if (to == from || to ~ /\.h$/) next
    if (from == "golden") ok = 0
    else if (from == "derivation") ok = to == "golden" || to == "io" || to == "text"
    else if (to == "golden") ok = 1
    else if (to == "derivation") ok = from == "cli" || from == "conform"
    else ok = (to in rank) && rank[to] < rank[from]
    if (!ok) { print FILENAME " may not include " quoted[2]; bad = 1 }
  }
  END { exit bad }
' "${files[@]}"

# A test links the library of a folder; it compiles no source file of the program once more.
compiled=$(grep -rnE '(sim|golden|derivation)/[^ )"]*\.cpp' --include=CMakeLists.txt tests || true
  grep -rnE '^#include .*\.cpp[">]' --include='*.cpp' --include='*.h' golden sim derivation tests || true)
if [[ -n $compiled ]]; then
  printf '%s\nsource files compiled outside their library\n' "$compiled" >&2
  exit 1
fi
