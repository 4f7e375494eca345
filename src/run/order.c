/* SPDX-License-Identifier: Apache-2.0 */
#include "run/order.h"

#include "driver/stream.h"
#include "util/error.h"

/* Marks what is in a stream now. */
static int mark(struct order *order, struct device_event **event, struct CUstream_st *stream,
                struct cubby_error *error) {
    int result = *event ? 0 : device_event_new(order->context, false, event, error);

    return result == 0 ? device_event_record(*event, stream, error) : result;
}

int order_begin(struct order *order, struct CUstream_st *stream, struct cubby_error *error) {
    int result = 0;

    if (!order->has_run || (order->last == stream && !order->may_be_gone))
        return 0;
    if (order->last == order->own)
        result = mark(order, &order->done, order->own, error);
    return result == 0 ? device_event_wait(order->done, stream, error) : result;
}

int order_end(struct order *order, struct CUstream_st *stream, bool stays,
              struct cubby_error *error) {
    int result = stream == order->own ? 0 : mark(order, &order->done, stream, error);

    if (result < 0) {
        stream_sync(order->context->driver, stream, NULL); /* what cannot be marked is waited for */
        return result;
    }
    order->has_run = true;
    order->last = stream;
    order->may_be_gone = !stays && stream != order->own;
    return 0;
}

void order_forget_stream(struct order *order) {
    order->may_be_gone = order->last != order->own;
}

/* ---- The caller's stream ----------------------------------------------------------------- */

static void come_back(struct order *order) {
    device_event_free(order->there);
    device_context_unref(order->abroad);
    order->there = NULL;
    order->abroad = NULL;
}

/* Takes the context of the device that the caller's stream is of, with an event there. */
static int go_abroad(struct order *order, int device, struct cubby_error *error) {
    int ordinal, result = 0;

    if (order->abroad && order->abroad->device.handle != device)
        come_back(order);
    if (!order->abroad)
        result = device_ordinal(order->context->driver, device, &ordinal, error);
    if (result == 0 && !order->abroad)
        result = device_context_get(ordinal, &order->abroad, error);
    if (result == 0 && !order->there)
        result = device_event_new(order->abroad, false, &order->there, error);
    return result;
}

static int mark_abroad(struct order *order, struct CUstream_st *caller, struct cubby_error *error) {
    int result = device_context_enter(order->abroad, error);

    if (result < 0)
        return result;
    result = device_event_record(order->there, caller, error);
    device_context_leave(order->abroad);
    return result;
}

/* Marks what is in the caller's stream: an event and its stream are of one device, which is asked
 * for only where it is not ours. */
static int mark_caller(struct order *order, struct CUstream_st *caller,
                       struct device_event **ret_event, struct cubby_error *error) {
    const struct driver *driver = order->context->driver;
    struct cubby_error problem = CUBBY_ERROR_INIT;
    int device, result = mark(order, &order->caller, caller, &problem);

    *ret_event = order->caller;
    order->is_abroad = result < 0 && stream_find_device(driver, caller, &device, NULL) == 0 &&
                       device != order->context->device.handle;
    if (order->is_abroad) {
        result = go_abroad(order, device, error);
        if (result == 0)
            result = mark_abroad(order, caller, error);
        *ret_event = order->there;
    } else if (result < 0) {
        error_move(error, &problem);
    }
    cubby_error_clear(&problem);
    return result;
}

int order_after_caller(struct order *order, struct CUstream_st *caller, struct cubby_error *error) {
    struct device_event *event;
    int result = mark_caller(order, caller, &event, error);

    return result == 0 ? device_event_wait(event, order->own, error) : result;
}

static int wait_abroad(struct order *order, struct CUstream_st *caller, struct cubby_error *error) {
    int result = device_context_enter(order->abroad, error);

    if (result < 0)
        return result;
    result = device_event_wait(order->caller, caller, error);
    device_context_leave(order->abroad);
    return result;
}

int order_before_caller(struct order *order, struct CUstream_st *caller,
                        struct cubby_error *error) {
    int result = mark(order, &order->caller, order->own, error);

    if (result < 0)
        return result;
    return order->is_abroad ? wait_abroad(order, caller, error)
                            : device_event_wait(order->caller, caller, error);
}

/* ---- The end ----------------------------------------------------------------------------- */

int order_mark(struct order *order, bool may_capture, struct device_event **ret_event,
               struct cubby_error *error) {
    const bool is_own = !order->has_run || order->last == order->own;
    int result = is_own && may_capture ? mark(order, &order->done, order->own, error) : 0;

    *ret_event = result == 0 && (!is_own || may_capture) ? order->done : NULL;
    return result;
}

int order_await(const struct order *order, struct device_event *event, struct cubby_error *error) {
    return event ? device_event_sync(event, error)
                 : stream_sync(order->context->driver, order->own, error);
}

int order_sync(struct order *order, struct cubby_error *error) {
    struct device_event *event;
    int result = order_mark(order, false, &event, error);

    return result == 0 ? order_await(order, event, error) : result;
}

void order_free(struct order *order) {
    device_event_free(order->done);
    device_event_free(order->caller);
    come_back(order);
}
