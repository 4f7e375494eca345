#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A hit opens no file of the compiler: strace sees only the look at its stamps, and one line written.
set -eu

top=$(cd "${top_srcdir:-$(dirname "$0")/..}" && pwd)
cubby=$(cd "${top_builddir:-.}" && pwd)/cubby
command -v strace >/dev/null || { echo "strace is not installed"; exit 77; }
export ASAN_OPTIONS=detect_leaks=0 # the leak check cannot run under strace
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
strace -o probe true 2>/dev/null || { echo "strace cannot trace here"; exit 77; }
"$cubby" --cache memory doctor >/dev/null 2>&1 || { echo "no NVRTC on this machine"; exit 77; }

for spec in file:f sqlite:s.db memory,file:m; do
    case $spec in *sqlite*) "$cubby" --cache $spec stats >/dev/null 2>&1 || continue ;; esac
    "$cubby" --cache $spec compile --arch sm_90 "$top/examples/kernels/saxpy.cu"
    strace -f -e trace=open,openat,mmap,write -o trace "$cubby" --cache $spec compile --arch sm_90 "$top/examples/kernels/saxpy.cu"
    if grep -E 'libnvrtc|libnvJitLink|libnvvm|libcuda|libarchive\.so' trace; then
        echo "$spec: a hit opened a library that it has no use for"
        exit 1
    fi
    # What it says is written at once, so that lines of several processes do not mix.
    test "$(grep -c 'write(2,' trace)" = 1
    "$cubby" --cache $spec --json stats | grep -q '"hits":1,'
done

# The same of PTX and of a link, where the linkers are found; no driver is to be looked for.
export CUBBY_CUDA=/no/such/libcuda.so.1 CUBBY_CACHE=file:linked
"$cubby" --json doctor | grep -qE '"nvjitlink":{"problem"' && exit 0
"$cubby" compile --arch sm_90 --target ptx -o saxpy.ptx "$top/examples/kernels/saxpy.cu"
for verb in compile link; do
    "$cubby" $verb --arch sm_90 saxpy.ptx
    strace -f -e trace=open,openat,mmap -o trace "$cubby" $verb --arch sm_90 saxpy.ptx
    if grep -E 'libnvrtc|libnvJitLink|libnvvm|libcuda|libarchive\.so' trace; then
        echo "$verb: a hit opened a linker's library"
        exit 1
    fi
done
"$cubby" --json stats | grep -q '"hits":2,'
