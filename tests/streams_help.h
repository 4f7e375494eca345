/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of engines in streams share, on the double: streams of a caller's, numbers that
 * stay where they are, and what the caller records. */
#ifndef TESTS_STREAMS_HELP_H
#define TESTS_STREAMS_HELP_H

#include "driver/graph.h"
#include "driver/stream.h"
#include "runner_help.h"

extern struct line line;
extern struct device_context *context; /* of the first device */
extern struct device_stream *streams[2];

/* Numbers of two runs, one behind the other. */
#define N 100
extern struct cubby_device_memory *in, *out;

void streams_set_up(void);
void streams_tear_down(void);

/* Begins anew with a variable of the double's environment set. False where tests share a process,
 * and so one environment. */
bool begin_anew(const char *name, const char *value);

/* The same: nothing is done before something waits for it. */
bool defer(void);

struct cubby_engine *engine_of(enum cubby_specialization_strategy strategy);

/* One that records its launches as a graph. */
struct cubby_engine *recording_engine_of(enum cubby_specialization_strategy strategy);

/* Runs the engine for n of the numbers, from one on; gives what enqueue did. */
int enqueue(struct cubby_engine *engine, int64_t n, unsigned at);

/* The output has the results from the first number on, and so many of them. */
void check_results(unsigned first, unsigned count);

/* The output is 0. */
void clear_results(void);

struct CUstream_st *stream_of_last_launch(void);

void wait_for(struct device_stream *stream);

/* What a caller records: from begin to end, in a stream. */
struct capture {
    struct device_stream *stream;
    struct cubby_stream_guard guard;
    struct CUgraphExec_st *exec;
};

/* In the first stream. */
void begin(struct capture *capture);
void begin_in(struct capture *capture, struct device_stream *stream, unsigned mode);
void end(struct capture *capture);
void replay(struct capture *capture);
void end_and_free(struct capture *capture);

/* Replays it, checks as many results as there have to be then, and frees it. */
void replay_and_free(struct capture *capture, unsigned count);

#endif
