/* SPDX-License-Identifier: Apache-2.0 */
/* Streams: queues of work on a device, ours and those of others. */
#ifndef CUBBY_DRIVER_STREAM_H
#define CUBBY_DRIVER_STREAM_H

#include <stdbool.h>

#include "driver/context.h"

struct device_stream {
    struct device_context *context; /* a reference */
    struct CUstream_st *handle;
};

static inline bool stream_is_legacy(const struct CUstream_st *stream) {
    return !stream || stream == DRIVER_STREAM_LEGACY;
}

/* The legacy stream or the per-thread one: whose they are depends on who asks. */
static inline bool stream_is_default(const struct CUstream_st *stream) {
    return stream_is_legacy(stream) || stream == DRIVER_STREAM_PER_THREAD;
}

/* A new stream that the legacy stream does not wait for. Lower numbers are more urgent; what is out
 * of range is clamped by the driver. */
int device_stream_new(struct device_context *context, int priority,
                      struct device_stream **ret_stream, struct cubby_error *error);

/* Does not wait for the work in it, which ends all the same. NULL-safe. */
void device_stream_free(struct device_stream *stream);

/* Waits for all work in a stream of the current context. Not while it captures. */
int stream_sync(const struct driver *driver, struct CUstream_st *stream, struct cubby_error *error);

/* Whether all work in a stream of the current context is done. Not while it captures. */
int stream_is_idle(const struct driver *driver, struct CUstream_st *stream, bool *ret_idle,
                   struct cubby_error *error);

/*
 * The device, as a CUdevice, of a stream that the caller made: by whatever the driver has for it.
 * CUBBY_ERR_INVALID for NULL and the legacy and per-thread streams, which have no device of their
 * own. Not while the stream captures, which may break the capture.
 */
int stream_find_device(const struct driver *driver, struct CUstream_st *stream, int *ret_device,
                       struct cubby_error *error);

/*
 * The context of a stream of a green context, in its form for what takes a context; NULL where the
 * stream is of a device's own. A context of the device is current; not while the stream captures.
 */
int stream_find_green(const struct driver *driver, struct CUstream_st *stream,
                      struct CUctx_st **ret_context, struct cubby_error *error);

#endif
