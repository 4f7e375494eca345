#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One kernel through the layer over the CUDA driver: first on the driver's double, which keeps this
# test itself sound, then on the machine's GPU; there the example engines too, which test_engine_results
# runs on the double, and the random walks. Skipped where there is none.
set -eu

build=${top_builddir:-.}
smoke=$build/tests/gpu_smoke
status=0

"$smoke" --double "$build/tests/.libs/fake_cuda.so" || status=$?
case $status in
0) ;;
77) exit 77 ;;
*)
    echo "failed on the double"
    exit 1
    ;;
esac
"$smoke"
"$build/tests/gpu_engines"
walk=$build/tests/test_runner_random
[ ! -x "$walk" ] || CK_FORK=no CUBBY_TEST_DRIVER=machine exec "$walk"
