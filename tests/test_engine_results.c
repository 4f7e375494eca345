/* SPDX-License-Identifier: Apache-2.0 */
/* What the example engines compute, on the driver's double: their kernels are compiled by the real
 * compiler, for each shape, and functions of this process stand for them. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_kernels.h"
#include "engine_serving.h"
#include "engine_trial.h"
#include "fake_cuda.h"

#define COUNT(table) (sizeof(table) / sizeof(*(table)))

static const struct fake_cuda *fake;
static struct cubby_error error;
static struct cubby_cache *cache;
static char folder[600]; /* of a store that all tests share */
static bool has_compiler;

static void find_compiler(void) {
    struct cubby_toolchain toolchain;

    snprintf(folder, sizeof(folder), "%s", scratch_dir());
    has_compiler = cubby_toolchain_find(NULL, &toolchain, NULL) == 0;
    if (has_compiler)
        cubby_toolchain_clear(&toolchain);
    else
        fprintf(stderr, "no NVRTC was found: engines are not run\n");
}

static void set_up(void) {
    fake = use_fake_cuda();
    engine_kernels_attach(fake);
    cache = open_spec("file:@", folder);
}

/* Nothing is left on the device, and nothing was done there that a driver does not allow. */
static void tear_down(void) {
    cubby_cache_unref(cache);
    ck_assert_uint_eq(fake->alive(NULL), 0);
    ck_assert_uint_eq(fake->alive("context"), 0);
    ck_assert_uint_eq(fake->violations(), 0);
    cubby_error_clear(&error);
}

static struct cubby_engine_plan *load_plan(const char *engine) {
    struct cubby_engine_plan *plan;

    ck_ok(engine_trial_load(TEST_ENGINES, engine, &plan, &error), &error);
    return plan;
}

static struct engine_trial *new_trial(struct cubby_engine_plan *plan, const int64_t *dims) {
    struct engine_trial *trial;

    ck_ok(engine_trial_new(plan, dims, 0, 0, &trial, &error), &error);
    return trial;
}

/* through: NULL for none. runtime_cache: a path, or NULL. */
static struct cubby_engine *new_engine_with(struct cubby_engine_plan *plan,
                                            enum cubby_specialization_strategy strategy,
                                            struct cubby_cache *through,
                                            const char *runtime_cache) {
    struct cubby_runtime_settings settings = CUBBY_RUNTIME_SETTINGS_INIT;
    struct cubby_engine_options options = CUBBY_ENGINE_OPTIONS_INIT;
    struct cubby_engine *engine;

    settings.dynamic_shapes_kernel_specialization_strategy = strategy;
    settings.runtime_cache_path = runtime_cache;
    options.cache = through;
    options.settings = &settings;
    ck_ok(cubby_engine_new(plan, &options, &engine, &error), &error);
    return engine;
}

static struct cubby_engine *new_engine(struct cubby_engine_plan *plan,
                                       enum cubby_specialization_strategy strategy) {
    return new_engine_with(plan, strategy, cache, NULL);
}

/* ---- Results ----------------------------------------------------------------------------- */

START_TEST(results_are_the_references_with_each_strategy) {
    const struct engine_case *one = &ENGINE_CASES[_i];
    struct cubby_engine_options options = CUBBY_ENGINE_OPTIONS_INIT;
    struct cubby_engine_plan *plan;
    struct engine_trial *trial;
    double worst = 0;

    if (!has_compiler)
        return;
    plan = load_plan(one->engine);
    trial = new_trial(plan, one->dims);
    options.cache = cache;
    ck_ok(engine_trial_strategies(trial, &options, &worst, &error), &error);
    ck_assert(worst <= 1);
    engine_trial_free(trial);
    cubby_engine_plan_unref(plan);
}
END_TEST

/* Work waits until something waits for it, as it may on a GPU. */
/* From here on, the device does nothing before something waits for it. */
static void defer(void) {
    setenv("FAKE_CUDA_DEFER", "1", 1);
    fake->reset();
    engine_kernels_attach(fake);
}

START_TEST(runs_do_not_disturb_each_other) {
    struct cubby_engine_options options = CUBBY_ENGINE_OPTIONS_INIT;

    if (!has_compiler)
        return;
    defer();
    options.cache = cache;
    ck_ok(engine_trial_queues(&ENGINE_QUEUES[_i], TEST_ENGINES, &options, &error), &error);
    unsetenv("FAKE_CUDA_DEFER");
}
END_TEST

/* Each way twice: once with work that waits for as long as it can. */
START_TEST(engines_are_served_side_by_side) {
    struct cubby_engine_options options = CUBBY_ENGINE_OPTIONS_INIT;

    if (!has_compiler)
        return;
    if (_i % 2 == 1)
        defer();
    options.cache = cache;
    ck_ok(serving_try(&SERVING_WAYS[_i / 2], TEST_ENGINES, &options, &error), &error);
    unsetenv("FAKE_CUDA_DEFER");
}
END_TEST

/* ---- Launches ---------------------------------------------------------------------------- */

/* The digest of the cubin that a program is compiled to, for the dims or generic. */
static unsigned long long image_of(struct cubby_engine_plan *plan, const int64_t *dims) {
    struct cubby_program *program;
    struct cubby_object *object;
    unsigned long long image;

    ck_ok(cubby_engine_plan_get_program(plan, 0, "sm_90", dims, NULL, 0, &program, &error), &error);
    ck_ok(cubby_compile(cache, program, 0, &object, NULL, &error), &error);
    image = fake->image(cubby_object_data(object));
    ck_assert_uint_ne(image, 0);
    cubby_object_unref(object);
    cubby_program_unref(program);
    return image;
}

/* The launches from the first on are those of the plan for the dims, out of that cubin. */
static void assert_launches(struct cubby_engine_plan *plan, const int64_t *dims, size_t dim_count,
                            size_t first, unsigned long long image) {
    struct cubby_engine_geometry *geometry;

    ck_ok(cubby_engine_plan_evaluate(plan, dims, dim_count, &geometry, &error), &error);
    ck_assert_uint_eq(fake->launches(), first + geometry->launch_count);
    for (size_t i = 0; i < geometry->launch_count; i++) {
        const struct cubby_launch_geometry *expected = &geometry->launches[i];
        const struct fake_launch *launch = fake->launch(first + i);

        ck_assert_mem_eq(launch->grid, expected->grid, sizeof(expected->grid));
        ck_assert_mem_eq(launch->block, expected->block, sizeof(expected->block));
        ck_assert_uint_eq(launch->shared, expected->shared_bytes);
        ck_assert_uint_eq(launch->parameter_count,
                          cubby_engine_plan_launch(plan, i)->argument_count);
        ck_assert_msg(launch->image == image, "launch %zu is of another cubin", i);
    }
    cubby_engine_geometry_free(geometry);
}

static const struct {
    const char *engine;
    int64_t shapes[2][REFERENCE_DIMS_MAX];
} PAIRS[] = {
    {"mlp", {{2, 16, 32}, {2, 32, 16}}},
    {"attention", {{1, 2, 5, 32}, {1, 2, 5, 64}}},
    {"nbody", {{128}, {130}}},
};

/* Runs one shape and looks at its launches. */
static void run_shape(struct engine_trial *trial, struct cubby_engine *engine,
                      unsigned long long image) {
    const struct cubby_engine_call *call = engine_trial_call(trial);
    size_t first = fake->launches();

    ck_ok(engine_trial_run(trial, engine, NULL, &error), &error);
    assert_launches(cubby_engine_plan_of(engine), call->dims, call->dim_count, first, image);
}

/* A wrong choice of kernels would show on a GPU alone: the functions of the host are the same. */
START_TEST(launches_are_of_the_cubin_for_the_shape) {
    struct cubby_engine *lazy, *eager, *none;
    struct engine_trial *trials[2];
    struct cubby_engine_plan *plan;
    unsigned long long generic, special[2];

    if (!has_compiler)
        return;
    plan = load_plan(PAIRS[_i].engine);
    generic = image_of(plan, NULL);
    for (int i = 0; i < 2; i++) {
        trials[i] = new_trial(plan, PAIRS[_i].shapes[i]);
        special[i] = image_of(plan, PAIRS[_i].shapes[i]);
        ck_assert_uint_ne(special[i], generic);
    }
    ck_assert_uint_ne(special[0], special[1]);
    lazy = new_engine(plan, CUBBY_SPECIALIZATION_LAZY);
    eager = new_engine(plan, CUBBY_SPECIALIZATION_EAGER);
    none = new_engine(plan, CUBBY_SPECIALIZATION_NONE);
    for (int i = 0; i < 2; i++) {
        ck_ok(engine_trial_run(trials[i], lazy, NULL, &error), &error);
        cubby_engine_wait_kernels(lazy);
    }
    for (int i = 0; i < 4; i++) {
        run_shape(trials[i % 2], lazy, special[i % 2]);
        run_shape(trials[i % 2], eager, special[i % 2]);
        run_shape(trials[i % 2], none, generic);
    }
    cubby_engine_unref(lazy);
    cubby_engine_unref(eager);
    cubby_engine_unref(none);
    engine_trial_free(trials[0]);
    engine_trial_free(trials[1]);
    cubby_engine_plan_unref(plan);
}
END_TEST

/* Kernels that went through a runtime cache compute the same, and no other shape's come out of it.
 */
START_TEST(kernels_of_a_runtime_cache_are_those_for_the_shape) {
    char *path = path_in(scratch_dir(), "kernels");
    struct engine_trial *trials[2];
    struct cubby_engine_plan *plan;
    struct cubby_engine *engine;

    if (!has_compiler) {
        free(path);
        return;
    }
    plan = load_plan(PAIRS[_i].engine);
    for (int i = 0; i < 2; i++)
        trials[i] = new_trial(plan, PAIRS[_i].shapes[i]);
    engine = new_engine_with(plan, CUBBY_SPECIALIZATION_EAGER, cache, path);
    for (int i = 0; i < 2; i++)
        ck_ok(engine_trial_run(trials[i], engine, NULL, &error), &error);
    cubby_engine_unref(engine);
    for (int i = 0; i < 2; i++) {
        struct cubby_engine_stats stats;

        engine = new_engine_with(plan, CUBBY_SPECIALIZATION_EAGER, NULL, path);
        for (int j = 0; j < 2; j++)
            run_shape(trials[(i + j) % 2], engine, image_of(plan, PAIRS[_i].shapes[(i + j) % 2]));
        cubby_engine_stats(engine, &stats);
        ck_assert_uint_eq(stats.compiles, 0);
        ck_assert_uint_eq(stats.runtime_hits, 2);
        cubby_engine_unref(engine);
    }
    engine_trial_free(trials[0]);
    engine_trial_free(trials[1]);
    cubby_engine_plan_unref(plan);
    free(path);
}
END_TEST

/* ---- Wrong engines ----------------------------------------------------------------------- */

/* Faults in an engine that no check of a plan can see. */
static const struct {
    const char *engine, *from, *to;
    int64_t dims[REFERENCE_DIMS_MAX];
    bool exchange; /* the two texts change places */
} FAULTS[] = {
    /* blocks that are missing, of either dimension */
    {"mlp", "[[\"ceil_div\", \"hidden\", 16]", "[[\"div\", \"hidden\", 16]", {33, 100, 130}, false},
    {"mlp",
     "[\"ceil_div\", \"batch\", 16]]",
     "[\"max\", 1, [\"div\", \"batch\", 16]]]",
     {17, 16, 16},
     false},
    {"attention",
     "[[\"ceil_div\", \"tokens\", 4]",
     "[[\"max\", 1, [\"div\", \"tokens\", 4]]",
     {1, 1, 5, 16},
     false},
    {"attention", "[\"mul\", \"batch\", \"heads\"]", "\"heads\"", {2, 3, 4, 16}, false},
    {"nbody",
     "[[\"ceil_div\", \"bodies\", 128]]",
     "[[\"max\", 1, [\"div\", \"bodies\", 128]]]",
     {129},
     false},
    /* threads that are missing */
    {"mlp", "\"block\": [16, 16]", "\"block\": [16, 8]", {16, 16, 16}, false},
    {"attention", "\"block\": [32, 4]", "\"block\": [16, 4]", {1, 1, 4, 16}, false},
    {"nbody", "\"block\": [128]", "\"block\": [64]", {64}, false},
    {"nbody", "[\"mul\", 128, 16]", "[\"mul\", 64, 16]", {128}, false},
    /* a size in the place of another, and buffers */
    {"mlp", "{\"dim\": \"batch\"}", "{\"dim\": \"features\"}", {20, 16, 16}, false},
    {"mlp",
     "{\"tensor\": \"b1\", \"access\": \"read\"}",
     "{\"tensor\": \"b2\", \"access\": \"read\"}",
     {4, 16, 16},
     true},
    {"attention",
     "{\"tensor\": \"k\", \"access\": \"read\"}",
     "{\"tensor\": \"v\", \"access\": \"read\"}",
     {1, 2, 5, 16},
     true},
    {"nbody",
     "{\"tensor\": \"next_body\", \"access\": \"write\"}",
     "{\"tensor\": \"next_velocity\", \"access\": \"write\"}",
     {5},
     true},
    /* constants */
    {"nbody", "{\"scalar\": 0.05", "{\"scalar\": 0.06", {131}, false},
    {"nbody", "{\"scalar\": 0.001", "{\"scalar\": 0.0011", {131}, false},
};

/* The text with the fault where it first fits. */
static char *spoil(const char *text, int i) {
    const char *from = FAULTS[i].from, *to = FAULTS[i].to;
    const char *at = strstr(text, from), *other = strstr(text, to), *rest;
    char *changed;

    ck_assert_msg(at != NULL, "there is no %s", from);
    rest = at + strlen(from);
    if (FAULTS[i].exchange) {
        ck_assert(other > at);
        ck_assert_int_gt(asprintf(&changed, "%.*s%s%.*s%s%s", (int)(at - text), text, to,
                                  (int)(other - rest), rest, from, other + strlen(to)),
                         0);
    } else {
        ck_assert_int_gt(asprintf(&changed, "%.*s%s%s", (int)(at - text), text, to, rest), 0);
    }
    return changed;
}

static struct cubby_engine_plan *faulty_plan(int i) {
    struct cubby_engine_plan *plan;
    char *path, *text, *changed;
    size_t size;

    ck_assert_int_gt(asprintf(&path, "%s/%s.json", TEST_ENGINES, FAULTS[i].engine), 0);
    text = read_whole(path, &size);
    changed = spoil(text, i);
    ck_ok(cubby_engine_plan_parse(changed, strlen(changed), TEST_ENGINES, &plan, &error), &error);
    free(changed);
    free(text);
    free(path);
    return plan;
}

START_TEST(faults_of_an_engine_are_seen) {
    struct cubby_engine_plan *plan;
    struct engine_trial *trial;
    struct cubby_engine *engine;

    if (!has_compiler)
        return;
    plan = faulty_plan(_i);
    trial = new_trial(plan, FAULTS[_i].dims);
    engine = new_engine(plan, CUBBY_SPECIALIZATION_NONE);
    ck_assert_int_eq(engine_trial_run(trial, engine, NULL, &error), CUBBY_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(error.message, FAULTS[_i].engine));
    cubby_error_clear(&error);
    cubby_engine_unref(engine);
    engine_trial_free(trial);
    cubby_engine_plan_unref(plan);
}
END_TEST

/* The bounds are not so wide that a single number of an input would not count. */
START_TEST(each_number_of_an_input_counts) {
    static const struct engine_case CASES[] = {
        {"mlp", {9, 50, 70}}, {"attention", {2, 2, 19, 40}}, {"nbody", {131}}};
    const struct engine_case *one = &CASES[_i];
    struct cubby_engine_plan *plan;
    struct engine_trial *trial;
    struct cubby_engine *engine;
    size_t inputs = engine_reference_find(one->engine)->input_count;

    if (!has_compiler)
        return;
    plan = load_plan(one->engine);
    trial = new_trial(plan, one->dims);
    engine = new_engine(plan, CUBBY_SPECIALIZATION_NONE);
    for (size_t i = 0; i < 3 * inputs; i++) {
        const struct cubby_engine_buffer *buffer = &engine_trial_call(trial)->buffers[i / 3];
        float *numbers = (float *)(uintptr_t)buffer->address; /* the double's are the host's */
        size_t at = (buffer->size / sizeof(*numbers) - 1) * (i % 3) / 2;
        float before = numbers[at];

        numbers[at] += 0.25f;
        ck_assert_int_eq(engine_trial_run(trial, engine, NULL, &error), CUBBY_ERR_CORRUPT);
        cubby_error_clear(&error);
        numbers[at] = before;
    }
    ck_ok(engine_trial_run(trial, engine, NULL, &error), &error);
    cubby_engine_unref(engine);
    engine_trial_free(trial);
    cubby_engine_plan_unref(plan);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine results");
    TCase *tests = tcase_create("results");

    tcase_set_timeout(tests, 60);
    tcase_add_unchecked_fixture(tests, find_compiler, NULL);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, results_are_the_references_with_each_strategy, 0,
                        (int)ENGINE_CASE_COUNT);
    tcase_add_loop_test(tests, runs_do_not_disturb_each_other, 0, (int)ENGINE_QUEUE_COUNT);
    tcase_add_loop_test(tests, engines_are_served_side_by_side, 0, 2 * (int)SERVING_WAY_COUNT);
    tcase_add_loop_test(tests, launches_are_of_the_cubin_for_the_shape, 0, (int)COUNT(PAIRS));
    tcase_add_loop_test(tests, kernels_of_a_runtime_cache_are_those_for_the_shape, 0,
                        (int)COUNT(PAIRS));
    tcase_add_loop_test(tests, faults_of_an_engine_are_seen, 0, (int)COUNT(FAULTS));
    tcase_add_loop_test(tests, each_number_of_an_input_counts, 0, 3);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
