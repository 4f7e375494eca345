#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The shared library exports what the headers declare, and nothing else.
set -eu

top=${top_srcdir:-..}
library=${top_builddir:-.}/.libs/libcubby.so
[ -e "$library" ] || { echo "no shared library was built"; exit 77; }

exported=$(nm -D --defined-only "$library" | awk '$2 == "T" { print $3 }' | sed 's/@.*//' | sort)
# A name stands behind its type, or at the beginning of the next line.
declared=$(sed -n 's/^[a-z].*[ *]\(cubby_[a-z_]*\)(.*/\1/p; s/^\(cubby_[a-z_]*\)(.*/\1/p' "$top"/include/cubby/*.h |
    grep -v _function | sort -u)

if [ "$exported" != "$declared" ]; then
    echo "exported (left) and declared (right) differ:"
    printf '%s\n' "$exported" >exported.tmp
    printf '%s\n' "$declared" | diff exported.tmp - || true
    rm -f exported.tmp
    exit 1
fi
printf '%s\n' "$exported" | wc -l
