#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cubby explain with the real compiler: every kind of difference, and every case of a header.
set -u

build=$(cd "${top_builddir:-.}" && pwd)
cubby=$build/cubby
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset CUBBY_CACHE CUBBY_DISABLE CUBBY_NVRTC CUBBY_LOG
export CUBBY_CACHE="file:$work/store"
failures=0 checks=0

"$cubby" --cache memory doctor >doctor.txt 2>&1
if [ $? -eq 3 ]; then
    echo "no NVRTC on this machine"
    exit 77
fi

fail() {
    echo "FAILED: $*"
    sed 's/^/    /' out err | head -n 20
    failures=$((failures + 1))
}

# status WANTED COMMAND...: runs it into out and err and compares the exit status.
status() {
    wanted=$1
    shift
    "$@" >out 2>err </dev/null
    got=$?
    checks=$((checks + 1))
    [ $got -eq "$wanted" ] || fail "$*: exit $got, expected $wanted"
}
prints() { grep -qF -- "$1" out || fail "standard output lacks: $1"; }

# differs ARGUMENT... -- LINE...: it is a miss, and exactly these lines say why.
differs() {
    arguments=
    while [ "$1" != -- ]; do
        arguments="$arguments $1"
        shift
    done
    shift
    # shellcheck disable=SC2086 # words
    status 0 "$cubby" explain --arch sm_90 $arguments
    grep -q ': miss$' out || fail "$arguments is no miss"
    grep -q '^nearest: [0-9a-f]\{64\} of .*, stored ....-..-..T..:..:..Z$' out || fail "$arguments has no nearest"
    printf '  %s\n' "$@" >wanted
    grep '^  ' out >got
    cmp -s wanted got || fail "$arguments: expected $(cat wanted)"
}
hits() {
    status 0 "$cubby" explain --arch sm_90 "$@"
    grep -Eq ': hit \(file\), key [0-9a-f]{64}$' out || fail "$* is no hit"
}
stores() {
    status 0 "$cubby" --json compile -o /dev/null --arch sm_90 "$@"
    prints '"reason":null'
}
# Longer than a tick of the clock from which files get their stamps.
tick() { sleep 0.05; }

printf '#ifndef X\n#define X 1\n#endif\n__global__ void k(int *p) { *p = X; }\n' >k.cu

# ---- Outcomes

status 0 "$cubby" explain --arch sm_90 k.cu
prints 'k.cu: miss: no object of that name or of that source is stored'
stores k.cu
hits k.cu
status 0 "$cubby" --json explain --arch sm_90 k.cu
prints '"outcome":"hit","tier":"file","reason":null,"nearest":null,"differences":[]}'
prints "\"key\":\"$("$cubby" key --arch sm_90 k.cu)\""
status 0 "$cubby" --json stats
prints '"hits":0,'
printf 'const char *d = __DATE__;\n' >date.cu
status 0 "$cubby" explain --arch sm_90 date.cu
prints 'date.cu: uncacheable: it uses __DATE__'
status 0 "$cubby" --json explain --arch sm_90 date.cu
prints '"key":null,"outcome":"uncacheable"'
status 0 env CUBBY_DISABLE=1 CUBBY_CACHE= "$cubby" explain --arch sm_90 k.cu
prints 'k.cu: miss: no store is in use'
status 2 "$cubby" explain --arch sm_90
status 2 "$cubby" explain --arch sm_90 k.cu k.cu
status 2 "$cubby" explain --arch sm_90 no-such-file.cu
status 3 env CUBBY_NVRTC=/no/such/libnvrtc.so "$cubby" explain --arch sm_90 k.cu
touch not-a-folder
status 4 "$cubby" --cache file:not-a-folder explain --arch sm_90 k.cu

# ---- The program's own fields

differs -DX=1 k.cu -- 'macro -DX=1 was added'
differs -I. --std c++20 k.cu -- 'option --std=c++20 was added'
status 0 "$cubby" explain --arch sm_90 --option -lineinfo k.cu
prints '  option --generate-line-info was added'
prints "  current folder $work was added"
prints '  source stamp k.cu 67 bytes, modified '
rm -rf store
stores -DX=1 --std c++17 k.cu
differs -DX=2 --std c++17 k.cu -- 'macro -DX=1 then, -DX=2 now'
differs -UX --std c++17 k.cu -- 'macro -DX=1 then, -UX now'
differs -DX=1 --std c++20 k.cu -- 'option --std=c++17 then, --std=c++20 now'
differs -DX=1 k.cu -- 'option --std=c++17 was taken away'
differs --std c++17 -DX=1 k.cu -- 'macro -DX=1 stands at another place among the options'
differs -DX=1 --std c++17 --name 'f<int>' k.cu -- 'name expression f<int> was added'
differs -DX=1 --std c++17 --target ptx k.cu -- 'target: cubin then, ptx now' 'architecture: sm_90 then, compute_90 now'
status 0 "$cubby" explain --arch sm_80 -DX=1 --std c++17 k.cu
prints '  architecture: sm_90 then, sm_80 now'
cp k.cu changed.cu
echo '// more' >>k.cu
differs -DX=1 --std c++17 k.cu -- 'the source changed'
differs -DX=3 --std c++17 k.cu -- 'the source changed' 'macro -DX=1 then, -DX=3 now'
status 0 "$cubby" --json explain --arch sm_90 -DX=1 --std c++20 k.cu
prints '{"field":"option","name":null,"then":"--std=c++17","now":"--std=c++20","before":null}'
prints '"outcome":"miss"'
differs -DX=1 --std c++17 changed.cu -- 'source name: k.cu then, changed.cu now'
mkdir folder
cp changed.cu folder/k.cu
differs -DX=2 --std c++17 folder/k.cu -- 'macro -DX=1 then, -DX=2 now'
NVRTC_APPEND_FLAGS=-G differs -DX=1 --std c++17 folder/k.cu -- 'environment NVRTC_APPEND_FLAGS=-G was added'
double=$build/tests/.libs/fake_nvrtc.so
if [ -e "$double" ]; then
    version=$(sed -n 's/^NVRTC *\([0-9.]*\).*/\1/p' doctor.txt)
    status 0 env CUBBY_NVRTC="$double" "$cubby" explain --no-toolkit-include --arch sm_90 -DX=1 --std c++17 folder/k.cu
    prints "  toolchain: nvrtc $version then, nvrtc 13.90 now"
fi

# ---- PTX

printf '.version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k() { ret; }\n' >k.ptx
if "$cubby" -q compile --arch sm_90 -o /dev/null k.ptx 2>/dev/null; then
    hits k.ptx
    differs --option -maxrregcount=32 k.ptx -- 'option -maxrregcount=32 was added'
fi

# ---- show

key=$("$cubby" key --arch sm_90 -DX=1 --std c++17 folder/k.cu)
status 0 "$cubby" show "$key"
prints '    option           --std=c++17'
status 0 "$cubby" --json show "$key"
prints '{"name":"option","value":"--std=c++17"}'

# ---- Headers

mkdir one two three
printf '#include <h.h>\n#include "beside.h"\n#if __has_include(<maybe.h>)\n#endif\n__global__ void k(int *p) { *p = H + B; }\n' >h.cu
printf '#include "deep.h"\n' >two/h.h
printf '#define H 1\n' >two/deep.h
printf '#define B 1\n' >beside.h
touch three/maybe.h
tick
headers='-Inone -Ione -Itwo -Ithree h.cu'
# shellcheck disable=SC2086 # words
stores $headers
# shellcheck disable=SC2086 # words
hits $headers

printf '#define H 2\n' >two/deep.h
# shellcheck disable=SC2086 # words
differs $headers -- 'header two/deep.h changed'
status 0 "$cubby" --json explain --arch sm_90 -Inone -Ione -Itwo -Ithree h.cu
grep -Eq '"field":"header file","name":"two/deep.h","then":"[0-9a-f]{64}","now":"[0-9a-f]{64}","before":null' out ||
    fail "the digests of deep.h"
printf '#define H 1\n' >two/deep.h
# shellcheck disable=SC2086 # words
hits $headers
mv two/deep.h aside
# shellcheck disable=SC2086 # words
differs $headers -- 'header two/deep.h is gone or cannot be read'
mv aside two/deep.h
printf '#define H 3\n' >one/h.h
# shellcheck disable=SC2086 # words
differs $headers -- 'header one/h.h appeared, and is found before two/h.h'
rm one/h.h
printf '#define H 3\n' >one/deep.h # beside two/h.h there is another, which goes before it
# shellcheck disable=SC2086 # words
hits $headers
rm one/deep.h
mkdir none
# shellcheck disable=SC2086 # words
differs $headers -- 'none appeared, where a header was looked for in vain, though it is no readable file'
printf '#define H 4\n' >none/h.h
# shellcheck disable=SC2086 # words
differs $headers -- 'header none/h.h appeared, and is found before two/h.h'
rm -r none
rm three/maybe.h
# shellcheck disable=SC2086 # words
differs $headers -- 'header three/maybe.h is gone or cannot be read'
touch three/maybe.h
# shellcheck disable=SC2086 # words
differs -DNEW $headers -- 'macro -DNEW was added'

# One that the text asks for, and that is not there.
printf '#if __has_include("no.h")\n#endif\n__global__ void k() {}\n' >no.cu
stores no.cu
touch no.h
differs no.cu -- 'header no.h appeared, where it was looked for in vain'

# Time stamps count where the object holds them.
printf '#include "beside.h"\n__global__ void k(int *p) { *p = B; }\n' >stamp.cu
tick
stores --option -lineinfo stamp.cu
touch -d '1 hour ago' beside.h
differs --option -lineinfo stamp.cu -- 'header beside.h has another time stamp, which the object holds'

# What was evicted or removed.
stores no.cu
rm -r store/manifest
differs no.cu -- 'nothing but perhaps its headers: which ones it read is not stored any more'
stores no.cu
"$cubby" rm "$("$cubby" key --arch sm_90 no.cu)" || fail "rm"
status 0 "$cubby" explain --arch sm_90 no.cu
prints 'which is not stored any more'
prints '  nothing differs, but the object is not stored any more'
status 0 "$cubby" --json explain --arch sm_90 no.cu
prints '"source":null,"created_at":null},"differences":[{"field":"object"'

echo "$checks checks, $failures failures"
[ $failures -eq 0 ]
