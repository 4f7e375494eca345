/* SPDX-License-Identifier: Apache-2.0 */
/* Many processes that need the same missing entries, beside one that makes each of them. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cubby/cubby.h>

#include "bench.h"
#include "floor.h"
#include "scratch.h"

#define PROCESSES 8
#define KEYS 50
#define MAKE_NS 5000000

struct crew {
    const char *kind, *scratch;
};

static int64_t thread_ns(void) {
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A compile that takes so much of a core's time, whoever else is on it. */
static int make(void *context, struct cubby_blob **ret_blob, struct cubby_error *error) {
    int64_t end = thread_ns() + MAKE_NS;

    (void)context;
    (void)error;
    while (thread_ns() < end)
        ;
    *ret_blob = cubby_blob_copy("made", 4);
    return *ret_blob ? 0 : CUBBY_ERR_NO_MEMORY;
}

static int make_all(void *context) {
    for (unsigned i = 0; i < KEYS; i++) {
        struct cubby_blob *blob;

        if (make(context, &blob, NULL) < 0)
            return -1;
        cubby_blob_unref(blob);
    }
    return 0;
}

/* One process: opens the store and needs every key, all in the same order. */
static int get_all(const char *spec) {
    struct cubby_cache *cache;
    int result = cubby_cache_open(spec, &cache, NULL);

    for (unsigned i = 0; i < KEYS && result == 0; i++) {
        struct cubby_object *object;
        struct cubby_key key;

        floor_key(i, &key);
        result = cubby_cache_get_or_make(cache, &key, make, NULL, &object, NULL, NULL);
        if (result == 0)
            cubby_object_unref(object);
    }
    cubby_cache_unref(cache);
    return result;
}

/* True if each key was made by one of them. */
static bool made_once(const char *spec) {
    struct cubby_store_stats stats = {0};
    struct cubby_cache *cache;

    if (cubby_cache_open(spec, &cache, NULL) < 0)
        return false;
    if (cubby_cache_tier_count(cache) == 1)
        cubby_cache_tier_stats(cache, 0, &stats, NULL);
    cubby_cache_unref(cache);
    return stats.counters.compiles == KEYS;
}

static int run_crew(void *context) {
    const struct crew *crew = context;
    const char *folder = scratch_folder(crew->scratch);
    pid_t children[PROCESSES];
    char spec[512];
    int result = folder ? 0 : -1;

    snprintf(spec, sizeof(spec), "%s:%s/store", crew->kind, folder ? folder : "");
    for (unsigned i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0)
            _exit(get_all(spec) == 0 ? 0 : 1);
    }
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status;

        if (children[i] < 0 || waitpid(children[i], &status, 0) != children[i] || status != 0)
            result = -1;
    }
    if (result == 0 && !made_once(spec))
        result = -1;
    if (folder)
        scratch_remove(folder);
    return result;
}

void flight_rows(struct bench *bench) {
    static const char *const KINDS[] = {
        "file",
#ifdef HAVE_SQLITE
        "sqlite",
#endif
    };

    for (size_t i = 0; i < sizeof(KINDS) / sizeof(*KINDS); i++) {
        struct crew crew = {KINDS[i], bench->scratch};
        char name[32];
        struct row row;

        snprintf(name, sizeof(name), "flight/%s", KINDS[i]);
        if (!bench_begin(bench, &row, name, 0))
            continue;
        row.floor = (struct work){"one process makes 50 entries", make_all, NULL};
        row.subject = (struct work){"8 processes get or make the same 50", run_crew, &crew};
        row.goal = GOAL_RATIO;
        row.limit = 1.15;
        row.is_long = true;
        bench_measure(bench, &row);
    }
}
