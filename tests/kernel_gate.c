/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel_gate.h"

#include <pthread.h>
#include <string.h>

#include "fake_backend.h"
#include "harness.h"

#define KNOWN_MAX 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static bool is_open, learns;
static struct cubby_key known[KNOWN_MAX];
static size_t known_count;

static bool is_known(const struct cubby_key *key) {
    for (size_t i = 0; i < known_count; i++) {
        if (memcmp(&known[i], key, sizeof(*key)) == 0)
            return true;
    }
    return false;
}

static void pass(const struct cubby_key *key) {
    pthread_mutex_lock(&lock);
    if (learns && !is_known(key) && known_count < KNOWN_MAX)
        known[known_count++] = *key;
    while (!is_open && !is_known(key))
        pthread_cond_wait(&opened, &lock);
    pthread_mutex_unlock(&lock);
}

struct cubby_cache *gate_cache(void) {
    static struct fake_control control;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_backend *backend;
    struct cubby_cache *cache;

    memset(&control, 0, sizeof(control));
    control.before_get = pass;
    backend = fake_backend_new(&control);
    ck_ok(cubby_cache_open_backends(&backend, 1, &cache, &error), &error);
    pthread_mutex_lock(&lock);
    is_open = true;
    known_count = 0;
    pthread_mutex_unlock(&lock);
    return cache;
}

void gate_learn(bool learning) {
    pthread_mutex_lock(&lock);
    learns = learning;
    pthread_mutex_unlock(&lock);
}

void gate_open(bool open) {
    pthread_mutex_lock(&lock);
    is_open = open;
    pthread_cond_broadcast(&opened);
    pthread_mutex_unlock(&lock);
}
