/* SPDX-License-Identifier: Apache-2.0 */
/* An engine from within. */
#ifndef CUBBY_RUN_ENGINE_H
#define CUBBY_RUN_ENGINE_H

#include <pthread.h>

#include "driver/device.h"
#include "run/execution.h"
#include "run/settings.h"

/* A stream of a caller's. */
struct bound_stream {
    struct CUstream_st *stream;            /* NULL for none */
    struct CUctx_st *place;                /* the green context that it is of, or NULL */
    struct cubby_green_division *division; /* that has it; a reference, or NULL */
};

struct cubby_engine {
    atomic_uint references;
    struct cubby_engine_plan *plan; /* a reference, as is the cache */
    char *name;
    struct device_info device;
    int driver_version;
    struct cubby_cache *cache;
    char **options; /* owned */
    size_t option_count;
    struct run_events events;
    struct pool_group group; /* its compiles */

    /* Whose turn it is to use the engine or to change it, taken before the lock; recursive, for
     * callbacks. No compile is waited for with it, but where a file is to be read again that these
     * are saved to; nor what sync waits for. */
    pthread_mutex_t turn;
    bool is_busy;                 /* with a call of the thread that has the turn */
    struct bound_stream prepared; /* of the thread that prepared last; it may be gone,
                                     unless it is of a division */
    struct shape shape;
    uint64_t *addresses; /* of the tensors, in the present call */

    /* Held for moments, so that those who only look never wait. It guards all below; who has the
     * turn needs it only to change what is below, and to look at what is not the turn's. */
    pthread_mutex_t lock;
    struct settings settings;     /* the turn's, as are execution and external */
    struct execution *execution;  /* NULL until it is needed */
    struct bound_stream external; /* NULL for none */
    int outer_graphs;             /* scopes in which the caller records it with other work */
    unsigned syncs;               /* of the execution, in other threads, which it has to outlive */
    pthread_cond_t synced;        /* they are done */
};

/* Takes the turn, for a call that uses or changes the engine. BUSY from within such a call. */
int engine_begin(struct cubby_engine *engine, struct cubby_error *error);
void engine_end(struct cubby_engine *engine);

/*
 * Puts other settings in the place of those in force, which the caller gets in return; the
 * execution context is dropped, when its work on the device is done. Between engine_begin() and
 * engine_end().
 */
void engine_swap_settings(struct cubby_engine *engine, struct settings *settings);

/* Sets what was asked for, if that is allowed. *ret_before: what was in force, to be restored or
 * displaced by the caller; a copy where nothing changed. Between begin and end. */
int engine_set(struct cubby_engine *engine, const struct cubby_runtime_settings *asked,
               struct settings *ret_before, struct cubby_error *error);

/* As engine_end(), and releases settings that others took the place of: what a handle of the
 * engine's own holds is saved when the compiles that have begun are done, unless the engine goes on
 * with it. */
void engine_end_displacing(struct cubby_engine *engine, struct settings *settings);

#endif
