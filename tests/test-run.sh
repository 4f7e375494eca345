#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cubby run, with the real compiler and a double of the driver whose kernels do nothing: what is
# checked before a driver is asked, files in and out, counters, and what goes wrong on a device.
# tests/test-run-gpu.py looks at the numbers, on a GPU.
set -u

top=$(cd "${top_srcdir:-$(dirname "$0")/..}" && pwd)
build=$(cd "${top_builddir:-.}" && pwd)
cubby=$build/cubby
double=$build/tests/.libs/fake_cuda.so
[ -e "$double" ] || { echo "the double $double was not built"; exit 77; }
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work" || exit 1
unset CUBBY_DISABLE CUBBY_LOG FAKE_CUDA_FAIL
export CUBBY_CACHE="file:$work/store" CUBBY_CUDA="$double"
# shellcheck source=tests/cli-harness.sh
. "$top/tests/cli-harness.sh"
need_nvrtc

says() { grep -qF -- "$1" err || { sed 's/^/    /' err; return 1; }; }
prints() { grep -qF -- "$1" out || { sed 's/^/    /' out; return 1; }; }
lines() { [ "$(wc -l <"$1")" -eq "$2" ]; } # FILE COUNT
holds() { # FILE TEXT: the header of a .npy file
    head -c 128 "$1" | grep -qaF -- "$2"
}
npy() { # FILE TYPE SHAPE BYTES: such a file of zeros
    header="{'descr': '$2', 'fortran_order': False, 'shape': $3, }"
    # shellcheck disable=SC2059 # the length as an octal escape
    printf "\\223NUMPY\\001\\000\\$(printf %o ${#header})\\000%s" "$header" >"$1"
    head -c "$4" /dev/zero >>"$1"
}

cat >e.json <<'END'
{"cubby_engine": 1, "name": "two",
 "dims": [{"name": "n", "min": 1, "opt": 64, "max": 4096}, {"name": "m", "min": 1, "opt": 2, "max": 16}],
 "tensors": [{"name": "x", "dtype": "float32", "role": "input", "shape": ["n", "m"]},
             {"name": "b", "dtype": "bfloat16", "role": "input", "shape": ["m"]},
             {"name": "t", "dtype": "float32", "role": "scratch", "shape": ["n", "m"]},
             {"name": "y", "dtype": "float32", "role": "output", "shape": ["n", "m"]},
             {"name": "z", "dtype": "int8", "role": "output", "shape": []}],
 "programs": [{"name": "first", "source": "first.cu", "specialize": ["n"]},
              {"name": "second", "source": "second.cu"}],
 "launches": [{"program": "first", "kernel": "scale<float>", "grid": [["ceil_div", ["mul", "n", "m"], 64]], "block": [64],
               "arguments": [{"tensor": "x", "access": "read"}, {"tensor": "t", "access": "write"}, {"dim": "n"}, {"dim": "m"}]},
              {"program": "second", "kernel": "add", "grid": [["ceil_div", ["mul", "n", "m"], 64]], "block": [64],
               "arguments": [{"tensor": "t", "access": "read"}, {"tensor": "b", "access": "read"}, {"tensor": "y", "access": "write"},
                             {"tensor": "z", "access": "write"}, {"dim": "n"}, {"dim": "m"}]}]}
END
cat >first.cu <<'END'
template <typename T> __global__ void scale(const T *x, T *t, int n, int m) {
#ifdef CUBBY_DIM_n
    n = CUBBY_DIM_n;
#ifdef BREAK
#error no
#endif
#endif
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n * m) t[i] = x[i] * 2;
}
END
cat >second.cu <<'END'
extern "C" __global__ void add(const float *t, const unsigned short *b, float *y, char *z, int n, int m) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n * m) y[i] = t[i] + __uint_as_float(b[i % m] << 16);
    if (i == 0) *z = 1;
}
END
sleep 0.05 # what was written just before a compile may have changed during it

# ---- A run and what is told of it

status 0 "$cubby" run e.json
true_that lines err 2
true_that says 'n=64,m=2'
true_that says '1 of 2'
status 0 "$cubby" -q run e.json
true_that test ! -s err -a ! -s out
status 0 "$cubby" --json run --dims n=8,16,m=1 --dims m=3 --strategy eager --iterations 5 --warmup 2 e.json
true_that lines out 3
true_that test ! -s err
true_that prints '"dims":{"n":8,"m":1}'
true_that prints '"dims":{"n":64,"m":3}'
true_that prints '"strategy":"eager"'
true_that prints '"counters":{"enqueues":8,"contexts":1,"compiles":1,"runtime_hits":0,"cache_hits":1,'
true_that prints '"counters":{"enqueues":24,'
true_that test "$(grep -c '"programs":2,"specialized":1,' out)" -eq 3
status 0 "$cubby" --json run --strategy none e.json
true_that prints '"programs":2,"specialized":0,'
true_that prints '"generic_runs":14,"specialized_runs":0,'
# Without warm-up nothing is waited for; without iterations nothing is timed but the first run.
status 0 "$cubby" --json run --iterations 0 --warmup 0 e.json
true_that prints '"median_us":null,"p99_us":null,"mean_us":null'
true_that prints '"enqueues":1,'
status 0 "$cubby" run --iterations 0 e.json
true_that lines err 2
# Lazy: the first run is generic, and those after the wait are specialised.
status 0 "$cubby" --json run --dims n=99 e.json
true_that prints '"generic_runs":1,"specialized_runs":13,'
status 0 "$cubby" --json run --cuda-graph e.json
true_that prints '"cuda_graph_strategy":"whole_graph_capture"'
status 0 env FAKE_CUDA_DEVICES=2 FAKE_CUDA_SM=90,80 "$cubby" --json run --device 1 e.json
true_that prints '"device":1,"arch":"sm_80"'

# ---- Outputs

status 0 "$cubby" run --output y=y.npy --output z=z.npy e.json
true_that holds y.npy "{'descr': '<f4', 'fortran_order': False, 'shape': (64, 2), }"
true_that holds z.npy "{'descr': '|i1', 'fortran_order': False, 'shape': (), }"
true_that test "$(wc -c <y.npy)" -eq $((128 + 64 * 2 * 4))
true_that test "$(tail -c +129 y.npy | tr -d '\0' | wc -c)" -eq 0 # outputs begin as zeros
status 0 "$cubby" --json run --dims n=1 --output-dir . --output y=special.npy e.json
true_that prints '"outputs":{"y":"special.npy","z":"./z.npy"}'
true_that holds special.npy "(1, 2)"
mkdir many
status 0 "$cubby" run --dims n=1,2 --output-dir many e.json
true_that test "$(cd many && echo *)" = 'y.n=1,m=2.npy y.n=2,m=2.npy z.n=1,m=2.npy z.n=2,m=2.npy'
"$cubby" -q run --output z=- e.json >z.out 2>err
true_that cmp z.out z.npy
status 0 "$cubby" run --output z=/dev/null e.json
true_that test -c /dev/null
# Whole or not at all: what was there stays.
echo before >kept.npy
status 2 env FAKE_CUDA_FAIL=cuLaunchKernel=700 "$cubby" run --output y=kept.npy e.json
true_that test "$(cat kept.npy)" = before
status 2 "$cubby" run --output y=/dev/full e.json
true_that says '/dev/full'
"$cubby" run --output z=- e.json >&- 2>err
true_that test $? -eq 2
true_that says "cannot write standard output: Bad file descriptor"

# Two outputs in one file would be one output; on standard output both are read one after the other.
status 2 "$cubby" run --output y=same.npy --output z=same.npy e.json
true_that says 'the output y would be written there too'
true_that test ! -e same.npy
"$cubby" -q run --output y=- --output z=- e.json >both.out 2>err
cat y.npy z.npy >both.npy
true_that cmp both.out both.npy

# Files that are named after a shape of many dims: told before anything runs.
cat >long.json <<END
{"cubby_engine": 1, "name": "long", "dims": [$(for i in 1 2 3 4; do
    printf '%s{"name": "dim_%s_%056d", "min": 1, "opt": 2, "max": 8}' "$([ $i = 1 ] || echo ,)" $i 0
done)],
 "tensors": [{"name": "z", "dtype": "int8", "role": "output", "shape": ["dim_1_$(printf %056d 0)"]}],
 "programs": [{"name": "p", "text": "extern \"C\" __global__ void k(char *z) {}"}],
 "launches": [{"program": "p", "kernel": "k", "grid": [1], "block": [1],
               "arguments": [{"tensor": "z", "access": "write"}]}]}
END
status 2 env CUBBY_CUDA=/nowhere/libcuda.so.1 "$cubby" run --dims "dim_1_$(printf %056d 0)=1,2" --output-dir many long.json
true_that says 'run one shape at a time'
status 0 "$cubby" run --dims "dim_1_$(printf %056d 0)=1" --output-dir many long.json

# An engine without dims has one shape.
cat >fixed.json <<'END'
{"cubby_engine": 1, "name": "fixed",
 "tensors": [{"name": "z", "dtype": "int8", "role": "output", "shape": []}],
 "programs": [{"name": "p", "text": "extern \"C\" __global__ void k(char *z) { *z = 1; }"}],
 "launches": [{"program": "p", "kernel": "k", "grid": [1], "block": [1],
               "arguments": [{"tensor": "z", "access": "write"}]}]}
END
status 0 "$cubby" run fixed.json
true_that grep -q '^-  ' err
status 2 "$cubby" run --dims n=1 fixed.json
true_that says 'the engine fixed has no dim "n"; it has none'

# ---- Inputs

npy x.npy '<f4' '(5, 3)' 60
npy b.npy '|V2' '(3,)' 6
status 0 "$cubby" --json run --input x=x.npy --input b=b.npy e.json
true_that prints '"dims":{"n":5,"m":3}' # the files tell
status 0 "$cubby" --json run --input b=b.npy e.json
true_that prints '"dims":{"n":64,"m":3}'
status 0 "$cubby" --json run --dims n=5 --input x=x.npy e.json
status 2 "$cubby" run --dims n=6 --input x=x.npy e.json
true_that says 'x.npy has the shape (5, 3), but x is (6, 3)'
status 2 "$cubby" run --dims n=5,6 --input x=x.npy e.json
npy b4.npy '<u2' '(4,)' 8
status 2 "$cubby" run --input x=x.npy --input b=b4.npy e.json
true_that says 'b4.npy has the shape (4,), but b is (3,)'
npy wide.npy '<f4' '(5, 17)' 340
status 2 "$cubby" run --input x=wide.npy e.json
true_that says 'the dim m of the engine two is 17'
npy half.npy '<f2' '(5, 3)' 30
status 2 "$cubby" run --input x=half.npy e.json
true_that says 'half.npy has the dtype <f2, but x is float32'
npy short.npy '<f4' '(5, 3)' 59
status 2 "$cubby" run --input x=short.npy e.json
true_that says 'short.npy ends after 59 of the 60 bytes'

# ---- Told before a driver is asked: there is none

export CUBBY_CUDA=/nowhere/libcuda.so.1
status 3 "$cubby" run e.json
true_that says 'driver'
true_that says '/nowhere/libcuda.so.1'
status 2 "$cubby" run
true_that says 'an engine file is missing'
status 2 "$cubby" run e.json e.json
status 2 "$cubby" run missing.json
true_that says 'missing.json'
echo '{"cubby_engine": 1}' >bad.json
status 2 "$cubby" run bad.json
true_that says 'bad.json'
status 2 "$cubby" run --strategy often e.json
true_that says 'expected lazy, eager or none'
for wrong in '--iterations -1' '--warmup x' '--device -1' '--seed 1x' '--iterations 10000001' '--dims n=0' '--dims q=1' \
    '--input x' '--input =x.npy' '--input x=' '--input y=x.npy' '--input t=x.npy' '--input x=missing.npy' '--input x=first.cu' \
    '--input x=x.npy --input x=x.npy' '--output x=y.npy' '--output y=nowhere/y.npy' '--output-dir nowhere' '--output-dir e.json' \
    '--dims n=1,2 --output y=y.npy'; do
    # shellcheck disable=SC2086 # words
    status 2 "$cubby" run $wrong e.json
done
status 2 "$cubby" run --dims ' n=1' e.json
true_that says 'the engine two has no dim " n"; it has n, m'
status 2 "$cubby" run --dims n=99999999999999999999 e.json
true_that says '99999999999999999999 is more than any dim can be'
for wrong in -arch=sm_80 --gpu-architecture=sm_80 -DCUBBY_DIM_n=8; do
    status 2 env CUBBY_CUDA="$double" "$cubby" run --option "$wrong" e.json
    true_that says "the option \"$wrong\""
done
status 2 "$cubby" run --input x=x.npy --input nothing=x.npy e.json
true_that says 'the engine two has no input "nothing"; it has x, b'
status 2 "$cubby" --json run --output z=- e.json
true_that says 'standard output'
export CUBBY_CUDA="$double"

# ---- What goes wrong on the machine

status 3 env FAKE_CUDA_DEVICES=0 "$cubby" run e.json
status 3 "$cubby" run --device 1 e.json
true_that says 'no device 1'
status 3 env CUBBY_NVRTC=/nowhere/libnvrtc.so "$cubby" run e.json
status 2 env FAKE_CUDA_MEMORY=4096 "$cubby" --json run --dims n=4096,1 e.json
true_that says 'out of memory'
true_that prints '"error":'
true_that prints '"dims":{"n":1,"m":2}' # the next shape is run all the same
true_that test "$(grep -c '"error":' out)" -eq 1
status 2 env FAKE_CUDA_FAIL=cuLaunchKernel=700 "$cubby" run e.json
true_that says 'CUDA_ERROR_ILLEGAL_ADDRESS'
status 3 env FAKE_CUDA_FAIL=cuLibraryLoadData=209,cuModuleLoadData=209 "$cubby" run e.json
true_that says 'another architecture'
status 1 "$cubby" run --option -DNOTHING --option --no-such-option e.json
true_that says '--no-such-option'
# A GPU that this compiler is too old for, or that is too old for it.
status 1 env FAKE_CUDA_SM=999 "$cubby" run e.json
true_that says 'first.cu: the compiler refused the program: NVRTC'
true_that says 'or the architecture sm_999'
# A specialised kernel that cannot be compiled is no failure of the run.
status 0 "$cubby" --json run -DBREAK e.json
true_that prints '"failures":1,'
true_that prints '"specialized":0,'

# ---- The store and the runtime cache never make it fail

echo >file
status 0 "$cubby" --cache "file:$work/file" run e.json
true_that says 'is not used'
status 0 "$cubby" --json prewarm --arch sm_90 --dims n=64,7 --runtime-cache rt.bin e.json
status 0 env CUBBY_DISABLE=1 CUBBY_CACHE= "$cubby" --json run --dims n=64,7 --strategy eager --runtime-cache rt.bin e.json
true_that prints '"compiles":0,"runtime_hits":3,"cache_hits":0,'
true_that test "$(grep -c '"specialized":1,' out)" -eq 2
# For another architecture it is left out, and replaced.
# It has all that is needed: no compiler has to be there.
compilerless() { env CUBBY_NVRTC=/nowhere/libnvrtc.so CUBBY_DISABLE=1 CUBBY_CACHE= "$cubby" "$@"; }
status 0 compilerless --json run --dims n=64,7 --strategy eager --runtime-cache rt.bin e.json
true_that prints '"compiles":0'
status 0 compilerless run --dims n=65 --strategy eager --runtime-cache rt.bin e.json
true_that says 'first is not specialised: CUBBY_NVRTC names /nowhere/libnvrtc.so'
status 3 compilerless run --runtime-cache empty.bin e.json
status 3 compilerless run e.json
status 0 env FAKE_CUDA_SM=80 "$cubby" run --runtime-cache rt.bin e.json
true_that says 'made for sm_90, and this is sm_80'
echo 'no runtime cache' >other.bin
status 0 "$cubby" run --runtime-cache other.bin e.json
true_that says 'other.bin'
true_that test "$(cat other.bin)" = 'no runtime cache'
status 0 "$cubby" run --runtime-cache new.bin e.json
true_that test -s new.bin

# Four at once that specialise different shapes: the file has the kernels of all.
uncached() { env CUBBY_DISABLE=1 CUBBY_CACHE= "$cubby" --json run --strategy eager --runtime-cache all.bin "$@" e.json; }
pids=
for n in 101 211 307 401; do
    uncached --dims "n=$n" >"out.$n" 2>&1 &
    pids="$pids $!"
done
for pid in $pids; do
    true_that wait "$pid"
done
status 0 uncached --dims n=101,211,307,401
true_that prints '"compiles":0,"runtime_hits":5,"cache_hits":0,'

# ---- A part of the device

status 0 "$cubby" --json run --green-context 16 --dims n=64 e.json
true_that prints '"multiprocessors":16,'
status 0 "$cubby" --json run --green-context 16 --cuda-graph --strategy eager --dims n=64 --warmup 1 --iterations 5 e.json
true_that prints '"captures":1,"updates":0,"replays":7'
status 2 "$cubby" run --green-context 7 e.json
true_that says '8'
status 2 "$cubby" run --green-context 0 e.json

# ---- Graphs

status 0 "$cubby" --json run --cuda-graph --dims n=64 --warmup 1 --iterations 5 e.json
true_that prints '"captures":1,"updates":0,"replays":6'

echo "$checks checks, $failures failures"
[ $failures -eq 0 ]
