#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The man page and the command agree: every verb and option that --help shows has its place in the
# page, and the page has no others. Every field of JSON and every variable is named.
set -eu

top=$(cd "${top_srcdir:-$(dirname "$0")/..}" && pwd)
cubby=$(cd "${top_builddir:-.}" && pwd)/cubby
page=$top/docs/cubby.1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
unset CUBBY_CACHE CUBBY_DISABLE
status=0

# same WHAT: compares what the command has (file in-help) with what the page has (file in-page).
same() {
    sort -u in-help >help.sorted
    sort -u in-page >page.sorted
    if [ ! -s help.sorted ]; then
        echo "$1: nothing was found in --help"
        status=1
    elif ! diff help.sorted page.sorted >differences; then
        echo "$1: in --help only (<), in the man page only (>):"
        cat differences
        status=1
    fi
}

# Options in the text of --help, each once: -j, --jobs. A line of help begins with the options.
help_options() {
    sed -nE 's/^ +(-[A-Za-z?]),? .*/\1/p' "$1"
    sed -nE 's/^ +(-[A-Za-z?], |    )(--[a-z-]+).*/\2/p' "$1"
}

# Options that a section of the page explains, with the same spelling.
page_options() {
    awk -v section="$1" '/^\.S[sh] / { inside = ($0 == ".Ss " section) } inside && /^\.It Fl / { print }' "$page" |
        grep -oE 'Fl (Fl )?(\\&)?[A-Za-z?][a-z-]*' | sed -E 's/Fl Fl /--/; s/Fl /-/; s/\\&//'
}

verbs=$("$cubby" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z-]*\) .*/\1/p')
printf '%s\n' "$verbs" >in-help
awk '/^\.Sh / { inside = ($0 == ".Sh VERBS") } inside && /^\.Ss / { print $2 }' "$page" >in-page
same verbs
sed -n '/^\.Sh SYN/,/^\.Sh DESC/s/^\.Nm Cm \([a-z-]*\)$/\1/p' "$page" >in-page
same "verbs of the synopsis"

for verb in $verbs; do
    "$cubby" "$verb" --help >help
    help_options help >in-help
    {
        page_options "$verb"
        page_options "Common options"
        # Verbs that compile take the program options, or at least those of the compiler, and say so.
        awk -v verb="$verb" '/^\.S[sh] / { inside = ($0 == ".Ss " verb) } inside' "$page" >section
        if grep -q 'Sx Program options' section; then
            page_options "Program options"
            page_options "Compiler options"
        elif grep -q 'Sx Compiler options' section; then
            page_options "Compiler options"
        fi
    } >in-page
    same "options of $verb"
done
"$cubby" --help >help
help_options help >in-help
page_options "Common options" >in-page
same "common options"

# ---- JSON: what is printed is named

fields_named() { # WHAT FILE
    # Within "names", the fields are names of kernels.
    for field in $(sed 's/"names":{[^}]*}/"names":0/g' "$2" | grep -oE '"[a-z_]+":' | tr -d '":' | sort -u); do
        grep -qwE -- "$field" "$page" || { echo "$1 --json: the field $field is not in the man page"; status=1; }
    done
}
"$cubby" --cache memory --json stats >stats.json
grep -q '"hits":' stats.json
fields_named stats stats.json
if "$cubby" --cache memory --json doctor >doctor.json; then
    fields_named doctor doctor.json
    printf 'extern "C" __global__ void k() {}\n' >k.cu
    printf '.version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k() { ret; }\n' >k.ptx
    for verb in "compile --arch sm_90 k.cu" "compile --arch sm_9999 k.cu" "key --explain --arch sm_90 k.cu" \
        "link --arch sm_90 k.ptx" ls; do
        # shellcheck disable=SC2086 # words
        "$cubby" --cache file:store --json $verb >out 2>/dev/null || true
        grep -q '"key":' out
        fields_named "${verb%% *}" out
    done
    "$cubby" --cache file:store --json show "$(sed -n '1s/.*"key":"\([0-9a-f]*\)".*/\1/p' out)" >shown
    fields_named show shown
    "$cubby" --cache file:store --json explain --arch sm_90 -DX k.cu >out
    grep -q '"differences":\[{' out
    fields_named explain out
    cat >e.json <<'END'
{"cubby_engine": 1, "name": "e", "dims": [{"name": "n", "min": 1, "opt": 4, "max": 8}],
 "tensors": [{"name": "y", "dtype": "int8", "role": "output", "shape": ["n"]}],
 "programs": [{"name": "p", "text": "extern \"C\" __global__ void k(char *y) {}", "specialize": ["n"]}],
 "launches": [{"program": "p", "kernel": "k", "grid": [1], "block": [1], "arguments": [{"tensor": "y", "access": "write"}]}]}
END
    "$cubby" --cache file:store --json prewarm --arch sm_90 e.json k.cu >out
    grep -q '"program":"p"' out
    fields_named prewarm out
    "$cubby" --cache file:store --json prewarm --arch sm_9999 e.json >out 2>/dev/null || true
    grep -q '"error":' out
    fields_named prewarm out
    double=$(dirname "$cubby")/tests/.libs/fake_cuda.so
    if [ -e "$double" ]; then
        CUBBY_CUDA=$double "$cubby" --cache file:store --json run --output y=y.npy e.json >out
        grep -q '"first_us":' out
        fields_named run out
    fi
    : >store/stray
    printf damaged >"$(find store/object -type f | head -n 1)"
    printf 'no archive' >none.tar
    for verb in verify "trim --max-size 1T" "export all.tar" "import none.tar"; do
        # shellcheck disable=SC2086 # words
        "$cubby" --cache file:store --json $verb >care.json 2>/dev/null || true
        fields_named "${verb%% *}" care.json
    done
fi

# ---- Variables

grep -ohE '"(CUBBY|XDG|CUDA)_[A-Z_]*[A-Z]"' -r "$top/src" | tr -d '"' >in-help
grep -oE '(CUBBY|XDG|CUDA)_[A-Z_]*' "$page" >in-page
same variables

if command -v mandoc >/dev/null; then
    # Manuals that are not installed here may still be referred to.
    mandoc -Tlint "$page" | grep -v 'referenced manual not found' >lint || true
    if [ -s lint ]; then
        cat lint
        status=1
    fi
elif [ $status -eq 0 ]; then
    echo "the page agrees with the command; mandoc is not installed to check its form"
    exit 77
fi
exit $status
