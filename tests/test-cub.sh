#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A program over CUB, with hundreds of headers: hit; and an edit six headers deep is noticed. With what
# the compiler tells of its headers, and then without.
#
# CUBBY_NVRTC names the compiler, and CUBBY_TEST_INCLUDE (folders with ":" between them, CUB's first)
# the headers that go with it, where they are not in the toolkit of the compiler.
set -eu

cubby=$(cd "${top_builddir:-.}" && pwd)/cubby
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

"$cubby" --cache memory doctor >found || { echo "no NVRTC on this machine"; exit 77; }
include=$(sed -n 's/^ *headers *//p' found)
folders=${CUBBY_TEST_INCLUDE:-$include/cccl}
[ -d "${folders%%:*}/cub" ] || { echo "no CUB in ${folders%%:*}"; exit 77; }
cp -rL "${folders%%:*}" cccl
more=$(echo "$folders" | tr ':' '\n' | sed '1d; s/^/-I /' | tr '\n' ' ')
# Older than the two seconds within which a file's stamps are not trusted.
find cccl -type f -exec touch -d '1 hour ago' {} +
cat >sum.cu <<'END'
#include <cub/block/block_reduce.cuh>
extern "C" __global__ void block_sum(const int *in, int *out) {
    using Reduce = cub::BlockReduce<int, 128>;
    __shared__ typename Reduce::TempStorage storage;
    int sum = Reduce(storage).Sum(in[threadIdx.x]);
    if (threadIdx.x == 0)
        *out = sum;
}
END

# run ARGUMENT...: the command, with a place for NVRTC's trace or without.
run() {
    # shellcheck disable=SC2086 # a list of options
    TMPDIR=$place "$cubby" "$@" --arch sm_90 -std=c++17 -I front -I cccl $more sum.cu
}

# compile WANTED: the outcome, and the same bytes as without a cache.
compile() {
    run --json --cache file:store compile -o kept >out
    grep -q "\"outcome\":\"$1\"" out || { echo "expected $1:"; cat out; exit 1; }
    run -q --cache memory compile --no-cache -o fresh
    cmp kept fresh
}

# The chain down to a header that is included by one that is included ... six times over.
deep() {
    python3 - "$1" <<'END'
import os, re, sys

include = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)
level, seen = ["cccl/cub/block/block_reduce.cuh"], set()
for _ in range(int(sys.argv[1])):
    following = []
    for path in level:
        with open(path, encoding="utf-8") as file:
            for name in include.findall(file.read()):
                found = os.path.join("cccl", name)
                if found not in seen and os.path.isfile(found):
                    seen.add(found)
                    following.append(found)
    level = following
print(level[0])
END
}

try_all() {
    compile compiled
    compile hit
    header=$(deep 5)
    echo "six headers deep: $header"
    chmod u+w "$header"
    printf '\n// edited\n' >>"$header"
    compile compiled
    compile hit
    touch "$header" # another stamp, the same text
    compile hit
    # Another header of that name, earlier in the search order, where until now there is not even a folder.
    shadow=front/${header#cccl/}
    mkdir -p "$(dirname "$shadow")"
    cp "$header" "$shadow"
    compile compiled
    rm -r front
    compile hit
    echo "$(run --cache file:store key --explain | grep -c '^header file') header files are covered"
}

place=$work
try_all
place=/dev/null
rm -rf store front
try_all
