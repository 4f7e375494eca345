#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The benchmark runs and its report is whole; of the times themselves nothing is asked here.
set -eu

bench=$(cd "${top_builddir:-.}" && pwd)/bench/cubby-bench
command -v "${PYTHON:-python3}" >/dev/null || { echo "python3 is not installed"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR="$work/scratch"
mkdir "$TMPDIR"

"$bench" --quick --json --output "$work/copy.json" >"$work/report.json"
"$bench" --quick --runs 2 --filter hit/file/ >"$work/table"
test -z "$(ls "$TMPDIR")" || { echo "the benchmark left files behind"; exit 1; }
cmp "$work/report.json" "$work/copy.json"
test "$(grep -c '^hit/file/' "$work/table")" = 3
if grep -v '^hit/file/' "$work/table" | grep -E '^(hit|put|key|headers|process|flight|crowd|open|get|cap|cycle)/'; then
    echo "--filter let other rows through"
    exit 1
fi
if "$bench" --quick --filter no-such-row >/dev/null 2>&1; then
    echo "a filter that fits no row was accepted"
    exit 1
fi
if "$bench" --runs 0 >/dev/null 2>&1; then
    echo "--runs 0 was accepted"
    exit 1
fi

"${PYTHON:-python3}" - "$work/report.json" <<'PYTHON'
import json, sys

with open(sys.argv[1]) as file:
    report = json.load(file)
machine = report["machine"]
for fact in "processor", "kernel", "file_system", "date":
    assert isinstance(machine[fact], str) and machine[fact], fact
assert machine["cores"] >= 1
assert machine["versions"]["cubby"]
has_sqlite = "sqlite" in machine["versions"]
has_nvrtc = machine["versions"]["nvrtc"] is not None

sizes = "4K", "64K", "1M"
sized = ["hit/memory", "hit/file", "put/file", "hit/file-secret", "put/file-secret", "key/first", "key/other-option"]
wanted = ["headers/10", "headers/100", "headers/600", "headers/cub", "process/hit-file", "process/start", "flight/file"]
wanted += [f"crowd/file/{processes}" for processes in (1, 2, 4, 8)]
many = ["open/{}/1e3", "get/{}/1e3", "cap/{}/1e3/p50", "cap/{}/1e3/p99", "cap/{}/1e3/max", "cycle/{}/1e3"]
wanted += [name.format("file") for name in many]
if any(row["name"].startswith("hit/file-zstd/") for row in report["rows"]): # not --without-zstd
    sized += ["hit/file-zstd", "put/file-zstd"]
if has_sqlite:
    sized += ["hit/sqlite", "put/sqlite"]
    wanted += ["process/hit-sqlite", "flight/sqlite"] + [name.format("sqlite") for name in many]
wanted += [f"{name}/{size}" for name in sized for size in sizes]
names = [row["name"] for row in report["rows"]]
assert sorted(names) == sorted(wanted), names

def check_spread(spread):
    assert 0 < spread["p10"] <= spread["p50"] <= spread["p90"], spread

for row in report["rows"]:
    if "problem" in row:
        assert "NVRTC" in row["problem"], row
        assert not has_nvrtc or row["name"] == "headers/cub", row # its headers may be missing
        assert row["name"].startswith(("key/", "headers/", "process/hit")), row
        continue
    assert report["plan"]["runs"] == 3 and row["runs"] == (1 if row["name"].startswith(("put/", "flight/", "crowd/", "cap/", "cycle/")) else 3), row
    for side in "floor", "subject":
        assert row[side]["what"] and row[side]["batch"] >= 1, row
        check_spread(row[side]["ns"])
    check_spread(row["ratio"])
    if row["goal"] is None:
        assert row["met"] is None, row
    elif "ratio_at_most" in row["goal"]:
        assert row["met"] == (row["ratio"]["p50"] <= row["goal"]["ratio_at_most"]), row
    else:
        limit = row["goal"]["us_at_most"] * 1000
        assert row["met"] == (row["subject"]["ns"]["p50"] <= limit), row
PYTHON
