/* SPDX-License-Identifier: Apache-2.0 */
/* The execution context of an engine: what it has on its device. One thread at a time, but for
 * execution_await(). */
#ifndef CUBBY_RUN_EXECUTION_H
#define CUBBY_RUN_EXECUTION_H

#include <cubby/runner.h>

#include "driver/event.h"
#include "run/kernels.h"

/* Values of the dims, and what follows from them. */
struct shape {
    int64_t *dims;
    struct cubby_engine_geometry *geometry;
    unsigned serial; /* another with each change; 0: none yet */
};

struct execution;

/* Makes one, that uses kernels and graphs as the settings say. */
int execution_new(const struct kernels_setup *setup, int device,
                  const struct cubby_runtime_settings *settings, struct execution **ret_execution,
                  struct cubby_error *error);

/* Waits for its work on the device. NULL-safe. */
void execution_free(struct execution *execution);

/* Where a run goes. */
struct destination {
    struct CUstream_st *stream; /* where it is not our own */
    bool is_own;
    bool is_bound;          /* it stays until execution_forget_stream() */
    struct CUctx_st *place; /* the green context that it is of; NULL for none */
    bool captures;          /* for someone else: everything has to be ready, there */
    bool has_caller;        /* our own, between what is and what will be in another stream: */
    struct CUstream_st *caller;
};

/* Another stream of the caller's takes the place of the one that runs went into: that one may go,
 * with its green context, and a new one lie where it lay. */
void execution_forget_stream(struct execution *execution);

/* Not an error: kernels that are needed are being compiled, and nothing else was done. Wait for
 * them, which takes no lock of the engine's, and come again. */
#define EXECUTION_WAITS 1

/* Gets ready for a shape, in the place of the destination. Returns EXECUTION_WAITS with *wait. */
int execution_prepare(struct execution *execution, const struct shape *shape,
                      const struct destination *destination, struct kernels_wait *wait,
                      struct cubby_error *error);

/* True if a run of that shape in a place needs nothing but its launches, and the same ones for
 * ever.
 */
bool execution_is_ready(struct execution *execution, const struct shape *shape,
                        const struct CUctx_st *place);

/* Puts all launches into a stream. addresses: of each tensor of the plan, but of scratch. Returns
 * EXECUTION_WAITS with *wait. */
int execution_run(struct execution *execution, const struct shape *shape, const uint64_t *addresses,
                  const struct destination *destination, struct kernels_wait *wait,
                  struct cubby_error *error);

/* What has to be done for the last run to be done; NULL for all that is in the engine's stream. */
int execution_mark(struct execution *execution, struct device_event **ret_event,
                   struct cubby_error *error);

/* Waits for that. Others may use the execution meanwhile; it has to stay. */
int execution_await(struct execution *execution, struct device_event *event,
                    struct cubby_error *error);

#endif
