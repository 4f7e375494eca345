/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many processes of many threads at work on one store, all of what they see checked.
 *
 * Each key is of one of three sorts, by its number:
 *
 *     kept      put by all and removed by no one: in a store without a cap it is there from the
 *               first put that succeeded on
 *     changing  put and removed by all: what is got belongs to the key, and is whole
 *     own       touched by one thread alone, which knows what it has to find
 *
 * Every payload says which key and version it is of, and all its bytes follow from these.
 */
#ifndef TESTS_STRESS_H
#define TESTS_STRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include <cubby/cubby.h>

#define STRESS_KEYS 4096
#define STRESS_PROCESSES 32 /* at most */
#define STRESS_THREADS 16   /* of each, at most */

/* What is counted. */
enum stress_event {
    STRESS_PUT,
    STRESS_HIT,
    STRESS_MISS,
    STRESS_MAKE, /* cubby_cache_get_or_make() */
    STRESS_REMOVE,
    STRESS_WALK, /* iterate, statistics */
    STRESS_VERIFY,
    STRESS_TRIM,
    STRESS_CLEAR,
    STRESS_OPEN, /* a second cache, closed again */
    STRESS_FLUSH,
    STRESS_OPERATIONS, /* the number of those before, all of which are operations */
    STRESS_KILL = STRESS_OPERATIONS,
    STRESS_STOP,
    STRESS_SAMPLE, /* of the total, all workers stopped */
    STRESS_WRONG,  /* bytes of another key or version, or damaged ones */
    STRESS_LOST,   /* a kept or own entry that is not there */
    STRESS_PROBLEM,
    STRESS_EVENTS,
};

/* What all processes share. */
struct stress_board {
    _Atomic uint64_t events[STRESS_EVENTS];
    _Atomic bool stored[STRESS_KEYS]; /* a put of a kept key has succeeded */
    _Atomic bool end;
};

/* One store and what is done to it. */
struct stress_case {
    const char *name;
    const char *spec; /* each @ stands for the folder, each # for the cap */
    uint64_t cap;     /* 0: nothing may be evicted, and nobody clears */
    unsigned keys;    /* at most STRESS_KEYS */
};

/* What a process is told. */
struct stress_job {
    const struct stress_case *test;
    const char *spec; /* ready to be opened */
    struct stress_board *board;
    struct cubby_key *keys;
    unsigned slot; /* number of this process */
    unsigned processes, threads;
    uint64_t seed;
};

/* stress_worker.c: opens the store and works on it with all threads until the board says that it is
 * the end. Returns an exit status. */
int stress_work(const struct stress_job *job);

/* stress_worker.c: the workers gone: every kept entry is there and whole, and verify finds no
 * damage. Returns an exit status. */
int stress_check_all(const struct stress_job *job);

/* stress_worker.c: tells of a problem on standard error and counts it as this event. */
void stress_tell(const struct stress_job *job, enum stress_event event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* stress_worker.c: the next number of a generator. */
uint64_t stress_random(uint64_t *state);

#endif
