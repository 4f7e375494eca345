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

/* A program, generic or specialised. */
struct variant {
    size_t program;
    int64_t *dims;              /* all values for which it was asked first; NULL: generic */
    enum variant_state state;   /* by the lock of kernels until it is known not to be pending */
    struct cubby_error problem; /* of one that failed */
    struct loaded_module *module;
    struct CUfunc_st *
        *functions;  /* of one that is ready: for each launch; NULL for other programs */
    uint64_t used;   /* by whoever runs it: the time of its last use, */
    bool was_missed; /* and whether the generic one ran in its place */
};

struct kernels;

/* What kernels are made from. All but the cache stays in place until the group has no task. */
struct kernels_setup {
    const char *name; /* of the engine */
    const struct cubby_engine_plan *plan;
    struct cubby_cache *cache; /* a reference is taken; NULL for none */
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
 * NULL where memory is short, or where there are VARIANTS_MAX: see kernels_drop(). Borrowed.
 */
struct variant *kernels_ask(struct kernels *kernels, size_t program, const int64_t *dims);

/* Where a program has as many variants as it may: drops the one that was used longest ago and is
 * neither pending nor to be kept. No kernel may be running. */
bool kernels_are_full(struct kernels *kernels, size_t program);
void kernels_drop(struct kernels *kernels, size_t program, const struct variant *keep);

/* Forgets a generic variant that failed, so that it is tried again when it is asked for. */
void kernels_forget(struct kernels *kernels, struct variant *variant);

enum variant_state variant_state(struct kernels *kernels, const struct variant *variant);

/* Waits until it is no longer pending. */
enum variant_state variant_wait(struct kernels *kernels, const struct variant *variant);

/* Grows with each variant that is not pending any more. */
unsigned kernels_news(const struct kernels *kernels);

#endif
