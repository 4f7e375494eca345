#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Locks of Cubby's and of Python's filelock on the same path keep each other out, either way round.

With the filelock that is installed, and those in the folders of CUBBY_TEST_FILELOCK_DIRS (with ":"
between them); scripts/filelock-versions fetches some.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

TOP = os.path.abspath(os.environ.get("top_builddir", "."))
TOOL = os.path.join(TOP, "tests", "file_lock_tool")
KERNELS_TOOL = os.path.join(TOP, "tests", "runtime_cache_tool")
ROUNDS = 25
CROWD = 3  # of each side


# ---- The side of Python: the protocol of tests/file_lock_tool.c -----------------------------------

def visit(path):
    """One between taking and giving up: what was wrong, or None."""
    inside = path + ".inside"
    try:
        os.close(os.open(inside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return "two hold the lock"
    with open(path, "r+", encoding="ascii") as file:
        number = int(file.read())
        file.seek(0)
        file.write("%d\n" % (number + 1))
    os.unlink(inside)
    return None


def count(lock, path, rounds):
    for _ in range(rounds):
        lock.acquire(timeout=-1)
        problem = visit(path)
        lock.release()
        if problem:
            return problem
        time.sleep(random.random() * 0.004)
    return "yes"


def serve(path):
    import filelock  # of the version that PYTHONPATH names

    lock = filelock.FileLock(path)
    print(filelock.__version__, flush=True)
    for line in sys.stdin:
        words = line.split()
        said = "yes"
        if words[0] == "try":
            try:
                lock.acquire(timeout=int(words[2]) / 1000)
            except filelock.Timeout:
                said = "busy"
        elif words[0] == "release":
            lock.release()
        else:
            said = count(lock, words[1], int(words[2]))
        print(said, flush=True)


# ---- Both sides as processes ------------------------------------------------------------------------

class Side:
    def __init__(self, command, environment=None):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env=environment)

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self):
        said = self.process.stdout.readline().strip()
        return said or "nothing: " + self.process.stderr.read()

    def ask(self, line):
        self.tell(line)
        return self.hear()

    def end(self, kill=False):
        if kill:
            self.process.kill()
        self.process.communicate(timeout=30)


class Cubby(Side):
    def __init__(self, lock):
        super().__init__([TOOL, lock])


class Python(Side):
    def __init__(self, lock, folder):
        environment = dict(os.environ)
        environment.pop("PYTHONPATH", None)
        if folder:
            environment["PYTHONPATH"] = folder
        super().__init__([sys.executable, "-W", "ignore", os.path.abspath(__file__), "serve", lock],
                         environment)
        self.version = self.hear()


# ---- What has to hold ---------------------------------------------------------------------------------

class Trial:
    """One version of filelock against Cubby, in a folder of its own."""

    def __init__(self, work, folder):
        self.work, self.folder = work, folder
        self.lock = os.path.join(work, "kernels.lock")
        self.checks = 0
        self.problems = []

    def python(self):
        return Python(self.lock, self.folder)

    def expect(self, what, said, wanted):
        self.checks += 1
        if said != wanted:
            self.problems.append("%s: %s, expected %s" % (what, said, wanted))

    def exclusion(self):
        """Each holds it while the other tries in vain, and gives it up for the other."""
        cubby, python = Cubby(self.lock), self.python()
        for mode in ("exclusive", "shared", "exclusive"):
            self.expect("Python first", python.ask("try exclusive 0"), "yes")
            self.expect("then Cubby, " + mode, cubby.ask("try %s 0" % mode), "busy")
            self.expect("Python", python.ask("release"), "yes")
            self.expect("Cubby after Python, " + mode, cubby.ask("try %s 0" % mode), "yes")
            self.expect("Python beside Cubby, " + mode, python.ask("try exclusive 0"), "busy")
            self.expect("Cubby", cubby.ask("release"), "yes")
        python.end()
        cubby.end()

    def readers(self):
        """Those who share it keep Python out, until the last of them is gone."""
        first, second, python = Cubby(self.lock), Cubby(self.lock), self.python()
        self.expect("first reader", first.ask("try shared 0"), "yes")
        self.expect("second reader", second.ask("try shared 0"), "yes")
        self.expect("Python beside two readers", python.ask("try exclusive 0"), "busy")
        self.expect("first reader", first.ask("release"), "yes")
        self.expect("Python beside one reader", python.ask("try exclusive 0"), "busy")
        second.end(kill=True)
        self.expect("Python after the readers", python.ask("try exclusive 5000"), "yes")
        self.expect("reader beside Python", first.ask("try shared 0"), "busy")
        python.end(kill=True)
        self.expect("Cubby after Python died", first.ask("try exclusive 5000"), "yes")
        first.end()

    def waiting(self):
        """Who waited holds the file that has the name now, so that those who come later wait too."""
        sides = (("Cubby", lambda: Cubby(self.lock)), ("Python", self.python))
        for (name, make), (other, make_other) in (sides, sides[::-1]):
            holder, waiter = make(), make_other()
            self.expect(name, holder.ask("try exclusive 0"), "yes")
            waiter.tell("try exclusive 10000")
            time.sleep(0.2)
            self.expect(name, holder.ask("release"), "yes")
            self.expect("%s waiting for %s" % (other, name), waiter.hear(), "yes")
            for late_name, make_late in sides:
                late = make_late()
                self.expect("%s after %s waited" % (late_name, other), late.ask("try exclusive 0"),
                            "busy")
                late.end()
            holder.end()
            waiter.end()

    def crowd(self):
        """Many of both count in one file: no two are inside at once, and no number is lost."""
        path = os.path.join(self.work, "number")
        with open(path, "w", encoding="ascii") as file:
            file.write("0\n")
        sides = [Cubby(self.lock) for _ in range(CROWD)] + [self.python() for _ in range(CROWD)]
        for side in sides:
            side.tell("count %s %d" % (path, ROUNDS))
        for side in sides:
            self.expect("one of a crowd", side.hear(), "yes")
            side.end()
        with open(path, encoding="ascii") as file:
            self.expect("the number of all", int(file.read()), len(sides) * ROUNDS)

    def kernels(self, *arguments):
        return subprocess.Popen([KERNELS_TOOL, arguments[0], self.lock[:-len(".lock")], *arguments[1:]],
                                stdout=subprocess.PIPE, text=True)

    def saving(self):
        """A runtime cache is saved when Python gives its lock up, and not before."""
        python = self.python()
        self.expect("Python", python.ask("try exclusive 0"), "yes")
        save = self.kernels("save", "7")
        time.sleep(0.5)
        self.expect("a save beside Python", save.poll(), None)
        self.expect("what is saved meanwhile", self.kernels("list").communicate(timeout=30)[0], "\n")
        self.expect("Python", python.ask("release"), "yes")
        self.expect("the save after Python", save.communicate(timeout=30)[0], "saved\n")
        self.expect("what is saved then", self.kernels("list").communicate(timeout=30)[0], "7 \n")
        python.end()

    def run(self):
        self.exclusion()
        self.readers()
        self.waiting()
        self.crowd()
        self.saving()
        return self.problems


def folders():
    """Where filelock is: None stands for the one that is installed."""
    installed = subprocess.run([sys.executable, "-c", "import filelock"], capture_output=True,
                               check=False, env={"PATH": os.environ.get("PATH", "")})
    if installed.returncode == 0:
        yield None
    for folder in os.environ.get("CUBBY_TEST_FILELOCK_DIRS", "").split(":"):
        if folder:
            yield os.path.abspath(folder)


def main():
    if not os.path.exists(TOOL) or not os.path.exists(KERNELS_TOOL):
        print("tests/file_lock_tool or tests/runtime_cache_tool was not built")
        return 77
    failures = checks = versions = 0
    for folder in folders():
        work = tempfile.mkdtemp()
        trial = Trial(work, folder)
        python = trial.python()
        python.end()
        problems = trial.run()
        shutil.rmtree(work)
        versions += 1
        checks += trial.checks
        failures += len(problems)
        print("filelock %s: %d checks, %d failures" % (python.version, trial.checks, len(problems)))
        for problem in problems:
            print("  FAILED: " + problem)
    if versions == 0:
        print("no filelock: neither is python3-filelock installed, nor names CUBBY_TEST_FILELOCK_DIRS any")
        return 77
    print("%d versions, %d checks, %d failures" % (versions, checks, failures))
    return 1 if failures else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2])
    else:
        sys.exit(main())
