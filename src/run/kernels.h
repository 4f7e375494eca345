/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels of an engine on its device: each program generic, and specialised for the values of
 * dims that were asked for. They are compiled and loaded by the pool, and each at most once.
 */
#ifndef CUBBY_RUN_KERNELS_H
#define CUBBY_RUN_KERNELS_H

#include "driver/module.h"
#include "engine/plan.h"
#include "run/events.h"
#include "run/pool.h"
#include "run/source.h"

/* Of one program, so many are kept specialised. */
#define VARIANTS_MAX 64

enum variant_state {
    VARIANT_PENDING, /* asked for */
    VARIANT_READY,   /* on the device */
    VARIANT_FAILED,
};

/* A program, generic or specialised. Once it is known not to be pending, state, problem, module and
 * functions do not change, and need no lock. */
struct variant {
    size_t program;
    int64_t *dims;              /* all values for which it was asked first; NULL: generic */
    enum variant_state state;   /* by the lock of kernels */
    struct cubby_error problem; /* of one that failed */
    struct loaded_module *module;
    struct CUfunc_st **functions; /* of each launch; NULL for launches of other programs */
    size_t name_count;            /* of launches */
    char **names;                 /* and what the kernels are called in the module */

    /* Of whoever asks: */
    uint64_t asked;  /* the time of the last time */
    bool was_missed; /* the generic one ran in its place */
    bool is_pinned;  /* a graph of someone else's has it: it stays */
};

struct kernels;

/* What kernels are made from. All but the caches stays in place until the group has no task. */
struct kernels_setup {
    const char *name; /* of the engine */
    const struct cubby_engine_plan *plan;
    struct cubby_cache *cache;                 /* a reference is taken; NULL for none */
    struct cubby_runtime_cache *runtime_cache; /* in front of it, which the cache holds; or NULL */
    const char *const *options;
    size_t option_count;
    struct run_events *events;
    struct pool_group *group;
};

int kernels_new(const struct kernels_setup *setup, struct device_context *context,
                struct kernels **ret_kernels, struct cubby_error *error);

/* Gives up what has not begun, and lets go; what has begun ends by itself. No kernel may be
 * running. NULL-safe. */
void kernels_free(struct kernels *kernels);

/*
 * The variant of a program for given dims (NULL: the generic one), asked for if it was not before.
 * NULL where memory is short, where there are VARIANTS_MAX (see kernels_drop()), or for someone who
 * can do without it, while many others wait to be compiled. Borrowed.
 */
struct variant *kernels_ask(struct kernels *kernels, size_t program, const int64_t *dims,
                            bool can_do_without);

/* The variant, if it is there and not pending; borrowed, else NULL. */
struct variant *kernels_find_done(struct kernels *kernels, size_t program, const int64_t *dims);

/* Where a program has as many variants as it may: the one that was asked for longest ago and is
 * neither pending nor to be kept; else NULL. Borrowed. */
struct variant *kernels_find_oldest(struct kernels *kernels, size_t program,
                                    const struct variant *keep);

/* Drops a specialised variant. No kernel of it may be running. */
void kernels_drop(struct kernels *kernels, struct variant *variant);

/* Forgets generic variants that failed, so that they are tried again when they are asked for. */
void kernels_forget_failures(struct kernels *kernels);

enum variant_state variant_state(struct kernels *kernels, const struct variant *variant);

/* Grows with each variant that is not pending any more. */
unsigned kernels_news(const struct kernels *kernels);

/* Someone who waits for kernels, for which nothing else has to be held; of one call. */
struct kernels_wait {
    struct kernels *kernels; /* a reference while it waits */
    unsigned news;
    bool has_waited; /* in this call */
};

#define KERNELS_WAIT_INIT                                                                          \
    { NULL, 0, false }

/* To be waited for: that there is other news than this. */
void kernels_wait_begin(struct kernels *kernels, unsigned news, struct kernels_wait *wait);

/* Waits until there is, or the kernels are given up, and lets go of them. */
void kernels_wait_end(struct kernels_wait *wait);

#endif
