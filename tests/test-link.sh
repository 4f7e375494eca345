#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cubby link, and cubby compile of PTX and NVVM IR, with NVIDIA's own libraries.
set -u

top=$(cd "${top_srcdir:-$(dirname "$0")/..}" && pwd)
cubby=$(cd "${top_builddir:-.}" && pwd)/cubby
data=$top/tests/data
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset CUBBY_DISABLE CUBBY_NVJITLINK CUBBY_NVVM CUBBY_LOG
export CUBBY_CACHE="file:$work/cache" CUBBY_CUDA=/no/such/libcuda.so.1
# shellcheck source=tests/cli-harness.sh
. "$top/tests/cli-harness.sh"

"$cubby" --json doctor >doctor.json 2>&1
for tool in nvrtc nvjitlink nvvm; do
    if grep -q "\"$tool\":{\"problem\"" doctor.json; then
        echo "no $tool on this machine"
        exit 77
    fi
done

says() { grep -q -- "$1" err; }
prints() { grep -q -- "$1" out; }
magic() { [ "$(head -c 4 "$1" | od -An -tx1 | tr -d ' ')" = "$2" ]; }

cat >caller.cu <<'END'
extern __device__ float f(float);
extern "C" __global__ void k(float *a) { a[0] = f(a[0]) / a[1] + a[2] * a[3]; }
END
echo '__device__ float f(float x) { return x * x + 1.5f; }' >called.cu
for name in caller called; do
    status 0 "$cubby" compile --arch sm_90 --target ltoir $name.cu
    for target in ptx cubin; do
        status 0 "$cubby" compile --arch sm_90 --target $target --option -rdc=true $name.cu
    done
done

# ---- Links: every form, compiled then hit, with the same bytes

for form in ltoir ptx cubin; do
    status 0 "$cubby" --json link --arch sm_90 -o 1.cubin caller.$form called.$form
    true_that prints '"outcome":"compiled"'
    true_that prints "\"inputs\":\[\"caller.$form\",\"called.$form\"\]"
    status 0 "$cubby" --json link --arch sm_90 -o 2.cubin caller.$form called.$form
    true_that prints '"outcome":"hit","tier":"file"'
    true_that cmp -s 1.cubin 2.cubin
    true_that magic 1.cubin 7f454c46
    status 0 "$cubby" --json link --arch sm_90 -o 3.cubin called.$form caller.$form
    true_that prints '"outcome":"compiled"' # the order counts
    cp caller.$form renamed
    status 0 "$cubby" --json link --arch sm_90 -o 2.cubin renamed called.$form
    true_that prints '"outcome":"hit"' # the name does not
done
status 0 "$cubby" link --arch sm_90 caller.ltoir called.ltoir
true_that says 'caller.ltoir + called.ltoir -> linked.cubin  compiled in\|hit (file)'
true_that test -s linked.cubin
status 0 "$cubby" link --arch sm_90 --target ptx -o - caller.ltoir called.ltoir
true_that prints '.visible .entry k('
status 0 "$cubby" link --arch sm_90 caller.ltoir called.cubin # mixed
status 0 "$cubby" link --arch sm_90 --option -maxrregcount=32 --option -lto --no-cache caller.ltoir called.ltoir
true_that says 'asked not to use the cache'
mkdir out.d
status 0 "$cubby" link --arch sm_90 -o out.d caller.ptx called.ptx
true_that magic out.d/linked.cubin 7f454c46

# ---- Links that fail

status 1 "$cubby" link --arch sm_90 caller.ptx
true_that says "Undefined reference to '_Z1ff'"
status 1 "$cubby" link --arch sm_90 --option -bogus caller.ptx called.ptx
true_that says 'unrecognized option: -bogus'
status 2 "$cubby" link --arch sm_90 /dev/null
true_that says 'is empty'
status 2 "$cubby" link --arch sm_90 --target ptx caller.ptx
true_that says 'LTO-IR only'
status 2 "$cubby" link --arch sm_90 --target ltoir caller.ltoir
status 2 "$cubby" link --arch sm_90 caller.cu
true_that says 'no form that can be linked'
status 2 "$cubby" link --arch sm_90 no-such-file
status 2 "$cubby" link --arch sm_90
status 2 "$cubby" --json link --arch sm_90 -o - caller.ptx called.ptx
head -c 1000 caller.cubin >cut.cubin
status 2 "$cubby" link --arch sm_90 cut.cubin called.cubin
true_that says 'cut short'
status 3 "$cubby" link caller.ptx called.ptx
true_that says 'pass --arch'
status 3 env CUBBY_NVJITLINK=/no/such/file "$cubby" link --arch sm_90 caller.ptx called.ptx
true_that says '/no/such/file'

# ---- PTX

status 0 "$cubby" --json compile --arch sm_90 -o p.cubin called.ptx
true_that prints '"outcome":"compiled"'
status 0 "$cubby" --json compile --arch sm_90 --kind ptx -I . -D X -o q.cubin called.ptx
true_that prints '"outcome":"hit"' # what only CUDA C++ has is not said of PTX
true_that cmp -s p.cubin q.cubin
status 1 "$cubby" compile --arch sm_90 --target ptx -o r.ptx called.ptx
true_that test ! -e r.ptx
status 2 "$cubby" compile --arch sm_90 --target ltoir called.ptx
true_that says 'a source of kind ptx cannot become ltoir'
status 2 "$cubby" compile --arch sm_90 --name k called.ptx
status 2 "$cubby" compile --arch sm_90 --kind rust called.ptx
status 0 env CUBBY_NVRTC=/no/such/file "$cubby" compile --arch sm_90 called.ptx # needs no NVRTC

# ---- NVVM IR

status 1 "$cubby" compile --arch sm_90 --option -bogus "$data/scale.ll"
status 0 "$cubby" compile --arch sm_90 --libdevice --module "$data/helper.ll" "$data/scale.ll"
true_that grep -q '.visible .entry scale(' scale.ptx
true_that test "$(grep -c __nv_sinf scale.ptx)" -eq 0
status 0 "$cubby" --json compile --arch sm_90 --libdevice --module "$data/helper.ll" "$data/scale.ll"
true_that prints '"outcome":"hit"'
true_that prints '"target":"ptx"'
status 0 "$cubby" compile --arch sm_90 --libdevice --module "$data/helper.ll" --target ltoir "$data/scale.ll"
status 0 "$cubby" link --arch sm_90 -o scale.cubin scale.ltoir
true_that magic scale.cubin 7f454c46
status 2 "$cubby" compile --arch sm_90 --target cubin "$data/scale.ll"
true_that says 'expected ptx or ltoir'
status 2 "$cubby" compile --arch sm_90 --module no-such-file "$data/scale.ll"
status 0 "$cubby" key --explain --arch sm_90 --libdevice --module "$data/helper.ll" "$data/scale.ll"
true_that prints '^libdevice  *blake2b:'
true_that prints '^toolchain  *nvvm '

# ---- Several languages at once

status 0 "$cubby" --json compile --arch sm_90 -j 2 -o out.d called.cu "$data/helper.ll"
true_that magic out.d/called.cubin 7f454c46
true_that grep -q '.target sm_90' out.d/helper.ptx

echo "$checks checks, $failures failed"
[ $failures -eq 0 ]
