#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each rule in the table "Rules and their tests" of docs/keys.md names tests as `PROGRAM: TEST`, or a
# script by its name. All of these have to exist and to be run.
set -eu

top=${top_srcdir:-$(dirname "$0")/..}
cd "$top"
rules=$(sed -n '/^## Rules and their tests/,/^## [^R]/p' docs/keys.md | grep '^| ' | grep -v '^| rule |')
status=0

complain() {
    echo "docs/keys.md: $1"
    status=1
}

check_unit() {
    file=tests/$1.c
    if [ ! -f "$file" ]; then
        complain "there is no $file"
    elif ! grep -q "^START_TEST($2)" "$file"; then
        complain "$file has no test $2"
    elif ! tr -d '\n' <"$file" | grep -qE "tcase_add_(loop_)?test\([a-z]+, *$2[,)]"; then
        complain "$file does not run $2"
    elif ! grep -q "tests/$1[ \\]*\$\|tests/$1 " Makefile.am; then
        complain "make check does not run tests/$1"
    fi
}

check_script() {
    if [ ! -f "tests/$1" ]; then
        complain "there is no tests/$1"
    elif ! grep -q "tests/$1" Makefile.am; then
        complain "make check does not run tests/$1"
    fi
}

# The names in the last column of a line.
names_of() {
    # shellcheck disable=SC2016 # the backticks are those of the table
    printf '%s\n' "$1" | sed 's/ *|$//; s/.*| //' | grep -o '`[^`]*`' | tr -d '`' || true
}

count=0
while IFS= read -r line; do
    names=$(names_of "$line")
    [ -n "$names" ] || complain "this rule has no test: $line"
    while IFS= read -r name; do
        case $name in
        '') ;;
        *:\ *) check_unit "${name%%: *}" "${name#*: }" ;;
        *) check_script "$name" ;;
        esac
    done <<NAMES
$names
NAMES
    count=$((count + 1))
done <<RULES
$rules
RULES

# A table that was not found is no table without faults.
[ "$count" -ge 40 ] || complain "the table of rules and tests has $count lines: expected at least 40"
exit $status
