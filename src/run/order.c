/* SPDX-License-Identifier: Apache-2.0 */
#include "run/order.h"

#include "driver/stream.h"

/* Marks what is in a stream now. */
static int mark(struct order *order, struct device_event **event, struct CUstream_st *stream,
                struct cubby_error *error) {
    int result = *event ? 0 : device_event_new(order->context, false, event, error);

    return result == 0 ? device_event_record(*event, stream, error) : result;
}

int order_begin(struct order *order, struct CUstream_st *stream, struct cubby_error *error) {
    int result = 0;

    if (!order->has_run || order->last == stream)
        return 0;
    if (order->last == order->own)
        result = mark(order, &order->done, order->own, error);
    return result == 0 ? device_event_wait(order->done, stream, error) : result;
}

int order_end(struct order *order, struct CUstream_st *stream, struct cubby_error *error) {
    int result = stream == order->own ? 0 : mark(order, &order->done, stream, error);

    if (result < 0)
        return result;
    order->has_run = true;
    order->last = stream;
    return 0;
}

int order_after_caller(struct order *order, struct CUstream_st *caller, struct cubby_error *error) {
    int result = mark(order, &order->caller, caller, error);

    return result == 0 ? device_event_wait(order->caller, order->own, error) : result;
}

int order_before_caller(struct order *order, struct CUstream_st *caller,
                        struct cubby_error *error) {
    int result = mark(order, &order->caller, order->own, error);

    return result == 0 ? device_event_wait(order->caller, caller, error) : result;
}

int order_mark(struct order *order, bool may_capture, struct device_event **ret_event,
               struct cubby_error *error) {
    int result = 0;

    *ret_event = NULL;
    if (order->has_run && order->last == order->own && may_capture)
        result = mark(order, &order->done, order->own, error);
    if (result == 0 && order->has_run && (order->last != order->own || may_capture))
        *ret_event = order->done;
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
}
