/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random things done to engines on two devices, on the double, beside a plain reckoning of what has
 * to come of them: the same numbers, no call that a driver does not allow, and the contexts, graphs
 * and swaps that have to be and no others. Kernels become ready when the walk says so. Every other
 * walk is on a driver that does nothing before something waits for it, so that what should have
 * been waited for shows in the numbers.
 *
 * CUBBY_TEST_SEED=N chooses the walks, CUBBY_TEST_STEPS=N how long they are. With
 * CUBBY_TEST_DRIVER=machine and CK_FORK=no they take place on the machine's GPU, where no call
 * fails that need not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver/graph.h"
#include "walk_world.h"

static struct cubby_stream_scope *scope; /* NULL: none */
static unsigned scope_count;             /* of its engines, which are the first */
static int bound_before[ENGINES];

/* ---- What may happen --------------------------------------------------------------------- */

static void change_settings(struct model *model) {
    struct cubby_runtime_settings settings =
        settings_of((enum cubby_specialization_strategy)below(3));
    const struct cubby_runtime_settings *now = &model->settings;

    settings.cuda_graph_strategy = (enum cubby_cuda_graph_strategy)below(2);
    ck_ok(cubby_engine_set_settings(model->engine, &settings, &error), &error);
    if (settings.cuda_graph_strategy != now->cuda_graph_strategy ||
        settings.dynamic_shapes_kernel_specialization_strategy !=
            now->dynamic_shapes_kernel_specialization_strategy)
        reckon_drop(model);
    model->settings = settings;
}

static void change_stream(struct model *model) {
    const int stream = (int)below(STREAMS + 1) - 1;

    if (stream == OWN) {
        ck_ok(cubby_engine_clear_external_stream(model->engine, &error), &error);
        reckon_stream(model, OWN);
    } else if (ways[stream].device != model->device) {
        assert_failure(cubby_engine_set_external_stream(model->engine, ways[stream].handle, &error),
                       CUBBY_ERR_INVALID, "the stream is of another");
    } else {
        ck_ok(cubby_engine_set_external_stream(model->engine, ways[stream].handle, &error), &error);
        reckon_stream(model, stream);
    }
}

static void leave_scope(void) {
    ck_ok(cubby_stream_scope_exit(scope, &error), &error);
    scope = NULL;
    for (unsigned i = 0; i < scope_count; i++)
        reckon_stream(&models[i], bound_before[i]);
}

/* All of the first engines, or none where the stream of one is of another device. */
static void enter_scope(void) {
    struct cubby_engine *const engines[] = {models[0].engine, models[1].engine, models[2].engine};
    struct cubby_stream_binding bindings[ENGINES];
    int streams[ENGINES];
    unsigned fit = 0;

    scope_count = 1 + below(ENGINES);
    for (unsigned i = 0; i < scope_count; i++) {
        streams[i] = (int)below(STREAMS);
        bindings[i] = (struct cubby_stream_binding){models[i].name, ways[streams[i]].handle};
        bound_before[i] = models[i].external;
        if (fit == i && ways[streams[i]].device == models[i].device)
            fit++;
    }
    if (fit < scope_count)
        assert_failure(
            cubby_engines_bind_streams(engines, ENGINES, bindings, scope_count, &scope, &error),
            CUBBY_ERR_INVALID, "the stream is of another");
    else
        ck_ok(cubby_engines_bind_streams(engines, ENGINES, bindings, scope_count, &scope, &error),
              &error);
    for (unsigned i = 0; i < fit; i++) {
        reckon_stream(&models[i], streams[i]);
        if (fit < scope_count)
            reckon_stream(&models[i], bound_before[i]);
    }
}

static void change_guard(void) {
    const unsigned what = below(3);

    if (what == 0)
        cubby_stream_passthrough_set(below(2));
    else if (what == 1 && guards_now() < 2)
        enter_guard((int)below(STREAMS + 1) == STREAMS ? DEFAULT : (int)below(STREAMS));
    else if (guards_now() > 0)
        leave_guard();
}

static void move_memory(struct model *model) {
    settle();
    device_memory_free(model->in);
    device_memory_free(model->out);
    open_memory(model);
}

static void run(struct model *model) {
    const int stream = destination_of(model);
    int result;

    before_call(model);
    result = enqueue_model(model);
    after_call();
    if (stream == REFUSED) {
        assert_failure(result, CUBBY_ERR_INVALID, "the stream is of another");
        return;
    }
    ck_ok(result, &error);
    reckon_run(model, stream, part_of(stream), reckon_ready(model));
}

static void prepare(struct model *model) {
    const int64_t n = size_of_shape(model->shape);

    before_call(model);
    ck_ok(cubby_engine_prepare(model->engine, &n, 1, &error), &error);
    after_call();
    reckon_ready(model);
}

static void run_out_of_range(struct model *model) {
    const int64_t n = below(2) ? 0 : 4097;
    const struct cubby_engine_call call = {&n, 1, NULL, 0};

    assert_failure(cubby_engine_enqueue(model->engine, &call, &error), CUBBY_ERR_INVALID, "n");
}

/* The caller brings numbers in its stream, and takes in it what came of them: no one waits. */
static void bring(unsigned number) {
    struct model *model = &models[number];
    const unsigned ring = brought_count[number], slot = SLOTS + ring;
    const size_t at = slot * SLOT * sizeof(float), size = SLOT * sizeof(float);
    struct CUstream_st *stream;

    if (ring == RING || guard_now() < 0 || model->external != OWN ||
        ways[guard_now()].device != model->device)
        return;
    stream = handle_of(guard_now());
    model->in_slot = model->out_slot = slot;
    for (unsigned i = 0; i < SLOT; i++)
        model->x[slot * SLOT + i] = brought[number][ring][i] = (float)below(1000);
    ck_ok(device_memory_write(model->in, at, brought[number][ring], size, stream, &error), &error);
    run(model);
    ck_ok(device_memory_read(model->out, at, came[number][ring], size, stream, &error), &error);
    brought_count[number]++;
    model->in_slot = below(SLOTS);
    model->out_slot = below(SLOTS);
}

/* ---- What the caller records ------------------------------------------------------------- */

static bool record_one(struct model *model) {
    const bool can = model->external == OWN && !is_lazy(model);
    const int result = enqueue_model(model);

    ck_assert_msg(result == (can ? 0 : CUBBY_ERR_INVALID), "%d: %s", result, error.message);
    cubby_error_clear(&error);
    if (can)
        reckon_recorded_run(model);
    return can;
}

/* Meanwhile kernels become ready, and another engine runs by itself, elsewhere. */
static void disturb_capture(int stream, const bool *takes_part) {
    const unsigned other = below(ENGINES);

    if (below(2))
        make_ready();
    if (below(2) || takes_part[other])
        return;
    leave_guard();
    if (guard_now() != stream && models[other].external != stream)
        run(&models[other]);
    enter_guard(stream);
}

static void replay(struct CUgraphExec_st *exec, const struct way *way) {
    const struct driver *driver = contexts[0]->driver;

    ck_ok(device_context_enter(contexts[way->device], &error), &error);
    ck_ok(graph_exec_launch(driver, exec, way->handle, &error), &error);
    ck_ok(stream_sync(driver, way->handle, &error), &error);
    device_context_leave(contexts[way->device]);
}

static struct CUgraphExec_st *end_capture(const struct way *way) {
    const struct driver *driver = contexts[0]->driver;
    struct CUgraphExec_st *exec = NULL;
    struct CUgraph_st *graph;
    bool updated;

    ck_ok(capture_end(driver, way->handle, &graph, &error), &error);
    ck_ok(graph_exec_set(driver, &exec, graph, &updated, &error), &error);
    graph_free(driver, graph);
    return exec;
}

static void check_foreign(int device, unsigned char byte) {
    unsigned char bytes[SLOT];

    ck_ok(device_memory_read(foreign[device], 0, bytes, SLOT, NULL, &error), &error);
    ck_assert_int_eq(bytes[SLOT - 1], byte);
}

/* Those that take part get ready, where they can. */
static void prepare_some(const struct way *way, bool *takes_part) {
    for (unsigned i = 0; i < ENGINES; i++) {
        takes_part[i] = models[i].device == way->device && below(3) > 0;
        if (takes_part[i])
            prepare(&models[i]);
    }
}

static struct CUgraphExec_st *capture(int stream, const bool *takes_part, bool *is_recorded) {
    const struct way *way = &ways[stream];
    struct CUgraphExec_st *exec;

    ck_ok(device_context_enter(contexts[way->device], &error), &error);
    ck_assert_uint_eq(contexts[0]->driver->api.cuStreamBeginCapture_v2(way->handle, below(3)), 0);
    for (unsigned i = 0; i < ENGINES; i++) {
        disturb_capture(stream, takes_part);
        is_recorded[i] = takes_part[i] && record_one(&models[i]);
    }
    ck_ok(device_memory_fill(foreign[way->device], 0x5a, way->handle, &error), &error);
    exec = end_capture(way);
    device_context_leave(contexts[way->device]);
    return exec;
}

/* The engines go on, with as much scratch memory as there can be. */
static void go_on(void) {
    for (unsigned i = 0; i < ENGINES; i++) {
        const unsigned shape = models[i].shape;

        models[i].shape = SHAPES - 1;
        run(&models[i]);
        models[i].shape = shape;
    }
    for (unsigned i = 0; i < ENGINES; i++)
        wipe(&models[i]);
}

/* Some engines and other work in one graph: each is recorded, or refused before anything of it is,
 * and the graph does later what was recorded, whatever the engines did in between. */
static void record(void) {
    const int stream = (int)below(STREAMS);
    const struct way *way = &ways[stream];
    bool takes_part[ENGINES], is_recorded[ENGINES];
    struct CUgraphExec_st *exec;

    settle();
    enter_guard(stream);
    prepare_some(way, takes_part);
    exec = capture(stream, takes_part, is_recorded);
    leave_guard();
    for (int i = 0; i < 2; i++) {
        ck_ok(device_memory_fill(foreign[way->device], 0, NULL, &error), &error);
        replay(exec, way);
        check_foreign(way->device, 0x5a);
        settle();
        if (i == 1)
            break;
        go_on();
        for (unsigned j = 0; j < ENGINES; j++) {
            if (is_recorded[j])
                reckon_numbers(&models[j]);
        }
    }
    graph_exec_free(contexts[0]->driver, exec);
}

/* ---- What may go wrong ------------------------------------------------------------------- */

/* Calls of the thread that enqueues, and of no other. */
static const char *const FAULTS[] = {
    "cuLaunchKernel",          "cuEventRecord",      "cuEventCreate",
    "cuStreamWaitEvent",       "cuMemAlloc_v2",      "cuStreamIsCapturing",
    "cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiateWithFlags",
    "cuGraphExecUpdate_v2",    "cuGraphLaunch",      "cuStreamCreateWithPriority",
    "cuStreamGetDevice",       "cuStreamGetCtx_v2",  "cuThreadExchangeStreamCaptureMode"};

/* A run during which a call of the driver fails has its results, or tells; what comes after it is
 * right. It gets ready for all shapes afterwards, so that it is known what it has. */
static void run_disturbed(struct model *model) {
    const char *call = FAULTS[below(sizeof(FAULTS) / sizeof(*FAULTS))];
    const unsigned shape = model->shape;
    float old[NUMBERS];
    char fault[80];
    int result;

    if (destination_of(model) == REFUSED)
        return;
    settle();
    memcpy(old, model->expected, sizeof(old));
    before_call(model);
    snprintf(fault, sizeof(fault), "%s@%u=2", call, fake->calls(call) + 1 + below(3));
    setenv("FAKE_CUDA_FAIL", fault, 1);
    result = enqueue_model(model);
    unsetenv("FAKE_CUDA_FAIL");
    after_call();
    cubby_error_clear(&error);
    reckon_numbers(model);
    if (!model->has_context && cubby_engine_has_context(model->engine))
        reckon_ready(model); /* so far it came */
    prepare(model);
    model->shape = SHAPES - 1;
    prepare(model);
    model->shape = shape;
    reckon_doubt(model);
    for (int i = 0; i < STREAMS; i++)
        wait_for_stream(&ways[i]);
    ck_ok(cubby_engine_sync(model->engine, &error), &error);
    check_numbers(model, result < 0 ? old : NULL);
}

/* ---- Walks ------------------------------------------------------------------------------- */

static void step(void) {
    const unsigned number = below(ENGINES);
    struct model *model = &models[number];

    switch (below(26)) {
    case 0:
        change_settings(model);
        break;
    case 1:
    case 2:
        change_stream(model);
        break;
    case 3:
        if (scope)
            leave_scope();
        else
            enter_scope();
        break;
    case 4:
    case 5:
        change_guard();
        break;
    case 6:
    case 7:
    case 8:
        model->shape = below(SHAPES);
        break;
    case 9:
    case 10:
        model->in_slot = below(SLOTS);
        model->out_slot = below(SLOTS);
        break;
    case 11:
        if (below(4) == 0)
            move_memory(model);
        break;
    case 12:
        make_ready();
        break;
    case 13:
        run_out_of_range(model);
        break;
    case 14:
        if (below(3) == 0)
            record();
        break;
    case 15:
        wipe(model);
        break;
    case 16:
        run_disturbed(model);
        break;
    case 17:
    case 18:
        bring(number);
        break;
    case 19:
        pass_time();
        break;
    default:
        run(model);
        break;
    }
    for (int i = 0; i < ENGINES; i++)
        check_counts(&models[i]);
}

static unsigned number_of(const char *name, unsigned otherwise) {
    const char *text = getenv(name);

    return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

START_TEST(a_random_walk) {
    const unsigned seed = number_of("CUBBY_TEST_SEED", 1) + (unsigned)_i;

    walk_state = UINT64_C(0x9e3779b97f4a7c15) * (seed + 1);
    walk_set_up(_i % 2);
    for (unsigned i = number_of("CUBBY_TEST_STEPS", 700); i > 0; i--)
        step();
    settle();
    if (scope)
        leave_scope();
    walk_tear_down();
}
END_TEST

/* Whether the machine has what walks need; says what it lacks. */
static bool machine_suffices(void) {
    struct cubby_green_division *division;
    struct cubby_toolchain toolchain;
    int result = cubby_toolchain_find(NULL, &toolchain, &error);

    if (result == 0) {
        cubby_toolchain_clear(&toolchain);
        result = cubby_green_division_new(0, PART_NAMES, 2, PART_SIZE, &division, &error);
    }
    if (result == 0)
        cubby_green_division_free(division);
    else
        printf("skipped: %s\n", error.message);
    cubby_error_clear(&error);
    return result == 0;
}

int main(void) {
    Suite *suite = suite_create("runner random");
    TCase *tests = tcase_create("walks");

    if (uses_machines_driver() && !machine_suffices())
        return 77;
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, a_random_walk, 0, 6);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
