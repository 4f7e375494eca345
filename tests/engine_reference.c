/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bounds. With u = 2^-24, the unit roundoff of float, and gamma(n) = n u / (1 - n u): a number
 * that went through n roundings is off by a factor of at most 1 + gamma(n), and the sum of n
 * products by at most gamma(n) times the sum of their absolute values, in whatever order it was
 * added (N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., 3.1). Padding with
 * zeros rounds nothing. What the functions of the device add is in the CUDA C++ Programming Guide,
 * "Mathematical Functions", as units in the last place, each at most 2 u. The references themselves
 * round at 2^-53, which is beyond what the first-order terms are rounded up by.
 */
#include "engine_reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#define U 0x1p-24
#define ULP (2 * U)

static double gamma_of(double roundings) {
    return roundings * U / (1 - roundings * U);
}

static void *numbers(size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size);

    if (!memory)
        abort();
    return memory;
}

/* ---- mlp: y = gelu(x w1 + b1) w2 + b2 ---------------------------------------------------- */

enum { MLP_BATCH, MLP_FEATURES, MLP_HIDDEN };
enum { MLP_X, MLP_W1, MLP_B1, MLP_W2, MLP_B2 };

/*
 * One row of x w + b. Each product is off by what its x is, and all are summed with the bias:
 * depth + 1 terms.
 */
static void times_matrix(const struct expected *x, size_t depth, const float *w, const float *b,
                         size_t columns, struct expected *ret_y) {
    double gamma = gamma_of((double)depth + 1);

    for (size_t j = 0; j < columns; j++)
        ret_y[j] = (struct expected){b[j], gamma * fabs((double)b[j])};
    for (size_t k = 0; k < depth; k++) {
        double doubt = x[k].bound + gamma * (fabs(x[k].value) + x[k].bound);

        for (size_t j = 0; j < columns; j++) {
            double weight = w[k * columns + j];

            ret_y[j].value += x[k].value * weight;
            ret_y[j].bound += doubt * fabs(weight);
        }
    }
}

/*
 * gelu(s) = s (1 + erf(s / sqrt 2)) / 2 has a slope of at most 1.13. The argument of erf went
 * through two roundings, which is u in the result since |t erf'(t)| < 0.485; erff is off by 2 ulp,
 * 4 u; their sum with 1, at most 2, is rounded by 2 u. So 1 + erf is off by 7 u, which |s| / 2
 * multiplies, and the last product is rounded: less than 6 u |s|.
 */
static struct expected gelu(struct expected s) {
    return (struct expected){0.5 * s.value * (1 + erf(s.value * M_SQRT1_2)),
                             1.13 * s.bound + 6 * U * (fabs(s.value) + s.bound)};
}

static size_t mlp_rows(const int64_t *dims) {
    return (size_t)dims[MLP_BATCH];
}

static size_t mlp_width(const int64_t *dims) {
    return (size_t)dims[MLP_FEATURES];
}

/* Sums of variance about 0.5, where gelu bends. */
static float mlp_number(const int64_t *dims, size_t input, size_t index, float uniform) {
    (void)index;
    if (input == MLP_W1)
        return uniform * 2 / sqrtf((float)dims[MLP_FEATURES]);
    if (input == MLP_W2)
        return uniform * 2 / sqrtf((float)dims[MLP_HIDDEN]);
    return uniform;
}

static void mlp_row(const int64_t *dims, const float *const *inputs, size_t row,
                    struct expected *const *outputs) {
    size_t features = (size_t)dims[MLP_FEATURES], hidden = (size_t)dims[MLP_HIDDEN];
    struct expected *x = numbers(features, sizeof(*x)), *activated = numbers(hidden, sizeof(*x));

    for (size_t k = 0; k < features; k++)
        x[k].value = inputs[MLP_X][row * features + k];
    times_matrix(x, features, inputs[MLP_W1], inputs[MLP_B1], hidden, activated);
    for (size_t j = 0; j < hidden; j++)
        activated[j] = gelu(activated[j]);
    times_matrix(activated, hidden, inputs[MLP_W2], inputs[MLP_B2], features, outputs[0]);
    free(activated);
    free(x);
}

/* ---- attention: out = softmax(q k^T / sqrt(head)) v, for each of batch and heads --------- */

enum { ATTENTION_BATCH, ATTENTION_HEADS, ATTENTION_TOKENS, ATTENTION_HEAD };

static size_t attention_rows(const int64_t *dims) {
    return (size_t)(dims[ATTENTION_BATCH] * dims[ATTENTION_HEADS] * dims[ATTENTION_TOKENS]);
}

static size_t attention_width(const int64_t *dims) {
    return (size_t)dims[ATTENTION_HEAD];
}

/* Scores of variance about 1.8: some tokens weigh more than others. */
static float attention_number(const int64_t *dims, size_t input, size_t index, float uniform) {
    (void)dims;
    (void)index;
    return input < 2 ? 2 * uniform : uniform;
}

/*
 * Scores of one token: head products, summed, times 1 / sqrt(head), which is off by 2 ulp of rsqrtf
 * and the rounding of the product.
 */
static void attention_scores(const float *q, const float *k, size_t tokens, size_t head,
                             struct expected *ret_scores) {
    double scale = 1 / sqrt((double)head), gamma = gamma_of((double)head + 5);

    for (size_t other = 0; other < tokens; other++) {
        double sum = 0, magnitude = 0;

        for (size_t i = 0; i < head; i++) {
            double product = (double)q[i] * k[other * head + i];

            sum += product;
            magnitude += fabs(product);
        }
        ret_scores[other] = (struct expected){sum * scale, gamma * magnitude * scale};
    }
}

/*
 * exp(s - greatest) / sum, where a shift of all scores changes nothing, so that what counts is how
 * far they are off among each other: at most their own bound and the largest. To this the exponent
 * adds the rounding of its difference, and __expf 2 + 1.173 |x| ulp. The sum is off by at most what
 * its terms are, weighted by them, and by tokens roundings; the quotient by one.
 * What was summed up as first-order terms is r; r / (1 - r) is above all orders.
 */
static void softmax(struct expected *scores, size_t tokens) {
    double greatest = -INFINITY, doubt = 0, sum = 0, sum_doubt = 0;

    for (size_t i = 0; i < tokens; i++) {
        greatest = fmax(greatest, scores[i].value);
        doubt = fmax(doubt, scores[i].bound);
    }
    for (size_t i = 0; i < tokens; i++) {
        double distance = greatest - scores[i].value + scores[i].bound + doubt;

        scores[i].value = exp(scores[i].value - greatest);
        scores[i].bound += doubt + U * distance + (2 + 1.173 * distance) * ULP;
        sum += scores[i].value;
        sum_doubt += scores[i].value * scores[i].bound;
    }
    for (size_t i = 0; i < tokens; i++) {
        double relative = scores[i].bound + sum_doubt / sum + gamma_of((double)tokens) + U;

        scores[i].value /= sum;
        scores[i].bound = scores[i].value * relative / (1 - relative);
    }
}

static void attention_row(const int64_t *dims, const float *const *inputs, size_t row,
                          struct expected *const *outputs) {
    size_t tokens = (size_t)dims[ATTENTION_TOKENS], head = (size_t)dims[ATTENTION_HEAD];
    size_t group = row / tokens;
    const float *v = inputs[2] + group * tokens * head;
    struct expected *weights = numbers(tokens, sizeof(*weights));
    double gamma = gamma_of((double)tokens);

    attention_scores(inputs[0] + row * head, inputs[1] + group * tokens * head, tokens, head,
                     weights);
    softmax(weights, tokens);
    memset(outputs[0], 0, head * sizeof(struct expected));
    for (size_t other = 0; other < tokens; other++) {
        const struct expected *weight = &weights[other];
        double doubt = weight->bound + gamma * (weight->value + weight->bound);

        for (size_t i = 0; i < head; i++) {
            double value = v[other * head + i];

            outputs[0][i].value += weight->value * value;
            outputs[0][i].bound += doubt * fabs(value);
        }
    }
    free(weights);
}

/* ---- nbody: a step of semi-implicit Euler ------------------------------------------------ */

#define NBODY_STEP 0.001f
#define NBODY_SOFTENING 0.05f

static size_t nbody_rows(const int64_t *dims) {
    return (size_t)dims[0];
}

static size_t nbody_width(const int64_t *dims) {
    (void)dims;
    return 4;
}

/* Masses from 0.5 to 1.5, and velocities whose fourth number is not used but kept. */
static float nbody_number(const int64_t *dims, size_t input, size_t index, float uniform) {
    (void)dims;
    return input == 0 && index % 4 == 3 ? 1 + uniform / 2 : uniform;
}

/*
 * One number of an acceleration is the sum of x m / r^3. Each difference is off by a rounding, its
 * square by 3, r^2 by 6 as all is positive, 1 / r by 3 and by 2^-22.4 < 4 u of rsqrt.approx (PTX
 * ISA, "rsqrt"), its cube and the mass by 21 and 3 more, the product by 2.
 */
static struct expected pull_of(const float *bodies, size_t count, size_t own, unsigned axis) {
    const float *at = bodies + 4 * own;
    struct expected sum = {0, 0};

    for (size_t other = 0; other < count; other++) {
        const float *body = bodies + 4 * other;
        double x = (double)body[0] - at[0], y = (double)body[1] - at[1];
        double z = (double)body[2] - at[2], softening = NBODY_SOFTENING;
        double r = sqrt(x * x + y * y + z * z + softening * softening);
        double part = ((double)body[axis] - at[axis]) * body[3] / (r * r * r);

        sum.value += part;
        sum.bound += fabs(part);
    }
    sum.bound *= gamma_of((double)count + 26);
    return sum;
}

/* start + change * factor: the product and the sum are rounded, or the sum alone. */
static struct expected stepped(double start, struct expected change, double factor) {
    double product = change.value * factor, doubt = change.bound * factor;
    double value = start + product;

    return (struct expected){value, doubt + U * (fabs(product) + doubt) * (1 + U) +
                                        U * (fabs(value) + doubt)};
}

static void nbody_row(const int64_t *dims, const float *const *inputs, size_t row,
                      struct expected *const *outputs) {
    const float *body = inputs[0] + 4 * row, *velocity = inputs[1] + 4 * row;
    struct expected *next_body = outputs[0], *next_velocity = outputs[1];

    for (unsigned axis = 0; axis < 3; axis++) {
        struct expected pull = pull_of(inputs[0], (size_t)dims[0], row, axis);

        next_velocity[axis] = stepped(velocity[axis], pull, NBODY_STEP);
        next_body[axis] = stepped(body[axis], next_velocity[axis], NBODY_STEP);
    }
    next_body[3] = (struct expected){body[3], 0};
    next_velocity[3] = (struct expected){velocity[3], 0};
}

/* ---- All of them ------------------------------------------------------------------------- */

static const struct engine_reference REFERENCES[] = {
    {"mlp", 5, 1, mlp_rows, mlp_width, mlp_number, mlp_row},
    {"attention", 3, 1, attention_rows, attention_width, attention_number, attention_row},
    {"nbody", 2, 2, nbody_rows, nbody_width, nbody_number, nbody_row},
};

const struct engine_reference *engine_reference_find(const char *engine) {
    for (size_t i = 0; i < sizeof(REFERENCES) / sizeof(*REFERENCES); i++) {
        if (strcmp(REFERENCES[i].engine, engine) == 0)
            return &REFERENCES[i];
    }
    return NULL;
}

void engine_reference_fill(const struct engine_reference *reference, const int64_t *dims,
                           size_t input, float *data, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = XXH3_64bits_withSeed(&i, sizeof(i), input);

        data[i] = reference->number(dims, input, i, (float)(bits >> 40) * 0x1p-23f - 1);
    }
}
