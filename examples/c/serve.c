/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serves several engines side by side, each on multiprocessors of its own.
 *
 *     serve MULTIPROCESSORS ROUNDS ENGINE.json...
 *
 *     serve 32 100 mlp.json attention.json nbody.json
 *
 * The device is divided into one part for each engine (green contexts). Each engine runs in the
 * stream of its part, as a CUDA graph, so that none waits for another's blocks. Buffers are as
 * large as the engine expects them (opt), and keep whatever is in them: this is about running, not
 * about numbers. Exit status: 0, 1 for a failure, 3 where there is no GPU.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cubby/runner.h>

enum { MOST_ENGINES = 8, MOST_DIMS = 64, MOST_BUFFERS = 64 };

struct served {
    struct cubby_engine *engine;
    int64_t dims[MOST_DIMS];
    struct cubby_device_memory *memory[MOST_BUFFERS];
    struct cubby_engine_buffer buffers[MOST_BUFFERS];
    struct cubby_engine_call call;
};

/* Memory for each input and output of the engine, at the values that it expects of its dims. */
static int allocate(struct served *served, const struct cubby_engine_plan *plan,
                    struct cubby_error *error) {
    struct cubby_engine_geometry *geometry = NULL;
    const struct cubby_engine_tensor *tensor;
    const struct cubby_engine_dim *dim;
    size_t dims = 0, buffers = 0;
    int result;

    while (dims < MOST_DIMS && (dim = cubby_engine_plan_dim(plan, dims)))
        served->dims[dims++] = dim->opt;
    result = cubby_engine_plan_evaluate(plan, served->dims, dims, &geometry, error);
    for (size_t i = 0; result == 0 && (tensor = cubby_engine_plan_tensor(plan, i)); i++) {
        const uint64_t bytes = geometry->tensors[i].bytes;

        if (tensor->role == CUBBY_ROLE_SCRATCH || buffers == MOST_BUFFERS)
            continue;
        result = cubby_device_memory_new(0, bytes, &served->memory[buffers], error);
        if (result == 0)
            served->buffers[buffers] = (struct cubby_engine_buffer){
                cubby_device_memory_address(served->memory[buffers]), bytes};
        buffers++;
    }
    cubby_engine_geometry_free(geometry);
    served->call = (struct cubby_engine_call){served->dims, dims, served->buffers, buffers};
    return result;
}

/* Specialised kernels first, then one graph: what is best where the shape stays. */
static int start(struct served *served, const char *path, const struct cubby_green_part *part,
                 struct cubby_cache *cache, struct cubby_error *error) {
    struct cubby_runtime_settings settings = CUBBY_RUNTIME_SETTINGS_INIT;
    struct cubby_engine_options options = CUBBY_ENGINE_OPTIONS_INIT;
    struct cubby_engine_plan *plan;
    int result = cubby_engine_plan_load(path, &plan, error);

    if (result < 0)
        return result;
    settings.dynamic_shapes_kernel_specialization_strategy = CUBBY_SPECIALIZATION_EAGER;
    settings.cuda_graph_strategy = CUBBY_CUDA_GRAPH_WHOLE_GRAPH_CAPTURE;
    options.name = part->name;
    options.cache = cache;
    options.settings = &settings;
    result = cubby_engine_new(plan, &options, &served->engine, error);
    if (result == 0)
        result = cubby_engine_set_external_stream(served->engine, part->stream, error);
    if (result == 0)
        result = allocate(served, plan, error);
    cubby_engine_plan_unref(plan);
    return result;
}

/* All engines in turn, without waiting for any of them in between. */
static int serve(struct served *served, size_t count, long rounds, struct cubby_error *error) {
    int result = 0;

    for (long round = 0; result == 0 && round < rounds; round++) {
        for (size_t i = 0; result == 0 && i < count; i++)
            result = cubby_engine_enqueue(served[i].engine, &served[i].call, error);
    }
    for (size_t i = 0; result == 0 && i < count; i++)
        result = cubby_engine_sync(served[i].engine, error);
    return result;
}

static void report(const struct served *served, const struct cubby_green_part *part) {
    struct cubby_engine_stats stats;

    cubby_engine_stats(served->engine, &stats);
    printf("%s: %llu runs on %u multiprocessors, %llu captures, %llu replays\n", part->name,
           (unsigned long long)stats.enqueues, part->multiprocessors,
           (unsigned long long)stats.captures, (unsigned long long)stats.replays);
}

/* Engines first: they wait for their work, and are bound to the streams of the parts. */
static void stop(struct served *served, size_t count, struct cubby_green_division *division) {
    for (size_t i = 0; i < count; i++) {
        cubby_engine_unref(served[i].engine);
        for (size_t j = 0; j < MOST_BUFFERS; j++)
            cubby_device_memory_free(served[i].memory[j]);
    }
    cubby_green_division_free(division);
}

int main(int argc, char **argv) {
    static struct served served[MOST_ENGINES];
    const size_t count = argc > 3 ? (size_t)(argc - 3) : 0;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_green_division *division = NULL;
    struct cubby_cache *cache = NULL;
    int result, status = 0;

    if (count == 0 || count > MOST_ENGINES) {
        fprintf(stderr, "usage: serve MULTIPROCESSORS ROUNDS ENGINE.json... (at most %d)\n",
                MOST_ENGINES);
        return 2;
    }
    result = cubby_cache_open(NULL, &cache, &error);
    if (result == 0)
        result = cubby_green_division_new(0, (const char *const *)argv + 3, count,
                                          (unsigned)strtoul(argv[1], NULL, 10), &division, &error);
    for (size_t i = 0; result == 0 && i < count; i++)
        result =
            start(&served[i], argv[3 + i], cubby_green_division_part(division, i), cache, &error);
    if (result == 0)
        result = serve(served, count, strtol(argv[2], NULL, 10), &error);
    for (size_t i = 0; result == 0 && i < count; i++)
        report(&served[i], cubby_green_division_part(division, i));
    if (result < 0) {
        fprintf(stderr, "serve: %s\n%s", error.message, error.log ? error.log : "");
        status = result == CUBBY_ERR_NO_DRIVER ? 3 : 1;
    }
    stop(served, count, division);
    cubby_cache_unref(cache);
    cubby_error_clear(&error);
    return status;
}
