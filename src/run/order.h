/* SPDX-License-Identifier: Apache-2.0 */
/* The runs of an engine one after the other, also where they go into different streams: they share
 * its scratch tensors. The device's context is current. */
#ifndef CUBBY_RUN_ORDER_H
#define CUBBY_RUN_ORDER_H

#include "driver/event.h"

struct order {
    struct device_context *context; /* borrowed */
    struct CUstream_st *own;        /* the engine's stream */
    bool has_run;
    struct CUstream_st *last;    /* of the last run; it may be gone, unless it is our own, */
    bool may_be_gone;            /* and another be in its place, or that of another thread */
    struct device_event *done;   /* behind the last run, unless that was in our own stream */
    struct device_event *caller; /* behind what the caller had put into its stream */
    /* Where that is of another device: */
    struct device_context *abroad; /* that device's; a reference */
    struct device_event *there;    /* and an event of it, in place of the caller's */
    bool is_abroad;                /* the caller's present stream is */
};

/* Makes what comes into the stream wait for the last run. */
int order_begin(struct order *order, struct CUstream_st *stream, struct cubby_error *error);

/* The last run is in that stream, or what there is of one that failed. Where that cannot be marked,
 * waits for it. stays: until order_forget_stream(). */
int order_end(struct order *order, struct CUstream_st *stream, bool stays,
              struct cubby_error *error);

/* The stream of the last run need not stay any longer. */
void order_forget_stream(struct order *order);

/* Makes our own stream wait for the caller's, before a run; and the caller's for ours, behind it.
 */
int order_after_caller(struct order *order, struct CUstream_st *caller, struct cubby_error *error);
int order_before_caller(struct order *order, struct CUstream_st *caller, struct cubby_error *error);

/* Waits for the last run. */
int order_sync(struct order *order, struct cubby_error *error);

/*
 * The same in two steps, of which others may run in between. First: what to wait for; NULL for all
 * that is in our own stream. may_capture: that may be recorded meanwhile, and must not be waited
 * for then.
 */
int order_mark(struct order *order, bool may_capture, struct device_event **ret_event,
               struct cubby_error *error);
int order_await(const struct order *order, struct device_event *event, struct cubby_error *error);

void order_free(struct order *order);

#endif
