/* SPDX-License-Identifier: Apache-2.0 */
/* Engines that have all they need: what a run costs beside the bare launches of the same kernels.
 */
#include <stdio.h>

#include "gpu.h"

/* After so many runs they are waited for: fewer launches than a driver's queue takes. */
#define QUEUED 32

/* Either side of a row: an engine, or bare launches. */
struct runner {
    const struct gpu_shape *shape;
    struct gpu_floor *floor;
    struct cubby_engine *engine;
    unsigned count;
};

/* ---- The works --------------------------------------------------------------------------- */

static bool is_full(struct runner *runner) {
    return ++runner->count % QUEUED == 0;
}

static int bare_queued(void *context) {
    struct runner *runner = context;

    if (gpu_floor_launch(runner->floor) < 0)
        return -1;
    return is_full(runner) ? gpu_floor_wait(runner->floor) : 0;
}

static int bare_replayed(void *context) {
    struct runner *runner = context;

    if (gpu_floor_replay(runner->floor) < 0)
        return -1;
    return is_full(runner) ? gpu_floor_wait(runner->floor) : 0;
}

static int bare_run(void *context) {
    struct runner *runner = context;

    return gpu_floor_launch(runner->floor) < 0 ? -1 : gpu_floor_wait(runner->floor);
}

static int engine_queued(void *context) {
    struct runner *runner = context;

    if (cubby_engine_enqueue(runner->engine, &runner->shape->call, NULL) < 0)
        return -1;
    return is_full(runner) ? cubby_engine_sync(runner->engine, NULL) : 0;
}

static int engine_run(void *context) {
    struct runner *runner = context;

    if (cubby_engine_enqueue(runner->engine, &runner->shape->call, NULL) < 0)
        return -1;
    return cubby_engine_sync(runner->engine, NULL);
}

/* ---- The two sides ----------------------------------------------------------------------- */

static int open_engine(const struct gpu_bench *gpu, struct runner *runner,
                       enum cubby_specialization_strategy strategy,
                       enum cubby_cuda_graph_strategy graphs, struct cubby_error *error) {
    struct cubby_runtime_settings settings = CUBBY_RUNTIME_SETTINGS_INIT;

    settings.dynamic_shapes_kernel_specialization_strategy = strategy;
    settings.cuda_graph_strategy = graphs;
    return gpu_engine_open(gpu, runner->shape, &settings, gpu->cache, &runner->engine, error);
}

static int open_floor(const struct gpu_bench *gpu, struct runner *runner, bool is_specialized,
                      bool is_recorded, struct cubby_error *error) {
    int result = gpu_floor_new(gpu, runner->shape, is_specialized, &runner->floor, error);

    if (result == 0)
        result = gpu_floor_load(runner->floor, error);
    return result == 0 && is_recorded ? gpu_floor_record(runner->floor, error) : result;
}

static void close_runner(struct runner *runner) {
    cubby_engine_unref(runner->engine);
    gpu_floor_free(runner->floor);
}

/* Measures the row if both sides are there, and ends them. */
static void finish(const struct gpu_bench *gpu, struct row *row, struct runner *floor,
                   struct runner *subject, int result, struct cubby_error *error) {
    if (result == 0)
        bench_measure(gpu->bench, row);
    else
        bench_fail(gpu->bench, row, "%.150s", error->message);
    cubby_error_clear(error);
    close_runner(subject);
    close_runner(floor);
}

/* ---- The rows ---------------------------------------------------------------------------- */

/* "enqueue/mlp/lazy": a run among others; "run/mlp/lazy": one that is waited for. */
static void measure_strategy(const struct gpu_bench *gpu, const struct gpu_shape *shape,
                             const char *name, bool is_queued,
                             enum cubby_specialization_strategy strategy) {
    struct runner floor = {.shape = shape}, subject = {.shape = shape};
    struct cubby_error error = CUBBY_ERROR_INIT;
    char what[32];
    struct row row;
    int result;

    snprintf(what, sizeof(what), "%s/%s/%s", is_queued ? "enqueue" : "run", name,
             cubby_specialization_strategy_name(strategy));
    if (!bench_begin(gpu->bench, &row, what, 0))
        return;
    row.goal = is_queued ? GOAL_RATIO : GOAL_NONE;
    row.limit = 1.1;
    row.floor = (struct work){"cuLaunchKernel of the same kernels",
                              is_queued ? bare_queued : bare_run, &floor};
    row.subject =
        (struct work){"cubby_engine_enqueue", is_queued ? engine_queued : engine_run, &subject};
    result = open_floor(gpu, &floor, strategy != CUBBY_SPECIALIZATION_NONE, false, &error);
    if (result == 0)
        result = open_engine(gpu, &subject, strategy, CUBBY_CUDA_GRAPH_DISABLED, &error);
    finish(gpu, &row, &floor, &subject, result, &error);
}

/* "graph/mlp": a replay by the engine beside a bare one. */
static void measure_graph(const struct gpu_bench *gpu, const struct gpu_shape *shape,
                          const char *name) {
    struct runner floor = {.shape = shape}, subject = {.shape = shape};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_engine_stats stats = {0};
    char what[32];
    struct row row;
    int result;

    snprintf(what, sizeof(what), "graph/%s", name);
    if (!bench_begin(gpu->bench, &row, what, 0))
        return;
    row.goal = GOAL_RATIO;
    row.limit = 1.1;
    row.floor = (struct work){"cuGraphLaunch of the same launches", bare_replayed, &floor};
    row.subject = (struct work){"cubby_engine_enqueue, recorded", engine_queued, &subject};
    result = open_floor(gpu, &floor, true, true, &error);
    if (result == 0)
        result = open_engine(gpu, &subject, CUBBY_SPECIALIZATION_EAGER,
                             CUBBY_CUDA_GRAPH_WHOLE_GRAPH_CAPTURE, &error);
    if (result == 0)
        cubby_engine_stats(subject.engine, &stats);
    if (result == 0 && stats.captures == 0) {
        bench_skip(gpu->bench, &row, "the engine recorded no graph");
        close_runner(&subject);
        close_runner(&floor);
        return;
    }
    finish(gpu, &row, &floor, &subject, result, &error);
}

/* "special/mlp": what specialised kernels gain over generic ones. */
static void measure_gain(const struct gpu_bench *gpu, const struct gpu_shape *shape,
                         const char *name) {
    struct runner floor = {.shape = shape}, subject = {.shape = shape};
    struct cubby_error error = CUBBY_ERROR_INIT;
    char what[32];
    struct row row;
    int result;

    snprintf(what, sizeof(what), "special/%s", name);
    if (!bench_begin(gpu->bench, &row, what, 0))
        return;
    row.floor = (struct work){"the engine with generic kernels", engine_run, &floor};
    row.subject = (struct work){"the engine with specialised kernels", engine_run, &subject};
    result = open_engine(gpu, &floor, CUBBY_SPECIALIZATION_NONE, CUBBY_CUDA_GRAPH_DISABLED, &error);
    if (result == 0)
        result = open_engine(gpu, &subject, CUBBY_SPECIALIZATION_EAGER, CUBBY_CUDA_GRAPH_DISABLED,
                             &error);
    finish(gpu, &row, &floor, &subject, result, &error);
}

static void measure_shape(const struct gpu_bench *gpu, const struct gpu_engine *engine,
                          bool is_least) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct gpu_shape shape;
    int result = gpu_shape_open(gpu, engine->name, is_least ? engine->least : NULL, &shape, &error);

    for (int i = 0; i < 3 && result == 0; i++)
        measure_strategy(gpu, &shape, engine->name, is_least,
                         (enum cubby_specialization_strategy)i);
    if (result == 0 && is_least)
        measure_graph(gpu, &shape, engine->name);
    else if (result == 0)
        measure_gain(gpu, &shape, engine->name);
    if (result < 0) {
        struct row row;

        bench_begin(gpu->bench, &row, engine->name, 0);
        bench_fail(gpu->bench, &row, "%.150s", error.message);
        cubby_error_clear(&error);
    }
    gpu_shape_close(&shape);
}

void gpu_run_rows(const struct gpu_bench *gpu) {
    for (size_t i = 0; i < GPU_ENGINE_COUNT; i++) {
        measure_shape(gpu, &GPU_ENGINES[i], true);
        measure_shape(gpu, &GPU_ENGINES[i], false);
    }
}
