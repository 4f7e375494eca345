/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/random.h"

#include <math.h>
#include <string.h>

/* A float of IEEE's form: digits as in float.h, the hidden one among them. */
struct float_form {
    unsigned digits, exponent_bits;
};

static uint64_t next(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t begin(uint64_t seed, const char *tensor) {
    uint64_t digest = 0xcbf29ce484222325u;

    for (; *tensor; tensor++)
        digest = (digest ^ (unsigned char)*tensor) * 0x100000001b3u;
    return seed ^ digest;
}

/* No digits for what is no float. */
static const struct float_form FORMS[] = {
    [CUBBY_DTYPE_FLOAT8_E4M3] = {4, 4}, [CUBBY_DTYPE_FLOAT8_E5M2] = {3, 5},
    [CUBBY_DTYPE_FLOAT16] = {11, 5},    [CUBBY_DTYPE_BFLOAT16] = {8, 8},
    [CUBBY_DTYPE_FLOAT32] = {24, 8},    [CUBBY_DTYPE_FLOAT64] = {53, 11},
};

/* The bits of a value that the form holds exactly: zero, or neither subnormal nor too large. */
static uint64_t encode(double value, const struct float_form *form) {
    unsigned stored = form->digits - 1; /* the hidden digit is not */
    uint64_t bias = (UINT64_C(1) << (form->exponent_bits - 1)) - 1;
    int exponent;
    double fraction = frexp(fabs(value), &exponent); /* 0.5 <= fraction < 1 */
    uint64_t bits;

    if (value == 0)
        return 0;
    bits = (uint64_t)ldexp(fraction * 2 - 1, (int)stored);
    bits |= (bias + (uint64_t)(exponent - 1)) << stored;
    return bits | (uint64_t)(value < 0) << (stored + form->exponent_bits);
}

/* The top digits of the number as a fraction of [-1, 1). */
static uint64_t make_float(uint64_t number, const struct float_form *form) {
    int64_t half = INT64_C(1) << (form->digits - 1);
    int64_t numerator = (int64_t)(number >> (64 - form->digits)) - half;

    return encode((double)numerator / (double)half, form);
}

static uint64_t make_integer(uint64_t number, enum cubby_dtype dtype) {
    switch (dtype) {
    case CUBBY_DTYPE_BOOL:
        return number >> 63;
    case CUBBY_DTYPE_INT8:
    case CUBBY_DTYPE_INT16:
    case CUBBY_DTYPE_INT32:
    case CUBBY_DTYPE_INT64:
        return (number >> 60) - 8;
    default:
        return number >> 60;
    }
}

/* The low bytes of the bits, in the order of this machine. */
static void put(void *at, uint64_t bits, size_t size) {
    uint8_t one = (uint8_t)bits;
    uint16_t two = (uint16_t)bits;
    uint32_t four = (uint32_t)bits;
    const void *const forms[] = {[1] = &one, [2] = &two, [4] = &four, [8] = &bits};

    memcpy(at, forms[size], size);
}

void random_fill(uint64_t seed, const char *tensor, enum cubby_dtype dtype, void *data,
                 size_t count) {
    size_t size = cubby_dtype_size(dtype);
    uint64_t state = begin(seed, tensor);
    const struct float_form *form = &FORMS[dtype];

    for (size_t i = 0; i < count; i++) {
        uint64_t number = next(&state);

        put((char *)data + i * size,
            form->digits > 0 ? make_float(number, form) : make_integer(number, dtype), size);
    }
}
