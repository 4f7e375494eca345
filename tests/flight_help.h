/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of single flight share: a compiler that waits where it is told to, stores, and
 * requests by threads and by children. */
#ifndef TESTS_FLIGHT_HELP_H
#define TESTS_FLIGHT_HELP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "harness.h"

#define MS 1000000u /* nanoseconds */

/* Fixture: a compiler that waits while the gate is closed, where a source says so. Each test runs
 * in a process of its own. */
void flight_set_up(void);
void flight_tear_down(void);
void close_gate(void);
void open_gate(void);
bool gate_is_closed(void);

void pass_ms(unsigned ms);

/* Waits until so many compiles have begun. */
void await_compiles(unsigned count);

/* Specs, FOLDER standing for a folder, and where the locks are then. */
struct flight_place {
    const char *spec, *locks;
};
extern const struct flight_place PLACES[];
extern const int PLACE_COUNT;

/* The spec with its folder, new. */
char *spec_in(const char *spec, const char *folder);

/* A cache all of whose tiers work. */
struct cubby_cache *open_cache(const char *spec);

/* Number of lock files in a folder; 0 where that is not there. */
unsigned count_locks(const char *folder, const char *locks);

/* Of the last tier. */
struct cubby_counters counters_of(const char *spec);

/* A compile; a thread's function, and what it gave. */
struct request {
    struct cubby_cache *cache;
    const char *text;
    char name[32]; /* of the program; "" for one that is always the same */
    int result;
    struct cubby_outcome outcome;
    struct cubby_object *object;
    struct cubby_error error;
};
void *compile(void *request);
void release(struct request *request);

/* A compile that has to succeed. */
struct cubby_outcome compile_in(struct cubby_cache *cache, const char *text);

/* What a child compiles, in a cache that it opens itself. */
struct errand {
    const char *spec, *text;
    int wanted; /* enum cubby_outcome_kind, or -1 for any that served it */
};
void run_errand(void *errand);

/* One who makes an entry, and may ask the cache for another meanwhile. */
struct maker {
    struct cubby_cache *cache;
    struct cubby_key own;
    /* On its first call only: */
    pthread_barrier_t *meeting; /* it waits here, */
    struct maker *inner;        /* has this one ask the cache, */
    bool blocks;                /* and waits while the gate is closed */
    atomic_uint calls;
    enum cubby_outcome_kind outcome;
};

/* A thread's function: asks for the maker's own key. */
void *ask(void *maker);

#endif
