/* SPDX-License-Identifier: Apache-2.0 */
/* Engines on parts of a device and on several devices, on the double. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "streams_help.h"

/* ---- Parts of a device, and several devices ---------------------------------------------- */

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

/* On a later division, whose contexts and streams may lie where those of an earlier one lay; in
 * streams that are bound, with graphs or without, or passed through. */
START_TEST(engines_go_from_division_to_division) {
    static const char *const NAMES[] = {"left", "right"};
    struct cubby_runtime_settings settings = settings_of(CUBBY_SPECIALIZATION_EAGER);
    struct cubby_green_division *division;
    struct cubby_stream_guard guard;
    struct cubby_engine *engine;

    settings.cuda_graph_strategy =
        _i == 1 ? CUBBY_CUDA_GRAPH_WHOLE_GRAPH_CAPTURE : CUBBY_CUDA_GRAPH_DISABLED;
    engine = engine_on(&line, &settings);
    for (unsigned i = 0; i < 4; i++) {
        struct CUstream_st *stream;

        ck_ok(cubby_green_division_new(0, NAMES, 2, 16, &division, &error), &error);
        stream = cubby_green_division_part(division, i % 2)->stream;
        if (_i < 2)
            ck_ok(cubby_engine_set_external_stream(engine, stream, &error), &error);
        cubby_stream_passthrough_set(_i == 2);
        cubby_stream_guard_enter(&guard, stream);
        ck_ok(enqueue(engine, N, i * N), &error);
        cubby_stream_guard_leave(&guard);
        cubby_stream_passthrough_set(false);
        ck_assert(fake->launch(fake->launches() - 1)->green);
        ck_ok(cubby_engine_sync(engine, &error), &error);
        ck_ok(cubby_engine_clear_external_stream(engine, &error), &error);
        cubby_green_division_free(division);
    }
    check_results(0, 4 * N);
    cubby_engine_unref(engine);
}
END_TEST

/* An engine that is bound to a part keeps it; so does a scope that is to bind it again. */
START_TEST(a_part_stays_while_an_engine_is_bound) {
    static const char *const NAMES[] = {"left", "right"};
    struct cubby_engine *engine = engine_of(CUBBY_SPECIALIZATION_EAGER);
    struct cubby_stream_binding binding = {cubby_engine_name(engine), NULL};
    struct cubby_green_division *division;
    struct cubby_stream_scope *scope;
    unsigned waits;

    for (int i = 0; i < 4; i++) {
        ck_ok(cubby_green_division_new(0, NAMES, 2, 16, &division, &error), &error);
        binding.stream = cubby_green_division_part(division, 0)->stream;
        ck_ok(cubby_engines_bind_streams(&engine, 1, &binding, 1, NULL, &error), &error);
        cubby_green_division_free(division);
        ck_assert_uint_eq(fake->alive("green"), 2); /* the one before is gone */
        ck_ok(enqueue(engine, N, 0), &error);
        ck_assert(fake->launch(fake->launches() - 1)->green);
    }
    binding.stream = streams[0]->handle;
    ck_ok(cubby_engines_bind_streams(&engine, 1, &binding, 1, &scope, &error), &error);
    ck_ok(enqueue(engine, N, N), &error);
    ck_assert_uint_eq(fake->alive("green"), 2);
    ck_ok(cubby_stream_scope_exit(scope, &error), &error);
    ck_ok(enqueue(engine, N, 2 * N), &error);
    ck_assert(fake->launch(fake->launches() - 1)->green);
    ck_ok(cubby_engine_sync(engine, &error), &error);
    check_results(0, 3 * N);
    waits = fake->calls("cuStreamSynchronize");
    if (_i == 0)
        ck_ok(cubby_engine_clear_external_stream(engine, &error), &error);
    else
        assert_failure(cubby_engine_set_external_stream(engine, NULL, &error), CUBBY_ERR_INVALID,
                       "default"); /* which leaves it bound */
    ck_assert_uint_eq(fake->alive("green"), _i == 0 ? 0 : 2);
    if (_i == 0) /* the last one to be bound waits for the parts' work */
        ck_assert_uint_eq(fake->calls("cuStreamSynchronize"), waits + 2);
    cubby_engine_unref(engine);
    ck_assert_uint_eq(fake->alive("green"), 0);
}
END_TEST

/* What a driver asks of the parts of its device; older ones do not tell, and bring sizes up. */
static const struct {
    const char *sm, *version;
    unsigned multiprocessors;
    const char *words; /* NULL: it can be */
} SIZES[] = {
    {"90", "13000", 8, NULL},
    {"90", "13000", 24, NULL},
    {"90", "13000", 0, "each part needs some"},
    {"90", "13000", 7, "at least 8 and a multiple of 8"},
    {"90", "13000", 12, "at least 8 and a multiple of 8"},
    {"90", "13000", 72, "it has 132"}, /* twice */
    {"90", "12080", 8, NULL},
    {"90", "12080", 4, "it gave 2 of 8"},
    {"90", "12080", 12, "it gave 2 of 16"},
    {"90", "12080", 60, "it gave 2 of 64"},
    {"90", "12080", 65, "it gave 1 of 72"},
    {"80", "13000", 4, NULL},
    {"80", "13000", 6, NULL},
    {"80", "13000", 2, "at least 4 and a multiple of 2"},
    {"80", "13000", 5, "at least 4 and a multiple of 2"},
    {"75", "13000", 2, NULL},
    {"75", "13000", 3, "at least 2 and a multiple of 2"},
    {"61", "13000", 1, NULL},
    {"90", "12050", 8, NULL},
};

START_TEST(sizes_of_parts) {
    static const char *const NAMES[] = {"one", "two"};
    struct cubby_green_division *division = NULL;
    int result;

    setenv("FAKE_CUDA_SM", SIZES[_i].sm, 1);
    if (!begin_anew("FAKE_CUDA_VERSION", SIZES[_i].version))
        return;
    result = cubby_green_division_new(0, NAMES, 2, SIZES[_i].multiprocessors, &division, &error);
    if (SIZES[_i].words) {
        assert_failure(result, CUBBY_ERR_INVALID, SIZES[_i].words);
        ck_assert_ptr_null(division);
        ck_assert_uint_eq(fake->alive("green"), 0);
    } else {
        ck_ok(result, &error);
        for (size_t i = 0; i < 2; i++)
            ck_assert_uint_eq(cubby_green_division_part(division, i)->multiprocessors,
                              SIZES[_i].multiprocessors);
        cubby_green_division_free(division);
    }
}
END_TEST

/* Whichever call of a division fails, nothing of it is left. */
START_TEST(a_division_that_fails_leaves_nothing) {
    static const char *const CALLS[] = {"cuDeviceGetDevResource",    "cuDevSmResourceSplitByCount",
                                        "cuDevResourceGenerateDesc", "cuGreenCtxCreate",
                                        "cuCtxFromGreenCtx",         "cuGreenCtxStreamCreate"};
    static const char *const NAMES[] = {"one", "two"};
    struct cubby_green_division *division = NULL;
    const size_t before = fake->alive("stream");
    unsigned failures = 0;
    char fault[80];

    for (size_t i = 0; i < sizeof(CALLS) / sizeof(*CALLS); i++) {
        for (unsigned n = 1; n <= 2; n++) {
            snprintf(fault, sizeof(fault), "%s@%u=2", CALLS[i], fake->calls(CALLS[i]) + n);
            setenv("FAKE_CUDA_FAIL", fault, 1);
            if (cubby_green_division_new(0, NAMES, 2, 16, &division, &error) < 0) {
                assert_failure(error.code, CUBBY_ERR_NO_MEMORY, CALLS[i]);
                failures++;
            } else {
                cubby_green_division_free(division);
            }
            unsetenv("FAKE_CUDA_FAIL");
            ck_assert_uint_eq(fake->alive("green"), 0);
            ck_assert_uint_eq(fake->alive("stream"), before);
            division = NULL;
        }
    }
    ck_assert_uint_eq(failures, 10); /* two are called once */
}
END_TEST

/* What is recorded in a part's stream is prepared for it: in a guard of that stream, whatever
 * passthrough says. */
START_TEST(a_part_records_its_engines) {
    static const char *const NAMES[] = {"left", "right"};
    struct cubby_engine *engine = engine_of(CUBBY_SPECIALIZATION_EAGER);
    struct cubby_green_division *division;
    struct device_stream part = {.context = context};
    struct cubby_stream_guard guard;
    const int64_t n = N, m = N / 2;
    struct capture capture;

    ck_ok(cubby_green_division_new(0, NAMES, 2, 16, &division, &error), &error);
    part.handle = cubby_green_division_part(division, 1)->stream;
    ck_ok(enqueue(engine, N, 0), &error);
    begin_in(&capture, &part, DRIVER_STREAM_CAPTURE_MODE_GLOBAL);
    assert_failure(enqueue(engine, N, 0), CUBBY_ERR_INVALID, "INVALID_HANDLE");
    end_and_free(&capture);
    cubby_stream_passthrough_set(_i);
    cubby_stream_guard_enter(&guard, part.handle);
    ck_ok(cubby_engine_prepare(engine, &m, 1, &error), &error);
    ck_ok(cubby_engine_prepare(engine, &n, 1, &error), &error);
    begin_in(&capture, &part, DRIVER_STREAM_CAPTURE_MODE_GLOBAL);
    ck_ok(enqueue(engine, N, 0), &error);
    ck_ok(enqueue(engine, N / 2, N), &error);
    end(&capture);
    cubby_stream_guard_leave(&guard);
    cubby_stream_passthrough_set(false);
    clear_results();
    replay(&capture);
    check_results(0, N + N / 2);
    ck_assert(fake->launch(fake->launches() - 1)->green);
    graph_exec_free(context->driver, capture.exec);
    ck_ok(enqueue(engine, N, 2 * N), &error); /* and again in its own */
    ck_assert(!fake->launch(fake->launches() - 1)->green);
    ck_ok(cubby_engine_sync(engine, &error), &error);
    check_results(2 * N, N);
    /* Prepared for the part, it is not ready elsewhere. */
    cubby_stream_guard_enter(&guard, part.handle);
    ck_ok(cubby_engine_prepare(engine, &n, 1, &error), &error);
    cubby_stream_guard_leave(&guard);
    begin(&capture);
    assert_failure(enqueue(engine, N, 0), CUBBY_ERR_INVALID, "in this stream");
    end_and_free(&capture);
    cubby_engine_unref(engine);
    cubby_green_division_free(division);
}
END_TEST

/* ---- Several devices --------------------------------------------------------------------- */

static struct cubby_engine *engine_on_device(int device,
                                             enum cubby_specialization_strategy strategy) {
    struct cubby_engine_options options = CUBBY_ENGINE_OPTIONS_INIT;
    const struct cubby_runtime_settings settings = settings_of(strategy);
    struct cubby_engine *engine;

    options.cache = line.cache;
    options.device = device;
    options.settings = &settings;
    ck_ok(cubby_engine_new(line.plan, &options, &engine, &error), &error);
    ck_assert_int_eq(cubby_engine_device(engine), device);
    return engine;
}

/* The engine runs on one device, and its caller works in a stream of another. */
START_TEST(a_run_is_ordered_against_a_stream_of_another_device) {
    struct cubby_stream_guard guard;
    struct cubby_engine *engine;
    float x[N], y[N] = {0};

    if (!begin_anew("FAKE_CUDA_DEVICES", "2") || !defer())
        return;
    engine = engine_on_device(1, CUBBY_SPECIALIZATION_NONE);
    for (int i = 0; i < N; i++)
        x[i] = (float)(7 * i);
    cubby_stream_guard_enter(&guard, streams[0]->handle);
    ck_ok(device_context_enter(context, &error), &error);
    for (int round = 0; round < 2; round++) {
        struct device_memory *memory[2];

        for (int i = 0; i < 2; i++)
            ck_ok(device_memory_new(context, sizeof(x), NULL, &memory[i], &error), &error);
        ck_ok(device_memory_write(memory[0], 0, x, sizeof(x), streams[0]->handle, &error), &error);
        {
            const int64_t n = N;
            const struct cubby_engine_buffer buffers[] = {{memory[0]->address, sizeof(x)},
                                                          {memory[1]->address, sizeof(x)}};
            const struct cubby_engine_call call = {&n, 1, buffers, 2};

            ck_ok(cubby_engine_enqueue(engine, &call, &error), &error);
        }
        ck_ok(device_memory_read(memory[1], 0, y, sizeof(y), streams[0]->handle, &error), &error);
        ck_assert_uint_gt(fake->pending(), 0);
        wait_for(streams[0]);
        for (int i = 0; i < N; i++)
            ck_assert_msg(y[i] == 2 * x[i] + 1, "%d: %g", i, y[i]);
        ck_assert_int_eq(fake->launch(fake->launches() - 1)->device, 1);
        for (int i = 0; i < 2; i++)
            device_memory_free(memory[i]);
    }
    device_context_leave(context);
    cubby_stream_guard_leave(&guard);
    cubby_engine_unref(engine);
}
END_TEST

/* The engine is of another device than the stream that captures: that is told, and the capture goes
 * on. */
START_TEST(a_capture_on_another_device_is_not_broken) {
    struct cubby_engine *right, *wrong;
    const int64_t n = N;
    struct capture capture;

    if (!begin_anew("FAKE_CUDA_DEVICES", "2"))
        return;
    right = engine_on_device(0, CUBBY_SPECIALIZATION_NONE);
    wrong = engine_on_device(1, CUBBY_SPECIALIZATION_NONE);
    ck_ok(cubby_engine_prepare(right, &n, 1, &error), &error);
    ck_ok(cubby_engine_prepare(wrong, &n, 1, &error), &error);
    begin(&capture);
    for (int i = 0; i < 2; i++) {
        cubby_stream_passthrough_set(i);
        assert_failure(enqueue(wrong, N, 0), CUBBY_ERR_INVALID, "the stream is of another");
        assert_failure(cubby_engine_set_external_stream(wrong, streams[0]->handle, &error),
                       CUBBY_ERR_INVALID, "captures");
        ck_ok(enqueue(right, N, (unsigned)i * N), &error);
    }
    cubby_stream_passthrough_set(false);
    end(&capture);
    ck_assert_uint_eq(fake->launches(), 0);
    replay_and_free(&capture, 2 * N);
    cubby_engine_unref(right);
    cubby_engine_unref(wrong);
}
END_TEST

START_TEST(a_stream_of_another_device_is_not_passed_through) {
    struct cubby_stream_guard guard;
    struct cubby_engine *engine;

    if (!begin_anew("FAKE_CUDA_DEVICES", "2"))
        return;
    engine = engine_on_device(1, CUBBY_SPECIALIZATION_NONE);
    cubby_stream_guard_enter(&guard, streams[0]->handle);
    cubby_stream_passthrough_set(true);
    assert_failure(enqueue(engine, N, 0), CUBBY_ERR_INVALID, "the stream is of another");
    cubby_stream_passthrough_set(false);
    ck_assert(!cubby_engine_has_context(engine));
    ck_ok(enqueue(engine, N, 0), &error);
    cubby_stream_guard_leave(&guard);
    cubby_engine_unref(engine);
}
END_TEST

/* ---- The caller's thread ----------------------------------------------------------------- */

/* The caller has a context of its own current, in the strictest mode: it finds both again. */
static struct CUctx_st *current;

static void check_thread(const char *call) {
    const struct driver_api *api = &context->driver->api;
    unsigned mode = DRIVER_STREAM_CAPTURE_MODE_GLOBAL;
    struct CUctx_st *now = NULL;

    ck_assert_uint_eq(api->cuCtxGetCurrent(&now), 0);
    ck_assert_msg(now == current, "%s leaves another context current", call);
    ck_assert_uint_eq(api->cuThreadExchangeStreamCaptureMode(&mode), 0);
    ck_assert_msg(mode == DRIVER_STREAM_CAPTURE_MODE_GLOBAL, "%s leaves the mode %u", call, mode);
}

/* Its outcome is not looked at here. */
#define CALL(call)                                                                                 \
    do {                                                                                           \
        (void)(call);                                                                              \
        check_thread(#call);                                                                       \
        cubby_error_clear(&error);                                                                 \
    } while (0)

static void call_of_streams(struct cubby_engine *engine) {
    const struct cubby_stream_binding binding = {cubby_engine_name(engine), streams[1]->handle};
    struct cubby_stream_scope *scope = NULL;

    CALL(cubby_engine_set_external_stream(engine, streams[0]->handle, &error));
    CALL(enqueue(engine, N, 0));
    CALL(cubby_engines_bind_streams(&engine, 1, &binding, 1, &scope, &error));
    CALL(enqueue(engine, 3 * N, 0));
    CALL(cubby_stream_scope_exit(scope, &error));
    CALL(cubby_engine_sync(engine, &error));
    CALL(cubby_engine_clear_external_stream(engine, &error));
}

/* In streams of its own device and of another. */
static void call_in_guards(struct cubby_engine *engine, struct CUstream_st *abroad) {
    struct CUstream_st *const guarded[] = {NULL, streams[0]->handle, abroad};
    const int64_t n = 5;

    for (int i = 0; i < 6; i++) {
        struct cubby_stream_guard guard;

        cubby_stream_passthrough_set(i >= 3);
        cubby_stream_guard_enter(&guard, guarded[i % 3]);
        CALL(cubby_engine_prepare(engine, &n, 1, &error));
        CALL(enqueue(engine, N, 0));
        cubby_stream_guard_leave(&guard);
    }
    cubby_stream_passthrough_set(false);
}

static void call_with_settings(struct cubby_engine *engine) {
    struct cubby_runtime_settings settings = settings_of(CUBBY_SPECIALIZATION_EAGER);
    struct cubby_graph_scope *scope = NULL;
    enum cubby_graph_mode mode;

    settings.cuda_graph_strategy = CUBBY_CUDA_GRAPH_WHOLE_GRAPH_CAPTURE;
    CALL(cubby_engine_set_settings(engine, &settings, &error));
    CALL(enqueue(engine, N, 0));
    CALL(enqueue(engine, N, N));
    CALL(cubby_graph_scope_enter(&engine, 1, true, &mode, &scope, &error));
    CALL(enqueue(engine, N, N));
    CALL(cubby_graph_scope_exit(scope, &error));
}

static void call_memory_and_parts(void) {
    static const char *const NAMES[] = {"one", "two"};
    struct cubby_green_division *division = NULL;
    struct cubby_device_memory *memory = NULL;
    char byte = 1;

    CALL(cubby_device_memory_new(0, 16, &memory, &error));
    if (memory) {
        CALL(cubby_device_memory_write(memory, 0, &byte, 1, &error));
        CALL(cubby_device_memory_read(memory, 0, &byte, 1, &error));
    }
    CALL((cubby_device_memory_free(memory), 0));
    CALL(cubby_green_division_new(0, NAMES, 2, 16, &division, &error));
    CALL((cubby_green_division_free(division), 0));
}

static void call_all(struct CUstream_st *abroad) {
    struct cubby_engine *engine = NULL;
    struct cubby_engine_options options = CUBBY_ENGINE_OPTIONS_INIT;

    options.cache = line.cache;
    CALL(cubby_engine_new(line.plan, &options, &engine, &error));
    if (engine) {
        CALL(enqueue(engine, N, 0));
        call_of_streams(engine);
        call_in_guards(engine, abroad);
        call_with_settings(engine);
        CALL(cubby_engine_sync(engine, &error));
    }
    CALL((cubby_engine_unref(engine), 0));
    call_memory_and_parts();
}

START_TEST(a_thread_stays_as_it_is) {
    static const char *const CALLS[] = {
        "cuGetErrorName",     "cuDeviceGet",           "cuStreamCreateWithPriority",
        "cuLibraryLoadData",  "cuLibraryGetKernel",    "cuKernelGetFunction",
        "cuMemAlloc_v2",      "cuLaunchKernel",        "cuStreamSynchronize",
        "cuEventCreate",      "cuEventRecord",         "cuStreamWaitEvent",
        "cuEventSynchronize", "cuStreamIsCapturing",   "cuStreamGetDevice",
        "cuStreamGetCtx_v2",  "cuCtxFromGreenCtx",     "cuStreamBeginCapture_v2",
        "cuStreamEndCapture", "cuGraphExecUpdate_v2",  "cuGraphInstantiateWithFlags",
        "cuGraphLaunch",      "cuMemcpyHtoD_v2",       "cuMemcpyDtoH_v2",
        "cuGreenCtxCreate",   "cuGreenCtxStreamCreate"};
    struct device_context *other;
    struct device_stream *abroad;
    struct CUctx_st *popped = NULL;
    char fault[80];

    if (!begin_anew("FAKE_CUDA_DEVICES", "2"))
        return;
    other = open_context(1);
    ck_ok(device_stream_new(other, 0, &abroad, &error), &error);
    current = other->handle;
    ck_ok(device_context_enter(other, &error), &error);
    call_all(abroad->handle);
    for (size_t i = 0; i < sizeof(CALLS) / sizeof(*CALLS); i++) {
        for (unsigned n = 1; n <= 12; n += 3) {
            snprintf(fault, sizeof(fault), "%s@%u=2", CALLS[i], fake->calls(CALLS[i]) + n);
            setenv("FAKE_CUDA_FAIL", fault, 1);
            call_all(abroad->handle);
            unsetenv("FAKE_CUDA_FAIL");
        }
    }
    ck_assert_uint_eq(context->driver->api.cuCtxPopCurrent_v2(&popped), 0);
    ck_assert_ptr_eq(popped, current);
    current = NULL; /* nor is anything below it */
    check_thread("all of them");
    device_stream_free(abroad);
    device_context_unref(other);
}
END_TEST

START_TEST(engines_on_two_devices) {
    struct cubby_engine *engines[2];

    if (!begin_anew("FAKE_CUDA_DEVICES", "2"))
        return;
    for (int i = 0; i < 2; i++)
        engines[i] = engine_on_device(i, CUBBY_SPECIALIZATION_LAZY);
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

int main(void) {
    Suite *suite = suite_create("runner devices");
    TCase *tests = tcase_create("devices");

    tcase_add_checked_fixture(tests, streams_set_up, streams_tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, engines_on_parts_of_a_device, 0, 2);
    tcase_add_test(tests, parts_that_cannot_be);
    tcase_add_loop_test(tests, sizes_of_parts, 0, sizeof(SIZES) / sizeof(*SIZES));
    tcase_add_test(tests, a_division_that_fails_leaves_nothing);
    tcase_add_test(tests, a_stream_of_another_device_is_not_passed_through);
    tcase_add_test(tests, a_thread_stays_as_it_is);
    tcase_add_loop_test(tests, a_part_stays_while_an_engine_is_bound, 0, 2);
    tcase_add_loop_test(tests, a_part_records_its_engines, 0, 2);
    tcase_add_loop_test(tests, engines_go_from_division_to_division, 0, 3);
    tcase_add_test(tests, a_run_is_ordered_against_a_stream_of_another_device);
    tcase_add_test(tests, a_capture_on_another_device_is_not_broken);
    tcase_add_test(tests, engines_on_two_devices);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
