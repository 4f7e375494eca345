/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/stream.h"

#include <stdlib.h>

#include "util/error.h"

int device_stream_new(struct device_context *context, int priority,
                      struct device_stream **ret_stream, struct cubby_error *error) {
    struct device_stream *stream = calloc(1, sizeof(*stream));
    int result;

    if (!stream)
        return error_no_memory(error);
    result = device_context_enter(context, error);
    if (result == 0) {
        result = driver_call(context->driver, error, cuStreamCreateWithPriority, &stream->handle,
                             DRIVER_STREAM_NON_BLOCKING, priority);
        device_context_leave(context);
    }
    if (result < 0) {
        free(stream);
        return result;
    }
    stream->context = device_context_ref(context);
    *ret_stream = stream;
    return 0;
}

void device_stream_free(struct device_stream *stream) {
    if (!stream)
        return;
    if (device_context_enter(stream->context, NULL) == 0) {
        stream->context->driver->api.cuStreamDestroy_v2(stream->handle);
        device_context_leave(stream->context);
    }
    device_context_unref(stream->context);
    free(stream);
}

int stream_sync(const struct driver *driver, struct CUstream_st *stream,
                struct cubby_error *error) {
    return driver_call(driver, error, cuStreamSynchronize, stream);
}

int stream_is_idle(const struct driver *driver, struct CUstream_st *stream, bool *ret_idle,
                   struct cubby_error *error) {
    unsigned code = driver->api.cuStreamQuery(stream);

    if (code != DRIVER_SUCCESS && code != DRIVER_ERROR_NOT_READY)
        return driver_fail(driver, "cuStreamQuery", code, error);
    *ret_idle = code == DRIVER_SUCCESS;
    return 0;
}

/* The outputs begin as NULL: some drivers leave that alone which does not apply. */
static int find_context(const struct driver *driver, struct CUstream_st *stream,
                        struct CUctx_st **ret_context, struct cubby_error *error) {
    struct CUctx_st *context = NULL;
    struct CUgreenCtx_st *green = NULL;
    int result = driver->api.cuStreamGetCtx_v2
                     ? driver_call(driver, error, cuStreamGetCtx_v2, stream, &context, &green)
                     : driver_call(driver, error, cuStreamGetCtx, stream, &context);

    if (result == 0 && !context && green)
        result = driver_call_optional(driver, error, cuCtxFromGreenCtx, &context, green);
    if (result == 0 && !context)
        result = error_set(error, CUBBY_ERR_INVALID,
                           "the stream is of no context: pass one that "
                           "was made on the device and not destroyed");
    if (result == 0)
        *ret_context = context;
    return result;
}

int stream_find_device(const struct driver *driver, struct CUstream_st *stream, int *ret_device,
                       struct cubby_error *error) {
    struct CUctx_st *context = NULL, *popped;
    int device = 0, result;

    if (stream_is_default(stream))
        return error_set(error, CUBBY_ERR_INVALID,
                         "the %s stream is of no device: pass one made with cuStreamCreate",
                         stream == DRIVER_STREAM_PER_THREAD ? "per-thread" : "default");
    if (driver->api.cuStreamGetDevice)
        return driver_call(driver, error, cuStreamGetDevice, stream, ret_device);
    result = find_context(driver, stream, &context, error);
    if (result == 0)
        result = driver_call(driver, error, cuCtxPushCurrent_v2, context);
    if (result < 0)
        return result;
    result = driver_call(driver, error, cuCtxGetDevice, &device);
    driver->api.cuCtxPopCurrent_v2(&popped);
    if (result == 0)
        *ret_device = device;
    return result;
}

/* Drivers that have green streams have the newer form. */
int stream_find_green(const struct driver *driver, struct CUstream_st *stream,
                      struct CUctx_st **ret_context, struct cubby_error *error) {
    struct CUctx_st *context = NULL;
    struct CUgreenCtx_st *green = NULL;
    int result = 0;

    *ret_context = NULL;
    if (!driver->api.cuStreamGetCtx_v2)
        return 0;
    result = driver_call(driver, error, cuStreamGetCtx_v2, stream, &context, &green);
    return result == 0 && green
               ? driver_call_optional(driver, error, cuCtxFromGreenCtx, ret_context, green)
               : result;
}
