/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of engines that run, scopes of them, and their runtime caches. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner_help.h"

static struct line line;

/* The last warning, and how many there were. */
static char warning[512];
static unsigned warnings;

static void hear(enum cubby_log_level level, const char *text, void *context) {
    (void)level;
    (void)context;
    snprintf(warning, sizeof(warning), "%s", text);
    warnings++;
}

static void set_up(void) {
    line_set_up(&line);
    warnings = 0;
    cubby_log_set(hear, CUBBY_LOG_WARN, NULL);
}

static void tear_down(void) {
    cubby_log_set(NULL, CUBBY_LOG_WARN, NULL);
    line_tear_down(&line);
}

static enum cubby_specialization_strategy strategy_of(struct cubby_engine *engine) {
    struct cubby_runtime_settings settings;

    cubby_engine_get_settings(engine, &settings);
    cubby_runtime_cache_unref(settings.runtime_cache);
    return settings.dynamic_shapes_kernel_specialization_strategy;
}

static struct cubby_runtime_cache *handle_of(struct cubby_engine *engine) {
    struct cubby_runtime_settings settings;

    cubby_engine_get_settings(engine, &settings);
    cubby_runtime_cache_unref(settings.runtime_cache); /* the engine's own stays */
    return settings.runtime_cache;
}

static struct cubby_runtime_cache_stats stats_of(struct cubby_runtime_cache *handle) {
    struct cubby_runtime_cache_stats stats;

    cubby_runtime_cache_stats(handle, &stats);
    return stats;
}

/* An engine that saves its kernels in a file of that name. */
static struct cubby_engine *engine_on_file(const char *name) {
    struct cubby_runtime_settings settings = settings_of(CUBBY_SPECIALIZATION_EAGER);
    struct cubby_engine *engine;
    char *path = path_in(line.folder, name);

    settings.runtime_cache_path = path;
    engine = engine_on(&line, &settings);
    free(path);
    return engine;
}

static bool is_there(const char *name) {
    char *path = path_in(line.folder, name);
    bool there = access(path, F_OK) == 0;

    free(path);
    return there;
}

/* From here on there is no cache but the runtime cache. */
static void without_cache(void) {
    cubby_cache_unref(line.cache);
    line.cache = NULL;
}

/* ---- Settings ---------------------------------------------------------------------------- */

START_TEST(the_words_are_the_settings) {
    const struct cubby_runtime_settings defaults = CUBBY_RUNTIME_SETTINGS_INIT;

    ck_assert_int_eq(defaults.dynamic_shapes_kernel_specialization_strategy, 0);
    ck_assert_int_eq(defaults.cuda_graph_strategy, 0);
    ck_assert_str_eq(cubby_specialization_strategy_name(0), "lazy");
    ck_assert_str_eq(cubby_specialization_strategy_name(1), "eager");
    ck_assert_str_eq(cubby_specialization_strategy_name(2), "none");
    ck_assert_ptr_null(cubby_specialization_strategy_name(3));
    ck_assert_str_eq(cubby_cuda_graph_strategy_name(0), "disabled");
    ck_assert_str_eq(cubby_cuda_graph_strategy_name(1), "whole_graph_capture");
    ck_assert_ptr_null(cubby_cuda_graph_strategy_name(2));
}
END_TEST

START_TEST(unknown_values_are_refused_and_change_nothing) {
    struct cubby_engine *engine = engine_on(&line, NULL);
    struct cubby_runtime_settings settings = CUBBY_RUNTIME_SETTINGS_INIT;
    struct cubby_runtime_cache *handle = handle_for(&line, NULL);
    struct cubby_runtime_scope *scope;

    run_line(engine, 10);
    settings.dynamic_shapes_kernel_specialization_strategy = 3;
    assert_failure(cubby_engine_set_settings(engine, &settings, &error), CUBBY_ERR_INVALID,
                   "expected 0 (lazy), 1 (eager) or 2 (none)");
    assert_failure(cubby_runtime_scope_enter(&engine, 1, &settings,
                                             CUBBY_RUNTIME_SCOPE_SPECIALIZATION, &scope, &error),
                   CUBBY_ERR_INVALID, "is 3");
    settings = (struct cubby_runtime_settings)CUBBY_RUNTIME_SETTINGS_INIT;
    settings.cuda_graph_strategy = 2;
    assert_failure(cubby_engine_set_settings(engine, &settings, &error), CUBBY_ERR_INVALID,
                   "expected 0 (disabled) or 1 (whole_graph_capture)");
    settings = (struct cubby_runtime_settings)CUBBY_RUNTIME_SETTINGS_INIT;
    settings.runtime_cache = handle;
    settings.runtime_cache_path = "somewhere";
    assert_failure(cubby_engine_set_settings(engine, &settings, &error), CUBBY_ERR_INVALID,
                   "both set");
    settings.version = 2;
    assert_failure(cubby_engine_set_settings(engine, &settings, &error), CUBBY_ERR_INVALID,
                   "version 2");
    ck_assert(cubby_engine_has_context(engine));
    ck_assert_int_eq(strategy_of(engine), CUBBY_SPECIALIZATION_LAZY);
    cubby_engine_unref(engine);
    cubby_runtime_cache_unref(handle);
}
END_TEST

START_TEST(what_was_got_can_be_set) {
    struct cubby_engine *engine = engine_on_file("kernels.bin");
    struct cubby_runtime_settings settings;

    run_line(engine, 10);
    cubby_engine_get_settings(engine, &settings);
    ck_assert_ptr_nonnull(settings.runtime_cache);
    ck_ok(cubby_engine_set_settings(engine, &settings, &error), &error);
    ck_assert(cubby_engine_has_context(engine));
    settings.dynamic_shapes_kernel_specialization_strategy = CUBBY_SPECIALIZATION_NONE;
    ck_ok(cubby_engine_set_settings(engine, &settings, &error), &error);
    ck_assert_ptr_eq(handle_of(engine), settings.runtime_cache);
    ck_assert(!is_there("kernels.bin")); /* it goes on, and is saved later */
    cubby_runtime_cache_unref(settings.runtime_cache);
    cubby_engine_unref(engine);
    ck_assert(is_there("kernels.bin"));
}
END_TEST

/* ---- Runtime caches ---------------------------------------------------------------------- */

START_TEST(a_warm_runtime_cache_means_no_compile) {
    struct cubby_engine *engine = engine_on_file("kernels.bin");

    without_cache();
    run_line(engine, 100);
    run_line(engine, 7);
    cubby_engine_unref(engine);
    ck_assert(is_there("kernels.bin"));

    engine = engine_on_file("kernels.bin");
    run_line(engine, 7);
    run_line(engine, 100);
    ck_assert_uint_eq(stats_of_engine(engine).compiles, 0);
    ck_assert_uint_eq(stats_of_engine(engine).runtime_hits, 3);
    ck_assert_uint_eq(stats_of_engine(engine).specialized_runs, 2);
    cubby_engine_unref(engine);
    ck_assert_uint_eq(warnings, 0);
}
END_TEST

START_TEST(a_handle_of_its_own_is_saved_once_when_it_is_displaced) {
    const struct cubby_runtime_settings none = settings_of(CUBBY_SPECIALIZATION_NONE);
    struct cubby_engine *engine = engine_on_file("kernels.bin");
    struct cubby_runtime_settings before;
    char *path = path_in(line.folder, "kernels.bin");

    cubby_engine_get_settings(engine, &before);
    run_line(engine, 100);
    ck_assert(!is_there("kernels.bin"));
    ck_ok(cubby_engine_set_settings(engine, &none, &error), &error);
    ck_assert(is_there("kernels.bin"));
    ck_assert_uint_eq(stats_of(before.runtime_cache).saves, 1);
    ck_assert_int_eq(unlink(path), 0);
    cubby_runtime_cache_unref(before.runtime_cache);
    cubby_engine_unref(engine);
    ck_assert(!is_there("kernels.bin"));
    free(path);
}
END_TEST

START_TEST(a_handle_of_the_users_is_not_saved) {
    struct cubby_runtime_settings settings = settings_of(CUBBY_SPECIALIZATION_EAGER);
    struct cubby_engine *engine;

    settings.runtime_cache = handle_for(&line, "kernels.bin");
    engine = engine_on(&line, &settings);
    run_line(engine, 100);
    cubby_engine_unref(engine);
    ck_assert(!is_there("kernels.bin"));
    ck_assert_uint_eq(kernels_in(settings.runtime_cache), 2);
    ck_ok(cubby_runtime_cache_save(settings.runtime_cache, &error), &error);
    ck_assert(is_there("kernels.bin"));
    cubby_runtime_cache_unref(settings.runtime_cache);
}
END_TEST

START_TEST(a_failure_to_save_is_logged_alone) {
    struct cubby_engine *engine = engine_on_file("folder/kernels.bin");
    char *path = path_in(line.folder, "folder");

    write_file(path, "in the way", 10);
    run_line(engine, 100);
    cubby_engine_unref(engine);
    ck_assert_uint_ge(warnings, 1);
    ck_assert_msg(strstr(warning, "kernels.bin") != NULL, "%s", warning);
    free(path);
}
END_TEST

START_TEST(engines_share_a_handle_that_becomes_live_once) {
    struct cubby_runtime_settings settings = settings_of(CUBBY_SPECIALIZATION_EAGER);
    struct cubby_engine *engines[3];

    settings.runtime_cache = handle_for(&line, NULL);
    without_cache();
    for (int i = 0; i < 3; i++)
        engines[i] = engine_on(&line, &settings);
    ck_assert(!cubby_runtime_cache_has_cache(settings.runtime_cache));
    for (int i = 0; i < 3; i++)
        run_line(engines[i], 50);
    ck_assert_uint_eq(stats_of(settings.runtime_cache).materialisations, 1);
    ck_assert_uint_eq(stats_of_engine(engines[0]).compiles, 2);
    ck_assert_uint_eq(stats_of_engine(engines[1]).compiles, 0);
    ck_assert_uint_eq(stats_of_engine(engines[2]).runtime_hits, 2);
    for (int i = 0; i < 3; i++)
        cubby_engine_unref(engines[i]);
    cubby_runtime_cache_unref(settings.runtime_cache);
}
END_TEST

START_TEST(kernels_for_another_gpu_are_left_out_with_a_warning) {
    struct cubby_engine *engine = engine_on_file("kernels.bin");

    if (!tests_are_apart())
        goto end;
    run_line(engine, 100);
    cubby_engine_unref(engine);
    setenv("FAKE_CUDA_SM", "80", 1);
    fake->reset();
    line_attach();
    engine = engine_on_file("kernels.bin");
    run_line(engine, 100);
    ck_assert_uint_eq(warnings, 1);
    ck_assert_msg(strstr(warning, "sm_90") && strstr(warning, "sm_80"), "%s", warning);
    ck_assert_uint_eq(stats_of_engine(engine).compiles, 2);
end:
    cubby_engine_unref(engine);
}
END_TEST

START_TEST(a_damaged_file_is_a_cold_start) {
    struct cubby_engine *engine;
    char *path = path_in(line.folder, "kernels.bin");

    write_file(path, "CUBBYRT\nand so on", 17);
    chmod(path, 0600);
    engine = engine_on_file("kernels.bin");
    ck_assert_uint_eq(warnings, 1);
    run_line(engine, 100);
    ck_assert_uint_eq(stats_of_engine(engine).compiles, 2);
    cubby_engine_unref(engine);
    engine = engine_on_file("kernels.bin");
    without_cache();
    run_line(engine, 100);
    ck_assert_uint_eq(stats_of_engine(engine).runtime_hits, 2);
    cubby_engine_unref(engine);
    free(path);
}
END_TEST

START_TEST(what_was_prewarmed_is_used) {
    struct cubby_prewarm_options options = CUBBY_PREWARM_OPTIONS_INIT;
    struct cubby_runtime_settings settings = settings_of(CUBBY_SPECIALIZATION_EAGER);
    const int64_t n = 100;
    struct cubby_engine *engine;

    settings.runtime_cache = options.runtime_cache = handle_for(&line, NULL);
    options.arch = "sm_90";
    ck_ok(cubby_engine_plan_prewarm(line.plan, NULL, &options, &error), &error);
    ck_ok(cubby_engine_plan_prewarm(line.plan, &n, &options, &error), &error);
    without_cache();
    engine = engine_on(&line, &settings);
    run_line(engine, 100);
    ck_assert_uint_eq(warnings, 0);
    ck_assert_uint_eq(stats_of_engine(engine).compiles, 0);
    ck_assert_uint_eq(stats_of_engine(engine).runtime_hits, 2);
    run_line(engine, 101);
    ck_assert_uint_eq(kernels_in(settings.runtime_cache), 4);
    cubby_engine_unref(engine);
    cubby_runtime_cache_unref(settings.runtime_cache);
}
END_TEST

/* Another bound is another handle: what the one before had is read by it. */
START_TEST(the_same_file_is_read_again) {
    struct cubby_engine *engine = engine_on_file("kernels.bin");
    struct cubby_runtime_settings settings;

    without_cache();
    cubby_engine_unref(engine);
    engine = engine_on_file("kernels.bin");
    run_line(engine, 100);
    cubby_engine_get_settings(engine, &settings);
    cubby_runtime_cache_unref(settings.runtime_cache);
    settings.runtime_cache = NULL;
    settings.runtime_cache_max_size = 1 << 20;
    ck_ok(cubby_engine_set_settings(engine, &settings, &error), &error);
    run_line(engine, 100);
    ck_assert_uint_eq(stats_of_engine(engine).compiles, 2);
    ck_assert_uint_eq(stats_of_engine(engine).runtime_hits, 2);
    cubby_engine_unref(engine);
}
END_TEST

/* ---- Scopes ------------------------------------------------------------------------------ */

static struct cubby_runtime_scope *enter(struct cubby_engine *const *engines, size_t count,
                                         enum cubby_specialization_strategy strategy) {
    const struct cubby_runtime_settings overrides = settings_of(strategy);
    struct cubby_runtime_scope *scope;

    ck_ok(cubby_runtime_scope_enter(engines, count, &overrides, CUBBY_RUNTIME_SCOPE_SPECIALIZATION,
                                    &scope, &error),
          &error);
    return scope;
}

START_TEST(a_scope_restores_exactly) {
    struct cubby_engine *engine = engine_on_file("kernels.bin");
    struct cubby_runtime_cache *own = handle_of(engine);
    struct cubby_runtime_scope *scope;

    run_line(engine, 10);
    scope = enter(&engine, 1, CUBBY_SPECIALIZATION_NONE);
    ck_assert_int_eq(strategy_of(engine), CUBBY_SPECIALIZATION_NONE);
    ck_assert_ptr_eq(handle_of(engine), own); /* what is not overridden stays */
    run_line(engine, 10);
    ck_ok(cubby_runtime_scope_exit(scope, &error), &error);
    ck_assert_int_eq(strategy_of(engine), CUBBY_SPECIALIZATION_EAGER);
    ck_assert_ptr_eq(handle_of(engine), own);
    ck_assert(!is_there("kernels.bin"));
    run_line(engine, 10);
    ck_assert_uint_eq(stats_of_engine(engine).contexts, 3);
    cubby_engine_unref(engine);
    ck_assert(is_there("kernels.bin"));
    ck_ok(cubby_runtime_scope_exit(NULL, &error), &error);
}
END_TEST

START_TEST(scopes_nest_and_are_entered_again) {
    struct cubby_engine *engine = engine_on(&line, NULL);
    struct cubby_runtime_scope *outer, *inner;

    for (int i = 0; i < 2; i++) {
        outer = enter(&engine, 1, CUBBY_SPECIALIZATION_NONE);
        inner = enter(&engine, 1, CUBBY_SPECIALIZATION_EAGER);
        ck_assert_int_eq(strategy_of(engine), CUBBY_SPECIALIZATION_EAGER);
        ck_ok(cubby_runtime_scope_exit(inner, &error), &error);
        ck_assert_int_eq(strategy_of(engine), CUBBY_SPECIALIZATION_NONE);
        ck_ok(cubby_runtime_scope_exit(outer, &error), &error);
        ck_assert_int_eq(strategy_of(engine), CUBBY_SPECIALIZATION_LAZY);
    }
    ck_assert_uint_eq(stats_of_engine(engine).contexts, 0);
    cubby_engine_unref(engine);
}
END_TEST

START_TEST(each_distinct_engine_is_updated_once) {
    struct cubby_engine *one = engine_on(&line, NULL), *other = engine_on(&line, NULL);
    struct cubby_engine *const engines[] = {one, other, one, one};
    struct cubby_runtime_scope *scope;

    run_line(one, 10);
    scope = enter(engines, 4, CUBBY_SPECIALIZATION_NONE);
    run_line(one, 10);
    ck_assert_uint_eq(stats_of_engine(one).contexts, 2);
    ck_assert_int_eq(strategy_of(other), CUBBY_SPECIALIZATION_NONE);
    ck_ok(cubby_runtime_scope_exit(scope, &error), &error);
    ck_assert_int_eq(strategy_of(one), CUBBY_SPECIALIZATION_LAZY);
    ck_assert_int_eq(strategy_of(other), CUBBY_SPECIALIZATION_LAZY);
    cubby_engine_unref(one);
    cubby_engine_unref(other);
}
END_TEST

START_TEST(a_scope_restores_what_was_changed_within) {
    const struct cubby_runtime_settings eager = settings_of(CUBBY_SPECIALIZATION_EAGER);
    struct cubby_engine *engine = engine_on(&line, NULL);
    struct cubby_runtime_scope *scope = enter(&engine, 1, CUBBY_SPECIALIZATION_NONE);

    ck_ok(cubby_engine_set_settings(engine, &eager, &error), &error);
    ck_ok(cubby_runtime_scope_exit(scope, &error), &error);
    ck_assert_int_eq(strategy_of(engine), CUBBY_SPECIALIZATION_LAZY);
    cubby_engine_unref(engine);
}
END_TEST

/* From within a callback of its own enqueue, the second engine refuses: the first is set back. */
struct attempt {
    struct cubby_engine *engines[2];
    int result;
    unsigned count;
};

static void enter_both(enum cubby_log_level level, const char *text, void *context) {
    const struct cubby_runtime_settings none = settings_of(CUBBY_SPECIALIZATION_NONE);
    struct attempt *attempt = context;
    struct cubby_runtime_scope *scope;

    (void)level;
    (void)text;
    attempt->count++;
    attempt->result = cubby_runtime_scope_enter(attempt->engines, 2, &none,
                                                CUBBY_RUNTIME_SCOPE_SPECIALIZATION, &scope, NULL);
}

START_TEST(what_was_set_before_one_fails_is_set_back) {
    struct cubby_runtime_settings settings = settings_of(CUBBY_SPECIALIZATION_EAGER);
    const struct cubby_runtime_identity other = {"sm_80", "another toolchain", 13000};
    struct attempt attempt = {.count = 0};

    settings.runtime_cache = handle_for(&line, NULL);
    ck_ok(cubby_runtime_cache_materialise(settings.runtime_cache, &other, &error), &error);
    attempt.engines[0] = engine_on(&line, NULL);
    attempt.engines[1] = engine_on(&line, &settings);
    cubby_log_set(enter_both, CUBBY_LOG_WARN, &attempt);
    run_line(attempt.engines[1], 10);
    ck_assert_uint_eq(attempt.count, 1);
    ck_assert_int_eq(attempt.result, CUBBY_ERR_BUSY);
    ck_assert_int_eq(strategy_of(attempt.engines[0]), CUBBY_SPECIALIZATION_LAZY);
    ck_assert_int_eq(strategy_of(attempt.engines[1]), CUBBY_SPECIALIZATION_EAGER);
    cubby_engine_unref(attempt.engines[0]);
    cubby_engine_unref(attempt.engines[1]);
    cubby_runtime_cache_unref(settings.runtime_cache);
}
END_TEST

START_TEST(a_scope_needs_engines_and_known_bits) {
    struct cubby_runtime_settings overrides = CUBBY_RUNTIME_SETTINGS_INIT;
    struct cubby_engine *engine = engine_on(&line, NULL);
    struct cubby_runtime_scope *scope;

    overrides.runtime_cache = handle_for(&line, NULL);
    assert_failure(cubby_runtime_scope_enter(NULL, 0, &overrides, CUBBY_RUNTIME_SCOPE_RUNTIME_CACHE,
                                             &scope, &error),
                   CUBBY_ERR_INVALID, "no engine");
    assert_failure(cubby_runtime_scope_enter(&engine, 1, &overrides, 1 << 7, &scope, &error),
                   CUBBY_ERR_INVALID, "0x80");
    cubby_engine_unref(engine);
    cubby_runtime_cache_unref(overrides.runtime_cache);
}
END_TEST

START_TEST(a_shared_handle_is_read_at_enter_and_written_at_exit) {
    struct cubby_runtime_settings overrides = CUBBY_RUNTIME_SETTINGS_INIT;
    struct cubby_engine *engines[] = {engine_on(&line, NULL), engine_on(&line, NULL)};
    struct cubby_runtime_scope *scope;

    for (int round = 0; round < 2; round++) {
        overrides.runtime_cache = handle_for(&line, "kernels.bin");
        ck_ok(cubby_runtime_scope_enter(engines, 2, &overrides, CUBBY_RUNTIME_SCOPE_RUNTIME_CACHE,
                                        &scope, &error),
              &error);
        ck_assert_uint_eq(stats_of(overrides.runtime_cache).loads, (uint64_t)round);
        run_line(engines[0], 100);
        run_line(engines[1], 200); /* lazy: its kernel is awaited at exit */
        ck_ok(cubby_runtime_scope_exit(scope, &error), &error);
        ck_assert_ptr_null(handle_of(engines[0]));
        ck_assert(is_there("kernels.bin"));
        ck_assert_uint_eq(kernels_in(overrides.runtime_cache), 4);
        ck_assert_uint_eq(stats_of(overrides.runtime_cache).materialisations, 1);
        cubby_runtime_cache_unref(overrides.runtime_cache);
    }
    ck_assert_uint_gt(stats_of_engine(engines[0]).runtime_hits, 0);
    cubby_engine_unref(engines[0]);
    cubby_engine_unref(engines[1]);
}
END_TEST

/* Each engine has a handle of its own on the file; lazy kernels are waited for. */
START_TEST(a_scope_can_have_a_file) {
    struct cubby_runtime_settings overrides = CUBBY_RUNTIME_SETTINGS_INIT;
    struct cubby_engine *engines[] = {engine_on(&line, NULL), engine_on(&line, NULL)};
    struct cubby_runtime_cache *all = handle_for(&line, "kernels.bin");
    struct cubby_runtime_scope *scope;
    char *path = path_in(line.folder, "kernels.bin");

    overrides.runtime_cache_path = path;
    ck_ok(cubby_runtime_scope_enter(engines, 2, &overrides, CUBBY_RUNTIME_SCOPE_RUNTIME_CACHE,
                                    &scope, &error),
          &error);
    for (int64_t n = 1; n < 7; n++)
        run_line(engines[n % 2], n);
    ck_ok(cubby_runtime_scope_exit(scope, &error), &error);
    ck_assert_ptr_null(handle_of(engines[0]));
    cubby_engine_unref(engines[0]);
    cubby_engine_unref(engines[1]);
    ck_assert(cubby_runtime_cache_load(all));
    cubby_runtime_cache_unref(all);

    without_cache();
    engines[0] = engine_on_file("kernels.bin");
    for (int64_t n = 1; n < 7; n++)
        run_line(engines[0], n);
    ck_assert_uint_eq(stats_of_engine(engines[0]).compiles, 0);
    cubby_engine_unref(engines[0]);
    free(path);
}
END_TEST

/* Within it the engine is set to the same file, by a handle that is another then. */
START_TEST(a_scope_restores_the_very_handle) {
    struct cubby_runtime_settings overrides = CUBBY_RUNTIME_SETTINGS_INIT;
    struct cubby_engine *engine = engine_on_file("kernels.bin");
    struct cubby_runtime_cache *own = handle_of(engine);
    struct cubby_runtime_settings within;
    struct cubby_runtime_scope *scope;
    char *path = path_in(line.folder, "kernels.bin");

    run_line(engine, 10);
    ck_ok(cubby_runtime_scope_enter(&engine, 1, &overrides, CUBBY_RUNTIME_SCOPE_RUNTIME_CACHE,
                                    &scope, &error),
          &error);
    cubby_engine_get_settings(engine, &within);
    within.runtime_cache_path = path;
    ck_ok(cubby_engine_set_settings(engine, &within, &error), &error);
    ck_assert_ptr_ne(handle_of(engine), own);
    ck_ok(cubby_runtime_scope_exit(scope, &error), &error);
    ck_assert_ptr_eq(handle_of(engine), own);
    cubby_engine_unref(engine);
    ck_assert(is_there("kernels.bin"));
    free(path);
}
END_TEST

/* One bad value, several engines: none is touched. */
START_TEST(a_bad_value_touches_no_engine) {
    struct cubby_runtime_settings overrides = CUBBY_RUNTIME_SETTINGS_INIT;
    struct cubby_engine *engines[] = {engine_on(&line, NULL), engine_on(&line, NULL)};
    struct cubby_runtime_scope *scope;

    run_line(engines[0], 10);
    overrides.cuda_graph_strategy = 9;
    assert_failure(cubby_runtime_scope_enter(engines, 2, &overrides,
                                             CUBBY_RUNTIME_SCOPE_CUDA_GRAPHS, &scope, &error),
                   CUBBY_ERR_INVALID, "is 9");
    ck_assert(cubby_engine_has_context(engines[0]));
    overrides.cuda_graph_strategy = CUBBY_CUDA_GRAPH_WHOLE_GRAPH_CAPTURE;
    ck_ok(cubby_runtime_scope_enter(engines + 1, 1, &overrides, CUBBY_RUNTIME_SCOPE_CUDA_GRAPHS,
                                    &scope, &error),
          &error);
    run_line(engines[1], 10);
    ck_assert_uint_eq(stats_of_engine(engines[1]).contexts, 1); /* inside a graph scope */
    ck_ok(cubby_runtime_scope_exit(scope, &error), &error);
    cubby_engine_unref(engines[0]);
    cubby_engine_unref(engines[1]);
}
END_TEST

START_TEST(a_failure_to_save_does_not_mask_what_went_wrong_within) {
    struct cubby_runtime_settings overrides = settings_of(CUBBY_SPECIALIZATION_EAGER);
    const unsigned mask = CUBBY_RUNTIME_SCOPE_RUNTIME_CACHE | CUBBY_RUNTIME_SCOPE_SPECIALIZATION;
    struct cubby_engine *engine = engine_on(&line, NULL);
    struct cubby_runtime_scope *scope;
    char *path = path_in(line.folder, "folder");

    overrides.runtime_cache = handle_for(&line, "folder/kernels.bin");
    write_file(path, "in the way", 10);
    ck_ok(cubby_runtime_scope_enter(&engine, 1, &overrides, mask, &scope, &error), &error);
    run_line(engine, 10);
    ck_assert_int_eq(try_line(engine, 5000, &error), CUBBY_ERR_INVALID);
    ck_assert_int_lt(cubby_runtime_scope_exit(scope, &error), 0);
    ck_assert_int_eq(error.code, CUBBY_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "5000"));
    cubby_error_clear(&error);
    ck_assert_int_eq(strategy_of(engine), CUBBY_SPECIALIZATION_LAZY);

    ck_ok(cubby_runtime_scope_enter(&engine, 1, &overrides, mask, &scope, &error), &error);
    ck_assert_int_lt(cubby_runtime_scope_exit(scope, &error), 0);
    ck_assert_msg(strstr(error.message, "kernels.bin") != NULL, "%s", error.message);
    cubby_error_clear(&error);
    cubby_engine_unref(engine);
    cubby_runtime_cache_unref(overrides.runtime_cache);
    free(path);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("runner settings");
    TCase *tests = tcase_create("settings");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, the_words_are_the_settings);
    tcase_add_test(tests, unknown_values_are_refused_and_change_nothing);
    tcase_add_test(tests, what_was_got_can_be_set);
    tcase_add_test(tests, a_warm_runtime_cache_means_no_compile);
    tcase_add_test(tests, a_handle_of_its_own_is_saved_once_when_it_is_displaced);
    tcase_add_test(tests, a_handle_of_the_users_is_not_saved);
    tcase_add_test(tests, a_failure_to_save_is_logged_alone);
    tcase_add_test(tests, engines_share_a_handle_that_becomes_live_once);
    tcase_add_test(tests, kernels_for_another_gpu_are_left_out_with_a_warning);
    tcase_add_test(tests, a_damaged_file_is_a_cold_start);
    tcase_add_test(tests, a_scope_restores_exactly);
    tcase_add_test(tests, scopes_nest_and_are_entered_again);
    tcase_add_test(tests, each_distinct_engine_is_updated_once);
    tcase_add_test(tests, a_scope_restores_what_was_changed_within);
    tcase_add_test(tests, what_was_set_before_one_fails_is_set_back);
    tcase_add_test(tests, a_scope_needs_engines_and_known_bits);
    tcase_add_test(tests, a_shared_handle_is_read_at_enter_and_written_at_exit);
    tcase_add_test(tests, what_was_prewarmed_is_used);
    tcase_add_test(tests, the_same_file_is_read_again);
    tcase_add_test(tests, a_scope_can_have_a_file);
    tcase_add_test(tests, a_scope_restores_the_very_handle);
    tcase_add_test(tests, a_bad_value_touches_no_engine);
    tcase_add_test(tests, a_failure_to_save_does_not_mask_what_went_wrong_within);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
