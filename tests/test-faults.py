#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Faults: each system call on a store fails, once or from then on; each is the last one before a kill.

A compile succeeds all the same, with the right bytes; what was stored before is still there; and the
store works again once the fault is gone. Memory that runs out ends a command with a message that says
so at worst: never with another compiler, nor with a list that is not whole.

Beside compiles into stores at ease there are those that bring about an eviction, and those whose put
is followed by a checkpoint.

CUBBY_TEST_FAULTS=N looks at every N-th call only (default 59; 1 is all of them, some ten
thousand, and takes hours). CUBBY_TEST_SEED says at which it begins.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

TOP = os.path.abspath(os.environ.get("top_builddir", "."))
CUBBY = os.path.join(TOP, "cubby")
INJECT = os.path.join(TOP, "tests", ".libs", "inject.so")
DOUBLE = os.path.join(TOP, "tests", ".libs", "fake_nvrtc.so")
BUILTINS = os.path.join(TOP, "tests", ".libs", "fake_builtins_1.so")
STRIDE = int(os.environ.get("CUBBY_TEST_FAULTS", "59"))
FIRST = int(os.environ.get("CUBBY_TEST_SEED", "0")) % STRIDE

# A cap that three programs keep and a fourth passes, and the pages after which a log is folded in.
EVICTING_CAP = 13000
LOG_PAGES = 1024

KINDS = {"open": ["ENOSPC", "EMFILE", "EROFS", "EIO"], "read": ["EIO", "SHORT", "EINTR"],
         "write": ["ENOSPC", "EIO", "EDQUOT", "SHORT", "EINTR"], "sync": ["EIO"],
         "rename": ["EIO", "ENOSPC"], "unlink": ["EIO"], "mkdir": ["ENOSPC", "EROFS"],
         "lock": ["EIO", "EINTR"], "map": ["ENOMEM"], "stat": ["EIO", "ESTALE"], "time": ["EIO"],
         "truncate": ["EIO"]}


class Store:
    """A store in a folder of its own, with some entries and a toolkit of doubles."""

    def __init__(self, root, name, spec):
        self.folder = os.path.join(root, name)
        self.root, self.spec = root, spec % (self.folder + "/store")
        os.makedirs(self.folder)

    def run(self, *arguments, inject=None):
        environment = dict(os.environ, CUDA_HOME=os.path.join(self.root, "toolkit"),
                           HOME=self.root, CUBBY_CUDA="/no/such/libcuda.so.1",
                           CUBBY_NVJITLINK="/no/such/libnvJitLink.so", CUBBY_NVVM="/no/such/libnvvm.so")
        environment.pop("CUBBY_NVRTC", None)
        environment.pop("LD_LIBRARY_PATH", None)
        if inject:
            inject, _, library = inject.partition(" from ")
            environment.update(INJECT=inject, INJECT_REPORT=self.folder + "/report",
                               LD_PRELOAD=INJECT)
            if library:
                environment["INJECT_FROM"] = library
            if not inject.startswith("malloc"):
                environment["INJECT_UNDER"] = self.folder + "/store"
        return subprocess.run([CUBBY, "--cache", self.spec] + list(arguments), cwd=self.folder,
                              env=environment, capture_output=True, text=True, timeout=60)

    def compile(self, program, inject=None):
        """(exit status, outcome, right bytes) of compiling a program by number."""
        source, output = "p%d.cu" % program, os.path.join(self.folder, "out")
        if not os.path.exists(os.path.join(self.folder, source)):
            with open(os.path.join(self.folder, source), "w", encoding="utf-8") as file:
                file.write("program %d " % program + "x" * (200000 if program >= 100 else 3000))
        if os.path.exists(output):
            os.unlink(output)
        run = self.run("--json", "compile", "--arch", "sm_90", "--no-toolkit-include", "-o", output,
                       source, inject=inject)
        outcome, right = None, False
        if run.stdout.strip():
            try:
                outcome = json.loads(run.stdout.splitlines()[0]).get("outcome")
            except ValueError:
                outcome = "half a report"
        if os.path.exists(output):
            with open(output, encoding="utf-8") as file:
                text = file.read()
            right = "program %d xxx" % program in text and text.count("x") >= 3000
        return run.returncode, outcome, right, run.stderr

    def fired(self):
        with open(self.folder + "/report", encoding="utf-8") as file:
            return file.read().split()[1] == "fired"

    def fill(self, count=3):
        for program in range(count):
            status, outcome, right, said = self.compile(program)
            if status != 0 or outcome != "compiled" or not right:
                raise SystemExit("the store cannot be filled: %s" % said)

    def fill_log(self):
        """Compiles until the database's log is just short of what makes a put fold it in."""
        log, program = self.folder + "/store.db-wal", 100
        while os.path.getsize(log) < (LOG_PAGES - 130) * 4120:
            self.compile(program)
            program += 1
        while os.path.getsize(log) < (LOG_PAGES - 5) * 4120:
            self.compile(program - 90)  # a small one
            program += 1
        return self

    def copy_to(self, name):
        """The same in another folder; a SQLite store is at rest, so its files can be copied."""
        other = Store.__new__(Store)
        other.root, other.folder = self.root, os.path.join(self.root, name)
        other.spec = self.spec.replace(self.folder, other.folder)
        shutil.rmtree(other.folder, ignore_errors=True)
        shutil.copytree(self.folder, other.folder)
        return other


def calls(store, action, kind, library=""):
    """How many calls of a kind an action makes on the store."""
    trial = store.copy_to(os.path.basename(store.folder) + "-count")
    action(trial, "%s:1000000 from %s" % (kind, library))
    with open(trial.folder + "/report", encoding="utf-8") as file:
        return int(file.read().split()[0])


def compile_new(store, inject):
    return store.compile(7, inject)


def compile_old(store, inject):
    return store.compile(1, inject)


def check_after(store, old, problems, what):
    """The fault is gone: what was there is there, and new programs are compiled and kept."""
    for program in old:
        status, outcome, right, said = store.compile(program)
        if status != 0 or not right or outcome != "hit":
            problems.append("%s: afterwards program %d: %s %s %s" % (what, program, status, outcome,
                                                                    said[:200]))
    for wanted in ("compiled", "hit"):
        status, outcome, right, said = store.compile(9)
        if status != 0 or not right or outcome != wanted:
            problems.append("%s: afterwards a new program: %s %s, expected %s: %s" %
                            (what, status, outcome, wanted, said[:200]))
    if store.run("verify").returncode != 0:
        problems.append("%s: afterwards verify finds damage" % what)


def one_fault(job):
    """One command with one fault, and what must hold."""
    store, name, action, inject, number, survivors = job
    trial = store.copy_to("trial-%d" % number)
    what = "%s, %s" % (name, inject)
    problems = []
    try:
        status, outcome, right, said = action(trial, inject)
        killed = inject.endswith("KILL") and trial.fired()
        if killed and status != -9:
            problems.append("%s: not killed: %d" % (what, status))
        if not killed and (status != 0 or not right or outcome not in ("compiled", "hit")):
            problems.append("%s: %s %s %s" % (what, status, outcome, said[:300]))
        check_after(trial, survivors, problems, what)
    except subprocess.TimeoutExpired:
        problems.append("%s: it hangs" % what)
    shutil.rmtree(trial.folder)
    return problems


def named(said):
    """Says so; libarchive, which then ends the process by itself, in its own words."""
    return ("out of memory" in said or "Cannot allocate memory" in said or
            "Fatal Internal Error in libarchive: Out of memory" in said or
            "Fatal Internal Error in libarchive: No memory" in said)


def one_verb_fault(job):
    """Memory runs out in a verb that only looks: it says the same, or that memory is short."""
    store, verb, number, inject, wanted = job
    trial = store.copy_to("trial-%d" % number)
    run = trial.run(*verb, inject=inject)
    same = run.stdout.replace(trial.folder, "") == wanted
    shutil.rmtree(trial.folder)
    if (run.returncode == 0 and same) or (0 <= run.returncode <= 4 and named(run.stdout + run.stderr)):
        return []
    return ["%s, %s: %d %s %s" % (" ".join(verb), inject, run.returncode, run.stdout[-200:],
                                  run.stderr[:300])]


def one_clear_fault(job):
    """A clear with one fault: all entries are gone, or it fails with a reason and all are there."""
    store, name, number, inject, count = job
    trial = store.copy_to("trial-%d" % number)
    run = trial.run("clear", inject=inject)
    left = len(trial.run("ls").stdout.splitlines())
    ended = run.returncode == (0 if left == 0 else 4) or (inject.endswith("KILL") and trial.fired())
    whole = left in (0, count) and trial.run("verify").returncode == 0
    shutil.rmtree(trial.folder)
    if ended and whole and "no transaction is active" not in run.stderr:
        return []
    return ["%s: clear, %s: %d, %d of %d entries left: %s" % (name, inject, run.returncode, left, count,
                                                             run.stderr[:300])]


def one_memory_fault(job):
    """Memory runs out: the command ends as it should or says so, and never by a signal."""
    store, name, action, inject, number, survivors = job
    trial = store.copy_to("trial-%d" % number)
    what = "%s, %s" % (name, inject)
    problems = []
    status, outcome, right, said = action(trial, inject)
    sound = right and outcome in ("compiled", "hit", "waited")
    if status < 0 or status > 4 or (status == 0 and not sound) or (status > 0 and not named(said)):
        problems.append("%s: %d %s %s" % (what, status, outcome, said[:300]))
    check_after(trial, survivors, problems, what)
    shutil.rmtree(trial.folder)
    return problems


def cases_of(root):
    """Every store with what is done to it and which programs are there afterwards in any case."""
    specs = {"file": "file:%s", "capped": "file:%s?max_size=1M", "durable": "file:%s?durable=1",
             "sqlite": "sqlite:%s.db", "tiers": "memory,file:%s"}
    evicting = {"file-evicting": "file:%%s?max_size=%d" % EVICTING_CAP,
                "sqlite-evicting": "sqlite:%%s.db?max_size=%d" % EVICTING_CAP}
    for title, spec in dict(specs, **evicting).items():
        filled, empty = Store(root, title, spec), Store(root, title + "-empty", spec)
        if filled.run("stats").returncode != 0:
            print("%s: not in this build" % title)
            continue
        filled.fill()
        if title in evicting:
            # Where the oldest cannot be removed, the next one goes.
            yield "%s: new" % title, filled, compile_new, [2]
            continue
        yield "%s: new" % title, filled, compile_new, [0, 1, 2]
        yield "%s: hit" % title, filled, compile_old, [0, 2]
        yield "%s: empty store" % title, empty, compile_new, []
        if title == "sqlite":
            full = Store(root, "sqlite-log", spec)
            full.fill()
            yield "sqlite-checkpoint: new", full.fill_log(), compile_new, [0, 1, 2, 100, 101]


def jobs(root):
    """Every case with every kind and number of call."""
    numbers = itertools.count(STRIDE - FIRST)
    for name, store, action, survivors in cases_of(root):
        for kind, errors in KINDS.items():
            count = calls(store, action, kind)
            for n in range(1, count + 1):
                for form, error in itertools.product(("", "+"), errors):
                    if error in ("SHORT", "EINTR") and form == "+":
                        continue  # no progress at all, for ever, is no system
                    if next(numbers) % STRIDE == 0:
                        inject = "%s:%d%s:%s" % (kind, n, form, error)
                        yield one_fault, (store, name, action, inject, next(numbers), survivors)
        for n in range(1, calls(store, action, "any") + 1):
            if next(numbers) % STRIDE == 0:
                yield one_fault, (store, name, action, "any:%d:KILL" % n, next(numbers),
                                  survivors)
        # What is found and remembered for the first time is on an empty store.
        stride = 4 * STRIDE if survivors else STRIDE
        for n in range(1, calls(store, action, "malloc") + 1):
            for form in ("", "+"):
                if next(numbers) % stride == 0:
                    yield one_memory_fault, (store, name, action, "malloc:%d%s" % (n, form),
                                             next(numbers), survivors)
        if name.startswith("sqlite-checkpoint:"):
            yield from clear_jobs(name, store, numbers)
        if action is compile_old:
            yield from verb_jobs(store, numbers)
            if name.startswith("file:"):
                yield from library_jobs(store, numbers)


def clear_jobs(name, store, numbers):
    """Clearing the store, with each call that changes a file failing, and each call the last."""
    def clear(trial, inject):
        trial.run("clear", inject=inject)

    count = len(store.run("ls").stdout.splitlines())
    faults = [("write", "ENOSPC"), ("write", "EIO"), ("sync", "EIO"), ("truncate", "EIO"), ("any", "KILL")]
    for kind, error in faults:
        for n in range(1, calls(store, clear, kind) + 1):
            for form in ("",) if error == "KILL" else ("", "+"):
                if next(numbers) % STRIDE == 0:
                    inject = "%s:%d%s:%s" % (kind, n, form, error)
                    yield one_clear_fault, (store, name, next(numbers), inject, count)


def verb_jobs(store, numbers):
    """Verbs that only look, with each allocation failing."""
    program = ["--arch", "sm_90", "--no-toolkit-include", "p1.cu"]
    for verb in (["key", *program], ["explain", "-DOTHER", *program], ["verify"], ["stats"], ["ls"],
                 ["--json", "stats"]):
        wanted = None

        def look(trial, inject):
            nonlocal wanted
            wanted = trial.run(*verb, inject=inject).stdout.replace(trial.folder, "")

        for n in range(1, calls(store, look, "malloc") + 1):
            for form in ("", "+"):
                if next(numbers) % STRIDE == 0:
                    yield one_verb_fault, (store, verb, next(numbers), "malloc:%d%s" % (n, form),
                                           wanted)


def library_jobs(store, numbers):
    """Verbs of which a library does a part, with each of the library's allocations failing."""
    store.run("export", "all.tar")
    program = ["--arch", "sm_90", "--no-toolkit-include"]
    key = store.run("key", *program, "p1.cu").stdout.strip()
    verbs = [("libarchive", ["export", "again.tar"]), ("libarchive", ["import", "all.tar"])]
    for verb in (["key", "--explain", *program, "p1.cu"], ["explain", *program, "é.cu"], ["ls"],
                 ["show", key], ["stats"], ["verify"], ["doctor"]):
        verbs.append(("libjansson", ["--json", *verb]))
    for verb in (["doctor"], ["key", *program, "p1.cu"], ["compile", "-j2", *program, "p0.cu", "p1.cu"]):
        verbs.append(("libjansson", verb))
    shutil.copy(store.folder + "/p1.cu", store.folder + "/é.cu")
    for library, verb in verbs:
        wanted = None

        def use(trial, inject):
            nonlocal wanted
            wanted = trial.run(*verb, inject=inject).stdout.replace(trial.folder, "")

        for n in range(1, calls(store, use, "malloc", library) + 1):
            yield one_verb_fault, (store, verb, next(numbers), "malloc:%d from %s" % (n, library), wanted)


def make_toolkit(root):
    lib = os.path.join(root, "toolkit", "lib64")
    os.makedirs(lib)
    shutil.copy(DOUBLE, os.path.join(lib, "libnvrtc.so.13"))
    shutil.copy(BUILTINS, os.path.join(lib, "libnvrtc-builtins.so.13.90"))
    time.sleep(2)  # what is younger is not remembered


def main():
    if not os.path.exists(INJECT):
        print("the injector was not built")
        sys.exit(77)
    if subprocess.run(["grep", "-qE", "__asan_init|gcov", CUBBY], check=False).returncode == 0:
        print("a sanitizer or a profiler is in the way, which cannot do without memory itself")
        sys.exit(77)
    root = tempfile.mkdtemp()
    tried, problems = {"failed calls": 0, "kills": 0, "failed allocations": 0}, []
    try:
        make_toolkit(root)
        with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
            for inject, found in pool.map(lambda job: (job[1][3], job[0](job[1])), jobs(root)):
                tried["kills" if inject.endswith("KILL") else
                      "failed allocations" if inject.startswith("malloc") else "failed calls"] += 1
                problems += found
    finally:
        shutil.rmtree(root, ignore_errors=True)
    for problem in problems[:40]:
        print(problem)
    print("faults: %s, %d problems" % (", ".join("%d %s" % (count, what)
                                                   for what, count in tried.items()), len(problems)))
    sys.exit(1 if problems or not all(tried.values()) else 0)


if __name__ == "__main__":
    main()
