/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/context.h"

#include <stdlib.h>

#include "os/fork.h"
#include "util/error.h"

/* All contexts in use. No call of the driver's but retain and release is made with it held. */
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct device_context *table;

static pthread_once_t guarded = PTHREAD_ONCE_INIT;

static void hold_table(void *context) {
    pthread_mutex_lock(context);
}

static void release_table(void *context, bool in_child) {
    (void)in_child;
    pthread_mutex_unlock(context);
}

/* A forked child cannot use the driver, but is to be told so. */
static void guard_table(void) {
    static struct fork_guard guard = {hold_table, release_table, &table_lock, FORK_LEVEL_TOOLCHAIN,
                                      NULL};

    fork_guard_add(&guard);
}

static int make(const struct driver *driver, int ordinal, struct device_context **ret_context,
                struct cubby_error *error) {
    struct device_context *context = calloc(1, sizeof(*context));
    int result;

    if (!context)
        return error_no_memory(error);
    context->driver = driver;
    context->references = 1;
    result = device_describe(driver, ordinal, &context->device, error);
    if (result == 0)
        result = driver_call(driver, error, cuDevicePrimaryCtxRetain, &context->handle,
                             context->device.handle);
    if (result < 0) {
        free(context);
        return result;
    }
    pthread_mutex_init(&context->modules_lock, NULL);
    *ret_context = context;
    return 0;
}

int device_context_get(int ordinal, struct device_context **ret_context,
                       struct cubby_error *error) {
    struct device_context *context;
    const struct driver *driver;
    int result = driver_open(&driver, error);

    if (result < 0)
        return result;
    pthread_once(&guarded, guard_table);
    pthread_mutex_lock(&table_lock);
    for (context = table; context && context->device.ordinal != ordinal; context = context->next) {
    }
    if (context) {
        context->references++;
    } else {
        result = make(driver, ordinal, &context, error);
        if (result == 0) {
            context->next = table;
            table = context;
        }
    }
    pthread_mutex_unlock(&table_lock);
    if (result == 0)
        *ret_context = context;
    return result;
}

struct device_context *device_context_ref(struct device_context *context) {
    pthread_mutex_lock(&table_lock);
    context->references++;
    pthread_mutex_unlock(&table_lock);
    return context;
}

static void take_out(struct device_context *context) {
    struct device_context **at = &table;

    while (*at != context)
        at = &(*at)->next;
    *at = context->next;
}

void device_context_unref(struct device_context *context) {
    if (!context)
        return;
    pthread_mutex_lock(&table_lock);
    if (--context->references > 0) {
        pthread_mutex_unlock(&table_lock);
        return;
    }
    take_out(context);
    context->driver->api.cuDevicePrimaryCtxRelease_v2(context->device.handle);
    pthread_mutex_unlock(&table_lock);
    pthread_mutex_destroy(&context->modules_lock);
    free(context);
}

int device_context_enter(struct device_context *context, struct cubby_error *error) {
    return driver_call(context->driver, error, cuCtxPushCurrent_v2, context->handle);
}

void device_context_leave(struct device_context *context) {
    struct CUctx_st *popped;

    context->driver->api.cuCtxPopCurrent_v2(&popped);
}

int device_context_sync(struct device_context *context, struct cubby_error *error) {
    int result = device_context_enter(context, error);

    if (result < 0)
        return result;
    result = driver_call(context->driver, error, cuCtxSynchronize);
    device_context_leave(context);
    return result;
}
