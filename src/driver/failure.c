/* SPDX-License-Identifier: Apache-2.0 */
/* What the driver's errors mean to our callers, and what can be done about each. */
#include <stdio.h>
#include <string.h>

#include "driver/driver.h"
#include "util/error.h"

struct meaning {
    enum driver_error driver;
    int code;
    const char *advice;
};

#define CAPTURE_ADVICE                                                                             \
    "the call is not allowed while work is recorded into a graph; end the capture, which is lost"
#define KERNEL_ADVICE "a kernel failed on the GPU; this process can no longer use that device"
#define SYSTEM_ADVICE "the driver of this machine is not whole; check nvidia-smi, then reboot"

static const struct meaning MEANINGS[] = {
    {DRIVER_ERROR_INVALID_VALUE, CUBBY_ERR_INVALID, "an argument is out of range"},
    {DRIVER_ERROR_OUT_OF_MEMORY, CUBBY_ERR_NO_MEMORY,
     "the GPU or the driver is out of memory; free some, or work on less at a time"},
    {DRIVER_ERROR_NOT_INITIALIZED, CUBBY_ERR_NO_DRIVER,
     "the driver cannot be used in a forked child of a process that used it; fork before, or start "
     "a new program"},
    {DRIVER_ERROR_DEINITIALIZED, CUBBY_ERR_NO_DRIVER, "the driver is gone as the process ends"},
    {DRIVER_ERROR_STUB_LIBRARY, CUBBY_ERR_NO_DRIVER,
     "this is the toolkit's stub library, not a driver; install the NVIDIA driver"},
    {DRIVER_ERROR_CALL_REQUIRES_NEWER_DRIVER, CUBBY_ERR_UNSUPPORTED, "update the NVIDIA driver"},
    {DRIVER_ERROR_DEVICE_UNAVAILABLE, CUBBY_ERR_NO_DRIVER,
     "another process has the device for itself; check nvidia-smi"},
    {DRIVER_ERROR_NO_DEVICE, CUBBY_ERR_NO_DRIVER,
     "the driver found no device; check nvidia-smi and CUDA_VISIBLE_DEVICES"},
    {DRIVER_ERROR_INVALID_DEVICE, CUBBY_ERR_INVALID, "there is no such device; check nvidia-smi"},
    {DRIVER_ERROR_INVALID_IMAGE, CUBBY_ERR_CORRUPT,
     "the module is no cubin that the driver can read; compile it anew"},
    {DRIVER_ERROR_INVALID_CONTEXT, CUBBY_ERR_INVALID,
     "no context of that device is current in this thread"},
    {DRIVER_ERROR_NO_BINARY_FOR_GPU, CUBBY_ERR_UNSUPPORTED,
     "the module was compiled for another architecture; compile it for that of the device"},
    {DRIVER_ERROR_ECC_UNCORRECTABLE, CUBBY_ERR_IO, "the GPU's memory is faulty; check nvidia-smi"},
    {DRIVER_ERROR_INVALID_PTX, CUBBY_ERR_COMPILE, "the driver cannot compile the module's PTX"},
    {DRIVER_ERROR_JIT_COMPILER_NOT_FOUND, CUBBY_ERR_NO_DRIVER,
     "the driver's compiler of PTX is missing; install the whole driver, or compile to a cubin"},
    {DRIVER_ERROR_UNSUPPORTED_PTX_VERSION, CUBBY_ERR_UNSUPPORTED,
     "the PTX is newer than the driver; update the driver, or compile to a cubin"},
    {DRIVER_ERROR_INVALID_HANDLE, CUBBY_ERR_INVALID,
     "a handle is of another context, or of something that was destroyed"},
    {DRIVER_ERROR_ILLEGAL_STATE, CUBBY_ERR_INVALID, "what it works on is not in a state for it"},
    {DRIVER_ERROR_NOT_FOUND, CUBBY_ERR_NOT_FOUND, "there is nothing of that name"},
    {DRIVER_ERROR_NOT_READY, CUBBY_ERR_BUSY, "the work is still running"},
    {DRIVER_ERROR_ILLEGAL_ADDRESS, CUBBY_ERR_INVALID, KERNEL_ADVICE},
    {DRIVER_ERROR_LAUNCH_OUT_OF_RESOURCES, CUBBY_ERR_INVALID,
     "the kernel needs more registers or shared memory than a block of that size can have"},
    {DRIVER_ERROR_LAUNCH_TIMEOUT, CUBBY_ERR_INVALID, KERNEL_ADVICE},
    {DRIVER_ERROR_CONTEXT_IS_DESTROYED, CUBBY_ERR_INVALID, "its context was destroyed"},
    {DRIVER_ERROR_ASSERT, CUBBY_ERR_INVALID, KERNEL_ADVICE},
    {DRIVER_ERROR_ILLEGAL_INSTRUCTION, CUBBY_ERR_INVALID, KERNEL_ADVICE},
    {DRIVER_ERROR_MISALIGNED_ADDRESS, CUBBY_ERR_INVALID, KERNEL_ADVICE},
    {DRIVER_ERROR_LAUNCH_FAILED, CUBBY_ERR_INVALID, KERNEL_ADVICE},
    {DRIVER_ERROR_NOT_PERMITTED, CUBBY_ERR_UNSUPPORTED, "this system does not permit it"},
    {DRIVER_ERROR_NOT_SUPPORTED, CUBBY_ERR_UNSUPPORTED,
     "the driver or the device does not support it"},
    {DRIVER_ERROR_SYSTEM_NOT_READY, CUBBY_ERR_NO_DRIVER, SYSTEM_ADVICE},
    {DRIVER_ERROR_SYSTEM_DRIVER_MISMATCH, CUBBY_ERR_NO_DRIVER, SYSTEM_ADVICE},
    {DRIVER_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE, CUBBY_ERR_NO_DRIVER, SYSTEM_ADVICE},
    {DRIVER_ERROR_STREAM_CAPTURE_UNSUPPORTED, CUBBY_ERR_INVALID, CAPTURE_ADVICE},
    {DRIVER_ERROR_STREAM_CAPTURE_INVALIDATED, CUBBY_ERR_INVALID,
     "an earlier call broke the capture; end it and start anew"},
    {DRIVER_ERROR_STREAM_CAPTURE_MERGE, CUBBY_ERR_INVALID,
     "it would join two captures; let one end first"},
    {DRIVER_ERROR_STREAM_CAPTURE_UNMATCHED, CUBBY_ERR_INVALID,
     "the capture was begun on another stream; end it there"},
    {DRIVER_ERROR_STREAM_CAPTURE_UNJOINED, CUBBY_ERR_INVALID,
     "a stream that was drawn into the capture did not join it again; let the first stream wait "
     "for it"},
    {DRIVER_ERROR_STREAM_CAPTURE_ISOLATION, CUBBY_ERR_INVALID,
     "captured work would depend on work that is not captured"},
    {DRIVER_ERROR_STREAM_CAPTURE_IMPLICIT, CUBBY_ERR_INVALID,
     "it needs the legacy stream, which waits for the captured one; use a stream of its own"},
    {DRIVER_ERROR_CAPTURED_EVENT, CUBBY_ERR_INVALID,
     "the event was recorded in a capture and can be used only there"},
    {DRIVER_ERROR_STREAM_CAPTURE_WRONG_THREAD, CUBBY_ERR_INVALID,
     "the capture has to end in the thread that began it"},
    {DRIVER_ERROR_GRAPH_EXEC_UPDATE_FAILURE, CUBBY_ERR_INVALID,
     "the graph changed too much for an update; instantiate it anew"},
    {DRIVER_ERROR_INVALID_RESOURCE_TYPE, CUBBY_ERR_INVALID, "the device has no such resource"},
    {DRIVER_ERROR_INVALID_RESOURCE_CONFIGURATION, CUBBY_ERR_INVALID,
     "the multiprocessors cannot be divided like that"},
};

static const struct meaning *meaning_of(unsigned code) {
    static const struct meaning UNKNOWN = {DRIVER_ERROR_UNKNOWN, CUBBY_ERR_IO,
                                           "the driver tells no more; check nvidia-smi and dmesg"};

    for (size_t i = 0; i < sizeof(MEANINGS) / sizeof(*MEANINGS); i++) {
        if (MEANINGS[i].driver == code)
            return &MEANINGS[i];
    }
    return &UNKNOWN;
}

int driver_fail(const struct driver *driver, const char *call, unsigned code,
                struct cubby_error *error) {
    const struct meaning *meaning = meaning_of(code);
    const char *name = NULL;

    if (error && error->code == CUBBY_OK)
        error->tool_error = (int)code;
    if (!driver || driver->api.cuGetErrorName(code, &name) != DRIVER_SUCCESS || !name)
        name = "CUDA error";
    /* The names of documentation and programs have no suffix of the ABI. */
    return error_set(error, meaning->code, "%.*s failed: %s (%u): %s", (int)strcspn(call, "_"),
                     call, name, code, meaning->advice);
}

struct release {
    const char *symbol;
    int version;
};

#define RELEASE(symbol, base, version, parameters) {#symbol, version},

int driver_lacks(const struct driver *driver, const char *symbol, struct cubby_error *error) {
    static const struct release RELEASES[] = {DRIVER_OPTIONAL(RELEASE)};
    int since = 0;

    for (size_t i = 0; i < sizeof(RELEASES) / sizeof(*RELEASES); i++) {
        if (strcmp(RELEASES[i].symbol, symbol) == 0)
            since = RELEASES[i].version;
    }
    return error_set(error, CUBBY_ERR_UNSUPPORTED,
                     "the CUDA driver is of CUDA %d.%d and lacks %.*s, which came with CUDA %d.%d: "
                     "update the NVIDIA driver",
                     driver->version / 1000, driver->version % 1000 / 10, (int)strcspn(symbol, "_"),
                     symbol, since / 1000, since % 1000 / 10);
}
