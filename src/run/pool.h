/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that compile, shared by all engines of the process: no more than processors. They come
 * with the first task and go with the last.
 */
#ifndef CUBBY_RUN_POOL_H
#define CUBBY_RUN_POOL_H

#include <stdbool.h>

/* Tasks that someone waits for. */
struct pool_group {
    unsigned pending; /* not yet done, nor given up; the pool's */
};

#define POOL_GROUP_INIT                                                                            \
    { 0 }

struct pool_task {
    void (*run)(struct pool_task *task);     /* does the work, and releases the task */
    void (*give_up)(struct pool_task *task); /* releases a task that never began */
    const void *owner;                       /* with whom it can be given up */
    struct pool_group *group;
    bool is_urgent;         /* someone waits for it: it goes before those for whom no one does */
    struct pool_task *next; /* the pool's */
};

/* Hands a task over. Where no thread can be started, it has been run when this returns. */
void pool_submit(struct pool_task *task);

/* True while so many tasks wait that further ones had better come later. */
bool pool_is_crowded(void);

/* Gives up those tasks of an owner that have not begun. */
void pool_give_up(const void *owner);

/* Waits until no task of the group is left. Not from within a task. In a forked child, where the
 * tasks of its parent will not be done, returns at once. */
void pool_wait(struct pool_group *group);

#endif
