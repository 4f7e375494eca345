/* SPDX-License-Identifier: Apache-2.0 */
#include "engine_serving.h"

#include <stdlib.h>

#include "driver/graph.h"
#include "driver/stream.h"
#include "util/error.h"

#define SERVED 3
#define ROUNDS 4
#define PART_MULTIPROCESSORS 8 /* the least that a part may have */

#define SHAPES 2

/* Two shapes, which share scratch tensors: a run that overtakes another spoils it. */
static const struct {
    const char *engine;
    int64_t shapes[SHAPES][REFERENCE_DIMS_MAX];
} SERVED_ENGINES[SERVED] = {
    {"mlp", {{33, 100, 130}, {5, 31, 170}}},
    {"attention", {{2, 3, 37, 13}, {1, 2, 19, 40}}},
    {"nbody", {{300}, {129}}},
};

struct serving {
    struct device_context *context;           /* current as long as it serves */
    struct device_stream *streams[SERVED][2]; /* of the caller's, two for each engine */
    struct engine_trial *trials[SERVED][SHAPES];
    struct cubby_engine *engines[SERVED];
};

static int fails(struct cubby_error *error, const char *what) {
    return error_set(error, CUBBY_ERR_CORRUPT, "%s", what);
}

/* ---- Parts of what is done --------------------------------------------------------------- */

static int refill(struct serving *serving, struct cubby_error *error) {
    int result = 0;

    for (size_t i = 0; i < SERVED * SHAPES && result == 0; i++)
        result = engine_trial_refill(serving->trials[i / SHAPES][i % SHAPES], error);
    return result;
}

static int enqueue(struct serving *serving, size_t i, size_t shape, struct cubby_error *error) {
    return cubby_engine_enqueue(serving->engines[i], engine_trial_call(serving->trials[i][shape]),
                                error);
}

static int sync_all(struct serving *serving, struct cubby_error *error) {
    int result = 0;

    for (size_t i = 0; i < SERVED && result == 0; i++)
        result = cubby_engine_sync(serving->engines[i], error);
    return result;
}

static int compare(struct serving *serving, struct cubby_error *error) {
    int result = 0;

    for (size_t i = 0; i < SERVED * SHAPES && result == 0; i++)
        result = engine_trial_compare(serving->trials[i / SHAPES][i % SHAPES], NULL, error);
    return result;
}

/* All engines in turn, with shapes from the first to the last, and none is waited for. */
static int enqueue_all(struct serving *serving, size_t first, size_t last,
                       struct cubby_error *error) {
    int result = 0;

    for (size_t i = 0; i < ROUNDS && result == 0; i++) {
        for (size_t j = 0; j < SERVED && result == 0; j++)
            result = enqueue(serving, j, first + i % (last - first + 1), error);
    }
    return result;
}

static int finish(struct serving *serving, struct cubby_error *error) {
    int result = sync_all(serving, error);

    return result == 0 ? compare(serving, error) : result;
}

static int serve(struct serving *serving, struct cubby_error *error) {
    int result = refill(serving, error);

    if (result == 0)
        result = enqueue_all(serving, 0, SHAPES - 1, error);
    return result == 0 ? finish(serving, error) : result;
}

/* Work that is not an engine's: sets buffers to numbers that are none, in order with a stream. */
static int spoil(struct serving *serving, const struct engine_trial *trial, bool are_inputs,
                 struct CUstream_st *stream, struct cubby_error *error) {
    const struct driver *driver = serving->context->driver;
    const struct cubby_engine_call *call = engine_trial_call(trial);
    size_t inputs = engine_trial_input_count(trial);

    for (size_t j = are_inputs ? 0 : inputs; j < (are_inputs ? inputs : call->buffer_count); j++) {
        int result = driver_call(driver, error, cuMemsetD8Async, call->buffers[j].address, 0xff,
                                 call->buffers[j].size, stream);

        if (result < 0)
            return result;
    }
    return 0;
}

/* ---- Streams ----------------------------------------------------------------------------- */

static int in_their_own(struct serving *serving, struct cubby_error *error) {
    return serve(serving, error);
}

static int bind_streams(struct serving *serving, size_t which, struct cubby_error *error) {
    int result = 0;

    for (size_t i = 0; i < SERVED && result == 0; i++)
        result = cubby_engine_set_external_stream(serving->engines[i],
                                                  serving->streams[i][which]->handle, error);
    return result;
}

static int clear_streams(struct serving *serving, struct cubby_error *error) {
    int result = 0;

    for (size_t i = 0; i < SERVED && result == 0; i++)
        result = cubby_engine_clear_external_stream(serving->engines[i], error);
    return result;
}

/* Each in one with the one shape, in another with the other, then in its own again. Nobody waits in
 * between, so the last waited for has to come after all the others. */
static int in_external_ones(struct serving *serving, struct cubby_error *error) {
    int result = refill(serving, error);

    for (size_t i = 0; i < SHAPES && result == 0; i++) {
        result = bind_streams(serving, i, error);
        if (result == 0)
            result = enqueue_all(serving, i, i, error);
    }
    if (result == 0)
        result = finish(serving, error);
    if (result == 0)
        result = clear_streams(serving, error);
    return result == 0 ? serve(serving, error) : result;
}

/* Two by name, and all where they were before afterwards. */
static int by_name(struct serving *serving, struct cubby_error *error) {
    const struct cubby_stream_binding bindings[] = {
        {cubby_engine_name(serving->engines[2]), serving->streams[0][0]->handle},
        {cubby_engine_name(serving->engines[0]), serving->streams[0][1]->handle}};
    struct cubby_stream_scope *scope;
    int result = cubby_engines_bind_streams(serving->engines, SERVED, bindings, 2, &scope, error);

    if (result < 0)
        return result;
    if (cubby_engine_get_external_stream(serving->engines[2]) != serving->streams[0][0]->handle)
        result = fails(error, "nbody is not bound to the stream of its name");
    if (result == 0)
        result = serve(serving, error);
    if (result == 0)
        result = cubby_stream_scope_exit(scope, error);
    else
        cubby_stream_scope_exit(scope, NULL);
    if (result == 0 && cubby_engine_has_external_stream(serving->engines[2]))
        result = fails(error, "nbody is bound to a stream after the scope");
    return result;
}

/* Another engine keeps the caller's stream busy. */
static int occupy(struct serving *serving, size_t i, struct CUstream_st *stream,
                  struct cubby_error *error) {
    int result = cubby_engine_set_external_stream(serving->engines[i], stream, error);

    for (size_t j = 0; j < 8 * ROUNDS && result == 0; j++)
        result = enqueue(serving, i, 0, error);
    return result == 0 ? cubby_engine_clear_external_stream(serving->engines[i], error) : result;
}

/*
 * The caller's stream, busy for a while, spoils the outputs before the engine's run, and the inputs
 * after it. The results tell whether the run came in between; waited for is either of the two.
 */
static int between(struct serving *serving, size_t i, bool waits_for_engine,
                   struct CUstream_st *stream, struct cubby_error *error) {
    struct engine_trial *trial = serving->trials[i][0];
    int result = engine_trial_refill(trial, error);

    if (result == 0)
        result = occupy(serving, (i + 1) % SERVED, stream, error);
    if (result == 0)
        result = spoil(serving, trial, false, stream, error);
    if (result == 0)
        result = enqueue(serving, i, 0, error);
    if (result == 0)
        result = spoil(serving, trial, true, stream, error);
    if (result == 0 && waits_for_engine)
        result = cubby_engine_sync(serving->engines[i], error);
    if (result == 0)
        result = stream_sync(serving->context->driver, stream, error);
    return result == 0 ? engine_trial_compare(trial, NULL, error) : result;
}

static int under_guard(struct serving *serving, struct cubby_error *error) {
    struct CUstream_st *stream = serving->streams[0][0]->handle;
    struct cubby_stream_guard guard;
    int result = refill(serving, error);

    cubby_stream_guard_enter(&guard, stream);
    for (size_t i = 0; i < 2 * SERVED && result == 0; i++)
        result = between(serving, i / 2, i % 2 == 1, stream, error);
    cubby_stream_guard_leave(&guard);
    return result;
}

static int passed_through(struct serving *serving, struct cubby_error *error) {
    int result;

    cubby_stream_passthrough_set(true);
    result = under_guard(serving, error);
    cubby_stream_passthrough_set(false);
    return result;
}

/* ---- One graph for all ------------------------------------------------------------------- */

static int prepare(struct serving *serving, struct cubby_error *error) {
    int result = 0;

    for (size_t i = 0; i < SERVED * SHAPES && result == 0; i++) {
        const struct cubby_engine_call *call =
            engine_trial_call(serving->trials[i / SHAPES][i % SHAPES]);

        result =
            cubby_engine_prepare(serving->engines[i / SHAPES], call->dims, call->dim_count, error);
    }
    return result;
}

/* Each engine with each shape, and before it work of the caller's. */
static int record(struct serving *serving, struct CUgraphExec_st **exec,
                  struct cubby_error *error) {
    const struct driver *driver = serving->context->driver;
    struct CUstream_st *stream = serving->streams[0][0]->handle;
    struct cubby_stream_guard guard;
    struct CUgraph_st *graph;
    bool updated;
    int result = capture_begin(driver, stream, error);

    if (result < 0)
        return result;
    cubby_stream_guard_enter(&guard, stream);
    for (size_t i = 0; i < SERVED * SHAPES && result == 0; i++) {
        result = spoil(serving, serving->trials[i / SHAPES][i % SHAPES], false, stream, error);
        if (result == 0)
            result = enqueue(serving, i / SHAPES, i % SHAPES, error);
    }
    cubby_stream_guard_leave(&guard);
    if (result < 0) {
        capture_abandon(driver, stream);
        return result;
    }
    result = capture_end(driver, stream, &graph, error);
    if (result < 0)
        return result;
    result = graph_exec_set(driver, exec, graph, &updated, error);
    graph_free(driver, graph);
    return result;
}

static int replay(struct serving *serving, struct CUgraphExec_st *exec, struct cubby_error *error) {
    const struct driver *driver = serving->context->driver;
    struct CUstream_st *stream = serving->streams[0][0]->handle;
    int result = refill(serving, error);

    for (int i = 0; i < 2 && result == 0; i++)
        result = graph_exec_launch(driver, exec, stream, error);
    if (result == 0)
        result = stream_sync(driver, stream, error);
    return result == 0 ? compare(serving, error) : result;
}

/* Recorded twice: the second time into what there is. */
static int in_one_graph(struct serving *serving, struct cubby_error *error) {
    const struct driver *driver = serving->context->driver;
    struct CUgraphExec_st *exec = NULL;
    struct cubby_graph_scope *scope;
    enum cubby_graph_mode mode;
    int result = cubby_graph_scope_enter(serving->engines, SERVED, true, &mode, &scope, error);

    if (result < 0)
        return result;
    if (mode != CUBBY_GRAPH_MODE_OUTER)
        result = fails(error, "three engines and other work are not for the caller to record");
    if (result == 0)
        result = prepare(serving, error);
    for (int i = 0; i < 2 && result == 0; i++) {
        result = record(serving, &exec, error);
        if (result == 0)
            result = replay(serving, exec, error);
    }
    graph_exec_free(driver, exec);
    if (result == 0)
        result = cubby_graph_scope_exit(scope, error);
    else
        cubby_graph_scope_exit(scope, NULL);
    return result == 0 ? serve(serving, error) : result;
}

/* ---- Parts of the device ----------------------------------------------------------------- */

static int bind_parts(struct serving *serving, struct cubby_green_division *division,
                      struct cubby_error *error) {
    int result = 0;

    for (size_t i = 0; i < SERVED && result == 0; i++) {
        const struct cubby_green_part *part =
            cubby_green_division_find(division, cubby_engine_name(serving->engines[i]));

        result = part->multiprocessors < PART_MULTIPROCESSORS
                     ? fails(error, "a part has fewer multiprocessors than were asked for")
                     : cubby_engine_set_external_stream(serving->engines[i], part->stream, error);
    }
    return result;
}

/* On parts, then on all of the device again. */
static int on_parts(struct serving *serving, struct cubby_error *error) {
    struct cubby_green_division *division;
    const char *names[SERVED];
    int result, cleared;

    for (size_t i = 0; i < SERVED; i++)
        names[i] = cubby_engine_name(serving->engines[i]);
    result = cubby_green_division_new(serving->context->device.ordinal, names, SERVED,
                                      PART_MULTIPROCESSORS, &division, error);
    if (result < 0)
        return result;
    result = bind_parts(serving, division, error);
    if (result == 0)
        result = serve(serving, error);
    cleared = clear_streams(serving, result == 0 ? error : NULL);
    cubby_green_division_free(division);
    if (result == 0)
        result = cleared;
    return result == 0 ? serve(serving, error) : result;
}

const struct serving_way SERVING_WAYS[] = {
    {"each in its own stream", in_their_own, false, 0},
    {"each in a stream of the caller's", in_external_ones, false, 0},
    {"in streams bound by name", by_name, false, 0},
    {"between work of the caller's", under_guard, false, 0},
    {"in the caller's stream", passed_through, false, 0},
    {"in one graph of the caller's", in_one_graph, true, 0},
    {"each on a part of the device", on_parts, false, SERVED},
};
const size_t SERVING_WAY_COUNT = sizeof(SERVING_WAYS) / sizeof(*SERVING_WAYS);

/* ---- Trying one -------------------------------------------------------------------------- */

static void end_serving(struct serving *serving) {
    for (size_t i = 0; i < SERVED; i++) {
        cubby_engine_unref(serving->engines[i]);
        for (size_t j = 0; j < SHAPES; j++)
            engine_trial_free(serving->trials[i][j]);
        for (size_t j = 0; j < 2; j++)
            device_stream_free(serving->streams[i][j]);
    }
    if (serving->context)
        device_context_leave(serving->context);
    device_context_unref(serving->context);
}

static int begin_one(struct serving *serving, size_t i, const char *folder,
                     const struct cubby_engine_options *options, struct cubby_error *error) {
    struct cubby_engine_plan *plan;
    int result = engine_trial_load(folder, SERVED_ENGINES[i].engine, &plan, error);

    if (result < 0)
        return result;
    for (size_t j = 0; j < SHAPES && result == 0; j++)
        result = engine_trial_new(plan, SERVED_ENGINES[i].shapes[j], options->device, 0,
                                  &serving->trials[i][j], error);
    if (result == 0)
        result = cubby_engine_new(plan, options, &serving->engines[i], error);
    for (size_t j = 0; j < 2 && result == 0; j++)
        result = device_stream_new(serving->context, 0, &serving->streams[i][j], error);
    cubby_engine_plan_unref(plan);
    return result;
}

static int begin_serving(struct serving *serving, const char *folder,
                         const struct cubby_engine_options *options, struct cubby_error *error) {
    struct device_context *context;
    int result = device_context_get(options->device, &context, error);

    if (result < 0)
        return result;
    result = device_context_enter(context, error);
    if (result < 0) {
        device_context_unref(context);
        return result;
    }
    serving->context = context;
    for (size_t i = 0; i < SERVED && result == 0; i++)
        result = begin_one(serving, i, folder, options, error);
    return result;
}

static int check_size(const struct serving *serving, const struct serving_way *way,
                      struct cubby_error *error) {
    unsigned there = (unsigned)serving->context->device.multiprocessors;
    unsigned needed = way->parts * PART_MULTIPROCESSORS;

    if (there >= needed)
        return 0;
    return error_set(error, CUBBY_ERR_UNSUPPORTED, "the device has %u multiprocessors of %u", there,
                     needed);
}

/* Twice: a lazy engine has its specialised kernels the second time. */
static int try_with(const struct serving_way *way, const char *folder,
                    const struct cubby_engine_options *options, struct cubby_error *error) {
    struct serving serving = {0};
    int result = begin_serving(&serving, folder, options, error);

    if (result == 0)
        result = check_size(&serving, way, error);
    for (int i = 0; i < 2 && result == 0; i++) {
        result = way->run(&serving, error);
        for (size_t j = 0; j < SERVED; j++)
            cubby_engine_wait_kernels(serving.engines[j]);
    }
    end_serving(&serving);
    return result;
}

int serving_try(const struct serving_way *way, const char *folder,
                const struct cubby_engine_options *options, struct cubby_error *error) {
    static const enum cubby_specialization_strategy STRATEGIES[] = {
        CUBBY_SPECIALIZATION_NONE, CUBBY_SPECIALIZATION_EAGER, CUBBY_SPECIALIZATION_LAZY};
    struct cubby_runtime_settings settings = CUBBY_RUNTIME_SETTINGS_INIT;
    struct cubby_engine_options own = *options;
    int strategies = way->is_recorded_by_caller ? 2 : 3; /* a lazy engine is not recorded */
    int graphs = way->is_recorded_by_caller ? 1 : 2, result = 0;

    own.settings = &settings;
    for (int i = 0; i < strategies * graphs && result == 0; i++) {
        settings.dynamic_shapes_kernel_specialization_strategy = STRATEGIES[i % strategies];
        settings.cuda_graph_strategy = (enum cubby_cuda_graph_strategy)(i / strategies);
        result = try_with(way, folder, &own, error);
    }
    return result;
}
