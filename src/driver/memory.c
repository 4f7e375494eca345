/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/memory.h"

#include <stdlib.h>

#include "util/error.h"

static int allocate(struct device_memory *memory, struct cubby_error *error) {
    const struct driver *driver = memory->context->driver;

    if (memory->stream)
        return driver_call_optional(driver, error, cuMemAllocAsync, &memory->address, memory->size,
                                    memory->stream);
    return driver_call(driver, error, cuMemAlloc_v2, &memory->address, memory->size);
}

static int fail(const struct device_memory *memory, struct cubby_error *reason, int code,
                struct cubby_error *error) {
    if (error && error->code == CUBBY_OK)
        error->tool_error = reason->tool_error;
    return error_set(error, code, "%zu bytes on device %d: %s", memory->size,
                     memory->context->device.ordinal, reason->message);
}

int device_memory_new(struct device_context *context, size_t size, struct CUstream_st *stream,
                      struct device_memory **ret_memory, struct cubby_error *error) {
    struct device_memory *memory = calloc(1, sizeof(*memory));
    struct cubby_error reason = CUBBY_ERROR_INIT;
    int result;

    if (!memory)
        return error_no_memory(error);
    memory->context = context;
    memory->size = size;
    memory->stream = stream;
    result = device_context_enter(context, &reason);
    if (result == 0) {
        result = allocate(memory, &reason);
        device_context_leave(context);
    }
    if (result < 0) {
        fail(memory, &reason, result, error);
        free(memory);
        return result;
    }
    device_context_ref(context);
    *ret_memory = memory;
    return 0;
}

void device_memory_free(struct device_memory *memory) {
    const struct driver_api *api;

    if (!memory)
        return;
    api = &memory->context->driver->api;
    if (device_context_enter(memory->context, NULL) == 0) {
        if (memory->stream)
            api->cuMemFreeAsync(memory->address, memory->stream);
        else
            api->cuMemFree_v2(memory->address);
        device_context_leave(memory->context);
    }
    device_context_unref(memory->context);
    free(memory);
}

static int check_range(const struct device_memory *memory, size_t offset, size_t size,
                       struct cubby_error *error) {
    if (offset <= memory->size && size <= memory->size - offset)
        return 0;
    return error_set(error, CUBBY_ERR_INVALID,
                     "a copy of %zu bytes at byte %zu reaches past the end of device memory of %zu "
                     "bytes: copy less",
                     size, offset, memory->size);
}

int device_memory_write(struct device_memory *memory, size_t offset, const void *data, size_t size,
                        struct CUstream_st *stream, struct cubby_error *error) {
    const struct driver *driver = memory->context->driver;
    driver_address to = memory->address + offset;
    int result = check_range(memory, offset, size, error);

    if (result == 0)
        result = device_context_enter(memory->context, error);
    if (result < 0)
        return result;
    result = stream ? driver_call(driver, error, cuMemcpyHtoDAsync_v2, to, data, size, stream)
                    : driver_call(driver, error, cuMemcpyHtoD_v2, to, data, size);
    device_context_leave(memory->context);
    return result;
}

int device_memory_read(struct device_memory *memory, size_t offset, void *data, size_t size,
                       struct CUstream_st *stream, struct cubby_error *error) {
    const struct driver *driver = memory->context->driver;
    driver_address from = memory->address + offset;
    int result = check_range(memory, offset, size, error);

    if (result == 0)
        result = device_context_enter(memory->context, error);
    if (result < 0)
        return result;
    result = stream ? driver_call(driver, error, cuMemcpyDtoHAsync_v2, data, from, size, stream)
                    : driver_call(driver, error, cuMemcpyDtoH_v2, data, from, size);
    device_context_leave(memory->context);
    return result;
}

int device_memory_fill(struct device_memory *memory, unsigned char byte, struct CUstream_st *stream,
                       struct cubby_error *error) {
    const struct driver *driver = memory->context->driver;
    int result = device_context_enter(memory->context, error);

    if (result < 0)
        return result;
    result = stream
                 ? driver_call(driver, error, cuMemsetD8Async, memory->address, byte, memory->size,
                               stream)
                 : driver_call(driver, error, cuMemsetD8_v2, memory->address, byte, memory->size);
    device_context_leave(memory->context);
    return result;
}
