/* SPDX-License-Identifier: Apache-2.0 */
/* Work recorded from a stream and replayed at once. The device's context is current. */
#ifndef CUBBY_DRIVER_GRAPH_H
#define CUBBY_DRIVER_GRAPH_H

#include <stdbool.h>

#include "driver/driver.h"

/*
 * Begins to record what is put into a stream, by the thread that will end it. The mode is
 * THREAD_LOCAL: what other threads allocate, load or wait for meanwhile breaks nothing.
 */
int capture_begin(const struct driver *driver, struct CUstream_st *stream,
                  struct cubby_error *error);

/* Ends a capture. On failure the stream captures no longer, and is as usable as before. *ret_graph
 * is destroyed with graph_free(). */
int capture_end(const struct driver *driver, struct CUstream_st *stream,
                struct CUgraph_st **ret_graph, struct cubby_error *error);

/* Ends a capture whose recording failed; there is nothing more to be told of it. */
void capture_abandon(const struct driver *driver, struct CUstream_st *stream);

/* Whether a stream captures, be it by this process's engine or by its caller. A broken capture is
 * CUBBY_ERR_INVALID. Allowed at any time. */
int capture_is_active(const struct driver *driver, struct CUstream_st *stream, bool *ret_active,
                      struct cubby_error *error);

/* Lets the calling thread allocate, load and wait although another one captures in the mode
 * GLOBAL, or it captures itself: that is no part of the capture then, nor breaks it. Returns what
 * to give back by capture_restore(). */
unsigned capture_tolerate(const struct driver *driver);
void capture_restore(const struct driver *driver, unsigned mode);

void graph_free(const struct driver *driver, struct CUgraph_st *graph);         /* NULL-safe */
void graph_exec_free(const struct driver *driver, struct CUgraphExec_st *exec); /* NULL-safe */

/*
 * Makes *exec (NULL at first) run the graph: updated where the driver can do that, otherwise
 * instantiated anew, the old one freed. *ret_updated tells which. On failure *exec is as it was.
 * CUBBY_ERR_UNSUPPORTED with drivers older than CUDA 11.4. Not while the calling thread captures.
 * What is running of *exec goes on as it is: an update counts from the next launch on, and what is
 * destroyed is freed when it is done (CUDA driver API, cuGraphExecUpdate and cuGraphExecDestroy).
 */
int graph_exec_set(const struct driver *driver, struct CUgraphExec_st **exec,
                   struct CUgraph_st *graph, bool *ret_updated, struct cubby_error *error);

/* Replays it in a stream. */
int graph_exec_launch(const struct driver *driver, struct CUgraphExec_st *exec,
                      struct CUstream_st *stream, struct cubby_error *error);

#endif
