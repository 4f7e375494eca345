/* SPDX-License-Identifier: Apache-2.0 */
#include "engine_kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MIN(left, right) ((left) < (right) ? (left) : (right))

static void *floats(size_t count) {
    void *memory = calloc(count ? count : 1, sizeof(float));

    if (!memory)
        abort();
    return memory;
}

/* Parameter i, as the kernel gets it. */
static const float *input_at(void **parameters, int i) {
    return *(const float **)parameters[i];
}

static float *output_at(void **parameters, int i) {
    return *(float **)parameters[i];
}

static size_t size_at(void **parameters, int i) {
    int size = *(int *)parameters[i];

    return size > 0 ? (size_t)size : 0;
}

static float factor_at(void **parameters, int i) {
    return *(float *)parameters[i];
}

static bool is_block(const struct fake_launch *launch, unsigned x, unsigned y) {
    return launch->block[0] == x && launch->block[1] == y && launch->block[2] == 1;
}

/* ---- mlp --------------------------------------------------------------------------------- */

#define LAYER_TILE 16u

struct layer {
    const float *x, *w, *b;
    float *y;
    size_t rows, depth, columns;
    bool activates;
};

static float gelu(float x) {
    return 0.5f * x * (1.0f + erff(x * 0.70710678f));
}

/* One row, so many columns from the first. */
static void layer_row(const struct layer *layer, size_t row, size_t columns, float *sums) {
    memset(sums, 0, columns * sizeof(*sums));
    for (size_t k = 0; k < layer->depth; k++) {
        for (size_t j = 0; j < columns; j++)
            sums[j] += layer->x[row * layer->depth + k] * layer->w[k * layer->columns + j];
    }
    for (size_t j = 0; j < columns; j++) {
        float sum = sums[j] + layer->b[j];

        layer->y[row * layer->columns + j] = layer->activates ? gelu(sum) : sum;
    }
}

/* Tiles that are not filled by as many threads hold what was there before. */
static void run_layer(const struct fake_launch *launch, const struct layer *layer) {
    size_t rows = MIN((size_t)launch->grid[1] * LAYER_TILE, layer->rows);
    size_t columns = MIN((size_t)launch->grid[0] * LAYER_TILE, layer->columns);
    float *sums = floats(columns);

    for (size_t row = 0; row < rows; row++) {
        layer_row(layer, row, columns, sums);
        for (size_t j = 0; j < columns && !is_block(launch, LAYER_TILE, LAYER_TILE); j++)
            layer->y[row * layer->columns + j] = NAN;
    }
    free(sums);
}

/* mlp_layer<FIRST>(x, w, b, y, batch, features, hidden) */
static void mlp_layer(const struct fake_launch *launch, void **parameters, bool first) {
    size_t features = size_at(parameters, 5), hidden = size_at(parameters, 6);
    const struct layer layer = {.x = input_at(parameters, 0),
                                .w = input_at(parameters, 1),
                                .b = input_at(parameters, 2),
                                .y = output_at(parameters, 3),
                                .rows = size_at(parameters, 4),
                                .depth = first ? features : hidden,
                                .columns = first ? hidden : features,
                                .activates = first};

    run_layer(launch, &layer);
}

static void mlp_first(const struct fake_launch *launch, void **parameters, void *data) {
    (void)data;
    mlp_layer(launch, parameters, true);
}

static void mlp_second(const struct fake_launch *launch, void **parameters, void *data) {
    (void)data;
    mlp_layer(launch, parameters, false);
}

/* ---- attention --------------------------------------------------------------------------- */

#define WARP 32u

/* Computes the row of a token, and gives where it begins. */
typedef float *(*row_function)(void **parameters, size_t group, size_t token);

/* One row a warp, so many tokens at most in each group. */
static void each_token(const struct fake_launch *launch, void **parameters, size_t tokens,
                       row_function function) {
    size_t covered = MIN((size_t)launch->grid[0] * launch->block[1], tokens);

    for (size_t group = 0; group < launch->grid[1]; group++) {
        for (size_t token = 0; token < covered; token++) {
            float *row = function(parameters, group, token);

            if (!is_block(launch, WARP, launch->block[1]))
                row[0] = NAN;
        }
    }
}

/* attention_scores(q, k, scores, tokens, head) */
static float *scores_row(void **parameters, size_t group, size_t token) {
    size_t tokens = size_at(parameters, 3), head = size_at(parameters, 4);
    const float *query = input_at(parameters, 0) + (group * tokens + token) * head;
    const float *keys = input_at(parameters, 1) + group * tokens * head;
    float *row = output_at(parameters, 2) + (group * tokens + token) * tokens;
    float scale = 1 / sqrtf((float)head);

    for (size_t other = 0; other < tokens; other++) {
        float sum = 0;

        for (size_t i = 0; i < head; i++)
            sum += query[i] * scale * keys[other * head + i];
        row[other] = sum;
    }
    return row;
}

static void attention_scores(const struct fake_launch *launch, void **parameters, void *data) {
    (void)data;
    each_token(launch, parameters, size_at(parameters, 3), scores_row);
}

/* attention_softmax(scores, tokens) */
static float *softmax_row(void **parameters, size_t group, size_t token) {
    size_t tokens = size_at(parameters, 1);
    float *row = output_at(parameters, 0) + (group * tokens + token) * tokens;
    float greatest = -INFINITY, sum = 0;

    for (size_t i = 0; i < tokens; i++)
        greatest = fmaxf(greatest, row[i]);
    for (size_t i = 0; i < tokens; i++) {
        row[i] = expf(row[i] - greatest);
        sum += row[i];
    }
    for (size_t i = 0; i < tokens; i++)
        row[i] /= sum;
    return row;
}

static void attention_softmax(const struct fake_launch *launch, void **parameters, void *data) {
    (void)data;
    each_token(launch, parameters, size_at(parameters, 1), softmax_row);
}

/* attention_mix(scores, v, out, tokens, head) */
static float *mix_row(void **parameters, size_t group, size_t token) {
    size_t tokens = size_at(parameters, 3), head = size_at(parameters, 4);
    const float *row = input_at(parameters, 0) + (group * tokens + token) * tokens;
    const float *values = input_at(parameters, 1) + group * tokens * head;
    float *result = output_at(parameters, 2) + (group * tokens + token) * head;

    memset(result, 0, head * sizeof(*result));
    for (size_t other = 0; other < tokens; other++) {
        for (size_t i = 0; i < head; i++)
            result[i] += row[other] * values[other * head + i];
    }
    return result;
}

static void attention_mix(const struct fake_launch *launch, void **parameters, void *data) {
    (void)data;
    each_token(launch, parameters, size_at(parameters, 3), mix_row);
}

/* ---- nbody ------------------------------------------------------------------------------- */

#define BODY_TILE 128u

static size_t bodies_covered(const struct fake_launch *launch, size_t bodies) {
    return MIN((size_t)launch->grid[0] * BODY_TILE, bodies);
}

static void accelerate_one(const float *body, float *acceleration, size_t bodies, size_t own,
                           float softening) {
    const float *at = body + 4 * own;
    float sum[3] = {0, 0, 0};

    for (size_t i = 0; i < bodies; i++) {
        const float *other = body + 4 * i;
        float x = other[0] - at[0], y = other[1] - at[1], z = other[2] - at[2];
        float inverse = 1 / sqrtf(x * x + y * y + z * z + softening * softening);
        float pull = other[3] * inverse * inverse * inverse;

        sum[0] += x * pull;
        sum[1] += y * pull;
        sum[2] += z * pull;
    }
    memcpy(acceleration + 4 * own, sum, sizeof(sum));
    acceleration[4 * own + 3] = 0;
}

/* accelerate(body, acceleration, bodies, softening), with a tile of 16 bytes a thread. */
static void accelerate(const struct fake_launch *launch, void **parameters, void *data) {
    size_t bodies = size_at(parameters, 2), covered = bodies_covered(launch, bodies);
    bool fits = is_block(launch, BODY_TILE, 1) && launch->shared >= BODY_TILE * 16;
    float *acceleration = output_at(parameters, 1);

    (void)data;
    for (size_t own = 0; own < covered; own++) {
        if (fits)
            accelerate_one(input_at(parameters, 0), acceleration, bodies, own,
                           factor_at(parameters, 3));
        else
            acceleration[4 * own] = NAN;
    }
}

/* advance(body, velocity, acceleration, next_body, next_velocity, bodies, step) */
static void advance(const struct fake_launch *launch, void **parameters, void *data) {
    size_t covered = bodies_covered(launch, size_at(parameters, 5));
    const float *at = input_at(parameters, 0), *speed = input_at(parameters, 1);
    const float *change = input_at(parameters, 2);
    float *next_at = output_at(parameters, 3), *next_speed = output_at(parameters, 4);
    float step = factor_at(parameters, 6);

    (void)data;
    for (size_t i = 0; i < 4 * covered && is_block(launch, BODY_TILE, 1); i++) {
        next_speed[i] = i % 4 == 3 ? speed[i] : speed[i] + change[i] * step;
        next_at[i] = i % 4 == 3 ? at[i] : at[i] + next_speed[i] * step;
    }
}

/* ---- All of them ------------------------------------------------------------------------- */

void engine_kernels_attach(const struct fake_cuda *fake) {
    static const struct {
        const char *kernel;
        fake_kernel function;
    } KERNELS[] = {
        {"_Z9mlp_layerILb1EEvPKfS1_S1_Pfiii", mlp_first},
        {"_Z9mlp_layerILb0EEvPKfS1_S1_Pfiii", mlp_second},
        {"attention_scores", attention_scores},
        {"attention_softmax", attention_softmax},
        {"attention_mix", attention_mix},
        {"accelerate", accelerate},
        {"advance", advance},
    };

    for (size_t i = 0; i < sizeof(KERNELS) / sizeof(*KERNELS); i++)
        fake->attach(KERNELS[i].kernel, KERNELS[i].function, NULL);
}
