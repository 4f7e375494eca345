/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs and green contexts of the layer over the CUDA driver, with the driver's double. */
#include <pthread.h>
#include <stdlib.h>

#include "cubin_empty.h"
#include "driver/graph.h"
#include "driver/green.h"
#include "driver/stream.h"
#include "driver_help.h"
#include "harness.h"

/* ---- Graphs ------------------------------------------------------------------------------ */

struct graph_case {
    struct device_context *context;
    struct loaded_module *module;
    struct CUfunc_st *function;
    struct device_stream *stream;
    struct device_memory *memory;
    void *cubin;
};

static void begin_graphs(struct graph_case *given) {
    float one = 1;

    given->cubin = cubin_of_scale(90);
    given->context = open_context(0);
    given->module = load_cubin(given->context, given->cubin, 1);
    fake->attach("scale", run_scale, NULL);
    ck_ok(device_stream_new(given->context, 0, &given->stream, &error), &error);
    ck_ok(device_memory_new(given->context, sizeof(one), NULL, &given->memory, &error), &error);
    ck_ok(device_memory_write(given->memory, 0, &one, sizeof(one), NULL, &error), &error);
    ck_ok(loaded_module_function(given->module, "scale", NULL, &given->function, &error), &error);
    ck_ok(device_context_enter(given->context, &error), &error);
}

static void end_graphs(struct graph_case *given) {
    device_context_leave(given->context);
    device_memory_free(given->memory);
    device_stream_free(given->stream);
    loaded_module_unref(given->module);
    device_context_unref(given->context);
    free(given->cubin);
}

static struct CUgraph_st *capture_scales(struct graph_case *given, float factor, int count) {
    const struct driver *driver = given->context->driver;
    struct CUgraph_st *graph;
    bool active = false;

    ck_ok(capture_begin(driver, given->stream->handle, &error), &error);
    for (int i = 0; i < count; i++)
        ck_ok(launch_scale(given->context, given->function, given->memory, factor,
                           given->stream->handle),
              &error);
    ck_ok(capture_is_active(driver, given->stream->handle, &active, &error), &error);
    ck_assert(active);
    ck_ok(capture_end(driver, given->stream->handle, &graph, &error), &error);
    ck_ok(capture_is_active(driver, given->stream->handle, &active, &error), &error);
    ck_assert(!active);
    return graph;
}

static float value_of(struct graph_case *given) {
    float value = 0;

    ck_ok(stream_sync(given->context->driver, given->stream->handle, &error), &error);
    ck_ok(device_memory_read(given->memory, 0, &value, sizeof(value), NULL, &error), &error);
    return value;
}

START_TEST(replays_and_updates_a_graph) {
    struct CUgraphExec_st *exec = NULL, *before;
    struct graph_case given;
    struct CUgraph_st *graph;
    const struct driver *driver;
    bool updated = true;

    if (!choose_version(_i))
        return;
    begin_graphs(&given);
    driver = given.context->driver;
    graph = capture_scales(&given, 2, 2);
    ck_assert_uint_eq(fake->launches(), 0); /* recorded, not run */
    ck_ok(graph_exec_set(driver, &exec, graph, &updated, &error), &error);
    ck_assert(!updated);
    graph_free(driver, graph);
    ck_ok(graph_exec_launch(driver, exec, given.stream->handle, &error), &error);
    ck_ok(graph_exec_launch(driver, exec, given.stream->handle, &error), &error);
    ck_assert_float_eq(value_of(&given), 16);
    ck_assert(fake->launch(0)->from_graph);

    graph = capture_scales(&given, 3, 2); /* the same form, other parameters */
    before = exec;
    ck_ok(graph_exec_set(driver, &exec, graph, &updated, &error), &error);
    ck_assert(updated && exec == before);
    graph_free(driver, graph);
    ck_ok(graph_exec_launch(driver, exec, given.stream->handle, &error), &error);
    ck_assert_float_eq(value_of(&given), 144);

    graph = capture_scales(&given, 2, 3); /* a node more */
    ck_ok(graph_exec_set(driver, &exec, graph, &updated, &error), &error);
    ck_assert(!updated);
    graph_free(driver, graph);
    ck_ok(graph_exec_launch(driver, exec, given.stream->handle, &error), &error);
    ck_assert_float_eq(value_of(&given), 1152);
    graph_exec_free(driver, exec);
    graph_exec_free(driver, NULL);
    graph_free(driver, NULL);
    end_graphs(&given);
}
END_TEST

START_TEST(a_graph_that_cannot_be_made_leaves_the_old_one) {
    struct CUgraphExec_st *exec = NULL, *before;
    struct graph_case given;
    struct CUgraph_st *graph;
    const struct driver *driver;
    bool updated;

    begin_graphs(&given);
    driver = given.context->driver;
    graph = capture_scales(&given, 2, 1);
    ck_ok(graph_exec_set(driver, &exec, graph, &updated, &error), &error);
    graph_free(driver, graph);
    graph = capture_scales(&given, 2, 2);
    before = exec;
    setenv("FAKE_CUDA_FAIL", "cuGraphInstantiateWithFlags=2", 1);
    assert_failure(graph_exec_set(driver, &exec, graph, &updated, &error), CUBBY_ERR_NO_MEMORY,
                   "cuGraphInstantiateWithFlags failed");
    ck_assert_ptr_eq(exec, before);
    graph_free(driver, graph);
    ck_ok(graph_exec_launch(driver, exec, given.stream->handle, &error), &error);
    ck_assert_float_eq(value_of(&given), 2);
    graph_exec_free(driver, exec);
    end_graphs(&given);
}
END_TEST

START_TEST(a_broken_capture_leaves_the_stream_usable) {
    struct graph_case given;
    struct CUgraph_st *graph = NULL;
    struct device_memory *memory;
    const struct driver *driver;
    bool active;

    begin_graphs(&given);
    driver = given.context->driver;
    ck_ok(capture_begin(driver, given.stream->handle, &error), &error);
    assert_failure(device_memory_new(given.context, 16, NULL, &memory, &error), CUBBY_ERR_INVALID,
                   "STREAM_CAPTURE_UNSUPPORTED (900): the call is not allowed while work is");
    assert_failure(capture_is_active(driver, given.stream->handle, &active, &error),
                   CUBBY_ERR_INVALID, "STREAM_CAPTURE_INVALIDATED");
    assert_failure(capture_end(driver, given.stream->handle, &graph, &error), CUBBY_ERR_INVALID,
                   "STREAM_CAPTURE_INVALIDATED (901): an earlier call broke the capture");
    ck_assert_ptr_null(graph);
    ck_ok(capture_begin(driver, given.stream->handle, &error), &error);
    capture_abandon(driver, given.stream->handle);
    ck_ok(launch_scale(given.context, given.function, given.memory, 5, given.stream->handle),
          &error);
    ck_assert_float_eq(value_of(&given), 5);
    end_graphs(&given);
}
END_TEST

/* A mode that could not be changed is not changed back either. */
START_TEST(a_mode_is_given_back) {
    unsigned mode, now = DRIVER_STREAM_CAPTURE_MODE_GLOBAL;
    struct graph_case given;
    const struct driver *driver;

    begin_graphs(&given);
    driver = given.context->driver;
    if (_i == 1)
        setenv("FAKE_CUDA_FAIL", "cuThreadExchangeStreamCaptureMode=1", 1);
    mode = capture_tolerate(driver);
    unsetenv("FAKE_CUDA_FAIL");
    capture_restore(driver, mode);
    ck_assert_uint_eq(driver->api.cuThreadExchangeStreamCaptureMode(&now), 0);
    ck_assert_uint_eq(now, DRIVER_STREAM_CAPTURE_MODE_GLOBAL);
    end_graphs(&given);
}
END_TEST

static void *work_beside(void *cubin) {
    struct cubby_key key = key_of(9);
    struct device_context *context;
    struct loaded_module *module;
    struct device_memory *memory;
    struct CUfunc_st *function;
    bool ok = device_context_get(0, &context, NULL) == 0 &&
              loaded_module_get(context, &key, cubin, &module, NULL) == 0 &&
              loaded_module_function(module, "scale", NULL, &function, NULL) == 0 &&
              device_memory_new(context, 64, NULL, &memory, NULL) == 0;

    if (!ok)
        return NULL;
    device_memory_free(memory);
    loaded_module_unref(module);
    device_context_unref(context);
    return cubin;
}

START_TEST(other_threads_do_not_break_a_capture) {
    struct graph_case given;
    struct CUgraph_st *graph;
    pthread_t thread;
    void *result;

    begin_graphs(&given);
    ck_ok(capture_begin(given.context->driver, given.stream->handle, &error), &error);
    ck_assert_int_eq(pthread_create(&thread, NULL, work_beside, given.cubin), 0);
    pthread_join(thread, &result);
    ck_assert_ptr_eq(result, given.cubin);
    ck_ok(capture_end(given.context->driver, given.stream->handle, &graph, &error), &error);
    graph_free(given.context->driver, graph);
    end_graphs(&given);
}
END_TEST

/* ---- Green contexts ---------------------------------------------------------------------- */

START_TEST(parts_of_a_device_share_nothing) {
    struct green_division *division;
    struct CUfunc_st *function;
    struct graph_case given;
    int device;

    begin_graphs(&given);
    ck_ok(green_division_new(given.context, 2, 64, &division, &error), &error);
    for (unsigned i = 0; i < 2; i++) {
        const struct green_part *part = &division->parts[i];

        ck_assert_uint_eq(part->multiprocessors, 64);
        ck_ok(loaded_module_function(given.module, "scale", part->context, &function, &error),
              &error);
        ck_ok(launch_scale(given.context, function, given.memory, 2, part->stream), &error);
        ck_ok(stream_find_device(given.context->driver, part->stream, &device, &error), &error);
        ck_assert_int_eq(device, given.context->device.handle);
    }
    ck_assert(fake->launch(0)->green && fake->launch(1)->green);
    ck_assert_uint_eq(fake->launch(0)->first_sm, 0);
    ck_assert_uint_eq(fake->launch(0)->sm_count, 64);
    ck_assert_uint_eq(fake->launch(1)->first_sm, 64);
    ck_assert_float_eq(value_of(&given), 4);
    green_division_free(division);
    green_division_free(NULL);
    end_graphs(&given);
}
END_TEST

START_TEST(a_device_is_not_divided_in_silence) {
    struct device_context *context = open_context(0);
    struct green_division *division = NULL;

    assert_failure(green_division_new(context, 2, 4, &division, &error), CUBBY_ERR_INVALID,
                   "2 parts of 4 multiprocessors: it has 132, and a part needs at least 8 and a "
                   "multiple of 8");
    assert_failure(green_division_new(context, 2, 12, &division, &error), CUBBY_ERR_INVALID,
                   "a multiple of 8");
    assert_failure(green_division_new(context, 17, 8, &division, &error), CUBBY_ERR_INVALID,
                   "17 parts of 8");
    assert_failure(green_division_new(context, 0, 8, &division, &error), CUBBY_ERR_INVALID,
                   "0 parts");
    setenv("FAKE_CUDA_FAIL", "cuGreenCtxCreate@2=2", 1);
    fake->reset();
    assert_failure(green_division_new(context, 2, 8, &division, &error), CUBBY_ERR_NO_MEMORY,
                   "cuGreenCtxCreate failed");
    ck_assert_ptr_null(division);
    ck_assert_uint_eq(fake->alive("green"), 0);
    ck_assert_uint_eq(fake->alive("stream"), 0);
    device_context_unref(context);
}
END_TEST

/* One that does not tell what it asks for does not get round our promise either. */
START_TEST(a_size_is_not_brought_up) {
    struct device_context *context;
    struct green_division *division;

    if (!tests_are_apart())
        return;
    setenv("FAKE_CUDA_VERSION", "12080", 1);
    context = open_context(0);
    assert_failure(green_division_new(context, 2, 12, &division, &error), CUBBY_ERR_INVALID,
                   "cannot be divided into 2 parts of 12 multiprocessors: it gave 2 of 16");
    ck_ok(green_division_new(context, 2, 16, &division, &error), &error);
    green_division_free(division);
    device_context_unref(context);
}
END_TEST

START_TEST(an_old_driver_cannot_divide) {
    struct device_context *context;
    struct green_division *division;

    if (!tests_are_apart())
        return;
    setenv("FAKE_CUDA_VERSION", "12020", 1);
    context = open_context(0);
    assert_failure(green_division_new(context, 2, 8, &division, &error), CUBBY_ERR_UNSUPPORTED,
                   "is of CUDA 12.2 and lacks cuGreenCtxStreamCreate, which came with CUDA 12.5");
    device_context_unref(context);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("driver_graph");
    TCase *tests = tcase_create("driver_graph");

    tcase_add_checked_fixture(tests, driver_set_up, driver_tear_down);
    tcase_add_loop_test(tests, replays_and_updates_a_graph, 0, 2);
    tcase_add_test(tests, a_graph_that_cannot_be_made_leaves_the_old_one);
    tcase_add_test(tests, a_broken_capture_leaves_the_stream_usable);
    tcase_add_loop_test(tests, a_mode_is_given_back, 0, 2);
    tcase_add_test(tests, other_threads_do_not_break_a_capture);
    tcase_add_test(tests, parts_of_a_device_share_nothing);
    tcase_add_test(tests, a_device_is_not_divided_in_silence);
    tcase_add_test(tests, an_old_driver_cannot_divide);
    tcase_add_test(tests, a_size_is_not_brought_up);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
