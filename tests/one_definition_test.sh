#!/usr/bin/env bash
# Two types of one name in one namespace are one type to the linker, whatever their headers say: their inline
# members replace each other without a word. Every class of the headers must have a name of its own.
# Usage: one_definition_test.sh SOURCE_DIR
set -euo pipefail

cd "$1"
find golden sim tests -name '*.h' -print0 | sort -z | xargs -0 awk '
  FNR == 1 { space = "" }
  /^namespace [a-z_:]+ \{/ { space = $2 }
  /^}  \/\/ namespace/ { space = "" }
  /^(struct|class) [A-Z][A-Za-z0-9]*( final)?( :.*)? *\{/ && space != "" {
    name = space "::" $2
    ++types
    if (name in first && first[name] != FILENAME) {
      print FILENAME ": " name " is also defined in " first[name]
      ++twice
    }
    first[name] = FILENAME
  }
  END {
    print types " types, " twice + 0 " of them twice"
    exit twice > 0 || types < 100
  }'
