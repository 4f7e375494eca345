/* SPDX-License-Identifier: Apache-2.0 */
/* Runtime caches in front of a cache, and who waits for whom then: one process, several handles. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "run/front.h"
#include "tooling.h"
#include "toolkit.h"

#define FRONTS 4

static struct cubby_error error;
static char *gate;

/* A compiler that waits where a source says so. */
static void set_up(void) {
    char *folder = path_in(scratch_dir(), "cuda");

    toolkit_make(folder, 1);
    toolkit_use(folder);
    free(folder);
    gate = path_in(scratch_dir(), "gate");
    setenv("FAKE_NVRTC_GATE", gate, 1);
    write_file(gate, "", 0);
}

static void tear_down(void) {
    cubby_error_clear(&error);
    free(gate);
}

static void pass_ms(unsigned ms) {
    nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000 * 1000000)}, NULL);
}

static void await_compiles(unsigned count) {
    while (toolkit_compiles() < count)
        pass_ms(1);
}

/* ---- Those who ask ----------------------------------------------------------------------- */

struct asker {
    struct cubby_runtime_cache *handle; /* NULL: the cache behind them is asked itself */
    struct cubby_cache *cache;
    const char *text;
    const char *name; /* of the file that debug information is to name; NULL: there is none */
    pthread_t thread;
    int result;
    struct cubby_outcome outcome;
    struct cubby_error error;
};

static void *compile(void *context) {
    struct asker *asker = context;
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_program *program;
    struct cubby_object *object = NULL;

    options.name = asker->name ? asker->name : "program.cu";
    options.options = (const char *const[]){"-lineinfo"};
    options.option_count = asker->name != NULL;
    asker->result =
        cubby_program_new(asker->text, strlen(asker->text), &options, &program, &asker->error);
    if (asker->result == 0) {
        asker->result =
            cubby_compile(asker->cache, program, 0, &object, &asker->outcome, &asker->error);
        cubby_program_unref(program);
    }
    cubby_object_unref(object);
    return NULL;
}

static void start(struct asker *asker) {
    ck_assert_int_eq(pthread_create(&asker->thread, NULL, compile, asker), 0);
}

/* The first has the cache itself where one is to; the others have a handle each. */
static void open_all(struct asker *askers, struct cubby_cache *lower, bool has_bare,
                     const char *text) {
    const struct front_place place = {"sm_90", 0, true};

    for (int i = 0; i < FRONTS; i++) {
        askers[i] = (struct asker){.text = text};
        if (i == 0 && has_bare) {
            askers[i].cache = cubby_cache_ref(lower);
            continue;
        }
        ck_ok(cubby_runtime_cache_new(NULL, &askers[i].handle, &error), &error);
        ck_ok(front_open(askers[i].handle, lower, &place, &askers[i].cache, &error), &error);
    }
}

static void close_all(struct asker *askers) {
    for (int i = 0; i < FRONTS; i++) {
        cubby_cache_unref(askers[i].cache);
        cubby_runtime_cache_unref(askers[i].handle);
        cubby_error_clear(&askers[i].error);
    }
}

/* All at once: the first one compiles, and the gate opens when the others had time to ask. */
static void ask_at_once(struct asker *askers, unsigned compiles) {
    start(&askers[0]);
    await_compiles(1);
    for (int i = 1; i < FRONTS; i++)
        start(&askers[i]);
    await_compiles(compiles);
    pass_ms(100);
    ck_assert_uint_eq(toolkit_compiles(), compiles);
    ck_assert_int_eq(unlink(gate), 0);
    for (int i = 0; i < FRONTS; i++)
        pthread_join(askers[i].thread, NULL);
}

static void expect_all(struct asker *askers, enum cubby_outcome_kind first,
                       enum cubby_outcome_kind others) {
    for (int i = 0; i < FRONTS; i++) {
        ck_ok(askers[i].result, &askers[i].error);
        ck_assert_str_eq(cubby_outcome_name(askers[i].outcome.kind),
                         cubby_outcome_name(i == 0 ? first : others));
    }
}

/* Each has it in its own handle now. */
static void expect_kept(struct asker *askers) {
    for (int i = 0; i < FRONTS; i++) {
        compile(&askers[i]);
        ck_ok(askers[i].result, &askers[i].error);
        ck_assert_int_eq(askers[i].outcome.kind, CUBBY_OUTCOME_HIT);
        ck_assert_str_eq(askers[i].outcome.tier, askers[i].handle ? "runtime" : "memory");
    }
}

/* ---- Tests ------------------------------------------------------------------------------- */

static const char GATED[] = "kernel // FAKE_GATE\n";

/* _i: 0 no cache behind them, 1 one in memory, 2 one in memory that is asked itself as well, 3 one
 * that has no store. */
static struct cubby_cache *lower_of(int i) {
    struct cubby_cache *cache = NULL;

    if (i == 3)
        ck_ok(cubby_cache_open_backends(NULL, 0, &cache, &error), &error);
    return i == 0 || i == 3 ? cache : open_spec("memory", scratch_dir());
}

START_TEST(one_compiles_for_all_handles) {
    struct cubby_cache *lower = lower_of(_i);
    struct asker askers[FRONTS];

    open_all(askers, lower, _i == 2, GATED);
    ask_at_once(askers, 1);
    expect_all(askers, CUBBY_OUTCOME_COMPILED, CUBBY_OUTCOME_WAITED);
    expect_kept(askers);
    ck_assert_uint_eq(toolkit_compiles(), 1);
    close_all(askers);
    cubby_cache_unref(lower);
}
END_TEST

START_TEST(an_error_reaches_all) {
    struct cubby_cache *lower = lower_of(_i);
    struct asker askers[FRONTS];

    open_all(askers, lower, _i == 2, "FAKE_ERROR_6 // FAKE_GATE\n");
    ask_at_once(askers, 1);
    for (int i = 0; i < FRONTS; i++) {
        ck_assert_int_eq(askers[i].result, CUBBY_ERR_COMPILE);
        ck_assert_ptr_nonnull(askers[i].error.log);
    }
    ck_assert_uint_eq(toolkit_compiles(), 1);
    close_all(askers);
    cubby_cache_unref(lower);
}
END_TEST

/* What another read of headers is looked at in a store that both have. Where there is none, waiting
 * would gain nothing, and nobody waits. */
START_TEST(headers_are_looked_up_where_all_look) {
    struct cubby_cache *lower = lower_of(_i);
    struct asker askers[FRONTS];
    char *header = path_in(scratch_dir(), "a.h"), *text;
    const bool meets = lower && cubby_cache_tier_count(lower) > 0;

    write_file(header, "int a;", 6);
    pass_ms(20); /* the coarse clock of file stamps moves on */
    ck_assert_int_gt(asprintf(&text, "#include \"%s\"\n// FAKE_GATE\n", header), 0);
    open_all(askers, lower, _i == 2, text);
    ask_at_once(askers, meets ? 1 : FRONTS);
    expect_all(askers, CUBBY_OUTCOME_COMPILED,
               meets ? CUBBY_OUTCOME_WAITED : CUBBY_OUTCOME_COMPILED);
    expect_kept(askers);
    close_all(askers);
    cubby_cache_unref(lower);
    free(text);
    free(header);
}
END_TEST

/* Something that the key depends on changes: nobody keeps what came of it. */
START_TEST(what_the_pilot_does_not_keep_nobody_keeps) {
    struct asker askers[FRONTS];
    struct cubby_runtime_cache_stats stats;
    char *file = path_in(scratch_dir(), "program.cu");

    write_file(file, "as it was", 9);
    open_all(askers, NULL, false, GATED);
    for (int i = 0; i < FRONTS; i++)
        askers[i].name = file;
    start(&askers[0]);
    await_compiles(1);
    for (int i = 1; i < FRONTS; i++)
        start(&askers[i]);
    pass_ms(100);
    ck_assert_uint_eq(toolkit_compiles(), 1);
    write_file(file, "as it is now", 12);
    ck_assert_int_eq(unlink(gate), 0);
    for (int i = 0; i < FRONTS; i++)
        pthread_join(askers[i].thread, NULL);
    ck_assert_uint_eq(toolkit_compiles(), 1);
    for (int i = 0; i < FRONTS; i++) {
        ck_ok(askers[i].result, &askers[i].error);
        cubby_runtime_cache_stats(askers[i].handle, &stats);
        ck_assert_uint_eq(stats.kernels, 0);
    }
    close_all(askers);
    free(file);
}
END_TEST

/* ---- Forks ------------------------------------------------------------------------------- */

static atomic_bool is_over;

static void *keep_toolchains(void *cache) {
    while (!atomic_load(&is_over))
        tooling_remember(cache);
    return NULL;
}

/* A runtime cache keeps toolchains: a fork takes the locks of both in the order in which all do. */
START_TEST(forks_while_toolchains_are_kept) {
    const struct front_place place = {"sm_90", 0, true};
    struct cubby_runtime_cache *handle;
    struct cubby_cache *cache;
    pthread_t thread;

    ck_ok(cubby_runtime_cache_new(NULL, &handle, &error), &error);
    ck_ok(front_open(handle, NULL, &place, &cache, &error), &error);
    ck_assert_int_eq(pthread_create(&thread, NULL, keep_toolchains, cache), 0);
    for (int i = 0; i < 300; i++) {
        pid_t child = fork();

        ck_assert_int_ge(child, 0);
        if (child == 0)
            _exit(0);
        ck_assert_int_eq(waitpid(child, NULL, 0), child);
    }
    atomic_store(&is_over, true);
    pthread_join(thread, NULL);
    cubby_cache_unref(cache);
    cubby_runtime_cache_unref(handle);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("front");
    TCase *tests = tcase_create("flights");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, one_compiles_for_all_handles, 0, 4);
    tcase_add_loop_test(tests, an_error_reaches_all, 0, 4);
    tcase_add_loop_test(tests, headers_are_looked_up_where_all_look, 0, 4);
    tcase_add_test(tests, what_the_pilot_does_not_keep_nobody_keeps);
    tcase_add_test(tests, forks_while_toolchains_are_kept);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
