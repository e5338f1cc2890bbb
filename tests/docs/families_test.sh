#!/usr/bin/env bash
# A network is data. "Adding a family" of docs/architecture.md names the files of the second family, all of them
# and no others; the family is small; and no code but a family's own knows a tensor by its name.
# Usage: families_test.sh SOURCE_DIR
set -euo pipefail

cd -- "$1"
failures=0
fail() {
  failures=$((failures + 1))
  echo "$1"
}
# Without comments and blank lines.
code() { sed -E 's,(^|[^:])//.*,\1,' "$@" | grep -v '^ *$'; }

folder=tests/network/families
named=$(sed -n '/^## Adding a family/,/^## [^A]/p' docs/architecture.md | grep -oP "\`\K$folder/[^\`]+(?=\`)" | sort -u)
present=$(find $folder -type f | sort)
diff <(echo "$named") <(echo "$present") || fail "'Adding a family' and $folder differ"

lines=$(code $folder/translator.h $folder/translator.cpp | wc -l)
((lines < 200)) || fail "the second family has $lines lines of code"
# In naming.cpp stand the names that libraries give to stored weights.
for word in ranslator '"encoder\.' '"decoder\.'; do
  found=$(grep -rIl --exclude=naming.cpp -- "$word" sim golden derivation rtl || true)
  [[ -z $found ]] || fail "'$word' is known to $found"
done

# The names that are no word of their own; those of the second family are looked for above.
taps='norm[12]|attn_[a-z_]+|mlp_(fc[12]|gelu)|intSoft|residual[12]|patch_embed'
count=$(code sim/network/families/vit.cpp | grep -cE "\"($taps)")
((count > 10)) || fail "vit.cpp names only $count tensors"
# Texts of the command line give examples in the words of the shipped family.
while IFS= read -r file; do
  found=$(code "$file" | grep -E "\b($taps)\b" || true)
  [[ -z $found ]] || fail "$file: $found"
done < <(find sim golden -name '*.h' -o -name '*.cpp' -o -name '*.js' |
  grep -vE '^sim/(network/families|cli)/|^sim/config/defaults.cpp$')
echo "$(wc -l <<<"$present") files, $lines lines of code, $failures failures"
((failures == 0))
