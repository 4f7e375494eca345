/* SPDX-License-Identifier: Apache-2.0 */
/* Single flight among processes: what happens when the other is killed, stopped, fails or forks. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/backends.h"
#include "flight_help.h"
#include "os/time.h"
#include "store_tools.h"
#include "toolkit.h"

#define PROCESSES 8
#define KEYS 50

/* ---- Processes --------------------------------------------------------------------------- */

struct crew {
    const char *spec;
    unsigned number;
};

/* Half of them go through the keys in the same order, the others each begin elsewhere. */
static void compile_all(void *context) {
    const struct crew *crew = context;
    struct cubby_cache *cache = open_cache(crew->spec);
    unsigned start = crew->number % 2 ? crew->number * KEYS / PROCESSES : 0;

    for (unsigned i = 0; i < KEYS; i++) {
        char text[64];

        snprintf(text, sizeof(text), "key %u FAKE_SLEEP_2", (start + i) % KEYS);
        compile_in(cache, text);
    }
    cubby_cache_unref(cache);
}

START_TEST(test_processes_cold) {
    const char *folder = scratch_dir();
    char *spec = spec_in(PLACES[_i].spec, folder);
    struct cubby_counters counters;
    struct crew crews[PROCESSES];
    pid_t children[PROCESSES];

    for (unsigned i = 0; i < PROCESSES; i++) {
        crews[i] = (struct crew){spec, i};
        children[i] = start_child(compile_all, &crews[i]);
    }
    for (unsigned i = 0; i < PROCESSES; i++)
        end_child(children[i]);
    ck_assert_uint_eq(toolkit_compiles(), KEYS);
    counters = counters_of(spec);
    ck_assert_uint_eq(counters.compiles, KEYS);
    ck_assert_uint_eq(counters.misses, KEYS + counters.waits);
    ck_assert_uint_eq(counters.hits + counters.misses, KEYS * PROCESSES);
    ck_assert_uint_gt(counters.waits, 0);
    ck_assert_uint_eq(counters.errors, 0);
    ck_assert_uint_eq(count_locks(folder, PLACES[_i].locks), 0);
    free(spec);
}
END_TEST

START_TEST(test_holder_killed) {
    const char *folder = scratch_dir();
    char *spec = spec_in(PLACES[_i].spec, folder);
    struct errand errand = {spec, "FAKE_GATE", -1};
    pid_t holder, waiters[PROCESSES];

    close_gate();
    holder = start_child(run_errand, &errand);
    await_compiles(1);
    for (unsigned i = 0; i < PROCESSES; i++)
        waiters[i] = start_child(run_errand, &errand);
    pass_ms(200);
    ck_assert_uint_eq(toolkit_compiles(), 1); /* they wait */
    ck_assert_int_eq(kill(holder, SIGKILL), 0);
    ck_assert_int_eq(waitpid(holder, NULL, 0), holder);
    await_compiles(2); /* one of them takes over, */
    open_gate();
    for (unsigned i = 0; i < PROCESSES; i++)
        end_child(waiters[i]);
    ck_assert_uint_eq(toolkit_compiles(), 2); /* and no other */
    ck_assert_uint_eq(count_locks(folder, PLACES[_i].locks), 0);
    free(spec);
}
END_TEST

START_TEST(test_holder_stopped) {
    const char *folder = scratch_dir();
    char *spec = spec_in(PLACES[_i].spec, folder), *short_spec;
    struct errand errand = {spec, "FAKE_GATE", CUBBY_OUTCOME_COMPILED};
    struct cubby_cache *cache;
    struct cubby_outcome outcome;
    pid_t holder;

    ck_assert_int_gt(asprintf(&short_spec, "%s?flight_timeout=1", spec), 0);
    close_gate();
    holder = start_child(run_errand, &errand);
    await_compiles(1);
    ck_assert_int_eq(kill(holder, SIGSTOP), 0);
    open_gate();
    cache = open_cache(short_spec);
    outcome = compile_in(cache, "another");
    ck_assert_int_eq(outcome.kind, CUBBY_OUTCOME_COMPILED);
    ck_assert_uint_lt(outcome.elapsed_ns, 900 * MS);
    outcome = compile_in(cache, "FAKE_GATE");
    ck_assert_int_eq(outcome.kind, CUBBY_OUTCOME_COMPILED);
    ck_assert_str_eq(outcome.reason, "");
    ck_assert_uint_ge(outcome.elapsed_ns, 990 * MS);
    ck_assert_int_eq(compile_in(cache, "FAKE_GATE").kind, CUBBY_OUTCOME_HIT);
    ck_assert_int_eq(kill(holder, SIGCONT), 0);
    end_child(holder);
    ck_assert_uint_eq(toolkit_compiles(), 3);
    ck_assert_uint_eq(count_locks(folder, PLACES[_i].locks), 0);
    cubby_cache_unref(cache);
    free(short_spec);
    free(spec);
}
END_TEST

static void fail_errand(void *context) {
    const struct errand *errand = context;
    struct request request = {.cache = open_cache(errand->spec), .text = errand->text};

    compile(&request);
    ck_assert_int_eq(request.result, CUBBY_ERR_COMPILE);
    ck_assert_str_eq(request.error.log, "fake error log\n");
    release(&request);
    cubby_cache_unref(request.cache);
}

/* Each process has to see the log, so each compiles; but they do not queue up for it. */
START_TEST(test_compile_error_among_processes) {
    const char *folder = scratch_dir();
    char *spec = spec_in(PLACES[_i].spec, folder);
    struct errand errand = {spec, "FAKE_GATE FAKE_ERROR_6 FAKE_SLEEP_300", -1};
    pid_t holder, waiters[PROCESSES];
    uint64_t start;

    close_gate();
    holder = start_child(fail_errand, &errand);
    await_compiles(1);
    for (unsigned i = 0; i < PROCESSES; i++)
        waiters[i] = start_child(fail_errand, &errand);
    pass_ms(400);
    ck_assert_uint_eq(toolkit_compiles(), 1);
    open_gate();
    start = monotonic_ns();
    end_child(holder);
    for (unsigned i = 0; i < PROCESSES; i++)
        end_child(waiters[i]);
    ck_assert_uint_lt(monotonic_ns() - start, PROCESSES * 300u * MS);
    ck_assert_uint_eq(toolkit_compiles(), PROCESSES + 1);
    ck_assert_uint_eq(count_locks(folder, PLACES[_i].locks), 0);
    free(spec);
}
END_TEST

START_TEST(test_locks_cannot_be_made) {
    const char *folder = scratch_dir();
    char *spec = spec_in(PLACES[_i].spec, folder), *path = path_in(folder, PLACES[_i].locks);
    struct cubby_cache *cache = open_cache(spec);
    struct cubby_outcome outcome;

    write_file(path, "in the way", 10);
    outcome = compile_in(cache, "text");
    ck_assert_int_eq(outcome.kind, CUBBY_OUTCOME_COMPILED);
    ck_assert_str_eq(outcome.reason, "");
    ck_assert_int_eq(compile_in(cache, "text").kind, CUBBY_OUTCOME_HIT);
    cubby_cache_unref(cache);
    ck_assert_uint_eq(counters_of(spec).errors, 1);
    free(path);
    free(spec);
}
END_TEST

START_TEST(test_lock_removed_under_its_holder) {
    const char *folder = scratch_dir();
    char *spec = spec_in(PLACES[_i].spec, folder), *command;
    struct errand errand = {spec, "FAKE_GATE", CUBBY_OUTCOME_COMPILED};
    pid_t first, second;

    ck_assert_int_gt(asprintf(&command, "rm -r %s/%s", folder, PLACES[_i].locks), 0);
    close_gate();
    first = start_child(run_errand, &errand);
    await_compiles(1);
    ck_assert_uint_eq(count_locks(folder, PLACES[_i].locks), 1);
    ck_assert_int_eq(system(command), 0);
    second = start_child(run_errand, &errand);
    await_compiles(2);
    open_gate();
    end_child(first);
    end_child(second);
    ck_assert_uint_eq(count_locks(folder, PLACES[_i].locks), 0);
    free(command);
    free(spec);
}
END_TEST

/* Who gives a lock back removes no file but its own. */
START_TEST(test_give_spares_the_lock_of_another) {
    char *path = path_in(scratch_dir(), "f"), *command;
    struct cubby_backend *stores[3];
    struct cubby_key_lock *locks[2], *none;
    struct cubby_key key = key_of(1);

    ck_assert_int_gt(asprintf(&command, "rm %s/flights/*", path), 0);
    for (unsigned i = 0; i < 3; i++)
        stores[i] = store_open(file_backend_open, path, 0);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(
            stores[i]->ops->lock_key(stores[i], CUBBY_ENTRY_USER, &key, 0, &locks[i], NULL), 0);
        ck_assert_ptr_nonnull(locks[i]);
        if (i == 0)
            ck_assert_int_eq(system(command), 0);
    }
    stores[0]->ops->unlock_key(stores[0], locks[0]);
    ck_assert_int_eq(stores[2]->ops->lock_key(stores[2], CUBBY_ENTRY_USER, &key, 0, &none, NULL),
                     CUBBY_ERR_BUSY);
    stores[1]->ops->unlock_key(stores[1], locks[1]);
    for (unsigned i = 0; i < 3; i++)
        store_close(stores[i]);
    free(command);
    free(path);
}
END_TEST

/* A process that died long ago left a lock file of a key that nobody asks for any more. */
START_TEST(test_left_locks_are_swept) {
    const char *folder = scratch_dir();
    char *spec = spec_in(PLACES[_i].spec, folder), *locks = path_in(folder, PLACES[_i].locks);
    const struct timespec times[2] = {{time(NULL) - 7200, 0}, {time(NULL) - 7200, 0}};
    struct cubby_cache *cache = open_cache(spec);
    char hex[CUBBY_KEY_HEX_SIZE], *old, *held, *young;
    struct cubby_key key = key_of(1);
    int fd;

    cubby_key_format(&key, hex);
    ck_assert_int_eq(mkdir(locks, 0700), 0);
    ck_assert_int_gt(asprintf(&old, "%s/%s.0", locks, hex), 0);
    ck_assert_int_gt(asprintf(&held, "%s/%s.1", locks, hex), 0);
    ck_assert_int_gt(asprintf(&young, "%s/%s.2", locks, hex), 0);
    write_file(old, "", 0);
    write_file(held, "", 0);
    write_file(young, "", 0);
    ck_assert_int_eq(utimensat(AT_FDCWD, old, times, 0), 0);
    ck_assert_int_eq(utimensat(AT_FDCWD, held, times, 0), 0);
    fd = open(held, O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    compile_in(cache, "text");
    ck_assert_int_ne(access(old, F_OK), 0);
    ck_assert_int_eq(access(held, F_OK), 0);
    ck_assert_int_eq(access(young, F_OK), 0);
    close(fd);
    cubby_cache_unref(cache);
    free(young);
    free(held);
    free(old);
    free(locks);
    free(spec);
}
END_TEST

START_TEST(test_read_only_store_takes_none) {
    const char *folder = scratch_dir();
    char *spec = spec_in("file:FOLDER/f", folder), *seed, *locks = path_in(folder, "f/flights");
    struct cubby_cache *cache = open_cache(spec);

    compile_in(cache, "in the seed");
    cubby_cache_unref(cache);
    ck_assert_int_eq(rmdir(locks), 0);
    ck_assert_int_gt(asprintf(&seed, "memory,%s?read_only=1", spec), 0);
    cache = open_cache(seed);
    ck_assert_int_eq(compile_in(cache, "in the seed").kind, CUBBY_OUTCOME_HIT);
    ck_assert_int_eq(compile_in(cache, "not in the seed").kind, CUBBY_OUTCOME_COMPILED);
    ck_assert_int_ne(access(locks, F_OK), 0);
    cubby_cache_unref(cache);
    free(seed);
    free(locks);
    free(spec);
}
END_TEST

/* ---- Forks ------------------------------------------------------------------------------- */

/* A maker that forks; what the child does is said by the test. */
struct forker {
    const char *spec;
    struct cubby_cache *cache;
    struct cubby_key key;
    bool child_goes_on; /* it makes its entry as well; else it sleeps */
    char *ready; /* a file that the parent makes when it has forked, then to sleep; or NULL */
    pid_t child;
};

static int fork_and_make(void *context, struct cubby_blob **ret_blob, struct cubby_error *error) {
    struct forker *forker = context;

    (void)error;
    forker->child = fork();
    ck_assert_int_ge(forker->child, 0);
    if (forker->child == 0)
        alarm(60);
    if (forker->child == 0 && !forker->child_goes_on)
        pause();
    if (forker->ready) {
        char number[16];

        snprintf(number, sizeof(number), "%d", (int)forker->child);
        write_file(forker->ready, number, strlen(number));
        pause();
    }
    *ret_blob = cubby_blob_copy("forked", 6);
    return 0;
}

static void ask_forker(struct forker *forker) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_object *object;

    ck_ok(cubby_cache_get_or_make(forker->cache, &forker->key, fork_and_make, forker, &object, NULL,
                                  &error),
          &error);
    ck_assert_str_eq(cubby_object_data(object), "forked");
    cubby_object_unref(object);
}

START_TEST(test_fork_in_a_maker) {
    char *spec = spec_in(PLACES[_i].spec, scratch_dir());
    struct forker forker = {.cache = open_cache(spec), .key = key_of(1), .child_goes_on = true};

    ask_forker(&forker);
    /* Both sides ended the flight, and both can fly again. */
    ck_assert_int_eq(compile_in(forker.cache, forker.child ? "parent" : "child").kind,
                     CUBBY_OUTCOME_COMPILED);
    if (forker.child == 0)
        _exit(0);
    end_child(forker.child);
    cubby_cache_unref(forker.cache);
    free(spec);
}
END_TEST

static void fork_and_sleep(void *context) {
    struct forker *forker = context;

    forker->cache = open_cache(forker->spec);
    ask_forker(forker);
}

/* The child of a holder that was killed does not go on holding. */
START_TEST(test_child_outlives_the_holder) {
    const char *folder = scratch_dir();
    char *spec = spec_in(PLACES[_i].spec, folder), *ready = path_in(folder, "ready"), *number;
    struct forker forker = {.spec = spec, .key = key_of(1), .ready = ready};
    struct maker maker = {.own = key_of(1)};
    uint64_t start;
    size_t size;
    pid_t holder;

    holder = start_child(fork_and_sleep, &forker);
    while (access(ready, F_OK) != 0)
        pass_ms(1);
    pass_ms(20);
    number = read_whole(ready, &size);
    ck_assert_uint_eq(count_locks(folder, PLACES[_i].locks), 1);
    ck_assert_int_eq(kill(holder, SIGKILL), 0);
    ck_assert_int_eq(waitpid(holder, NULL, 0), holder);
    maker.cache = open_cache(spec);
    start = monotonic_ns();
    ask(&maker);
    ck_assert_uint_lt(monotonic_ns() - start, 10000 * (uint64_t)MS);
    ck_assert_int_eq(maker.outcome, CUBBY_OUTCOME_COMPILED);
    ck_assert_int_eq(kill(atoi(number), SIGKILL), 0);
    ck_assert_uint_eq(count_locks(folder, PLACES[_i].locks), 0);
    cubby_cache_unref(maker.cache);
    free(number);
    free(ready);
    free(spec);
}
END_TEST

/* A child gets none of the flights of threads that did not come along. */
START_TEST(test_fork_while_another_thread_flies) {
    char *spec = spec_in(PLACES[_i].spec, scratch_dir());
    struct cubby_cache *cache = open_cache(spec);
    struct maker slow = {.cache = cache, .own = key_of(1), .blocks = true};
    struct cubby_error error = CUBBY_ERROR_INIT;
    pthread_t thread;
    pid_t child;

    close_gate();
    ck_assert_int_eq(pthread_create(&thread, NULL, ask, &slow), 0);
    while (atomic_load(&slow.calls) == 0)
        pass_ms(1);
    child = fork();
    if (child == 0) {
        struct maker maker = {.cache = cache, .own = key_of(2)};
        struct cubby_key key = key_of(1);

        alarm(20);
        ask(&maker);
        /* Not through the table, where the flight is gone; the parent's lock still holds. */
        ck_assert_int_eq(cubby_cache_put(cache, &key, "made", 4, &error), 0);
        maker.own = key;
        ask(&maker);
        ck_assert_int_eq(maker.outcome, CUBBY_OUTCOME_HIT);
        cubby_cache_unref(cache);
        _exit(0);
    }
    end_child(child);
    open_gate();
    pthread_join(thread, NULL);
    ck_assert_int_eq(slow.outcome, CUBBY_OUTCOME_COMPILED);
    cubby_cache_unref(cache);
    free(spec);
}
END_TEST

/* ---- Backends without locks -------------------------------------------------------------- */

START_TEST(test_backend_without_locks) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_backend_ops ops;
    struct cubby_backend *backend;
    struct cubby_cache *cache;

    ck_ok(file_backend_open(&(struct backend_params){.path = scratch_dir()}, &backend, &error),
          &error);
    ops = *backend->ops;
    ops.lock_key = NULL;
    ops.unlock_key = NULL;
    backend->ops = &ops;
    ck_ok(cubby_cache_open_backends(&backend, 1, &cache, &error), &error);
    ck_assert_int_eq(compile_in(cache, "text").kind, CUBBY_OUTCOME_COMPILED);
    ck_assert_int_eq(compile_in(cache, "text").kind, CUBBY_OUTCOME_HIT);
    cubby_cache_unref(cache);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("flight processes");
    TCase *tcase = tcase_create("all");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, flight_set_up, flight_tear_down);
    tcase_add_loop_test(tcase, test_processes_cold, 0, PLACE_COUNT);
    tcase_add_loop_test(tcase, test_holder_killed, 0, PLACE_COUNT);
    tcase_add_loop_test(tcase, test_holder_stopped, 0, PLACE_COUNT);
    tcase_add_loop_test(tcase, test_compile_error_among_processes, 0, PLACE_COUNT);
    tcase_add_loop_test(tcase, test_locks_cannot_be_made, 0, PLACE_COUNT);
    tcase_add_loop_test(tcase, test_lock_removed_under_its_holder, 0, PLACE_COUNT);
    tcase_add_test(tcase, test_give_spares_the_lock_of_another);
    tcase_add_loop_test(tcase, test_left_locks_are_swept, 0, PLACE_COUNT);
    tcase_add_test(tcase, test_read_only_store_takes_none);
    tcase_add_loop_test(tcase, test_fork_in_a_maker, 0, PLACE_COUNT);
    tcase_add_loop_test(tcase, test_child_outlives_the_holder, 0, PLACE_COUNT);
    if (tests_are_apart()) /* else what the child has of the other threads would count as lost */
        tcase_add_loop_test(tcase, test_fork_while_another_thread_flies, 0, PLACE_COUNT);
    tcase_add_test(tcase, test_backend_without_locks);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
