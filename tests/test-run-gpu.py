#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What cubby run computes on the machine's GPU, compared with NumPy. Skipped where there is none of either."""
import json
import math
import os
import struct
import subprocess
import sys
import tempfile

try:
    import numpy
except ImportError:
    print("python3-numpy is not installed")
    sys.exit(77)

TOP = os.path.abspath(os.environ.get("top_srcdir", ".."))
CUBBY = os.path.abspath(os.path.join(os.environ.get("top_builddir", "."), "cubby"))
# Digits of each float, the hidden one among them, and what NumPy has for its bits.
FLOATS = {"float8_e4m3": (4, 4, "u1"), "float8_e5m2": (3, 5, "u1"), "float16": (11, 5, "<u2"),
          "bfloat16": (8, 8, "<u2"), "float32": (24, 8, "<u4"), "float64": (53, 11, "<u8")}
INTEGERS = {"bool": "u1", "int8": "i1", "uint8": "u1", "int16": "<i2", "uint16": "<u2", "int32": "<i4", "uint32": "<u4",
            "int64": "<i8", "uint64": "<u8"}
MASK = (1 << 64) - 1


def run(*arguments):
    done = subprocess.run([CUBBY, "--json", "run", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=300)
    assert done.returncode == 0, (arguments, done.returncode, done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def numbers(seed, name, count):
    """The documented generator."""
    digest = 0xcbf29ce484222325
    for byte in name.encode():
        digest = (digest ^ byte) * 0x100000001b3 & MASK
    state = seed ^ digest
    for _ in range(count):
        state = state + 0x9e3779b97f4a7c15 & MASK
        z = (state ^ state >> 30) * 0xbf58476d1ce4e5b9 & MASK
        z = (z ^ z >> 27) * 0x94d049bb133111eb & MASK
        yield z ^ z >> 31


def float_bits(number, digits, exponent_bits):
    """The top digits as a fraction of [-1, 1), as bits of that form: those of a double, made shorter."""
    value = (number >> 64 - digits) / 2 ** (digits - 1) - 1
    bits = struct.unpack("<Q", struct.pack("<d", value))[0]
    if value == 0:
        return 0
    exponent = (bits >> 52 & 0x7ff) - 1023 + 2 ** (exponent_bits - 1) - 1
    return bits >> 63 << digits - 1 + exponent_bits | exponent << digits - 1 | (bits & (1 << 52) - 1) >> 53 - digits


def expected_bits(dtype, seed, name, count):
    if dtype in FLOATS:
        digits, exponent_bits, _ = FLOATS[dtype]
        return [float_bits(number, digits, exponent_bits) for number in numbers(seed, name, count)]
    if dtype == "bool":
        return [number >> 63 for number in numbers(seed, name, count)]
    return [(number >> 60) - (8 if dtype.startswith("int") else 0) for number in numbers(seed, name, count)]


def check_random(folder, count):
    """Every type copied on the GPU: the numbers that went in come out."""
    dtypes = list(FLOATS) + list(INTEGERS)
    engine = {
        "cubby_engine": 1, "name": "copies", "dims": [{"name": "n", "min": 1, "opt": count, "max": 100000}],
        "tensors": [{"name": f"{role}_{dtype}", "dtype": dtype, "role": role, "shape": ["n"]}
                    for dtype in dtypes for role in ("input", "output")],
        "programs": [{"name": "copy", "text": "extern \"C\" __global__ void copy(const char *in, char *out, long long n, int size) {"
                                              " long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;"
                                              " if (i < n * size) out[i] = in[i]; }"}],
        "launches": [{"program": "copy", "kernel": "copy", "grid": [["ceil_div", ["mul", "n", 8], 256]], "block": [256],
                      "arguments": [{"tensor": f"input_{dtype}", "access": "read"}, {"tensor": f"output_{dtype}", "access": "write"},
                                    {"dim": "n", "type": "int64"},
                                    {"scalar": numpy.dtype(FLOATS[dtype][2] if dtype in FLOATS else INTEGERS[dtype]).itemsize,
                                     "type": "int32"}]} for dtype in dtypes]}
    path = os.path.join(folder, "copies.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(engine, file)
    run(path, "--seed", "42", "--output-dir", folder)
    for dtype in dtypes:
        bits = FLOATS[dtype][2] if dtype in FLOATS else INTEGERS[dtype]
        got = numpy.load(os.path.join(folder, f"output_{dtype}.npy")).view(bits)
        assert got.tolist() == expected_bits(dtype, 42, f"input_{dtype}", count), dtype


def gelu(x):
    return 0.5 * x * (1 + numpy.vectorize(math.erf)(x / numpy.sqrt(2)))


def check_mlp(folder, strategy):
    """The example, for shapes that tiles do not divide, first generic and then specialised."""
    generator = numpy.random.default_rng(3)
    for batch, features, hidden in ((1, 16, 16), (33, 50, 70)):
        shapes = {"x": (batch, features), "w1": (features, hidden), "b1": (hidden,), "w2": (hidden, features),
                  "b2": (features,)}
        given = {name: generator.uniform(-1, 1, shape).astype("<f4") for name, shape in shapes.items()}
        arguments = []
        for name, array in given.items():
            path = os.path.join(folder, name + ".npy")
            numpy.save(path, array)
            arguments += ["--input", f"{name}={path}"]
        output = os.path.join(folder, "y.npy")
        rows = run(os.path.join(TOP, "examples", "engines", "mlp.json"), "--strategy", strategy, "--output", f"y={output}",
                   "--iterations", "20", *arguments)
        assert rows[0]["dims"] == {"batch": batch, "features": features, "hidden": hidden}, rows
        assert rows[0]["specialized"] == (0 if strategy == "none" else 1), rows
        assert 0 < rows[0]["median_us"] <= rows[0]["p99_us"], rows
        wide = {name: array.astype("f8") for name, array in given.items()}
        wanted = gelu(wide["x"] @ wide["w1"] + wide["b1"]) @ wide["w2"] + wide["b2"]
        got = numpy.load(output)
        assert got.dtype == numpy.dtype("<f4") and got.shape == wanted.shape
        assert numpy.allclose(got, wanted, rtol=1e-3, atol=1e-3), (strategy, numpy.abs(got - wanted).max())


def main():
    found = subprocess.run([CUBBY, "--json", "--cache", "memory", "doctor"], stdout=subprocess.PIPE, text=True, timeout=60)
    if found.returncode != 0 or "arch" not in json.loads(found.stdout)["device"]:
        print("no NVRTC, or no GPU, on this machine")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CUBBY_CACHE"] = "file:" + os.path.join(folder, "store")
        check_random(folder, 1000)
        for strategy in ("lazy", "eager", "none"):
            check_mlp(folder, strategy)
    print("the numbers agree")


main()
