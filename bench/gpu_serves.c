/* SPDX-License-Identifier: Apache-2.0 */
/* All example engines side by side, one in the way of the others: what streams of their own gain
 * over one for all, and parts of the device (green contexts) over the whole of it. */
#include <stdio.h>

#include "driver/stream.h"
#include "gpu.h"
#include "util/error.h"

#define SERVED 3
#define ROUNDS 8      /* of all engines, then they are waited for */
#define BUSY_ROUNDS 4 /* of the others, while one is waited for */
#define LATENCIES 200
#define PART_STEP 8 /* parts have a multiple of so many multiprocessors */

/* Where the engines of a side run. */
enum place { ONE_STREAM, OWN_STREAMS, PARTS };

/* Either side of a row. The buffers are both sides', of which one works at a time. */
struct side {
    const struct gpu_shape *shapes;
    struct cubby_engine *engines[SERVED];
    struct cubby_green_division *division;
    struct device_context *context;
    struct device_stream *stream;
};

/* ---- The works --------------------------------------------------------------------------- */

static int enqueue_from(struct side *side, size_t first, unsigned rounds) {
    int result = 0;

    for (unsigned round = 0; round < rounds && result == 0; round++) {
        for (size_t i = first; i < SERVED && result == 0; i++)
            result = cubby_engine_enqueue(side->engines[i], &side->shapes[i].call, NULL);
    }
    return result;
}

static int wait_from(struct side *side, size_t first) {
    int result = 0;

    for (size_t i = first; i < SERVED && result == 0; i++)
        result = cubby_engine_sync(side->engines[i], NULL);
    return result;
}

static int serve_once(void *context) {
    return enqueue_from(context, 0, ROUNDS) < 0 || wait_from(context, 0) < 0 ? -1 : 0;
}

/* What is not timed: all but the first engine have work again. */
static int get_busy(void *context) {
    return wait_from(context, 0) < 0 || enqueue_from(context, 1, BUSY_ROUNDS) < 0 ? -1 : 0;
}

static int run_first(void *context) {
    struct side *side = context;

    if (cubby_engine_enqueue(side->engines[0], &side->shapes[0].call, NULL) < 0)
        return -1;
    return cubby_engine_sync(side->engines[0], NULL);
}

/* ---- The two sides ----------------------------------------------------------------------- */

static int bind_stream(const struct gpu_bench *gpu, struct side *side, struct cubby_error *error) {
    int result = device_context_get(gpu->device, &side->context, error);

    if (result == 0)
        result = device_stream_new(side->context, 0, &side->stream, error);
    for (size_t i = 0; i < SERVED && result == 0; i++)
        result = cubby_engine_set_external_stream(side->engines[i], side->stream->handle, error);
    return result;
}

/* Parts of equal size, which leave as little of the device over as can be. */
static int bind_parts(const struct gpu_bench *gpu, struct side *side, struct cubby_error *error) {
    static const char *const NAMES[SERVED] = {"first", "second", "third"};
    unsigned multiprocessors = gpu->multiprocessors / SERVED / PART_STEP * PART_STEP;
    int result;

    if (multiprocessors == 0)
        return error_set(error, CUBBY_ERR_UNSUPPORTED, "%u multiprocessors: too few for %d parts",
                         gpu->multiprocessors, SERVED);
    result = cubby_green_division_new(gpu->device, NAMES, SERVED, multiprocessors, &side->division,
                                      error);
    for (size_t i = 0; i < SERVED && result == 0; i++)
        result = cubby_engine_set_external_stream(
            side->engines[i], cubby_green_division_part(side->division, i)->stream, error);
    return result;
}

static int open_side(const struct gpu_bench *gpu, const struct gpu_shape *shapes, enum place place,
                     bool is_recorded, struct side *side, struct cubby_error *error) {
    struct cubby_runtime_settings settings = CUBBY_RUNTIME_SETTINGS_INIT;
    int result = 0;

    *side = (struct side){.shapes = shapes};
    settings.dynamic_shapes_kernel_specialization_strategy = CUBBY_SPECIALIZATION_EAGER;
    settings.cuda_graph_strategy =
        is_recorded ? CUBBY_CUDA_GRAPH_WHOLE_GRAPH_CAPTURE : CUBBY_CUDA_GRAPH_DISABLED;
    for (size_t i = 0; i < SERVED && result == 0; i++)
        result = gpu_engine_open(gpu, &shapes[i], &settings, gpu->cache, &side->engines[i], error);
    if (result == 0 && place == ONE_STREAM)
        result = bind_stream(gpu, side, error);
    else if (result == 0 && place == PARTS)
        result = bind_parts(gpu, side, error);
    return result;
}

static void close_side(struct side *side) {
    for (size_t i = 0; i < SERVED; i++)
        cubby_engine_unref(side->engines[i]);
    cubby_green_division_free(side->division);
    device_stream_free(side->stream);
    device_context_unref(side->context);
}

/* ---- The rows ---------------------------------------------------------------------------- */

/* A row that failed to open; one that the device or the driver is too little for is left out. */
static void tell(const struct gpu_bench *gpu, struct row *row, int result,
                 struct cubby_error *error) {
    if (result == CUBBY_ERR_UNSUPPORTED)
        bench_skip(gpu->bench, row, "%.150s", error->message);
    else
        bench_fail(gpu->bench, row, "%.150s", error->message);
    cubby_error_clear(error);
}

static const char *const PLACES[] = {
    [ONE_STREAM] = "all engines in one stream",
    [OWN_STREAMS] = "each in its own stream",
    [PARTS] = "each on a part of the device",
};

/* "serve/parts/graph": rounds of all engines, waited for at the end. */
static void measure_throughput(const struct gpu_bench *gpu, const struct gpu_shape *shapes,
                               enum place place, bool is_recorded) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct side floor = {0}, subject = {0};
    char what[32];
    struct row row;
    int result;

    snprintf(what, sizeof(what), "serve/%s/%s", place == PARTS ? "parts" : "streams",
             is_recorded ? "graph" : "launches");
    if (!bench_begin(gpu->bench, &row, what, 0))
        return;
    row.floor = (struct work){PLACES[place - 1], serve_once, &floor};
    row.subject = (struct work){PLACES[place], serve_once, &subject};
    result = open_side(gpu, shapes, place - 1, is_recorded, &floor, &error);
    if (result == 0)
        result = open_side(gpu, shapes, place, is_recorded, &subject, &error);
    if (result == 0)
        bench_measure(gpu->bench, &row);
    else
        tell(gpu, &row, result, &error);
    close_side(&subject);
    close_side(&floor);
}

/* "latency/parts/p99": the first engine, while the others have work for long. */
static void measure_latency(const struct gpu_bench *gpu, const struct gpu_shape *shapes) {
    static const double PARTS_OF_ALL[] = {0.5, 0.99};
    static const char *const NAMES[] = {"latency/parts/p50", "latency/parts/p99"};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct side floor = {0}, subject = {0};
    struct comparison comparisons[2];
    struct plan plan = gpu->bench->plan;
    struct row rows[2];
    bool is_wanted = false;
    int result;

    for (size_t i = 0; i < 2; i++) {
        is_wanted = bench_begin(gpu->bench, &rows[i], NAMES[i], 0) || is_wanted;
        rows[i].floor = (struct work){PLACES[OWN_STREAMS], run_first, &floor};
        rows[i].subject = (struct work){PLACES[PARTS], run_first, &subject};
    }
    if (!is_wanted)
        return;
    plan.runs = (plan.runs + 14) / 15;
    result = open_side(gpu, shapes, OWN_STREAMS, true, &floor, &error);
    if (result == 0)
        result = open_side(gpu, shapes, PARTS, true, &subject, &error);
    if (result < 0)
        tell(gpu, &rows[0], result, &error);
    else if (measure_latencies(&rows[0].floor, &rows[0].subject, get_busy, &plan, LATENCIES,
                               PARTS_OF_ALL, 2, comparisons) < 0)
        bench_fail(gpu->bench, &rows[0], "an operation that was to be timed failed");
    else
        for (size_t i = 0; i < 2; i++)
            bench_keep(gpu->bench, &rows[i], &comparisons[i]);
    close_side(&subject);
    close_side(&floor);
}

/* first: dims of the first engine, NULL for those to expect; the others have those to expect. */
static int open_shapes(const struct gpu_bench *gpu, const int64_t *first, struct gpu_shape *shapes,
                       struct cubby_error *error) {
    int result = 0;

    for (size_t i = 0; i < SERVED && result == 0; i++)
        result = gpu_shape_open(gpu, GPU_ENGINES[i].name, i == 0 ? first : NULL, &shapes[i], error);
    return result;
}

static void close_shapes(struct gpu_shape *shapes) {
    for (size_t i = 0; i < SERVED; i++)
        gpu_shape_close(&shapes[i]);
}

void gpu_serve_rows(const struct gpu_bench *gpu) {
    struct gpu_shape even[SERVED] = {0}, uneven[SERVED] = {0};
    struct cubby_error error = CUBBY_ERROR_INIT;
    int result = open_shapes(gpu, NULL, even, &error);

    if (result == 0)
        result = open_shapes(gpu, GPU_ENGINES[0].least, uneven, &error);
    for (int i = 0; i < 4 && result == 0; i++)
        measure_throughput(gpu, even, i / 2 ? PARTS : OWN_STREAMS, i % 2 == 1);
    if (result == 0) {
        measure_latency(gpu, uneven);
    } else {
        struct row row;

        bench_begin(gpu->bench, &row, "serve", 0);
        tell(gpu, &row, result, &error);
    }
    close_shapes(uneven);
    close_shapes(even);
}
