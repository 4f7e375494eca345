#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The prototypes, constants and names of src/driver/driver_api.h are those of a toolkit's; skipped
# where there is none of CUDA 12.8 or newer, which has all of them.
set -eu

top=${top_srcdir:-$(dirname "$0")/..}
include=

for dir in "${CUDA_HOME:-/nowhere}" "${CUDA_PATH:-/nowhere}" /usr/local/cuda /usr/local/cuda-*; do
    if [ -r "$dir/include/cudaTypedefs.h" ]; then
        version=$(sed -n 's/^#define CUDA_VERSION \([0-9]*\).*/\1/p' "$dir/include/cuda.h")
        [ "${version:-0}" -lt 12080 ] || include=$dir/include
    fi
done
if [ -z "$include" ]; then
    echo "no cuda.h of CUDA 12.8 or newer: set CUDA_HOME to a toolkit"
    exit 77
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/driver"

# check EDIT: compiles against a driver_api.h changed by a command of sed.
check() {
    sed "$1" "$top/src/driver/driver_api.h" >"$scratch/driver/driver_api.h"
    "${CC:-cc}" -std=gnu11 -fsyntax-only -Wall -Werror -I"$scratch" -isystem "$include" \
        "$top/tests/driver_prototypes.c"
}

check ''
# A check that cannot fail is none: what differs is noticed.
for fault in 's/X(INVALID_DEVICE, 101)/X(INVALID_DEVICE, 102)/' \
    's/X(STREAM_NON_BLOCKING, 1)/X(STREAM_NON_BLOCKING, 2)/' \
    's/cuMemAlloc, 3020, (driver_address \*, size_t)/cuMemAlloc, 3020, (driver_address *, unsigned)/' \
    's/cuGraphExecUpdate, 12000/cuGraphExecUpdate, 10020/' \
    's/internal\[92\]/internal[96]/'; do
    if check "$fault" 2>/dev/null; then
        echo "not noticed: $fault"
        exit 1
    fi
done

# The names are those that NVIDIA's stand-in for the driver exports.
stub=${include%/include}/lib64/stubs/libcuda.so
if [ -r "$stub" ] && command -v nm >/dev/null; then
    nm -D --defined-only "$stub" | sed 's/.* //' | sort >"$scratch/exported"
    sed -n 's/^ *X(\(cu[A-Za-z0-9_]*\), cu.*/\1/p' "$top/src/driver/driver_api.h" | sort >"$scratch/used"
    [ "$(wc -l <"$scratch/used")" -ge 80 ]
    missing=$(comm -13 "$scratch/exported" "$scratch/used")
    if [ -n "$missing" ]; then
        echo "$stub does not export: $missing"
        exit 1
    fi
fi
