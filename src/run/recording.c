/* SPDX-License-Identifier: Apache-2.0 */
#include "run/recording.h"

#include <stdlib.h>
#include <string.h>

#include "driver/graph.h"
#include "driver/stream.h"
#include "util/error.h"

/* ---- Life -------------------------------------------------------------------------------- */

int recording_init(struct recording *recording, const struct launches *launches,
                   struct CUstream_st *own, struct cubby_error *error) {
    recording->own = own;
    recording->launches = calloc(launches->plan->launch_count + 1, sizeof(*recording->launches));
    recording->values = calloc(launches->value_count + 1, sizeof(*recording->values));
    return recording->launches && recording->values ? 0 : error_no_memory(error);
}

void recording_reset(struct recording *recording, const struct driver *driver) {
    graph_exec_free(driver, recording->exec);
    recording->exec = NULL;
    recording->place = NULL;
    recording->is_current = false;
}

void recording_outdate(struct recording *recording) {
    recording->is_current = false;
}

void recording_free(struct recording *recording, const struct driver *driver) {
    if (recording->exec)
        recording_reset(recording, driver);
    free(recording->launches);
    free(recording->values);
}

/* ---- What was recorded ------------------------------------------------------------------- */

static bool same_launch(const struct kernel_launch *left, const struct kernel_launch *right) {
    return left->function == right->function && left->shared == right->shared &&
           memcmp(left->grid, right->grid, sizeof(left->grid)) == 0 &&
           memcmp(left->block, right->block, sizeof(left->block)) == 0;
}

static bool is_as_recorded(const struct recording *recording, const struct launches *launches,
                           const struct CUstream_st *stream) {
    if (!recording->is_current || recording->stream != stream)
        return false;
    for (size_t i = 0; i < launches->plan->launch_count; i++) {
        if (!same_launch(&recording->launches[i], &launches->launches[i]))
            return false;
    }
    return memcmp(recording->values, launches->values,
                  launches->value_count * sizeof(*launches->values)) == 0;
}

static void remember(struct recording *recording, const struct launches *launches) {
    memcpy(recording->launches, launches->launches,
           launches->plan->launch_count * sizeof(*launches->launches));
    memcpy(recording->values, launches->values, launches->value_count * sizeof(*launches->values));
    recording->is_current = true;
}

/* ---- Recording --------------------------------------------------------------------------- */

static int capture(const struct launches *launches, struct device_context *context,
                   struct CUstream_st *stream, struct CUgraph_st **ret_graph,
                   struct cubby_error *error) {
    const struct driver *driver = context->driver;
    int result = capture_begin(driver, stream, error);

    if (result < 0)
        return result;
    result = launches_run(launches, context, stream, error);
    if (result == 0)
        result = capture_end(driver, stream, ret_graph, error);
    if (result < 0)
        capture_abandon(driver, stream); /* does nothing where it has ended already */
    return result;
}

/* The thread may capture something else, which must not be broken. */
static int set_exec(struct recording *recording, const struct driver *driver,
                    struct CUgraph_st *graph, bool *ret_updated, struct cubby_error *error) {
    const unsigned mode = capture_tolerate(driver);
    int result = graph_exec_set(driver, &recording->exec, graph, ret_updated, error);

    capture_restore(driver, mode);
    return result;
}

/* A default stream cannot capture. */
static struct CUstream_st *find_recorder(const struct recording *recording,
                                         struct CUstream_st *stream) {
    return stream_is_default(stream) ? recording->own : stream;
}

static int record(struct recording *recording, const struct launches *launches,
                  struct device_context *context, struct CUctx_st *place,
                  struct CUstream_st *stream, struct run_events *events,
                  struct cubby_error *error) {
    struct CUgraph_st *graph = NULL;
    bool updated = false;
    int result = capture(launches, context, find_recorder(recording, stream), &graph, error);

    recording->is_current = false;
    if (result == 0)
        result = set_exec(recording, context->driver, graph, &updated, error);
    graph_free(context->driver, graph);
    if (result < 0)
        return result;
    remember(recording, launches);
    recording->stream = stream;
    recording->place = place;
    count_event(events, RUN_CAPTURE);
    if (updated)
        count_event(events, RUN_UPDATE);
    return 0;
}

int recording_run(struct recording *recording, const struct launches *launches,
                  struct device_context *context, struct CUctx_st *place,
                  struct CUstream_st *stream, struct run_events *events,
                  struct cubby_error *error) {
    int result = 0;

    if (!is_as_recorded(recording, launches, stream))
        result = record(recording, launches, context, place, stream, events, error);
    if (result == 0)
        result = graph_exec_launch(context->driver, recording->exec, stream, error);
    if (result == 0)
        count_event(events, RUN_REPLAY);
    return result;
}
