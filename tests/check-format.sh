#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every C file is as clang-format would write it. `make format` mends what this finds.
set -eu

top=${top_srcdir:-$(dirname "$0")/..}
command -v clang-format >/dev/null || { echo "clang-format is not installed"; exit 77; }
find "$top/include" "$top/src" "$top/backends" "$top/tests" "$top/bench" "$top/examples" \
    -name '*.[ch]' -print0 | xargs -0 clang-format --dry-run -Werror
