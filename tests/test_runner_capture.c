/* SPDX-License-Identifier: Apache-2.0 */
/* Engines in graphs that their callers record, on the double. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "streams_help.h"

/* ---- Someone else's capture -------------------------------------------------------------- */

START_TEST(who_can_be_recorded) {
    struct cubby_engine *engine = engine_of((enum cubby_specialization_strategy)_i);

    ck_assert_int_eq(cubby_engine_is_monolithic_capturable(engine),
                     _i != CUBBY_SPECIALIZATION_LAZY);
    cubby_engine_unref(engine);
}
END_TEST

START_TEST(several_engines_and_foreign_work_in_one_graph) {
    struct cubby_engine *one = engine_of(CUBBY_SPECIALIZATION_NONE);
    struct cubby_engine *other = recording_engine_of(CUBBY_SPECIALIZATION_EAGER);
    const int64_t n = N;
    struct capture capture;
    struct device_memory *memory;
    float zeros[LINE_NUMBERS] = {0};
    unsigned char bytes[16];

    ck_ok(device_memory_new(context, sizeof(bytes), NULL, &memory, &error), &error);
    ck_ok(cubby_engine_prepare(one, &n, 1, &error), &error);
    ck_ok(cubby_engine_prepare(other, &n, 1, &error), &error);
    ck_assert_uint_eq(stats_of_engine(one).enqueues, 0);
    begin(&capture);
    ck_ok(enqueue(one, N, 0), &error);
    ck_ok(device_memory_fill(memory, 0x5a, streams[0]->handle, &error), &error);
    ck_ok(enqueue(other, N, N), &error);
    end(&capture);
    for (int i = 0; i < 2; i++) {
        ck_ok(cubby_device_memory_write(out, 0, zeros, sizeof(zeros), &error), &error);
        replay(&capture);
        check_results(0, 2 * N);
    }
    ck_ok(device_memory_read(memory, 0, bytes, sizeof(bytes), NULL, &error), &error);
    ck_assert_int_eq(bytes[15], 0x5a);
    ck_assert_uint_eq(stats_of_engine(other).captures, 0); /* it was not the engine's */
    ck_assert_uint_eq(fake->calls("cuStreamBeginCapture_v2"), 1);
    ck_assert_uint_eq(stats_of_engine(one).contexts, 1);
    graph_exec_free(context->driver, capture.exec);
    device_memory_free(memory);
    cubby_engine_unref(one);
    cubby_engine_unref(other);
}
END_TEST

START_TEST(what_is_not_ready_is_refused_before_anything_is_recorded) {
    struct cubby_engine *lazy = engine_of(CUBBY_SPECIALIZATION_LAZY);
    struct cubby_engine *none = engine_of(CUBBY_SPECIALIZATION_NONE);
    struct cubby_engine *eager = engine_of(CUBBY_SPECIALIZATION_EAGER);
    struct cubby_engine *small = engine_of(CUBBY_SPECIALIZATION_NONE);
    const int64_t n = N;
    struct capture capture;
    unsigned allocations;

    ck_ok(cubby_engine_prepare(lazy, &n, 1, &error), &error);
    ck_ok(cubby_engine_prepare(small, &n, 1, &error), &error);
    ck_ok(cubby_engine_prepare(eager, &n, 1, &error), &error);
    begin(&capture);
    allocations = fake->calls("cuMemAlloc_v2");
    assert_failure(enqueue(lazy, N, 0), CUBBY_ERR_INVALID, "it is lazy");
    assert_failure(enqueue(none, N, 0), CUBBY_ERR_INVALID, "cubby_engine_prepare");
    ck_assert(!cubby_engine_has_context(none));
    assert_failure(enqueue(eager, N + 1, 0), CUBBY_ERR_INVALID, "not everything is ready");
    assert_failure(enqueue(eager, 0, 0), CUBBY_ERR_INVALID, "n");
    /* Its kernels are there, but less scratch memory than it takes: none is allocated. */
    assert_failure(enqueue(small, 10 * N, 0), CUBBY_ERR_INVALID, "not everything is ready");
    assert_failure(cubby_engine_prepare(small, &(int64_t){10 * N}, 1, &error), CUBBY_ERR_INVALID,
                   "not everything is ready");
    ck_assert_uint_eq(fake->calls("cuMemAlloc_v2"), allocations);
    ck_assert_uint_eq(fake->launches(), 0);
    ck_ok(enqueue(eager, N, 0), &error); /* and the capture goes on */
    end(&capture);
    replay_and_free(&capture, N);
    cubby_engine_unref(lazy);
    cubby_engine_unref(none);
    cubby_engine_unref(eager);
    cubby_engine_unref(small);
}
END_TEST

/* Two shapes, of which the first was prepared first. */
START_TEST(all_that_was_prepared_can_be_recorded) {
    struct cubby_engine *engine = engine_of(CUBBY_SPECIALIZATION_EAGER);
    const int64_t n = 3 * N, m = N;
    struct capture capture;

    ck_ok(cubby_engine_prepare(engine, &n, 1, &error), &error);
    ck_ok(cubby_engine_prepare(engine, &m, 1, &error), &error);
    begin(&capture);
    ck_ok(enqueue(engine, n, 0), &error);
    ck_ok(enqueue(engine, m, 3 * N), &error);
    end(&capture);
    replay_and_free(&capture, 4 * N);
    cubby_engine_unref(engine);
}
END_TEST

/* The engine goes on with more scratch memory, and with more shapes than it keeps. */
START_TEST(what_was_recorded_stays) {
    struct cubby_engine *engine = engine_of(CUBBY_SPECIALIZATION_EAGER);
    const int64_t n = N;
    struct capture capture;
    size_t before;
    float zeros[LINE_NUMBERS] = {0};

    ck_ok(cubby_engine_prepare(engine, &n, 1, &error), &error);
    begin(&capture);
    ck_ok(enqueue(engine, N, 0), &error);
    end(&capture);
    before = fake->alive("memory");
    ck_ok(enqueue(engine, 4000, 0), &error);
    ck_assert_uint_eq(fake->alive("memory"), before + 1); /* the graph's is kept */
    for (int64_t m = 1; m <= 66; m++)
        ck_ok(enqueue(engine, m, 0), &error);
    ck_ok(cubby_engine_sync(engine, &error), &error);
    ck_ok(cubby_device_memory_write(out, 0, zeros, sizeof(zeros), &error), &error);
    replay_and_free(&capture, N);
    cubby_engine_unref(engine);
}
END_TEST

START_TEST(an_external_stream_is_not_recorded) {
    struct cubby_engine *engine = engine_of(CUBBY_SPECIALIZATION_NONE);
    const int64_t n = N;
    struct capture capture;

    ck_ok(cubby_engine_prepare(engine, &n, 1, &error), &error);
    ck_ok(cubby_engine_set_external_stream(engine, streams[0]->handle, &error), &error);
    begin(&capture);
    assert_failure(enqueue(engine, N, 0), CUBBY_ERR_INVALID, "external stream captures");
    ck_ok(cubby_engine_clear_external_stream(engine, &error), &error);
    /* Nor is it, where another stream is to be recorded, run beside the graph. */
    ck_ok(cubby_engine_set_external_stream(engine, streams[1]->handle, &error), &error);
    assert_failure(enqueue(engine, N, 0), CUBBY_ERR_INVALID, "has an external stream");
    assert_failure(cubby_engine_prepare(engine, &n, 1, &error), CUBBY_ERR_INVALID,
                   "has an external stream");
    ck_assert_uint_eq(fake->launches(), 0);
    ck_ok(cubby_engine_clear_external_stream(engine, &error), &error);
    ck_ok(enqueue(engine, N, 0), &error);
    end(&capture);
    ck_assert_uint_eq(fake->launches(), 0);
    replay_and_free(&capture, N);
    cubby_engine_unref(engine);
}
END_TEST

/* A stream that the default one waits for captures: the default stream cannot be used, which is
 * told instead of breaking the capture. */
START_TEST(the_default_stream_is_left_alone_while_another_captures) {
    struct cubby_engine *engine = engine_of(CUBBY_SPECIALIZATION_NONE);
    const struct driver_api *api = &context->driver->api;
    struct CUstream_st *blocking = NULL;
    struct cubby_stream_guard guard;
    struct CUgraph_st *graph = NULL;
    char byte = 0;

    ck_ok(enqueue(engine, N, 0), &error);
    ck_ok(device_context_enter(context, &error), &error);
    ck_assert_uint_eq(api->cuStreamCreateWithPriority(&blocking, 0, 0), 0);
    ck_ok(capture_begin(context->driver, blocking, &error), &error);
    cubby_stream_guard_enter(&guard, _i < 2 ? NULL : DRIVER_STREAM_LEGACY);
    cubby_stream_passthrough_set(_i % 2);
    assert_failure(enqueue(engine, N, N), CUBBY_ERR_INVALID, "STREAM_CAPTURE_IMPLICIT");
    ck_ok(cubby_engine_set_external_stream(engine, streams[1]->handle, &error), &error);
    ck_ok(enqueue(engine, N, 2 * N), &error); /* it does not go there */
    ck_ok(cubby_engine_clear_external_stream(engine, &error), &error);
    cubby_stream_passthrough_set(false);
    cubby_stream_guard_leave(&guard);
    assert_failure(cubby_device_memory_write(out, 0, &byte, 1, &error), CUBBY_ERR_INVALID,
                   "CU_STREAM_NON_BLOCKING");
    assert_failure(cubby_device_memory_read(out, 0, &byte, 1, &error), CUBBY_ERR_INVALID,
                   "CU_STREAM_NON_BLOCKING");
    ck_ok(enqueue(engine, N, N), &error);
    ck_ok(capture_end(context->driver, blocking, &graph, &error), &error);
    graph_free(context->driver, graph);
    ck_assert_uint_eq(api->cuStreamDestroy_v2(blocking), 0);
    device_context_leave(context);
    check_results(0, 3 * N);
    cubby_engine_unref(engine);
}
END_TEST

/* The per-thread stream is one of those that can be recorded. */
START_TEST(a_per_thread_stream_is_recorded) {
    struct cubby_engine *engine = engine_of(CUBBY_SPECIALIZATION_NONE);
    struct device_stream per_thread = {context, DRIVER_STREAM_PER_THREAD};
    const int64_t n = N;
    struct capture capture;

    begin_in(&capture, &per_thread, DRIVER_STREAM_CAPTURE_MODE_GLOBAL);
    assert_failure(enqueue(engine, N, 0), CUBBY_ERR_INVALID, "cubby_engine_prepare");
    end_and_free(&capture);
    ck_ok(cubby_engine_prepare(engine, &n, 1, &error), &error);
    begin_in(&capture, &per_thread, DRIVER_STREAM_CAPTURE_MODE_GLOBAL);
    ck_ok(enqueue(engine, N, 0), &error);
    end(&capture);
    ck_assert_uint_eq(fake->launches(), 0);
    replay_and_free(&capture, N);
    cubby_engine_unref(engine);
}
END_TEST

/* Another engine compiles and loads while a caller captures in the mode GLOBAL. */
START_TEST(a_capture_of_another_thread_is_not_broken) {
    struct cubby_engine *engine = engine_of(CUBBY_SPECIALIZATION_LAZY);
    struct cubby_engine *other = engine_of(CUBBY_SPECIALIZATION_NONE);
    const int64_t n = N;
    struct CUgraph_st *graph;

    ck_ok(cubby_engine_prepare(other, &n, 1, &error), &error);
    ck_ok(enqueue(engine, N, 0), &error); /* asks for a kernel, in threads of the library's */
    ck_ok(device_context_enter(context, &error), &error);
    ck_assert_uint_eq(context->driver->api.cuStreamBeginCapture_v2(
                          streams[1]->handle, DRIVER_STREAM_CAPTURE_MODE_GLOBAL),
                      0);
    cubby_engine_wait_kernels(engine);
    ck_ok(capture_end(context->driver, streams[1]->handle, &graph, &error), &error);
    graph_free(context->driver, graph);
    device_context_leave(context);
    ck_ok(cubby_engine_sync(engine, &error), &error);
    cubby_engine_unref(engine);
    cubby_engine_unref(other);
}
END_TEST

/* ---- While the thread captures ----------------------------------------------------------- */

/* Whatever is called in the midst of a capture of the same thread, in the strictest mode: that is
 * not broken. The engine ran in an external stream before. */
static void call_sync(struct cubby_engine *engine) {
    ck_ok(cubby_engine_sync(engine, &error), &error);
}

static void call_enqueue(struct cubby_engine *engine) {
    ck_ok(cubby_engine_clear_external_stream(engine, &error), &error);
    for (unsigned i = 1; i < 4; i++) /* shapes, scratch tensors that grow, graphs */
        ck_ok(enqueue(engine, 1000 * i, 0), &error);
    cubby_engine_wait_kernels(engine);
    ck_ok(enqueue(engine, 3000, 0), &error);
    ck_ok(cubby_engine_sync(engine, &error), &error);
}

static void call_prepare(struct cubby_engine *engine) {
    const int64_t n = 4000;

    ck_ok(cubby_engine_prepare(engine, &n, 1, &error), &error);
}

static void call_set_stream(struct cubby_engine *engine) {
    const struct cubby_stream_binding binding = {cubby_engine_name(engine), streams[1]->handle};
    struct cubby_stream_scope *scope;

    ck_ok(cubby_engine_clear_external_stream(engine, &error), &error);
    ck_ok(cubby_engines_bind_streams(&engine, 1, &binding, 1, &scope, &error), &error);
    ck_ok(enqueue(engine, N, 0), &error);
    ck_ok(cubby_stream_scope_exit(scope, &error), &error);
    assert_failure(cubby_engine_set_external_stream(engine, streams[0]->handle, &error),
                   CUBBY_ERR_INVALID, "captures");
}

static void call_set_settings(struct cubby_engine *engine) {
    const struct cubby_runtime_settings settings = settings_of(CUBBY_SPECIALIZATION_EAGER);

    ck_ok(cubby_engine_set_settings(engine, &settings, &error), &error);
    ck_ok(enqueue(engine, N, 0), &error);
}

/* A handle of the engine's own takes the place of another, which is saved. */
static void call_runtime_cache(struct cubby_engine *engine) {
    struct cubby_runtime_settings settings = settings_of(CUBBY_SPECIALIZATION_EAGER);
    char *path = path_in(line.folder, "kernels.bin");

    settings.runtime_cache_path = path;
    ck_ok(cubby_engine_set_settings(engine, &settings, &error), &error);
    ck_ok(enqueue(engine, N, 0), &error);
    settings.runtime_cache_path = NULL;
    ck_ok(cubby_engine_set_settings(engine, &settings, &error), &error);
    ck_assert_int_eq(access(path, F_OK), 0);
    free(path);
}

static void call_scopes(struct cubby_engine *engine) {
    struct cubby_graph_scope *scope;
    enum cubby_graph_mode mode;

    ck_ok(cubby_engine_clear_external_stream(engine, &error), &error);
    ck_ok(cubby_graph_scope_enter(&engine, 1, false, &mode, &scope, &error), &error);
    ck_ok(enqueue(engine, N, 0), &error);
    ck_ok(cubby_graph_scope_exit(scope, &error), &error);
}

static void call_unref(struct cubby_engine *engine) {
    struct cubby_engine *other = recording_engine_of(CUBBY_SPECIALIZATION_EAGER);

    (void)engine;
    ck_ok(cubby_engine_set_external_stream(other, streams[1]->handle, &error), &error);
    ck_ok(enqueue(other, N, 0), &error);
    cubby_engine_unref(other);
}

static void call_memory(struct cubby_engine *engine) {
    struct cubby_device_memory *memory;
    char bytes[16] = "fifteen letters";

    (void)engine;
    ck_ok(cubby_device_memory_new(0, sizeof(bytes), &memory, &error), &error);
    ck_ok(cubby_device_memory_write(memory, 0, bytes, sizeof(bytes), &error), &error);
    ck_ok(cubby_device_memory_read(memory, 0, bytes, sizeof(bytes), &error), &error);
    ck_assert_str_eq(bytes, "fifteen letters");
    cubby_device_memory_free(memory);
}

static void call_divide(struct cubby_engine *engine) {
    static const char *const NAMES[] = {"one", "two"};
    struct cubby_green_division *division;

    ck_ok(cubby_green_division_new(0, NAMES, 2, 16, &division, &error), &error);
    ck_ok(cubby_engine_set_external_stream(engine, cubby_green_division_part(division, 0)->stream,
                                           &error),
          &error);
    ck_ok(enqueue(engine, N, 0), &error);
    ck_ok(cubby_engine_clear_external_stream(engine, &error), &error);
    ck_ok(cubby_engine_sync(engine, &error), &error);
    cubby_green_division_free(division);
}

static void (*const CALLS[])(struct cubby_engine *engine) = {
    call_runtime_cache, call_sync,   call_enqueue, call_prepare, call_set_stream,
    call_set_settings,  call_scopes, call_unref,   call_memory,  call_divide};

START_TEST(no_call_breaks_a_capture_of_its_thread) {
    struct cubby_engine *engine = recording_engine_of(CUBBY_SPECIALIZATION_LAZY);
    struct cubby_engine *recorded = engine_of(CUBBY_SPECIALIZATION_NONE);
    const int64_t n = N;
    struct capture capture;

    ck_ok(cubby_engine_prepare(recorded, &n, 1, &error), &error);
    ck_ok(cubby_engine_set_external_stream(engine, streams[1]->handle, &error), &error);
    ck_ok(enqueue(engine, N, 0), &error);
    begin(&capture);
    cubby_stream_guard_leave(&capture.guard); /* what it captures is no engine's business */
    CALLS[_i](engine);
    clear_results();
    cubby_stream_guard_enter(&capture.guard, streams[0]->handle);
    ck_ok(enqueue(recorded, N, 0), &error);
    end(&capture);
    replay_and_free(&capture, N);
    cubby_engine_unref(engine);
    cubby_engine_unref(recorded);
}
END_TEST

/* ---- What fails while it is recorded ----------------------------------------------------- */

/* Drops the context, and with it the graph: the next run has to make another. */
static void settings_again(struct cubby_engine *engine) {
    struct cubby_runtime_settings settings;

    cubby_engine_get_settings(engine, &settings);
    settings.cuda_graph_strategy = CUBBY_CUDA_GRAPH_DISABLED;
    ck_ok(cubby_engine_set_settings(engine, &settings, &error), &error);
    settings.cuda_graph_strategy = CUBBY_CUDA_GRAPH_WHOLE_GRAPH_CAPTURE;
    ck_ok(cubby_engine_set_settings(engine, &settings, &error), &error);
    ck_ok(cubby_engine_prepare(engine, &(int64_t){N}, 1, &error), &error);
}

static bool is_capturing(struct device_stream *stream) {
    unsigned status = DRIVER_STREAM_CAPTURE_STATUS_ACTIVE;

    ck_ok(device_context_enter(context, &error), &error);
    ck_assert_uint_eq(context->driver->api.cuStreamIsCapturing(stream->handle, &status), 0);
    device_context_leave(context);
    return status != DRIVER_STREAM_CAPTURE_STATUS_NONE;
}

/* Each call from the begin of a recording to its first replay fails in turn: the caller's stream
 * captures no longer, holds nothing, and is usable, as is the engine. */
START_TEST(a_recording_that_breaks_leaves_the_stream) {
    static const struct {
        const char *call;
        unsigned next, code;
    } BREAKS[] = {
        {"cuStreamBeginCapture_v2", 1, 2},
        {"cuLaunchKernel", 1, 2},
        {"cuLaunchKernel", 2, 2},
        {"cuLaunchKernel", 2, 901},
        {"cuStreamEndCapture", 1, 2},
        {"cuStreamEndCapture", 1, 901},
        {"cuGraphInstantiateWithFlags", 1, 2},
        {"cuGraphLaunch", 1, 2},
    };
    struct cubby_engine *engine = recording_engine_of(CUBBY_SPECIALIZATION_EAGER);
    char fault[80];

    ck_ok(cubby_engine_set_external_stream(engine, streams[0]->handle, &error), &error);
    ck_ok(cubby_engine_prepare(engine, &(int64_t){N}, 1, &error), &error);
    for (unsigned i = 0; i < sizeof(BREAKS) / sizeof(*BREAKS); i++) {
        const struct cubby_engine_stats before = stats_of_engine(engine);

        snprintf(fault, sizeof(fault), "%s@%u=%u", BREAKS[i].call,
                 fake->calls(BREAKS[i].call) + BREAKS[i].next, BREAKS[i].code);
        setenv("FAKE_CUDA_FAIL", fault, 1);
        ck_assert_msg(enqueue(engine, N, i * N) < 0, "%s", fault);
        unsetenv("FAKE_CUDA_FAIL");
        cubby_error_clear(&error);
        ck_assert_msg(!is_capturing(streams[0]), "%s", fault);
        ck_assert_uint_eq(fake->alive("graph"), 0);
        ck_assert_uint_eq(stats_of_engine(engine).replays, before.replays);
        ck_assert_uint_eq(stats_of_engine(engine).enqueues, before.enqueues);
        ck_ok(enqueue(engine, N, i * N), &error);
        ck_ok(cubby_engine_sync(engine, &error), &error);
        check_results(i * N, N);
        settings_again(engine);
    }
    cubby_engine_unref(engine);
}
END_TEST

/* ---- Who records ------------------------------------------------------------------------- */

enum expected { NATIVE, OUTER, REFUSED };

/* What is asked for, and what comes of it: the first engine's strategies, and the second's. */
static const struct {
    enum cubby_specialization_strategy first, second;
    enum cubby_cuda_graph_strategy graphs;
    size_t count; /* of engines */
    bool has_other_work, has_external_stream;
    enum expected expected;
    unsigned warnings;
    const char *words;
} MATRIX[] = {
    {0, 0, CUBBY_CUDA_GRAPH_DISABLED, 1, false, false, NATIVE, 1, "disabled"},
    {0, 0, CUBBY_CUDA_GRAPH_WHOLE_GRAPH_CAPTURE, 1, false, false, NATIVE, 0, NULL},
    {2, 0, CUBBY_CUDA_GRAPH_DISABLED, 1, false, true, NATIVE, 1, "disabled"},
    {2, 1, CUBBY_CUDA_GRAPH_DISABLED, 2, false, false, OUTER, 0, NULL},
    {2, 1, CUBBY_CUDA_GRAPH_WHOLE_GRAPH_CAPTURE, 2, false, false, OUTER, 0, NULL},
    {1, 0, CUBBY_CUDA_GRAPH_DISABLED, 1, true, false, OUTER, 0, NULL},
    {1, 0, CUBBY_CUDA_GRAPH_DISABLED, 2, false, false, REFUSED, 0, "is lazy"},
    {0, 1, CUBBY_CUDA_GRAPH_DISABLED, 2, false, false, REFUSED, 0, "is lazy"},
    {0, 0, CUBBY_CUDA_GRAPH_DISABLED, 1, true, false, REFUSED, 0, "is lazy"},
    {2, 2, CUBBY_CUDA_GRAPH_DISABLED, 2, true, true, REFUSED, 0, "external stream"},
};

static unsigned warnings;
static char warning[512];

static void hear(enum cubby_log_level level, const char *text, void *data) {
    (void)level;
    (void)data;
    warnings++;
    snprintf(warning, sizeof(warning), "%s", text);
}

static enum cubby_cuda_graph_strategy graphs_of(struct cubby_engine *engine) {
    struct cubby_runtime_settings settings;

    cubby_engine_get_settings(engine, &settings);
    cubby_runtime_cache_unref(settings.runtime_cache);
    return settings.cuda_graph_strategy;
}

/* What a graph of the mode does, within the scope. */
static void record_native(struct cubby_engine *engine) {
    for (int i = 0; i < 3; i++) {
        ck_ok(enqueue(engine, N, 0), &error);
        cubby_engine_wait_kernels(engine);
    }
    ck_ok(cubby_engine_sync(engine, &error), &error);
    check_results(0, N);
    ck_assert_uint_eq(stats_of_engine(engine).captures, 1);
    ck_assert_uint_ge(stats_of_engine(engine).replays, 2);
}

static void record_outer(struct cubby_engine *const *engines, size_t count) {
    const int64_t n = N;
    struct capture capture;

    assert_failure(cubby_engine_set_external_stream(engines[0], streams[1]->handle, &error),
                   CUBBY_ERR_INVALID, "graph scope");
    for (size_t i = 0; i < count; i++)
        ck_ok(cubby_engine_prepare(engines[i], &n, 1, &error), &error);
    begin(&capture);
    for (size_t i = 0; i < count; i++)
        ck_ok(enqueue(engines[i], N, (unsigned)i * N), &error);
    end(&capture);
    replay(&capture);
    check_results(0, (unsigned)count * N);
    for (size_t i = 0; i < count; i++) {
        ck_ok(enqueue(engines[i], N, 0), &error); /* and without a graph of its own meanwhile */
        ck_ok(cubby_engine_sync(engines[i], &error), &error);
        ck_assert_uint_eq(stats_of_engine(engines[i]).captures, 0);
    }
    graph_exec_free(context->driver, capture.exec);
}

START_TEST(the_matrix) {
    struct cubby_runtime_settings settings = settings_of(MATRIX[_i].first);
    struct cubby_engine *engines[2];
    struct cubby_graph_scope *scope;
    enum cubby_graph_mode mode;
    int result;

    settings.cuda_graph_strategy = MATRIX[_i].graphs;
    engines[0] = engine_on(&line, &settings);
    settings.dynamic_shapes_kernel_specialization_strategy = MATRIX[_i].second;
    engines[1] = engine_on(&line, &settings);
    if (MATRIX[_i].has_external_stream)
        ck_ok(cubby_engine_set_external_stream(engines[0], streams[0]->handle, &error), &error);
    warnings = 0;
    cubby_log_set(hear, CUBBY_LOG_WARN, NULL);
    result = cubby_graph_scope_enter(engines, MATRIX[_i].count, MATRIX[_i].has_other_work, &mode,
                                     &scope, &error);
    cubby_log_set(NULL, CUBBY_LOG_WARN, NULL);
    ck_assert_uint_eq(warnings, MATRIX[_i].warnings);
    if (warnings > 0)
        ck_assert_msg(strstr(warning, MATRIX[_i].words) != NULL, "%s", warning);
    if (MATRIX[_i].expected == REFUSED) {
        assert_failure(result, CUBBY_ERR_INVALID, MATRIX[_i].words);
    } else {
        ck_ok(result, &error);
        ck_assert_int_eq(mode == CUBBY_GRAPH_MODE_OUTER, MATRIX[_i].expected == OUTER);
        if (mode == CUBBY_GRAPH_MODE_NATIVE)
            record_native(engines[0]);
        else
            record_outer(engines, MATRIX[_i].count);
        ck_ok(cubby_graph_scope_exit(scope, &error), &error);
        ck_ok(cubby_engine_set_external_stream(engines[0], streams[1]->handle, &error), &error);
    }
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(graphs_of(engines[i]), MATRIX[_i].graphs); /* transparent again */
        cubby_engine_unref(engines[i]);
    }
}
END_TEST

START_TEST(a_graph_scope_needs_engines) {
    struct cubby_graph_scope *scope;
    enum cubby_graph_mode mode;

    assert_failure(cubby_graph_scope_enter(NULL, 0, false, &mode, &scope, &error),
                   CUBBY_ERR_INVALID, "no engine");
    ck_ok(cubby_graph_scope_exit(NULL, &error), &error);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("runner capture");
    TCase *tests = tcase_create("capture");

    tcase_add_checked_fixture(tests, streams_set_up, streams_tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, who_can_be_recorded, 0, 3);
    tcase_add_test(tests, several_engines_and_foreign_work_in_one_graph);
    tcase_add_test(tests, what_is_not_ready_is_refused_before_anything_is_recorded);
    tcase_add_test(tests, all_that_was_prepared_can_be_recorded);
    tcase_add_test(tests, what_was_recorded_stays);
    tcase_add_test(tests, an_external_stream_is_not_recorded);
    tcase_add_test(tests, a_capture_of_another_thread_is_not_broken);
    tcase_add_loop_test(tests, the_default_stream_is_left_alone_while_another_captures, 0, 4);
    tcase_add_test(tests, a_per_thread_stream_is_recorded);
    tcase_add_loop_test(tests, no_call_breaks_a_capture_of_its_thread, 0,
                        sizeof(CALLS) / sizeof(*CALLS));
    tcase_add_test(tests, a_recording_that_breaks_leaves_the_stream);
    tcase_add_loop_test(tests, the_matrix, 0, sizeof(MATRIX) / sizeof(*MATRIX));
    tcase_add_test(tests, a_graph_scope_needs_engines);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
