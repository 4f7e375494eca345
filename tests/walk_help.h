/* SPDX-License-Identifier: Apache-2.0 */
/* A plain reckoning of what has to come of what is done to an engine: where a run goes, what it
 * computes, and what it has to count. It knows nothing of how the engine does it. */
#ifndef TESTS_WALK_HELP_H
#define TESTS_WALK_HELP_H

#include "driver/memory.h"
#include "runner_help.h"

#define SHAPES 10
#define SLOTS 4
#define RING 6   /* further slots, for numbers that the caller brings in its stream */
#define SLOT 128 /* numbers; the greatest shape is below */
#define NUMBERS ((SLOTS + RING) * SLOT)

/* Where a run goes: the number of a stream, or: */
enum { OWN = -1, DEFAULT = -2, REFUSED = -3 };

/* Whether the engine has a graph that does what its last recorded run did. */
enum knowledge { NO, YES, PERHAPS };

/* What an engine should be like. */
struct model {
    struct cubby_engine *engine;
    const char *name;
    int device;
    struct device_memory *in, *out;
    float x[NUMBERS], expected[NUMBERS];

    struct cubby_runtime_settings settings;
    int external; /* a stream's number, or OWN */
    unsigned shape;
    unsigned in_slot, out_slot;

    bool has_context;
    uint64_t scratch; /* bytes there are */
    bool is_asked[SHAPES], is_ready[SHAPES], was_missed[SHAPES];
    enum knowledge recorded; /* with these: */
    unsigned recorded_shape;
    uint64_t recorded_in, recorded_out;
    int recorded_stream;
    enum knowledge has_exec; /* for a place: */
    int exec_place;

    struct cubby_engine_stats counts; /* of enqueues, contexts, swaps, kinds of runs and graphs */
};

int64_t size_of_shape(unsigned shape);
bool is_lazy(const struct model *model);
bool is_eager(const struct model *model);
bool records(const struct model *model);

/* Runs it; gives what enqueue did. */
int enqueue_model(struct model *model);

/* What the output holds behind a run. */
void reckon_numbers(struct model *model);

/* The engine gets ready for its shape. Returns whether its kernels are what they will be. */
bool reckon_ready(struct model *model);

/* A run went into a stream, in a place: 0 for the device's own, else a part of it. */
void reckon_run(struct model *model, int stream, int place, bool is_final);

/* One was recorded into a graph of the caller's. */
void reckon_recorded_run(struct model *model);

/* The context is dropped. */
void reckon_drop(struct model *model);

/* Another stream took the place of the external one. */
void reckon_stream(struct model *model, int stream);

/* A run was disturbed: what it recorded is not known, nor what it counted. */
void reckon_doubt(struct model *model);

/* The numbers there are have to be those expected, or (may_be_old) those that were. */
void check_numbers(struct model *model, const float *old);

/* Everything was counted as reckoned. */
void check_counts(const struct model *model);

#endif
