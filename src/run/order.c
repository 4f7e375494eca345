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

    if (result < 0) {
        stream_sync(order->context->driver, stream, NULL); /* what cannot be marked is waited for */
        return result;
    }
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

int order_sync(struct order *order, struct cubby_error *error) {
    if (order->has_run && order->last != order->own)
        return device_event_sync(order->done, error);
    return stream_sync(order->context->driver, order->own, error);
}

void order_free(struct order *order) {
    device_event_free(order->done);
    device_event_free(order->caller);
}
