/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the example engines are to compute, said without kernels: whole engines in double precision,
 * row by row, with a bound for the error of each number. A bound holds for any order of the sums
 * and for any choice of fused operations, so it is the same for all kernels that compute in float.
 */
#ifndef TESTS_ENGINE_REFERENCE_H
#define TESTS_ENGINE_REFERENCE_H

#include <stddef.h>
#include <stdint.h>

#define REFERENCE_TENSORS_MAX 5
#define REFERENCE_DIMS_MAX 4

/* A number, and how far from it what was computed in float may lie. */
struct expected {
    double value;
    double bound;
};

struct engine_reference {
    const char *engine; /* name of its plan */
    size_t input_count, output_count;
    /* Rows of an output, which can be computed one by one, and numbers in each row. */
    size_t (*rows)(const int64_t *dims);
    size_t (*width)(const int64_t *dims);
    /* A number of an input; of uniform numbers from -1 to 1 it makes ones that suit the engine. */
    float (*number)(const int64_t *dims, size_t input, size_t index, float uniform);
    /* Computes a row of each output. */
    void (*row)(const int64_t *dims, const float *const *inputs, size_t row,
                struct expected *const *outputs);
};

/* NULL where there is none of that name. */
const struct engine_reference *engine_reference_find(const char *engine);

/* Fills an input; the same numbers each time. */
void engine_reference_fill(const struct engine_reference *reference, const int64_t *dims,
                           size_t input, float *data, size_t count);

#endif
