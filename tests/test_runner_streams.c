/* SPDX-License-Identifier: Apache-2.0 */
/* Engines in streams of their callers, on the double. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "streams_help.h"

/* ---- External streams -------------------------------------------------------------------- */

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

    if (!begin_anew("FAKE_CUDA_DEVICES", "2"))
        return;
    engine = engine_of(CUBBY_SPECIALIZATION_NONE);
    other = open_context(1);
    ck_ok(device_stream_new(other, 0, &stream, &error), &error);
    assert_failure(cubby_engine_set_external_stream(engine, stream->handle, &error),
                   CUBBY_ERR_INVALID, "the stream is of another");
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

/* A run that fails half-way has work in its stream all the same: what comes later in another stream
 * comes after it, as does the end of the engine. */
static void fail_call(const char *call, unsigned next) {
    char fault[80];

    snprintf(fault, sizeof(fault), "%s@%u=2", call, fake->calls(call) + next);
    setenv("FAKE_CUDA_FAIL", fault, 1);
}

static const struct {
    const char *call;
    unsigned next; /* of the calls from then on */
} HALF_WAYS[] = {{"cuLaunchKernel", 2}, {"cuEventRecord", 1}, {"cuEventCreate", 1}};

START_TEST(what_a_failed_run_left_comes_first) {
    struct cubby_engine *engine;
    bool idle;

    if (!defer())
        return;
    engine = engine_of(CUBBY_SPECIALIZATION_NONE);
    ck_ok(cubby_engine_prepare(engine, &(int64_t){N}, 1, &error), &error);
    ck_ok(cubby_engine_set_external_stream(engine, streams[0]->handle, &error), &error);
    fail_call(HALF_WAYS[_i].call, HALF_WAYS[_i].next);
    assert_failure(enqueue(engine, N, 0), CUBBY_ERR_NO_MEMORY, "OUT_OF_MEMORY");
    unsetenv("FAKE_CUDA_FAIL");
    ck_ok(cubby_engine_set_external_stream(engine, streams[1]->handle, &error), &error);
    ck_ok(enqueue(engine, N, N), &error);
    ck_ok(device_context_enter(context, &error), &error);
    /* The first piece of the later run is done; the second one not yet. */
    ck_ok(stream_is_idle(context->driver, streams[1]->handle, &idle, &error), &error);
    device_context_leave(context);
    wait_for(streams[0]);
    wait_for(streams[1]);
    check_results(N, N);
    fail_call(HALF_WAYS[_i].call, HALF_WAYS[_i].next);
    if (enqueue(engine, N, 2 * N) < 0)
        cubby_error_clear(&error);
    unsetenv("FAKE_CUDA_FAIL");
    cubby_engine_unref(engine);
    wait_for(streams[1]); /* where nothing may be left */
}
END_TEST

START_TEST(graphs_follow_the_stream) {
    struct cubby_engine *engine = recording_engine_of(CUBBY_SPECIALIZATION_NONE);

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

START_TEST(graphs_follow_the_callers_stream) {
    struct cubby_engine *engine = recording_engine_of(CUBBY_SPECIALIZATION_NONE);
    struct cubby_stream_guard guard;

    cubby_stream_passthrough_set(true);
    for (unsigned i = 0; i < 6; i++) {
        struct CUstream_st *stream = i % 3 == 2 ? NULL : streams[i % 3]->handle;

        cubby_stream_guard_enter(&guard, stream);
        for (int j = 0; j < 2; j++)
            ck_ok(enqueue(engine, N, 0), &error);
        if (stream)
            ck_assert_ptr_eq(stream_of_last_launch(), stream);
        ck_assert_uint_eq(stats_of_engine(engine).captures, i + 1);
        ck_assert_uint_eq(stats_of_engine(engine).updates, i); /* all of the device's own context */
        cubby_stream_guard_leave(&guard);
    }
    cubby_stream_passthrough_set(false);
    ck_ok(cubby_engine_sync(engine, &error), &error);
    check_results(0, N);
    cubby_engine_unref(engine);
}
END_TEST

/* ---- By name ----------------------------------------------------------------------------- */

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

/* The k-th of four fails: those before it are bound as they were, within a scope too. */
START_TEST(what_was_bound_before_one_fails_is_set_back) {
    static const char *const NAMES[] = {"a", "b", "c", "d"};
    struct CUstream_st *before[] = {NULL, streams[1]->handle, NULL, streams[0]->handle};
    struct cubby_stream_binding bindings[4];
    struct cubby_stream_scope *scope;
    struct cubby_engine *engines[4];

    for (int i = 0; i < 4; i++) {
        engines[i] = engine_called(NAMES[i]);
        bindings[i] = (struct cubby_stream_binding){NAMES[i], before[i]};
        if (before[i])
            ck_ok(cubby_engine_set_external_stream(engines[i], before[i], &error), &error);
    }
    for (int i = 0; i < 4; i++)
        bindings[i].stream = i == _i ? DRIVER_STREAM_LEGACY : streams[i % 2]->handle;
    assert_failure(cubby_engines_bind_streams(engines, 4, bindings, 4, &scope, &error),
                   CUBBY_ERR_INVALID, "default stream");
    for (int i = 0; i < 4; i++)
        ck_assert_ptr_eq(cubby_engine_get_external_stream(engines[i]), before[i]);
    bindings[_i].stream = streams[0]->handle;
    ck_ok(cubby_engines_bind_streams(engines, 4, bindings, 4, &scope, &error), &error);
    ck_ok(enqueue(engines[_i], N, 0), &error);
    assert_failure(enqueue(engines[_i], 0, 0), CUBBY_ERR_INVALID, "n"); /* within the scope */
    ck_ok(cubby_stream_scope_exit(scope, &error), &error);
    for (int i = 0; i < 4; i++) {
        ck_assert_ptr_eq(cubby_engine_get_external_stream(engines[i]), before[i]);
        cubby_engine_unref(engines[i]);
    }
}
END_TEST

/* ---- From within a run ------------------------------------------------------------------- */

/* A kernel of the double runs in the thread that enqueues, as a callback of the library does: what
 * asks is answered, what would change the engine is refused, and no one waits for itself. */
struct callback {
    struct cubby_engine *engine, *other;
    struct cubby_stream_scope *scope;
    struct cubby_graph_scope *graphs;
    unsigned calls;
};

#define ck_busy(call)                                                                              \
    do {                                                                                           \
        struct cubby_error problem = CUBBY_ERROR_INIT;                                             \
        ck_assert_int_eq(call, CUBBY_ERR_BUSY);                                                    \
        ck_assert_ptr_nonnull(strstr(problem.message, "in the middle of a call"));                 \
        cubby_error_clear(&problem);                                                               \
    } while (0)

static void ask_from_within(const struct callback *callback) {
    struct cubby_engine *engine = callback->engine;
    struct cubby_runtime_settings settings;

    ck_assert(cubby_engine_has_context(engine));
    ck_assert_ptr_eq(cubby_engine_get_external_stream(engine), streams[0]->handle);
    ck_assert(cubby_engine_is_monolithic_capturable(engine));
    cubby_engine_get_settings(engine, &settings);
    ck_assert_uint_eq(stats_of_engine(engine).contexts, 1);
}

static void change_from_within(struct callback *callback) {
    const struct cubby_runtime_settings settings = settings_of(CUBBY_SPECIALIZATION_EAGER);
    struct cubby_engine *both[] = {callback->other, callback->engine};
    struct cubby_engine *engine = callback->engine;
    const struct cubby_engine_call call = {&(int64_t){N}, 1, NULL, 0};
    struct cubby_runtime_scope *scope;
    struct cubby_graph_scope *graphs;
    enum cubby_graph_mode mode;

    ck_busy(cubby_engine_enqueue(engine, &call, &problem));
    ck_busy(cubby_engine_prepare(engine, call.dims, 1, &problem));
    ck_busy(cubby_engine_sync(engine, &problem));
    ck_busy(cubby_engine_set_settings(engine, &settings, &problem));
    ck_busy(cubby_engine_set_external_stream(engine, streams[1]->handle, &problem));
    ck_busy(cubby_engine_clear_external_stream(engine, &problem));
    ck_busy(cubby_stream_scope_exit(callback->scope, &problem));
    ck_busy(cubby_runtime_scope_enter(both, 2, &settings, CUBBY_RUNTIME_SCOPE_SPECIALIZATION,
                                      &scope, &problem));
    ck_busy(cubby_graph_scope_enter(&engine, 1, false, &mode, &graphs, &problem));
    ck_busy(cubby_graph_scope_exit(callback->graphs, &problem));
}

static void call_back(const struct fake_launch *launch, void **parameters, void *data) {
    struct callback *callback = data;

    (void)launch;
    (void)parameters;
    if (callback->calls++ > 0)
        return;
    ask_from_within(callback);
    change_from_within(callback);
}

START_TEST(a_run_is_not_changed_from_within) {
    struct callback callback = {.calls = 0};
    struct cubby_stream_binding binding = {"engine", streams[0]->handle};
    enum cubby_graph_mode mode;

    callback.engine = engine_called("engine");
    callback.other = engine_called("other");
    ck_ok(cubby_graph_scope_enter(&callback.engine, 1, false, &mode, &callback.graphs, &error),
          &error);
    {
        const struct cubby_runtime_settings settings = settings_of(CUBBY_SPECIALIZATION_NONE);

        ck_ok(cubby_engine_set_settings(callback.engine, &settings, &error), &error);
    }
    ck_ok(cubby_engines_bind_streams(&callback.engine, 1, &binding, 1, &callback.scope, &error),
          &error);
    fake->attach("add", call_back, &callback);
    ck_ok(enqueue(callback.engine, N, 0), &error);
    ck_assert_uint_eq(callback.calls, 1);
    ck_assert_ptr_eq(cubby_engine_get_external_stream(callback.engine), streams[0]->handle);
    ck_assert_uint_eq(fake->violations(), 0);
    ck_ok(cubby_stream_scope_exit(callback.scope, &error), &error); /* they were still there */
    ck_assert(!cubby_engine_has_external_stream(callback.engine));
    ck_ok(cubby_graph_scope_exit(callback.graphs, &error), &error);
    ck_ok(enqueue(callback.engine, N, 0), &error);
    ck_ok(cubby_engine_sync(callback.engine, &error), &error);
    cubby_engine_unref(callback.engine);
    cubby_engine_unref(callback.other);
}
END_TEST

/* ---- The caller's stream ----------------------------------------------------------------- */

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

/* For each way that a stream may be given, where the run goes. */
enum place { OWN, EXTERNAL, GUARDED, DEFAULT };

static const struct {
    bool has_external, passes;
    int guard; /* 0: none, 1: of a stream, 2: of the default stream, 3: of the per-thread stream */
    enum place expected;
} PRECEDENCE[] = {
    {false, false, 0, OWN},     {false, false, 1, OWN},     {false, false, 2, OWN},
    {false, false, 3, OWN},     {false, true, 0, OWN},      {false, true, 1, GUARDED},
    {false, true, 2, DEFAULT},  {false, true, 3, DEFAULT},  {true, false, 0, EXTERNAL},
    {true, false, 1, EXTERNAL}, {true, false, 2, EXTERNAL}, {true, false, 3, EXTERNAL},
    {true, true, 0, EXTERNAL},  {true, true, 1, EXTERNAL},  {true, true, 2, EXTERNAL},
    {true, true, 3, EXTERNAL},
};

static enum place place_of_last_launch(struct CUstream_st *own) {
    struct CUstream_st *stream = stream_of_last_launch();

    if (stream == own)
        return OWN;
    if (stream == streams[0]->handle)
        return EXTERNAL;
    return stream == streams[1]->handle ? GUARDED : DEFAULT;
}

/* Recorded or not, which a default stream cannot be. */
static void check_precedence(size_t i, struct cubby_engine *engine) {
    struct CUstream_st *const guarded[] = {NULL, streams[1]->handle, NULL,
                                           DRIVER_STREAM_PER_THREAD};
    struct cubby_stream_guard guard;
    struct CUstream_st *own;

    ck_ok(enqueue(engine, N, 0), &error);
    own = stream_of_last_launch();
    cubby_stream_passthrough_set(PRECEDENCE[i].passes);
    if (PRECEDENCE[i].guard > 0)
        cubby_stream_guard_enter(&guard, guarded[PRECEDENCE[i].guard]);
    if (PRECEDENCE[i].has_external)
        ck_ok(cubby_engine_set_external_stream(engine, streams[0]->handle, &error), &error);
    for (unsigned j = 1; j < 4; j++) {
        ck_ok(enqueue(engine, N, j * N), &error);
        ck_assert_int_eq(place_of_last_launch(own), PRECEDENCE[i].expected);
    }
    if (PRECEDENCE[i].guard > 0)
        cubby_stream_guard_leave(&guard);
    cubby_stream_passthrough_set(false);
    ck_ok(cubby_engine_sync(engine, &error), &error);
    check_results(0, 4 * N);
    ck_assert_uint_eq(stats_of_engine(engine).contexts, 1);
}

/* A stream that is not bound may have gone by the next run, and another be where it was. */
START_TEST(a_stream_that_passes_is_waited_for_each_time) {
    struct cubby_engine *engine = engine_of(CUBBY_SPECIALIZATION_NONE);
    struct cubby_stream_guard guard;
    unsigned waits;

    cubby_stream_passthrough_set(true);
    cubby_stream_guard_enter(&guard, streams[0]->handle);
    ck_ok(enqueue(engine, N, 0), &error);
    waits = fake->calls("cuStreamWaitEvent");
    ck_ok(enqueue(engine, N, N), &error);
    ck_assert_uint_eq(fake->calls("cuStreamWaitEvent"), waits + 1);
    cubby_stream_guard_leave(&guard);
    cubby_stream_passthrough_set(false);
    ck_ok(cubby_engine_set_external_stream(engine, streams[0]->handle, &error), &error);
    ck_ok(enqueue(engine, N, 2 * N), &error);
    waits = fake->calls("cuStreamWaitEvent");
    ck_ok(enqueue(engine, N, 3 * N), &error); /* one that is bound stays */
    ck_assert_uint_eq(fake->calls("cuStreamWaitEvent"), waits);
    ck_ok(cubby_engine_sync(engine, &error), &error);
    check_results(0, 4 * N);
    cubby_engine_unref(engine);
}
END_TEST

START_TEST(every_precedence) {
    struct cubby_engine *engine = _i % 2 ? recording_engine_of(CUBBY_SPECIALIZATION_EAGER)
                                         : engine_of(CUBBY_SPECIALIZATION_NONE);

    check_precedence((size_t)_i / 2, engine);
    ck_assert_uint_eq(stats_of_engine(engine).replays, _i % 2 ? 4 : 0);
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

int main(void) {
    Suite *suite = suite_create("runner streams");
    TCase *tests = tcase_create("streams");

    tcase_add_checked_fixture(tests, streams_set_up, streams_tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, an_external_stream_takes_effect_at_the_next_enqueue);
    tcase_add_test(tests, some_streams_are_refused);
    tcase_add_test(tests, a_stream_of_another_device_is_refused);
    tcase_add_test(tests, runs_stay_in_order_from_stream_to_stream);
    tcase_add_test(tests, sync_waits_for_an_external_stream);
    tcase_add_loop_test(tests, what_a_failed_run_left_comes_first, 0,
                        sizeof(HALF_WAYS) / sizeof(*HALF_WAYS));
    tcase_add_test(tests, graphs_follow_the_stream);
    tcase_add_test(tests, graphs_follow_the_callers_stream);
    tcase_add_test(tests, bound_by_name_all_or_none);
    tcase_add_loop_test(tests, what_was_bound_before_one_fails_is_set_back, 0, 4);
    tcase_add_test(tests, a_run_is_not_changed_from_within);
    tcase_add_test(tests, precedence);
    tcase_add_test(tests, a_stream_that_passes_is_waited_for_each_time);
    tcase_add_loop_test(tests, every_precedence, 0, 2 * sizeof(PRECEDENCE) / sizeof(*PRECEDENCE));
    tcase_add_test(tests, its_own_stream_is_ordered_against_the_callers);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
