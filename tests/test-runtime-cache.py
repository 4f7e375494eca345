#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Processes that save kernels to one file: none is lost, whoever dies in the middle, whatever call of
the system fails, however short memory is.

CUBBY_TEST_FAULTS=N looks at every N-th fault only (default 3; 1 is all of them).
"""

import itertools
import os
import random
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.abspath(os.environ.get("top_builddir", "."))
TOOL = os.path.join(TOP, "tests", "runtime_cache_tool")
INJECT = os.path.join(TOP, "tests", ".libs", "inject.so")
STRIDE = int(os.environ.get("CUBBY_TEST_FAULTS", "3"))
PROCESSES = 4
ROUNDS = 12

KINDS = {"open": ["EMFILE", "EROFS", "EIO", "EINTR"], "read": ["EIO", "SHORT", "EINTR"],
         "write": ["ENOSPC", "EIO", "SHORT", "EINTR"], "sync": ["EIO", "EINTR"], "rename": ["EIO", "ENOSPC"],
         "unlink": ["EIO"], "mkdir": ["ENOSPC"], "lock": ["EIO", "EINTR"], "stat": ["EIO"]}

problems = []
tried = 0


def expect(what, said, wanted):
    global tried
    tried += 1
    if said != wanted:
        problems.append("%s: %s, expected %s" % (what, said, wanted))


class Folder:
    """A folder with a runtime cache: a file, or an entry of a store."""

    def __init__(self, place="%s"):
        self.folder = tempfile.mkdtemp()
        self.inner = os.path.join(self.folder, "cache")
        self.path = place % os.path.join(self.inner, "kernels.bin")

    def environment(self, inject):
        environment = dict(os.environ)
        if inject:
            environment.update(INJECT=inject, INJECT_REPORT=self.folder + "/report", LD_PRELOAD=INJECT)
            if not inject.startswith("malloc"):
                environment["INJECT_UNDER"] = self.inner
        return environment

    def start(self, *arguments, inject=None):
        return subprocess.Popen([TOOL, *map(str, arguments)], env=self.environment(inject), text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, *arguments, inject=None):
        """(exit status, what it said, its warnings)"""
        process = self.start(*arguments, inject=inject)
        said, warned = process.communicate(timeout=60)
        return process.returncode, said.strip(), warned

    def save(self, *numbers, inject=None):
        return self.run("save", self.path, *numbers, inject=inject)

    def kernels(self):
        status, said, warned = self.run("list", self.path)
        if status != 0 or warned:
            problems.append("the file is not whole: %d %s %s" % (status, said, warned))
            return []
        return [int(word) for word in said.split()]

    def calls(self):
        """The calls that counted in the last run with a fault, and whether it came."""
        with open(self.folder + "/report", encoding="ascii") as file:
            count, fired = file.read().split()
        return int(count), fired == "fired"

    def leftovers(self):
        """Temporary files of the dead, beside the file that is no store."""
        return [name for name in os.listdir(self.inner) if name.endswith(".tmp")]

    def remove(self):
        shutil.rmtree(self.folder)


# ---- Several at once, of whom some die ---------------------------------------------------------------

def union():
    """Four at a time add kernels, one more is killed at some call; all but its are there."""
    folder = Folder()
    rng = random.Random(4330)
    folder.save(0)
    folder.save(1, inject="any:1000000")
    calls, _ = folder.calls()
    wanted, number, killed = {0, 1}, 2, 0
    for _ in range(ROUNDS):
        running = []
        for _ in range(PROCESSES):
            running.append((number, folder.start("save", folder.path, number)))
            number += 1
        victim = folder.start("save", folder.path, 63, inject="any:%d:KILL" % rng.randint(1, calls))
        for saved, process in running:
            said, _ = process.communicate(timeout=60)
            expect("one of %d" % PROCESSES, (process.returncode, said.strip()), (0, "saved"))
            wanted.add(saved)
        victim.communicate(timeout=60)
        killed += victim.returncode == -9
        there = set(folder.kernels())
        expect("the union", sorted(there - {63}), sorted(wanted))
    expect("some were killed", killed > 0, True)
    folder.save(62)
    expect("what the dead left behind", folder.leftovers(), [])
    folder.remove()
    return killed


def every_death(place):
    """Killed at each call in turn: what is there is the old set or the new one."""
    counted = Folder(place)
    _, said, warned = counted.save(1, 2)
    if "has no SQLite store" in said + warned:
        print("%s: not in this build" % place)
        return
    expect("%s: the first kernels" % place, counted.kernels(), [1, 2])
    counted.save(3, inject="any:1000000")
    calls, _ = counted.calls()
    counted.remove()
    for n in range(1, calls + 1, 1 if place == "%s" else STRIDE):
        folder = Folder(place)
        what = "%s, killed at call %d of %d" % (place, n, calls)
        folder.save(1, 2)
        status, _, _ = folder.save(3, inject="any:%d:KILL" % n)
        if folder.calls()[1]:  # else it took fewer calls this time
            expect(what, status, -9)
        expect(what + ": old or new", folder.kernels() in ([1, 2], [1, 2, 3]), True)
        status, said, warned = folder.save(4)
        expect(what + ": the next one", (status, said, warned), (0, "saved", ""))
        expect(what + ": its kernels", folder.kernels() in ([1, 2, 4], [1, 2, 3, 4]), True)
        expect(what + ": left behind", folder.leftovers(), [])
        folder.remove()
    print("%s: killed at each of %d calls" % (place, calls))


# ---- Faults ----------------------------------------------------------------------------------------

def faults():
    """Each call fails, once or from then on: saved, or an error that says so, and nothing is lost."""
    counted = Folder()
    counted.save(1, 2)
    numbers = itertools.count()
    for kind, errors in KINDS.items():
        counted.save(3, inject="%s:1000000" % kind)
        calls, _ = counted.calls()
        for n, form, error in itertools.product(range(1, calls + 1), ("", "+"), errors):
            if error in ("SHORT", "EINTR") and form == "+":
                continue  # no progress at all, for ever, is no system
            if next(numbers) % STRIDE == 0:
                one_fault("%s:%d%s:%s" % (kind, n, form, error))
    counted.remove()
    counted = Folder()
    counted.save(1, 2)
    counted.save(3, inject="malloc:1000000")
    calls, _ = counted.calls()
    for n, form in itertools.product(range(1, calls + 1), ("", "+")):
        if next(numbers) % STRIDE == 0:
            one_fault("malloc:%d%s" % (n, form))
    counted.remove()


def one_fault(inject):
    folder = Folder()
    folder.save(1, 2)
    status, said, warned = folder.save(3, inject=inject)
    there = folder.kernels()
    if status == 0:
        expect("saved in spite of " + inject, (said, there), ("saved", [1, 2, 3]))
    else:
        expect("%s: %s %s" % (inject, said, warned), (status, there in ([1, 2], [1, 2, 3])), (1, True))
        expect(inject + ": an error that names it", len(said) > 10, True)
    status, said, _ = folder.save(4)
    expect("after " + inject, (status, said), (0, "saved"))
    expect("nothing is lost after " + inject, folder.kernels() in ([1, 2, 4], [1, 2, 3, 4]), True)
    folder.remove()


def main():
    if not os.path.exists(TOOL) or not os.path.exists(INJECT):
        print("tests/runtime_cache_tool or the injector was not built")
        return 77
    if subprocess.run(["grep", "-qE", "__asan_init|__tsan_init|gcov", TOOL], check=False).returncode == 0:
        print("a sanitizer or a profiler is in the way, which cannot do without memory itself")
        return 77
    print("%d killed among others" % union())
    for place in ("%s", "store:file:%s", "store:sqlite:%s"):
        every_death(place)
    faults()
    for problem in problems[:40]:
        print("FAILED: " + problem)
    print("%d checks, %d failures" % (tried, len(problems)))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
