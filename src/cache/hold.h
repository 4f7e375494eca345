/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sole right to read an entry, change it and write it back, among all who share a store.
 * Single flight (flight.h) is for entries that any of those who want them can make as well as
 * another; this is for those that grow.
 */
#ifndef CUBBY_CACHE_HOLD_H
#define CUBBY_CACHE_HOLD_H

#include <cubby/cubby.h>

struct cache_hold {
    struct cubby_backend *tier;
    struct cubby_key_lock *lock; /* NULL for none */
};

/*
 * Takes the lock of the last store that has locks; where none has, as in memory, nothing is held.
 * Waits for another not much longer than that. Returns 0, released by cache_let_go(); BUSY; or the
 * store's error.
 */
int cache_hold(struct cubby_cache *cache, enum cubby_entry_kind kind, const struct cubby_key *key,
               uint64_t timeout_ns, struct cache_hold *ret_hold, struct cubby_error *error);

/* By the thread that holds it. */
void cache_let_go(struct cache_hold *hold);

#endif
