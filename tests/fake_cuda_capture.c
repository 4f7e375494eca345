/* SPDX-License-Identifier: Apache-2.0 */
/* Captures of the driver's double: what is recorded, and what breaks the recording. */
#include <stdlib.h>
#include <string.h>

#include "fake_cuda_state.h"

static __thread unsigned thread_mode = DRIVER_STREAM_CAPTURE_MODE_GLOBAL;

void fake_break(struct fake_capture *capture) {
    if (capture)
        capture->invalid = true;
}

struct fake_capture *fake_capture_by_id(unsigned long long id) {
    struct fake_capture *capture = fake.captures;

    while (capture && capture->id != id)
        capture = capture->next;
    return capture;
}

/* ---- What is forbidden ------------------------------------------------------------------- */

/*
 * [cuThreadExchangeStreamCaptureMode] Potentially unsafe calls: in the modes GLOBAL and
 * THREAD_LOCAL forbidden to a thread that has a capture not begun as RELAXED; in the mode GLOBAL
 * also while another thread has one begun as GLOBAL. A forbidden call breaks these captures.
 */
unsigned fake_check_unsafe(void) {
    unsigned code = 0;

    if (thread_mode == DRIVER_STREAM_CAPTURE_MODE_RELAXED)
        return 0;
    for (struct fake_capture *capture = fake.captures; capture; capture = capture->next) {
        bool ours = pthread_equal(capture->thread, pthread_self());
        bool forbids = ours ? capture->mode != DRIVER_STREAM_CAPTURE_MODE_RELAXED
                            : capture->mode == DRIVER_STREAM_CAPTURE_MODE_GLOBAL &&
                                  thread_mode == DRIVER_STREAM_CAPTURE_MODE_GLOBAL;

        if (forbids) {
            fake_break(capture);
            code = DRIVER_ERROR_STREAM_CAPTURE_UNSUPPORTED;
        }
    }
    return code;
}

/* [guide, "Prohibited and unhandled operations"] The legacy stream waits for all blocking streams,
 * so it cannot be used while one of them captures. */
unsigned fake_check_legacy(const struct CUctx_st *context) {
    unsigned code = 0;

    for (struct fake_object *object = fake.objects[FAKE_STREAM]; object; object = object->next) {
        struct CUstream_st *stream = (struct CUstream_st *)object;

        if (object->context == fake_primary(context) && stream->capture &&
            !(stream->flags & DRIVER_STREAM_NON_BLOCKING)) {
            fake_break(stream->capture);
            code = DRIVER_ERROR_STREAM_CAPTURE_IMPLICIT;
        }
    }
    return code;
}

/* [guide, the same] It is invalid to synchronize or query a stream that is being captured, which
 * has no work to wait for. */
unsigned fake_check_stream(struct CUstream_st *stream) {
    if (!stream->capture)
        return 0;
    fake_break(stream->capture);
    return DRIVER_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

/* [guide, the same] Nor what contains such a stream: its context. */
unsigned fake_check_context(const struct CUctx_st *context) {
    unsigned code = 0;

    for (struct fake_object *object = fake.objects[FAKE_STREAM]; object; object = object->next) {
        struct CUstream_st *stream = (struct CUstream_st *)object;

        if (object->context && object->context->device == context->device && stream->capture) {
            fake_break(stream->capture);
            code = DRIVER_ERROR_STREAM_CAPTURE_UNSUPPORTED;
        }
    }
    return code;
}

/* ---- Recording --------------------------------------------------------------------------- */

static void set_tail(struct CUstream_st *stream, struct CUgraphNode_st *const *nodes,
                     size_t count) {
    struct CUgraphNode_st **copy = fake_zeroed(count * sizeof(*copy));

    if (count > 0)
        memcpy(copy, nodes, count * sizeof(*copy));
    free(stream->tail);
    stream->tail = copy;
    stream->tail_count = count;
}

unsigned fake_capture_operation(struct CUstream_st *stream, struct fake_operation *operation) {
    struct CUgraphNode_st *node;

    if (stream->capture->invalid) {
        fake_operation_unref(operation);
        return DRIVER_ERROR_STREAM_CAPTURE_INVALIDATED;
    }
    node = fake_graph_add(stream->capture->graph, operation, stream->tail, stream->tail_count);
    set_tail(stream, &node, 1);
    return 0;
}

unsigned fake_capture_record(struct CUstream_st *stream, struct CUevent_st *event) {
    if (stream->capture->invalid)
        return DRIVER_ERROR_STREAM_CAPTURE_INVALIDATED;
    free(event->nodes);
    event->nodes = fake_zeroed(stream->tail_count * sizeof(*event->nodes));
    if (stream->tail_count > 0)
        memcpy(event->nodes, stream->tail, stream->tail_count * sizeof(*event->nodes));
    event->node_count = stream->tail_count;
    event->capture = stream->capture->id;
    return 0;
}

static void add_to_tail(struct CUstream_st *stream, struct CUgraphNode_st *node) {
    for (size_t i = 0; i < stream->tail_count; i++) {
        if (stream->tail[i] == node)
            return;
    }
    stream->tail = fake_grown(stream->tail, stream->tail_count + 1, sizeof(*stream->tail));
    stream->tail[stream->tail_count++] = node;
}

/*
 * [guide, "Cross-stream dependencies and events"] Waiting for an event of a capture draws a stream
 * into it; two captures cannot be joined; a captured stream cannot wait for an event that was
 * recorded outside.
 */
unsigned fake_capture_wait(struct CUstream_st *stream, struct CUevent_st *event) {
    struct fake_capture *capture = event->capture ? fake_capture_by_id(event->capture) : NULL;

    if (!event->capture && !event->stream)
        return 0; /* never recorded */
    if (!event->capture) {
        fake_break(stream->capture);
        return DRIVER_ERROR_STREAM_CAPTURE_ISOLATION;
    }
    if (!capture) {
        fake_break(stream->capture);
        return DRIVER_ERROR_CAPTURED_EVENT; /* of a capture that has ended */
    }
    if (capture->invalid)
        return DRIVER_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (stream->capture && stream->capture != capture) {
        fake_break(stream->capture);
        fake_break(capture);
        return DRIVER_ERROR_STREAM_CAPTURE_MERGE;
    }
    if (stream == fake_primary(stream->object.context)->legacy) {
        fake_break(capture);
        return DRIVER_ERROR_STREAM_CAPTURE_IMPLICIT;
    }
    stream->capture = capture;
    for (size_t i = 0; i < event->node_count; i++)
        add_to_tail(stream, event->nodes[i]);
    return 0;
}

/* ---- Begin and end ----------------------------------------------------------------------- */

/* [cuStreamBeginCapture] Not on the legacy stream, not on one that captures. */
static unsigned begin(struct CUstream_st *handle, unsigned mode) {
    struct fake_capture *capture;
    struct CUstream_st *stream;
    unsigned code = fake_stream(handle, &stream);

    if (code)
        return code;
    if (mode > DRIVER_STREAM_CAPTURE_MODE_RELAXED)
        return DRIVER_ERROR_INVALID_VALUE;
    if (stream == fake_primary(stream->object.context)->legacy)
        return DRIVER_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (stream->capture)
        return DRIVER_ERROR_ILLEGAL_STATE;
    capture = fake_zeroed(sizeof(*capture));
    capture->id = ++fake.next_capture;
    capture->origin = stream;
    capture->mode = mode;
    capture->thread = pthread_self();
    capture->graph = fake_graph_new();
    capture->next = fake.captures;
    fake.captures = capture;
    stream->capture = capture;
    set_tail(stream, NULL, 0);
    return 0;
}

unsigned cuStreamBeginCapture_v2(struct CUstream_st *stream, unsigned mode) {
    FAKE_CALL("cuStreamBeginCapture_v2", begin(stream, mode));
}

/* Whether everything that was captured leads to the end of the first stream. */
static bool is_joined(const struct fake_capture *capture) {
    const struct CUstream_st *origin = capture->origin;

    for (size_t i = 0; i < origin->tail_count; i++)
        origin->tail[i]->joined = true;
    for (size_t i = 0; i < capture->graph->count; i++) {
        if (!capture->graph->nodes[i]->joined)
            return false;
    }
    return true;
}

static void let_go(struct fake_capture *capture) {
    struct fake_capture **at = &fake.captures;

    for (struct fake_object *object = fake.objects[FAKE_STREAM]; object; object = object->next) {
        struct CUstream_st *stream = (struct CUstream_st *)object;

        if (stream->capture == capture) {
            stream->capture = NULL;
            set_tail(stream, NULL, 0);
        }
    }
    while (*at != capture)
        at = &(*at)->next;
    *at = capture->next;
    free(capture);
}

void fake_capture_forget(const struct CUstream_st *stream) {
    struct fake_capture *capture = stream->capture;

    if (!capture)
        return;
    fake_graph_free(capture->graph);
    let_go(capture);
}

/*
 * [cuStreamEndCapture] On the stream where it began, and in that thread unless it is RELAXED; a
 * broken capture ends with a NULL graph. [CUresult] UNJOINED: a fork that was not joined.
 */
static unsigned end(struct CUstream_st *handle, struct CUgraph_st **ret_graph) {
    struct fake_capture *capture;
    struct CUstream_st *stream;
    struct CUgraph_st *graph;
    unsigned code = fake_stream(handle, &stream);

    if (code)
        return code;
    capture = stream->capture;
    if (!capture)
        return DRIVER_ERROR_ILLEGAL_STATE;
    if (capture->mode != DRIVER_STREAM_CAPTURE_MODE_RELAXED &&
        !pthread_equal(capture->thread, pthread_self()))
        return DRIVER_ERROR_STREAM_CAPTURE_WRONG_THREAD;
    if (capture->origin != stream) {
        fake_break(capture);
        return DRIVER_ERROR_STREAM_CAPTURE_UNMATCHED;
    }
    graph = capture->graph;
    if (capture->invalid)
        code = DRIVER_ERROR_STREAM_CAPTURE_INVALIDATED;
    else if (!is_joined(capture))
        code = DRIVER_ERROR_STREAM_CAPTURE_UNJOINED;
    let_go(capture);
    if (code) {
        fake_graph_free(graph);
        graph = NULL;
    }
    *ret_graph = graph;
    return code;
}

unsigned cuStreamEndCapture(struct CUstream_st *stream, struct CUgraph_st **ret_graph) {
    FAKE_CALL("cuStreamEndCapture", end(stream, ret_graph));
}

/* ---- Questions --------------------------------------------------------------------------- */

static unsigned status_of(const struct CUstream_st *stream) {
    if (!stream->capture)
        return DRIVER_STREAM_CAPTURE_STATUS_NONE;
    return stream->capture->invalid ? DRIVER_STREAM_CAPTURE_STATUS_INVALIDATED
                                    : DRIVER_STREAM_CAPTURE_STATUS_ACTIVE;
}

/* [cuStreamIsCapturing] IMPLICIT for the legacy stream while a blocking one captures, without
 * breaking that. */
static unsigned is_capturing(struct CUstream_st *handle, unsigned *status) {
    struct CUstream_st *stream;
    unsigned code = fake_stream(handle, &stream);

    if (code)
        return code;
    if (stream == fake_primary(stream->object.context)->legacy) {
        for (const struct fake_capture *at = fake.captures; at; at = at->next) {
            if (at->origin->object.context == stream->object.context &&
                !(at->origin->flags & DRIVER_STREAM_NON_BLOCKING))
                return DRIVER_ERROR_STREAM_CAPTURE_IMPLICIT;
        }
    }
    *status = status_of(stream);
    return 0;
}

unsigned cuStreamIsCapturing(struct CUstream_st *stream, unsigned *status) {
    FAKE_CALL("cuStreamIsCapturing", is_capturing(stream, status));
}

/* [cuStreamGetCaptureInfo] Outputs after the status only where it is active; each may be NULL. */
static unsigned get_info(struct CUstream_st *handle, unsigned *status, uint64_t *id,
                         struct CUgraph_st **graph, struct CUgraphNode_st *const **depends,
                         size_t *count) {
    struct CUstream_st *stream;
    unsigned code = fake_stream(handle, &stream);

    if (code)
        return code;
    *status = status_of(stream);
    if (*status != DRIVER_STREAM_CAPTURE_STATUS_ACTIVE)
        return 0;
    if (id)
        *id = stream->capture->id;
    if (graph)
        *graph = stream->capture->graph;
    if (depends)
        *depends = stream->tail;
    if (count)
        *count = stream->tail_count;
    return 0;
}

unsigned cuStreamGetCaptureInfo_v2(struct CUstream_st *stream, unsigned *status, uint64_t *id,
                                   struct CUgraph_st **graph,
                                   struct CUgraphNode_st *const **depends, size_t *count) {
    FAKE_CALL("cuStreamGetCaptureInfo_v2", get_info(stream, status, id, graph, depends, count));
}

static unsigned exchange(unsigned *mode) {
    unsigned before = thread_mode;

    if (*mode > DRIVER_STREAM_CAPTURE_MODE_RELAXED)
        return DRIVER_ERROR_INVALID_VALUE;
    thread_mode = *mode;
    *mode = before;
    return 0;
}

unsigned cuThreadExchangeStreamCaptureMode(unsigned *mode) {
    FAKE_CALL("cuThreadExchangeStreamCaptureMode", exchange(mode));
}
