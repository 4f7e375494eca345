/* SPDX-License-Identifier: Apache-2.0 */
#include "streams_help.h"

#include <stdlib.h>
#include <string.h>

struct line line;
struct device_context *context;
struct device_stream *streams[2];
struct cubby_device_memory *in, *out;

/* ---- Life -------------------------------------------------------------------------------- */

static void open_streams(void) {
    float x[LINE_NUMBERS];

    for (int i = 0; i < LINE_NUMBERS; i++)
        x[i] = (float)i;
    context = open_context(0);
    for (int i = 0; i < 2; i++)
        ck_ok(device_stream_new(context, 0, &streams[i], &error), &error);
    ck_ok(cubby_device_memory_new(0, sizeof(x), &in, &error), &error);
    ck_ok(cubby_device_memory_new(0, sizeof(x), &out, &error), &error);
    ck_ok(cubby_device_memory_write(in, 0, x, sizeof(x), &error), &error);
    clear_results();
}

static void close_streams(void) {
    cubby_device_memory_free(in);
    cubby_device_memory_free(out);
    for (int i = 0; i < 2; i++)
        device_stream_free(streams[i]);
    device_context_unref(context);
}

void streams_set_up(void) {
    line_set_up(&line);
    open_streams();
}

void streams_tear_down(void) {
    close_streams();
    line_tear_down(&line);
}

bool begin_anew(const char *name, const char *value) {
    if (!tests_are_apart())
        return false;
    close_streams();
    setenv(name, value, 1);
    fake->reset();
    line_attach();
    open_streams();
    return true;
}

bool defer(void) {
    return begin_anew("FAKE_CUDA_DEFER", "1");
}

/* ---- Engines ----------------------------------------------------------------------------- */

struct cubby_engine *engine_of(enum cubby_specialization_strategy strategy) {
    const struct cubby_runtime_settings settings = settings_of(strategy);

    return engine_on(&line, &settings);
}

struct cubby_engine *recording_engine_of(enum cubby_specialization_strategy strategy) {
    struct cubby_runtime_settings settings = settings_of(strategy);

    settings.cuda_graph_strategy = CUBBY_CUDA_GRAPH_WHOLE_GRAPH_CAPTURE;
    return engine_on(&line, &settings);
}

int enqueue(struct cubby_engine *engine, int64_t n, unsigned at) {
    const struct cubby_engine_buffer buffers[] = {
        {cubby_device_memory_address(in) + at * sizeof(float), (uint64_t)n * sizeof(float)},
        {cubby_device_memory_address(out) + at * sizeof(float), (uint64_t)n * sizeof(float)}};
    const struct cubby_engine_call call = {&n, 1, buffers, 2};

    return cubby_engine_enqueue(engine, &call, &error);
}

void check_results(unsigned first, unsigned count) {
    float y[LINE_NUMBERS];

    ck_ok(cubby_device_memory_read(out, 0, y, sizeof(y), &error), &error);
    for (unsigned i = first; i < first + count; i++)
        ck_assert_msg(y[i] == 2 * (float)i + 1, "%u: %g", i, y[i]);
}

void clear_results(void) {
    static const float zeros[LINE_NUMBERS];

    ck_ok(cubby_device_memory_write(out, 0, zeros, sizeof(zeros), &error), &error);
}

struct CUstream_st *stream_of_last_launch(void) {
    return fake->launch(fake->launches() - 1)->stream;
}

void wait_for(struct device_stream *stream) {
    ck_ok(device_context_enter(stream->context, &error), &error);
    ck_ok(stream_sync(stream->context->driver, stream->handle, &error), &error);
    device_context_leave(stream->context);
}

/* ---- Captures ---------------------------------------------------------------------------- */

void begin_in(struct capture *capture, struct device_stream *stream, unsigned mode) {
    *capture = (struct capture){.stream = stream};
    ck_ok(device_context_enter(stream->context, &error), &error);
    ck_assert_uint_eq(stream->context->driver->api.cuStreamBeginCapture_v2(stream->handle, mode),
                      0);
    cubby_stream_guard_enter(&capture->guard, stream->handle);
}

void begin(struct capture *capture) {
    begin_in(capture, streams[0], DRIVER_STREAM_CAPTURE_MODE_GLOBAL);
}

void end(struct capture *capture) {
    const struct driver *driver = capture->stream->context->driver;
    struct CUgraph_st *graph;
    bool updated;

    cubby_stream_guard_leave(&capture->guard);
    ck_ok(capture_end(driver, capture->stream->handle, &graph, &error), &error);
    ck_ok(graph_exec_set(driver, &capture->exec, graph, &updated, &error), &error);
    graph_free(driver, graph);
    device_context_leave(capture->stream->context);
}

void replay(struct capture *capture) {
    struct device_stream *stream = capture->stream;

    ck_ok(device_context_enter(stream->context, &error), &error);
    ck_ok(graph_exec_launch(stream->context->driver, capture->exec, stream->handle, &error),
          &error);
    device_context_leave(stream->context);
    wait_for(stream);
}

void end_and_free(struct capture *capture) {
    end(capture);
    graph_exec_free(capture->stream->context->driver, capture->exec);
}

void replay_and_free(struct capture *capture, unsigned count) {
    replay(capture);
    check_results(0, count);
    graph_exec_free(capture->stream->context->driver, capture->exec);
}
