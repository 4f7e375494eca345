/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file ROOT/counters: what happened to a store, by all processes, and about how many bytes it
 * holds. It is written under flock, whole, with a checksum; a damaged one counts as none, and the
 * next walk sets the bytes right. It is never an error: entries matter, counters do not.
 */
#ifndef CUBBY_BACKENDS_FILE_ACCOUNT_H
#define CUBBY_BACKENDS_FILE_ACCOUNT_H

#include <cubby/backend.h>

struct account {
    struct cubby_counters counters;
    uint64_t bytes;
    int64_t walked_at; /* when bytes was last summed up, seconds since the epoch; 0: never */
};

/* Reads the account; all zero where there is none. Returns false where there is one, but damaged.
 */
bool account_read(int root, struct account *ret_account);

/* Changes the account under its lock. change gets the present one. Returns 0 or -1 with errno:
 * EAGAIN where another process was stopped while it held the lock. */
int account_change(int root, void (*change)(struct account *account, const void *context),
                   const void *context, struct account *ret_account);

#endif
