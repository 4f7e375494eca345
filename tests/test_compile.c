/* SPDX-License-Identifier: Apache-2.0 */
/* One request from key to object, with a double of NVRTC that counts and misbehaves on demand. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fake_backend.h"
#include "harness.h"
#include "toolkit.h"

/* Each test runs in a process of its own, so each may choose its toolkit. */
static void setup(void) {
    char *folder = path_in(scratch_dir(), "cuda");

    toolkit_make(folder, 1);
    toolkit_use(folder);
    free(folder);
}

static struct cubby_cache *open_cache(void) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache;
    char *spec;

    ck_assert_int_gt(asprintf(&spec, "memory,file:%s/store", scratch_dir()), 0);
    ck_ok(cubby_cache_open(spec, &cache, &error), &error);
    free(spec);
    return cache;
}

static struct cubby_program *make(const char *text, const struct cubby_program_options *options) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program;

    ck_ok(cubby_program_new(text, strlen(text), options, &program, &error), &error);
    return program;
}

/* Compiles a text and gives the outcome; the object is looked at by nobody. */
static struct cubby_outcome compile(struct cubby_cache *cache, const char *text, unsigned flags) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program = make(text, NULL);
    struct cubby_object *object;
    struct cubby_outcome outcome;

    ck_ok(cubby_compile(cache, program, flags, &object, &outcome, &error), &error);
    cubby_object_unref(object);
    cubby_program_unref(program);
    return outcome;
}

START_TEST(test_miss_then_hit) {
    struct cubby_cache *cache = open_cache();
    struct cubby_outcome first = compile(cache, "k", 0), second = compile(cache, "k", 0);

    ck_assert_int_eq(first.kind, CUBBY_OUTCOME_COMPILED);
    ck_assert_str_eq(first.reason, "");
    ck_assert_int_eq(second.kind, CUBBY_OUTCOME_HIT);
    ck_assert_str_eq(second.tier, "memory");
    ck_assert(first.has_key && second.has_key);
    ck_assert_mem_eq(&first.key, &second.key, sizeof(first.key));
    ck_assert_uint_eq(second.compile_ns, first.compile_ns);
    ck_assert_uint_eq(toolkit_compiles(), 1);
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_flags) {
    struct cubby_cache *cache = open_cache();
    struct cubby_outcome outcome = compile(cache, "k", CUBBY_REQUEST_NO_CACHE);

    ck_assert_int_eq(outcome.kind, CUBBY_OUTCOME_COMPILED);
    ck_assert_ptr_nonnull(strstr(outcome.reason, "asked not to use"));
    ck_assert_int_eq(compile(cache, "k", 0).kind, CUBBY_OUTCOME_COMPILED);
    ck_assert_int_eq(compile(cache, "k", CUBBY_REQUEST_REFRESH).kind, CUBBY_OUTCOME_COMPILED);
    ck_assert_int_eq(compile(cache, "k", 0).kind, CUBBY_OUTCOME_HIT);
    ck_assert_uint_eq(toolkit_compiles(), 3);
    ck_assert_int_eq(compile(NULL, "k", 0).kind, CUBBY_OUTCOME_COMPILED);
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_uncacheable) {
    struct cubby_cache *cache = open_cache();

    for (unsigned i = 1; i <= 2; i++) {
        struct cubby_outcome outcome =
            compile(cache, "#define HEADER <a.h> b\n#include HEADER\n", 0);

        ck_assert_int_eq(outcome.kind, CUBBY_OUTCOME_UNCACHEABLE);
        ck_assert_ptr_nonnull(strstr(outcome.reason, "include HEADER"));
        ck_assert(!outcome.has_key);
        ck_assert_uint_eq(toolkit_compiles(), i);
    }
    cubby_cache_unref(cache);
}
END_TEST

/* With a probed header and without it are two objects, and so two keys: else one could be given for
 * the other where a memory lies in front of a store that other processes write to. */
START_TEST(test_probed_headers) {
    static const char SOURCE[] = "#if __has_include(\"x.h\")\n#endif\n";
    struct cubby_outcome without, with;
    struct cubby_cache *cache;

    ck_assert_int_eq(chdir(scratch_dir()), 0);
    cache = open_cache();
    without = compile(cache, SOURCE, 0);
    ck_assert_int_eq(without.kind, CUBBY_OUTCOME_COMPILED);
    ck_assert_str_eq(without.reason, "");
    write_file("x.h", "", 0);
    nanosleep(&(struct timespec){0, 50000000}, NULL); /* else it changed while it was compiled */
    with = compile(cache, SOURCE, 0);
    ck_assert_int_eq(with.kind, CUBBY_OUTCOME_COMPILED);
    ck_assert_str_eq(with.reason, "");
    ck_assert_mem_ne(&with.key, &without.key, sizeof(with.key));
    ck_assert_int_eq(compile(cache, SOURCE, 0).kind, CUBBY_OUTCOME_HIT);
    ck_assert_int_eq(unlink("x.h"), 0);
    with = compile(cache, SOURCE, 0);
    ck_assert_int_eq(with.kind, CUBBY_OUTCOME_HIT);
    ck_assert_mem_eq(&with.key, &without.key, sizeof(with.key));
    ck_assert_uint_eq(toolkit_compiles(), 2);
    cubby_cache_unref(cache);
}
END_TEST

/* ---- What the compiler is told ----------------------------------------------------------- */

/* The double's object is the list of what it was given. */
static char *given(struct cubby_cache *cache, const struct cubby_program_options *options) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program = make("text", options);
    struct cubby_object *object;
    char *text;

    ck_ok(cubby_compile(cache, program, 0, &object, NULL, &error), &error);
    text = strndup(cubby_object_data(object), cubby_object_size(object));
    cubby_object_unref(object);
    cubby_program_unref(program);
    return text;
}

START_TEST(test_options_reach_the_compiler) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    const struct cubby_header header = {"a.h", "int a;", 6};
    const char *strings[] = {"-DX", "--frandom-seed=mine", "-Xptxas"};
    char *text;

    options.arch = "sm_90";
    options.headers = &header;
    options.header_count = 1;
    text = given(NULL, &options);
    ck_assert_ptr_nonnull(strstr(text, "headers 1;"));
    ck_assert_ptr_nonnull(strstr(text, "--modify-stack-limit=false;--no-cache;"));
    ck_assert_ptr_nonnull(strstr(text, "--frandom-seed=cubby"));
    ck_assert_ptr_nonnull(strstr(text, "--gpu-architecture=sm_90;"));
    free(text);

    options.options = strings;
    options.option_count = 3;
    text = given(NULL, &options);
    ck_assert_ptr_null(strstr(text, "--frandom-seed=cubby"));
    ck_assert_ptr_nonnull(strstr(text, "-DX;--frandom-seed=mine;-Xptxas;text")); /* theirs last */
    free(text);

    options.target = CUBBY_TARGET_LTOIR;
    text = given(NULL, &options);
    ck_assert_ptr_nonnull(strstr(text, "--dlink-time-opt;--gpu-architecture=compute_90;"));
    free(text);
}
END_TEST

START_TEST(test_targets) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program;
    struct cubby_object_info info;
    struct cubby_object *object;

    options.target = CUBBY_TARGET_PTX;
    options.arch = "sm_90";
    program = make("text", &options);
    ck_ok(cubby_compile(NULL, program, 0, &object, NULL, &error), &error);
    /* The NUL that ends PTX is behind the object, not in it. */
    ck_assert_uint_eq(strlen(cubby_object_data(object)), cubby_object_size(object));
    cubby_object_info(object, &info);
    ck_assert_str_eq(info.target, "ptx");
    ck_assert_str_eq(info.toolchain, "NVRTC 13.90");
    cubby_object_unref(object);
    cubby_program_unref(program);

    options.target = CUBBY_TARGET_CUBIN;
    program = make("FAKE_NO_CUBIN", &options);
    ck_assert_int_eq(cubby_compile(NULL, program, 0, &object, NULL, &error), CUBBY_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "real architecture"));
    cubby_error_clear(&error);
    cubby_program_unref(program);
    options.target = CUBBY_TARGET_LTOIR;
    program = make("FAKE_NO_CUBIN", &options);
    ck_assert_int_eq(cubby_compile(NULL, program, 0, &object, NULL, &error), CUBBY_ERR_INVALID);
    cubby_error_clear(&error);
    cubby_program_unref(program);
}
END_TEST

START_TEST(test_names) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    const char *names[] = {"b<int>", "a", "a"};
    struct cubby_cache *cache = open_cache();
    struct cubby_program *program;
    struct cubby_error error = CUBBY_ERROR_INIT;

    options.names = names;
    options.name_count = 3;
    program = make("text", &options);
    for (int i = 0; i < 2; i++) {
        struct cubby_outcome outcome;
        struct cubby_object *object;

        ck_ok(cubby_compile(cache, program, 0, &object, &outcome, &error), &error);
        ck_assert_int_eq(outcome.kind, i == 0 ? CUBBY_OUTCOME_COMPILED : CUBBY_OUTCOME_HIT);
        ck_assert_str_eq(cubby_object_lowered_name(object, "b<int>"), "_Z_b<int>");
        ck_assert_str_eq(cubby_object_lowered_name(object, "a"), "_Z_a");
        ck_assert_ptr_null(cubby_object_name(object, 2, NULL));
        cubby_object_unref(object);
    }
    cubby_program_unref(program);
    cubby_cache_unref(cache);
}
END_TEST

/* ---- Failures ---------------------------------------------------------------------------- */

static const struct {
    int nvrtc, code;
} FAILURES[] = {{6, CUBBY_ERR_COMPILE},      {5, CUBBY_ERR_COMPILE},       {10, CUBBY_ERR_COMPILE},
                {7, CUBBY_ERR_NO_TOOLCHAIN}, {11, CUBBY_ERR_NO_TOOLCHAIN}, {1, CUBBY_ERR_NO_MEMORY},
                {99, CUBBY_ERR_NO_TOOLCHAIN}};

START_TEST(test_failures) {
    struct cubby_cache *cache = open_cache();
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_object *untouched = (struct cubby_object *)&error, *object = untouched;
    struct cubby_store_stats stats;
    struct cubby_outcome outcome;
    struct cubby_program *program;
    char text[32];

    snprintf(text, sizeof(text), "FAKE_ERROR_%d", FAILURES[_i].nvrtc);
    program = make(text, NULL);
    ck_assert_int_eq(cubby_compile(cache, program, 0, &object, &outcome, &error),
                     FAILURES[_i].code);
    ck_assert_ptr_eq(object, untouched);
    ck_assert_int_eq(error.code, FAILURES[_i].code);
    ck_assert_str_eq(error.log, "fake error log\n");
    ck_assert_int_eq(error.tool_error, FAILURES[_i].nvrtc);
    ck_assert_int_eq(outcome.kind, CUBBY_OUTCOME_ERROR);
    cubby_error_clear(&error);
    ck_ok(cubby_cache_tier_stats(cache, 1, &stats, &error), &error);
    ck_assert_uint_eq(stats.entries[CUBBY_ENTRY_OBJECT], 0);
    /* A NULL error is fine too. */
    ck_assert_int_eq(cubby_compile(cache, program, 0, &object, NULL, NULL), FAILURES[_i].code);
    cubby_program_unref(program);
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_logs) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_cache *cache = open_cache();
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *here, *there, *longer;
    struct cubby_outcome outcome;
    struct cubby_object *object;

    options.name = "/here/k.cu";
    here = make("FAKE_WARNING", &options);
    options.name = "/there/k.cu";
    there = make("FAKE_WARNING", &options);
    ck_ok(cubby_compile(cache, here, 0, &object, &outcome, &error), &error);
    ck_assert_str_eq(cubby_object_log(object), "/here/k.cu(1): warning: as you wish\n");
    cubby_object_unref(object);
    /* The same object serves the same file elsewhere, and its log speaks of that one. */
    ck_ok(cubby_compile(cache, there, 0, &object, &outcome, &error), &error);
    ck_assert_int_eq(outcome.kind, CUBBY_OUTCOME_HIT);
    ck_assert_str_eq(cubby_object_log(object), "/there/k.cu(1): warning: as you wish\n");
    cubby_object_unref(object);
    cubby_program_unref(here);
    cubby_program_unref(there);
    /* A short name is not looked for within words. */
    options.name = "s";
    here = make("FAKE_WARNING", &options);
    options.name = "/there/s";
    there = make("FAKE_WARNING", &options);
    ck_ok(cubby_compile(cache, here, 0, &object, NULL, &error), &error);
    cubby_object_unref(object);
    ck_ok(cubby_compile(cache, there, 0, &object, &outcome, &error), &error);
    ck_assert_int_eq(outcome.kind, CUBBY_OUTCOME_HIT);
    ck_assert_str_eq(cubby_object_log(object), "/there/s(1): warning: as you wish\n");
    cubby_object_unref(object);
    longer = make("FAKE_LONG_LOG", &options);
    ck_ok(cubby_compile(cache, longer, 0, &object, &outcome, &error), &error);
    ck_assert_uint_lt(strlen(cubby_object_log(object)), 1 << 20);
    ck_assert_ptr_nonnull(strstr(cubby_object_log(object), "the rest of the log was dropped"));
    cubby_object_unref(object);
    cubby_program_unref(here);
    cubby_program_unref(there);
    cubby_program_unref(longer);
    cubby_cache_unref(cache);
}
END_TEST

/* ---- Stores that fail -------------------------------------------------------------------- */

START_TEST(test_a_dead_store_costs_a_compile) {
    struct fake_control control = {.fail_get = CUBBY_ERR_IO, .fail_put = CUBBY_ERR_IO};
    struct cubby_backend *backend = fake_backend_new(&control);
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache;

    ck_ok(cubby_cache_open_backends(&backend, 1, &cache, &error), &error);
    for (unsigned i = 1; i <= 2; i++) {
        struct cubby_outcome outcome = compile(cache, "k", 0);

        ck_assert_int_eq(outcome.kind, CUBBY_OUTCOME_COMPILED);
        ck_assert_str_eq(outcome.reason, "fake failure to put");
        ck_assert_uint_eq(toolkit_compiles(), i);
    }
    cubby_cache_unref(cache);
    ck_assert_uint_eq(control.counted.hits, 0);
    ck_assert_uint_eq(control.counted.compiles, 2);
    ck_assert_uint_eq(control.counted.misses, 2);
}
END_TEST

START_TEST(test_damaged_entry_is_compiled_again) {
    struct fake_control control = {0};
    struct cubby_backend *backend = fake_backend_new(&control);
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache;

    ck_ok(cubby_cache_open_backends(&backend, 1, &cache, &error), &error);
    compile(cache, "k", 0);
    control.corrupt_get = true;
    ck_assert_int_eq(compile(cache, "k", 0).kind, CUBBY_OUTCOME_COMPILED);
    control.corrupt_get = false;
    ck_assert_int_eq(compile(cache, "k", 0).kind, CUBBY_OUTCOME_HIT);
    cubby_cache_unref(cache);
    ck_assert_uint_eq(control.counted.corrupt, 1);
}
END_TEST

/* ---- Threads ----------------------------------------------------------------------------- */

struct crowd_member {
    struct cubby_cache *cache;
    struct cubby_program *program;
    const char *problem;
};

static void *compile_often(void *context) {
    struct crowd_member *member = context;

    for (unsigned i = 0; i < 50; i++) {
        struct cubby_object *object;

        if (cubby_compile(member->cache, member->program, 0, &object, NULL, NULL) < 0) {
            member->problem = "a compile failed";
            return NULL;
        }
        if (!strstr(cubby_object_data(object), "shared text"))
            member->problem = "a wrong object";
        cubby_object_unref(object);
    }
    return NULL;
}

START_TEST(test_threads) {
    struct cubby_cache *cache = open_cache();
    struct cubby_program *program = make("shared text", NULL);
    struct crowd_member members[4];
    pthread_t threads[4];

    for (size_t i = 0; i < 4; i++) {
        members[i] = (struct crowd_member){cache, program, NULL};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, compile_often, &members[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_ptr_null(members[i].problem);
    }
    ck_assert_uint_le(toolkit_compiles(), 4);
    cubby_program_unref(program);
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_names_of_things) {
    ck_assert_str_eq(cubby_outcome_name(CUBBY_OUTCOME_WAITED), "waited");
    ck_assert_str_eq(cubby_outcome_name((enum cubby_outcome_kind)77), "unknown");
    ck_assert_ptr_null(cubby_target_name((enum cubby_target)77));
    for (int code = 0; code >= CUBBY_ERR_UNSUPPORTED; code--)
        ck_assert_str_ne(cubby_code_name(code), "unknown code");
    ck_assert_str_eq(cubby_code_name(-1000), "unknown code");
    ck_assert_str_ne(cubby_version(), "");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("compile");
    TCase *tcase = tcase_create("all");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, test_miss_then_hit);
    tcase_add_test(tcase, test_flags);
    tcase_add_test(tcase, test_uncacheable);
    tcase_add_test(tcase, test_probed_headers);
    tcase_add_test(tcase, test_options_reach_the_compiler);
    tcase_add_test(tcase, test_targets);
    tcase_add_test(tcase, test_names);
    tcase_add_loop_test(tcase, test_failures, 0, sizeof(FAILURES) / sizeof(*FAILURES));
    tcase_add_test(tcase, test_logs);
    tcase_add_test(tcase, test_a_dead_store_costs_a_compile);
    tcase_add_test(tcase, test_damaged_entry_is_compiled_again);
    tcase_add_test(tcase, test_threads);
    tcase_add_test(tcase, test_names_of_things);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
