/* SPDX-License-Identifier: Apache-2.0 */
/* The launches of an engine as a CUDA graph, recorded once and replayed while they stay the same.
 */
#ifndef CUBBY_RUN_RECORDING_H
#define CUBBY_RUN_RECORDING_H

#include "run/launches.h"

struct recording {
    struct CUgraphExec_st *exec; /* NULL before the first */
    bool is_current;             /* it does what launches and values say, */
    struct CUstream_st *stream;  /* in the context of that stream */
    struct CUctx_st *place;      /* a green one, without which the graph is nothing; or NULL */
    struct CUstream_st *own;     /* in which is recorded what is for a default stream */
    struct kernel_launch *launches;
    uint64_t *values;
};

/* own: a stream of the engine's, which has to stay. */
int recording_init(struct recording *recording, const struct launches *launches,
                   struct CUstream_st *own, struct cubby_error *error);

/* Has the next run record, as what the graph was recorded in may be gone. */
void recording_outdate(struct recording *recording);

/* Forgets the graph, whose kernels may go then. */
void recording_reset(struct recording *recording, const struct driver *driver);
void recording_free(struct recording *recording, const struct driver *driver);

/*
 * Replays the launches in a stream, recorded anew if anything of them differs. A capture that fails
 * leaves the stream usable, and nothing in it. place: the green context of the stream, or NULL. The
 * device's context is current, and the stream does not capture.
 */
int recording_run(struct recording *recording, const struct launches *launches,
                  struct device_context *context, struct CUctx_st *place,
                  struct CUstream_st *stream, struct run_events *events, struct cubby_error *error);

#endif
