#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The map in docs/architecture.md has every source file, and none that does not exist. A header
# beside a source of its name goes with it.
set -eu

top=$(cd "${top_srcdir:-$(dirname "$0")/..}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$top"
status=0

# The first column of the table: a folder in bold stands before the files in it.
awk -F '|' '
    /^## / { inside = ($0 == "## Folders and files") }
    !inside || $0 !~ /^\|/ { next }
    {
        count = split($2, parts, "`")
        if ($2 ~ /\*\*/)
            folder = parts[2]
        else
            for (i = 2; i <= count; i += 2)
                print folder parts[i]
    }' docs/architecture.md | sort >"$work/listed"

{
    find include src backends bench -name '*.[ch]'
    ls src/libcubby.map src/cubby.pc.in
} | sort >"$work/files"
if [ ! -s "$work/files" ] || [ ! -s "$work/listed" ]; then
    echo "no files, or no table in docs/architecture.md"
    exit 1
fi

while read -r file; do
    case $file in
        *.h) [ ! -e "${file%.h}.c" ] || continue ;;
    esac
    grep -qxF -- "$file" "$work/listed" || { echo "docs/architecture.md lacks $file"; status=1; }
done <"$work/files"
while read -r file; do
    [ -e "$file" ] || { echo "docs/architecture.md lists $file, which does not exist"; status=1; }
done <"$work/listed"
uniq -d "$work/listed" >"$work/twice"
if [ -s "$work/twice" ]; then
    echo "docs/architecture.md lists twice:"
    cat "$work/twice"
    status=1
fi
exit $status
