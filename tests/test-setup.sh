#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# scripts/setup on a machine without a CUDA toolkit: a fresh copy of the sources, the toolkit hidden.
# It fetches NVIDIA's wheels and builds, so it runs where asked to: in CI, or with CUBBY_TEST_SETUP=1.
set -u

skip() { echo "$*"; exit 77; }

# ---- Outside: can it be tried at all? ------------------------------------------------------

if [ "${1:-}" != inside ]; then
    top=$(cd "${top_srcdir:-$(dirname "$0")/..}" && pwd)
    [ "${CI:-}" = true ] || [ "${CUBBY_TEST_SETUP:-}" = 1 ] ||
        skip "fetches and builds a lot: set CUBBY_TEST_SETUP=1 to run it"
    [ "$(cd "${top_builddir:-.}" && pwd)" = "$top/build" ] || skip "is run from build/ alone, as it uses nothing of what is built there"
    command -v unshare >/dev/null || skip "unshare is not installed, so the toolkit cannot be hidden"
    if [ "$(id -u)" = 0 ]; then flags=--mount; else flags='--user --map-root-user --mount'; fi
    # shellcheck disable=SC2086 # words
    unshare $flags mount -t tmpfs none /mnt 2>/dev/null || skip "unshare may not mount here, so the toolkit cannot be hidden"
    git -C "$top" -c safe.directory="$top" rev-parse >/dev/null 2>&1 || skip "this is no checkout, so there is no list of its files"

    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir "$work/home" "$work/src" "$work/probe"
    # The last and smallest of them tells whether there is an index to fetch from.
    sed -n '/^nvidia-cuda-crt/,$p' "$top/scripts/cuda-wheels.txt" >"$work/one.txt"
    python3 -m pip download --quiet --no-deps --only-binary=:all: --require-hashes --retries 1 --timeout 20 \
        --dest "$work/probe" -r "$work/one.txt" >"$work/pip.log" 2>&1 || {
        tail -n 3 "$work/pip.log"
        if grep -q 'DO NOT MATCH THE HASHES' "$work/pip.log"; then exit 1; fi
        skip "pip cannot fetch nvidia-cuda-crt of scripts/cuda-wheels.txt: no network?"
    }
    (cd "$top" && git -c safe.directory="$top" ls-files --cached --others --exclude-standard -z |
        tar --create --null --files-from=- --ignore-failed-read 2>/dev/null) | tar --extract --directory="$work/src"

    # The user's settings of pip stay, the user's packages do not count.
    if [ -z "${PIP_CONFIG_FILE:-}" ] && [ -e "$HOME/.config/pip/pip.conf" ]; then
        export PIP_CONFIG_FILE="$HOME/.config/pip/pip.conf"
    fi
    PATH=$(printf '%s' "$PATH" | tr ':' '\n' | grep -vi cuda | paste -s -d ':')
    unset CUDA_HOME CUDA_PATH LD_LIBRARY_PATH VIRTUAL_ENV CUBBY_CACHE CUBBY_DISABLE CUBBY_NVRTC CUBBY_BUILD_DIR
    unset MAKEFLAGS MFLAGS MAKELEVEL
    export PATH HOME="$work/home"
    # shellcheck disable=SC2086 # words
    unshare $flags "$0" inside "$work"
    exit $?
fi

# ---- Inside: without a toolkit ---------------------------------------------------------------

work=$2
cd "$work/src" || exit 1
fail() { echo "FAILED: $*"; cat "$work/out"; exit 1; }

for toolkit in /usr/local/cuda*; do
    # A link leads to a folder that is hidden itself.
    if [ -d "$toolkit" ] && [ ! -h "$toolkit" ]; then mount -t tmpfs none "$toolkit" || exit 1; fi
done
for library in $(PATH=$PATH:/sbin:/usr/sbin ldconfig -p | sed -n 's/.*libnvrtc\.so.*=> //p'); do
    [ ! -e "$library" ] || skip "another NVRTC than those in /usr/local/cuda* is installed: $library"
done

./scripts/setup >"$work/out" 2>&1 || fail "scripts/setup"
grep -q "installing NVIDIA's wheels into build/deps/cuda" "$work/out" || fail "setup fetched no wheels"
for library in cu13/lib/libnvrtc.so.13 cu13/lib/libnvJitLink.so.13 cu13/include/cuda_fp16.h; do
    [ -e "build/deps/cuda/nvidia/$library" ] || fail "setup did not install $library"
done

./build/cubby doctor >"$work/out" 2>&1 || fail "doctor"
for label in NVRTC builtins headers nvJitLink libNVVM; do
    grep -q "^$label .*$work/src/build/deps/cuda/nvidia/" "$work/out" || fail "doctor: $label is not that of the wheels"
done

# Without them there is no compiler: the message says where it was looked for.
mv build/deps/cuda build/deps/away
./build/cubby --cache memory doctor >"$work/out" 2>&1
[ $? -eq 3 ] || fail "doctor found a compiler that is not there"
for place in 'CUBBY_NVRTC (not set)' 'CUDA_HOME (not set)' '/usr/local/cuda-\*' "$work/src/build/deps/cuda"; do
    grep -q "^  $place" "$work/out" || fail "doctor does not say that it looked at $place"
done
mv build/deps/away build/deps/cuda

for outcome in compiled hit; do
    ./build/cubby --json compile --arch sm_90 -o "$work/saxpy.cubin" examples/kernels/saxpy.cu >"$work/out" 2>&1 || fail "compile"
    grep -q "\"outcome\":\"$outcome\"" "$work/out" || fail "saxpy.cu: expected $outcome"
done
[ -s "$work/saxpy.cubin" ] || fail "saxpy.cubin was not written"
# The wheels' headers are found too.
printf '#include <cuda_fp16.h>\n#include <cuda/std/array>\n__global__ void k(__half *x) { *x = 1; }\n' >"$work/half.cu"
./build/cubby compile --arch sm_90 -o "$work/half.cubin" "$work/half.cu" >"$work/out" 2>&1 || fail "half.cu"

# ---- Once more: nothing is left to do ----------------------------------------------------------

mkdir "$work/bin"
for tool in python3 pip pip3 gcc cc autoreconf automake apt-get; do
    printf '#!/bin/sh\necho "%s $*" >>"%s/called"\nexit 97\n' $tool "$work" >"$work/bin/$tool"
    chmod +x "$work/bin/$tool"
done
touch "$work/stamp"
sleep 1
PATH=$work/bin:$PATH ./scripts/setup >"$work/out" 2>&1 || fail "the second scripts/setup"
[ ! -e "$work/called" ] || { cat "$work/called"; fail "the second setup called tools"; }
find . -newer "$work/stamp" -type f >"$work/changed"
[ ! -s "$work/changed" ] || { cat "$work/changed"; fail "the second setup wrote files"; }
if grep -qE 'installing|generating|configuring|building' "$work/out"; then fail "the second setup worked"; fi
