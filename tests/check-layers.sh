#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Includes point only downward. Each line below names a folder and the folders it may include from.
set -eu

top=${top_srcdir:-$(dirname "$0")/..}
cd "$top"
status=0

# allow FILES FOLDER...: what the files include in quotes begins with one of the folders.
allow() {
    files=$1
    shift
    pattern=$(printf '|%s' "$@")
    # shellcheck disable=SC2086 # a pattern for the shell to expand
    found=$(grep -nE '^#include "' $files | grep -vE "#include \"(${pattern#|})" || true)
    if [ -n "$found" ]; then
        echo "an include that points upward:"
        echo "$found"
        status=1
    fi
}

allow 'src/util/*.[ch]' util/
allow 'src/os/*.[ch]' os/ util/
allow 'src/entry/*.[ch]' entry/ util/
allow 'src/key/*.[ch]' key/ os/ util/
allow 'src/deps/*.[ch]' deps/ key/ os/ util/
allow 'src/runtime/*.[ch]' runtime/ cache/cache.h cache/hold.h object.h entry/ os/ util/
allow 'src/driver/*.[ch]' driver/ key/locate.h os/ util/
allow 'src/compile/*.[ch]' compile/ key/ os/ util/
allow 'src/engine/*.[ch]' engine/ key/ os/ util/
allow 'src/run/*.[ch]' run/ cache/cache.h compile/gate.h driver/ engine/plan.h key/digest.h runtime/runtime_cache.h tooling.h os/ util/
allow 'backends/*.[ch]' backends/ os/ util/
allow 'src/cache/*.[ch]' cache/ backends/backends.h object.h entry/ os/ util/
allow 'src/maintain/*.[ch]' maintain/ cache/ entry/ deps/manifest.h object.h os/ util/
allow 'src/object.[ch] src/outcome.[ch] src/user.c' object.h outcome.h cache/cache.h cache/flight.h entry/ os/ util/
allow 'src/headers.[ch] src/headers_compare.c' headers.h cache/cache.h deps/ entry/ key/ util/
allow 'src/tooling.[ch]' tooling.h cache/cache.h entry/ key/ util/
allow 'src/nearest.[ch]' nearest.h object.h cache/cache.h key/ util/
allow 'src/compare.c' headers.h nearest.h object.h tooling.h cache/cache.h key/ util/
allow 'src/cubby.c' headers.h object.h outcome.h tooling.h cache/cache.h compile/ deps/ entry/ key/ os/ util/
allow 'src/link.c' key/ util/
allow 'src/cli/*.[ch]' cli/ key/locate.h os/ util/
allow 'examples/c/*.[ch]' own_backend.h
allow 'bench/*.[ch]' bench.h command.h floor.h machine.h measure.h populous.h report.h scratch.h store.h entry/entry.h os/time.h gpu.h driver/ util/error.h

# A backend knows nothing of CUDA, and only one file reads the environment.
if grep -nE 'nvrtc|cuda' backends/*.[ch]; then
    echo "a backend speaks of CUDA"
    status=1
fi
if grep -nE '\bgetenv\(' -r src backends | grep -v '^src/os/env.c:'; then
    echo "the environment is read outside of src/os/env.c"
    status=1
fi
# The library neither ends the process nor prints.
if grep -nE '\b(exit|abort|printf|puts|fputs)\(' -r src/util src/os src/entry src/key src/deps src/compile \
    src/cache src/engine src/maintain src/driver src/run src/runtime backends src/*.c; then
    echo "the library exits or prints"
    status=1
fi
exit $status
