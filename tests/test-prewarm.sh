#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cubby prewarm, with the real compiler and without a GPU.
set -u

top=$(cd "${top_srcdir:-$(dirname "$0")/..}" && pwd)
cubby=$(cd "${top_builddir:-.}" && pwd)/cubby
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset CUBBY_DISABLE CUBBY_LOG
export CUBBY_CACHE="file:$work/store"
export CUBBY_CUDA=/nowhere/libcuda.so.1 # a driver is never asked for
# shellcheck source=tests/cli-harness.sh
. "$top/tests/cli-harness.sh"
need_nvrtc

says() { grep -qF -- "$1" err || { sed 's/^/    /' err; return 1; }; }
prints() { grep -qF -- "$1" out || { sed 's/^/    /' out; return 1; }; }
outcomes() { # WANTED COUNT
    [ "$(grep -c "\"outcome\":\"$1\"" out)" -eq "$2" ] || { sed 's/^/    /' out; return 1; }
}
no_temporaries() { [ -z "$(find . -name '*.bin.*' ! -name '*.lock')" ]; }

# Two programs of which one may be specialised; each reads a header of its own.
mkdir e
cat >e/two.json <<'END'
{"cubby_engine": 1, "name": "two",
 "dims": [{"name": "n", "min": 1, "opt": 64, "max": 4096}, {"name": "m", "min": 1, "opt": 2, "max": 16}],
 "tensors": [{"name": "x", "dtype": "float32", "role": "input", "shape": ["n", "m"]},
             {"name": "t", "dtype": "float32", "role": "scratch", "shape": ["n", "m"]},
             {"name": "y", "dtype": "float32", "role": "output", "shape": ["n", "m"]}],
 "programs": [{"name": "first", "source": "first.cu", "specialize": ["n"]},
              {"name": "second", "source": "second.cu"}],
 "launches": [{"program": "first", "kernel": "scale<float>", "grid": [["ceil_div", ["mul", "n", "m"], 64]], "block": [64],
               "arguments": [{"tensor": "x", "access": "read"}, {"tensor": "t", "access": "write"}, {"dim": "n"}, {"dim": "m"}]},
              {"program": "second", "kernel": "add", "grid": [["ceil_div", ["mul", "n", "m"], 64]], "block": [64],
               "arguments": [{"tensor": "t", "access": "read"}, {"tensor": "y", "access": "write"}, {"dim": "n"}, {"dim": "m"}]}]}
END
cat >e/first.cu <<'END'
#include "first.h"
template <typename T> __global__ void scale(const T *x, T *t, int n, int m) {
#ifdef CUBBY_DIM_n
    n = CUBBY_DIM_n;
#endif
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n * m) t[i] = x[i] * FACTOR;
}
END
cat >e/second.cu <<'END'
#include "second.h"
extern "C" __global__ void add(const float *t, float *y, int n, int m) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n * m) y[i] = t[i] + SUMMAND;
}
END
echo '#define FACTOR 2.0f' >e/first.h
echo '#define SUMMAND 1.0f' >e/second.h
echo 'extern "C" __global__ void k() {}' >k.cu
sleep 0.05 # what was written just before a compile may have changed during it

# ---- An engine: compiled, then found

status 0 "$cubby" prewarm --arch sm_90 e/two.json
true_that says 'e/two.json: first, sm_90  compiled'
true_that says 'e/two.json: first for n=64, sm_90  compiled'
true_that says 'e/two.json: second, sm_90  compiled'
true_that says '3 programs: 3 compiled, 0 found, 0 failed'
status 0 "$cubby" --json prewarm --arch sm_90 e/two.json
true_that outcomes hit 3
true_that prints '"program":"first","dims":{"n":64}'
true_that prints '"program":"second","dims":{}'
true_that test ! -s err
status 0 "$cubby" -q prewarm --arch sm_90 e/two.json
true_that test ! -s err -a ! -s out

# An edited header: only what reads it is compiled again.
echo '#define SUMMAND 3.0f' >e/second.h
sleep 0.05
status 0 "$cubby" --json prewarm --arch sm_90 e/two.json
true_that outcomes hit 2
true_that outcomes compiled 1
true_that test "$(sed -n 's/.*"outcome":"compiled".*"program":"\([a-z]*\)".*/\1/p' out)" = second

# Shapes: each value of n is a compile, m is none.
status 0 "$cubby" --json prewarm --arch sm_90 --dims n=8,16,m=1,2 --dims n=64 e/two.json
true_that outcomes compiled 2
true_that outcomes hit 5
for n in 8 16; do true_that prints "\"dims\":{\"n\":$n}"; done
# Each architecture is another.
status 0 "$cubby" --json prewarm --arch sm_80,sm_90 e/two.json
true_that outcomes compiled 3
true_that outcomes hit 3
# What compile makes of a source is what prewarm found or made.
status 0 "$cubby" --json prewarm --arch sm_90 k.cu
true_that outcomes compiled 1
true_that prints '"program":null,"dims":null'
status 0 "$cubby" --json compile -o k.cubin --arch sm_90 k.cu
true_that outcomes hit 1
status 0 "$cubby" --json prewarm --arch sm_90 --target ptx -DA k.cu
true_that prints '"target":"ptx"'
true_that test ! -e k.ptx
status 0 "$cubby" --json compile --target ptx -DA -o k.ptx --arch sm_90 k.cu
true_that outcomes hit 1

# Architectures by commas, or one after the other.
status 0 "$cubby" --json prewarm --arch sm_90 --arch sm_80 k.cu
true_that prints '"arch":"sm_90"'
true_that prints '"arch":"sm_80"'

# ---- Workers

status 0 "$cubby" --json --cache "file:$work/many" prewarm -j 3 --arch sm_80,sm_90 --dims n=1,2,3 e/two.json k.cu
true_that outcomes compiled 12
status 0 "$cubby" --cache "file:$work/many" prewarm -j 3 --arch sm_80,sm_90 --dims n=1,2,3 e/two.json k.cu
true_that says '12 programs: 0 compiled, 12 found, 0 failed'

# What is compiled and cannot be stored was compiled for nothing.
status 4 "$cubby" --cache "file:$work/many?read_only=1" prewarm --arch sm_90 --dims n=9 e/two.json
true_that says '3 programs: 1 compiled, 2 found, 0 failed'
true_that says '1 of the programs that were compiled could not be stored'
status 4 "$cubby" -q --cache "file:$work/many?read_only=1" prewarm -j 2 --arch sm_90 --dims n=9,10 e/two.json
true_that says '2 of the programs that were compiled could not be stored'
status 0 "$cubby" --cache "file:$work/many?read_only=1" prewarm --arch sm_90 --dims n=1 e/two.json

# ---- A runtime cache

status 0 "$cubby" --json prewarm --arch sm_90 --runtime-cache kernels.bin e/two.json
true_that outcomes hit 3
true_that test -s kernels.bin
status 0 "$cubby" --json --cache "file:$work/other" prewarm --arch sm_90 --runtime-cache kernels.bin e/two.json
true_that outcomes hit 3
true_that prints '"tier":"runtime"'
# What it has comes into a store that lacks it.
status 0 "$cubby" --json --cache "file:$work/other" prewarm --arch sm_90 e/two.json
true_that outcomes hit 3
# So does what one store has into those after it, of sources too.
status 0 "$cubby" --json --cache "file:$work/store,file:$work/behind" prewarm --arch sm_90 k.cu e/two.json
true_that outcomes hit 4
status 0 "$cubby" --json --cache "file:$work/behind" prewarm --arch sm_90 k.cu e/two.json
true_that outcomes hit 4
# It knows of headers as the cache does.
echo '#define FACTOR 5.0f' >e/first.h
sleep 0.05
status 0 env CUBBY_DISABLE=1 CUBBY_CACHE= "$cubby" --json prewarm --arch sm_90 --runtime-cache kernels.bin e/two.json
true_that outcomes compiled 2
true_that outcomes hit 1
# Several processes add to one.
rm -f many.bin
status 0 "$cubby" --json prewarm -j 4 --arch sm_90 --dims n=1,2,3,4,5 --runtime-cache many.bin e/two.json
status 0 env CUBBY_DISABLE=1 CUBBY_CACHE= "$cubby" --json prewarm --arch sm_90 --dims n=1,2,3,4,5 --runtime-cache many.bin e/two.json
true_that outcomes hit 7
true_that no_temporaries
# In the folder of the engine, what is compiled ahead is found in a copy of it: programs that read
# headers know the engine file by the path that is given.
cp -r e original
uncached() { # FOLDER ARGUMENT...
    (cd "$1" && shift && env CUBBY_DISABLE=1 CUBBY_CACHE= "$cubby" --json prewarm --arch sm_90 "$@")
}
status 0 uncached original --runtime-cache two.bin two.json
true_that outcomes compiled 3
cp -r original copy
status 0 uncached copy --runtime-cache two.bin two.json
true_that outcomes hit 3
status 0 uncached . --runtime-cache copy/two.bin copy/two.json
true_that outcomes compiled 3
# One that cannot be saved was asked for all the same.
echo 'no runtime cache' >other.bin
status 4 "$cubby" prewarm --arch sm_90 --runtime-cache other.bin e/two.json
true_that says 'other.bin'
true_that test "$(cat other.bin)" = 'no runtime cache'
status 4 "$cubby" prewarm -j 2 --arch sm_90 --runtime-cache other.bin e/two.json
true_that says 'other.bin'
# So was the store.
echo >file
status 4 "$cubby" --cache "file:$work/file" prewarm --arch sm_90 e/two.json

# ---- What is refused

status 2 "$cubby" prewarm e/two.json
true_that says 'pass --arch'
status 2 "$cubby" prewarm --arch sm_90,,sm_80 e/two.json
status 2 "$cubby" prewarm --arch sm_90
true_that says 'is missing'
status 2 "$cubby" prewarm --arch sm_80,sm_90 --runtime-cache two.bin e/two.json
true_that says 'one architecture'
status 2 "$cubby" prewarm --arch sm_90 --runtime-cache two.bin k.cu
status 2 "$cubby" prewarm --arch sm_90 --dims n=4 k.cu
status 2 "$cubby" prewarm --arch sm_90 -
status 2 "$cubby" prewarm --arch sm_90 missing.json
status 2 "$cubby" prewarm --arch sm_90 missing.cu
for dims in n=0 n=4097 n= n n=x n=1,m 'n=1,,' n=1,n=2 k=1 =1 '' n=99999999999999999999 n=-1 n=1.5; do
    status 2 "$cubby" prewarm --arch sm_90 --dims "$dims" e/two.json
done
status 2 "$cubby" prewarm --arch sm_90 --dims k=1 e/two.json
true_that says 'it has n, m'
status 2 "$cubby" prewarm --arch sm_90 --dims n=4097 e/two.json
true_that says 'expected 1 to 4096'
seventy=$(seq -s, 1 70)
status 2 "$cubby" prewarm --arch sm_90 --dims "n=$seventy,m=$(seq -s, 1 16)" --dims "n=$(seq -s, 1 3000)" e/two.json
true_that says 'shapes'
sed 's/{"dim": "m"}/{"dim": "k"}/' e/two.json >e/bad.json
status 2 "$cubby" prewarm --arch sm_90 e/bad.json
true_that says '/launches/0/arguments/3'
# The compiler's no, and the rest goes on.
echo 'nonsense' >bad.cu
status 1 "$cubby" prewarm --arch sm_90 bad.cu k.cu
true_that says '2 programs: 0 compiled, 1 found, 1 failed'
status 1 "$cubby" --json prewarm -j 2 --arch sm_90 bad.cu k.cu
true_that outcomes error 1
true_that outcomes hit 1
echo '#error no' >e/second.h
sleep 0.05
status 1 "$cubby" --json prewarm --arch sm_90 e/two.json
true_that outcomes error 1
true_that says second.cu
# The file, the architecture and the shape of what failed.
printf '%s\n' '#ifdef CUBBY_DIM_n' '#error no' '#endif' '#define FACTOR 5.0f' >e/first.h
echo '#define SUMMAND 3.0f' >e/second.h
sleep 0.05
status 1 "$cubby" prewarm --arch sm_90 --dims n=3 e/two.json
true_that says 'cubby: e/two.json for n=3,m=2, sm_90: e/first.cu: the compiler refused the program'
# A kernel that takes other arguments than its launch gives.
sed 's/, {"dim": "m"}\]}\]}/]}]}/' e/two.json >e/less.json
echo '#define SUMMAND 3.0f' >e/second.h
sleep 0.05
status 2 "$cubby" prewarm --arch sm_90 e/less.json
true_that says 'cubby: e/less.json, sm_90: /launches/1/arguments'
status 3 env CUBBY_NVRTC=/nowhere/libnvrtc.so "$cubby" prewarm --arch sm_90 e/two.json

echo "$checks checks, $failures failures"
[ $failures -eq 0 ]
