#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""NumPy and the command agree on .npy: what either writes, the other reads, with the same bytes."""
import os
import subprocess
import sys
import tempfile

try:
    import numpy
    from numpy.lib import format as npy_format
except ImportError:
    print("python3-numpy is not installed")
    sys.exit(77)

TOOL = os.path.join(os.environ.get("top_builddir", "."), "tests", "npy_tool")
PLAIN = {"bool": "?", "int8": "i1", "uint8": "u1", "int16": "<i2", "uint16": "<u2", "int32": "<i4", "uint32": "<u4",
         "int64": "<i8", "uint64": "<u8", "float16": "<f2", "float32": "<f4", "float64": "<f8"}
RAW = {"bfloat16": ["V2", "<u2"], "float8_e4m3": ["V1", "u1"], "float8_e5m2": ["V1", "u1"]}
SHAPES = [(), (1,), (7,), (3, 5), (2, 3, 4), (1,) * 15 + (2,)]


def make(dtype, shape, generator):
    size = numpy.dtype(dtype).itemsize * int(numpy.prod(shape, dtype=int))
    values = generator.integers(0, 2 if dtype == "?" else 256, size, dtype="u1").tobytes()
    return numpy.frombuffer(values, dtype=dtype).reshape(shape)


def copy(folder, array, name, version):
    """What the tool makes of an array that NumPy wrote."""
    given, made = os.path.join(folder, "given.npy"), os.path.join(folder, "made.npy")
    with open(given, "wb") as file:
        npy_format.write_array(file, array, version=version)
    done = subprocess.run([TOOL, given, made, name] + [str(extent) for extent in array.shape],
                          stdout=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 0, (name, array.dtype, array.shape, version, done.stdout)
    return numpy.load(made)


def refusal(folder, array, name):
    given = os.path.join(folder, "given.npy")
    numpy.save(given, array, allow_pickle=False)
    done = subprocess.run([TOOL, given, os.path.join(folder, "none.npy"), name] +
                          [str(extent) for extent in array.shape], stdout=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1, (name, array.dtype)
    return done.stdout


def main():
    generator = numpy.random.default_rng(1)
    copies = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, spellings in list({name: [dtype] for name, dtype in PLAIN.items()}.items()) + list(RAW.items()):
            for dtype in spellings:
                for shape in SHAPES:
                    for version in ((1, 0), (2, 0), (3, 0)):
                        array = make(dtype, shape, generator)
                        got = copy(folder, array, name, version)
                        assert got.shape == array.shape and got.dtype == numpy.dtype(spellings[0]), (name, got.dtype)
                        assert got.tobytes() == array.tobytes(), (name, shape, version)
                        copies += 1
        square = numpy.arange(6, dtype="<f4").reshape(2, 3)
        assert "Fortran" in refusal(folder, numpy.asfortranarray(square), "float32")
        assert "big-endian" in refusal(folder, square.astype(">f4"), "float32")
        assert "no tensor has" in refusal(folder, square.astype("<c8"), "float32")
        assert "fields" in refusal(folder, numpy.zeros(3, dtype=[("a", "<f4")]), "float32")
    print(f"{copies} arrays")


main()
