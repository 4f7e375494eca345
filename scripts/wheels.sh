# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For scripts that fetch packages of pip's, to be sourced.

# fetch REQUIREMENT FOLDER: into a temporary folder first, so that a broken run leaves nothing behind.
# The requirement has the digests of its wheels.
fetch() {
    local temporary=$2.partial
    rm -rf "$temporary"
    mkdir -p "$temporary"
    printf '%s\n' "$1" >"$temporary/requirement.txt"
    timeout 120 python3 -m pip install --quiet --disable-pip-version-check --no-deps \
        --only-binary=:all: --require-hashes -r "$temporary/requirement.txt" --target "$temporary" &&
        mv -T "$temporary" "$2"
}
