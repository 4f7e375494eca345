/* SPDX-License-Identifier: Apache-2.0 */
/* Engines that begin: from making one to its first result, with specialised kernels that come from
 * the compiler, from a cache or from a runtime cache. */
#include <stdio.h>

#include "gpu.h"

struct start {
    const struct gpu_bench *gpu;
    const struct gpu_shape *shape;
    struct gpu_floor *floor;
    const char *spec; /* of the cache; NULL for none */
    const char *path; /* of the runtime cache; NULL for none */
};

/* ---- The works --------------------------------------------------------------------------- */

/* Compiled kernels at hand: they are loaded, and run. */
static int bare_start(void *context) {
    struct start *start = context;
    int result = gpu_floor_load(start->floor, NULL);

    if (result == 0)
        result = gpu_floor_launch(start->floor);
    if (result == 0)
        result = gpu_floor_wait(start->floor);
    gpu_floor_unload(start->floor);
    return result < 0 ? -1 : 0;
}

static int run_once(const struct start *start, struct cubby_cache *cache,
                    struct cubby_engine_stats *ret_stats, struct cubby_error *error) {
    struct cubby_runtime_settings settings = CUBBY_RUNTIME_SETTINGS_INIT;
    struct cubby_engine_options options = CUBBY_ENGINE_OPTIONS_INIT;
    struct cubby_engine *engine;
    int result;

    settings.dynamic_shapes_kernel_specialization_strategy = CUBBY_SPECIALIZATION_EAGER;
    settings.runtime_cache_path = start->path;
    options.device = start->gpu->device;
    options.cache = cache;
    options.settings = &settings;
    result = cubby_engine_new(start->shape->plan, &options, &engine, error);
    if (result < 0)
        return result;
    result = cubby_engine_enqueue(engine, &start->shape->call, error);
    if (result == 0)
        result = cubby_engine_sync(engine, error);
    cubby_engine_stats(engine, ret_stats);
    cubby_engine_unref(engine);
    return result;
}

static int start_engine(const struct start *start, struct cubby_engine_stats *ret_stats,
                        struct cubby_error *error) {
    struct cubby_cache *cache = NULL;
    int result = start->spec ? cubby_cache_open(start->spec, &cache, error) : 0;

    if (result == 0)
        result = run_once(start, cache, ret_stats, error);
    cubby_cache_unref(cache);
    return result;
}

/* A start that compiles where it should not, or does not where it should, is none of this row's. */
static int cold_start(void *context) {
    struct cubby_engine_stats stats;

    return start_engine(context, &stats, NULL) == 0 && stats.compiles > 0 ? 0 : -1;
}

static int warm_start(void *context) {
    struct cubby_engine_stats stats;

    return start_engine(context, &stats, NULL) == 0 && stats.compiles == 0 ? 0 : -1;
}

/* ---- The rows ---------------------------------------------------------------------------- */

static void measure(struct start *start, const char *engine, const char *from,
                    struct cubby_error *error) {
    struct bench *bench = start->gpu->bench;
    struct cubby_engine_stats stats;
    bool is_cold = !start->spec && !start->path;
    char what[32];
    struct row row;

    snprintf(what, sizeof(what), "start/%s/%s", engine, from);
    if (!bench_begin(bench, &row, what, 0))
        return;
    row.floor = (struct work){"loads compiled kernels and runs them", bare_start, start};
    row.subject = (struct work){"cubby_engine_new and its first run",
                                is_cold ? cold_start : warm_start, start};
    row.is_long = is_cold;
    /* What is warm is filled by this one. */
    if (start_engine(start, &stats, error) < 0)
        bench_fail(bench, &row, "%.150s", error->message);
    else
        bench_measure(bench, &row);
    cubby_error_clear(error);
}

static void measure_starts(const struct gpu_bench *gpu, const char *engine) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    char spec[400], path[400];
    struct gpu_shape shape;
    struct start start = {.gpu = gpu, .shape = &shape};
    int result = gpu_shape_open(gpu, engine, NULL, &shape, &error);

    snprintf(spec, sizeof(spec), "file:%s/%s", gpu->bench->scratch, engine);
    snprintf(path, sizeof(path), "%s/%s.kernels", gpu->bench->scratch, engine);
    if (result == 0)
        result = gpu_floor_new(gpu, &shape, true, &start.floor, &error);
    if (result == 0) {
        measure(&start, engine, "cold", &error);
        start.spec = spec;
        measure(&start, engine, "cache", &error);
        start.path = path;
        measure(&start, engine, "both", &error);
        start.spec = NULL;
        measure(&start, engine, "runtime", &error);
    } else {
        struct row row;

        bench_begin(gpu->bench, &row, engine, 0);
        bench_fail(gpu->bench, &row, "%.150s", error.message);
        cubby_error_clear(&error);
    }
    gpu_floor_free(start.floor);
    gpu_shape_close(&shape);
}

void gpu_start_rows(const struct gpu_bench *gpu) {
    for (size_t i = 0; i < GPU_ENGINE_COUNT; i++)
        measure_starts(gpu, GPU_ENGINES[i].name);
}
