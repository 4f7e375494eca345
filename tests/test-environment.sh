#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Environment variables that NVRTC reads, and some that compilers read elsewhere: with each of them
# set, to several values, the cache gives what a fresh compile gives there, or both are refused.
set -u

cubby=$(cd "${top_builddir:-.}" && pwd)/cubby
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset CUBBY_DISABLE CUBBY_LOG
failures=0 checks=0 counted=

"$cubby" --cache memory doctor >doctor.txt 2>&1 || { echo "no NVRTC on this machine"; exit 77; }
version=$(sed -n 's/^NVRTC *\([0-9.]*\),.*/\1/p' doctor.txt)
mkdir elsewhere now
echo '#define ONLY 5' >elsewhere/only.h
cat >now/k.cu <<'END'
#if __has_include(<only.h>)
#include <only.h>
__device__ int only = ONLY;
#endif
#ifdef GIVEN
__device__ int given = GIVEN;
#endif
__device__ const char *file = __FILE__;
extern "C" __global__ void k(float *p, int n) {
    for (int i = 0; i < n; i++)
        p[i] = p[i] * p[n - i] + sinf(p[i]) / p[0];
}
END
cd now || exit 1

fail() { echo "FAILED: $*"; failures=$((failures + 1)); }


# try NAME VALUE: all modes, kept and fresh.
try() {
    for mode in '--target ptx' '--target cubin' '--target ltoir' '--target cubin --option -lineinfo' \
        '--target ptx --option -G'; do
        case "$version $mode" in 11.*ltoir) continue ;; esac
        rm -f ../kept ../fresh
        checks=$((checks + 1))
        # shellcheck disable=SC2086 # a list
        env "$1=$2" "$cubby" -q --cache file:../store compile --arch sm_80 $mode -o ../kept k.cu 2>../err
        kept=$?
        # shellcheck disable=SC2086 # a list
        env "$1=$2" "$cubby" -q --cache memory compile --no-cache --arch sm_80 $mode -o ../fresh k.cu 2>../err
        fresh=$?
        [ $kept = $fresh ] || { fail "$1=$2, $mode: kept $kept, fresh $fresh"; continue; }
        [ $kept != 0 ] || cmp -s ../kept ../fresh || fail "$1=$2, $mode: the cache gives something else"
        if [ $fresh != 0 ] || ! cmp -s ../fresh "../plain$(echo "$mode" | tr -d ' -')"; then
            case " $counted " in *" $1 "*) ;; *) counted="$counted $1" ;; esac
        fi
    done
}

# What it gives where none is set, now in the store.
for mode in '--target ptx' '--target cubin' '--target ltoir' '--target cubin --option -lineinfo' \
    '--target ptx --option -G'; do
    case "$version $mode" in 11.*ltoir) continue ;; esac
    # shellcheck disable=SC2086 # a list
    "$cubby" -q --cache file:../store compile --arch sm_80 $mode -o "../plain$(echo "$mode" | tr -d ' -')" k.cu ||
        fail "$mode"
done
for value in nvvm-latest nvvm70; do try NV_NVVM_VERSION $value; done
for name in NV_NVVM_VERSION LLVM_OVERRIDE_PRODUCER NVRTC_APPEND_FLAGS NVRTCWIZ NVVM_IR_VER_CHK EDG_BASE EDG_MODULES_PATH \
    DUMP_KNOBS_TO_FILE AS_SECURE_LOG_FILE NVRTC_DISABLE_CONCURRENT_NVVM NVRTC_INTERNAL_GLOBAL_LOCK \
    LIBNVVM_DISABLE_CONCURRENT_API NVRTC_DISABLE_PCH CUDA_CACHE_DISABLE CPATH SOURCE_DATE_EPOCH TZ LC_ALL; do
    for value in "$work/elsewhere" "-DGIVEN=7 -I$work/elsewhere"; do try $name "$value"; done
done
ln -s now ../link
cd ../link || exit 1
try PWD "$work/link"
echo "NVRTC $version: $checks checks, $failures failures; these change something:$counted"
[ $failures -eq 0 ]
