#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The bundle for a machine with a GPU: nothing but the C library is needed, it runs wherever it lies,
# here on the driver's double, and its summary and its exit status tell what happened.
set -u

build=$(cd "${top_builddir:-.}" && pwd)
skip() { echo "$*"; exit 77; }

for tool in readelf strip tar python3; do
    command -v $tool >/dev/null || skip "$tool is not installed"
done
if nm "$build/.libs/libcubby-internal.a" 2>/dev/null | grep -qE '__(asan|tsan|ubsan)_'; then
    skip "with sanitizers, programs need their libraries"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $*"; sed 's/^/    /' "$work/log"; exit 1; }

unset MAKEFLAGS MFLAGS MAKELEVEL GPU_BUNDLE_NVRTC
if ! make -s -C "$build" gpu-bundle >"$work/log" 2>&1; then
    if grep -q 'no static library' "$work/log"; then skip "$(grep -A 1 'no static library' "$work/log")"; fi
    fail "make gpu-bundle"
fi
tar -xzf "$build"/cubby-gpu-*.tar.gz -C "$work" || fail "the archive cannot be unpacked"
bundle=$(echo "$work"/cubby-gpu-*)

for file in "$bundle"/bin/* "$bundle"/lib/*; do
    readelf -d "$file" >"$work/log"
    if grep NEEDED "$work/log" | grep -vqE '\[(libc|libm|libdl|libpthread|ld-linux-[a-z0-9-]*)\.so\.[0-9]+\]'; then
        fail "${file##*/} needs more than the C library"
    fi
    if grep -qE 'RPATH|RUNPATH' "$work/log"; then fail "${file##*/} looks for libraries where it was built"; fi
done
for program in cubby gpu-bench gpu_engines gpu_smoke; do
    [ -x "$bundle/bin/$program" ] || fail "there is no $program"
done

# run EXPECTED ARGUMENT...: run.sh, in an environment with next to nothing in it.
run() {
    expected=$1
    shift
    (cd / && env -i PATH=/usr/bin:/bin ${driver:+CUBBY_CUDA="$driver"} "$bundle/run.sh" "$@") >"$work/log" 2>&1
    status=$?
    [ $status -eq "$expected" ] || fail "run.sh $*: $status, expected $expected"
}

driver=''
run 2
run 2 --no-such-option "$work/out"
if ! (cd / && env -i PATH=/usr/bin:/bin CUBBY_CACHE=memory "$bundle/bin/cubby" doctor) | grep -q '^NVRTC *[0-9]'; then
    run 77 --double "$work/out"
    skip "there is no NVRTC"
fi

run 0 --double "$work/out"
grep -qxE '[0-9]{2,} passed, 0 failed, 0 skipped' "$work/out/summary.txt" || fail "$(cat "$work/out/summary.txt")"
python3 - "$work/out" <<'PYTHON' >"$work/log" 2>&1 || fail "what run.sh has written"
import json, sys

def read(name):
    with open(sys.argv[1] + "/" + name) as file:
        return json.load(file)

summary = read("summary.json")
assert summary["passed"] >= 34 and summary["failed"] == 0 and summary["double"] is True, summary
assert read("doctor.json")
report = read("bench.json")
assert report["machine"]["gpu"]["name"] == "Fake GPU 0", report["machine"]
engines = "mlp", "attention", "nbody"
wanted = [f"{what}/{engine}/{strategy}" for what in ("enqueue", "run") for engine in engines
          for strategy in ("lazy", "eager", "none")]
wanted += [f"start/{engine}/{cache}" for engine in engines for cache in ("cold", "cache", "both", "runtime")]
wanted += [f"{what}/{engine}" for what in ("graph", "special") for engine in engines]
wanted += [f"serve/{where}/{how}" for where in ("streams", "parts") for how in ("launches", "graph")]
wanted += ["latency/parts/p50", "latency/parts/p99"]
names = [row["name"] for row in report["rows"]]
assert sorted(names) == sorted(wanted), names
for row in report["rows"]:
    if "problem" in row:
        assert row["name"].startswith("graph/") and "recorded no graph" in row["problem"], row
    else:
        assert 0 < row["ratio"]["p10"] <= row["ratio"]["p50"] <= row["ratio"]["p90"], row
PYTHON

# Programs that take no time, to see what is made of their outcomes: counted is what each says itself.
stub() { # NAME STATUS TEXT
    printf '#!/bin/sh\necho "%s"\nexit %s\n' "$3" "$2" >"$bundle/bin/$1"
    chmod +x "$bundle/bin/$1"
}
stub gpu-bench 0 "no figures"
stub gpu_smoke 0 "well"
stub gpu_walk 0 "walked"
stub gpu_engines 0 "3 passed, 0 failed, 1 skipped"
run 0 --quick "$work/stub"
grep -qx '12 passed, 0 failed, 2 skipped' "$work/stub/summary.txt" || fail "$(cat "$work/stub/summary.txt")"
stub gpu_engines 1 "3 passed, 1 failed, 0 skipped"
run 1 --quick "$work/stub"
grep -qx '12 passed, 2 failed, 0 skipped' "$work/stub/summary.txt" || fail "$(cat "$work/stub/summary.txt")"
stub gpu_engines 139 "3 passed, 0 failed, 0 skipped"
run 1 --quick "$work/stub"
grep -qx '12 passed, 2 failed, 0 skipped' "$work/stub/summary.txt" || fail "$(cat "$work/stub/summary.txt")"
stub gpu_smoke 77 "no GPU"
stub gpu_walk 77 "no GPU"
stub gpu_engines 77 "0 passed, 0 failed, 1 skipped"
run 77 --quick "$work/stub"
grep -qx '1 passed, 0 failed, 6 skipped' "$work/stub/summary.txt" || fail "$(cat "$work/stub/summary.txt")"
