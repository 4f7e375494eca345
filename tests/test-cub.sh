#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A program over CUB, with hundreds of headers: hit; and an edit six headers deep is noticed.
set -eu

cubby=$(cd "${top_builddir:-.}" && pwd)/cubby
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

"$cubby" --cache memory doctor >found || { echo "no NVRTC on this machine"; exit 77; }
include=$(sed -n 's/^ *headers *//p' found)
[ -d "$include/cccl/cub" ] || { echo "the toolkit has no CUB in $include"; exit 77; }
cp -r "$include/cccl" cccl
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

# compile WANTED: the outcome, and the same bytes as without a cache.
compile() {
    "$cubby" --json --cache file:store compile --arch sm_90 -std=c++17 -I front -I cccl -o kept sum.cu >out
    grep -q "\"outcome\":\"$1\"" out || { echo "expected $1:"; cat out; exit 1; }
    "$cubby" -q --cache memory compile --no-cache --arch sm_90 -std=c++17 -I front -I cccl -o fresh sum.cu
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
