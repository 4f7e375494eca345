/* SPDX-License-Identifier: Apache-2.0 */
/* Runtime caches that many use at once: threads, forks, processes, signals. */
#include "runtime_help.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Threads and forks ------------------------------------------------------------------- */

#define THREADS 8

struct crowd {
    struct cubby_runtime_cache *cache;
    pthread_barrier_t start;
    atomic_uint next, problems;
};

static void *materialise_and_use(void *context) {
    struct crowd *crowd = context;
    unsigned me = atomic_fetch_add(&crowd->next, 1);
    const struct cubby_key mine = key_of(100 + me), shared = key_of(1);
    struct cubby_object *object = NULL, *kernel = kernel_of(100 + me);
    struct cubby_blob *blob = NULL;

    pthread_barrier_wait(&crowd->start);
    if (cubby_runtime_cache_materialise(crowd->cache, &HERE, NULL) < 0 ||
        !cubby_runtime_cache_has_cache(crowd->cache) ||
        cubby_runtime_cache_find(crowd->cache, &shared, &object) < 0)
        atomic_fetch_add(&crowd->problems, 1);
    cubby_object_unref(object);
    for (unsigned i = 0; i < 20; i++) {
        if (cubby_runtime_cache_insert(crowd->cache, &mine, kernel, NULL) < 0 ||
            cubby_runtime_cache_serialise(crowd->cache, &blob, NULL) < 0)
            atomic_fetch_add(&crowd->problems, 1);
        cubby_blob_unref(blob);
    }
    cubby_object_unref(kernel);
    return NULL;
}

START_TEST(test_users_of_one_handle_materialise_it_once) {
    struct cubby_blob *blob = blob_with(&HERE, 1, 3);
    struct crowd crowd = {.cache = handle_new()};
    pthread_t threads[THREADS];

    give(crowd.cache, blob);
    pthread_barrier_init(&crowd.start, NULL, THREADS);
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, materialise_and_use, &crowd), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(crowd.problems, 0);
    ck_assert_uint_eq(stats_of(crowd.cache).materialisations, 1);
    ck_assert_uint_eq(stats_of(crowd.cache).kernels, 3 + THREADS);
    pthread_barrier_destroy(&crowd.start);
    cubby_runtime_cache_unref(crowd.cache);
    cubby_blob_unref(blob);
}
END_TEST

static void *insert_until_told(void *context) {
    struct crowd *crowd = context;
    struct cubby_object *kernel = kernel_of(1);
    const struct cubby_key key = key_of(1);

    while (atomic_load(&crowd->next) == 0)
        cubby_runtime_cache_insert(crowd->cache, &key, kernel, NULL);
    cubby_object_unref(kernel);
    return NULL;
}

/* A lock that another thread held at the fork would never be free in the child. */
START_TEST(test_forks_while_others_are_at_work) {
    struct crowd crowd = {.cache = handle_new()};
    pthread_t thread;

    materialise(crowd.cache);
    insert(crowd.cache, 1);
    ck_assert_int_eq(pthread_create(&thread, NULL, insert_until_told, &crowd), 0);
    for (unsigned i = 0; i < 30; i++) {
        int status;
        pid_t child = fork();

        ck_assert_int_ge(child, 0);
        if (child == 0) {
            const struct cubby_key key = key_of(1);
            struct cubby_object *object = NULL;

            alarm(10);
            _exit(cubby_runtime_cache_find(crowd.cache, &key, &object) == 0 ? 0 : 1);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
    }
    atomic_store(&crowd.next, 1);
    pthread_join(thread, NULL);
    cubby_runtime_cache_unref(crowd.cache);
}
END_TEST

/* ---- Many at once ------------------------------------------------------------------------ */

#define PROCESSES 4
#define ROUNDS 5

/* Each adds kernels of its own, one save after the other. */
static _Noreturn void add_in_child(const char *path, struct cubby_cache *store, unsigned me) {
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct cubby_runtime_cache *cache = store ? handle_in(store, "unet", &HERE) : live_on(path);

        insert(cache, me * ROUNDS + round);
        if (cubby_runtime_cache_save(cache, NULL) < 0)
            _exit(1);
        cubby_runtime_cache_unref(cache);
    }
    _exit(0);
}

static void add_in_children(const char *path, struct cubby_cache *store) {
    pid_t children[PROCESSES];

    for (unsigned i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        ck_assert_int_ge(children[i], 0);
        if (children[i] == 0)
            add_in_child(path, store, i);
    }
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status;

        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_int_eq(status, 0);
    }
}

START_TEST(test_processes_add_to_one_file) {
    char *path = the_path();

    add_in_children(path, NULL);
    ck_assert_uint_eq(found_in(path, PROCESSES * ROUNDS), PROCESSES * ROUNDS);
    ck_assert_uint_eq(files_beside(path), 2);
    free(path);
}
END_TEST

START_TEST(test_processes_add_to_one_entry) {
    struct cubby_cache *store = open_spec_or_less(SPECS[_i], scratch_dir());
    struct cubby_runtime_cache *cache;

    if (cubby_cache_tier_count(store) > 0) {
        add_in_children(NULL, store);
        cache = handle_in(store, "unet", &HERE);
        ck_assert_uint_eq(count_below(cache, PROCESSES * ROUNDS), PROCESSES * ROUNDS);
        cubby_runtime_cache_unref(cache);
    }
    cubby_cache_unref(store);
}
END_TEST

struct savers {
    struct cubby_runtime_cache *cache;
    atomic_uint next, problems;
};

static void *insert_and_save(void *context) {
    struct savers *savers = context;
    unsigned me = atomic_fetch_add(&savers->next, 1);

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct cubby_object *kernel = kernel_of(me * ROUNDS + round);
        const struct cubby_key key = key_of(me * ROUNDS + round);

        if (cubby_runtime_cache_insert(savers->cache, &key, kernel, NULL) < 0 ||
            cubby_runtime_cache_save(savers->cache, NULL) < 0)
            atomic_fetch_add(&savers->problems, 1);
        cubby_runtime_cache_load(savers->cache);
        cubby_object_unref(kernel);
    }
    return NULL;
}

START_TEST(test_threads_save_one_handle) {
    char *path = the_path();
    struct savers savers = {.cache = live_on(path)};
    pthread_t threads[PROCESSES];

    for (unsigned i = 0; i < PROCESSES; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, insert_and_save, &savers), 0);
    for (unsigned i = 0; i < PROCESSES; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(savers.problems, 0);
    cubby_runtime_cache_unref(savers.cache);
    ck_assert_uint_eq(found_in(path, PROCESSES * ROUNDS), PROCESSES * ROUNDS);
    free(path);
}
END_TEST

static void on_alarm(int number) {
    (void)number;
}

/* Calls of the system that a signal ends are made again. */
START_TEST(test_signals_do_not_end_a_save) {
    const struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = on_alarm};
    char *path = the_path();

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (unsigned i = 0; i < 20; i++)
        fill(path, i, i);
    setitimer(ITIMER_REAL, &never, NULL);
    ck_assert_uint_eq(found_in(path, 20), 20);
    free(path);
}
END_TEST

/* ---- All of them ------------------------------------------------------------------------- */

static void add_crowds(Suite *suite) {
    TCase *tests = add_case(suite, "many at once");

    tcase_add_test(tests, test_users_of_one_handle_materialise_it_once);
    tcase_add_test(tests, test_forks_while_others_are_at_work);
    tcase_add_test(tests, test_processes_add_to_one_file);
    tcase_add_loop_test(tests, test_processes_add_to_one_entry, 1, 4);
    tcase_add_test(tests, test_threads_save_one_handle);
    tcase_add_test(tests, test_signals_do_not_end_a_save);
}

int main(void) {
    Suite *suite = suite_create("crowded runtime caches");

    add_crowds(suite);
    return run_suite(suite);
}
