/* SPDX-License-Identifier: Apache-2.0 */
#include "os/fork.h"

#include <pthread.h>
#include <stddef.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t registered = PTHREAD_ONCE_INIT;
static struct fork_guard *guards; /* in the order in which they are held */

static void before_fork(void) {
    pthread_mutex_lock(&lock);
    for (struct fork_guard *guard = guards; guard; guard = guard->next)
        guard->hold(guard->context);
}

static void after_fork(bool child) {
    for (struct fork_guard *guard = guards; guard; guard = guard->next)
        guard->release(guard->context, child);
    pthread_mutex_unlock(&lock);
}

static void in_parent(void) {
    after_fork(false);
}

static void in_child(void) {
    after_fork(true);
}

/* Where memory is short for it, forks stay unguarded. */
static void register_handlers(void) {
    pthread_atfork(before_fork, in_parent, in_child);
}

void fork_guard_add(struct fork_guard *guard) {
    struct fork_guard **at = &guards;

    pthread_once(&registered, register_handlers);
    pthread_mutex_lock(&lock);
    while (*at && (*at)->level <= guard->level)
        at = &(*at)->next;
    guard->next = *at;
    *at = guard;
    pthread_mutex_unlock(&lock);
}

void fork_guard_remove(struct fork_guard *guard) {
    pthread_mutex_lock(&lock);
    for (struct fork_guard **at = &guards; *at; at = &(*at)->next) {
        if (*at == guard) {
            *at = guard->next;
            break;
        }
    }
    pthread_mutex_unlock(&lock);
}
