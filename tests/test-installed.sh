#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An installed copy: pkg-config finds it, C and C++ programs compile against it alone, and run.
set -u

top=$(cd "${top_srcdir:-$(dirname "$0")/..}" && pwd)
build=$(cd "${top_builddir:-.}" && pwd)
cc=${CC:-cc}
skip() { echo "$*"; exit 77; }

command -v pkg-config >/dev/null || skip "pkg-config is not installed"
[ -e "$build/.libs/libcubby.so" ] || skip "no shared library was built"
if nm -D --undefined-only "$build/.libs/libcubby.so" | grep -qE '__(asan|tsan|ubsan)_'; then
    skip "a library with sanitizers does not load into an ordinary program"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
fail() { echo "FAILED: $*"; sed 's/^/    /' log; exit 1; }

# The flags of the make that runs this test are not meant for the install.
unset MAKEFLAGS MFLAGS MAKELEVEL CUBBY_CACHE CUBBY_DISABLE
make -C "$build" install DESTDIR="$work/root" >log 2>&1 || fail "make install"
pc=$(find "$work/root" -name cubby.pc)
[ -n "$pc" ] || fail "cubby.pc was not installed"
export PKG_CONFIG_PATH="${pc%/*}" PKG_CONFIG_SYSROOT_DIR="$work/root"
flags=$(pkg-config --cflags --libs cubby 2>log) || fail "pkg-config --cflags --libs cubby"
LD_LIBRARY_PATH=$work/root$(unset PKG_CONFIG_SYSROOT_DIR; pkg-config --variable=libdir cubby)
export LD_LIBRARY_PATH

[ -n "$(find "$work/root" -path '*/cubby/engine.schema.json')" ] || fail "engine.schema.json was not installed"

# ---- C: an example, warnings and all

# shellcheck disable=SC2086 # words
$cc -std=c11 -D_GNU_SOURCE -Wall -Wextra -pedantic -Werror "$top/examples/c/get_or_make.c" $flags -o client >log 2>&1 ||
    fail "$cc get_or_make.c $flags"
ldd client >log 2>&1
grep -q "libcubby.*$work/root" log || fail "the program does not use the installed library"
for outcome in compiled hit; do
    CUBBY_CACHE=file:$work/cache ./client '1 2 +' >log 2>&1 || fail "client"
    grep -q "^$outcome, 5 bytes" log || fail "client: expected $outcome"
done
for header in "${pc%/lib*}"/include/cubby/*.h; do
    printf '#include <cubby/%s>\n' "${header##*/}" >alone.c
    # shellcheck disable=SC2046 # words
    $cc -std=c99 -Wall -Wextra -pedantic -Werror -fsyntax-only alone.c $(pkg-config --cflags cubby) >log 2>&1 ||
        fail "${header##*/} on its own"
done

# ---- C++

cat >client.cc <<'CLIENT'
#include <cstdio>
#include <cubby/cubby.h>
#include <cubby/backend.h>

int main() {
    cubby_error error = CUBBY_ERROR_INIT;
    cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    cubby_cache *cache = nullptr;
    cubby_program *program = nullptr;
    int failed;

    options.arch = "sm_90";
    options.target = CUBBY_TARGET_PTX;
    failed = cubby_cache_open("memory", &cache, &error) < 0 ||
             cubby_program_new("", 0, &options, &program, &error) < 0;
    std::printf("%s %s\n", failed ? error.message : cubby_version(), cubby_cache_tier_name(cache, 0));
    cubby_program_unref(program);
    cubby_cache_unref(cache);
    return failed;
}
CLIENT
found=no
for cxx in g++ clang++; do
    command -v $cxx >/dev/null || continue
    echo 'int main() {}' >probe.cc
    $cxx probe.cc -o probe >/dev/null 2>&1 || continue # a compiler without its library
    found=yes
    for standard in c++11 c++20; do
        # shellcheck disable=SC2086
        $cxx -std=$standard -Wall -Werror client.cc $flags -o client++ >log 2>&1 || fail "$cxx -std=$standard client.cc"
        ./client++ >log 2>&1 || fail "client++"
        grep -qx '[0-9.]* memory' log || fail "client++ said something else"
    done
done
[ $found = yes ] || skip "C passed; no C++ compiler is installed"
