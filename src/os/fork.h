/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks across fork(): a lock that another thread holds at that moment would stay locked in the
 * child for ever. A guard has its locks taken before the fork and released after it on both sides.
 */
#ifndef CUBBY_OS_FORK_H
#define CUBBY_OS_FORK_H

#include <stdbool.h>

/* Belongs to whoever owns the locks, and stays where it is while it is in use. */
struct fork_guard {
    void (*hold)(void *context);
    void (*release)(void *context);
    void *context;
    struct fork_guard *next;
};

/*
 * Puts a guard in use. outer: its lock may be held while those of other guards are taken, so it
 * comes before them. Must not be called with a guarded lock held; neither must fork_guard_remove.
 */
void fork_guard_add(struct fork_guard *guard, bool outer);
void fork_guard_remove(struct fork_guard *guard);

#endif
