#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The example programs, each twice through a cache of its own: first it compiles, then it hits.
set -u

build=$(cd "${top_builddir:-.}" && pwd)
examples=$build/examples/c
engines=$(cd "${top_srcdir:-.}" && pwd)/examples/engines
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset CUBBY_DISABLE CUBBY_NVRTC CUBBY_LOG
failures=0

# expect STATUS PATTERN COMMAND...: its exit status, and a line of its standard output as a pattern.
expect() {
    wanted=$1 pattern=$2
    shift 2
    "$@" >out 2>err
    got=$?
    if [ $got -ne "$wanted" ] || { [ "$pattern" ] && ! grep -qEx -- "$pattern" out; }; then
        echo "FAILED: $*: exit $got, expected $wanted and a line \"$pattern\"; it said:"
        sed 's/^/    /' out err
        failures=$((failures + 1))
    fi
}

export CUBBY_CACHE="file:$work/own"
expect 0 'compiled, 8 bytes: 23 02 23 03 2b 23 04 2a' "$examples/get_or_make" '2 3 + 4 *'
expect 0 'hit, 8 bytes: 23 02 23 03 2b 23 04 2a' "$examples/get_or_make" '2 3 + 4 *'
expect 0 'compiled, 3 bytes: 23 ff 2d' "$examples/get_or_make" '255 -'
# What is refused is not stored, so it is refused again.
for i in 1 2; do
    "$examples/get_or_make" '2 256 +' >out 2>err
    if [ $? -ne 1 ] || ! grep -q 'at "256 +": expected a number' err || [ -s out ]; then
        echo "FAILED: get_or_make took 256, time $i"
        failures=$((failures + 1))
    fi
done

if "$build/cubby" --cache memory doctor >doctor.txt 2>&1; then
    export CUBBY_CACHE="file:$work/minimal"
    expect 0 'saxpy: compiled, [0-9]+ bytes, [0-9.]+ ms' "$examples/minimal" sm_90
    expect 0 'saxpy: hit from file, [0-9]+ bytes, [0-9.]+ ms' "$examples/minimal"
    expect 0 'saxpy: compiled, [0-9]+ bytes, [0-9.]+ ms' "$examples/minimal" sm_80
    "$examples/minimal" sm_9999 >out 2>err
    if [ $? -ne 1 ] || ! grep -q 'gpu-architecture' err; then
        echo "FAILED: minimal did not show what the compiler refused"
        failures=$((failures + 1))
    fi

    # On the driver's double: its kernels do nothing, but where they run is as on a GPU.
    export CUBBY_CACHE="file:$work/serve" CUBBY_CUDA="$build/tests/.libs/fake_cuda.so"
    cp "$engines"/*.json "$engines"/*.cu .
    for engine in mlp attention nbody; do
        expect 0 "$engine.json: 5 runs on 40 multiprocessors, 1 captures, 5 replays" \
            "$examples/serve" 40 5 mlp.json attention.json nbody.json
    done
    expect 1 '' "$examples/serve" 48 5 mlp.json attention.json nbody.json # of 132
    expect 1 '' "$examples/serve" 7 5 nbody.json
    expect 3 '' env CUBBY_CUDA=/nowhere/libcuda.so.1 "$examples/serve" 40 5 nbody.json

    # It passes no options, and finds what was compiled ahead without any, headers or not.
    export CUBBY_CACHE="file:$work/ahead"
    echo >own.h
    echo '#include "own.h"' | cat - nbody.cu >with.cu
    sed 's/nbody\.cu/with.cu/' nbody.json >with.json
    sleep 0.05 # what was written just before a compile may have changed during it
    "$build/cubby" -q prewarm --no-toolkit-include --arch sm_90 with.json
    expect 0 'with.json: 1 runs on 40 multiprocessors, 1 captures, 1 replays' \
        "$examples/serve" 40 1 with.json
    "$build/cubby" --json stats | grep -q '"compiles":2,' ||
        { echo "FAILED: serve does not find what was compiled ahead"; failures=$((failures + 1)); }
    unset CUBBY_CUDA

    export CUBBY_CACHE="memory,file:$work/threads"
    all='32 requests of 8 threads:'
    expect 0 "$all [0-9]+ hit [1-9][0-9]* compiled [0-9]+ waited 0 uncacheable 0 error" "$examples/threads"
    expect 0 "$all 32 hit 0 compiled 0 waited 0 uncacheable 0 error" "$examples/threads" sm_90
    expect 0 "all threads have the same objects" "$examples/threads"
    [ "$("$build/cubby" --json ls | grep -c '"tier":"file"')" -eq 4 ] ||
        { echo "FAILED: threads did not leave 4 objects"; failures=$((failures + 1)); }
elif [ $failures -eq 0 ]; then
    echo "get_or_make passed; minimal and threads need NVRTC, which is not on this machine"
    exit 77
fi
[ $failures -eq 0 ]
