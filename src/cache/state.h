/* SPDX-License-Identifier: Apache-2.0 */
/* The struct behind a cache, for the files of this folder and of src/maintain. */
#ifndef CUBBY_CACHE_STATE_H
#define CUBBY_CACHE_STATE_H

#include <stdatomic.h>
#include <sys/types.h>

#include "cache/cache.h"
#include "cache/flight.h"
#include "entry/form.h"

#define MAX_TIERS 16

struct cubby_cache {
    atomic_uint references;
    struct cubby_backend *tiers[MAX_TIERS];
    struct entry_form forms[MAX_TIERS]; /* in which each keeps its entries; the secrets are owned */
    size_t tier_count;
    size_t own_count;          /* of the first tiers; the others are those of lower */
    struct cubby_cache *lower; /* a reference; NULL where all tiers are own */
    struct cubby_error problems[MAX_TIERS];
    size_t problem_count;
    char *made_by;                        /* owned; NULL, or what cache_made_by() tells */
    _Atomic uint64_t events[EVENT_COUNT]; /* since the last flush */
    struct flight_table own_flights;      /* where there is no lower */
    struct flight_table *flights;         /* these, or those of lower */
    pid_t owner;                          /* whose events they are */
};

#endif
