/* SPDX-License-Identifier: Apache-2.0 */
#include "walk_help.h"

#include <string.h>

int64_t size_of_shape(unsigned shape) {
    return 7 + 12 * (int64_t)shape;
}

static enum cubby_specialization_strategy strategy_of(const struct model *model) {
    return model->settings.dynamic_shapes_kernel_specialization_strategy;
}

bool is_lazy(const struct model *model) {
    return strategy_of(model) == CUBBY_SPECIALIZATION_LAZY;
}

bool is_eager(const struct model *model) {
    return strategy_of(model) == CUBBY_SPECIALIZATION_EAGER;
}

bool records(const struct model *model) {
    return model->settings.cuda_graph_strategy == CUBBY_CUDA_GRAPH_WHOLE_GRAPH_CAPTURE;
}

static uint64_t address_in(const struct device_memory *memory, unsigned slot) {
    return memory->address + slot * SLOT * sizeof(float);
}

int enqueue_model(struct model *model) {
    const int64_t n = size_of_shape(model->shape);
    const uint64_t bytes = (uint64_t)n * sizeof(float);
    const struct cubby_engine_buffer buffers[] = {{address_in(model->in, model->in_slot), bytes},
                                                  {address_in(model->out, model->out_slot), bytes}};
    const struct cubby_engine_call call = {&n, 1, buffers, 2};

    return cubby_engine_enqueue(model->engine, &call, &error);
}

void reckon_numbers(struct model *model) {
    const float *from = &model->x[model->in_slot * SLOT];
    float *to = &model->expected[model->out_slot * SLOT];

    for (int64_t i = 0; i < size_of_shape(model->shape); i++)
        to[i] = 2 * from[i] + 1;
}

void reckon_drop(struct model *model) {
    model->has_context = false;
    model->recorded = model->has_exec = NO;
}

void reckon_stream(struct model *model, int stream) {
    if (model->external != OWN || stream != OWN) {
        model->recorded = NO;
        if (model->has_exec == YES && model->exec_place > 0)
            model->has_exec = NO; /* it goes with its part */
    }
    model->external = stream;
}

void reckon_doubt(struct model *model) {
    model->recorded = model->has_exec = PERHAPS;
    model->counts = stats_of_engine(model->engine);
}

/* ---- Kernels and memory ------------------------------------------------------------------ */

static void reckon_context(struct model *model) {
    if (model->has_context)
        return;
    model->has_context = true;
    model->counts.contexts++;
    model->scratch = 0;
    memset(model->is_asked, 0, sizeof(model->is_asked));
    memset(model->is_ready, 0, sizeof(model->is_ready));
    memset(model->was_missed, 0, sizeof(model->was_missed));
}

/* Scratch memory that moves makes the graph another, unless it comes to lie where it lay. */
static void reckon_scratch(struct model *model) {
    const uint64_t needed =
        ((uint64_t)size_of_shape(model->shape) * sizeof(float) + 255) / 256 * 256;

    if (needed <= model->scratch)
        return;
    model->scratch = model->scratch > 0 ? needed + needed / 4 : needed;
    if (model->recorded == YES)
        model->recorded = PERHAPS;
}

bool reckon_ready(struct model *model) {
    const unsigned shape = model->shape;

    reckon_context(model);
    reckon_scratch(model);
    if (is_eager(model))
        model->is_asked[shape] = model->is_ready[shape] = true;
    if (!is_lazy(model))
        return true;
    model->is_asked[shape] = true;
    if (model->is_ready[shape])
        model->counts.swaps += model->was_missed[shape];
    model->was_missed[shape] = !model->is_ready[shape];
    return model->is_ready[shape];
}

/* ---- Runs -------------------------------------------------------------------------------- */

void reckon_recorded_run(struct model *model) {
    const bool is_special =
        strategy_of(model) != CUBBY_SPECIALIZATION_NONE && model->is_ready[model->shape];

    model->counts.enqueues++;
    model->counts.specialized_runs += is_special;
    model->counts.generic_runs += !is_special;
    reckon_numbers(model);
}

static bool is_as_recorded(const struct model *model, int stream) {
    return model->recorded_shape == model->shape && model->recorded_stream == stream &&
           model->recorded_in == address_in(model->in, model->in_slot) &&
           model->recorded_out == address_in(model->out, model->out_slot);
}

/* What a run that records has to count; where that is not known, what it may have counted. */
static void reckon_captures(struct model *model, int stream, int place) {
    const struct cubby_engine_stats now = stats_of_engine(model->engine);
    bool captures = model->recorded == NO || !is_as_recorded(model, stream);
    bool updates = model->exec_place == place;

    if (model->recorded == PERHAPS && (!captures || model->has_exec == PERHAPS))
        captures = now.captures > model->counts.captures;
    if (model->has_exec == PERHAPS)
        updates = now.updates > model->counts.updates;
    model->counts.captures += captures;
    model->counts.updates += captures && model->has_exec != NO && updates;
    model->counts.replays++;
    model->recorded = model->has_exec = YES;
    model->exec_place = place;
}

void reckon_run(struct model *model, int stream, int place, bool is_final) {
    reckon_recorded_run(model);
    if (!records(model) || !is_final)
        return;
    reckon_captures(model, stream, place);
    model->recorded_shape = model->shape;
    model->recorded_stream = stream;
    model->recorded_in = address_in(model->in, model->in_slot);
    model->recorded_out = address_in(model->out, model->out_slot);
}

/* ---- Checks ------------------------------------------------------------------------------ */

void check_numbers(struct model *model, const float *old) {
    float y[NUMBERS];

    ck_ok(device_memory_read(model->out, 0, y, sizeof(y), NULL, &error), &error);
    for (unsigned i = 0; i < NUMBERS; i++) {
        if (old && y[i] == old[i])
            model->expected[i] = old[i];
        ck_assert_msg(y[i] == model->expected[i], "engine %s, number %u of slot %u: %g, not %g",
                      model->name, i % SLOT, i / SLOT, y[i], model->expected[i]);
    }
}

void check_counts(const struct model *model) {
    const struct cubby_engine_stats now = stats_of_engine(model->engine), *want = &model->counts;

    ck_assert_uint_eq(now.enqueues, want->enqueues);
    ck_assert_uint_eq(now.contexts, want->contexts);
    ck_assert_uint_eq(now.swaps, want->swaps);
    ck_assert_uint_eq(now.generic_runs, want->generic_runs);
    ck_assert_uint_eq(now.specialized_runs, want->specialized_runs);
    ck_assert_uint_eq(now.captures, want->captures);
    ck_assert_uint_eq(now.updates, want->updates);
    ck_assert_uint_eq(now.replays, want->replays);
    ck_assert_uint_eq(now.failures, 0);
    ck_assert_int_eq(cubby_engine_has_context(model->engine), model->has_context);
}
