#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Several versions of NVRTC side by side: each has keys of its own, and the same library in another
# folder has the same keys. With doubles always, and with the real libraries in the folders of
# CUBBY_TEST_NVRTC_DIRS (with ":" between them) and the one that is installed.
set -u

top=$(cd "${top_srcdir:-$(dirname "$0")/..}" && pwd)
build=$(cd "${top_builddir:-.}" && pwd)
cubby=$build/cubby
doubles=$build/tests/.libs
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export CUBBY_CACHE="file:$work/store"
unset CUBBY_DISABLE CUBBY_LOG LD_LIBRARY_PATH
failures=0 checks=0
cp "$top/examples/kernels/saxpy.cu" .

true_that() {
    checks=$((checks + 1))
    "$@" || { echo "FAILED: $*"; failures=$((failures + 1)); }
}

nvrtc_in() { find "$1" -maxdepth 1 -name 'libnvrtc.so.[0-9]*' | sort | head -n 1; }

# key NVRTC: the key of the program with that compiler.
key() { CUBBY_NVRTC=$1 "$cubby" key --arch sm_80 --target ptx saxpy.cu; }

# compile WANTED NVRTC OUTPUT
compile() {
    CUBBY_NVRTC=$2 "$cubby" --json compile --arch sm_80 --target ptx -o "$3" saxpy.cu >out
    grep -q "\"outcome\":\"$1\"" out || { cat out; return 1; }
}

# The libraries at their real names, as a user copies a toolkit.
copy() { mkdir -p "$2" && cp -L "$1"/libnvrtc.so.[0-9]* "$1"/libnvrtc-builtins.so.[0-9]* "$2"; }

# check_apart FOLDER...: folders of different compilers.
check_apart() {
    : >keys
    for folder in "$@"; do
        nvrtc=$(nvrtc_in "$folder")
        copy "$folder" copied
        true_that compile compiled "$nvrtc" first
        true_that compile hit "$nvrtc" second
        true_that cmp -s first second
        true_that [ "$(key "$nvrtc")" = "$(key "$(nvrtc_in copied)")" ]
        true_that compile hit "$(nvrtc_in copied)" third
        true_that cmp -s first third
        key "$nvrtc" >>keys
        rm -rf copied
    done
    # One after the other found nothing of the others: each still gets what is its own.
    for folder in "$@"; do true_that compile hit "$(nvrtc_in "$folder")" again; done
    true_that [ "$(sort -u keys | wc -l)" -eq $# ]
    true_that [ "$(wc -l <keys)" -eq $# ]
}

# double FOLDER NVRTC MINOR EDITION: a toolkit of doubles.
double() {
    mkdir "$1"
    cp "$doubles/$2.so" "$1/libnvrtc.so.13"
    cp "$doubles/fake_builtins_$4.so" "$1/libnvrtc-builtins.so.13.$3"
}

double first-90 fake_nvrtc 90 1
double builtins-90 fake_nvrtc 90 2
double first-91 fake_nvrtc_91 91 1
check_apart first-90 builtins-90 first-91

# ---- The real ones

folders=
count=0
installed=$(unset CUBBY_NVRTC; "$cubby" --cache memory doctor | sed -n 's/^NVRTC .*, \(.*\)\/[^/]*$/\1/p')
for folder in "$installed" $(echo "${CUBBY_TEST_NVRTC_DIRS:-}" | tr ':' ' '); do
    if [ -z "$folder" ] || [ -z "$(nvrtc_in "$folder")" ]; then continue; fi
    folders="$folders $folder"
    count=$((count + 1))
done
if [ $count -gt 0 ]; then
    # shellcheck disable=SC2086 # a list
    check_apart $folders
fi
echo "$checks checks, $failures failures, $count real compilers"
[ $failures -eq 0 ]
