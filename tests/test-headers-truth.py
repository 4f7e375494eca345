#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the compiler really opens and probes, seen by strace, against what the manifest covers.

Every header that NVRTC opens has to be covered by its digest, and every place where it looked in
vain by its absence, so that a header that appears there is noticed.

CUBBY_NVRTC names the compiler, and CUBBY_TEST_INCLUDE (folders with ":" between them) the headers
that go with it, where they are not in the toolkit of the compiler.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.environ.get("top_builddir", ".")
DRIVER = os.path.abspath(os.path.join(TOP, "tests", "headers_truth"))
CUBBY = os.path.abspath(os.path.join(TOP, "cubby"))
KERNEL = '\nextern "C" __global__ void k(int *p) { *p = 1; }\n'

# Paths that belong to the compiler or to the process, not to the program.
FOREIGN = re.compile(r"^(/proc|/sys|/dev|/etc|/lib|/usr/lib|/tmp/cubby-)|\.so(\.|$)|__nv_|"
                     r"nvrtc|\.json$|/locale|gconv")


def skip(reason):
    print(reason)
    sys.exit(77)


def toolkit():
    """The header folders, as the command finds them."""
    run = subprocess.run([CUBBY, "--cache", "memory", "doctor"], capture_output=True, text=True)
    if run.returncode == 3:
        skip("no NVRTC on this machine")
    found = re.search(r"headers\W+(/\S+)", run.stdout)
    folders = [found.group(1) + "/cccl", found.group(1)] if found else []
    if os.environ.get("CUBBY_TEST_INCLUDE"):
        folders = os.environ["CUBBY_TEST_INCLUDE"].split(":")
    return [folder for folder in folders if os.path.isdir(folder)]


def write(path, text):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


class Program:
    """A source with its tree, made in the current folder."""

    may_be_refused = False

    def __init__(self, title, source, files=(), options=(), memory=(), name="main.cu", links=()):
        self.title, self.source, self.name = title, source, name
        self.files, self.options, self.links = dict(files), list(options), dict(links)
        self.memory = dict(memory)

    def make(self):
        for path, text in self.files.items():
            write(path, text)
        for path, target in self.links.items():
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            os.symlink(target, path)
        for name, text in self.memory.items():
            write("memory/" + name.replace("/", "_"), text)
        write("the-source", self.source + KERNEL)

    def command(self, cache):
        memory = ["-H%s=memory/%s" % (n, n.replace("/", "_")) for n in self.memory]
        return [DRIVER, cache, self.name, "the-source"] + memory + self.options


def own_trees():
    """Trees of our own, one for each way in which a header can be reached."""
    return [
        Program("nested", '#include "a/one.h"', {
            "a/one.h": '#include "b/two.h"\n', "a/b/two.h": '#include "../three.h"\n',
            "a/three.h": "#pragma once\n"}),
        Program("search order", "#include <x.h>\n#include <y.h>", {
            "i1/y.h": "", "i2/x.h": '#include "z.h"\n', "i3/z.h": "", "i3/x.h": "#error\n"},
            ["-Ii1", "-Ii2", "-Ii3", "-Inowhere"]),
        Program("macro", "#define WHICH <deep/x.h>\n#include WHICH\n#include OTHER",
                {"i2/deep/x.h": "", "i2/o.h": ""}, ["-Ii1", "-Ii2", "-DOTHER=<o.h>"]),
        Program("macros", """
#include <config.h>
#define HEADER <ROOT/impl.h>
#include HEADER
#define STR_(x) #x
#define STR(x) STR_(x)
#include STR(ROOT/s.h)
""", {
            "i2/config.h": "#ifdef FAST\n#define ROOT fast\n#else\n#define ROOT slow\n#endif\n",
            "i2/slow/impl.h": "#define NEXT <ROOT/deeper.h>\n#include NEXT\n",
            "i2/slow/deeper.h": "", "i2/slow/s.h": "", "i2/fast/impl.h": "#include <no.h>\n"},
            ["-Ii1", "-Ii2"]),
        Program("next", "#include <x.h>", {
            "i1/x.h": "#include_next <x.h>\n", "i3/x.h": "#define GOT 1\n"},
            ["-Ii1", "-Ii2", "-Ii3"]),
        Program("links", '#include "l.h"\n#include "d/x.h"', {
            "real/x.h": '#include "beside.h"\n', "real/beside.h": ""}, links={
                "l.h": "real/x.h", "d": "real", "beside.h": "real/beside.h"}),
        Program("absolute", '#include "%s/abs.h"\n' % os.getcwd(), {
            "../abs.h": '#include "abs2.h"\n', "../abs2.h": ""}),
        Program("probes", """
#if __has_include("no.h")
#error
#endif
#if __has_include(<yes.h>)
#include <other.h>
#endif
#define HAS(x) __has_include(x)
#if HAS(<never.h>)
#error
#endif
""", {"i1/yes.h": "", "i2/other.h": ""}, ["-Ii1", "-Ii2"]),
        Program("memory", '#include "m.h"\n#include <sub/n.h>', {
            "m.h": "#error\n", "x.h": "", "sub/y.h": "", "i1/sub/n.h": "#error\n"}, ["-Ii1", "-I."],
            {"m.h": '#include "x.h"\n', "sub/n.h": '#include "y.h"\n'}),
        Program("named folder", '#include "x.h"', {"far/x.h": '#include "y.h"\n', "far/y.h": ""},
                name="far/main.cu"),
        Program("pre-include", "__device__ int a = PRE;", {"i1/pre.h": "#define PRE 1\n"},
                ["--pre-include=pre.h", "-Ii1"]),
        Program("not beside", '#include "x.h"', {"x.h": "#error\n", "i1/x.h": ""},
                ["--no-source-include", "-Ii1"]),
        Program("branches", "#ifdef NEVER\n#include <x.h>\n#else\n#include <y.h>\n#endif\n",
                {"i1/x.h": "", "i1/y.h": ""}, ["-Ii0", "-Ii1"]),
        Program("no suffix", '#include <x>\n#include "y"\n#if __has_include("z")\n#endif', {
            "i1/x.stdh": "", "i2/y": "#define Y 1\n"}, ["-Ii1", "-Ii2"]),
        Program("folder in the way", "#include <x.h>", {"i1/x.h/keep": "", "i2/x.h": ""},
                ["-Ii1", "-Ii2"]),
    ]


def toolkit_programs(folders):
    """Programs over the toolkit's own headers, as far as they are there."""
    options = ["-I" + folder for folder in folders] + ["-std=c++17"]
    titles = {
        "cub": ["cub/block/block_reduce.cuh"],
        "thrust": ["thrust/tuple.h", "thrust/functional.h"],
        "cuda/std": ["cuda/std/array", "cuda/std/complex"],
        "cuda_fp16": ["cuda_fp16.h", "cuda_bf16.h"],
        "cooperative groups": ["cooperative_groups.h"],
        "mma": ["mma.h"],
        "cuda/atomic": ["cuda/atomic", "cuda/barrier"],
    }
    programs = [
        Program(title, "\n".join("#include <%s>" % name for name in names), options=options)
        for title, names in titles.items()
        if all(any(os.path.exists(os.path.join(folder, name)) for folder in folders)
               for name in names)]
    # Headers from wheels lack some, and old ones were not all written for NVRTC.
    for program in programs:
        program.may_be_refused = "CUBBY_TEST_INCLUDE" in os.environ
    return programs


def run_driver(program, cache, before=()):
    """What the driver prints; None where the compiler refused the program."""
    run = subprocess.run(list(before) + program.command(cache), capture_output=True, text=True)
    if run.returncode != 0:
        print("%s: %s" % (program.title, run.stderr[:1000]))
        return None
    return run.stdout


def traced(program):
    """Compiles the program under strace: what was opened, and what was looked for in vain, both
    relative to the current folder; None, None where the compiler refused it."""
    strace = ["strace", "-f", "-y", "-e", "trace=open,openat,stat,newfstatat,statx", "-o",
              "../strace.out"]
    if run_driver(program, "-", strace) is None:
        return None, None
    opened, missed = set(), set()
    call = re.compile(r'\b(open|openat|stat|newfstatat)\((?:AT_FDCWD[^,]*, )?"([^"]*)", (.*)')
    inside = False
    with open("../strace.out", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            found = call.search(line)
            if not found:
                continue
            name, path, rest = found.groups()
            if path == "/headers-truth-mark":
                inside = not inside
                continue
            if not inside or not path or FOREIGN.search(path):
                continue
            path = path.removeprefix(os.getcwd() + "/")  # 13.5 opens all by absolute paths
            if "ENOENT" in rest or "ENOTDIR" in rest:
                missed.add(path)
            elif name.startswith("open") and "O_DIRECTORY" not in rest and "= -1" not in rest:
                opened.add(path)
    return opened, missed


def covered(output):
    """What the manifest says: files by any of its kinds, and the paths that are absent."""
    fields = [line.split("\t", 1) for line in output.splitlines()]
    files = {os.path.realpath(v) for k, v in fields if k in ("header file", "file there")}
    others = {v for k, v in fields if k in ("nothing there", "no file there")}
    return files, {os.path.normpath(v) for v in others}


def is_absent(path, absent):
    """The path or a folder above it is known to be missing."""
    path = os.path.normpath(path)
    while path not in ("", "/", "."):
        if path in absent:
            return True
        path = os.path.dirname(path)
    return False


def check(program, number, root):
    folder = os.path.join(root, str(number))
    os.makedirs(folder)
    os.chdir(folder)
    program.make()
    opened, missed = traced(program)
    if opened is None:
        return program.may_be_refused
    output = run_driver(program, "file:../store")
    files, absent = covered(output)
    real = {p for p in opened if not os.path.isdir(p)}
    problems = ["opened, but not covered: " + p for p in real if os.path.realpath(p) not in files]
    problems += ["looked for in vain, but not covered: " + p for p in missed
                 if p not in program.memory and p != program.name and not is_absent(p, absent)]
    if "outcome\tcompiled" not in output:
        problems.append("not compiled and kept: " + output[:200])
    if not real:
        problems.append("strace saw no header")
    print("%-18s %4d opened, %4d looked for in vain, %4d files covered  %s" %
          (program.title, len(real), len(missed), len(files), "FAILED" if problems else "ok"))
    for problem in problems[:20]:
        print("    " + problem)
    return not problems


def main():
    if not shutil.which("strace"):
        skip("no strace on this machine")
    if subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode != 0:
        skip("strace is not permitted here")
    folders = toolkit()
    root = tempfile.mkdtemp()
    os.makedirs(os.path.join(root, "w"))
    os.chdir(os.path.join(root, "w"))
    os.environ.pop("TMPDIR", None)
    os.environ["ASAN_OPTIONS"] = "detect_leaks=0"
    good = True
    try:
        os.chdir(root)
        os.makedirs("trees")
        programs = own_trees_in(os.path.join(root, "trees"))
        programs += toolkit_programs(folders)
        for number, program in enumerate(programs):
            good = check(program, number, os.path.join(root, "trees")) and good
        print("%d programs" % len(programs))
    finally:
        os.chdir("/")
        shutil.rmtree(root)
    sys.exit(0 if good else 1)


def own_trees_in(folder):
    """Absolute includes are spelled with the folder they will lie in."""
    os.chdir(folder)
    return own_trees()


if __name__ == "__main__":
    main()
