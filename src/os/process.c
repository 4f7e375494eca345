/* SPDX-License-Identifier: Apache-2.0 */
#include "os/process.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

static _Atomic pid_t remembered; /* 0: to be asked */
static bool told_of_forks;

static void forget(void) {
    atomic_store_explicit(&remembered, 0, memory_order_relaxed);
}

static void watch_forks(void) {
    told_of_forks = pthread_atfork(NULL, NULL, forget) == 0;
}

pid_t process_id(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pid_t id = atomic_load_explicit(&remembered, memory_order_relaxed);

    if (id != 0)
        return id;
    pthread_once(&once, watch_forks);
    id = getpid();
    if (told_of_forks)
        atomic_store_explicit(&remembered, id, memory_order_relaxed);
    return id;
}
