/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks across fork(): a lock that another thread holds at that moment would stay locked in the
 * child for ever. A guard has its locks taken before the fork and released after it on both sides.
 */
#ifndef CUBBY_OS_FORK_H
#define CUBBY_OS_FORK_H

#include <stdbool.h>

/* The order in which locks are taken: one of an earlier level may be held while those of later
 * levels are taken. */
enum fork_level {
    FORK_LEVEL_POOL,
    FORK_LEVEL_TOOLCHAIN,
    FORK_LEVEL_RUNTIME_CACHE, /* which keeps toolchains */
    FORK_LEVEL_FLIGHT,
    FORK_LEVEL_STORE,
    FORK_LEVEL_LOCK_FILE,
};

/* Belongs to whoever owns the locks, and stays where it is while it is in use. */
struct fork_guard {
    void (*hold)(void *context);
    void (*release)(void *context, bool in_child);
    void *context;
    enum fork_level level;
    struct fork_guard *next;
};

/*
 * Puts a guard in use. Must not be called with a guarded lock held; neither must fork_guard_remove.
 */
void fork_guard_add(struct fork_guard *guard);
void fork_guard_remove(struct fork_guard *guard);

#endif
