/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random things done to an engine, on the double, beside a plain reckoning of what has to come of
 * them: the same numbers, no call that a driver does not allow, and the contexts and captures that
 * have to be made and no others.
 *
 * CUBBY_TEST_SEED=N chooses the walk, CUBBY_TEST_STEPS=N how long it is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver/graph.h"
#include "driver/stream.h"
#include "runner_help.h"

#define STREAMS 2
#define SHAPES 12
#define SLOTS 8
#define SLOT 128 /* numbers; the greatest shape is below */

/* What the engine should be like. */
struct model {
    struct cubby_runtime_settings settings;
    int stream; /* external, or -1 */
    bool has_context;
    int64_t n;          /* the shape that was asked for last */
    unsigned slot;      /* where the numbers are */
    uint64_t contexts;  /* created so far */
    uint64_t scratch;   /* bytes of memory for it */
    bool has_recording; /* that does what follows: */
    int64_t recorded_n;
    unsigned recorded_slot;
    int recorded_stream;
};

static struct line line;
static struct device_context *context;
static struct device_stream *streams[STREAMS];
static struct cubby_device_memory *in, *out;
static float x[SLOTS * SLOT], expected[SLOTS * SLOT];
static uint64_t state;

/* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled".
 */
static unsigned below(unsigned end) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (unsigned)((state * UINT64_C(2685821657736338717)) >> 33) % end;
}

static void set_up(void) {
    line_set_up(&line);
    context = open_context(0);
    for (int i = 0; i < STREAMS; i++)
        ck_ok(device_stream_new(context, 0, &streams[i], &error), &error);
    for (int i = 0; i < SLOTS * SLOT; i++)
        x[i] = (float)(i % 997);
    ck_ok(cubby_device_memory_new(0, sizeof(x), &in, &error), &error);
    ck_ok(cubby_device_memory_new(0, sizeof(x), &out, &error), &error);
    ck_ok(cubby_device_memory_write(in, 0, x, sizeof(x), &error), &error);
    ck_ok(cubby_device_memory_write(out, 0, expected, sizeof(expected), &error), &error);
}

static void tear_down(void) {
    cubby_device_memory_free(in);
    cubby_device_memory_free(out);
    for (int i = 0; i < STREAMS; i++)
        device_stream_free(streams[i]);
    device_context_unref(context);
    line_tear_down(&line);
}

static int enqueue(struct cubby_engine *engine, const struct model *model) {
    const uint64_t at = model->slot * SLOT * sizeof(float);
    const uint64_t bytes = (uint64_t)model->n * sizeof(float);
    const struct cubby_engine_buffer buffers[] = {{cubby_device_memory_address(in) + at, bytes},
                                                  {cubby_device_memory_address(out) + at, bytes}};
    const struct cubby_engine_call call = {&model->n, 1, buffers, 2};

    return cubby_engine_enqueue(engine, &call, &error);
}

static void reckon(const struct model *model) {
    for (int64_t i = 0; i < model->n; i++)
        expected[model->slot * SLOT + i] = 2 * x[model->slot * SLOT + i] + 1;
}

static void check_numbers(struct cubby_engine *engine) {
    float y[SLOTS * SLOT];

    ck_ok(cubby_engine_sync(engine, &error), &error);
    ck_ok(cubby_device_memory_read(out, 0, y, sizeof(y), &error), &error);
    ck_assert(memcmp(y, expected, sizeof(y)) == 0);
}

/* Forgets what was computed, so that it has to be computed again. */
static void wipe(struct cubby_engine *engine) {
    ck_ok(cubby_engine_sync(engine, &error), &error);
    memset(expected, 0, sizeof(expected));
    ck_ok(cubby_device_memory_write(out, 0, expected, sizeof(expected), &error), &error);
}

/* ---- What may happen --------------------------------------------------------------------------
 */

static void change_settings(struct cubby_engine *engine, struct model *model) {
    struct cubby_runtime_settings settings =
        settings_of((enum cubby_specialization_strategy)below(3));
    const struct cubby_runtime_settings *now = &model->settings;

    settings.cuda_graph_strategy = (enum cubby_cuda_graph_strategy)below(2);
    ck_ok(cubby_engine_set_settings(engine, &settings, &error), &error);
    if (settings.cuda_graph_strategy != now->cuda_graph_strategy ||
        settings.dynamic_shapes_kernel_specialization_strategy !=
            now->dynamic_shapes_kernel_specialization_strategy)
        model->has_context = model->has_recording = false;
    model->settings = settings;
    ck_assert_int_eq(cubby_engine_has_context(engine), model->has_context);
}

static void change_stream(struct cubby_engine *engine, struct model *model) {
    const int before = model->stream;

    model->stream = (int)below(STREAMS + 1) - 1;
    if (model->stream < 0)
        ck_ok(cubby_engine_clear_external_stream(engine, &error), &error);
    else
        ck_ok(cubby_engine_set_external_stream(engine, streams[model->stream]->handle, &error),
              &error);
    if (before >= 0 || model->stream >= 0)
        model->has_recording = false;
}

/* The first run creates the context; and memory for scratch, where it moves, costs the graph. */
static void get_ready(struct model *model) {
    const uint64_t needed = ((uint64_t)model->n * sizeof(float) + 255) / 256 * 256;

    if (!model->has_context) {
        model->contexts++;
        model->scratch = 0;
    }
    model->has_context = true;
    if (needed <= model->scratch)
        return;
    model->scratch = model->scratch > 0 ? needed + needed / 4 : needed;
    model->has_recording = false;
}

static bool is_lazy(const struct model *model) {
    return model->settings.dynamic_shapes_kernel_specialization_strategy ==
           CUBBY_SPECIALIZATION_LAZY;
}

/* How many captures a run has to cost: of a lazy engine it depends on who is faster. */
static uint64_t captures_of_a_run(struct model *model) {
    const bool records =
        model->settings.cuda_graph_strategy == CUBBY_CUDA_GRAPH_WHOLE_GRAPH_CAPTURE;
    const bool is_current = model->has_recording && model->recorded_n == model->n &&
                            model->recorded_slot == model->slot &&
                            model->recorded_stream == model->stream;

    if (!records)
        return 0;
    model->has_recording = true;
    model->recorded_n = model->n;
    model->recorded_slot = model->slot;
    model->recorded_stream = model->stream;
    return !is_current;
}

static void run(struct cubby_engine *engine, struct model *model) {
    const uint64_t before = stats_of_engine(engine).captures;
    uint64_t captures;

    ck_ok(enqueue(engine, model), &error);
    get_ready(model);
    reckon(model);
    captures = captures_of_a_run(model);
    if (!is_lazy(model))
        ck_assert_uint_eq(stats_of_engine(engine).captures, before + captures);
}

static void run_out_of_range(struct cubby_engine *engine, const struct model *model) {
    struct model wrong = *model;

    wrong.n = below(2) ? 0 : 4097;
    assert_failure(enqueue(engine, &wrong), CUBBY_ERR_INVALID, "n");
    ck_assert_int_eq(cubby_engine_has_context(engine), model->has_context);
}

/* The caller records two runs, and replays them; or is refused, before anything is recorded. */
static void record(struct cubby_engine *engine, struct model *model) {
    const uint64_t before = stats_of_engine(engine).captures;
    struct CUstream_st *stream = streams[below(STREAMS)]->handle;
    const bool can = !is_lazy(model) && model->stream < 0;
    struct CUgraphExec_st *exec = NULL;
    struct cubby_stream_guard guard;
    struct CUgraph_st *graph;
    bool updated;

    ck_ok(cubby_engine_prepare(engine, &model->n, 1, &error), &error);
    get_ready(model);
    ck_ok(cubby_engine_sync(engine, &error), &error); /* a graph is in no order with it */
    ck_ok(device_context_enter(context, &error), &error);
    ck_ok(capture_begin(context->driver, stream, &error), &error);
    cubby_stream_guard_enter(&guard, stream);
    for (int i = 0; i < 2; i++) {
        int result = model->stream < 0 ? enqueue(engine, model) : CUBBY_ERR_INVALID;

        ck_assert_msg(result == (can ? 0 : CUBBY_ERR_INVALID), "%d: %s", result, error.message);
        cubby_error_clear(&error);
    }
    cubby_stream_guard_leave(&guard);
    ck_ok(capture_end(context->driver, stream, &graph, &error), &error);
    ck_ok(graph_exec_set(context->driver, &exec, graph, &updated, &error), &error);
    graph_free(context->driver, graph);
    ck_ok(graph_exec_launch(context->driver, exec, stream, &error), &error);
    ck_ok(stream_sync(context->driver, stream, &error), &error);
    graph_exec_free(context->driver, exec);
    device_context_leave(context);
    if (can)
        reckon(model);
    ck_assert_uint_eq(stats_of_engine(engine).captures, before);
}

static void step(struct cubby_engine *engine, struct model *model) {
    switch (below(16)) {
    case 0:
        change_settings(engine, model);
        break;
    case 1:
    case 2:
        change_stream(engine, model);
        break;
    case 3:
    case 4:
        model->n = 7 + 10 * below(SHAPES);
        break;
    case 5:
    case 6:
        model->slot = below(SLOTS);
        break;
    case 7:
        cubby_engine_wait_kernels(engine);
        break;
    case 8:
        run_out_of_range(engine, model);
        break;
    case 9:
        record(engine, model);
        break;
    case 10:
        check_numbers(engine);
        wipe(engine);
        break;
    default:
        run(engine, model);
        break;
    }
    ck_assert_uint_eq(stats_of_engine(engine).contexts, model->contexts);
}

static unsigned number_of(const char *name, unsigned otherwise) {
    const char *text = getenv(name);

    return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

START_TEST(a_random_walk) {
    const unsigned seed = number_of("CUBBY_TEST_SEED", 1) + (unsigned)_i;
    struct model model = {.settings = CUBBY_RUNTIME_SETTINGS_INIT, .stream = -1, .n = 7};
    struct cubby_engine *engine = engine_on(&line, NULL);

    state = UINT64_C(0x9e3779b97f4a7c15) * (seed + 1);
    memset(expected, 0, sizeof(expected));
    for (unsigned i = number_of("CUBBY_TEST_STEPS", 600); i > 0; i--)
        step(engine, &model);
    check_numbers(engine);
    ck_assert_uint_le(stats_of_engine(engine).compiles, 2 + SHAPES);
    cubby_engine_unref(engine);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("runner random");
    TCase *tests = tcase_create("walks");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, a_random_walk, 0, 4);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
