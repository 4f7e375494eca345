/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/graph.h"

#include "util/error.h"

int capture_begin(const struct driver *driver, struct CUstream_st *stream,
                  struct cubby_error *error) {
    return driver_call(driver, error, cuStreamBeginCapture_v2, stream,
                       DRIVER_STREAM_CAPTURE_MODE_THREAD_LOCAL);
}

int capture_end(const struct driver *driver, struct CUstream_st *stream,
                struct CUgraph_st **ret_graph, struct cubby_error *error) {
    struct CUgraph_st *graph = NULL;
    int result = driver_call(driver, error, cuStreamEndCapture, stream, &graph);

    if (result == 0 && !graph)
        result = driver_fail(driver, "cuStreamEndCapture", DRIVER_ERROR_STREAM_CAPTURE_INVALIDATED,
                             error);
    if (result == 0)
        *ret_graph = graph;
    return result;
}

void capture_abandon(const struct driver *driver, struct CUstream_st *stream) {
    struct CUgraph_st *graph = NULL;

    driver->api.cuStreamEndCapture(stream, &graph);
    graph_free(driver, graph);
}

int capture_is_active(const struct driver *driver, struct CUstream_st *stream, bool *ret_active,
                      struct cubby_error *error) {
    unsigned status = DRIVER_STREAM_CAPTURE_STATUS_NONE;
    int result = driver_call(driver, error, cuStreamIsCapturing, stream, &status);

    if (result == 0 && status == DRIVER_STREAM_CAPTURE_STATUS_INVALIDATED)
        result = driver_fail(driver, "cuStreamIsCapturing", DRIVER_ERROR_STREAM_CAPTURE_INVALIDATED,
                             error);
    if (result == 0)
        *ret_active = status == DRIVER_STREAM_CAPTURE_STATUS_ACTIVE;
    return result;
}

#define UNCHANGED 3 /* no mode of the driver's */

unsigned capture_tolerate(const struct driver *driver) {
    unsigned mode = DRIVER_STREAM_CAPTURE_MODE_RELAXED;
    unsigned code = driver->api.cuThreadExchangeStreamCaptureMode(&mode);

    return code == DRIVER_SUCCESS ? mode : UNCHANGED;
}

void capture_restore(const struct driver *driver, unsigned mode) {
    if (mode != UNCHANGED)
        driver->api.cuThreadExchangeStreamCaptureMode(&mode);
}

void graph_free(const struct driver *driver, struct CUgraph_st *graph) {
    if (graph)
        driver->api.cuGraphDestroy(graph);
}

void graph_exec_free(const struct driver *driver, struct CUgraphExec_st *exec) {
    if (exec)
        driver->api.cuGraphExecDestroy(exec);
}

/* Whatever keeps the driver from an update, a new instance is the way on. */
static bool update(const struct driver *driver, struct CUgraphExec_st *exec,
                   struct CUgraph_st *graph) {
    struct CUgraphExecUpdateResultInfo_st info = {0};
    struct CUgraphNode_st *node = NULL;
    unsigned outcome = DRIVER_GRAPH_EXEC_UPDATE_ERROR;

    if (driver->api.cuGraphExecUpdate_v2)
        return driver->api.cuGraphExecUpdate_v2(exec, graph, &info) == DRIVER_SUCCESS;
    return driver->api.cuGraphExecUpdate(exec, graph, &node, &outcome) == DRIVER_SUCCESS &&
           outcome == DRIVER_GRAPH_EXEC_UPDATE_SUCCESS;
}

int graph_exec_set(const struct driver *driver, struct CUgraphExec_st **exec,
                   struct CUgraph_st *graph, bool *ret_updated, struct cubby_error *error) {
    struct CUgraphExec_st *made = NULL;
    bool updated = *exec && update(driver, *exec, graph);
    int result = 0;

    if (!updated) {
        result =
            driver_call_optional(driver, error, cuGraphInstantiateWithFlags, &made, graph, 0ull);
        if (result < 0)
            return result;
        graph_exec_free(driver, *exec);
        *exec = made;
    }
    *ret_updated = updated;
    return 0;
}

int graph_exec_launch(const struct driver *driver, struct CUgraphExec_st *exec,
                      struct CUstream_st *stream, struct cubby_error *error) {
    return driver_call(driver, error, cuGraphLaunch, exec, stream);
}
