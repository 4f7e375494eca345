/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts of the driver's double: one primary context per device, a stack of them per thread. */
#include <stdlib.h>

#include "fake_cuda_state.h"

#define DEPTH_MAX 64

static __thread struct CUctx_st *stack[DEPTH_MAX];
static __thread int depth;

struct CUctx_st *fake_primary(const struct CUctx_st *context) {
    return fake.primary[context->device];
}

/* Most functions: INVALID_CONTEXT where none is current, CONTEXT_IS_DESTROYED where it is gone, and
 * "may also return error codes from previous, asynchronous launches". */
unsigned fake_current(struct CUctx_st **ret_context) {
    struct CUctx_st *context = depth > 0 ? stack[depth - 1] : NULL;

    if (!context)
        return DRIVER_ERROR_INVALID_CONTEXT;
    if (!fake_find(FAKE_CONTEXT, context))
        return DRIVER_ERROR_CONTEXT_IS_DESTROYED;
    *ret_context = context;
    return fake_primary(context)->sticky;
}

/* ---- Primary contexts -------------------------------------------------------------------- */

static unsigned retain(struct CUctx_st **ret_context, int device) {
    int ordinal = fake_ordinal(device);
    struct CUctx_st *context;

    if (ordinal < 0)
        return DRIVER_ERROR_INVALID_DEVICE;
    context = fake.primary[ordinal];
    if (!context) {
        context = fake_new(FAKE_CONTEXT, sizeof(*context), NULL);
        context->device = ordinal;
        fake.primary[ordinal] = context;
    }
    context->retained++;
    *ret_context = context;
    return 0;
}

unsigned cuDevicePrimaryCtxRetain(struct CUctx_st **ret_context, int device) {
    FAKE_CALL("cuDevicePrimaryCtxRetain", retain(ret_context, device));
}

static struct fake_object *first_of(enum fake_kind kind, const struct CUctx_st *context) {
    for (struct fake_object *object = fake.objects[kind]; object; object = object->next) {
        if (object->context == context)
            return object;
    }
    return NULL;
}

void fake_clear_context(struct CUctx_st *context) {
    struct fake_object *object;

    fake_drain_context(context);
    while ((object = first_of(FAKE_EXEC, context)))
        fake_exec_free((struct CUgraphExec_st *)object);
    while ((object = first_of(FAKE_EVENT, context)))
        fake_event_free((struct CUevent_st *)object);
    while ((object = first_of(FAKE_STREAM, context)))
        fake_stream_free((struct CUstream_st *)object);
    while ((object = first_of(FAKE_FUNCTION, context)))
        fake_forget(object);
    while ((object = first_of(FAKE_MODULE, context)))
        fake_module_free((struct CUmod_st *)object);
    fake_memory_clear(context);
}

void fake_primary_release(struct CUctx_st *context) {
    if (--context->retained > 0)
        return;
    fake_clear_context(context);
    fake.primary[context->device] = NULL;
    fake_forget(context);
}

/* [cuDevicePrimaryCtxRelease] With the last release the context is reset: what is in it goes.
 * INVALID_CONTEXT where it was not retained. */
static unsigned release(int device) {
    int ordinal = fake_ordinal(device);
    struct CUctx_st *context = ordinal < 0 ? NULL : fake.primary[ordinal];

    if (ordinal < 0)
        return DRIVER_ERROR_INVALID_DEVICE;
    if (!context) {
        fake.violations++;
        return DRIVER_ERROR_INVALID_CONTEXT;
    }
    fake_primary_release(context);
    return 0;
}

unsigned cuDevicePrimaryCtxRelease_v2(int device) {
    FAKE_CALL("cuDevicePrimaryCtxRelease_v2", release(device));
}

/* ---- The current context ----------------------------------------------------------------- */

static unsigned get_current(struct CUctx_st **ret_context) {
    *ret_context = depth > 0 ? stack[depth - 1] : NULL;
    return 0;
}

unsigned cuCtxGetCurrent(struct CUctx_st **ret_context) {
    FAKE_CALL("cuCtxGetCurrent", get_current(ret_context));
}

static unsigned push(struct CUctx_st *context) {
    if (!fake_is(FAKE_CONTEXT, context) || depth == DEPTH_MAX)
        return DRIVER_ERROR_INVALID_CONTEXT;
    stack[depth++] = context;
    return 0;
}

unsigned cuCtxPushCurrent_v2(struct CUctx_st *context) {
    FAKE_CALL("cuCtxPushCurrent_v2", push(context));
}

static unsigned pop(struct CUctx_st **ret_context) {
    if (depth == 0) {
        fake.violations++;
        return DRIVER_ERROR_INVALID_CONTEXT;
    }
    *ret_context = stack[--depth];
    return 0;
}

unsigned cuCtxPopCurrent_v2(struct CUctx_st **ret_context) {
    FAKE_CALL("cuCtxPopCurrent_v2", pop(ret_context));
}

/* [cuCtxSetCurrent] Replaces the top of the stack; NULL pops it. */
static unsigned set_current(struct CUctx_st *context) {
    if (context && !fake_is(FAKE_CONTEXT, context))
        return DRIVER_ERROR_INVALID_CONTEXT;
    if (depth > 0)
        depth--;
    if (context)
        stack[depth++] = context;
    return 0;
}

unsigned cuCtxSetCurrent(struct CUctx_st *context) {
    FAKE_CALL("cuCtxSetCurrent", set_current(context));
}

static unsigned get_device(int *device) {
    struct CUctx_st *context;
    unsigned code = fake_current(&context);

    if (code == 0)
        *device = FAKE_HANDLE_BASE + context->device;
    return code;
}

unsigned cuCtxGetDevice(int *device) {
    FAKE_CALL("cuCtxGetDevice", get_device(device));
}

static unsigned synchronize(void) {
    struct CUctx_st *context;
    unsigned code = fake_current(&context);

    if (code == 0)
        code = fake_check_context(context);
    if (code == 0)
        fake_drain_context(context);
    return code ? code : fake_primary(context)->sticky;
}

unsigned cuCtxSynchronize(void) {
    FAKE_CALL("cuCtxSynchronize", synchronize());
}

static unsigned priorities(int *least, int *greatest) {
    struct CUctx_st *context;
    unsigned code = fake_current(&context);

    if (code == 0) {
        *least = 0;
        *greatest = -5;
    }
    return code;
}

unsigned cuCtxGetStreamPriorityRange(int *least, int *greatest) {
    FAKE_CALL("cuCtxGetStreamPriorityRange", priorities(least, greatest));
}
