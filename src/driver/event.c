/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/event.h"

#include <stdlib.h>

#include "util/error.h"

int device_event_new(struct device_context *context, bool timed, struct device_event **ret_event,
                     struct cubby_error *error) {
    struct device_event *event = calloc(1, sizeof(*event));
    int result;

    if (!event)
        return error_no_memory(error);
    result = device_context_enter(context, error);
    if (result == 0) {
        result = driver_call(context->driver, error, cuEventCreate, &event->handle,
                             timed ? DRIVER_EVENT_DEFAULT : DRIVER_EVENT_DISABLE_TIMING);
        device_context_leave(context);
    }
    if (result < 0) {
        free(event);
        return result;
    }
    event->context = device_context_ref(context);
    *ret_event = event;
    return 0;
}

void device_event_free(struct device_event *event) {
    if (!event)
        return;
    if (device_context_enter(event->context, NULL) == 0) {
        event->context->driver->api.cuEventDestroy_v2(event->handle);
        device_context_leave(event->context);
    }
    device_context_unref(event->context);
    free(event);
}

int device_event_record(struct device_event *event, struct CUstream_st *stream,
                        struct cubby_error *error) {
    return driver_call(event->context->driver, error, cuEventRecord, event->handle, stream);
}

int device_event_wait(struct device_event *event, struct CUstream_st *stream,
                      struct cubby_error *error) {
    return driver_call(event->context->driver, error, cuStreamWaitEvent, stream, event->handle, 0);
}

int device_event_sync(struct device_event *event, struct cubby_error *error) {
    int result = device_context_enter(event->context, error);

    if (result < 0)
        return result;
    result = driver_call(event->context->driver, error, cuEventSynchronize, event->handle);
    device_context_leave(event->context);
    return result;
}

int device_event_elapsed(struct device_event *from, struct device_event *to, float *ret_ms,
                         struct cubby_error *error) {
    int result = device_context_enter(from->context, error);

    if (result < 0)
        return result;
    result = driver_call(from->context->driver, error, cuEventElapsedTime, ret_ms, from->handle,
                         to->handle);
    device_context_leave(from->context);
    return result;
}
