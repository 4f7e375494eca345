/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single flight: of those who need the same missing entry at the same time, one makes it and the
 * others wait. Threads of a process meet in the table of their cache, which all caches share that
 * have more stores before the same ones; those who wait get the object or the error itself, and put
 * the object into stores that the other did not have. Processes meet at the lock of the last store
 * that has locks (cubby_backend_ops.lock_key), and look into the store again when it is given back.
 *
 * Nobody waits for ever: not for longer than the time-out, and not for itself, be it through what
 * other threads wait for. Who gives up waiting makes the entry, too; that costs a compile and
 * nothing else, since a store replaces entries as a whole.
 */
#ifndef CUBBY_CACHE_FLIGHT_H
#define CUBBY_CACHE_FLIGHT_H

#include <pthread.h>
#include <stdint.h>

#include <cubby/cubby.h>

#include "os/fork.h"

#define FLIGHT_TIMEOUT_SECONDS 120
#define FLIGHT_TIMEOUT_MAX_SECONDS 1000000

struct flight;
struct flight_waiter;

/* The flights of a cache, and of those before it (cache_put_before()). */
struct flight_table {
    pthread_mutex_t lock;  /* guards all below and the flights; held for moments only */
    pthread_cond_t landed; /* some flight has */
    struct flight *flights;
    struct flight *orphans; /* in a forked child: those of threads that did not come along */
    struct flight_waiter *waiters;
    struct fork_guard guard;
    uint64_t timeout_ns; /* 0: no flights */
};

void flight_table_init(struct flight_table *table);

/* No flight of this process is under way any more; the stores are still there. */
void flight_table_free(struct flight_table *table);

/* An entry that no store had. */
struct flight_task {
    enum cubby_entry_kind kind;
    struct cubby_key key; /* what is made at most once at a time */
    bool is_whole;        /* and it decides all: what another makes under it will do as it is */
    const char *name;     /* of the program, as in logs and messages; "" for none */

    /* Looks once more, and counts nothing. Returns 0 with a new object, or NOT_FOUND. */
    int (*look_up)(void *context, struct cubby_object **ret_object);

    /* Makes the object and stores it. *ret_kept, false before: it was stored, and so may be by
     * others. */
    int (*make)(void *context, struct cubby_object **ret_object, bool *ret_kept,
                struct cubby_error *error);
    void *context;
};

/* Makes the entry or waits for another who does. *ret_waited: it was another's. Returns what make
 * did, here or there. */
int flight_run(struct cubby_cache *cache, const struct flight_task *task,
               struct cubby_object **ret_object, bool *ret_waited, struct cubby_error *error);

#endif
