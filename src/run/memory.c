/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a device for those who have no means of their own. */
#include "driver/memory.h"

#include <stdlib.h>

#include <cubby/runner.h>

#include "driver/graph.h"
#include "util/error.h"

struct cubby_device_memory {
    struct device_memory *memory;
};

/* A thread that captures may allocate and free: that is no part of its graph. */
static int allocate(struct device_context *context, uint64_t size,
                    struct cubby_device_memory *memory, struct cubby_error *error) {
    const unsigned mode = capture_tolerate(context->driver);
    int result = device_memory_new(context, size, NULL, &memory->memory, error);

    capture_restore(context->driver, mode);
    return result;
}

int cubby_device_memory_new(int device, uint64_t size, struct cubby_device_memory **ret_memory,
                            struct cubby_error *error) {
    struct cubby_device_memory *memory = calloc(1, sizeof(*memory));
    struct device_context *context = NULL;
    int result = memory ? device_context_get(device, &context, error) : error_no_memory(error);

    if (result == 0)
        result = allocate(context, size, memory, error);
    device_context_unref(context);
    if (result < 0)
        free(memory);
    else
        *ret_memory = memory;
    return result;
}

void cubby_device_memory_free(struct cubby_device_memory *memory) {
    const struct driver *driver;
    unsigned mode;

    if (!memory)
        return;
    driver = memory->memory->context->driver;
    mode = capture_tolerate(driver);
    device_memory_free(memory->memory);
    capture_restore(driver, mode);
    free(memory);
}

uint64_t cubby_device_memory_address(const struct cubby_device_memory *memory) {
    return memory->memory->address;
}

/* ---- Copies ------------------------------------------------------------------------------ */

/* Copies go through the default stream, which would break the capture of a stream that waits for
 * it. */
static int check_default_stream(struct device_context *context, struct cubby_error *error) {
    struct cubby_error reason = CUBBY_ERROR_INIT;
    bool captures;
    int result = device_context_enter(context, error);

    if (result < 0)
        return result;
    result = capture_is_active(context->driver, NULL, &captures, &reason);
    device_context_leave(context);
    /* Whatever else there is, the copy tells. */
    result = result < 0 && reason.tool_error == DRIVER_ERROR_STREAM_CAPTURE_IMPLICIT ? result : 0;
    if (result < 0)
        error_set(error, result,
                  "device memory cannot be copied while a stream that waits for the default one "
                  "captures: end the capture before, or capture in a stream that was made with "
                  "CU_STREAM_NON_BLOCKING");
    cubby_error_clear(&reason);
    return result;
}

/* To the device from what is not NULL, or from it to the other. */
static int copy(struct cubby_device_memory *memory, uint64_t offset, const void *from, void *to,
                uint64_t size, struct cubby_error *error) {
    struct device_context *context = memory->memory->context;
    const unsigned mode = capture_tolerate(context->driver);
    int result = check_default_stream(context, error);

    if (result == 0)
        result = from ? device_memory_write(memory->memory, offset, from, size, NULL, error)
                      : device_memory_read(memory->memory, offset, to, size, NULL, error);
    capture_restore(context->driver, mode);
    return result;
}

int cubby_device_memory_write(struct cubby_device_memory *memory, uint64_t offset, const void *data,
                              uint64_t size, struct cubby_error *error) {
    return copy(memory, offset, data, NULL, size, error);
}

int cubby_device_memory_read(struct cubby_device_memory *memory, uint64_t offset, void *data,
                             uint64_t size, struct cubby_error *error) {
    return copy(memory, offset, NULL, data, size, error);
}
