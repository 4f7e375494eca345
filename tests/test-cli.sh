#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The command's contract, with the real compiler: outcomes, output, exit codes.
set -u

top=$(cd "${top_srcdir:-$(dirname "$0")/..}" && pwd)
cubby=$(cd "${top_builddir:-.}" && pwd)/cubby
kernels=$top/examples/kernels
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work" || exit 1
unset CUBBY_CACHE CUBBY_DISABLE CUBBY_LOG
# shellcheck source=tests/cli-harness.sh
. "$top/tests/cli-harness.sh"
need_nvrtc

says() { grep -q -- "$1" err || { sed 's/^/    /' err; return 1; }; }
prints() { grep -q -- "$1" out || { sed 's/^/    /' out; return 1; }; }
outcomes() { # WANTED COUNT
    [ "$(grep -c "\"outcome\":\"$1\"" out)" -eq "$2" ]
}

mkdir k; cp "$kernels"/*.cu k; cp k/saxpy.cu k/scan.cu k/templates.cu .
count=$(find k -name "*.cu" | wc -l)

# ---- Every target through every store: compiled, then hit, and the same bytes as without a cache

for target in cubin ptx ltoir; do
    mkdir -p "plain-$target"
    status 0 "$cubby" --json --cache memory compile --arch sm_90 --target $target --no-cache -o plain-$target k/*.cu
    true_that outcomes compiled "$count"
    for spec in file:f sqlite:s.db memory,file:m memory,sqlite:ms.db file:t1,sqlite:t2.db; do
        case $spec in *sqlite*) "$cubby" --cache sqlite:probe.db stats >/dev/null 2>&1 || continue ;; esac
        for wanted in compiled hit; do
            rm -rf result
            mkdir result
            status 0 "$cubby" --json --cache "$spec" compile --arch sm_90 --target $target -o result k/*.cu
            true_that outcomes $wanted "$count"
            true_that diff -r result plain-$target
        done
    done
done
status 0 "$cubby" --json --cache memory compile --arch sm_90 -o /dev/null saxpy.cu saxpy.cu
true_that outcomes compiled 1
true_that outcomes hit 1

# ---- The stored objects

status 0 "$cubby" --cache file:f --json ls
true_that [ "$(wc -l <out)" -eq $((3 * count)) ]
status 0 "$cubby" --cache file:f ls
status 0 "$cubby" --cache file:f key --arch sm_90 saxpy.cu
key=$(cat out)
true_that [ ${#key} -eq 64 ]
status 0 "$cubby" --cache file:f get "$key" -o got.cubin
true_that cmp got.cubin plain-cubin/saxpy.cubin
status 0 "$cubby" --cache file:f get "$key" -o -
true_that cmp out plain-cubin/saxpy.cubin
status 0 "$cubby" --cache file:f show "$key"
true_that prints 'toolchain   NVRTC'
status 0 "$cubby" --cache file:f --json show "$key"
true_that prints '"arch":"sm_90"'
status 0 "$cubby" --cache file:f key --explain --arch sm_90 saxpy.cu
true_that prints 'toolchain .*build-id'
true_that prints 'architecture *sm_90'
status 0 "$cubby" --cache file:f rm "$key"
status 4 "$cubby" --cache file:f get "$key" -o x
status 4 "$cubby" --cache file:f rm "$key"
status 2 "$cubby" --cache file:f get nonsense -o x
status 2 "$cubby" --cache file:f get "$key"
status 0 "$cubby" --cache file:f --json stats
for field in hits misses compiles waits entries bytes evictions corrupt errors; do
    true_that prints "\"$field\":[0-9]"
done
true_that prints "\"entries\":$((3 * count - 1)),"
status 0 "$cubby" --cache file:f stats --zero
status 0 "$cubby" --cache file:f --json stats
true_that prints '"hits":0,'
status 0 "$cubby" --cache file:f clear
status 0 "$cubby" --cache file:f --json stats
true_that prints '"entries":0,'

# ---- Names, headers, logs

status 0 "$cubby" --json --cache file:n compile --arch sm_90 --name 'example::map<float, example::Square>' templates.cu
true_that prints '"example::map<float, example::Square>":"_ZN7example3mapIfNS_6SquareEEEvPKT_PS2_j"'
status 0 "$cubby" --json --cache file:n compile --arch sm_90 --name 'example::map<float, example::Square>' templates.cu
true_that outcomes hit 1
true_that prints '"example::map<float, example::Square>":"_ZN7example3mapIfNS_6SquareEEEvPKT_PS2_j"'
printf '__global__ void k() { int unused; }\n' >warn.cu
for i in 1 2; do
    status 0 "$cubby" --cache file:n compile --arch sm_90 warn.cu
    true_that says 'warn.cu(1): warning'
done
if ! grep -q '^headers *not found' doctor.txt; then
    printf '#include <cuda_fp16.h>\n__global__ void k(__half *x) { *x = 1; }\n' >half.cu
    for wanted in compiled hit; do
        status 0 "$cubby" --json --cache file:n compile --arch sm_90 -std=c++17 half.cu
        true_that outcomes $wanted 1
    done
    status 1 "$cubby" --cache file:n compile --arch sm_90 --no-toolkit-include half.cu
fi

# ---- Headers that cannot be tracked are compiled and not kept, with the reason

mkdir untracked
printf '#define P(a, b) a##b\n__device__ const char t[] = P(__TI, ME__);\n' >untracked/time.h
printf '#define lib other\n#define HAS(x) __has_include(x)\n#if HAS(<lib/a.h>)\n#endif\n' >untracked/has.h
printf '#define NAME <x.h>\n#if __has_include(NAME)\n#endif\n' >untracked/name.h
untracked() { # HEADER REASON
    printf '#include "untracked/%s"\n__global__ void k() {}\n' "$1" >untracked.cu
    status 0 "$cubby" --json --cache file:n compile --arch sm_90 untracked.cu
    true_that outcomes uncacheable 1
    true_that prints "$2"
}
untracked time.h 'can make __TIME__ out of pieces'
untracked has.h 'defines lib, which changes what'
untracked name.h '__has_include(NAME)\\": which file it asks for cannot be told'


# ---- The compiler refuses

printf '__global__ void k() { nonsense }\n' >bad.cu
status 0 "$cubby" --cache file:n clear
status 1 "$cubby" --json --cache file:n compile --arch sm_90 bad.cu
true_that says 'nonsense" is undefined'
true_that outcomes error 1
status 1 "$cubby" --cache file:n compile --arch sm_9999 saxpy.cu
true_that says 'invalid value for --gpu-architecture'
status 1 "$cubby" --cache file:n compile --arch sm_90 --option --no-such-option saxpy.cu
true_that says 'unrecognized option'
status 1 "$cubby" --cache file:n compile --arch sm_90 --name 'no_such_kernel<int>' saxpy.cu
status 0 "$cubby" --cache file:n --json stats
true_that prints '"entries":0,'
true_that [ ! -e bad.cubin ]

# ---- Bad input

status 2 "$cubby"
status 2 "$cubby" nonsense
status 2 "$cubby" compile
status 2 "$cubby" compile --no-such-flag x.cu
status 2 "$cubby" --cache file:n compile --arch sm_90 no-such-file.cu
true_that says 'no-such-file.cu: No such file'
status 2 "$cubby" --cache file:n compile --arch sm_90 .
printf 'a\0b' >nul.cu
status 2 "$cubby" --cache file:n compile --arch sm_90 nul.cu
true_that says 'NUL byte at offset 1'
head -c 4096 /dev/urandom >binary.cu
"$cubby" --cache file:n compile --arch sm_90 binary.cu >out 2>err
case $? in 1 | 2) ;; *) true_that false "binary.cu" ;; esac
: >empty.cu
status 0 "$cubby" --cache file:n compile --arch sm_90 empty.cu
status 2 "$cubby" --cache 'file:n?colour=red' compile --arch sm_90 saxpy.cu
true_that says '"colour"'
status 2 "$cubby" --cache file:n compile --arch sm_90 --option --time=t.csv saxpy.cu
true_that says 'would not be written on a hit'
status 2 "$cubby" --cache file:n compile --arch sm_90 -o one saxpy.cu scan.cu
true_that says 'both be written to one'
status 2 "$cubby" --cache file:n compile --arch sm_90 -o /no/such/folder/x saxpy.cu
status 2 "$cubby" --json --cache file:n compile --arch sm_90 -o - saxpy.cu
status 2 "$cubby" --cache file:n compile --arch compute_90 saxpy.cu
true_that says 'real architecture'
status 2 "$cubby" --cache file:n compile --arch sm_90 -j 0 saxpy.cu
# What can be compiled is, whatever stands beside it.
status 2 "$cubby" --json --cache file:n compile --arch sm_90 no-such-file.cu saxpy.cu
true_that outcomes error 1
true_that prints '"source":"saxpy.cu".*"outcome":"\(compiled\|hit\)"'
env CUDA_VISIBLE_DEVICES= CUBBY_CUDA=/dev/null "$cubby" --cache file:n compile saxpy.cu >out 2>err
true_that [ $? -eq 3 ]
true_that says 'pass --arch'
status 3 env CUBBY_NVRTC=/no/such/libnvrtc.so "$cubby" --cache file:n compile --arch sm_90 saxpy.cu
true_that says '/no/such/libnvrtc.so'

# ---- Outputs

echo old >output
chmod 640 output
ln -s output link
status 0 "$cubby" --cache file:n compile --arch sm_90 -o link saxpy.cu
true_that cmp output plain-cubin/saxpy.cubin
true_that [ -h link ]
true_that [ "$(stat -c %a output)" = 640 ]
status 0 "$cubby" --cache file:n compile --arch sm_90 -o /dev/null saxpy.cu
true_that [ -c /dev/null ]
status 0 "$cubby" --cache file:n compile --arch sm_90 -o - - 
true_that [ ! -e - ]
status 1 "$cubby" --cache file:n compile --arch sm_90 -o output bad.cu
true_that cmp output plain-cubin/saxpy.cubin

# ---- Stores that fail never fail the compile

echo "not a folder" >file-store
status 0 "$cubby" --json --cache file:file-store compile --arch sm_90 saxpy.cu
true_that outcomes compiled 1
true_that prints '"reason":"no store is in use"'
true_that says 'this store is not used'
status 4 "$cubby" --cache file:file-store stats
status 0 env CUBBY_DISABLE=1 "$cubby" --json compile --arch sm_90 saxpy.cu
true_that outcomes compiled 1
mkdir -m 777 open-store
status 0 "$cubby" --json --cache file:open-store compile --arch sm_90 saxpy.cu
true_that says 'can be written by others'
status 0 "$cubby" --cache file:n compile --arch sm_90 saxpy.cu
status 0 "$cubby" --json --cache 'file:n?read_only=1' compile --arch sm_90 saxpy.cu
true_that outcomes hit 1
status 0 "$cubby" --json --cache 'file:n?read_only=1' compile --arch sm_80 saxpy.cu
true_that outcomes compiled 1
status 0 "$cubby" --json --cache 'file:n?read_only=1' compile --arch sm_80 saxpy.cu
true_that outcomes compiled 1
for entry in n/object/*/*; do
    printf X | dd of="$entry" bs=1 seek=100 conv=notrunc 2>/dev/null
done
status 0 "$cubby" --json --cache file:n compile --arch sm_90 saxpy.cu
true_that outcomes compiled 1
true_that cmp saxpy.cubin plain-cubin/saxpy.cubin
status 0 "$cubby" --json --cache file:n compile --arch sm_90 saxpy.cu
true_that outcomes hit 1

# ---- Many at once

for spec in file:crowd sqlite:crowd.db; do
    case $spec in *sqlite*) [ -e s.db ] || continue ;; esac
    for i in 1 2 3 4 5 6 7 8; do
        mkdir -p "crowd-$i"
        "$cubby" --json --cache $spec compile --arch sm_90 -o "crowd-$i" k/*.cu >"crowd-$i.json" 2>"crowd-$i.err" &
    done
    wait
    true_that [ "$(cat crowd-*.json | grep -c '"outcome":"compiled"')" -eq "$count" ]
    for i in 1 2 3 4 5 6 7 8; do
        true_that diff -r "crowd-$i" plain-cubin
        true_that [ ! -s "crowd-$i.err" ]
        true_that [ "$(grep -c '"outcome":"\(hit\|waited\|compiled\)"' "crowd-$i.json")" -eq "$count" ]
        rm -rf "crowd-$i"
    done
    status 0 "$cubby" --json --cache $spec compile --arch sm_90 -o plain-cubin k/*.cu
    true_that outcomes hit "$count"
done
mkdir jobs
status 0 "$cubby" --json --cache file:jobs-store compile -j 4 --arch sm_90 -o jobs k/*.cu
true_that outcomes compiled "$count"
true_that diff -r jobs plain-cubin
status 1 "$cubby" --json --cache file:jobs-store compile -j 3 --arch sm_90 k/*.cu bad.cu
true_that outcomes error 1

# ---- Names that are not UTF-8, sources that must not be lost, stores that may not be written

odd=$(printf 'odd\377.cu')
cp saxpy.cu "$odd"
status 0 "$cubby" --cache file:odd --json compile --arch sm_90 -o odd.cubin "$odd"
status 0 "$cubby" --cache file:odd --json ls
true_that prints '"source":"odd?.cu"'
status 0 "$cubby" --cache file:odd --json key --explain --arch sm_90 "$odd"
true_that prints '"source":"odd?.cu"'
status 0 "$cubby" --cache "file:/proc/$odd" --json doctor
true_that prints '/proc/odd?'
status 0 "$cubby" --cache file:odd --json key --arch sm_90 "$odd"
key=$(sed 's/.*"key":"\([0-9a-f]*\)".*/\1/' out)
status 0 "$cubby" --cache file:odd --json show "$key"
true_that prints '"source":"odd?.cu"'
status 4 "$cubby" --cache 'file:odd?read_only=1' rm "$key"
true_that says 'opened read-only'
status 0 "$cubby" --cache 'file:other,file:odd?read_only=1' compile --arch sm_90 -o o saxpy.cu
status 0 "$cubby" --cache file:other key --arch sm_90 saxpy.cu
key=$(cat out)
status 0 "$cubby" --cache 'file:other,file:odd?read_only=1' rm "$key"
status 4 "$cubby" --cache 'file:other,file:odd?read_only=1' rm "$key"
true_that says 'no store holds the key'
cp saxpy.cu mine.ptx
status 2 "$cubby" --cache file:odd compile --kind cuda --target ptx --arch sm_90 mine.ptx
true_that cmp mine.ptx saxpy.cu
status 2 "$cubby" --cache file:odd compile --arch sm_90 /dev/zero
true_that says 'longer than'
cp saxpy.cu privileged; chmod 4755 privileged
status 0 "$cubby" --cache file:odd compile --arch sm_90 -o privileged saxpy.cu
true_that [ ! -u privileged ]

# ---- Stores that others could write

mkdir -m 1777 sticky
if "$cubby" --cache sqlite:probe.db stats >/dev/null 2>&1; then
    status 4 "$cubby" --cache sqlite:sticky/x.db stats
    true_that says 'sticky can be written by others'
fi
status 4 "$cubby" --cache file:sticky stats
status 0 "$cubby" --cache file:trusted stats
chmod 777 trusted/object
status 4 "$cubby" --cache file:trusted stats
true_that says 'trusted/object can be written by others'
status 0 "$cubby" --cache file:trusted compile --arch sm_90 saxpy.cu

# ---- Help

status 0 "$cubby" --help
true_that prints compile
status 0 "$cubby" --version
for verb in compile link run prewarm key explain stats ls show get rm clear verify trim export import doctor; do
    status 0 "$cubby" $verb --help
    true_that prints Usage
done

echo "$checks checks, $failures failures"
[ $failures -eq 0 ]
