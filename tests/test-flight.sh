#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Several commands that compile the same at the same time, with the real compiler: one compiles.
set -u

cubby=$(cd "${top_builddir:-.}" && pwd)/cubby
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset CUBBY_CACHE CUBBY_DISABLE CUBBY_NVRTC CUBBY_LOG
failures=0 checks=0

"$cubby" --cache memory doctor >doctor.txt 2>&1
if [ $? -eq 3 ]; then
    echo "no NVRTC on this machine"
    exit 77
fi

# true_that COMMAND...: the command must succeed.
true_that() {
    checks=$((checks + 1))
    if ! "$@"; then
        echo "FAILED: $spec: $*"
        failures=$((failures + 1))
    fi
}

counts() { "$cubby" --cache "$spec" --json stats | grep -q "\"$1\":$2,"; }
outcomes() { [ "$(cat out.* | grep -c "\"outcome\":\"$1\"")" -eq "$2" ]; }
no_locks() { [ -z "$(find . -path '*flights/*')" ]; }
await_lock() { until [ -n "$(find . -path '*flights/*')" ]; do sleep 0.01; done; }
# In the background only: the process that is started is the command itself, for signals to reach.
launch() { exec "$cubby" --cache "$spec" --json compile --arch sm_90 "$@"; }

# A program that takes a second or so, one that reads headers, one that is wrong.
{
    for i in 1 2; do
        echo "__global__ void k$i(float *a) {
#pragma unroll
for (int i = 0; i < 64; i++) a[i] = sinf(a[i] * $i) + a[i + 1] / a[i + 2]; }"
    done
} >slow.cu
printf '#include "part.h"\n#include <cuda_fp16.h>\n__global__ void k(__half *a) { *a = PART; }\n' >reads.cu
echo '#define PART 1' >part.h
echo '__global__ void k() { wrong; }' >wrong.cu

for spec in file:f sqlite:s.db memory,file:m; do
    case $spec in *sqlite*) "$cubby" --cache $spec stats >/dev/null 2>&1 || continue ;; esac
    rm -f out.*

    # Four at once.
    for i in 1 2 3 4; do
        mkdir -p "$i.d"
        launch -o "$i.d" slow.cu reads.cu >out.$i 2>err.$i &
    done
    wait
    true_that counts compiles 2
    true_that outcomes compiled 2
    true_that test "$(cat out.* | grep -cE '"outcome":"(hit|waited)"')" -eq 6
    true_that grep -q '"outcome":"waited","tier":null' out.1 out.2 out.3 out.4
    for i in 2 3 4; do
        true_that cmp -s 1.d/slow.cubin $i.d/slow.cubin
        true_that cmp -s 1.d/reads.cubin $i.d/reads.cubin
    done
    true_that counts errors 0
    true_that no_locks

    # The one that compiles is killed: the next one does it.
    "$cubby" --cache "$spec" clear
    launch slow.cu >out.1 2>err.1 &
    first=$!
    await_lock
    launch slow.cu >out.2 2>err.2 &
    second=$!
    sleep 0.1
    kill -KILL $first
    true_that wait $second
    true_that grep -q '"outcome":"compiled"' out.2
    true_that no_locks

    # It is stopped: the next one gives up waiting.
    "$cubby" --cache "$spec" clear
    launch slow.cu >out.1 2>err.1 &
    first=$!
    await_lock
    kill -STOP $first
    "$cubby" --cache "$spec?flight_timeout=1" --json compile --arch sm_90 -o 2.d slow.cu >out.2 2>err.2
    true_that grep -q '"outcome":"compiled"' out.2
    true_that grep -q 'still making the same entry' err.2
    kill -CONT $first
    true_that wait $first
    true_that no_locks

    # Each is told what is wrong.
    for i in 1 2 3; do launch wrong.cu >out.$i 2>err.$i & done
    wait
    for i in 1 2 3; do true_that grep -q 'wrong.cu(1): error' err.$i; done
    true_that no_locks
done

echo "$checks checks, $failures failed"
[ $failures -eq 0 ]
