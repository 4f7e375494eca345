/* SPDX-License-Identifier: Apache-2.0 */
/* The double of the CUDA driver refuses what the driver refuses: contexts, memory, modules,
 * streams. */
#include <stdlib.h>

#include "cubin_empty.h"
#include "harness.h"
#include "rules_help.h"

/* ---- Calls, contexts, memory ------------------------------------------------------------- */

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
    driver_address address = allocate_bytes(8), none = 0;
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

    defer_work();
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

    defer_work();
    WORKS(cu->cuMemAllocAsync(&address, 8, stream));
    WORKS(cu->cuMemcpyHtoDAsync_v2(address, bytes, 8, stream));
    WORKS(cu->cuMemFree_v2(address)); /* does not wait for such memory */
    GIVES(DRIVER_ERROR_ILLEGAL_ADDRESS, cu->cuStreamSynchronize(stream));
    GIVES(DRIVER_ERROR_ILLEGAL_ADDRESS, cu->cuMemAlloc_v2(&address, 8));
    GIVES(DRIVER_ERROR_ILLEGAL_ADDRESS, cu->cuCtxSynchronize());
}
END_TEST

/* ---- Modules and launches ---------------------------------------------------------------- */

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
    WORKS(launch_one(function, stream));
    WORKS(launch_one((struct CUfunc_st *)kernel, stream)); /* stands for its function */
    WORKS(cu->cuLibraryUnload(library));
    GIVES(DRIVER_ERROR_INVALID_HANDLE, launch_one(function, stream));
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
    ck_assert_uint_ne(fake->image(image), 0);
    ck_assert_uint_ne(fake->image(image), fake->image(cubin));
    ck_assert_uint_eq(fake->launch(3)->image, fake->image(image));
    free(image);
}
END_TEST

/* ---- Streams and events ------------------------------------------------------------------ */

static void note_call(void *data) {
    driver_address address;

    *(unsigned *)data = cu->cuMemAlloc_v2(&address, 8);
}

START_TEST(streams) {
    struct CUfunc_st *function = load_function(cubin, "scale");
    struct CUstream_st *blocking = make_stream(0), *gone = make_stream(0);
    unsigned code = 12345, flags = 0;
    driver_address address = allocate_bytes(1);
    char byte = 7, back = 0;
    int priority;

    defer_work();
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
    WORKS(launch_one(function, stream));
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

    defer_work();
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

int main(void) {
    Suite *suite = suite_create("fake_cuda");
    TCase *tests = tcase_create("fake_cuda");

    tcase_add_checked_fixture(tests, rules_set_up, rules_tear_down);
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
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
