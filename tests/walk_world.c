/* SPDX-License-Identifier: Apache-2.0 */
#include "walk_world.h"

#include <stdlib.h>
#include <string.h>

#include "driver/graph.h"
#include "kernel_gate.h"

const char *const PART_NAMES[2] = {"left", "right"};

struct way ways[STREAMS];
struct device_context *contexts[2];
struct model models[ENGINES];
struct device_memory *foreign[2];
float brought[ENGINES][RING][SLOT], came[ENGINES][RING][SLOT];
unsigned brought_count[ENGINES];
uint64_t walk_state;

static struct line line;
static int devices;
static struct cubby_green_division *division;

/* The streams that the thread works in, the innermost last: a number, or DEFAULT. */
static struct cubby_stream_guard guards[3];
static int guarded[3];
static unsigned guard_count;

/* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled".
 */
unsigned below(unsigned end) {
    walk_state ^= walk_state >> 12;
    walk_state ^= walk_state << 25;
    walk_state ^= walk_state >> 27;
    return (unsigned)((walk_state * UINT64_C(2685821657736338717)) >> 33) % end;
}

/* ---- Set-up ------------------------------------------------------------------------------ */

static void open_ways(void) {
    ck_ok(cubby_green_division_new(0, PART_NAMES, 2, PART_SIZE, &division, &error), &error);
    for (int i = 0; i < STREAMS; i++) {
        struct way *way = &ways[i];

        *way =
            (struct way){.device = i >= 4 ? devices - 1 : 0, .part = i == 2 || i == 3 ? i - 1 : 0};
        if (way->part > 0) {
            way->handle = cubby_green_division_part(division, (size_t)way->part - 1)->stream;
            continue;
        }
        ck_ok(device_stream_new(contexts[way->device], 0, &way->made, &error), &error);
        way->handle = way->made->handle;
    }
}

void open_memory(struct model *model) {
    struct device_context *context = contexts[model->device];

    ck_ok(device_memory_new(context, sizeof(model->x), NULL, &model->in, &error), &error);
    ck_ok(device_memory_new(context, sizeof(model->x), NULL, &model->out, &error), &error);
    ck_ok(device_memory_write(model->in, 0, model->x, sizeof(model->x), NULL, &error), &error);
    ck_ok(device_memory_write(model->out, 0, model->expected, sizeof(model->x), NULL, &error),
          &error);
}

static void open_model(struct model *model, int number) {
    static const char *const NAMES[ENGINES] = {"one", "two", "three"};
    struct cubby_engine_options options = CUBBY_ENGINE_OPTIONS_INIT;

    *model = (struct model){.settings = CUBBY_RUNTIME_SETTINGS_INIT,
                            .name = NAMES[number],
                            .device = number < 2 ? 0 : devices - 1,
                            .external = OWN};
    for (unsigned i = 0; i < NUMBERS; i++)
        model->x[i] = (float)((i + (unsigned)number) % 997);
    open_memory(model);
    options.name = model->name;
    options.device = model->device;
    options.cache = line.cache;
    ck_ok(cubby_engine_new(line.plan, &options, &model->engine, &error), &error);
}

/* The generic kernels are known from here on. */
static void learn_generic(void) {
    struct cubby_runtime_settings settings = settings_of(CUBBY_SPECIALIZATION_NONE);
    struct cubby_engine *engine;

    cubby_cache_unref(line.cache);
    line.cache = gate_cache();
    gate_learn(true);
    engine = engine_on(&line, &settings);
    run_line(engine, 5);
    cubby_engine_unref(engine);
    gate_learn(false);
    gate_open(false);
}

void walk_set_up(bool defers) {
    line_set_up(&line);
    devices = tests_are_apart() ? 2 : 1;
    setenv("FAKE_CUDA_DEVICES", devices == 2 ? "2" : "1", 1);
    setenv("FAKE_CUDA_DEFER", defers ? "1" : "0", 1);
    fake->reset();
    line_attach();
    learn_generic();
    for (int i = 0; i < devices; i++) {
        contexts[i] = open_context(i);
        ck_ok(device_memory_new(contexts[i], SLOT, NULL, &foreign[i], &error), &error);
    }
    open_ways();
    for (int i = 0; i < ENGINES; i++)
        open_model(&models[i], i);
    memset(brought_count, 0, sizeof(brought_count));
}

void walk_tear_down(void) {
    gate_open(true);
    while (guard_count > 0)
        cubby_stream_guard_leave(&guards[--guard_count]);
    cubby_stream_passthrough_set(false);
    for (int i = 0; i < ENGINES; i++) {
        cubby_engine_unref(models[i].engine);
        device_memory_free(models[i].in);
        device_memory_free(models[i].out);
    }
    for (int i = 0; i < STREAMS; i++)
        device_stream_free(ways[i].made);
    cubby_green_division_free(division);
    for (int i = 0; i < devices; i++) {
        device_memory_free(foreign[i]);
        device_context_unref(contexts[i]);
    }
    line_tear_down(&line);
}

/* ---- Where runs go ----------------------------------------------------------------------- */

unsigned guards_now(void) {
    return guard_count;
}

int guard_now(void) {
    return guard_count > 0 ? guarded[guard_count - 1] : NO_GUARD;
}

struct CUstream_st *handle_of(int stream) {
    return stream == DEFAULT ? NULL : ways[stream].handle;
}

void enter_guard(int stream) {
    guarded[guard_count] = stream;
    cubby_stream_guard_enter(&guards[guard_count++], handle_of(stream));
}

void leave_guard(void) {
    cubby_stream_guard_leave(&guards[--guard_count]);
}

int destination_of(const struct model *model) {
    const int guard = guard_now();

    if (model->external != OWN)
        return model->external;
    if (!cubby_stream_passthrough() || guard == NO_GUARD)
        return OWN;
    return guard == DEFAULT || ways[guard].device == model->device ? guard : REFUSED;
}

int part_of(int stream) {
    return stream >= 0 ? ways[stream].part : 0;
}

/* ---- Time -------------------------------------------------------------------------------- */

void make_ready(void) {
    gate_open(true);
    for (int i = 0; i < ENGINES; i++)
        cubby_engine_wait_kernels(models[i].engine);
    gate_open(false);
    for (int i = 0; i < ENGINES; i++) {
        for (unsigned j = 0; j < SHAPES; j++)
            models[i].is_ready[j] = models[i].is_ready[j] || models[i].is_asked[j];
    }
}

void before_call(const struct model *model) {
    if (!model->has_context || is_eager(model))
        make_ready();
    gate_open(is_eager(model));
}

void after_call(void) {
    gate_open(false);
}

void pass_time(void) {
    const struct way *way = &ways[below(STREAMS)];
    struct device_context *context = contexts[way->device];
    bool idle;

    ck_ok(device_context_enter(context, &error), &error);
    for (unsigned i = below(4); i > 0; i--)
        ck_ok(stream_is_idle(context->driver, way->handle, &idle, &error), &error);
    device_context_leave(context);
}

void wait_for_stream(const struct way *way) {
    struct device_context *context = contexts[way->device];

    ck_ok(device_context_enter(context, &error), &error);
    ck_ok(stream_sync(context->driver, way->handle, &error), &error);
    device_context_leave(context);
}

static void check_brought(unsigned i) {
    const struct model *model = &models[i];

    for (unsigned j = 0; j < brought_count[i]; j++)
        ck_assert_msg(
            memcmp(came[i][j], &model->expected[(SLOTS + j) * SLOT], sizeof(came[i][j])) == 0,
            "what was brought to engine %s", model->name);
    brought_count[i] = 0;
}

void settle(void) {
    const unsigned first = below(STREAMS);

    for (unsigned i = 0; i < STREAMS; i++)
        wait_for_stream(&ways[(first + i) % STREAMS]);
    for (unsigned i = 0; i < ENGINES; i++) {
        ck_ok(cubby_engine_sync(models[i].engine, &error), &error);
        check_numbers(&models[i], NULL);
        check_brought(i);
    }
}

void wipe(struct model *model) {
    settle();
    memset(model->expected, 0, sizeof(model->expected));
    ck_ok(
        device_memory_write(model->out, 0, model->expected, sizeof(model->expected), NULL, &error),
        &error);
}
