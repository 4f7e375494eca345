/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The primary context of a device, which everything in the process that uses CUDA's runtime shares.
 * There is one struct device_context per device, counted; any thread may use it.
 */
#ifndef CUBBY_DRIVER_CONTEXT_H
#define CUBBY_DRIVER_CONTEXT_H

#include <pthread.h>

#include "driver/device.h"

struct loaded_module;

struct device_context {
    const struct driver *driver;
    struct device_info device;
    struct CUctx_st *handle;
    pthread_mutex_t modules_lock;
    struct loaded_module *modules; /* each once; see driver/module.h */
    unsigned references;           /* of this and of next: by the table's lock */
    struct device_context *next;
};

/* The context of a device, retained from the driver where this is the first reference. New. */
int device_context_get(int ordinal, struct device_context **ret_context, struct cubby_error *error);

struct device_context *device_context_ref(struct device_context *context);

/* Gives the primary context back with the last reference. NULL-safe. */
void device_context_unref(struct device_context *context);

/*
 * Makes the context the calling thread's, until device_context_leave() brings back what was
 * current. Calls may nest. What makes, frees, copies or waits does so by itself; what puts work
 * into a stream or asks for a stream by its handle, as do launches, events, captures and graphs,
 * leaves it to the caller, who does it once for a series of them.
 */
int device_context_enter(struct device_context *context, struct cubby_error *error);
void device_context_leave(struct device_context *context);

/* Waits for all work on the device. */
int device_context_sync(struct device_context *context, struct cubby_error *error);

#endif
