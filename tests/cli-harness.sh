# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# What the tests of the command share: sourced by them, with $cubby set, in a folder of their own.

failures=0 checks=0

# Ends the test as skipped where there is no NVRTC.
need_nvrtc() {
    "$cubby" --cache memory doctor >doctor.txt 2>&1
    if [ $? -eq 3 ]; then
        echo "no NVRTC on this machine"
        exit 77
    fi
}

show() { sed 's/^/    /' out err 2>/dev/null | head -n 8; }

# status WANTED COMMAND...: runs it into out and err and compares the exit status.
status() {
    expected=$1
    shift
    "$@" >out 2>err </dev/null
    got=$?
    checks=$((checks + 1))
    if [ $got -ne "$expected" ]; then
        echo "FAILED: exit $got, expected $expected: $*"
        show
        failures=$((failures + 1))
    fi
}

# true_that COMMAND...: the command must succeed.
true_that() {
    checks=$((checks + 1))
    if ! "$@"; then
        echo "FAILED: $*"
        show
        failures=$((failures + 1))
    fi
}
