#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/engine.schema.json and the library agree on the form of an engine file.

Each line of tests/data/engine-bad.json says with "schema": true that only the library can see what is
wrong with it. Then sound documents are changed at random: what the library takes, the schema takes.
"""
import copy
import glob
import json
import os
import random
import subprocess
import sys

TOP = os.environ.get("top_srcdir", "..")
BUILD = os.environ.get("top_builddir", ".")
EXAMPLES = os.path.join(TOP, "examples", "engines")
CHANGES = 1500

try:
    from jsonschema import Draft202012Validator
except ImportError:
    print("python3-jsonschema is not installed, or too old for draft 2020-12")
    sys.exit(77)


def load(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return json.load(file)


def check(documents):
    """What the library says of each document."""
    lines = "".join(json.dumps(document) + "\n" for document in documents)
    output = subprocess.run([os.path.join(BUILD, "tests", "engine_check"), EXAMPLES], input=lines,
                            stdout=subprocess.PIPE, text=True, check=True, timeout=300).stdout
    said = output.splitlines()
    assert len(said) == len(documents), f"{len(said)} lines for {len(documents)} documents"
    return said


def steps(pointer):
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def parent_of(document, way):
    for step in way[:-1]:
        document = document[int(step)] if isinstance(document, list) else document[step]
    return document


def change(document, line):
    document = copy.deepcopy(document)
    if "remove" in line:
        way = steps(line["remove"])
        del parent_of(document, way)[way[-1]]
    for pointer, value in line.get("set", {}).items():
        way = steps(pointer)
        if not way:
            document = value
            continue
        at = parent_of(document, way)
        if not isinstance(at, list):
            at[way[-1]] = value
        elif int(way[-1]) == len(at):
            at.append(value)
        else:
            at[int(way[-1])] = value
    return document


def places(value, way=()):
    """The way to each value in a document but the whole."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield way + (key,)
        yield from places(item, way + (key,))


VALUES = [None, True, 0, 1, 2, 65, 1025, 2**40, 2**40 + 1, -1, 0.5, 2.0, "", "n", "batch", "float32", "int8", "read",
          "write", "scratch", "x y", "a\nb", [], [1], ["add", 1, 2], ["add", 1], ["sub", 3, 2, 1], ["div", 1, "n"], {},
          {"scalar": 1, "type": "int32"}, {"scalar": 1.0, "type": "int32"}, {"dim": "n"}]


def mutate(document, generator):
    document = copy.deepcopy(document)
    for _ in range(generator.randint(1, 2)):
        way = generator.choice(list(places(document)))
        at = document
        for key in way[:-1]:
            at = at[key]
        action = generator.randrange(4)
        if action == 0:
            del at[way[-1]]
        elif action == 1 and isinstance(at, dict):
            at[generator.choice(["name", "kind", "source_name", "type", "shape", "extra"])] = generator.choice(VALUES)
        else:
            at[way[-1]] = copy.deepcopy(generator.choice(VALUES))
        if not list(places(document)):
            break
    return document


def main():
    schema = load(TOP, "docs", "engine.schema.json")
    table = load(TOP, "tests", "data", "engine-bad.json")
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    failures = 0

    bad = [change(table["base"], line) for line in table["bad"]]
    for line, document, said in zip(table["bad"], bad, check(bad)):
        if not said.startswith(line["says"]) or validator.is_valid(document) != line.get("schema", False):
            print(f"{line}\n    the library: {said}\n    the schema takes it: {validator.is_valid(document)}")
            failures += 1

    sound = [table["base"]] + [load(path) for path in sorted(glob.glob(os.path.join(EXAMPLES, "*.json")))]
    assert len(sound) == 4, "expected three examples"
    for document, said in zip(sound, check(sound)):
        errors = [error.message for error in validator.iter_errors(document)]
        if said != "ok" or errors:
            print(f"{document['name']}: {said}; the schema: {errors}")
            failures += 1

    generator = random.Random(20)
    changed = [mutate(generator.choice(sound), generator) for _ in range(CHANGES)]
    taken = 0
    for document, said in zip(changed, check(changed)):
        taken += said == "ok"
        if said == "ok" and not validator.is_valid(document):
            print(f"the library takes what the schema refuses: {json.dumps(document)}")
            failures += 1
    assert taken > CHANGES // 50, f"only {taken} of {CHANGES} changed documents were sound"
    print(f"{len(bad)} bad ones, {len(sound)} sound ones, {taken} of {CHANGES} changed ones sound, {failures} failures")
    sys.exit(1 if failures else 0)


main()
