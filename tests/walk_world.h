/* SPDX-License-Identifier: Apache-2.0 */
/* Where walks take place: engines on two devices, streams of callers, and time that passes when the
 * walk says so. */
#ifndef TESTS_WALK_WORLD_H
#define TESTS_WALK_WORLD_H

#include "driver/stream.h"
#include "walk_help.h"

#define ENGINES 3
#define STREAMS 6
#define NO_GUARD (-1)

/* The parts of the first device. */
extern const char *const PART_NAMES[2];
#define PART_SIZE 16 /* multiprocessors */

/* Streams of callers: two of each device, and two of parts of the first. */
extern struct way {
    struct device_stream *made; /* NULL for one of a part */
    struct CUstream_st *handle;
    int device;
    int part; /* 0: none */
} ways[STREAMS];

extern struct device_context *contexts[2];
extern struct model models[ENGINES];
extern struct device_memory *foreign[2]; /* for work that is no engine's */

/* What callers brought in their streams, and what came of it. */
extern float brought[ENGINES][RING][SLOT], came[ENGINES][RING][SLOT];
extern unsigned brought_count[ENGINES];

/* From which random numbers follow, each below an end. */
extern uint64_t walk_state;
unsigned below(unsigned end);

/* defers: nothing is done before something waits for it. */
void walk_set_up(bool defers);
void walk_tear_down(void);

void open_memory(struct model *model);

/* The stream that the thread works in: a number, DEFAULT or NO_GUARD; at most three nest. */
int guard_now(void);
void enter_guard(int stream);
void leave_guard(void);
unsigned guards_now(void);

struct CUstream_st *handle_of(int stream);
int destination_of(const struct model *model);
int part_of(int stream);

/* Whatever was asked for becomes ready. */
void make_ready(void);

/* Before a call that may wait for kernels: those that do not have to be there become ready after
 * it. */
void before_call(const struct model *model);
void after_call(void);

/* Some work is done in one of the streams. */
void pass_time(void);

void wait_for_stream(const struct way *way);

/* Everything is done, in whatever order that may be; and right. */
void settle(void);

/* What was computed is forgotten, so that it has to be computed again. */
void wipe(struct model *model);

#endif
