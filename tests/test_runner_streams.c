/* SPDX-License-Identifier: Apache-2.0 */
/* Engines in streams of their callers, on the double. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver/graph.h"
#include "driver/stream.h"
#include "runner_help.h"

static struct line line;
static struct device_context *context;
static struct device_stream *streams[2];

/* Numbers of two runs, one behind the other. */
#define N 100
static struct cubby_device_memory *in, *out;

static void open_streams(void) {
    float x[LINE_NUMBERS];

    for (int i = 0; i < LINE_NUMBERS; i++)
        x[i] = (float)i;
    context = open_context(0);
    for (int i = 0; i < 2; i++)
        ck_ok(device_stream_new(context, 0, &streams[i], &error), &error);
    ck_ok(cubby_device_memory_new(0, sizeof(x), &in, &error), &error);
    ck_ok(cubby_device_memory_new(0, sizeof(x), &out, &error), &error);
    ck_ok(cubby_device_memory_write(in, 0, x, sizeof(x), &error), &error);
    memset(x, 0, sizeof(x));
    ck_ok(cubby_device_memory_write(out, 0, x, sizeof(x), &error), &error);
}

static void close_streams(void) {
    cubby_device_memory_free(in);
    cubby_device_memory_free(out);
    for (int i = 0; i < 2; i++)
        device_stream_free(streams[i]);
    device_context_unref(context);
}

static void set_up(void) {
    line_set_up(&line);
    open_streams();
}

static void tear_down(void) {
    close_streams();
    line_tear_down(&line);
}

/* Nothing is done before something waits for it. */
static bool defer(void) {
    if (!tests_are_apart())
        return false;
    close_streams();
    setenv("FAKE_CUDA_DEFER", "1", 1);
    fake->reset();
    line_attach();
    open_streams();
    return true;
}

static struct cubby_engine *engine_of(enum cubby_specialization_strategy strategy) {
    const struct cubby_runtime_settings settings = settings_of(strategy);

    return engine_on(&line, &settings);
}

static int enqueue(struct cubby_engine *engine, int64_t n, unsigned at) {
    const struct cubby_engine_buffer buffers[] = {
        {cubby_device_memory_address(in) + at * sizeof(float), (uint64_t)n * sizeof(float)},
        {cubby_device_memory_address(out) + at * sizeof(float), (uint64_t)n * sizeof(float)}};
    const struct cubby_engine_call call = {&n, 1, buffers, 2};

    return cubby_engine_enqueue(engine, &call, &error);
}

/* The output has the results from the first number on, and so many of them. */
static void check_results(unsigned first, unsigned count) {
    float y[LINE_NUMBERS];

    ck_ok(cubby_device_memory_read(out, 0, y, sizeof(y), &error), &error);
    for (unsigned i = first; i < first + count; i++)
        ck_assert_msg(y[i] == 2 * (float)i + 1, "%u: %g", i, y[i]);
}

static struct CUstream_st *stream_of_last_launch(void) {
    return fake->launch(fake->launches() - 1)->stream;
}

static void wait_for(struct device_stream *stream) {
    ck_ok(device_context_enter(context, &error), &error);
    ck_ok(stream_sync(context->driver, stream->handle, &error), &error);
    device_context_leave(context);
}

/* ---- External streams --------------------------------------------------------------------- */

START_TEST(an_external_stream_takes_effect_at_the_next_enqueue) {
    struct cubby_engine *engine = engine_of(CUBBY_SPECIALIZATION_NONE);

    ck_assert(!cubby_engine_has_external_stream(engine));
    ck_ok(enqueue(engine, N, 0), &error);
    ck_assert_ptr_ne(stream_of_last_launch(), streams[0]->handle);
    ck_ok(cubby_engine_set_external_stream(engine, streams[0]->handle, &error), &error);
    ck_assert_ptr_eq(cubby_engine_get_external_stream(engine), streams[0]->handle);
    ck_ok(enqueue(engine, N, N), &error);
    ck_assert_ptr_eq(stream_of_last_launch(), streams[0]->handle);
    ck_ok(cubby_engine_clear_external_stream(engine, &error), &error);
    ck_assert_ptr_null(cubby_engine_get_external_stream(engine));
    ck_ok(enqueue(engine, N, 2 * N), &error);
    ck_assert_ptr_ne(stream_of_last_launch(), streams[0]->handle);
    ck_assert_uint_eq(stats_of_engine(engine).contexts, 1);
    ck_ok(cubby_engine_sync(engine, &error), &error);
    check_results(0, 3 * N);
    cubby_engine_unref(engine);
}
END_TEST

START_TEST(some_streams_are_refused) {
    struct cubby_engine *engine = engine_of(CUBBY_SPECIALIZATION_NONE);
    struct CUgraph_st *graph = NULL;

    assert_failure(cubby_engine_set_external_stream(engine, NULL, &error), CUBBY_ERR_INVALID,
                   "default stream");
    assert_failure(cubby_engine_set_external_stream(engine, DRIVER_STREAM_LEGACY, &error),
                   CUBBY_ERR_INVALID, "default stream");
    assert_failure(cubby_engine_set_external_stream(engine, DRIVER_STREAM_PER_THREAD, &error),
                   CUBBY_ERR_INVALID, "default stream");
    ck_ok(device_context_enter(context, &error), &error);
    ck_ok(capture_begin(context->driver, streams[0]->handle, &error), &error);
    assert_failure(cubby_engine_set_external_stream(engine, streams[0]->handle, &error),
                   CUBBY_ERR_INVALID, "captures");
    ck_ok(capture_end(context->driver, streams[0]->handle, &graph, &error), &error);
    graph_free(context->driver, graph);
    device_context_leave(context);
    ck_assert(!cubby_engine_has_external_stream(engine));
    cubby_engine_unref(engine);
}
END_TEST

START_TEST(a_stream_of_another_device_is_refused) {
    struct cubby_engine *engine;
    struct device_context *other;
    struct device_stream *stream;

    if (!tests_are_apart())
        return;
    close_streams();
    setenv("FAKE_CUDA_DEVICES", "2", 1);
    fake->reset();
    line_attach();
    open_streams();
    engine = engine_of(CUBBY_SPECIALIZATION_NONE);
    other = open_context(1);
    ck_ok(device_stream_new(other, 0, &stream, &error), &error);
    assert_failure(cubby_engine_set_external_stream(engine, stream->handle, &error),
                   CUBBY_ERR_INVALID, "is of another");
    ck_ok(cubby_engine_set_external_stream(engine, streams[0]->handle, &error), &error);
    device_stream_free(stream);
    device_context_unref(other);
    cubby_engine_unref(engine);
}
END_TEST

/* The runs share scratch tensors, so the second must not begin before the first is done. */
START_TEST(runs_stay_in_order_from_stream_to_stream) {
    struct cubby_engine *engine;

    if (!defer())
        return;
    engine = engine_of(CUBBY_SPECIALIZATION_NONE);
    ck_ok(enqueue(engine, N, 0), &error);
    ck_ok(cubby_engine_set_external_stream(engine, streams[0]->handle, &error), &error);
    ck_ok(enqueue(engine, N, N), &error);
    ck_ok(cubby_engine_set_external_stream(engine, streams[1]->handle, &error), &error);
    ck_ok(enqueue(engine, N, 2 * N), &error);
    wait_for(streams[1]);
    check_results(0, 3 * N);
    ck_ok(cubby_engine_clear_external_stream(engine, &error), &error);
    ck_ok(enqueue(engine, N, 3 * N), &error);
    ck_ok(cubby_engine_sync(engine, &error), &error);
    check_results(0, 4 * N);
    cubby_engine_unref(engine);
}
END_TEST

START_TEST(sync_waits_for_an_external_stream) {
    struct cubby_engine *engine;

    if (!defer())
        return;
    engine = engine_of(CUBBY_SPECIALIZATION_NONE);
    ck_ok(cubby_engine_set_external_stream(engine, streams[0]->handle, &error), &error);
    ck_ok(enqueue(engine, N, 0), &error);
    ck_ok(cubby_engine_sync(engine, &error), &error);
    check_results(0, N);
    ck_ok(enqueue(engine, N, N), &error);
    cubby_engine_unref(engine); /* waits as well */
    check_results(0, 2 * N);
}
END_TEST

START_TEST(graphs_follow_the_stream) {
    struct cubby_runtime_settings settings = settings_of(CUBBY_SPECIALIZATION_NONE);
    struct cubby_engine *engine;

    settings.cuda_graph_strategy = CUBBY_CUDA_GRAPH_WHOLE_GRAPH_CAPTURE;
    engine = engine_on(&line, &settings);
    for (int i = 0; i < 2; i++)
        ck_ok(enqueue(engine, N, 0), &error);
    ck_ok(cubby_engine_set_external_stream(engine, streams[0]->handle, &error), &error);
    for (int i = 0; i < 2; i++)
        ck_ok(enqueue(engine, N, 0), &error);
    ck_assert_uint_eq(stats_of_engine(engine).captures, 2);
    ck_assert_uint_eq(stats_of_engine(engine).replays, 4);
    ck_assert_ptr_eq(stream_of_last_launch(), streams[0]->handle);
    ck_ok(cubby_engine_sync(engine, &error), &error);
    check_results(0, N);
    cubby_engine_unref(engine);
}
END_TEST

/* ---- By name -------------------------------------------------------------------------------- */

static struct cubby_engine *engine_called(const char *name) {
    struct cubby_engine_options options = CUBBY_ENGINE_OPTIONS_INIT;
    struct cubby_engine *engine;

    options.name = name;
    options.cache = line.cache;
    ck_ok(cubby_engine_new(line.plan, &options, &engine, &error), &error);
    return engine;
}

START_TEST(bound_by_name_all_or_none) {
    struct cubby_engine *engines[] = {engine_called("one"), engine_called("two"),
                                      engine_called("two")};
    struct CUstream_st *a = streams[0]->handle, *b = streams[1]->handle;
    const struct cubby_stream_binding unknown[] = {{"one", a}, {"three", b}};
    const struct cubby_stream_binding twice[] = {{"one", a}, {"one", b}};
    const struct cubby_stream_binding bad[] = {{"one", a}, {"two", NULL}};
    const struct cubby_stream_binding nameless[] = {{"one", a}, {NULL, b}};
    const struct cubby_stream_binding good[] = {{"two", b}, {"one", a}};
    struct cubby_stream_scope *scope, *inner;

    assert_failure(cubby_engines_bind_streams(engines, 2, unknown, 2, &scope, &error),
                   CUBBY_ERR_INVALID, "\"three\"");
    assert_failure(cubby_engines_bind_streams(engines, 2, twice, 2, &scope, &error),
                   CUBBY_ERR_INVALID, "two streams");
    assert_failure(cubby_engines_bind_streams(engines, 2, nameless, 2, &scope, &error),
                   CUBBY_ERR_INVALID, "stream 1 has no name");
    assert_failure(cubby_engines_bind_streams(engines, 3, good, 2, &scope, &error),
                   CUBBY_ERR_INVALID, "two engines");
    ck_ok(cubby_engine_set_external_stream(engines[0], b, &error), &error);
    assert_failure(cubby_engines_bind_streams(engines, 2, bad, 2, &scope, &error),
                   CUBBY_ERR_INVALID, "default stream");
    ck_assert_ptr_eq(cubby_engine_get_external_stream(engines[0]), b);

    ck_ok(cubby_engines_bind_streams(engines, 2, good, 2, &scope, &error), &error);
    ck_assert_ptr_eq(cubby_engine_get_external_stream(engines[0]), a);
    ck_assert_ptr_eq(cubby_engine_get_external_stream(engines[1]), b);
    ck_ok(cubby_engines_bind_streams(engines, 2, &(struct cubby_stream_binding){"two", a}, 1,
                                     &inner, &error),
          &error);
    ck_assert_ptr_eq(cubby_engine_get_external_stream(engines[1]), a);
    ck_ok(cubby_stream_scope_exit(inner, &error), &error);
    ck_assert_ptr_eq(cubby_engine_get_external_stream(engines[1]), b);
    ck_ok(cubby_stream_scope_exit(scope, &error), &error);
    ck_assert_ptr_eq(cubby_engine_get_external_stream(engines[0]), b);
    ck_assert_ptr_null(cubby_engine_get_external_stream(engines[1]));
    ck_ok(cubby_engines_bind_streams(engines, 2, good, 2, NULL, &error), &error); /* for good */
    ck_assert_ptr_eq(cubby_engine_get_external_stream(engines[1]), b);
    ck_ok(cubby_stream_scope_exit(NULL, &error), &error);
    for (int i = 0; i < 3; i++)
        cubby_engine_unref(engines[i]);
}
END_TEST

/* ---- The caller's stream ----------------------------------------------------------------------
 */

START_TEST(precedence) {
    struct cubby_engine *engine = engine_of(CUBBY_SPECIALIZATION_NONE);
    struct CUstream_st *a = streams[0]->handle, *b = streams[1]->handle;
    struct cubby_stream_guard guard, inner;

    ck_assert(!cubby_stream_passthrough());
    cubby_stream_guard_enter(&guard, a);
    ck_ok(enqueue(engine, N, 0), &error); /* its own */
    ck_assert_ptr_ne(stream_of_last_launch(), a);
    cubby_stream_passthrough_set(true);
    ck_ok(enqueue(engine, N, 0), &error);
    ck_assert_ptr_eq(stream_of_last_launch(), a);
    cubby_stream_guard_enter(&inner, b);
    ck_ok(enqueue(engine, N, 0), &error);
    ck_assert_ptr_eq(stream_of_last_launch(), b);
    cubby_stream_guard_leave(&inner);
    ck_ok(enqueue(engine, N, 0), &error);
    ck_assert_ptr_eq(stream_of_last_launch(), a);
    ck_ok(cubby_engine_set_external_stream(engine, b, &error), &error);
    ck_ok(enqueue(engine, N, 0), &error);
    ck_assert_ptr_eq(stream_of_last_launch(), b);
    ck_ok(cubby_engine_clear_external_stream(engine, &error), &error);
    cubby_stream_guard_leave(&guard);
    ck_ok(enqueue(engine, N, 0), &error); /* no caller's: its own */
    ck_assert_ptr_ne(stream_of_last_launch(), a);
    ck_assert_ptr_ne(stream_of_last_launch(), b);
    cubby_stream_passthrough_set(false);
    ck_assert_uint_eq(stats_of_engine(engine).contexts, 1);
    cubby_engine_unref(engine);
}
END_TEST

/* What the caller put into its stream before is there, and what it puts there later comes after. */
START_TEST(its_own_stream_is_ordered_against_the_callers) {
    struct cubby_engine *engine;
    struct cubby_stream_guard guard;
    struct device_memory *memory[2];
    const int64_t n = N;
    float x[N], y[N] = {0};

    if (!defer())
        return;
    engine = engine_of(CUBBY_SPECIALIZATION_NONE);
    for (int i = 0; i < N; i++)
        x[i] = (float)(7 * i);
    for (int i = 0; i < 2; i++)
        ck_ok(device_memory_new(context, sizeof(x), NULL, &memory[i], &error), &error);
    cubby_stream_guard_enter(&guard, streams[0]->handle);
    ck_ok(device_context_enter(context, &error), &error);
    ck_ok(device_memory_write(memory[0], 0, x, sizeof(x), streams[0]->handle, &error), &error);
    {
        const struct cubby_engine_buffer buffers[] = {{memory[0]->address, sizeof(x)},
                                                      {memory[1]->address, sizeof(x)}};
        const struct cubby_engine_call call = {&n, 1, buffers, 2};

        ck_ok(cubby_engine_enqueue(engine, &call, &error), &error);
    }
    ck_ok(device_memory_read(memory[1], 0, y, sizeof(y), streams[0]->handle, &error), &error);
    ck_assert_uint_gt(fake->pending(), 0);
    ck_ok(stream_sync(context->driver, streams[0]->handle, &error), &error);
    for (int i = 0; i < N; i++)
        ck_assert_msg(y[i] == 2 * x[i] + 1, "%d: %g", i, y[i]);
    device_context_leave(context);
    cubby_stream_guard_leave(&guard);
    cubby_engine_unref(engine);
    for (int i = 0; i < 2; i++)
        device_memory_free(memory[i]);
}
END_TEST

/* ---- Someone else's capture -------------------------------------------------------------------
 */

/* What a caller records: from begin to end, in the first stream. */
struct capture {
    struct cubby_stream_guard guard;
    struct CUgraphExec_st *exec;
};

static void begin(struct capture *capture) {
    *capture = (struct capture){.exec = NULL};
    ck_ok(device_context_enter(context, &error), &error);
    ck_ok(capture_begin(context->driver, streams[0]->handle, &error), &error);
    cubby_stream_guard_enter(&capture->guard, streams[0]->handle);
}

static void end(struct capture *capture) {
    struct CUgraph_st *graph;
    bool updated;

    cubby_stream_guard_leave(&capture->guard);
    ck_ok(capture_end(context->driver, streams[0]->handle, &graph, &error), &error);
    ck_ok(graph_exec_set(context->driver, &capture->exec, graph, &updated, &error), &error);
    graph_free(context->driver, graph);
    device_context_leave(context);
}

static void replay(struct capture *capture) {
    ck_ok(device_context_enter(context, &error), &error);
    ck_ok(graph_exec_launch(context->driver, capture->exec, streams[0]->handle, &error), &error);
    ck_ok(stream_sync(context->driver, streams[0]->handle, &error), &error);
    device_context_leave(context);
}

static void end_and_free(struct capture *capture) {
    end(capture);
    graph_exec_free(context->driver, capture->exec);
}

START_TEST(who_can_be_recorded) {
    struct cubby_engine *engine = engine_of((enum cubby_specialization_strategy)_i);

    ck_assert_int_eq(cubby_engine_is_monolithic_capturable(engine),
                     _i != CUBBY_SPECIALIZATION_LAZY);
    cubby_engine_unref(engine);
}
END_TEST

START_TEST(several_engines_and_foreign_work_in_one_graph) {
    struct cubby_engine *one = engine_of(CUBBY_SPECIALIZATION_NONE);
    struct cubby_engine *other = engine_of(CUBBY_SPECIALIZATION_EAGER);
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
    ck_assert_uint_eq(stats_of_engine(one).captures, 0); /* it was not the engine's */
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
    const int64_t n = N;
    struct capture capture;

    ck_ok(cubby_engine_prepare(lazy, &n, 1, &error), &error);
    ck_ok(cubby_engine_prepare(eager, &n, 1, &error), &error);
    begin(&capture);
    assert_failure(enqueue(lazy, N, 0), CUBBY_ERR_INVALID, "it is lazy");
    assert_failure(enqueue(none, N, 0), CUBBY_ERR_INVALID, "cubby_engine_prepare");
    ck_assert(!cubby_engine_has_context(none));
    assert_failure(enqueue(eager, N + 1, 0), CUBBY_ERR_INVALID, "not everything is ready");
    assert_failure(enqueue(eager, 0, 0), CUBBY_ERR_INVALID, "n");
    ck_assert_uint_eq(fake->launches(), 0);
    ck_ok(enqueue(eager, N, 0), &error); /* and the capture goes on */
    end(&capture);
    replay(&capture);
    check_results(0, N);
    graph_exec_free(context->driver, capture.exec);
    cubby_engine_unref(lazy);
    cubby_engine_unref(none);
    cubby_engine_unref(eager);
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
    replay(&capture);
    check_results(0, 4 * N);
    graph_exec_free(context->driver, capture.exec);
    cubby_engine_unref(engine);
}
END_TEST

/* The engine goes on with more scratch memory, and with more shapes than it keeps. */
START_TEST(what_was_recorded_stays) {
    struct cubby_engine *engine = engine_of(CUBBY_SPECIALIZATION_EAGER);
    const int64_t n = N;
    struct capture capture;
    float zeros[LINE_NUMBERS] = {0};

    ck_ok(cubby_engine_prepare(engine, &n, 1, &error), &error);
    begin(&capture);
    ck_ok(enqueue(engine, N, 0), &error);
    end(&capture);
    ck_ok(enqueue(engine, 4000, 0), &error);
    for (int64_t m = 1; m <= 66; m++)
        ck_ok(enqueue(engine, m, 0), &error);
    ck_ok(cubby_engine_sync(engine, &error), &error);
    ck_ok(cubby_device_memory_write(out, 0, zeros, sizeof(zeros), &error), &error);
    replay(&capture);
    check_results(0, N);
    graph_exec_free(context->driver, capture.exec);
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
    ck_ok(enqueue(engine, N, 0), &error);
    end_and_free(&capture);
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

/* ---- Parts of a device, and several devices -------------------------------------------------- */

/* Two engines, each on multiprocessors of its own; recorded or not. */
START_TEST(engines_on_parts_of_a_device) {
    static const char *const NAMES[] = {"left", "right"};
    struct cubby_runtime_settings settings = settings_of(CUBBY_SPECIALIZATION_EAGER);
    struct cubby_green_division *division;
    struct cubby_engine *engines[2];

    settings.cuda_graph_strategy = (enum cubby_cuda_graph_strategy)_i;
    ck_ok(cubby_green_division_new(0, NAMES, 2, 16, &division, &error), &error);
    ck_assert_str_eq(cubby_green_division_part(division, 1)->name, "right");
    ck_assert_uint_ge(cubby_green_division_part(division, 1)->multiprocessors, 16);
    ck_assert_ptr_null(cubby_green_division_part(division, 2));
    ck_assert_ptr_null(cubby_green_division_find(division, "middle"));
    for (int i = 0; i < 2; i++) {
        const struct cubby_green_part *part = cubby_green_division_find(division, NAMES[i]);
        size_t before = fake->launches();
        const struct fake_launch *launch;

        engines[i] = engine_on(&line, &settings);
        ck_ok(enqueue(engines[i], N, 0), &error); /* on all of the device, before */
        ck_ok(cubby_engine_set_external_stream(engines[i], part->stream, &error), &error);
        for (unsigned j = 0; j < 2; j++)
            ck_ok(enqueue(engines[i], N, (2 * (unsigned)i + j) * N), &error);
        ck_ok(cubby_engine_sync(engines[i], &error), &error);
        ck_assert(!fake->launch(before)->green);
        launch = fake->launch(fake->launches() - 1);
        ck_assert(launch->green);
        ck_assert_uint_eq(launch->sm_count, part->multiprocessors);
        ck_assert_uint_eq(launch->first_sm, i == 0 ? 0 : part->multiprocessors);
    }
    check_results(0, 4 * N);
    for (int i = 0; i < 2; i++) {
        ck_ok(cubby_engine_clear_external_stream(engines[i], &error), &error);
        ck_ok(enqueue(engines[i], N, 0), &error); /* and again on all of it */
        ck_assert(!fake->launch(fake->launches() - 1)->green);
        ck_assert_uint_eq(stats_of_engine(engines[i]).contexts, 1);
        cubby_engine_unref(engines[i]);
    }
    cubby_green_division_free(division);
    cubby_green_division_free(NULL);
}
END_TEST

START_TEST(parts_that_cannot_be) {
    static const char *const SAME[] = {"one", "one"};
    static const char *const NAMES[] = {"one", "two"};
    struct cubby_green_division *division;

    assert_failure(cubby_green_division_new(0, SAME, 2, 16, &division, &error), CUBBY_ERR_INVALID,
                   "\"one\"");
    assert_failure(cubby_green_division_new(0, NAMES, 2, 7, &division, &error), CUBBY_ERR_INVALID,
                   "8");
    assert_failure(cubby_green_division_new(0, NAMES, 2, 100, &division, &error), CUBBY_ERR_INVALID,
                   "132");
    assert_failure(cubby_green_division_new(0, NAMES, 0, 16, &division, &error), CUBBY_ERR_INVALID,
                   "0 parts");
    assert_failure(cubby_green_division_new(4, NAMES, 2, 16, &division, &error), CUBBY_ERR_INVALID,
                   "4");
}
END_TEST

START_TEST(engines_on_two_devices) {
    struct cubby_engine_options options = CUBBY_ENGINE_OPTIONS_INIT;
    struct cubby_engine *engines[2];

    if (!tests_are_apart())
        return;
    close_streams();
    setenv("FAKE_CUDA_DEVICES", "2", 1);
    fake->reset();
    line_attach();
    open_streams();
    options.cache = line.cache;
    for (int i = 0; i < 2; i++) {
        options.device = i;
        ck_ok(cubby_engine_new(line.plan, &options, &engines[i], &error), &error);
        ck_assert_int_eq(cubby_engine_device(engines[i]), i);
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 2; i++) {
            run_line(engines[i], 77);
            ck_assert_int_eq(fake->launch(fake->launches() - 1)->device, i);
            cubby_engine_wait_kernels(engines[i]);
        }
    }
    ck_assert_uint_eq(fake->alive("context"), 2);
    ck_assert_uint_eq(fake->alive("library"), 6); /* each kernel once for each device */
    ck_assert_uint_eq(stats_of_engine(engines[0]).compiles, 3);
    ck_assert_uint_eq(stats_of_engine(engines[1]).compiles, 0);
    for (int i = 0; i < 2; i++)
        cubby_engine_unref(engines[i]);
}
END_TEST

/* ---- Who records -------------------------------------------------------------------------- */

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
    Suite *suite = suite_create("runner streams");
    TCase *tests = tcase_create("streams");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, an_external_stream_takes_effect_at_the_next_enqueue);
    tcase_add_test(tests, some_streams_are_refused);
    tcase_add_test(tests, a_stream_of_another_device_is_refused);
    tcase_add_test(tests, runs_stay_in_order_from_stream_to_stream);
    tcase_add_test(tests, sync_waits_for_an_external_stream);
    tcase_add_test(tests, graphs_follow_the_stream);
    tcase_add_test(tests, bound_by_name_all_or_none);
    tcase_add_test(tests, precedence);
    tcase_add_test(tests, its_own_stream_is_ordered_against_the_callers);
    tcase_add_loop_test(tests, who_can_be_recorded, 0, 3);
    tcase_add_test(tests, several_engines_and_foreign_work_in_one_graph);
    tcase_add_test(tests, what_is_not_ready_is_refused_before_anything_is_recorded);
    tcase_add_test(tests, all_that_was_prepared_can_be_recorded);
    tcase_add_test(tests, what_was_recorded_stays);
    tcase_add_test(tests, an_external_stream_is_not_recorded);
    tcase_add_test(tests, a_capture_of_another_thread_is_not_broken);
    tcase_add_loop_test(tests, engines_on_parts_of_a_device, 0, 2);
    tcase_add_test(tests, parts_that_cannot_be);
    tcase_add_test(tests, engines_on_two_devices);
    tcase_add_loop_test(tests, the_matrix, 0, sizeof(MATRIX) / sizeof(*MATRIX));
    tcase_add_test(tests, a_graph_scope_needs_engines);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
