/* SPDX-License-Identifier: Apache-2.0 */
/* Engines whose launches are recorded as CUDA graphs, on the double. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner_help.h"

static struct line line;

static void set_up(void) {
    line_set_up(&line);
}

static void tear_down(void) {
    line_tear_down(&line);
}

/* An engine that records, and numbers that stay where they are. */
struct recorder {
    struct cubby_engine *engine;
    struct cubby_device_memory *in, *out;
};

static struct recorder recorder_on(enum cubby_specialization_strategy strategy) {
    struct cubby_runtime_settings settings = settings_of(strategy);
    struct recorder recorder;
    float x[LINE_NUMBERS];

    settings.cuda_graph_strategy = CUBBY_CUDA_GRAPH_WHOLE_GRAPH_CAPTURE;
    for (int i = 0; i < LINE_NUMBERS; i++)
        x[i] = (float)i;
    recorder.engine = engine_on(&line, &settings);
    ck_ok(cubby_device_memory_new(0, sizeof(x), &recorder.in, &error), &error);
    ck_ok(cubby_device_memory_new(0, sizeof(x), &recorder.out, &error), &error);
    ck_ok(cubby_device_memory_write(recorder.in, 0, x, sizeof(x), &error), &error);
    return recorder;
}

static void recorder_free(struct recorder *recorder) {
    cubby_engine_unref(recorder->engine);
    cubby_device_memory_free(recorder->in);
    cubby_device_memory_free(recorder->out);
}

/* Runs it for n numbers that begin some numbers further on. */
static int try_recorder(struct recorder *recorder, int64_t n, unsigned offset) {
    const uint64_t bytes = (uint64_t)n * sizeof(float), at = offset * sizeof(float);
    const struct cubby_engine_buffer buffers[] = {
        {cubby_device_memory_address(recorder->in) + at, bytes},
        {cubby_device_memory_address(recorder->out) + at, bytes}};
    const struct cubby_engine_call call = {&n, 1, buffers, 2};
    float y[LINE_NUMBERS] = {0};
    int result;

    ck_ok(cubby_device_memory_write(recorder->out, 0, y, sizeof(y), &error), &error);
    result = cubby_engine_enqueue(recorder->engine, &call, &error);
    if (result == 0)
        result = cubby_engine_sync(recorder->engine, &error);
    if (result < 0)
        return result;
    ck_ok(cubby_device_memory_read(recorder->out, 0, y, sizeof(y), &error), &error);
    for (int64_t i = 0; i < LINE_NUMBERS; i++) {
        const bool is_done = i >= offset && i < offset + n;

        ck_assert_msg(y[i] == (is_done ? 2 * (float)i + 1 : 0), "%d of %d: %g", (int)i, (int)n,
                      y[i]);
    }
    return 0;
}

static void run(struct recorder *recorder, int64_t n, unsigned offset) {
    ck_ok(try_recorder(recorder, n, offset), &error);
}

#define ck_counts(recorder, of_captures, of_updates, of_replays)                                   \
    do {                                                                                           \
        struct cubby_engine_stats ck_stats = stats_of_engine((recorder)->engine);                  \
        ck_assert_uint_eq(ck_stats.captures, of_captures);                                         \
        ck_assert_uint_eq(ck_stats.updates, of_updates);                                           \
        ck_assert_uint_eq(ck_stats.replays, of_replays);                                           \
    } while (0)

START_TEST(recorded_once_and_replayed) {
    struct recorder recorder = recorder_on((enum cubby_specialization_strategy)_i);

    if (_i == CUBBY_SPECIALIZATION_LAZY) {
        run(&recorder, 100, 0); /* while its kernel is compiled it is not worth a graph */
        ck_counts(&recorder, 0, 0, 0);
        cubby_engine_wait_kernels(recorder.engine);
    }
    for (int i = 0; i < 3; i++)
        run(&recorder, 100, 0);
    ck_counts(&recorder, 1, 0, 3);
    ck_assert_uint_eq(stats_of_engine(recorder.engine).contexts, 1);
    ck_assert_uint_eq(fake->alive("graph"), 0);
    ck_assert_uint_eq(fake->alive("exec"), 1);
    recorder_free(&recorder);
}
END_TEST

/* Another thread may be recording the first run in the engine's stream, which a wait would break.
 */
START_TEST(sync_before_the_first_run_leaves_the_stream_alone) {
    struct recorder recorder = recorder_on(CUBBY_SPECIALIZATION_NONE);
    const int64_t n = 64;
    unsigned waits;

    ck_ok(cubby_engine_prepare(recorder.engine, &n, 1, &error), &error);
    waits = fake->calls("cuStreamSynchronize");
    ck_ok(cubby_engine_sync(recorder.engine, &error), &error);
    ck_assert_uint_eq(fake->calls("cuStreamSynchronize"), waits);
    recorder_free(&recorder);
}
END_TEST

START_TEST(recorded_anew_where_something_changes) {
    struct recorder recorder = recorder_on(CUBBY_SPECIALIZATION_EAGER);
    struct cubby_runtime_settings settings = settings_of(CUBBY_SPECIALIZATION_NONE);

    run(&recorder, 100, 0);
    run(&recorder, 101, 0); /* shape and kernel */
    run(&recorder, 101, 7); /* pointers */
    run(&recorder, 101, 7);
    ck_counts(&recorder, 3, 2, 4);
    run(&recorder, 4000, 0); /* scratch moves */
    ck_counts(&recorder, 4, 3, 5);
    settings.cuda_graph_strategy = CUBBY_CUDA_GRAPH_WHOLE_GRAPH_CAPTURE;
    ck_ok(cubby_engine_set_settings(recorder.engine, &settings, &error), &error);
    run(&recorder, 4000, 0);
    ck_counts(&recorder, 5, 3, 6);
    settings.cuda_graph_strategy = CUBBY_CUDA_GRAPH_DISABLED;
    ck_ok(cubby_engine_set_settings(recorder.engine, &settings, &error), &error);
    run(&recorder, 4000, 0);
    ck_counts(&recorder, 5, 3, 6);
    recorder_free(&recorder);
}
END_TEST

/* Engines of which one thing follows from the shape, and nothing else. */
static const struct {
    const char *form; /* of the launch */
    enum cubby_specialization_strategy strategy;
} FORMS[] = {
    {"\"grid\": [1], \"block\": [32]", CUBBY_SPECIALIZATION_EAGER}, /* the kernel */
    {"\"grid\": [[\"ceil_div\", \"n\", 32]], \"block\": [32]", CUBBY_SPECIALIZATION_NONE},
    {"\"grid\": [1], \"block\": [\"n\"]", CUBBY_SPECIALIZATION_NONE},
    {"\"grid\": [1], \"block\": [32], \"shared_bytes\": [\"mul\", \"n\", 4]",
     CUBBY_SPECIALIZATION_NONE},
    {"\"grid\": [1], \"block\": [32]", CUBBY_SPECIALIZATION_NONE}, /* nothing at all */
};

static struct cubby_engine_plan *plan_of_form(const char *form) {
    static const char SOURCE[] = "extern \"C\" __global__ void mark(float *y) {\n"
                                 "#ifdef CUBBY_DIM_n\n    y[0] = CUBBY_DIM_n;\n#endif\n}\n";
    struct cubby_engine_plan *plan;
    char *path = path_in(line.folder, "mark.cu"), *text;

    write_file(path, SOURCE, strlen(SOURCE));
    free(path);
    ck_assert_int_gt(
        asprintf(&text,
                 "{\"cubby_engine\": 1, \"name\": \"mark\","
                 " \"dims\": [{\"name\": \"n\", \"min\": 1, \"opt\": 64, \"max\": 512}],"
                 " \"tensors\": [{\"name\": \"y\", \"dtype\": \"float32\", \"role\": "
                 "\"output\", \"shape\": [\"n\"]}],"
                 " \"programs\": [{\"name\": \"mark\", \"source\": \"mark.cu\", "
                 "\"specialize\": [\"n\"]}],"
                 " \"launches\": [{\"program\": \"mark\", \"kernel\": \"mark\", %s, "
                 "\"arguments\": [{\"tensor\": \"y\", \"access\": \"write\"}]}]}",
                 form),
        0);
    ck_ok(cubby_engine_plan_parse(text, strlen(text), line.folder, &plan, &error), &error);
    free(text);
    return plan;
}

START_TEST(recorded_anew_where_one_thing_changes) {
    const bool changes = (size_t)_i + 1 < sizeof(FORMS) / sizeof(*FORMS);
    struct cubby_runtime_settings settings = settings_of(FORMS[_i].strategy);
    struct cubby_device_memory *memory;
    struct cubby_engine *engine;

    settings.cuda_graph_strategy = CUBBY_CUDA_GRAPH_WHOLE_GRAPH_CAPTURE;
    cubby_engine_plan_unref(line.plan);
    line.plan = plan_of_form(FORMS[_i].form);
    engine = engine_on(&line, &settings);
    ck_ok(cubby_device_memory_new(0, 4096, &memory, &error), &error);
    for (int64_t n = 64; n <= 256; n += 64) {
        const struct cubby_engine_buffer buffer = {cubby_device_memory_address(memory), 4096};
        const struct cubby_engine_call call = {&n, 1, &buffer, 1};

        for (int i = 0; i < 2; i++)
            ck_ok(cubby_engine_enqueue(engine, &call, &error), &error);
    }
    ck_assert_uint_eq(stats_of_engine(engine).captures, changes ? 4 : 1);
    ck_assert_uint_eq(stats_of_engine(engine).updates, changes ? 3 : 0);
    ck_assert_uint_eq(stats_of_engine(engine).replays, 8);
    cubby_engine_unref(engine);
    cubby_device_memory_free(memory);
}
END_TEST

START_TEST(better_kernels_are_recorded) {
    struct recorder recorder = recorder_on(CUBBY_SPECIALIZATION_LAZY);

    for (int64_t n = 64; n < 68; n++) {
        run(&recorder, n, 0);
        cubby_engine_wait_kernels(recorder.engine);
        run(&recorder, n, 0);
        run(&recorder, n, 0);
    }
    ck_assert_uint_eq(stats_of_engine(recorder.engine).swaps, 4);
    ck_counts(&recorder, 4, 3, 8);
    recorder_free(&recorder);
}
END_TEST

/* A specialisation that failed is final as well. */
START_TEST(what_stays_generic_is_recorded) {
    static const char SOURCE[] = "#ifdef CUBBY_DIM_n\n#error never\n#endif\n"
                                 "template <typename T>\n"
                                 "__global__ void twice(const T *x, T *y, int n) {}\n";
    struct recorder recorder;

    cubby_engine_plan_unref(line.plan);
    line.plan = line_with(&line, SOURCE);
    recorder = recorder_on(CUBBY_SPECIALIZATION_LAZY);
    run(&recorder, 9, 0);
    cubby_engine_wait_kernels(recorder.engine);
    run(&recorder, 9, 0);
    run(&recorder, 9, 0);
    ck_counts(&recorder, 1, 0, 2);
    recorder_free(&recorder);
}
END_TEST

START_TEST(a_capture_that_fails_leaves_it_usable) {
    static const char *const CALLS[] = {"cuStreamBeginCapture_v2", "cuLaunchKernel",
                                        "cuStreamEndCapture",      "cuGraphInstantiateWithFlags",
                                        "cuGraphLaunch",           "cuGraphExecUpdate_v2"};
    struct recorder recorder = recorder_on(CUBBY_SPECIALIZATION_NONE);
    unsigned failures = 0;
    char fault[80];

    run(&recorder, 50, 0);
    for (size_t i = 0; i < sizeof(CALLS) / sizeof(*CALLS); i++) {
        for (unsigned n = 1; n <= 2; n++) {
            snprintf(fault, sizeof(fault), "%s@%u=2", CALLS[i], fake->calls(CALLS[i]) + n);
            setenv("FAKE_CUDA_FAIL", fault, 1);
            failures += try_recorder(&recorder, 60 + n, 0) < 0;
            unsetenv("FAKE_CUDA_FAIL");
            cubby_error_clear(&error);
            run(&recorder, 50, n);
            run(&recorder, 50, n);
        }
    }
    ck_assert_uint_ge(failures, 5); /* an update that fails is no failure */
    recorder_free(&recorder);
}
END_TEST

START_TEST(an_old_driver_runs_without) {
    struct recorder recorder;

    if (!tests_are_apart())
        return;
    setenv("FAKE_CUDA_VERSION", "11020", 1);
    fake->reset();
    line_attach();
    recorder = recorder_on(CUBBY_SPECIALIZATION_NONE);
    run(&recorder, 50, 0);
    run(&recorder, 50, 0);
    ck_counts(&recorder, 0, 0, 0);
    recorder_free(&recorder);
}
END_TEST

/* Shapes and buffers change while what was recorded before is still to be done. */
START_TEST(recorded_anew_while_the_last_one_runs) {
    struct recorder recorder;
    float y[LINE_NUMBERS] = {0};

    if (!tests_are_apart())
        return;
    setenv("FAKE_CUDA_DEFER", "1", 1);
    fake->reset();
    line_attach();
    recorder = recorder_on(CUBBY_SPECIALIZATION_NONE);
    ck_ok(cubby_device_memory_write(recorder.out, 0, y, sizeof(y), &error), &error);
    for (int64_t n = 1; n < 40; n++) {
        const uint64_t at = (uint64_t)(n * 64) * sizeof(float);
        const struct cubby_engine_buffer buffers[] = {
            {cubby_device_memory_address(recorder.in) + at, (uint64_t)n * sizeof(float)},
            {cubby_device_memory_address(recorder.out) + at, (uint64_t)n * sizeof(float)}};
        const struct cubby_engine_call call = {&n, 1, buffers, 2};

        ck_ok(cubby_engine_enqueue(recorder.engine, &call, &error), &error);
    }
    ck_ok(cubby_engine_sync(recorder.engine, &error), &error);
    ck_ok(cubby_device_memory_read(recorder.out, 0, y, sizeof(y), &error), &error);
    for (int64_t i = 64; i < 40 * 64; i++)
        ck_assert_msg(y[i] == (i % 64 < i / 64 ? 2 * (float)i + 1 : 0), "%d: %g", (int)i, y[i]);
    ck_counts(&recorder, 39, 38, 39);
    recorder_free(&recorder);
}
END_TEST

/* Kernels are compiled and loaded meanwhile, by other threads. */
START_TEST(compiles_do_not_break_a_capture) {
    struct recorder recorder = recorder_on(CUBBY_SPECIALIZATION_NONE);
    struct cubby_engine *other = engine_on(&line, NULL);

    for (int64_t n = 1; n < 12; n++) {
        run_line(other, n); /* has one compiled */
        run(&recorder, n, 0);
    }
    ck_counts(&recorder, 11, 10, 11);
    cubby_engine_unref(other);
    recorder_free(&recorder);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("runner graphs");
    TCase *tests = tcase_create("graphs");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, recorded_once_and_replayed, 0, 3);
    tcase_add_test(tests, sync_before_the_first_run_leaves_the_stream_alone);
    tcase_add_test(tests, recorded_anew_where_something_changes);
    tcase_add_loop_test(tests, recorded_anew_where_one_thing_changes, 0,
                        sizeof(FORMS) / sizeof(*FORMS));
    tcase_add_test(tests, better_kernels_are_recorded);
    tcase_add_test(tests, what_stays_generic_is_recorded);
    tcase_add_test(tests, a_capture_that_fails_leaves_it_usable);
    tcase_add_test(tests, an_old_driver_runs_without);
    tcase_add_test(tests, recorded_anew_while_the_last_one_runs);
    tcase_add_test(tests, compiles_do_not_break_a_capture);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
