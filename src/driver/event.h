/* SPDX-License-Identifier: Apache-2.0 */
/* Events: marks in streams that other streams and threads wait for. */
#ifndef CUBBY_DRIVER_EVENT_H
#define CUBBY_DRIVER_EVENT_H

#include <stdbool.h>

#include "driver/context.h"

struct device_event {
    struct device_context *context; /* a reference */
    struct CUevent_st *handle;
};

/* A new event; timed ones cost more and can be measured between. */
int device_event_new(struct device_context *context, bool timed, struct device_event **ret_event,
                     struct cubby_error *error);
void device_event_free(struct device_event *event); /* NULL-safe */

/* Marks the work that is in a stream of the event's device now. That is the current context's. */
int device_event_record(struct device_event *event, struct CUstream_st *stream,
                        struct cubby_error *error);

/* Lets later work of a stream of the current context wait for what the event, of any, marks. */
int device_event_wait(struct device_event *event, struct CUstream_st *stream,
                      struct cubby_error *error);

/* Waits in this thread. Not for an event recorded in a capture. */
int device_event_sync(struct device_event *event, struct cubby_error *error);

/* Milliseconds between two timed events whose work is done. */
int device_event_elapsed(struct device_event *from, struct device_event *to, float *ret_ms,
                         struct cubby_error *error);

#endif
