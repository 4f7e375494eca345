/* SPDX-License-Identifier: Apache-2.0 */
/* The double of the CUDA driver refuses what the driver refuses: captures, graphs, green contexts.
 */
#include <pthread.h>
#include <stdlib.h>

#include "harness.h"
#include "rules_help.h"

/* ---- Captures ---------------------------------------------------------------------------- */

static struct given {
    struct CUfunc_st *function;
    struct CUevent_st *event;
    struct CUstream_st *blocking;
    driver_address address;
} given;

static unsigned call_alloc(void) {
    driver_address address;

    return cu->cuMemAlloc_v2(&address, 8);
}

static unsigned call_free(void) {
    return cu->cuMemFree_v2(given.address);
}

static unsigned call_load(void) {
    struct CUmod_st *module;

    return cu->cuModuleLoadData(&module, cubin);
}

static unsigned call_load_library(void) {
    struct CUlib_st *library;

    return cu->cuLibraryLoadData(&library, cubin, NULL, NULL, 0, NULL, NULL, 0);
}

static unsigned call_copy(void) {
    char byte = 0;

    return cu->cuMemcpyHtoD_v2(given.address, &byte, 1);
}

static unsigned call_event_query(void) {
    return cu->cuEventQuery(given.event);
}

static unsigned call_event_sync(void) {
    return cu->cuEventSynchronize(given.event);
}

static unsigned call_stream_query(void) {
    return cu->cuStreamQuery(stream);
}

static unsigned call_stream_sync(void) {
    return cu->cuStreamSynchronize(stream);
}

static unsigned call_context_sync(void) {
    return cu->cuCtxSynchronize();
}

static unsigned call_stream_device(void) {
    int device;

    return cu->cuStreamGetDevice(stream, &device);
}

static unsigned call_wait_outside(void) {
    return cu->cuStreamWaitEvent(stream, given.event, 0); /* recorded before the capture */
}

static unsigned call_launch(void) {
    return launch_one(given.function, stream);
}

static unsigned call_record(void) {
    return cu->cuEventRecord(given.event, stream);
}

static unsigned call_create(void) {
    struct CUevent_st *event;

    return cu->cuEventCreate(&event, 0);
}

static unsigned call_capturing(void) {
    unsigned status;

    return cu->cuStreamIsCapturing(stream, &status);
}

static unsigned call_legacy(void) {
    return launch_one(given.function, NULL);
}

/* What each call gives in the thread that captures a non-blocking stream, by mode. */
static const struct forbidden {
    unsigned (*call)(void);
    unsigned global, local, relaxed;
} CALLS[] = {
    {call_alloc, 900, 900, 0},
    {call_free, 900, 900, 0},
    {call_load, 900, 900, 0},
    {call_load_library, 900, 900, 0},
    {call_copy, 900, 900, 0},
    {call_event_query, 900, 900, 0},
    {call_event_sync, 900, 900, 0},
    {call_stream_query, 900, 900, 900},
    {call_stream_sync, 900, 900, 900},
    {call_context_sync, 900, 900, 900},
    {call_stream_device, 900, 900, 900},
    {call_wait_outside, 905, 905, 905},
    {call_launch, 0, 0, 0},
    {call_record, 0, 0, 0},
    {call_create, 0, 0, 0},
    {call_capturing, 0, 0, 0},
    {call_legacy, 0, 0, 0},
};

static void prepare(void) {
    given.function = load_function(cubin, "scale");
    given.event = make_event(0);
    given.blocking = make_stream(0);
    given.address = allocate_bytes(8);
    WORKS(cu->cuEventRecord(given.event, stream));
}

START_TEST(calls_that_break_a_capture) {
    const struct forbidden *tried = &CALLS[_i / 3];
    unsigned mode = (unsigned)_i % 3, status;
    unsigned expected = mode == 0 ? tried->global : mode == 1 ? tried->local : tried->relaxed;
    struct CUgraph_st *graph = (struct CUgraph_st *)1;

    prepare();
    WORKS(cu->cuStreamBeginCapture_v2(stream, mode));
    GIVES(expected, tried->call());
    WORKS(cu->cuStreamIsCapturing(stream, &status));
    ck_assert_uint_eq(status, expected ? DRIVER_STREAM_CAPTURE_STATUS_INVALIDATED
                                       : DRIVER_STREAM_CAPTURE_STATUS_ACTIVE);
    if (expected) {
        GIVES(DRIVER_ERROR_STREAM_CAPTURE_INVALIDATED, launch_one(given.function, stream));
        GIVES(DRIVER_ERROR_STREAM_CAPTURE_INVALIDATED, cu->cuStreamEndCapture(stream, &graph));
        ck_assert_ptr_null(graph);
    } else {
        WORKS(cu->cuStreamEndCapture(stream, &graph));
        WORKS(cu->cuGraphDestroy(graph));
    }
    WORKS(launch_one(given.function, stream)); /* as usable as before */
    ck_assert_uint_eq(fake->alive("graph"), 0);
}
END_TEST

struct other {
    unsigned mode, code;
};

static void *allocate_beside(void *data) {
    struct other *other = data;
    driver_address address;

    cu->cuCtxSetCurrent(context);
    cu->cuThreadExchangeStreamCaptureMode(&other->mode);
    other->code = cu->cuMemAlloc_v2(&address, 8);
    return NULL;
}

/* The mode of the capture, and that of another thread, which allocates. */
START_TEST(captures_and_other_threads) {
    unsigned capture = (unsigned)_i / 3, status;
    struct other other = {(unsigned)_i % 3, 0};
    bool breaks = capture == DRIVER_STREAM_CAPTURE_MODE_GLOBAL &&
                  other.mode == DRIVER_STREAM_CAPTURE_MODE_GLOBAL;
    pthread_t thread;

    WORKS(cu->cuStreamBeginCapture_v2(stream, capture));
    ck_assert_int_eq(pthread_create(&thread, NULL, allocate_beside, &other), 0);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(other.code, breaks ? DRIVER_ERROR_STREAM_CAPTURE_UNSUPPORTED : 0);
    ck_assert_uint_eq(other.mode, DRIVER_STREAM_CAPTURE_MODE_GLOBAL); /* what it was before */
    WORKS(cu->cuStreamIsCapturing(stream, &status));
    ck_assert_uint_eq(status, breaks ? DRIVER_STREAM_CAPTURE_STATUS_INVALIDATED
                                     : DRIVER_STREAM_CAPTURE_STATUS_ACTIVE);
}
END_TEST

static void *end_beside(void *data) {
    struct CUgraph_st *graph;

    cu->cuCtxSetCurrent(context);
    *(unsigned *)data = cu->cuStreamEndCapture(stream, &graph);
    return NULL;
}

START_TEST(captures_begin_and_end) {
    struct CUstream_st *second = make_stream(DRIVER_STREAM_NON_BLOCKING);
    struct CUevent_st *event = make_event(0);
    struct CUgraph_st *graph;
    unsigned code = 0, status;
    pthread_t thread;

    GIVES(DRIVER_ERROR_STREAM_CAPTURE_UNSUPPORTED, cu->cuStreamBeginCapture_v2(NULL, 0));
    GIVES(DRIVER_ERROR_INVALID_VALUE, cu->cuStreamBeginCapture_v2(stream, 3));
    GIVES(DRIVER_ERROR_ILLEGAL_STATE, cu->cuStreamEndCapture(stream, &graph));
    WORKS(cu->cuStreamBeginCapture_v2(stream, 1));
    GIVES(DRIVER_ERROR_ILLEGAL_STATE, cu->cuStreamBeginCapture_v2(stream, 1));
    ck_assert_int_eq(pthread_create(&thread, NULL, end_beside, &code), 0);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(code, DRIVER_ERROR_STREAM_CAPTURE_WRONG_THREAD);
    WORKS(cu->cuEventRecord(event, stream));
    WORKS(cu->cuStreamWaitEvent(second, event, 0)); /* draws it in */
    WORKS(cu->cuStreamIsCapturing(second, &status));
    ck_assert_uint_eq(status, DRIVER_STREAM_CAPTURE_STATUS_ACTIVE);
    GIVES(DRIVER_ERROR_STREAM_CAPTURE_UNMATCHED, cu->cuStreamEndCapture(second, &graph));
    GIVES(DRIVER_ERROR_STREAM_CAPTURE_INVALIDATED, cu->cuStreamEndCapture(stream, &graph));
    WORKS(cu->cuStreamIsCapturing(second, &status));
    ck_assert_uint_eq(status, DRIVER_STREAM_CAPTURE_STATUS_NONE);
    /* The event stays one of a capture, now of none. */
    GIVES(DRIVER_ERROR_CAPTURED_EVENT, cu->cuStreamWaitEvent(stream, event, 0));
    GIVES(DRIVER_ERROR_CAPTURED_EVENT, cu->cuEventQuery(event));
    WORKS(cu->cuEventRecord(event, stream));
    WORKS(cu->cuEventQuery(event));
}
END_TEST

START_TEST(forks_have_to_be_joined) {
    struct CUstream_st *second = make_stream(DRIVER_STREAM_NON_BLOCKING);
    struct CUevent_st *fork = make_event(2), *join = make_event(2);
    struct CUgraphNode_st *nodes[4];
    struct CUgraph_st *graph;
    size_t count = 4;
    unsigned type;

    prepare();
    for (int joined = 0; joined < 2; joined++) {
        WORKS(cu->cuStreamBeginCapture_v2(stream, 1));
        WORKS(launch_one(given.function, stream));
        WORKS(cu->cuEventRecord(fork, stream));
        WORKS(cu->cuStreamWaitEvent(second, fork, 0));
        WORKS(launch_one(given.function, second));
        WORKS(cu->cuMemsetD8Async(given.address, 0, 8, stream));
        WORKS(cu->cuEventRecord(join, second));
        if (joined) {
            WORKS(cu->cuStreamWaitEvent(stream, join, 0));
            WORKS(cu->cuStreamEndCapture(stream, &graph));
        } else {
            GIVES(DRIVER_ERROR_STREAM_CAPTURE_UNJOINED, cu->cuStreamEndCapture(stream, &graph));
        }
    }
    WORKS(cu->cuGraphGetNodes(graph, nodes, &count));
    ck_assert_uint_eq(count, 3);
    WORKS(cu->cuGraphNodeGetType(nodes[2], &type));
    ck_assert_uint_eq(type, DRIVER_GRAPH_NODE_TYPE_MEMSET);
    WORKS(cu->cuGraphDestroy(graph));
    GIVES(DRIVER_ERROR_INVALID_VALUE, cu->cuGraphDestroy(graph));
}
END_TEST

START_TEST(captures_stay_apart) {
    struct CUstream_st *second = make_stream(DRIVER_STREAM_NON_BLOCKING);
    struct CUevent_st *event = make_event(2);
    struct CUgraph_st *graph;
    unsigned status;

    prepare();
    WORKS(cu->cuStreamBeginCapture_v2(stream, 2));
    WORKS(cu->cuStreamBeginCapture_v2(second, 2));
    WORKS(launch_one(given.function, second));
    WORKS(cu->cuEventRecord(event, second));
    GIVES(DRIVER_ERROR_STREAM_CAPTURE_MERGE, cu->cuStreamWaitEvent(stream, event, 0));
    GIVES(DRIVER_ERROR_STREAM_CAPTURE_INVALIDATED, cu->cuStreamEndCapture(stream, &graph));
    GIVES(DRIVER_ERROR_STREAM_CAPTURE_INVALIDATED, cu->cuStreamEndCapture(second, &graph));
    /* The legacy stream waits for blocking streams. */
    WORKS(cu->cuStreamBeginCapture_v2(given.blocking, 2));
    GIVES(DRIVER_ERROR_STREAM_CAPTURE_IMPLICIT, cu->cuStreamIsCapturing(NULL, &status));
    WORKS(launch_one(given.function, given.blocking));
    GIVES(DRIVER_ERROR_STREAM_CAPTURE_IMPLICIT, launch_one(given.function, NULL));
    GIVES(DRIVER_ERROR_STREAM_CAPTURE_INVALIDATED, cu->cuStreamEndCapture(given.blocking, &graph));
    WORKS(cu->cuStreamBeginCapture_v2(given.blocking, 2));
    GIVES(DRIVER_ERROR_STREAM_CAPTURE_IMPLICIT, call_copy());
    GIVES(DRIVER_ERROR_STREAM_CAPTURE_UNSUPPORTED, cu->cuStreamDestroy_v2(given.blocking));
    GIVES(DRIVER_ERROR_STREAM_CAPTURE_INVALIDATED, cu->cuStreamEndCapture(given.blocking, &graph));
}
END_TEST

/* ---- Graphs ------------------------------------------------------------------------------ */

enum form { ONE_KERNEL, TWO_KERNELS, KERNEL_AND_FILL, CHILD };

static struct CUgraph_st *capture(enum form form, struct CUgraphExec_st *child) {
    struct CUgraph_st *graph = NULL;

    WORKS(cu->cuStreamBeginCapture_v2(stream, 1));
    WORKS(launch_one(given.function, stream));
    if (form == TWO_KERNELS)
        WORKS(launch_one(given.function, stream));
    if (form == KERNEL_AND_FILL)
        WORKS(cu->cuMemsetD8Async(given.address, 3, 8, stream));
    if (form == CHILD)
        WORKS(cu->cuGraphLaunch(child, stream));
    WORKS(cu->cuStreamEndCapture(stream, &graph));
    return graph;
}

START_TEST(graphs) {
    struct CUgraph_st *one, *two, *fill, *child;
    struct CUgraphExecUpdateResultInfo_st info;
    struct CUgraphExec_st *exec, *outer;
    struct CUgraphNode_st *node;
    unsigned outcome;
    char byte = 0;

    prepare();
    fake->reset();
    one = capture(ONE_KERNEL, NULL);
    two = capture(TWO_KERNELS, NULL);
    fill = capture(KERNEL_AND_FILL, NULL);
    WORKS(cu->cuGraphInstantiateWithFlags(&exec, two, 0));
    GIVES(DRIVER_ERROR_GRAPH_EXEC_UPDATE_FAILURE, cu->cuGraphExecUpdate_v2(exec, one, &info));
    ck_assert_uint_eq(info.result, DRIVER_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED);
    ck_assert_ptr_null(info.errorNode);
    GIVES(DRIVER_ERROR_GRAPH_EXEC_UPDATE_FAILURE,
          cu->cuGraphExecUpdate(exec, fill, &node, &outcome));
    ck_assert_uint_eq(outcome, DRIVER_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED);
    ck_assert_ptr_nonnull(node);
    WORKS(cu->cuGraphExecUpdate_v2(exec, two, &info));
    ck_assert_uint_eq(info.result, DRIVER_GRAPH_EXEC_UPDATE_SUCCESS);
    WORKS(cu->cuGraphDestroy(two)); /* the instance has its own copy */
    ck_assert_uint_eq(fake->launches(), 0);
    WORKS(cu->cuGraphLaunch(exec, stream));
    ck_assert_uint_eq(fake->launches(), 2);
    child = capture(CHILD, exec);
    WORKS(cu->cuGraphInstantiateWithFlags(&outer, child, 0));
    WORKS(cu->cuGraphLaunch(outer, stream));
    ck_assert_uint_eq(fake->launches(), 5);
    WORKS(cu->cuGraphExecDestroy(outer));
    GIVES(DRIVER_ERROR_INVALID_VALUE, cu->cuGraphLaunch(outer, stream));
    WORKS(cu->cuGraphExecDestroy(exec));
    WORKS(cu->cuGraphInstantiateWithFlags(&exec, fill, 0));
    WORKS(cu->cuGraphLaunch(exec, stream));
    WORKS(cu->cuMemcpyDtoH_v2(&byte, given.address, 1));
    ck_assert_int_eq(byte, 3);
    /* Made while the thread captures, a graph could not be instantiated. */
    WORKS(cu->cuStreamBeginCapture_v2(stream, 1));
    GIVES(DRIVER_ERROR_STREAM_CAPTURE_UNSUPPORTED, cu->cuGraphInstantiateWithFlags(&outer, one, 0));
    GIVES(DRIVER_ERROR_STREAM_CAPTURE_INVALIDATED, cu->cuStreamEndCapture(stream, &two));
    WORKS(cu->cuGraphDestroy(one));
    WORKS(cu->cuGraphDestroy(fill));
    WORKS(cu->cuGraphDestroy(child));
    ck_assert_uint_eq(fake->alive("graph"), 0);
}
END_TEST

/* A graph whose module is gone would run whatever lies there now. */
START_TEST(graphs_need_their_modules) {
    struct CUgraphExec_st *exec;
    struct CUgraph_st *graph;
    struct CUmod_st *module;

    prepare();
    WORKS(cu->cuModuleLoadData(&module, cubin));
    WORKS(cu->cuModuleGetFunction(&given.function, module, "scale"));
    graph = capture(ONE_KERNEL, NULL);
    WORKS(cu->cuGraphInstantiateWithFlags(&exec, graph, 0));
    WORKS(cu->cuGraphDestroy(graph));
    WORKS(cu->cuModuleUnload(module));
    WORKS(cu->cuGraphLaunch(exec, stream));
    GIVES(DRIVER_ERROR_LAUNCH_FAILED, cu->cuStreamSynchronize(stream));
    ck_assert_uint_eq(fake->violations(), 1);
}
END_TEST

/* ---- Green contexts ---------------------------------------------------------------------- */

START_TEST(green_contexts) {
    struct CUdevResource_st all, parts[4], rest, apart[1], mixed[2];
    struct CUdevResourceDesc_st *description;
    struct CUgreenCtx_st *green;
    struct CUstream_st *made;
    struct CUctx_st *popped;
    unsigned count = 4;
    int device;

    WORKS(cu->cuCtxGetDevice(&device));
    GIVES(DRIVER_ERROR_INVALID_RESOURCE_TYPE, cu->cuDeviceGetDevResource(device, &all, 2));
    WORKS(cu->cuDeviceGetDevResource(device, &all, 1));
    ck_assert_uint_eq(all.sm.smCount, 132);
    ck_assert_uint_eq(all.sm.minSmPartitionSize, 8);
    ck_assert_uint_eq(all.sm.smCoscheduledAlignment, 8);
    WORKS(cu->cuDevSmResourceSplitByCount(NULL, &count, &all, NULL, 0, 1));
    ck_assert_uint_eq(count, 16); /* of 8 each */
    count = 4;
    WORKS(cu->cuDevSmResourceSplitByCount(parts, &count, &all, &rest, 0, 33));
    ck_assert_uint_eq(count, 3); /* 33 become 40 */
    ck_assert_uint_eq(parts[0].sm.smCount, 40);
    ck_assert_uint_eq(rest.sm.smCount, 12);
    GIVES(DRIVER_ERROR_INVALID_RESOURCE_CONFIGURATION,
          cu->cuDevSmResourceSplitByCount(apart, &count, &parts[0], NULL, 0, 8));
    GIVES(DRIVER_ERROR_INVALID_RESOURCE_CONFIGURATION,
          cu->cuDevSmResourceSplitByCount(apart, &count, &all, NULL, 0, 133));
    count = 1;
    WORKS(cu->cuDevSmResourceSplitByCount(apart, &count, &all, NULL, 0, 8));
    mixed[0] = parts[0];
    mixed[1] = apart[0];
    GIVES(DRIVER_ERROR_INVALID_RESOURCE_CONFIGURATION,
          cu->cuDevResourceGenerateDesc(&description, mixed, 2));
    WORKS(cu->cuDevResourceGenerateDesc(&description, parts, 2));
    GIVES(DRIVER_ERROR_INVALID_VALUE, cu->cuGreenCtxCreate(&green, description, device, 0));
    WORKS(cu->cuGreenCtxCreate(&green, description, device, 1));
    GIVES(DRIVER_ERROR_INVALID_VALUE, cu->cuGreenCtxStreamCreate(&made, green, 0, 0));
    WORKS(cu->cuGreenCtxStreamCreate(&made, green, 1, 0));
    GIVES(DRIVER_ERROR_INVALID_HANDLE, launch_one(load_function(cubin, "scale"), made));
    fake->reset();
    WORKS(cu->cuGreenCtxDestroy(green)); /* with a stream in it, which is lost */
    ck_assert_uint_eq(fake->violations(), 1);
    GIVES(DRIVER_ERROR_CONTEXT_IS_DESTROYED, cu->cuStreamSynchronize(made));
    GIVES(DRIVER_ERROR_CONTEXT_IS_DESTROYED, cu->cuStreamDestroy_v2(made));
    GIVES(DRIVER_ERROR_INVALID_CONTEXT, cu->cuGreenCtxDestroy(green));
    WORKS(cu->cuCtxPopCurrent_v2(&popped));
    ck_assert_uint_eq(fake->alive("green"), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("fake_cuda_capture");
    TCase *tests = tcase_create("fake_cuda_capture"), *last = tcase_create("lost");

    tcase_add_checked_fixture(tests, rules_set_up, rules_tear_down);
    tcase_add_loop_test(tests, calls_that_break_a_capture, 0,
                        3 * (int)(sizeof(CALLS) / sizeof(*CALLS)));
    tcase_add_loop_test(tests, captures_and_other_threads, 0, 9);
    tcase_add_test(tests, captures_begin_and_end);
    tcase_add_test(tests, forks_have_to_be_joined);
    tcase_add_test(tests, captures_stay_apart);
    tcase_add_test(tests, graphs);
    tcase_add_test(tests, graphs_need_their_modules);
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(last, rules_set_up, NULL); /* one stream is lost for good */
    tcase_add_test(last, green_contexts);
    suite_add_tcase(suite, last);
    return run_suite(suite);
}
