/* SPDX-License-Identifier: Apache-2.0 */
/* The double of the CUDA driver refuses what the driver refuses. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cubin_help.h"
#include "driver_help.h"
#include "harness.h"

static const struct driver_api *cu;
static struct CUctx_st *context;
static struct CUstream_st *stream; /* that the legacy stream does not wait for */
static void *cubin;

#define GIVES(code, call) ck_assert_uint_eq((call), (code))
#define WORKS(call) ck_assert_uint_eq((call), DRIVER_SUCCESS)

static void begin(void) {
    const struct driver *driver;
    int device;

    driver_set_up();
    ck_ok(driver_open(&driver, &error), &error);
    cu = &driver->api;
    setenv("FAKE_CUDA_DEVICES", "2", 1);
    WORKS(cu->cuDeviceGet(&device, 0));
    WORKS(cu->cuDevicePrimaryCtxRetain(&context, device));
    WORKS(cu->cuCtxPushCurrent_v2(context));
    WORKS(cu->cuStreamCreateWithPriority(&stream, DRIVER_STREAM_NON_BLOCKING, 0));
    cubin = cubin_of_scale(90);
}

static void defer(void) {
    setenv("FAKE_CUDA_DEFER", "1", 1);
    fake->reset();
}

/* Whatever a test left goes with its context. */
static void end(void) {
    struct CUctx_st *popped;
    int device;

    unsetenv("FAKE_CUDA_FAIL");
    while (cu->cuCtxPopCurrent_v2(&popped) == DRIVER_SUCCESS) {
    }
    WORKS(cu->cuDeviceGet(&device, 0));
    while (cu->cuDevicePrimaryCtxRelease_v2(device) == DRIVER_SUCCESS) {
    }
    free(cubin);
    ck_assert_uint_eq(fake->alive("context"), 0);
    ck_assert_uint_eq(fake->alive("memory"), 0);
    ck_assert_uint_eq(fake->alive("stream"), 0);
}

static driver_address allocate(size_t size) {
    driver_address address = 0;

    WORKS(cu->cuMemAlloc_v2(&address, size));
    return address;
}

static struct CUstream_st *make_stream(unsigned flags) {
    struct CUstream_st *made = NULL;

    WORKS(cu->cuStreamCreateWithPriority(&made, flags, 0));
    return made;
}

static struct CUevent_st *make_event(unsigned flags) {
    struct CUevent_st *event = NULL;

    WORKS(cu->cuEventCreate(&event, flags));
    return event;
}

static struct CUfunc_st *load_function(const void *image, const char *name) {
    struct CUfunc_st *function = NULL;
    struct CUmod_st *module;

    WORKS(cu->cuModuleLoadData(&module, image));
    WORKS(cu->cuModuleGetFunction(&function, module, name));
    return function;
}

static unsigned launch(struct CUfunc_st *function, struct CUstream_st *into) {
    static driver_address data;
    static float factor;
    static unsigned count;
    void *arguments[] = {&data, &factor, &count};

    return cu->cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, into, arguments, NULL);
}

/* ---- Calls, contexts, memory --------------------------------------------------------------- */

START_TEST(contexts) {
    struct CUctx_st *popped, *other;
    int device;

    GIVES(DRIVER_ERROR_INVALID_VALUE, cu->cuInit(1));
    GIVES(DRIVER_ERROR_INVALID_DEVICE, cu->cuDeviceGet(&device, 2));
    GIVES(DRIVER_ERROR_INVALID_DEVICE, cu->cuDevicePrimaryCtxRetain(&other, 0)); /* an ordinal */
    WORKS(cu->cuDeviceGet(&device, 1));
    GIVES(DRIVER_ERROR_INVALID_CONTEXT, cu->cuDevicePrimaryCtxRelease_v2(device));
    WORKS(cu->cuCtxPopCurrent_v2(&popped));
    GIVES(DRIVER_ERROR_INVALID_CONTEXT, cu->cuCtxPopCurrent_v2(&popped));
    GIVES(DRIVER_ERROR_INVALID_CONTEXT, cu->cuCtxSynchronize());
    GIVES(DRIVER_ERROR_INVALID_CONTEXT, cu->cuStreamSynchronize(stream));
    GIVES(DRIVER_ERROR_INVALID_CONTEXT, cu->cuCtxPushCurrent_v2((struct CUctx_st *)stream));
    WORKS(cu->cuDevicePrimaryCtxRetain(&other, device));
    WORKS(cu->cuCtxSetCurrent(other));
    GIVES(DRIVER_ERROR_INVALID_HANDLE, cu->cuStreamSynchronize(stream)); /* of another device */
    WORKS(cu->cuDevicePrimaryCtxRelease_v2(device));
    GIVES(DRIVER_ERROR_CONTEXT_IS_DESTROYED, cu->cuCtxSynchronize());
    WORKS(cu->cuCtxSetCurrent(context));
    WORKS(cu->cuStreamSynchronize(stream));
}
END_TEST

START_TEST(calls_are_counted_and_fail_on_demand) {
    driver_address address;

    fake->reset();
    setenv("FAKE_CUDA_FAIL", "cuMemFree=1,cuMemAlloc@2=719", 1);
    WORKS(cu->cuMemAlloc_v2(&address, 8));
    GIVES(719, cu->cuMemAlloc_v2(&address, 8));
    GIVES(1, cu->cuMemFree_v2(address));
    WORKS(cu->cuMemAlloc_v2(&address, 8));
    ck_assert_uint_eq(fake->calls("cuMemAlloc_v2"), 3);
    ck_assert_uint_eq(fake->calls(NULL), 4);
    ck_assert_uint_eq(fake->violations(), 0);
}
END_TEST

START_TEST(memory) {
    driver_address address = allocate(8), none = 0;
    char bytes[16] = "";
    size_t left, total;

    GIVES(DRIVER_ERROR_INVALID_VALUE, cu->cuMemAlloc_v2(&none, 0));
    GIVES(DRIVER_ERROR_OUT_OF_MEMORY, cu->cuMemAlloc_v2(&none, (size_t)1 << 40));
    WORKS(cu->cuMemGetInfo_v2(&left, &total));
    ck_assert_uint_eq(total - left, 8);
    WORKS(cu->cuMemcpyHtoD_v2(address, bytes, 8));
    GIVES(DRIVER_ERROR_INVALID_VALUE, cu->cuMemcpyHtoD_v2(address, bytes, 9));
    GIVES(DRIVER_ERROR_INVALID_VALUE, cu->cuMemcpyDtoH_v2(bytes, address + 8, 1));
    GIVES(DRIVER_ERROR_INVALID_VALUE, cu->cuMemcpyDtoHAsync_v2(bytes, address + 1, 8, stream));
    GIVES(DRIVER_ERROR_INVALID_VALUE, cu->cuMemsetD8_v2(address - 1, 0, 4));
    GIVES(DRIVER_ERROR_INVALID_VALUE, cu->cuMemFree_v2(address + 1));
    GIVES(DRIVER_ERROR_INVALID_VALUE, cu->cuMemFree_v2((uintptr_t)bytes));
    WORKS(cu->cuMemFree_v2(address));
    GIVES(DRIVER_ERROR_INVALID_VALUE, cu->cuMemFree_v2(address));
    GIVES(DRIVER_ERROR_INVALID_VALUE, cu->cuMemcpyHtoD_v2(address, bytes, 1));
    ck_assert_uint_eq(fake->violations(), 8);
}
END_TEST

START_TEST(memory_freed_in_order) {
    driver_address address = 0;
    char bytes[8] = "";

    defer();
    WORKS(cu->cuMemAllocAsync(&address, 8, stream));
    WORKS(cu->cuMemcpyHtoDAsync_v2(address, bytes, 8, stream));
    WORKS(cu->cuMemFreeAsync(address, stream));
    GIVES(DRIVER_ERROR_INVALID_VALUE, cu->cuMemFreeAsync(address, stream));
    GIVES(DRIVER_ERROR_INVALID_VALUE, cu->cuMemcpyHtoDAsync_v2(address, bytes, 8, stream));
    ck_assert_uint_eq(fake->pending(), 2);
    WORKS(cu->cuStreamSynchronize(stream));
    ck_assert_uint_eq(fake->alive("memory"), 0);
}
END_TEST

/* What is freed too early is a fault on a GPU, of which the context does not recover. */
START_TEST(work_on_freed_memory_faults) {
    driver_address address = 0;
    char bytes[8] = "";

    defer();
    WORKS(cu->cuMemAllocAsync(&address, 8, stream));
    WORKS(cu->cuMemcpyHtoDAsync_v2(address, bytes, 8, stream));
    WORKS(cu->cuMemFree_v2(address)); /* does not wait for such memory */
    GIVES(DRIVER_ERROR_ILLEGAL_ADDRESS, cu->cuStreamSynchronize(stream));
    GIVES(DRIVER_ERROR_ILLEGAL_ADDRESS, cu->cuMemAlloc_v2(&address, 8));
    GIVES(DRIVER_ERROR_ILLEGAL_ADDRESS, cu->cuCtxSynchronize());
}
END_TEST

/* ---- Modules and launches ------------------------------------------------------------------ */

START_TEST(modules) {
    static const struct {
        int cubin, result;
    } CASES[] = {{90, 0}, {89, 209}, {80, 209}, {100, 209}};
    struct CUfunc_st *function;
    struct CUmod_st *module;
    struct CUlib_st *library;
    struct CUkern_st *kernel;
    char text[64] = "not a cubin";

    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        void *image = cubin_of_scale(CASES[i].cubin);

        GIVES((unsigned)CASES[i].result, cu->cuModuleLoadData(&module, image));
        if (CASES[i].result == 0)
            WORKS(cu->cuModuleUnload(module));
        free(image);
    }
    GIVES(DRIVER_ERROR_INVALID_IMAGE, cu->cuModuleLoadData(&module, text));
    GIVES(DRIVER_ERROR_INVALID_HANDLE, cu->cuModuleGetFunction(&function, module, "scale"));
    GIVES(DRIVER_ERROR_INVALID_HANDLE, cu->cuModuleUnload(module));
    WORKS(cu->cuLibraryLoadData(&library, cubin, NULL, NULL, 0, NULL, NULL, 0));
    GIVES(DRIVER_ERROR_NOT_FOUND, cu->cuLibraryGetKernel(&kernel, library, "other"));
    WORKS(cu->cuLibraryGetKernel(&kernel, library, "scale"));
    WORKS(cu->cuKernelGetFunction(&function, kernel));
    WORKS(launch(function, stream));
    WORKS(launch((struct CUfunc_st *)kernel, stream)); /* stands for its function */
    WORKS(cu->cuLibraryUnload(library));
    GIVES(DRIVER_ERROR_INVALID_HANDLE, launch(function, stream));
    GIVES(DRIVER_ERROR_INVALID_HANDLE, cu->cuKernelGetFunction(&function, kernel));
}
END_TEST

START_TEST(a_newer_minor_runs_older_code) {
    void *image = cubin_of_scale(80);
    struct CUmod_st *module;
    struct CUctx_st *other;
    int device;

    setenv("FAKE_CUDA_SM", "90,86", 1);
    fake->reset();
    WORKS(cu->cuDeviceGet(&device, 1));
    WORKS(cu->cuDevicePrimaryCtxRetain(&other, device));
    WORKS(cu->cuCtxSetCurrent(other));
    WORKS(cu->cuModuleLoadData(&module, image));
    GIVES(DRIVER_ERROR_NO_BINARY_FOR_GPU, cu->cuModuleLoadData(&module, cubin));
    WORKS(cu->cuDevicePrimaryCtxRelease_v2(device));
    free(image);
}
END_TEST

START_TEST(launches) {
    static const struct {
        unsigned grid[3], block[3], shared, result;
    } CASES[] = {
        {{1, 1, 1}, {128, 1, 1}, 0, 0},
        {{0, 1, 1}, {1, 1, 1}, 0, 1},
        {{1, 1, 1}, {1, 1, 0}, 0, 1},
        {{1, 65536, 1}, {1, 1, 1}, 0, 1},
        {{1, 1, 65536}, {1, 1, 1}, 0, 1},
        {{0x80000000u, 1, 1}, {1, 1, 1}, 0, 1},
        {{1, 1, 1}, {129, 1, 1}, 0, 1}, /* more than its launch bounds */
        {{1, 1, 1}, {1, 1, 65}, 0, 1},
        {{1, 1, 1}, {1, 1, 1}, 48 * 1024 - 256, 0},
        {{1, 1, 1}, {1, 1, 1}, 48 * 1024 - 255, 1}, /* with what it has of its own */
    };
    const struct cubin_kernel KERNELS[] = {
        {.name = "bound", .sizes = {4}, .max_threads = 128, .static_shared = 256},
        {.name = "large", .registers = 255}};
    size_t size;
    void *image = cubin_of(90, KERNELS, 2, &size);
    struct CUfunc_st *function = load_function(image, "bound"), *large;
    int value = 5;
    void *arguments[] = {&value}, *none[] = {NULL};

    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        const unsigned *grid = CASES[i].grid, *block = CASES[i].block;

        GIVES(CASES[i].result,
              cu->cuLaunchKernel(function, grid[0], grid[1], grid[2], block[0], block[1], block[2],
                                 CASES[i].shared, stream, arguments, NULL));
    }
    GIVES(1, cu->cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, stream, NULL, NULL));
    GIVES(1, cu->cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, stream, none, NULL));
    GIVES(1, cu->cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, stream, arguments, arguments));
    WORKS(cu->cuFuncSetAttribute(function, DRIVER_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                 100 * 1024));
    WORKS(cu->cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 100 * 1024, stream, arguments, NULL));
    GIVES(1, cu->cuFuncSetAttribute(function, DRIVER_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                    227 * 1024));
    large = load_function(image, "large");
    WORKS(cu->cuLaunchKernel(large, 1, 1, 1, 256, 1, 1, 0, stream, NULL, NULL));
    GIVES(DRIVER_ERROR_LAUNCH_OUT_OF_RESOURCES,
          cu->cuLaunchKernel(large, 1, 1, 1, 512, 1, 1, 0, stream, NULL, NULL));
    ck_assert_uint_eq(fake->launches(), 4);
    ck_assert_str_eq(fake->launch(3)->kernel, "large");
    ck_assert_uint_eq(fake->launch(3)->block[0], 256);
    ck_assert_uint_eq(fake->launch(0)->parameter_count, 1);
    free(image);
}
END_TEST

/* ---- Streams and events -------------------------------------------------------------------- */

static void note_call(void *data) {
    driver_address address;

    *(unsigned *)data = cu->cuMemAlloc_v2(&address, 8);
}

START_TEST(streams) {
    struct CUfunc_st *function = load_function(cubin, "scale");
    struct CUstream_st *blocking = make_stream(0), *gone = make_stream(0);
    unsigned code = 12345, flags = 0;
    driver_address address = allocate(1);
    char byte = 7, back = 0;
    int priority;

    defer();
    WORKS(cu->cuStreamDestroy_v2(gone));
    GIVES(DRIVER_ERROR_INVALID_HANDLE, cu->cuStreamSynchronize(gone));
    GIVES(DRIVER_ERROR_INVALID_HANDLE, cu->cuStreamDestroy_v2(gone));
    GIVES(DRIVER_ERROR_INVALID_VALUE, cu->cuStreamCreateWithPriority(&gone, 2, 0));
    WORKS(cu->cuStreamCreateWithPriority(&gone, 0, -99));
    WORKS(cu->cuStreamGetPriority(gone, &priority));
    ck_assert_int_eq(priority, -5);
    WORKS(cu->cuStreamGetFlags(stream, &flags));
    ck_assert_uint_eq(flags, DRIVER_STREAM_NON_BLOCKING);
    /* In order, and when something waits. */
    WORKS(launch(function, stream));
    WORKS(cu->cuLaunchHostFunc(stream, note_call, &code));
    ck_assert_uint_eq(fake->launches(), 0);
    GIVES(DRIVER_ERROR_NOT_READY, cu->cuStreamQuery(stream));
    ck_assert_uint_eq(fake->launches(), 1);
    ck_assert_uint_eq(code, 12345);
    GIVES(DRIVER_ERROR_NOT_READY, cu->cuStreamQuery(stream));
    WORKS(cu->cuStreamQuery(stream));
    ck_assert_uint_eq(code, DRIVER_ERROR_NOT_PERMITTED); /* a host function calls nothing */
    /* A copy without a stream comes after blocking streams, and not after others. */
    WORKS(cu->cuMemcpyHtoDAsync_v2(address, &byte, 1, blocking));
    WORKS(cu->cuMemcpyDtoH_v2(&back, address, 1));
    ck_assert_int_eq(back, 7);
    WORKS(cu->cuMemsetD8Async(address, 9, 1, stream));
    WORKS(cu->cuMemcpyDtoH_v2(&back, address, 1));
    ck_assert_int_eq(back, 7);
    ck_assert_uint_eq(fake->pending(), 1);
    WORKS(cu->cuCtxSynchronize());
    ck_assert_uint_eq(fake->pending(), 0);
}
END_TEST

START_TEST(events) {
    struct CUevent_st *first = make_event(0), *second = make_event(0);
    struct CUevent_st *untimed = make_event(DRIVER_EVENT_DISABLE_TIMING), *foreign;
    struct CUctx_st *other;
    float elapsed;
    int device;

    defer();
    WORKS(cu->cuEventQuery(first)); /* never recorded: nothing to wait for */
    WORKS(cu->cuStreamWaitEvent(stream, first, 0));
    GIVES(DRIVER_ERROR_INVALID_HANDLE, cu->cuEventElapsedTime(&elapsed, first, second));
    WORKS(cu->cuStreamSynchronize(stream));
    WORKS(cu->cuEventRecord(first, stream));
    WORKS(cu->cuEventRecord(second, stream));
    WORKS(cu->cuEventRecord(untimed, stream));
    GIVES(DRIVER_ERROR_NOT_READY, cu->cuEventElapsedTime(&elapsed, first, second));
    GIVES(DRIVER_ERROR_NOT_READY, cu->cuEventQuery(untimed));
    WORKS(cu->cuEventSynchronize(untimed));
    WORKS(cu->cuEventElapsedTime(&elapsed, first, second));
    GIVES(DRIVER_ERROR_INVALID_HANDLE, cu->cuEventElapsedTime(&elapsed, first, untimed));
    WORKS(cu->cuEventDestroy_v2(first));
    GIVES(DRIVER_ERROR_INVALID_HANDLE, cu->cuEventRecord(first, stream));
    WORKS(cu->cuDeviceGet(&device, 1));
    WORKS(cu->cuDevicePrimaryCtxRetain(&other, device));
    WORKS(cu->cuCtxPushCurrent_v2(other));
    foreign = make_event(0);
    WORKS(cu->cuCtxPopCurrent_v2(&other));
    GIVES(DRIVER_ERROR_INVALID_HANDLE, cu->cuEventRecord(foreign, stream));
    WORKS(cu->cuStreamWaitEvent(stream, foreign, 0)); /* may be of another device */
    WORKS(cu->cuDevicePrimaryCtxRelease_v2(device));
}
END_TEST

/* ---- Captures ------------------------------------------------------------------------------ */

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
    return launch(given.function, stream);
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
    return launch(given.function, NULL);
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
    given.address = allocate(8);
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
        GIVES(DRIVER_ERROR_STREAM_CAPTURE_INVALIDATED, launch(given.function, stream));
        GIVES(DRIVER_ERROR_STREAM_CAPTURE_INVALIDATED, cu->cuStreamEndCapture(stream, &graph));
        ck_assert_ptr_null(graph);
    } else {
        WORKS(cu->cuStreamEndCapture(stream, &graph));
        WORKS(cu->cuGraphDestroy(graph));
    }
    WORKS(launch(given.function, stream)); /* as usable as before */
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
        WORKS(launch(given.function, stream));
        WORKS(cu->cuEventRecord(fork, stream));
        WORKS(cu->cuStreamWaitEvent(second, fork, 0));
        WORKS(launch(given.function, second));
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
    WORKS(launch(given.function, second));
    WORKS(cu->cuEventRecord(event, second));
    GIVES(DRIVER_ERROR_STREAM_CAPTURE_MERGE, cu->cuStreamWaitEvent(stream, event, 0));
    GIVES(DRIVER_ERROR_STREAM_CAPTURE_INVALIDATED, cu->cuStreamEndCapture(stream, &graph));
    GIVES(DRIVER_ERROR_STREAM_CAPTURE_INVALIDATED, cu->cuStreamEndCapture(second, &graph));
    /* The legacy stream waits for blocking streams. */
    WORKS(cu->cuStreamBeginCapture_v2(given.blocking, 2));
    GIVES(DRIVER_ERROR_STREAM_CAPTURE_IMPLICIT, cu->cuStreamIsCapturing(NULL, &status));
    WORKS(launch(given.function, given.blocking));
    GIVES(DRIVER_ERROR_STREAM_CAPTURE_IMPLICIT, launch(given.function, NULL));
    GIVES(DRIVER_ERROR_STREAM_CAPTURE_INVALIDATED, cu->cuStreamEndCapture(given.blocking, &graph));
    WORKS(cu->cuStreamBeginCapture_v2(given.blocking, 2));
    GIVES(DRIVER_ERROR_STREAM_CAPTURE_IMPLICIT, call_copy());
    GIVES(DRIVER_ERROR_STREAM_CAPTURE_UNSUPPORTED, cu->cuStreamDestroy_v2(given.blocking));
    GIVES(DRIVER_ERROR_STREAM_CAPTURE_INVALIDATED, cu->cuStreamEndCapture(given.blocking, &graph));
}
END_TEST

/* ---- Graphs -------------------------------------------------------------------------------- */

enum form { ONE_KERNEL, TWO_KERNELS, KERNEL_AND_FILL, CHILD };

static struct CUgraph_st *capture(enum form form, struct CUgraphExec_st *child) {
    struct CUgraph_st *graph = NULL;

    WORKS(cu->cuStreamBeginCapture_v2(stream, 1));
    WORKS(launch(given.function, stream));
    if (form == TWO_KERNELS)
        WORKS(launch(given.function, stream));
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

/* ---- Green contexts ------------------------------------------------------------------------ */

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
    GIVES(DRIVER_ERROR_INVALID_HANDLE, launch(load_function(cubin, "scale"), made));
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
    Suite *suite = suite_create("fake_cuda");
    TCase *tests = tcase_create("fake_cuda"), *last = tcase_create("lost");

    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, contexts);
    tcase_add_test(tests, calls_are_counted_and_fail_on_demand);
    tcase_add_test(tests, memory);
    tcase_add_test(tests, memory_freed_in_order);
    tcase_add_test(tests, work_on_freed_memory_faults);
    tcase_add_test(tests, modules);
    tcase_add_test(tests, a_newer_minor_runs_older_code);
    tcase_add_test(tests, launches);
    tcase_add_test(tests, streams);
    tcase_add_test(tests, events);
    tcase_add_loop_test(tests, calls_that_break_a_capture, 0,
                        3 * (int)(sizeof(CALLS) / sizeof(*CALLS)));
    tcase_add_loop_test(tests, captures_and_other_threads, 0, 9);
    tcase_add_test(tests, captures_begin_and_end);
    tcase_add_test(tests, forks_have_to_be_joined);
    tcase_add_test(tests, captures_stay_apart);
    tcase_add_test(tests, graphs);
    tcase_add_test(tests, graphs_need_their_modules);
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(last, begin, NULL); /* one stream is lost for good */
    tcase_add_test(last, green_contexts);
    suite_add_tcase(suite, last);
    return run_suite(suite);
}
