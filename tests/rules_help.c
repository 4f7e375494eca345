/* SPDX-License-Identifier: Apache-2.0 */
#include "rules_help.h"

#include <stdlib.h>

#include "cubin_empty.h"
#include "harness.h"

const struct driver_api *cu;
struct CUctx_st *context;
struct CUstream_st *stream; /* that the legacy stream does not wait for */
void *cubin;

void rules_set_up(void) {
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

void defer_work(void) {
    setenv("FAKE_CUDA_DEFER", "1", 1);
    fake->reset();
}

/* Whatever a test left goes with its context. */
void rules_tear_down(void) {
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

driver_address allocate_bytes(size_t size) {
    driver_address address = 0;

    WORKS(cu->cuMemAlloc_v2(&address, size));
    return address;
}

struct CUstream_st *make_stream(unsigned flags) {
    struct CUstream_st *made = NULL;

    WORKS(cu->cuStreamCreateWithPriority(&made, flags, 0));
    return made;
}

struct CUevent_st *make_event(unsigned flags) {
    struct CUevent_st *event = NULL;

    WORKS(cu->cuEventCreate(&event, flags));
    return event;
}

struct CUfunc_st *load_function(const void *image, const char *name) {
    struct CUfunc_st *function = NULL;
    struct CUmod_st *module;

    WORKS(cu->cuModuleLoadData(&module, image));
    WORKS(cu->cuModuleGetFunction(&function, module, name));
    return function;
}

unsigned launch_one(struct CUfunc_st *function, struct CUstream_st *into) {
    static driver_address data;
    static float factor;
    static unsigned count;
    void *arguments[] = {&data, &factor, &count};

    return cu->cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, into, arguments, NULL);
}
