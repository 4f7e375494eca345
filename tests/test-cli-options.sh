#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the command makes of its options, seen by a double of the compiler that writes what it was told.
set -u

build=$(cd "${top_builddir:-.}" && pwd)
cubby=$build/cubby
double=$build/tests/.libs/fake_nvrtc.so
[ -e "$double" ] || { echo "the double $double was not built"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset CUBBY_DISABLE CUBBY_LOG CUDA_HOME CUDA_PATH
export CUBBY_NVRTC="$double" CUBBY_CACHE="file:$work/store"
failures=0
printf 'kernel\n' >k.cu

fail() {
    echo "FAILED: $*"
    sed 's/^/    /' out err | head -n 20
    failures=$((failures + 1))
}

# expect STATUS COMMAND...: runs it into out and err.
expect() {
    wanted=$1
    shift
    "$@" >out 2>err </dev/null
    got=$?
    [ $got -eq "$wanted" ] || fail "$*: exit $got, expected $wanted"
}
prints() { grep -qF -- "$1" out || fail "standard output lacks: $1"; }
says() { grep -qF -- "$1" err || fail "standard error lacks: $1"; }

# tells OPTION... -- WANTED: what the compiler is told for these options.
tells() {
    arguments=
    while [ "$1" != -- ]; do
        arguments="$arguments $1"
        shift
    done
    # shellcheck disable=SC2086 # words
    expect 0 "$cubby" -q compile --no-cache --arch sm_90 -o - $arguments k.cu
    prints ";$2;"
}

# ---- Options of the compiler

tells -DA=1 -- -DA=1
tells -D A=1 -- -DA=1
tells -U B -- -UB
tells -I dir -- -Idir
tells --std c++20 -- --std=c++20
tells --std=c++20 -- --std=c++20
tells -std=c++20 -- --std=c++20
tells --include pre.h -- --pre-include=pre.h
tells --option --fmad=false -- --fmad=false
tells --kind cuda -- --gpu-architecture=sm_90
tells -D C -U D -I e -- '-DC;-UD;-Ie'
# --arch in the compiler's own words asks no driver.
expect 0 "$cubby" -q compile --no-cache --option -arch=sm_80 -o - k.cu
prints sm_80
expect 2 "$cubby" compile --arch sm_90 -stuff k.cu
says '-stuff is no option; expected -std=STD'
expect 2 "$cubby" compile --arch sm_90 --target elf k.cu
says '--target=elf: expected cubin, ptx or ltoir'
expect 2 "$cubby" compile --arch sm_90 --kind fortran k.cu
says '--kind=fortran'
for jobs in 0 -1 1025 x ''; do
    expect 2 "$cubby" compile --arch sm_90 -j "$jobs" k.cu
    says "expected a number from 1 to 1024"
done

# The key knows the difference, and where there is none.
key_of() { "$cubby" key --arch sm_90 "$@" k.cu; }
[ "$(key_of -std=c++20)" = "$(key_of --std c++20)" ] || fail "-std= and --std differ"
[ "$(key_of -DA=1)" != "$(key_of -DA=2)" ] || fail "a macro does not count"
expect 2 "$cubby" key --arch sm_90
says 'a source file is missing'
expect 2 "$cubby" key --arch sm_90 k.cu k.cu
says 'one source file is expected'
expect 2 "$cubby" key --arch sm_90 no-such.cu
says 'no-such.cu'
expect 0 "$cubby" --json key --explain --arch sm_90 k.cu
prints '"fields":[{"name":"schema"'
echo '// __TIME__' | cat - k.cu >time.cu
expect 0 "$cubby" key --arch sm_90 time.cu
says 'time.cu is not kept under this key: it uses __TIME__'

# ---- The GPU's own architecture

gpu="$build/tests/.libs/fake_cuda.so"
expect 0 env CUBBY_CUDA="$gpu" "$cubby" --json compile -o k.cubin k.cu
prints '"arch":"sm_90"'
expect 3 env CUBBY_CUDA="$gpu" FAKE_CUDA_DEVICES=0 "$cubby" compile k.cu
says 'pass --arch'
expect 0 env CUBBY_CUDA="$gpu" "$cubby" doctor
prints 'GPU        Fake GPU 0 (sm_90), driver for CUDA 13.0'
prints 'NVRTC      13.90'
expect 0 env CUBBY_CUDA="$gpu" "$cubby" --json doctor
prints '"device":{"name":"Fake GPU 0","arch":"sm_90","count":1,"driver_version":13000}'
expect 3 env CUBBY_NVRTC=/dev/null "$cubby" doctor
prints '/dev/null'
expect 3 env CUBBY_NVRTC="$gpu" "$cubby" doctor
prints 'has no nvrtcVersion: it is not NVRTC; set CUBBY_NVRTC to libnvrtc.so'
# Whatever this machine has where nobody points at it: a compiler, or the places that were looked at.
env -u CUBBY_NVRTC HOME="$work" "$cubby" doctor >out 2>err
case $? in
    0) prints 'identity   nvrtc ' ;;
    3) prints 'CUBBY_NVRTC (not set)'; prints 'CUDA_HOME (not set)' ;;
    *) fail "doctor without a hint" ;;
esac
expect 0 env CUBBY_DISABLE=1 "$cubby" doctor
prints 'none: storage is turned off'
touch not-a-folder
expect 0 "$cubby" --cache file:not-a-folder doctor
prints not-a-folder

# ---- No place for a cache, or none asked for

homeless() { env -u HOME -u XDG_CACHE_HOME -u CUBBY_CACHE "$@"; }
mkdir homeless
for files in k.cu '-j 2 k.cu time.cu'; do
    # shellcheck disable=SC2086 # words
    expect 0 homeless "$cubby" compile --no-cache --arch sm_90 -o homeless $files
    says 'k.cubin  compiled'
    ! grep -q 'no place for the cache' err || fail "--no-cache asks for a place"
    # shellcheck disable=SC2086 # words
    expect 0 homeless "$cubby" compile --arch sm_90 -o homeless $files
    says 'k.cubin  compiled'
    says 'no place for the cache: neither CUBBY_CACHE nor XDG_CACHE_HOME nor HOME is set'
done
expect 0 homeless "$cubby" --json compile --arch sm_90 -o k.cubin k.cu
prints '"reason":"no store is in use"'
expect 0 homeless "$cubby" key --arch sm_90 k.cu
expect 4 homeless "$cubby" stats
says 'no place for the cache'
# With --no-cache no store is opened, whatever the spec says of it.
expect 0 "$cubby" --cache "file:$work/never" compile --no-cache --arch sm_90 -o k.cubin k.cu
[ ! -e never ] || fail "--no-cache makes a store"

# ---- How much is said

expect 0 "$cubby" -q compile --refresh --arch sm_90 k.cu
[ ! -s err ] || fail "-q is not quiet"
printf 'FAKE_WARNING\n' >warning.cu
expect 0 "$cubby" compile --arch sm_90 warning.cu
says 'warning.cu(1): warning: as you wish'
printf 'FAKE_ERROR_6 without a newline' >bad.cu
expect 1 "$cubby" -q compile --arch sm_90 bad.cu
says 'fake error log'
printf 'kernel \377\n' >latin.cu
expect 0 "$cubby" --json compile --arch sm_90 latin.cu
says 'not valid UTF-8 at offset 7'
expect 0 env CUBBY_LOG=error "$cubby" --json compile --arch sm_90 latin.cu
[ ! -s err ] || fail "CUBBY_LOG=error is not quiet"
# A name that is no UTF-8 still makes a line of JSON.
name=$(printf 'n\377.cu')
cp k.cu "$name"
expect 0 "$cubby" --json compile --arch sm_90 "$name"
prints '"source":"n?.cu"'

# ---- Several processes

for i in 1 2 3 4 5; do printf 'kernel %s\n' $i >"part$i.cu"; done
expect 0 "$cubby" -q -v --cache "file:$work/jobs" compile -j 3 --arch sm_90 part*.cu
expect 0 "$cubby" --json --cache "file:$work/jobs" compile -j 3 --arch sm_90 part*.cu
[ "$(grep -c '"outcome":"hit"' out)" -eq 5 ] || fail "5 hits were expected"
# One that ends in the middle takes its own file with it, and no other.
printf 'FAKE_CRASH\n' >crash.cu
expect 1 "$cubby" --json compile -j 2 --arch sm_90 crash.cu part*.cu
says 'crash.cu: the process that compiled it ended before it answered'
[ "$(grep -c '"outcome":"\(hit\|compiled\)"' out)" -eq 5 ] || fail "the other 5 were expected"
for i in 1 2 3; do cp crash.cu "crash$i.cu"; done
expect 1 "$cubby" --json compile -j 2 --arch sm_90 crash*.cu
[ "$(grep -c '"outcome":"error"' out)" -eq 4 ] || fail "4 errors were expected"
expect 2 "$cubby" --json compile -j 2 --arch sm_90 no-such.cu part1.cu
prints '"outcome":"error"'

# ---- Stored objects

key=$(key_of)
expect 0 "$cubby" compile --arch sm_90 --name 'f<int>' warning.cu
expect 0 "$cubby" show "$("$cubby" key --arch sm_90 --name 'f<int>' warning.cu)"
prints 'name        f<int> -> _Z_f<int>'
prints 'warning.cu(1): warning'
expect 2 "$cubby" show
says 'one key is expected'
expect 2 "$cubby" rm
says 'a key is missing'
expect 2 "$cubby" ls "$key"
says 'nothing is expected here'
expect 2 "$cubby" rm nonsense
expect 2 "$cubby" --cache 'file:x?y' ls
expect 4 "$cubby" --cache file:not-a-folder ls
expect 2 "$cubby" --cache 'file:x?y' key --arch sm_90 k.cu
expect 0 "$cubby" get "$key" -o copy
expect 2 "$cubby" get "$key" -o /no/such/folder/copy
expect 2 "$cubby" get "$key"
says '-o FILE is missing'

# A standard output that is full is no success.
if [ -w /dev/full ]; then
    if "$cubby" ls >/dev/full 2>err; then fail "ls into a full device"; fi
    says 'standard output could not be written'
    if "$cubby" get "$key" -o /dev/full 2>err; then fail "get into a full device"; fi
fi
# A stream that is closed is no other file, which was opened in its place.
if "$cubby" compile --arch sm_90 -o closed - <&- 2>err; then fail "compile of a closed input"; fi
says 'cannot read the standard stream: Bad file descriptor'
if "$cubby" import - <&- 2>err; then fail "import from a closed input"; fi
grep -q 'has no libarchive' err || says 'Bad file descriptor'
if "$cubby" --json ls >&- 2>err; then fail "ls into a closed output"; fi
says 'standard output could not be written'
[ $failures -eq 0 ]
