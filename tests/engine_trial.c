/* SPDX-License-Identifier: Apache-2.0 */
#include "engine_trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"

struct engine_trial {
    const struct engine_reference *reference;
    struct cubby_engine_plan *plan;
    int64_t dims[REFERENCE_DIMS_MAX];
    struct cubby_device_memory *memories[REFERENCE_TENSORS_MAX + 2]; /* inputs, then outputs */
    struct cubby_engine_buffer buffers[REFERENCE_TENSORS_MAX + 2];   /* in the plan's order */
    struct cubby_engine_call call;
    float *inputs[REFERENCE_TENSORS_MAX];
    float *output;             /* room for one of them */
    size_t width, total, rows; /* numbers in a row; rows that there are, and that are compared */
    struct expected *expected[2];
};

static size_t row_at(const struct engine_trial *trial, size_t i) {
    return trial->rows > 1 ? i * (trial->total - 1) / (trial->rows - 1) : 0;
}

/* ---- Shapes ------------------------------------------------------------------------------ */

/* mlp: batch, features, hidden, in tiles of 16. attention: batch, heads, tokens, head, in warps of
 * 32 and blocks of 4 tokens. nbody: bodies, in tiles of 128. */
const struct engine_case ENGINE_CASES[] = {
    {"mlp", {1, 16, 16}},     /* least */
    {"mlp", {64, 256, 1024}}, /* expected */
    {"mlp", {4096, 16, 16}},
    {"mlp", {1, 4096, 16}},
    {"mlp", {1, 16, 16384}},
    {"mlp", {16, 32, 48}},
    {"mlp", {1, 17, 19}},
    {"mlp", {7, 31, 61}},
    {"mlp", {33, 100, 130}},
    {"attention", {1, 1, 1, 8}},    /* least */
    {"attention", {8, 8, 128, 64}}, /* expected */
    {"attention", {64, 1, 4, 32}},
    {"attention", {1, 64, 2, 8}},
    {"attention", {1, 1, 7, 256}},
    {"attention", {2, 3, 5, 13}},
    {"attention", {1, 2, 37, 31}},
    {"attention", {3, 1, 130, 97}},
    {"nbody", {1}},    /* least */
    {"nbody", {4096}}, /* expected */
    {"nbody", {2}},
    {"nbody", {127}},
    {"nbody", {128}},
    {"nbody", {129}},
    {"nbody", {1009}},
};
const size_t ENGINE_CASE_COUNT = sizeof(ENGINE_CASES) / sizeof(*ENGINE_CASES);

/* Larger and smaller in turn, and one twice. */
const struct engine_queue ENGINE_QUEUES[] = {
    {"mlp", {{3, 40, 70}, {33, 17, 129}, {3, 40, 70}, {1, 16, 16}}},
    {"attention", {{1, 2, 9, 16}, {2, 2, 33, 40}, {1, 2, 9, 16}, {1, 1, 5, 8}}},
    {"nbody", {{100}, {300}, {100}, {3}}},
};
const size_t ENGINE_QUEUE_COUNT = sizeof(ENGINE_QUEUES) / sizeof(*ENGINE_QUEUES);

const struct engine_case ENGINE_LARGE_CASES[] = {
    {"mlp", {4096, 4096, 16384}}, /* greatest */
    {"mlp", {4093, 251, 1021}},
    {"attention", {1, 1, 4096, 8}},
    {"attention", {4, 8, 4096, 256}},
    {"attention", {64, 64, 131, 67}},
    {"nbody", {1048576}}, /* greatest */
    {"nbody", {65537}},
};
const size_t ENGINE_LARGE_CASE_COUNT = sizeof(ENGINE_LARGE_CASES) / sizeof(*ENGINE_LARGE_CASES);

int engine_trial_load(const char *folder, const char *engine, struct cubby_engine_plan **ret_plan,
                      struct cubby_error *error) {
    char *path;
    int result;

    if (asprintf(&path, "%s/%s.json", folder, engine) < 0)
        return error_no_memory(error);
    result = cubby_engine_plan_load(path, ret_plan, error);
    free(path);
    return result;
}

/* ---- Making one -------------------------------------------------------------------------- */

/* Inputs and outputs in one order, the inputs first: as in the example engines. */
static int find_tensors(struct engine_trial *trial, const struct cubby_engine_geometry *geometry,
                        uint64_t *ret_bytes, struct cubby_error *error) {
    size_t count = 0, expected = trial->reference->input_count + trial->reference->output_count;

    for (size_t i = 0; i < geometry->tensor_count; i++) {
        enum cubby_role role = cubby_engine_plan_tensor(trial->plan, i)->role;

        if (role == CUBBY_ROLE_SCRATCH)
            continue;
        if (count == expected ||
            (role == CUBBY_ROLE_INPUT) != (count < trial->reference->input_count))
            break;
        ret_bytes[count++] = geometry->tensors[i].bytes;
    }
    if (count == expected)
        return 0;
    return error_set(error, CUBBY_ERR_INVALID,
                     "the tensors of %s are not those that its reference has",
                     trial->reference->engine);
}

static int fill_input(struct engine_trial *trial, size_t i, uint64_t bytes,
                      struct cubby_error *error) {
    trial->inputs[i] = malloc(bytes);
    if (!trial->inputs[i])
        return error_no_memory(error);
    engine_reference_fill(trial->reference, trial->dims, i, trial->inputs[i],
                          bytes / sizeof(float));
    return cubby_device_memory_write(trial->memories[i], 0, trial->inputs[i], bytes, error);
}

static int make_buffers(struct engine_trial *trial, int device, struct cubby_error *error) {
    uint64_t bytes[REFERENCE_TENSORS_MAX + 2] = {0}, largest = 1;
    struct cubby_engine_geometry *geometry;
    size_t inputs = trial->reference->input_count;
    int result = cubby_engine_plan_evaluate(trial->plan, trial->call.dims, trial->call.dim_count,
                                            &geometry, error);

    if (result < 0)
        return result;
    result = find_tensors(trial, geometry, bytes, error);
    cubby_engine_geometry_free(geometry);
    for (size_t i = 0; i < trial->call.buffer_count && result == 0; i++) {
        result = cubby_device_memory_new(device, bytes[i], &trial->memories[i], error);
        if (result == 0)
            trial->buffers[i] = (struct cubby_engine_buffer){
                cubby_device_memory_address(trial->memories[i]), bytes[i]};
        if (result == 0 && i < inputs)
            result = fill_input(trial, i, bytes[i], error);
        if (i >= inputs && bytes[i] > largest)
            largest = bytes[i];
    }
    trial->output = malloc(largest);
    return result == 0 && !trial->output ? error_no_memory(error) : result;
}

static int expect(struct engine_trial *trial, struct cubby_error *error) {
    const struct engine_reference *reference = trial->reference;

    for (size_t o = 0; o < reference->output_count; o++) {
        trial->expected[o] = calloc(trial->rows * trial->width, sizeof(*trial->expected[o]));
        if (!trial->expected[o])
            return error_no_memory(error);
    }
    for (size_t i = 0; i < trial->rows; i++) {
        struct expected *at[2] = {NULL, NULL};

        for (size_t o = 0; o < reference->output_count; o++)
            at[o] = trial->expected[o] + i * trial->width;
        reference->row(trial->dims, (const float *const *)trial->inputs, row_at(trial, i), at);
    }
    return 0;
}

int engine_trial_new(struct cubby_engine_plan *plan, const int64_t *dims, int device, size_t rows,
                     struct engine_trial **ret_trial, struct cubby_error *error) {
    const char *name = cubby_engine_plan_name(plan);
    const struct engine_reference *reference = engine_reference_find(name);
    struct engine_trial *trial = calloc(1, sizeof(*trial));
    size_t dim_count = 0;
    int result;

    if (!trial)
        return error_no_memory(error);
    while (cubby_engine_plan_dim(plan, dim_count))
        dim_count++;
    if (!reference || dim_count > REFERENCE_DIMS_MAX) {
        free(trial);
        return error_set(error, CUBBY_ERR_INVALID, "there is no reference for %s", name);
    }
    trial->reference = reference;
    trial->plan = cubby_engine_plan_ref(plan);
    memcpy(trial->dims, dims, dim_count * sizeof(*dims));
    trial->call = (struct cubby_engine_call){trial->dims, dim_count, trial->buffers,
                                             reference->input_count + reference->output_count};
    trial->width = reference->width(dims);
    trial->total = reference->rows(dims);
    trial->rows = rows > 0 && rows < trial->total ? rows : trial->total;
    result = make_buffers(trial, device, error);
    if (result == 0)
        result = expect(trial, error);
    if (result < 0)
        engine_trial_free(trial);
    else
        *ret_trial = trial;
    return result;
}

void engine_trial_free(struct engine_trial *trial) {
    if (!trial)
        return;
    for (size_t i = 0; i < trial->call.buffer_count; i++)
        cubby_device_memory_free(trial->memories[i]);
    for (size_t i = 0; i < REFERENCE_TENSORS_MAX; i++)
        free(trial->inputs[i]);
    free(trial->output);
    free(trial->expected[0]);
    free(trial->expected[1]);
    cubby_engine_plan_unref(trial->plan);
    free(trial);
}

const struct cubby_engine_call *engine_trial_call(const struct engine_trial *trial) {
    return &trial->call;
}

/* ---- One run ----------------------------------------------------------------------------- */

const char *engine_trial_shape(const struct engine_trial *trial, char text[ENGINE_SHAPE_SIZE]) {
    size_t length = 0;

    for (size_t i = 0; i < trial->call.dim_count; i++)
        length += (size_t)snprintf(text + length, ENGINE_SHAPE_SIZE - length, i ? " %lld" : "%lld",
                                   (long long)trial->dims[i]);
    return text;
}

static int differs(const struct engine_trial *trial, size_t output, size_t index, float got,
                   const struct expected *expected, struct cubby_error *error) {
    char shape[ENGINE_SHAPE_SIZE];

    return error_set(error, CUBBY_ERR_CORRUPT,
                     "%s for %s: number %zu of output %zu is %.9g: expected %.9g within %.3g",
                     trial->reference->engine, engine_trial_shape(trial, shape), index, output,
                     (double)got, expected->value, expected->bound);
}

/* What is no number differs. */
static int compare_row(const struct engine_trial *trial, size_t output, size_t i, double *ret_worst,
                       struct cubby_error *error) {
    const struct expected *expected = trial->expected[output] + i * trial->width;
    size_t first = row_at(trial, i) * trial->width;

    for (size_t j = 0; j < trial->width; j++) {
        double off = fabs((double)trial->output[first + j] - expected[j].value);

        if (!(off <= expected[j].bound))
            return differs(trial, output, first + j, trial->output[first + j], &expected[j], error);
        if (ret_worst && expected[j].bound > 0)
            *ret_worst = fmax(*ret_worst, off / expected[j].bound);
    }
    return 0;
}

size_t engine_trial_input_count(const struct engine_trial *trial) {
    return trial->reference->input_count;
}

/* Sets all outputs to NaN, byte by byte. */
static int spoil_outputs(struct engine_trial *trial, struct cubby_error *error) {
    int result = 0;

    for (size_t i = trial->reference->input_count; i < trial->call.buffer_count && result == 0;
         i++) {
        memset(trial->output, 0xff, trial->buffers[i].size);
        result = cubby_device_memory_write(trial->memories[i], 0, trial->output,
                                           trial->buffers[i].size, error);
    }
    return result;
}

int engine_trial_refill(struct engine_trial *trial, struct cubby_error *error) {
    int result = spoil_outputs(trial, error);

    for (size_t i = 0; i < trial->reference->input_count && result == 0; i++)
        result = cubby_device_memory_write(trial->memories[i], 0, trial->inputs[i],
                                           trial->buffers[i].size, error);
    return result;
}

int engine_trial_compare(struct engine_trial *trial, double *ret_worst, struct cubby_error *error) {
    int result = 0;

    for (size_t o = 0; o < trial->reference->output_count && result == 0; o++) {
        size_t at = trial->reference->input_count + o;

        result = cubby_device_memory_read(trial->memories[at], 0, trial->output,
                                          trial->buffers[at].size, error);
        for (size_t i = 0; i < trial->rows && result == 0; i++)
            result = compare_row(trial, o, i, ret_worst, error);
    }
    return result;
}

int engine_trial_run(struct engine_trial *trial, struct cubby_engine *engine, double *ret_worst,
                     struct cubby_error *error) {
    int result = spoil_outputs(trial, error);

    if (result == 0)
        result = cubby_engine_enqueue(engine, &trial->call, error);
    if (result == 0)
        result = cubby_engine_sync(engine, error);
    return result == 0 ? engine_trial_compare(trial, ret_worst, error) : result;
}

/* ---- Many runs --------------------------------------------------------------------------- */

int engine_trial_queue(struct engine_trial *const *trials, size_t count, unsigned rounds,
                       struct cubby_engine *engine, struct cubby_error *error) {
    int result = 0;

    for (size_t i = 0; i < count && result == 0; i++)
        result = spoil_outputs(trials[i], error);
    for (size_t i = 0; i < count * rounds && result == 0; i++)
        result = cubby_engine_enqueue(engine, &trials[i % count]->call, error);
    if (result == 0)
        result = cubby_engine_sync(engine, error);
    for (size_t i = 0; i < count && result == 0; i++)
        result = engine_trial_compare(trials[i], NULL, error);
    return result;
}

static int queue_with(struct engine_trial *const *trials,
                      const struct cubby_engine_options *options,
                      enum cubby_specialization_strategy strategy, struct cubby_error *error) {
    struct cubby_runtime_settings settings = CUBBY_RUNTIME_SETTINGS_INIT;
    struct cubby_engine_options own = *options;
    struct cubby_engine *engine;
    int result;

    settings.dynamic_shapes_kernel_specialization_strategy = strategy;
    own.settings = &settings;
    result = cubby_engine_new(trials[0]->plan, &own, &engine, error);
    if (result < 0)
        return result;
    result = engine_trial_queue(trials, ENGINE_QUEUE_LENGTH, 3, engine, error);
    cubby_engine_wait_kernels(engine);
    if (result == 0)
        result = engine_trial_queue(trials, ENGINE_QUEUE_LENGTH, 3, engine, error);
    cubby_engine_unref(engine);
    return result;
}

int engine_trial_queues(const struct engine_queue *queue, const char *folder,
                        const struct cubby_engine_options *options, struct cubby_error *error) {
    struct engine_trial *trials[ENGINE_QUEUE_LENGTH] = {NULL};
    struct cubby_engine_plan *plan;
    int result = engine_trial_load(folder, queue->engine, &plan, error);

    if (result < 0)
        return result;
    for (size_t i = 0; i < ENGINE_QUEUE_LENGTH && result == 0; i++)
        result = engine_trial_new(plan, queue->shapes[i], options->device, 0, &trials[i], error);
    for (int strategy = 0; strategy < 3 && result == 0; strategy++)
        result = queue_with(trials, options, (enum cubby_specialization_strategy)strategy, error);
    for (size_t i = 0; i < ENGINE_QUEUE_LENGTH; i++)
        engine_trial_free(trials[i]);
    cubby_engine_plan_unref(plan);
    return result;
}

/* ---- Each strategy ----------------------------------------------------------------------- */

/* Which kernels a run is to use. */
enum kernels { GENERIC, SPECIALIZED, EITHER };

static bool are_those(const struct cubby_engine_stats *before,
                      const struct cubby_engine_stats *after, enum kernels expected) {
    bool generic = after->generic_runs > before->generic_runs;
    bool specialized = after->specialized_runs > before->specialized_runs;

    return generic != specialized &&
           (expected == EITHER || specialized == (expected == SPECIALIZED));
}

static int run_with(struct engine_trial *trial, struct cubby_engine *engine, enum kernels expected,
                    double *ret_worst, struct cubby_error *error) {
    static const char *const NAMES[] = {"generic ones", "specialised ones", "one kind"};
    struct cubby_engine_stats before, after;
    int result;

    cubby_engine_stats(engine, &before);
    result = engine_trial_run(trial, engine, ret_worst, error);
    cubby_engine_stats(engine, &after);
    if (result < 0 || are_those(&before, &after, expected))
        return result;
    return error_set(
        error, CUBBY_ERR_CORRUPT, "%s: %llu programs ran generic and %llu specialised: expected %s",
        trial->reference->engine, (unsigned long long)(after.generic_runs - before.generic_runs),
        (unsigned long long)(after.specialized_runs - before.specialized_runs), NAMES[expected]);
}

/* Two runs: in the second, a graph is replayed, and what was computed must not depend on what was
 * there. A lazy engine begins with generic kernels, unless the others are there in no time. */
static int run_strategy(struct engine_trial *trial, struct cubby_engine *engine,
                        enum cubby_specialization_strategy strategy, double *ret_worst,
                        struct cubby_error *error) {
    static const enum kernels EXPECTED[][2] = {
        [CUBBY_SPECIALIZATION_LAZY] = {EITHER, SPECIALIZED},
        [CUBBY_SPECIALIZATION_EAGER] = {SPECIALIZED, SPECIALIZED},
        [CUBBY_SPECIALIZATION_NONE] = {GENERIC, GENERIC},
    };
    int result = run_with(trial, engine, EXPECTED[strategy][0], ret_worst, error);

    cubby_engine_wait_kernels(engine);
    return result == 0 ? run_with(trial, engine, EXPECTED[strategy][1], ret_worst, error) : result;
}

static int try_strategy(struct engine_trial *trial, const struct cubby_engine_options *options,
                        enum cubby_specialization_strategy strategy,
                        enum cubby_cuda_graph_strategy graphs, double *ret_worst,
                        struct cubby_error *error) {
    struct cubby_runtime_settings settings = CUBBY_RUNTIME_SETTINGS_INIT;
    struct cubby_engine_options own = *options;
    struct cubby_engine *engine;
    int result;

    settings.dynamic_shapes_kernel_specialization_strategy = strategy;
    settings.cuda_graph_strategy = graphs;
    own.settings = &settings;
    result = cubby_engine_new(trial->plan, &own, &engine, error);
    if (result < 0)
        return result;
    result = run_strategy(trial, engine, strategy, ret_worst, error);
    cubby_engine_unref(engine);
    return result;
}

/* None comes first: then lazy finds its generic kernels in the cache, and runs them while the
 * others are compiled. */
int engine_trial_strategies(struct engine_trial *trial, const struct cubby_engine_options *options,
                            double *ret_worst, struct cubby_error *error) {
    static const enum cubby_specialization_strategy STRATEGIES[] = {
        CUBBY_SPECIALIZATION_NONE, CUBBY_SPECIALIZATION_LAZY, CUBBY_SPECIALIZATION_EAGER};
    int result = 0;

    for (size_t i = 0; i < 3 && result == 0; i++)
        result = try_strategy(trial, options, STRATEGIES[i], CUBBY_CUDA_GRAPH_DISABLED, ret_worst,
                              error);
    for (size_t i = 0; i < 3 && result == 0; i++)
        result = try_strategy(trial, options, STRATEGIES[i], CUBBY_CUDA_GRAPH_WHOLE_GRAPH_CAPTURE,
                              ret_worst, error);
    return result;
}
