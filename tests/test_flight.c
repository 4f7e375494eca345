/* SPDX-License-Identifier: Apache-2.0 */
/* Single flight among the threads of a process: who waits for whom, and what all of them get. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "flight_help.h"
#include "os/time.h"
#include "toolkit.h"

#define THREADS 16

/* ---- Threads ----------------------------------------------------------------------------- */

START_TEST(test_threads_of_one_key) {
    static const char *const SPECS[] = {"memory", "memory,file:FOLDER/f"};
    char *spec = _i == 0 ? strdup(SPECS[0]) : spec_in(SPECS[1], scratch_dir());
    struct request requests[THREADS];
    pthread_t threads[THREADS];
    unsigned compiled = 0, waited = 0;
    struct cubby_cache *cache = open_cache(spec);
    struct cubby_store_stats stats;

    close_gate();
    for (unsigned i = 0; i < THREADS; i++) {
        requests[i] = (struct request){.cache = cache, .text = "FAKE_GATE FAKE_WARNING"};
        snprintf(requests[i].name, sizeof(requests[i].name), "/dir%u/k.cu", i);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, compile, &requests[i]), 0);
    }
    await_compiles(1);
    pass_ms(200); /* for the others to come and wait */
    open_gate();
    for (unsigned i = 0; i < THREADS; i++) {
        char *log;

        pthread_join(threads[i], NULL);
        ck_ok(requests[i].result, &requests[i].error);
        compiled += requests[i].outcome.kind == CUBBY_OUTCOME_COMPILED;
        waited += requests[i].outcome.kind == CUBBY_OUTCOME_WAITED;
        ck_assert_uint_eq(requests[i].outcome.compile_ns, requests[0].outcome.compile_ns);
        ck_assert_str_eq(requests[i].outcome.tier, "");
        ck_assert_int_gt(asprintf(&log, "/dir%u/k.cu(1): warning: as you wish\n", i), 0);
        ck_assert_str_eq(cubby_object_log(requests[i].object), log);
        ck_assert_mem_eq(cubby_object_data(requests[i].object),
                         cubby_object_data(requests[0].object),
                         cubby_object_size(requests[0].object));
        free(log);
    }
    for (unsigned i = 0; i < THREADS; i++)
        release(&requests[i]);
    ck_assert_uint_eq(toolkit_compiles(), 1);
    ck_assert_uint_eq(compiled, 1);
    ck_assert_uint_eq(waited, THREADS - 1);
    ck_assert_int_eq(cubby_cache_flush(cache, NULL), 0);
    ck_assert_int_eq(cubby_cache_tier_stats(cache, (size_t)_i, &stats, NULL), 0);
    ck_assert_uint_eq(stats.counters.waits, THREADS - 1);
    ck_assert_uint_eq(stats.counters.misses, THREADS);
    ck_assert_uint_eq(stats.counters.compiles, 1);
    cubby_cache_unref(cache);
    free(spec);
}
END_TEST

START_TEST(test_compile_error_reaches_all) {
    struct cubby_cache *cache = open_cache("memory");
    struct request requests[THREADS];
    pthread_t threads[THREADS];

    close_gate();
    for (unsigned i = 0; i < THREADS; i++) {
        requests[i] =
            (struct request){.cache = cache, .text = "FAKE_GATE FAKE_WARNING FAKE_ERROR_6"};
        snprintf(requests[i].name, sizeof(requests[i].name), "/dir%u/k.cu", i);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, compile, &requests[i]), 0);
    }
    await_compiles(1);
    pass_ms(200);
    open_gate();
    for (unsigned i = 0; i < THREADS; i++) {
        char *log, *message;

        pthread_join(threads[i], NULL);
        ck_assert_int_eq(requests[i].result, CUBBY_ERR_COMPILE);
        ck_assert_int_eq(requests[i].error.code, CUBBY_ERR_COMPILE);
        ck_assert_int_eq(requests[i].error.tool_error, 6);
        ck_assert_int_eq(requests[i].outcome.kind, CUBBY_OUTCOME_ERROR);
        ck_assert_int_gt(
            asprintf(&log, "/dir%u/k.cu(1): warning: as you wish\nfake error log\n", i), 0);
        ck_assert_int_gt(asprintf(&message, "/dir%u/k.cu: the compiler refused", i), 0);
        ck_assert_str_eq(requests[i].error.log, log);
        ck_assert_mem_eq(requests[i].error.message, message, strlen(message));
        for (unsigned j = 0; j < i; j++)
            ck_assert_ptr_ne(requests[i].error.log, requests[j].error.log);
        free(message);
        free(log);
    }
    ck_assert_uint_eq(toolkit_compiles(), 1);
    for (unsigned i = 0; i < THREADS; i++)
        release(&requests[i]);

    /* Nothing of it is left: the next one tries anew. */
    requests[0] = (struct request){.cache = cache, .text = "FAKE_GATE FAKE_WARNING FAKE_ERROR_6"};
    compile(&requests[0]);
    ck_assert_int_eq(requests[0].result, CUBBY_ERR_COMPILE);
    ck_assert_uint_eq(toolkit_compiles(), 2);
    release(&requests[0]);
    cubby_cache_unref(cache);
}
END_TEST

/* Those who do not ask for the error must not lose it for those who do. */
START_TEST(test_error_of_one_who_does_not_ask) {
    struct cubby_cache *cache = open_cache("memory");
    struct request waiter = {.cache = cache, .text = "FAKE_GATE FAKE_ERROR_6"};
    struct request pilot = {.cache = cache, .text = waiter.text};
    pthread_t threads[2];

    pilot.error.code = CUBBY_ERR_IO; /* it holds an error already, and the first one wins */
    close_gate();
    ck_assert_int_eq(pthread_create(&threads[0], NULL, compile, &pilot), 0);
    await_compiles(1);
    ck_assert_int_eq(pthread_create(&threads[1], NULL, compile, &waiter), 0);
    pass_ms(100);
    open_gate();
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    ck_assert_int_eq(pilot.result, CUBBY_ERR_COMPILE);
    ck_assert_ptr_null(pilot.error.log);
    ck_assert_int_eq(waiter.result, CUBBY_ERR_COMPILE);
    ck_assert_str_eq(waiter.error.log, "fake error log\n");
    ck_assert_uint_eq(toolkit_compiles(), 1);
    release(&waiter);
    release(&pilot);
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_other_keys_do_not_wait) {
    struct cubby_cache *cache = open_cache("memory");
    struct request slow = {.cache = cache, .text = "FAKE_GATE"};
    pthread_t thread;

    close_gate();
    ck_assert_int_eq(pthread_create(&thread, NULL, compile, &slow), 0);
    await_compiles(1);
    ck_assert_int_eq(compile_in(cache, "another").kind, CUBBY_OUTCOME_COMPILED);
    open_gate();
    pthread_join(thread, NULL);
    ck_ok(slow.result, &slow.error);
    release(&slow);
    cubby_cache_unref(cache);
}
END_TEST

/* What another read of a header before it was edited is not what is asked for after. */
START_TEST(test_header_edited_meanwhile) {
    char *folder = strdup(scratch_dir()), *header = path_in(folder, "a.h");
    struct cubby_cache *cache = open_cache("memory");
    struct request first = {.cache = cache}, second;
    pthread_t threads[2];
    char *text;

    write_file(header, "int a;", 6);
    pass_ms(20); /* the coarse clock of file stamps moves on */
    ck_assert_int_gt(asprintf(&text, "#include \"%s\"\n// FAKE_GATE\n", header), 0);
    first.text = text;
    second = first;
    close_gate();
    ck_assert_int_eq(pthread_create(&threads[0], NULL, compile, &first), 0);
    await_compiles(1);
    write_file(header, "int b, c;", 9);
    ck_assert_int_eq(pthread_create(&threads[1], NULL, compile, &second), 0);
    pass_ms(100);
    ck_assert_uint_eq(toolkit_compiles(), 1); /* it waits */
    open_gate();
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    ck_ok(first.result, &first.error);
    ck_ok(second.result, &second.error);
    ck_assert_int_eq(second.outcome.kind, CUBBY_OUTCOME_COMPILED);
    ck_assert_uint_eq(toolkit_compiles(), 2);
    release(&first);
    release(&second);
    cubby_cache_unref(cache);
    free(text);
    free(header);
    free(folder);
}
END_TEST

/* ---- Makers that ask the cache ----------------------------------------------------------- */

START_TEST(test_maker_asks_for_its_own_key) {
    struct cubby_cache *cache = open_cache("memory");
    struct maker maker = {.cache = cache, .own = key_of(1)};

    maker.inner = &maker;
    ask(&maker);
    ck_assert_uint_eq(atomic_load(&maker.calls), 2);
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_maker_asks_for_another_key) {
    const char *folder = scratch_dir();
    char *spec = spec_in("file:FOLDER/f", folder);
    struct cubby_cache *cache = open_cache(spec);
    struct maker inner = {.cache = cache, .own = key_of(2)};
    struct maker outer = {.cache = cache, .own = key_of(1), .inner = &inner};

    ask(&outer);
    ck_assert_int_eq(outer.outcome, CUBBY_OUTCOME_COMPILED);
    ck_assert_int_eq(inner.outcome, CUBBY_OUTCOME_COMPILED);
    ask(&outer);
    ck_assert_int_eq(outer.outcome, CUBBY_OUTCOME_HIT);
    ck_assert_uint_eq(count_locks(folder, "f/flights"), 0);
    cubby_cache_unref(cache);
    free(spec);
}
END_TEST

/* One makes the first key and asks for the second, the other does the reverse. */
START_TEST(test_makers_in_a_circle) {
    struct cubby_cache *cache = open_cache("memory");
    pthread_barrier_t meeting;
    struct maker inner[2] = {{.cache = cache, .own = key_of(2)},
                             {.cache = cache, .own = key_of(1)}};
    struct maker outer[2] = {{.cache = cache, .own = key_of(1), .inner = &inner[0]},
                             {.cache = cache, .own = key_of(2), .inner = &inner[1]}};
    pthread_t threads[2];

    pthread_barrier_init(&meeting, NULL, 2);
    for (unsigned i = 0; i < 2; i++) {
        outer[i].meeting = &meeting;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask, &outer[i]), 0);
    }
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    /* One of the two sees the circle and makes the key that the other has under way. */
    ck_assert_uint_eq(atomic_load(&inner[0].calls) + atomic_load(&inner[1].calls), 1);
    pthread_barrier_destroy(&meeting);
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_threads_give_up) {
    struct cubby_cache *cache = open_cache("memory?flight_timeout=1");
    struct maker slow = {.cache = cache, .own = key_of(1), .blocks = true};
    struct maker other = {.cache = cache, .own = key_of(1)};
    pthread_t thread;
    uint64_t start;

    close_gate();
    ck_assert_int_eq(pthread_create(&thread, NULL, ask, &slow), 0);
    while (atomic_load(&slow.calls) == 0)
        pass_ms(1);
    start = monotonic_ns();
    ask(&other);
    ck_assert_int_eq(other.outcome, CUBBY_OUTCOME_COMPILED);
    ck_assert_uint_ge(monotonic_ns() - start, 990 * MS);
    open_gate();
    pthread_join(thread, NULL);
    ck_assert_int_eq(slow.outcome, CUBBY_OUTCOME_COMPILED);
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_no_flights) {
    const char *folder = scratch_dir();
    char *spec = spec_in("memory,file:FOLDER/f?flight_timeout=0", folder);
    struct cubby_cache *cache = open_cache(spec);
    struct maker slow = {.cache = cache, .own = key_of(1), .blocks = true};
    struct maker other = {.cache = cache, .own = key_of(1)};
    pthread_t thread;

    close_gate();
    ck_assert_int_eq(pthread_create(&thread, NULL, ask, &slow), 0);
    while (atomic_load(&slow.calls) == 0)
        pass_ms(1);
    ask(&other); /* would wait as long as the gate is closed */
    ck_assert_int_eq(other.outcome, CUBBY_OUTCOME_COMPILED);
    open_gate();
    pthread_join(thread, NULL);
    cubby_cache_unref(cache);
    free(spec);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("flight");
    TCase *tcase = tcase_create("all");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, flight_set_up, flight_tear_down);
    tcase_add_loop_test(tcase, test_threads_of_one_key, 0, 2);
    tcase_add_test(tcase, test_compile_error_reaches_all);
    tcase_add_test(tcase, test_error_of_one_who_does_not_ask);
    tcase_add_test(tcase, test_other_keys_do_not_wait);
    tcase_add_test(tcase, test_header_edited_meanwhile);
    tcase_add_test(tcase, test_maker_asks_for_its_own_key);
    tcase_add_test(tcase, test_maker_asks_for_another_key);
    tcase_add_test(tcase, test_makers_in_a_circle);
    tcase_add_test(tcase, test_threads_give_up);
    tcase_add_test(tcase, test_no_flights);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
