/* SPDX-License-Identifier: Apache-2.0 */
/* The layer over the CUDA driver, with the driver's double. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cubin_empty.h"
#include "driver/event.h"
#include "driver/launch.h"
#include "driver/stream.h"
#include "driver_help.h"
#include "harness.h"

/* ---- The driver -------------------------------------------------------------------------- */

START_TEST(opens_once) {
    const struct driver *driver, *again;

    ck_ok(driver_open(&driver, &error), &error);
    ck_ok(driver_open(&again, &error), &error);
    ck_assert_ptr_eq(driver, again);
    ck_assert_int_eq(driver->version, 13000);
    ck_assert_ptr_nonnull(strstr(driver->path, "fake_cuda.so"));
    ck_assert_ptr_nonnull(driver->api.cuStreamGetDevice);
    if (tests_are_apart())
        ck_assert_uint_eq(fake->calls("cuInit"), 1);
}
END_TEST

START_TEST(takes_of_an_old_driver_what_it_has) {
    static const struct {
        const char *version;
        bool async, library, green, device;
    } CASES[] = {
        {"11000", false, false, false, false}, /* and no cuGetProcAddress */
        {"11020", true, false, false, false},  {"12000", true, true, false, false},
        {"12050", true, true, true, false},    {"12080", true, true, true, true},
    };
    const struct driver *driver;

    if (!tests_are_apart())
        return;
    setenv("FAKE_CUDA_VERSION", CASES[_i].version, 1);
    ck_ok(driver_open(&driver, &error), &error);
    ck_assert_int_eq(driver->api.cuMemAllocAsync != NULL, CASES[_i].async);
    ck_assert_int_eq(driver->api.cuLibraryLoadData != NULL, CASES[_i].library);
    ck_assert_int_eq(driver->api.cuGraphExecUpdate_v2 != NULL, CASES[_i].library);
    ck_assert_int_eq(driver->api.cuGreenCtxCreate != NULL, CASES[_i].green);
    ck_assert_int_eq(driver->api.cuStreamGetCtx_v2 != NULL, CASES[_i].green);
    ck_assert_int_eq(driver->api.cuStreamGetDevice != NULL, CASES[_i].device);
    ck_assert_ptr_nonnull(driver->api.cuStreamGetCtx);
    /* The older form, not the newest under the same name. */
    ck_assert(driver->api.cuGraphExecUpdate != (void *)driver->api.cuGraphExecUpdate_v2);
}
END_TEST

START_TEST(names_what_a_driver_lacks) {
    const struct driver *driver;

    if (!tests_are_apart())
        return;
    setenv("CUBBY_CUDA", TEST_DOUBLES "/fake_culink.so", 1);
    assert_failure(driver_open(&driver, &error), CUBBY_ERR_NO_DRIVER,
                   "lacks cuDeviceGetCount: it is too old");
    use_fake_cuda(); /* a failure is not remembered */
    ck_ok(driver_open(&driver, &error), &error);
    assert_failure(driver_lacks(driver, "cuStreamGetCtx_v2", &error), CUBBY_ERR_UNSUPPORTED,
                   "of CUDA 13.0 and lacks cuStreamGetCtx, which came with CUDA 12.5");
}
END_TEST

START_TEST(says_what_an_error_means) {
    static const struct {
        unsigned code;
        int expected;
        const char *text;
    } CASES[] = {
        {1, CUBBY_ERR_INVALID, "cuMemAlloc failed: CUDA_ERROR_INVALID_VALUE (1): "},
        {2, CUBBY_ERR_NO_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY (2): the GPU or the driver is out of"},
        {3, CUBBY_ERR_NO_DRIVER, "forked child"},
        {100, CUBBY_ERR_NO_DRIVER, "CUDA_VISIBLE_DEVICES"},
        {200, CUBBY_ERR_CORRUPT, "compile it anew"},
        {209, CUBBY_ERR_UNSUPPORTED, "another architecture"},
        {500, CUBBY_ERR_NOT_FOUND, "CUDA_ERROR_NOT_FOUND"},
        {600, CUBBY_ERR_BUSY, "still running"},
        {700, CUBBY_ERR_INVALID, "can no longer use that device"},
        {801, CUBBY_ERR_UNSUPPORTED, "does not support"},
        {901, CUBBY_ERR_INVALID, "broke the capture"},
        {914, CUBBY_ERR_INVALID, "CUDA_ERROR_INVALID_RESOURCE_TYPE"},
        {77777, CUBBY_ERR_IO, "CUDA error (77777): the driver tells no more"},
    };
    const struct driver *driver;

    ck_ok(driver_open(&driver, &error), &error);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        int result = driver_fail(driver, "cuMemAlloc_v2", CASES[i].code, &error);

        ck_assert_int_eq(error.tool_error, (int)CASES[i].code);
        assert_failure(result, CASES[i].expected, CASES[i].text);
        ck_assert_int_eq(driver_fail(driver, "cuMemAlloc_v2", CASES[i].code, NULL),
                         CASES[i].expected);
    }
    /* The first error wins, its number too. */
    driver_fail(driver, "cuMemAlloc_v2", 2, &error);
    driver_fail(driver, "cuMemFree_v2", 700, &error);
    ck_assert_int_eq(error.tool_error, 2);
    assert_failure(error.code, CUBBY_ERR_NO_MEMORY, "cuMemAlloc");
}
END_TEST

static void *open_in_thread(void *result) {
    const struct driver *driver = NULL;

    driver_open(&driver, NULL);
    *(const struct driver **)result = driver;
    return NULL;
}

START_TEST(opens_in_many_threads) {
    const struct driver *results[8] = {NULL};
    pthread_t threads[8];

    for (size_t i = 0; i < 8; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, open_in_thread, &results[i]), 0);
    for (size_t i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < 8; i++)
        ck_assert(results[i] != NULL && results[i] == results[0]);
    if (tests_are_apart())
        ck_assert_uint_eq(fake->calls("cuInit"), 1);
}
END_TEST

START_TEST(a_forked_child_is_told) {
    struct device_context *context = open_context(0);
    struct cubby_device device;
    int status;
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(cubby_device_find(&device, &error) == CUBBY_ERR_NO_DRIVER &&
                      strstr(error.message, "forked child")
                  ? 0
                  : 1);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    device_context_unref(context);
}
END_TEST

/* ---- Devices and contexts ---------------------------------------------------------------- */

START_TEST(describes_devices) {
    struct device_context *first, *second, *again;

    setenv("FAKE_CUDA_DEVICES", "2", 1);
    setenv("FAKE_CUDA_SM", "90,86", 1);
    first = open_context(0);
    second = open_context(1);
    again = open_context(1);
    ck_assert_ptr_eq(second, again);
    ck_assert_str_eq(first->device.arch, "sm_90");
    ck_assert_str_eq(second->device.arch, "sm_86");
    ck_assert_str_eq(second->device.name, "Fake GPU 1");
    ck_assert_int_eq(second->device.uuid[0], '2'); /* the form of CUDA 11.4 */
    ck_assert_int_eq(second->device.uuid[1], 1);
    ck_assert_int_eq(first->device.multiprocessors, 132);
    ck_assert_int_eq(first->device.max_grid[1], 65535);
    ck_assert_int_eq(first->device.max_shared_optin, 227 * 1024);
    assert_failure(device_context_get(2, &again, &error), CUBBY_ERR_INVALID,
                   "there is no device 2: the CUDA driver found 2");
    assert_failure(device_context_get(-1, &again, &error), CUBBY_ERR_INVALID, "no device -1");
    device_context_unref(second);
    device_context_unref(second);
    device_context_unref(first);
    device_context_unref(NULL);
    ck_assert_uint_eq(fake->calls("cuDevicePrimaryCtxRetain"), 2);
    ck_assert_uint_eq(fake->calls("cuDevicePrimaryCtxRelease_v2"), 2);
}
END_TEST

START_TEST(brings_back_what_was_current) {
    struct device_context *context, *other;
    struct CUctx_st *current = NULL;

    setenv("FAKE_CUDA_DEVICES", "2", 1);
    context = open_context(0);
    other = open_context(1);
    ck_ok(device_context_enter(other, &error), &error);
    ck_ok(device_context_enter(context, &error), &error);
    ck_ok(device_context_sync(other, &error), &error);
    context->driver->api.cuCtxGetCurrent(&current);
    ck_assert_ptr_eq(current, context->handle);
    device_context_leave(context);
    context->driver->api.cuCtxGetCurrent(&current);
    ck_assert_ptr_eq(current, other->handle);
    device_context_leave(other);
    context->driver->api.cuCtxGetCurrent(&current);
    ck_assert_ptr_null(current);
    device_context_unref(context);
    device_context_unref(other);
}
END_TEST

/* ---- Memory ------------------------------------------------------------------------------ */

START_TEST(copies_there_and_back) {
    struct device_context *context = open_context(0);
    struct device_memory *memory;
    struct device_stream *stream;
    char text[8] = "", back[8] = "";

    ck_ok(device_stream_new(context, 0, &stream, &error), &error);
    ck_ok(device_memory_new(context, 8, NULL, &memory, &error), &error);
    ck_ok(device_memory_write(memory, 0, "abcdefg", 8, NULL, &error), &error);
    ck_ok(device_memory_read(memory, 2, text, 3, NULL, &error), &error);
    ck_assert_str_eq(text, "cde");
    ck_ok(device_memory_write(memory, 3, "XY", 2, stream->handle, &error), &error);
    ck_ok(device_memory_read(memory, 0, back, 8, stream->handle, &error), &error);
    ck_ok(device_context_sync(context, &error), &error);
    ck_assert_str_eq(back, "abcXYfg");
    ck_ok(device_memory_fill(memory, 'z', NULL, &error), &error);
    ck_ok(device_memory_read(memory, 5, text, 3, NULL, &error), &error);
    ck_assert_int_eq(memcmp(text, "zzz", 3), 0);
    assert_failure(device_memory_write(memory, 7, "ab", 2, NULL, &error), CUBBY_ERR_INVALID,
                   "2 bytes at byte 7 reaches past the end of device memory of 8 bytes");
    assert_failure(device_memory_read(memory, 9, text, (size_t)-1, NULL, &error), CUBBY_ERR_INVALID,
                   "past the end");
    device_memory_free(memory);
    device_memory_free(NULL);
    device_stream_free(stream);
    device_context_unref(context);
}
END_TEST

START_TEST(tells_that_memory_is_short) {
    struct device_context *context;
    struct device_memory *memory = NULL;

    setenv("FAKE_CUDA_MEMORY", "1000", 1);
    context = open_context(0);
    assert_failure(device_memory_new(context, 1001, NULL, &memory, &error), CUBBY_ERR_NO_MEMORY,
                   "1001 bytes on device 0: cuMemAlloc failed: CUDA_ERROR_OUT_OF_MEMORY");
    assert_failure(device_memory_new(context, 0, NULL, &memory, &error), CUBBY_ERR_INVALID,
                   "0 bytes on device 0");
    ck_assert_ptr_null(memory);
    device_context_unref(context);
}
END_TEST

START_TEST(allocates_in_order) {
    struct device_context *context;
    struct device_memory *memory;
    struct device_stream *stream;

    setenv("FAKE_CUDA_DEFER", "1", 1);
    fake->reset();
    context = open_context(0);
    ck_ok(device_stream_new(context, 0, &stream, &error), &error);
    ck_ok(device_memory_new(context, 64, stream->handle, &memory, &error), &error);
    ck_ok(device_memory_fill(memory, 1, stream->handle, &error), &error);
    device_memory_free(memory);
    ck_assert_uint_eq(fake->alive("memory"), 1); /* until the stream comes to it */
    ck_ok(device_context_sync(context, &error), &error);
    ck_assert_uint_eq(fake->alive("memory"), 0);
    device_stream_free(stream);
    device_context_unref(context);
}
END_TEST

START_TEST(an_old_driver_does_not_allocate_in_order) {
    struct device_context *context;
    struct device_memory *memory;
    struct device_stream *stream;

    if (!tests_are_apart())
        return;
    setenv("FAKE_CUDA_VERSION", "11000", 1);
    context = open_context(0);
    ck_ok(device_stream_new(context, 0, &stream, &error), &error);
    assert_failure(device_memory_new(context, 64, stream->handle, &memory, &error),
                   CUBBY_ERR_UNSUPPORTED, "lacks cuMemAllocAsync, which came with CUDA 11.2");
    ck_assert_int_eq(context->device.uuid[0], '1');
    device_stream_free(stream);
    device_context_unref(context);
}
END_TEST

/* ---- Modules and launches ---------------------------------------------------------------- */

START_TEST(runs_a_kernel) {
    float numbers[100], factor = 3;
    struct device_context *context;
    struct device_memory *memory;
    struct device_stream *stream;
    struct loaded_module *module;
    struct CUfunc_st *function;
    void *cubin = cubin_of_scale(90);

    if (choose_version(_i)) {
        context = open_context(0);
        module = load_cubin(context, cubin, 1);
        fake->attach("scale", run_scale, NULL);
        for (size_t i = 0; i < 100; i++)
            numbers[i] = (float)i;
        ck_ok(device_stream_new(context, 0, &stream, &error), &error);
        ck_ok(device_memory_new(context, sizeof(numbers), NULL, &memory, &error), &error);
        ck_ok(loaded_module_function(module, "scale", NULL, &function, &error), &error);
        ck_ok(device_context_enter(context, &error), &error);
        ck_ok(device_memory_write(memory, 0, numbers, sizeof(numbers), stream->handle, &error),
              &error);
        ck_ok(launch_scale(context, function, memory, factor, stream->handle), &error);
        ck_ok(device_memory_read(memory, 0, numbers, sizeof(numbers), stream->handle, &error),
              &error);
        ck_ok(stream_sync(context->driver, stream->handle, &error), &error);
        device_context_leave(context);
        for (size_t i = 0; i < 100; i++)
            ck_assert_float_eq(numbers[i], (float)(3 * i));
        ck_assert_uint_eq(fake->launches(), 1);
        ck_assert_str_eq(fake->launch(0)->kernel, "scale");
        ck_assert_uint_eq(fake->launch(0)->grid[0], 4);
        device_memory_free(memory);
        device_stream_free(stream);
        loaded_module_unref(module);
        device_context_unref(context);
    }
    free(cubin);
}
END_TEST

START_TEST(loads_a_module_once_per_device) {
    struct device_context *first, *second;
    struct loaded_module *modules[4];
    void *cubin = cubin_of_scale(80);

    setenv("FAKE_CUDA_DEVICES", "2", 1);
    setenv("FAKE_CUDA_SM", "80", 1);
    if (choose_version(_i)) {
        const char *call = _i == 0 ? "cuLibraryLoadData" : "cuModuleLoadData";

        first = open_context(0);
        second = open_context(1);
        modules[0] = load_cubin(first, cubin, 1);
        modules[1] = load_cubin(first, cubin, 1);
        modules[2] = load_cubin(second, cubin, 1);
        modules[3] = load_cubin(first, cubin, 2);
        ck_assert_ptr_eq(modules[0], modules[1]);
        ck_assert_ptr_ne(modules[0], modules[2]);
        ck_assert_ptr_ne(modules[0], modules[3]);
        ck_assert_uint_eq(fake->calls(call), 3);
        device_context_unref(second); /* its module holds it */
        for (size_t i = 0; i < 4; i++)
            loaded_module_unref(modules[i]);
        loaded_module_unref(NULL);
        device_context_unref(first);
    }
    free(cubin);
}
END_TEST

START_TEST(refuses_modules_that_do_not_fit) {
    struct cubby_key key = key_of(1);
    struct device_context *context;
    struct loaded_module *module;
    struct CUfunc_st *function;
    void *other = cubin_of_scale(80), *cubin = cubin_of_scale(90);

    if (choose_version(_i)) {
        setenv("FAKE_CUDA_EAGER", "1", 1);
        context = open_context(0);
        assert_failure(loaded_module_get(context, &key, other, &module, &error),
                       CUBBY_ERR_UNSUPPORTED, "NO_BINARY_FOR_GPU (209): the module was compiled");
        assert_failure(loaded_module_get(context, &key,
                                         "no cubin, but text, long enough for all "
                                         "that would look into it",
                                         &module, &error),
                       CUBBY_ERR_CORRUPT, "CUDA_ERROR_INVALID_IMAGE");
        module = load_cubin(context, cubin, 1); /* what failed is not remembered */
        assert_failure(loaded_module_function(module, "nothing", NULL, &function, &error),
                       CUBBY_ERR_NOT_FOUND, "kernel \"nothing\" on device 0: ");
        loaded_module_unref(module);
        unsetenv("FAKE_CUDA_EAGER");
        fake->reset();
        if (_i == 0) { /* told only where the kernel is asked for */
            module = load_cubin(context, other, 1);
            assert_failure(loaded_module_function(module, "scale", NULL, &function, &error),
                           CUBBY_ERR_UNSUPPORTED, "kernel \"scale\" on device 0: cuKernelGetFunc");
            loaded_module_unref(module);
        }
        device_context_unref(context);
    }
    free(cubin);
    free(other);
}
END_TEST

START_TEST(names_the_kernel_that_cannot_be_launched) {
    struct device_context *context = open_context(0);
    struct loaded_module *module;
    struct device_stream *stream;
    struct CUfunc_st *function;
    void *cubin = cubin_of_scale(90);
    struct kernel_launch launch = {"scale", NULL, {1, 70000, 1}, {32, 1, 1}, 0, NULL};

    module = load_cubin(context, cubin, 1);
    ck_ok(device_stream_new(context, -1, &stream, &error), &error);
    ck_ok(loaded_module_function(module, "scale", NULL, &function, &error), &error);
    launch.function = function;
    ck_ok(device_context_enter(context, &error), &error);
    assert_failure(kernel_launch(context, &launch, stream->handle, &error), CUBBY_ERR_INVALID,
                   "kernel \"scale\" on device 0 (grid 1 x 70000 x 1, block 32 x 1 x 1, 0 bytes of "
                   "shared memory): cuLaunchKernel failed: CUDA_ERROR_INVALID_VALUE (1)");
    ck_ok(kernel_allow_shared(context, "scale", function, 100, &error), &error);
    ck_assert_uint_eq(fake->calls("cuFuncSetAttribute"), 0);
    ck_ok(kernel_allow_shared(context, "scale", function, 100 * 1024, &error), &error);
    ck_assert_uint_eq(fake->calls("cuFuncSetAttribute"), 1);
    assert_failure(kernel_allow_shared(context, "scale", function, 300 * 1024, &error),
                   CUBBY_ERR_INVALID,
                   "307200 bytes of dynamic shared memory and 0 of its own, but a block");
    device_context_leave(context);
    device_stream_free(stream);
    loaded_module_unref(module);
    device_context_unref(context);
    free(cubin);
}
END_TEST

static void *use_in_thread(void *cubin) {
    struct device_context *context;
    struct loaded_module *module;
    struct device_memory *memory;
    struct device_stream *stream;
    struct CUfunc_st *function;
    struct cubby_key key = key_of(7);
    float number = 1, factor = 2;
    unsigned count = 1;
    bool ok = true;

    for (int i = 0; i < 20 && ok; i++) {
        ok = device_context_get(0, &context, NULL) == 0 &&
             loaded_module_get(context, &key, cubin, &module, NULL) == 0 &&
             loaded_module_function(module, "scale", NULL, &function, NULL) == 0 &&
             device_stream_new(context, 0, &stream, NULL) == 0 &&
             device_memory_new(context, sizeof(number), NULL, &memory, NULL) == 0 &&
             device_context_enter(context, NULL) == 0;
        if (!ok)
            break;
        void *arguments[] = {&memory->address, &factor, &count};
        const struct kernel_launch launch = {"scale", function, {1, 1, 1}, {1, 1, 1}, 0, arguments};

        number = 21;
        ok = device_memory_write(memory, 0, &number, sizeof(number), stream->handle, NULL) == 0 &&
             kernel_launch(context, &launch, stream->handle, NULL) == 0 &&
             device_memory_read(memory, 0, &number, sizeof(number), stream->handle, NULL) == 0 &&
             stream_sync(context->driver, stream->handle, NULL) == 0 && number == 42;
        device_context_leave(context);
        device_memory_free(memory);
        device_stream_free(stream);
        loaded_module_unref(module);
        device_context_unref(context);
    }
    return ok ? cubin : NULL;
}

START_TEST(many_threads_share_a_device) {
    void *cubin = cubin_of_scale(90), *result;
    pthread_t threads[6];

    if (_i == 1)
        setenv("FAKE_CUDA_DEFER", "1", 1);
    fake->reset();
    fake->attach("scale", run_scale, NULL);
    for (size_t i = 0; i < 6; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use_in_thread, cubin), 0);
    for (size_t i = 0; i < 6; i++) {
        pthread_join(threads[i], &result);
        ck_assert_ptr_eq(result, cubin);
    }
    ck_assert_uint_eq(fake->launches(), 120);
    free(cubin);
}
END_TEST

/* ---- Streams and events ------------------------------------------------------------------ */

START_TEST(finds_the_device_of_a_stream) {
    static const char *const VERSIONS[] = {"13000", "12050", "11000"};
    struct device_context *first, *second;
    struct device_stream *stream;
    int device = -1;

    if (_i > 0 && !tests_are_apart())
        return;
    setenv("FAKE_CUDA_VERSION", VERSIONS[_i], 1);
    setenv("FAKE_CUDA_DEVICES", "2", 1);
    first = open_context(0);
    second = open_context(1);
    ck_ok(device_stream_new(second, 0, &stream, &error), &error);
    ck_ok(stream_find_device(first->driver, stream->handle, &device, &error), &error);
    ck_assert_int_eq(device, second->device.handle);
    ck_assert_uint_eq(fake->calls("cuStreamGetDevice"), _i == 0);
    ck_assert_uint_eq(fake->calls("cuStreamGetCtx_v2"), _i == 1);
    ck_assert_uint_eq(fake->calls("cuStreamGetCtx"), _i == 2);
    assert_failure(stream_find_device(first->driver, NULL, &device, &error), CUBBY_ERR_INVALID,
                   "the default stream");
    assert_failure(stream_find_device(first->driver, DRIVER_STREAM_LEGACY, &device, &error),
                   CUBBY_ERR_INVALID, "the default stream");
    assert_failure(stream_find_device(first->driver, DRIVER_STREAM_PER_THREAD, &device, &error),
                   CUBBY_ERR_INVALID, "the per-thread stream");
    device_stream_free(stream);
    device_stream_free(NULL);
    device_context_unref(first);
    device_context_unref(second);
}
END_TEST

START_TEST(events_order_streams) {
    struct device_context *context;
    struct device_stream *left, *right;
    struct device_event *begin, *end;
    struct device_memory *memory;
    float elapsed = -1;
    char text[4] = "";
    bool idle = true;

    setenv("FAKE_CUDA_DEFER", "1", 1);
    fake->reset();
    context = open_context(0);
    ck_ok(device_stream_new(context, 0, &left, &error), &error);
    ck_ok(device_stream_new(context, 0, &right, &error), &error);
    ck_ok(device_event_new(context, true, &begin, &error), &error);
    ck_ok(device_event_new(context, true, &end, &error), &error);
    ck_ok(device_memory_new(context, 4, NULL, &memory, &error), &error);
    ck_ok(device_context_enter(context, &error), &error);
    ck_ok(device_event_record(begin, left->handle, &error), &error);
    ck_ok(device_memory_write(memory, 0, "one", 4, left->handle, &error), &error);
    ck_ok(device_event_record(end, left->handle, &error), &error);
    ck_ok(device_event_wait(end, right->handle, &error), &error);
    ck_ok(device_memory_read(memory, 0, text, 4, right->handle, &error), &error);
    ck_ok(stream_is_idle(context->driver, left->handle, &idle, &error), &error);
    ck_assert(!idle);
    ck_ok(stream_sync(context->driver, right->handle, &error), &error);
    ck_assert_str_eq(text, "one"); /* left's work came first, though nobody waited for it */
    ck_ok(stream_is_idle(context->driver, left->handle, &idle, &error), &error);
    ck_assert(idle);
    ck_ok(device_event_sync(end, &error), &error);
    ck_ok(device_event_elapsed(begin, end, &elapsed, &error), &error);
    ck_assert(elapsed >= 0);
    device_context_leave(context);
    device_memory_free(memory);
    device_event_free(begin);
    device_event_free(end);
    device_event_free(NULL);
    device_stream_free(left);
    device_stream_free(right);
    device_context_unref(context);
}
END_TEST

/* ---- Failures ---------------------------------------------------------------------------- */

/* Each call in turn fails: the message names it, and nothing stays behind. */
START_TEST(nothing_is_left_after_a_failure) {
    static const char *const CALLS[] = {
        "cuDeviceGetCount",
        "cuDeviceGet",
        "cuDeviceGetName",
        "cuDeviceGetUuid",
        "cuDevicePrimaryCtxRetain",
        "cuCtxPushCurrent",
        "cuStreamCreateWithPriority",
        "cuEventCreate",
        "cuMemAlloc",
        "cuLibraryLoadData",
        "cuLibraryGetKernel",
        "cuKernelGetFunction",
    };
    void *cubin = cubin_of_scale(90);
    struct cubby_key key = key_of(1);

    for (size_t i = 0; i < sizeof(CALLS) / sizeof(*CALLS); i++) {
        struct device_context *context = NULL;
        struct device_stream *stream = NULL;
        struct device_event *event = NULL;
        struct device_memory *memory = NULL;
        struct loaded_module *module = NULL;
        struct CUfunc_st *function = NULL;
        char spec[64];
        int result;

        snprintf(spec, sizeof(spec), "%s=999", CALLS[i]);
        setenv("FAKE_CUDA_FAIL", spec, 1);
        result = device_context_get(0, &context, &error);
        if (result == 0)
            result = device_stream_new(context, 0, &stream, &error);
        if (result == 0)
            result = device_event_new(context, false, &event, &error);
        if (result == 0)
            result = device_memory_new(context, 16, NULL, &memory, &error);
        if (result == 0)
            result = loaded_module_get(context, &key, cubin, &module, &error);
        if (result == 0)
            result = loaded_module_function(module, "scale", NULL, &function, &error);
        ck_assert_ptr_null(function);
        ck_assert_int_eq(error.tool_error, 999);
        assert_failure(result, CUBBY_ERR_IO, CALLS[i]);
        unsetenv("FAKE_CUDA_FAIL");
        loaded_module_unref(module);
        device_memory_free(memory);
        device_event_free(event);
        device_stream_free(stream);
        device_context_unref(context);
        ck_assert_msg(fake->alive(NULL) == 0 && fake->alive("context") == 0, "%s", CALLS[i]);
    }
    free(cubin);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("driver");
    TCase *tests = tcase_create("driver");

    tcase_add_checked_fixture(tests, driver_set_up, driver_tear_down);
    tcase_add_test(tests, opens_once);
    tcase_add_loop_test(tests, takes_of_an_old_driver_what_it_has, 0, 5);
    tcase_add_test(tests, names_what_a_driver_lacks);
    tcase_add_test(tests, says_what_an_error_means);
    tcase_add_test(tests, opens_in_many_threads);
    tcase_add_test(tests, a_forked_child_is_told);
    tcase_add_test(tests, describes_devices);
    tcase_add_test(tests, brings_back_what_was_current);
    tcase_add_test(tests, copies_there_and_back);
    tcase_add_test(tests, tells_that_memory_is_short);
    tcase_add_test(tests, allocates_in_order);
    tcase_add_test(tests, an_old_driver_does_not_allocate_in_order);
    tcase_add_loop_test(tests, runs_a_kernel, 0, 2);
    tcase_add_loop_test(tests, loads_a_module_once_per_device, 0, 2);
    tcase_add_loop_test(tests, refuses_modules_that_do_not_fit, 0, 2);
    tcase_add_test(tests, names_the_kernel_that_cannot_be_launched);
    tcase_add_loop_test(tests, many_threads_share_a_device, 0, 2);
    tcase_add_loop_test(tests, finds_the_device_of_a_stream, 0, 3);
    tcase_add_test(tests, events_order_streams);
    tcase_add_test(tests, nothing_is_left_after_a_failure);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
