/* SPDX-License-Identifier: Apache-2.0 */
#include "compile/gate.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "os/fork.h"
#include "util/error.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static pthread_cond_t left = PTHREAD_COND_INITIALIZER;
static unsigned inside; /* threads, each as often as it entered */
static unsigned long passed;
static bool is_closed;

static _Thread_local unsigned here; /* how often this one is inside */

static pthread_once_t prepared = PTHREAD_ONCE_INIT;

/* Who ends the process from within a compile, in a callback, does not wait for itself. */
static void close_gate(void) {
    pthread_mutex_lock(&lock);
    is_closed = true;
    while (inside > here)
        pthread_cond_wait(&left, &lock);
    pthread_mutex_unlock(&lock);
}

static void hold(void *context) {
    (void)context;
    pthread_mutex_lock(&lock);
}

/* Other threads do not come along. */
static void release(void *context, bool in_child) {
    (void)context;
    if (in_child)
        inside = here;
    pthread_mutex_unlock(&lock);
}

static void prepare(void) {
    static struct fork_guard guard = {hold, release, NULL, FORK_LEVEL_TOOLCHAIN, NULL};

    fork_guard_add(&guard);
    atexit(close_gate);
}

int gate_enter(struct cubby_error *error) {
    bool is_open;

    pthread_once(&prepared, prepare);
    pthread_mutex_lock(&lock);
    is_open = !is_closed;
    inside += is_open;
    here += is_open;
    pthread_mutex_unlock(&lock);
    return is_open ? 0
                   : error_set(error, CUBBY_ERR_BUSY,
                               "the process is ending: nothing is compiled any more");
}

/* What is registered last is called first. Each compile may have made a library register something,
 * the first few above all; doing as it does after every one would need memory for ever. */
static bool is_due(unsigned long count) {
    return (count & (count - 1)) == 0;
}

void gate_leave(void) {
    bool registers;

    pthread_mutex_lock(&lock);
    registers = is_due(++passed);
    pthread_mutex_unlock(&lock);
    if (registers)
        atexit(close_gate); /* before anyone may wait for us */
    pthread_mutex_lock(&lock);
    inside--;
    here--;
    pthread_cond_broadcast(&left);
    pthread_mutex_unlock(&lock);
}
