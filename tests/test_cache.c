/* SPDX-License-Identifier: Apache-2.0 */
/* What happens between the tiers, whatever the stores do. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_backend.h"
#include "harness.h"

static struct cubby_cache *open_tiers(struct fake_control *controls, size_t count) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_backend *tiers[4];
    struct cubby_cache *cache;

    for (size_t i = 0; i < count; i++)
        tiers[i] = fake_backend_new(&controls[i]);
    ck_ok(cubby_cache_open_backends(tiers, count, &cache, &error), &error);
    return cache;
}

static void put(struct cubby_cache *cache, unsigned number, const char *text) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_key key = key_of(number);

    ck_ok(cubby_cache_put(cache, &key, text, strlen(text), &error), &error);
}

/* What the key holds, or NULL; new text. */
static char *get(struct cubby_cache *cache, unsigned number) {
    struct cubby_key key = key_of(number);
    struct cubby_object *object;
    char *text;

    if (cubby_cache_get(cache, CUBBY_ENTRY_USER, &key, &object, NULL, NULL) < 0)
        return NULL;
    text = strndup(cubby_object_data(object), cubby_object_size(object));
    cubby_object_unref(object);
    return text;
}

static void expect(struct cubby_cache *cache, unsigned number, const char *wanted) {
    char *text = get(cache, number);

    ck_assert_pstr_eq(text, wanted);
    free(text);
}

START_TEST(test_order_and_promotion) {
    struct fake_control controls[3] = {{0}};
    struct cubby_cache *cache = open_tiers(controls, 3);
    struct cubby_key key = key_of(1);

    put(cache, 1, "one");
    for (size_t i = 0; i < 3; i++)
        ck_assert_uint_eq(controls[i].puts, 1);
    expect(cache, 1, "one");
    ck_assert_uint_eq(controls[0].gets, 1);
    ck_assert_uint_eq(controls[1].gets, 0);

    /* Gone from the upper two: the third serves it and it moves up again. */
    controls[0].corrupt_get = controls[1].corrupt_get = true;
    expect(cache, 1, "one");
    controls[0].corrupt_get = controls[1].corrupt_get = false;
    ck_assert_uint_eq(controls[0].removes, 1);
    ck_assert_uint_eq(controls[0].puts, 2);
    ck_assert_uint_eq(controls[1].puts, 2);
    ck_assert_uint_eq(controls[2].puts, 1);
    controls[2].gets = 0;
    expect(cache, 1, "one");
    ck_assert_uint_eq(controls[2].gets, 0);

    ck_assert_int_eq(cubby_cache_remove(cache, CUBBY_ENTRY_USER, &key, NULL), 0);
    expect(cache, 1, NULL);
    ck_assert_int_eq(cubby_cache_remove(cache, CUBBY_ENTRY_USER, &key, NULL), CUBBY_ERR_NOT_FOUND);
    cubby_cache_unref(cache);
    for (size_t i = 0; i < 3; i++)
        ck_assert_uint_eq(controls[i].closes, 1);
    ck_assert_uint_eq(controls[2].counted.hits, 3);
    ck_assert_uint_eq(controls[2].counted.misses, 1);
    ck_assert_uint_eq(controls[2].counted.corrupt, 2);
    ck_assert_uint_eq(controls[0].counted.hits, 0);
}
END_TEST

START_TEST(test_damage_is_a_miss_and_heals) {
    struct fake_control control = {0};
    struct cubby_cache *cache = open_tiers(&control, 1);

    put(cache, 1, "one");
    control.corrupt_get = true;
    expect(cache, 1, NULL);
    control.corrupt_get = false;
    expect(cache, 1, NULL); /* it was removed */
    put(cache, 1, "one again");
    expect(cache, 1, "one again");
    cubby_cache_unref(cache);
    ck_assert_uint_eq(control.counted.corrupt, 1);
}
END_TEST

START_TEST(test_failing_store) {
    struct fake_control controls[2] = {{0}};
    struct cubby_cache *cache = open_tiers(controls, 2);
    struct cubby_key key = key_of(2);
    struct cubby_error error = CUBBY_ERROR_INIT;

    controls[0].fail_get = controls[0].fail_put = CUBBY_ERR_IO;
    put(cache, 1, "one"); /* the other tier takes it */
    expect(cache, 1, "one");
    controls[1].fail_put = CUBBY_ERR_IO;
    ck_assert_int_eq(cubby_cache_put(cache, &key, "x", 1, &error), CUBBY_ERR_IO);
    ck_assert_str_eq(error.message, "fake failure to put");
    cubby_error_clear(&error);
    controls[1].fail_get = CUBBY_ERR_BUSY;
    expect(cache, 1, NULL);
    cubby_cache_unref(cache);
    ck_assert_uint_gt(controls[1].counted.errors, 0);
    ck_assert_uint_gt(controls[1].counted.dropped, 0);
}
END_TEST

/* ---- Making on a miss -------------------------------------------------------------------- */

struct maker {
    unsigned calls;
    int fail;
};

static int make_text(void *context, struct cubby_blob **ret_blob, struct cubby_error *error) {
    struct maker *maker = context;

    maker->calls++;
    if (maker->fail) {
        if (error)
            error->code = maker->fail;
        return maker->fail;
    }
    *ret_blob = cubby_blob_copy("made", 4);
    return 0;
}

START_TEST(test_get_or_make) {
    struct fake_control control = {0};
    struct cubby_cache *cache = open_tiers(&control, 1);
    struct maker maker = {0, CUBBY_ERR_COMPILE};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_key key = key_of(1);
    struct cubby_outcome outcome;
    struct cubby_object *object;

    ck_assert_int_eq(
        cubby_cache_get_or_make(cache, &key, make_text, &maker, &object, &outcome, &error),
        CUBBY_ERR_COMPILE);
    ck_assert_int_eq(outcome.kind, CUBBY_OUTCOME_ERROR);
    ck_assert_uint_eq(control.puts, 0);
    cubby_error_clear(&error);
    maker.fail = 0;
    ck_ok(cubby_cache_get_or_make(cache, &key, make_text, &maker, &object, &outcome, &error),
          &error);
    ck_assert_int_eq(outcome.kind, CUBBY_OUTCOME_COMPILED);
    ck_assert_str_eq(outcome.reason, "");
    ck_assert_mem_eq(cubby_object_data(object), "made", 5);
    cubby_object_unref(object);
    ck_ok(cubby_cache_get_or_make(cache, &key, make_text, &maker, &object, &outcome, &error),
          &error);
    ck_assert_int_eq(outcome.kind, CUBBY_OUTCOME_HIT);
    ck_assert_str_eq(outcome.tier, "fake");
    cubby_object_unref(object);
    ck_assert_uint_eq(maker.calls, 2);
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_make_survives_a_dead_store) {
    struct fake_control control = {.fail_get = CUBBY_ERR_IO, .fail_put = CUBBY_ERR_IO};
    struct cubby_cache *cache = open_tiers(&control, 1);
    struct maker maker = {0, 0};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_key key = key_of(1);
    struct cubby_outcome outcome;
    struct cubby_object *object;

    ck_ok(cubby_cache_get_or_make(cache, &key, make_text, &maker, &object, &outcome, &error),
          &error);
    ck_assert_str_eq(outcome.reason, "fake failure to put");
    ck_assert_mem_eq(cubby_object_data(object), "made", 4);
    cubby_object_unref(object);
    cubby_cache_unref(cache);
}
END_TEST

/* ---- Opening ----------------------------------------------------------------------------- */

START_TEST(test_bad_backends) {
    static const struct cubby_backend_ops OLD = {.abi = 99, .name = "old"};
    static const struct cubby_backend_ops LACKING = {.abi = CUBBY_BACKEND_ABI, .name = "lacking"};
    struct cubby_backend old = {&OLD}, lacking = {&LACKING}, *backend;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache;

    backend = &old;
    ck_assert_int_eq(cubby_cache_open_backends(&backend, 1, &cache, &error), CUBBY_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "version 99"));
    backend = &lacking;
    ck_assert_int_eq(cubby_cache_open_backends(&backend, 1, &cache, NULL), CUBBY_ERR_INVALID);
    backend = NULL;
    ck_assert_int_eq(cubby_cache_open_backends(&backend, 1, &cache, NULL), CUBBY_ERR_INVALID);
}
END_TEST

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
struct crowd {
    struct cubby_cache *cache;
    atomic_bool over;
};

/* A database that is busy for long may drop a put; what counts is that it comes back. */
static void use_once(struct cubby_cache *cache, unsigned number) {
    struct cubby_key key = key_of(number);

    cubby_cache_put(cache, &key, "text", 4, NULL);
    free(get(cache, number));
}

static void *use_without_end(void *context) {
    struct crowd *crowd = context;

    for (unsigned i = 0; !atomic_load(&crowd->over); i = (i + 1) % 64) {
        use_once(crowd->cache, i);
    }
    return NULL;
}

/* The spec of a store of its own. */
static char *spec_of(const char *store, const char *name) {
    char *spec;

    if (strcmp(store, "memory") == 0)
        return strdup(store);
    ck_assert_int_gt(asprintf(&spec, "%s:%s/%s", store, scratch_dir(), name), 0);
    return spec;
}

static const char *const STORES[] = {"memory", "file", "sqlite"};

/* A cache over one kind of store; NULL where this build has none. */
static struct cubby_cache *open_store(const char *store, const char *name) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    char *spec = spec_of(store, name);
    struct cubby_cache *cache;

    ck_ok(cubby_cache_open(spec, &cache, &error), &error);
    free(spec);
    if (cubby_cache_tier_count(cache) == 1)
        return cache;
    ck_assert_int_eq(cubby_cache_problem(cache, 0)->code, CUBBY_ERR_UNSUPPORTED);
    cubby_cache_unref(cache);
    return NULL;
}

/* A child must not inherit a lock that another thread held: it would wait for ever. */
START_TEST(test_fork_among_threads) {
    struct crowd crowd = {open_store(STORES[_i], "fork"), false};
    pthread_t threads[3];

    if (!crowd.cache)
        return;
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use_without_end, &crowd), 0);
    for (int round = 0; round < 12; round++) {
        int status;
        pid_t child = fork();

        ck_assert_int_ge(child, 0);
        if (child == 0) {
            alarm(20);
            for (unsigned i = 0; i < 8; i++) {
                use_once(crowd.cache, i);
            }
            _exit(0);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(status == 0, "round %d: the child ended with %d", round, status);
    }
    atomic_store(&crowd.over, true);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    cubby_cache_unref(crowd.cache);
}
END_TEST

#endif

START_TEST(test_unknown_kinds) {
    static const int KINDS[] = {-1, CUBBY_ENTRY_KINDS, 77};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_key key = key_of(1);
    struct cubby_object *object;
    struct cubby_cache *cache;
    char *spec;

    ck_assert_int_gt(asprintf(&spec, "file:%s/kinds", scratch_dir()), 0);
    ck_ok(cubby_cache_open(spec, &cache, &error), &error);
    for (size_t i = 0; i < sizeof(KINDS) / sizeof(*KINDS); i++) {
        enum cubby_entry_kind kind = (enum cubby_entry_kind)KINDS[i];

        ck_assert_int_eq(cubby_cache_get(cache, kind, &key, &object, NULL, &error),
                         CUBBY_ERR_INVALID);
        ck_assert_ptr_nonnull(strstr(error.message, "is not known"));
        cubby_error_clear(&error);
        ck_assert_int_eq(cubby_cache_peek(cache, kind, &key, &object), CUBBY_ERR_INVALID);
        ck_assert_int_eq(cubby_cache_remove(cache, kind, &key, NULL), CUBBY_ERR_INVALID);
    }
    cubby_cache_unref(cache);
    free(spec);
}
END_TEST

START_TEST(test_unusable_store_is_left_out) {
    char *path = path_in(scratch_dir(), "a-file"), *spec;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache;

    write_file(path, "x", 1);
    ck_assert_int_gt(asprintf(&spec, "memory,file:%s", path), 0);
    ck_ok(cubby_cache_open(spec, &cache, &error), &error);
    ck_assert_uint_eq(cubby_cache_tier_count(cache), 1);
    ck_assert_str_eq(cubby_cache_tier_name(cache, 0), "memory");
    ck_assert_ptr_null(cubby_cache_tier_name(cache, 1));
    ck_assert_ptr_nonnull(strstr(cubby_cache_problem(cache, 0)->message, path));
    ck_assert_ptr_null(cubby_cache_problem(cache, 1));
    put(cache, 1, "one");
    expect(cache, 1, "one");
    cubby_cache_unref(cache);
    free(spec);
    free(path);
}
END_TEST

START_TEST(test_tiers_by_spec) {
    const char *folder = scratch_dir();
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_store_stats stats;
    struct cubby_cache *cache;
    char *spec;

#ifdef HAVE_SQLITE
    ck_assert_int_gt(asprintf(&spec, "memory,file:%s/f,sqlite:%s/s.db", folder, folder), 0);
#else
    ck_assert_int_gt(asprintf(&spec, "memory,file:%s/f,file:%s/g", folder, folder), 0);
#endif
    ck_ok(cubby_cache_open(spec, &cache, &error), &error);
    ck_assert_uint_eq(cubby_cache_tier_count(cache), 3);
    put(cache, 1, "one");
    cubby_cache_unref(cache);
    ck_ok(cubby_cache_open(spec, &cache, &error), &error);
    expect(cache, 1, "one");
    for (size_t i = 0; i < 3; i++) {
        ck_ok(cubby_cache_tier_stats(cache, i, &stats, &error), &error);
        ck_assert_uint_eq(stats.entries[CUBBY_ENTRY_USER], 1);
    }
    ck_assert_int_eq(cubby_cache_tier_stats(cache, 3, &stats, NULL), CUBBY_ERR_INVALID);
    ck_ok(cubby_cache_clear(cache, &error), &error);
    expect(cache, 1, NULL);
    ck_ok(cubby_cache_flush(cache, &error), &error);
    ck_ok(cubby_cache_tier_stats(cache, 2, &stats, &error), &error);
    ck_assert_uint_eq(stats.counters.hits, 1);
    ck_ok(cubby_cache_zero(cache, &error), &error);
    ck_ok(cubby_cache_tier_stats(cache, 2, &stats, &error), &error);
    ck_assert_uint_eq(stats.counters.hits, 0);
    cubby_cache_unref(cubby_cache_ref(cache));
    cubby_cache_unref(cache);
    free(spec);
}
END_TEST

/* Of tiers of which only the last holds the entry. */
START_TEST(test_a_look_changes_nothing) {
    struct fake_control controls[2] = {{0}};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache = open_tiers(controls, 2);
    struct cubby_key key = key_of(1);
    struct cubby_object *object;

    controls[0].fail_put = CUBBY_ERR_IO;
    put(cache, 1, "one");
    controls[0].fail_put = 0;
    controls[0].puts = 0;
    ck_assert_int_eq(cubby_cache_peek(cache, CUBBY_ENTRY_USER, &key, &object), 0);
    ck_assert_mem_eq(cubby_object_data(object), "one", 3);
    cubby_object_unref(object);
    ck_assert_uint_eq(controls[0].puts, 0);
    ck_ok(cubby_cache_flush(cache, &error), &error);
    ck_assert_uint_eq(controls[1].counted.hits, 0);
    ck_assert_uint_eq(controls[1].counted.misses, 0);
    expect(cache, 1, "one"); /* which a use does */
    ck_assert_uint_eq(controls[0].puts, 1);
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_clear_without_the_operation) {
    struct fake_control control = {0};
    struct cubby_cache *cache = open_tiers(&control, 1);

    put(cache, 1, "one");
    put(cache, 2, "two");
    ck_assert_int_eq(cubby_cache_clear(cache, NULL), 0);
    expect(cache, 1, NULL);
    expect(cache, 2, NULL);
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_read_only_seed) {
    const char *folder = scratch_dir();
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache;
    char *spec, *seed;

    ck_assert_int_gt(asprintf(&seed, "file:%s/seed", folder), 0);
    ck_ok(cubby_cache_open(seed, &cache, &error), &error);
    put(cache, 1, "from the seed");
    cubby_cache_unref(cache);
    ck_assert_int_gt(asprintf(&spec, "file:%s/own,%s?read_only=1", folder, seed), 0);
    ck_ok(cubby_cache_open(spec, &cache, &error), &error);
    put(cache, 2, "own");
    expect(cache, 1, "from the seed");
    cubby_cache_unref(cache);
    ck_ok(cubby_cache_open(seed, &cache, &error), &error);
    expect(cache, 2, NULL); /* the seed was not written */
    cubby_cache_unref(cache);
    free(spec);
    free(seed);
}
END_TEST

/* ---- Threads ----------------------------------------------------------------------------- */

static void *use_cache(void *context) {
    struct cubby_cache *cache = context;
    struct maker maker = {0, 0};

    for (unsigned i = 0; i < 200; i++) {
        struct cubby_key key = key_of(i % 20);
        struct cubby_object *object;

        if (cubby_cache_get_or_make(cache, &key, make_text, &maker, &object, NULL, NULL) < 0)
            return (void *)"failed";
        if (memcmp(cubby_object_data(object), "made", 4) != 0)
            return (void *)"wrong";
        cubby_object_unref(object);
    }
    return NULL;
}

START_TEST(test_threads) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache;
    pthread_t threads[4];
    char *spec;

    ck_assert_int_gt(asprintf(&spec, "memory?max_size=1K,file:%s/f", scratch_dir()), 0);
    ck_ok(cubby_cache_open(spec, &cache, &error), &error);
    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use_cache, cache), 0);
    for (size_t i = 0; i < 4; i++) {
        void *problem;

        pthread_join(threads[i], &problem);
        ck_assert_ptr_null(problem);
    }
    cubby_cache_unref(cache);
    free(spec);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cache");
    TCase *tcase = tcase_create("all");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_order_and_promotion);
    tcase_add_test(tcase, test_damage_is_a_miss_and_heals);
    tcase_add_test(tcase, test_failing_store);
    tcase_add_test(tcase, test_get_or_make);
    tcase_add_test(tcase, test_make_survives_a_dead_store);
    tcase_add_test(tcase, test_bad_backends);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    /* The sanitizers' own allocator locks are not released in a child. */
    /* Where the test program forks for no test (valgrind), the children's copies of what the
     * threads were about would count as lost. */
    if (tests_are_apart())
        tcase_add_loop_test(tcase, test_fork_among_threads, 0, 3);
#endif
    tcase_add_test(tcase, test_unknown_kinds);
    tcase_add_test(tcase, test_unusable_store_is_left_out);
    tcase_add_test(tcase, test_tiers_by_spec);
    tcase_add_test(tcase, test_a_look_changes_nothing);
    tcase_add_test(tcase, test_clear_without_the_operation);
    tcase_add_test(tcase, test_read_only_seed);
    tcase_add_test(tcase, test_threads);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
