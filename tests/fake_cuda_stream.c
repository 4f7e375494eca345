/* SPDX-License-Identifier: Apache-2.0 */
/* Streams and events of the driver's double, and the work in them. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fake_cuda_state.h"

/* ---- Operations -------------------------------------------------------------------------- */

struct fake_operation *fake_operation_new(enum fake_operation_kind kind, struct CUctx_st *context) {
    struct fake_operation *operation = fake_zeroed(sizeof(*operation));

    operation->kind = kind;
    operation->references = 1;
    operation->context = context;
    return operation;
}

void fake_operation_unref(struct fake_operation *operation) {
    if (--operation->references > 0)
        return;
    for (size_t i = 0; i < operation->node_count; i++)
        fake_operation_unref(operation->nodes[i]);
    free(operation->nodes);
    free(operation->kernel);
    free(operation);
}

static unsigned long long now(void) {
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (unsigned long long)time.tv_sec * 1000000000u + (unsigned long long)time.tv_nsec;
}

/* Memory that was freed while the copy waited is where a GPU would fault: from then on every call
 * in the context gives ILLEGAL_ADDRESS. */
static bool is_sound(const struct fake_operation *copy) {
    if ((!copy->to_device || fake_is_memory(copy->to, copy->size)) &&
        (!copy->from_device || fake_is_memory(copy->from, copy->size)))
        return true;
    fake_primary(copy->context)->sticky = DRIVER_ERROR_ILLEGAL_ADDRESS;
    return false;
}

static void call_host(const struct fake_operation *operation) {
    pthread_mutex_unlock(&fake.lock);
    fake_in_callback = true;
    operation->call(operation->data);
    fake_in_callback = false;
    pthread_mutex_lock(&fake.lock);
}

/* For FAKE_WAIT, launch.stream is the stream in which the event was recorded. */
static void perform(const struct fake_operation *operation, struct CUstream_st *stream,
                    bool from_graph) {
    switch (operation->kind) {
    case FAKE_LAUNCH:
        fake_run_launch(operation, stream, from_graph);
        break;
    case FAKE_COPY:
        if (is_sound(operation))
            memmove(operation->to, operation->from, operation->size);
        break;
    case FAKE_FILL:
        if (is_sound(operation))
            memset(operation->to, operation->byte, operation->size);
        break;
    case FAKE_HOST:
        call_host(operation);
        break;
    case FAKE_FREE:
        fake_release(operation->to);
        break;
    case FAKE_RECORD:
        if (fake_find(FAKE_EVENT, operation->event) &&
            operation->record > operation->event->done_records) {
            operation->event->done_records = operation->record;
            operation->event->time = now();
        }
        break;
    case FAKE_WAIT:
        if (fake_find(FAKE_STREAM, operation->launch.stream))
            fake_drain(operation->launch.stream, operation->record);
        break;
    case FAKE_REPLAY:
        for (size_t i = 0; i < operation->node_count; i++)
            perform(operation->nodes[i], stream, true);
        break;
    case FAKE_EMPTY:
        break;
    }
}

/* ---- Queues ------------------------------------------------------------------------------ */

/* In order: what another thread has begun ends first. */
static void do_first(struct CUstream_st *stream) {
    struct fake_queued *queued = stream->first;

    stream->first = queued->next;
    if (!stream->first)
        stream->last = NULL;
    stream->running = true;
    /* After a fault, nothing more is done in the context. */
    if (fake_primary(stream->object.context)->sticky == 0 || queued->operation->kind == FAKE_FREE)
        perform(queued->operation, stream, false);
    stream->running = false;
    stream->done = queued->number;
    fake_operation_unref(queued->operation);
    free(queued);
    pthread_cond_broadcast(&fake.changed);
}

void fake_drain(struct CUstream_st *stream, unsigned long number) {
    while (fake_find(FAKE_STREAM, stream) && stream->done < number) {
        if (stream->running)
            pthread_cond_wait(&fake.changed, &fake.lock);
        else if (stream->first)
            do_first(stream);
        else
            break;
    }
}

void fake_drain_context(const struct CUctx_st *context) {
    struct fake_object *object = fake.objects[FAKE_STREAM];

    while (object) {
        struct CUstream_st *stream = (struct CUstream_st *)object;
        bool ours = object->context && object->context->device == context->device;

        if (ours && stream->done < stream->queued) {
            fake_drain(stream, stream->queued);
            object = fake.objects[FAKE_STREAM]; /* the list may have changed meanwhile */
        } else {
            object = object->next;
        }
    }
}

/* [guide, "Default stream"] The legacy stream comes after what all blocking streams of its context
 * have, which has the same result as doing that now. */
void fake_drain_blocking(struct CUctx_st *context) {
    struct fake_object *object = fake.objects[FAKE_STREAM];

    while (object) {
        struct CUstream_st *stream = (struct CUstream_st *)object;

        if (object->context == context && !(stream->flags & DRIVER_STREAM_NON_BLOCKING) &&
            stream->done < stream->queued) {
            fake_drain(stream, stream->queued);
            object = fake.objects[FAKE_STREAM];
        } else {
            object = object->next;
        }
    }
}

size_t fake_pending(void) {
    size_t sum = 0;

    for (struct fake_object *object = fake.objects[FAKE_STREAM]; object; object = object->next) {
        struct CUstream_st *stream = (struct CUstream_st *)object;

        sum += stream->queued - stream->done;
    }
    return sum;
}

bool fake_step(void) {
    for (struct fake_object *object = fake.objects[FAKE_STREAM]; object; object = object->next) {
        struct CUstream_st *stream = (struct CUstream_st *)object;

        if (stream->first && !stream->running) {
            do_first(stream);
            return true;
        }
    }
    return false;
}

static unsigned long append(struct CUstream_st *stream, struct fake_operation *operation) {
    struct fake_queued *queued = fake_zeroed(sizeof(*queued));

    queued->operation = operation;
    queued->number = ++stream->queued;
    if (stream->last)
        stream->last->next = queued;
    else
        stream->first = queued;
    stream->last = queued;
    return queued->number;
}

static bool is_legacy(const struct CUstream_st *stream) {
    return stream == stream->object.context->legacy;
}

unsigned fake_enqueue(struct CUstream_st *stream, struct fake_operation *operation) {
    unsigned code;
    unsigned long number;

    if (stream->capture)
        return fake_capture_operation(stream, operation);
    code = is_legacy(stream) ? fake_check_legacy(stream->object.context) : 0;
    if (code) {
        fake_operation_unref(operation);
        return code;
    }
    if (is_legacy(stream))
        fake_drain_blocking(stream->object.context);
    number = append(stream, operation);
    if (!fake.defer || is_legacy(stream))
        fake_drain(stream, number);
    return 0;
}

/* ---- Handles ----------------------------------------------------------------------------- */

static struct CUstream_st *make_stream(struct CUctx_st *context, unsigned flags, int priority) {
    struct CUstream_st *stream = fake_new(FAKE_STREAM, sizeof(*stream), context);

    stream->flags = flags;
    stream->priority = priority < -5 ? -5 : priority > 0 ? 0 : priority; /* clamped */
    return stream;
}

/*
 * A stream has to be of the device that is current, as with [cuEventRecord] and [cuLaunchKernel];
 * that a context is current at all is asked of every call. All threads have one per-thread stream
 * in the double.
 */
unsigned fake_stream(struct CUstream_st *handle, struct CUstream_st **ret_stream) {
    struct CUctx_st *current;
    unsigned code = fake_current(&current);

    if (code)
        return code;
    if (!handle || handle == DRIVER_STREAM_LEGACY) {
        current = fake_primary(current);
        if (!current->legacy)
            current->legacy = make_stream(current, 0, 0);
        *ret_stream = current->legacy;
        return 0;
    }
    if (handle == DRIVER_STREAM_PER_THREAD) {
        current = fake_primary(current);
        if (!current->per_thread)
            current->per_thread = make_stream(current, 0, 0);
        *ret_stream = current->per_thread;
        return 0;
    }
    if (!fake_is(FAKE_STREAM, handle))
        return DRIVER_ERROR_INVALID_HANDLE;
    /* [cuGreenCtxDestroy] Streams that outlive their green context. */
    if (!handle->object.context)
        return DRIVER_ERROR_CONTEXT_IS_DESTROYED;
    if (handle->object.context->device != current->device)
        return DRIVER_ERROR_INVALID_HANDLE;
    *ret_stream = handle;
    return 0;
}

static unsigned create(struct CUstream_st **ret_stream, unsigned flags, int priority) {
    struct CUctx_st *context;
    unsigned code = fake_current(&context);

    if (code == 0 && flags > DRIVER_STREAM_NON_BLOCKING)
        code = DRIVER_ERROR_INVALID_VALUE;
    if (code == 0)
        *ret_stream = make_stream(context, flags, priority);
    return code;
}

unsigned cuStreamCreateWithPriority(struct CUstream_st **ret_stream, unsigned flags, int priority) {
    FAKE_CALL("cuStreamCreateWithPriority", create(ret_stream, flags, priority));
}

/* What waits for the stream has nothing to wait for any more; another may come to lie in its place.
 */
static void forget_waits(const struct CUstream_st *stream) {
    for (struct fake_object *object = fake.objects[FAKE_EVENT]; object; object = object->next) {
        struct CUevent_st *event = (struct CUevent_st *)object;

        if (event->stream == stream)
            event->stream = NULL;
    }
    for (struct fake_object *object = fake.objects[FAKE_EXEC]; object; object = object->next) {
        struct CUgraphExec_st *exec = (struct CUgraphExec_st *)object;

        if (exec->last_stream == stream)
            exec->last_stream = NULL;
    }
    for (struct fake_object *object = fake.objects[FAKE_STREAM]; object; object = object->next) {
        for (struct fake_queued *at = ((struct CUstream_st *)object)->first; at; at = at->next) {
            if (at->operation->kind == FAKE_WAIT && at->operation->launch.stream == stream)
                at->operation->launch.stream = NULL;
        }
    }
}

void fake_stream_free(struct CUstream_st *stream) {
    fake_capture_forget(stream);
    forget_waits(stream);
    if (stream->object.context && stream->object.context->legacy == stream)
        stream->object.context->legacy = NULL;
    if (stream->object.context && stream->object.context->per_thread == stream)
        stream->object.context->per_thread = NULL;
    free(stream->tail);
    fake_forget(stream);
}

/* [cuStreamDestroy] Work in it is still done. That a capturing stream cannot be destroyed is the
 * stricter reading. */
static unsigned destroy(struct CUstream_st *handle) {
    struct CUstream_st *stream;
    unsigned code = fake_stream(handle, &stream);

    if (code == 0 &&
        (stream == stream->object.context->legacy || stream == stream->object.context->per_thread))
        code = DRIVER_ERROR_INVALID_HANDLE;
    if (code == 0)
        code = fake_check_stream(stream);
    if (code == 0) {
        fake_drain(stream, stream->queued);
        fake_stream_free(stream);
    }
    return code;
}

unsigned cuStreamDestroy_v2(struct CUstream_st *stream) {
    FAKE_CALL("cuStreamDestroy_v2", destroy(stream));
}

static unsigned synchronize(struct CUstream_st *handle) {
    struct CUstream_st *stream;
    unsigned code = fake_stream(handle, &stream);

    if (code == 0)
        code = fake_check_stream(stream);
    if (code)
        return code;
    if (is_legacy(stream))
        fake_drain_blocking(stream->object.context);
    fake_drain(stream, stream->queued);
    return fake_primary(stream->object.context)->sticky;
}

unsigned cuStreamSynchronize(struct CUstream_st *stream) {
    FAKE_CALL("cuStreamSynchronize", synchronize(stream));
}

/* Each question lets time pass: one operation is done, so that who polls comes to an end. */
static unsigned query(struct CUstream_st *handle) {
    struct CUstream_st *stream;
    unsigned code = fake_stream(handle, &stream);

    if (code == 0)
        code = fake_check_stream(stream);
    if (code)
        return code;
    if (stream->done == stream->queued)
        return 0;
    if (!stream->running && stream->first)
        do_first(stream);
    return DRIVER_ERROR_NOT_READY;
}

unsigned cuStreamQuery(struct CUstream_st *stream) {
    FAKE_CALL("cuStreamQuery", query(stream));
}

static unsigned get_priority(struct CUstream_st *handle, int *priority) {
    struct CUstream_st *stream;
    unsigned code = fake_stream(handle, &stream);

    if (code == 0)
        *priority = stream->priority;
    return code;
}

unsigned cuStreamGetPriority(struct CUstream_st *stream, int *priority) {
    FAKE_CALL("cuStreamGetPriority", get_priority(stream, priority));
}

static unsigned get_flags(struct CUstream_st *handle, unsigned *flags) {
    struct CUstream_st *stream;
    unsigned code = fake_stream(handle, &stream);

    if (code == 0)
        *flags = stream->flags;
    return code;
}

unsigned cuStreamGetFlags(struct CUstream_st *stream, unsigned *flags) {
    FAKE_CALL("cuStreamGetFlags", get_flags(stream, flags));
}

/* Whose stream it is, is asked without a context of its device being current; of one that captures
 * not at all, which is stricter than the documentation: some releases break the capture. */
static unsigned find_owner(struct CUstream_st *stream, struct CUctx_st **ret_context) {
    if (!stream || stream == DRIVER_STREAM_LEGACY || stream == DRIVER_STREAM_PER_THREAD)
        return fake_current(ret_context);
    if (!fake_is(FAKE_STREAM, stream))
        return DRIVER_ERROR_INVALID_HANDLE;
    *ret_context = stream->object.context;
    return *ret_context ? fake_check_stream(stream) : DRIVER_ERROR_CONTEXT_IS_DESTROYED;
}

/* [cuStreamGetCtx] Of a stream of a green context, that in its form as a context. */
static unsigned get_context(struct CUstream_st *stream, struct CUctx_st **ret_context) {
    return find_owner(stream, ret_context);
}

unsigned cuStreamGetCtx(struct CUstream_st *stream, struct CUctx_st **ret_context) {
    FAKE_CALL("cuStreamGetCtx", get_context(stream, ret_context));
}

/* [cuStreamGetCtx_v2] The primary context or the green one: what does not apply is left alone,
 * which is the stricter reading. */
static unsigned get_contexts(struct CUstream_st *stream, struct CUctx_st **ret_context,
                             struct CUgreenCtx_st **ret_green) {
    struct CUctx_st *context;
    unsigned code = find_owner(stream, &context);

    if (code == 0) {
        if (context->green)
            *ret_green = context->green;
        else
            *ret_context = context;
    }
    return code;
}

unsigned cuStreamGetCtx_v2(struct CUstream_st *stream, struct CUctx_st **ret_context,
                           struct CUgreenCtx_st **ret_green) {
    FAKE_CALL("cuStreamGetCtx_v2", get_contexts(stream, ret_context, ret_green));
}

static unsigned get_device(struct CUstream_st *stream, int *device) {
    struct CUctx_st *context;
    unsigned code = find_owner(stream, &context);

    if (code == 0)
        *device = FAKE_HANDLE_BASE + context->device;
    return code;
}

unsigned cuStreamGetDevice(struct CUstream_st *stream, int *device) {
    FAKE_CALL("cuStreamGetDevice", get_device(stream, device));
}

/* [cuLaunchHostFunc] */
static unsigned launch_host(struct CUstream_st *handle, void (*call)(void *), void *data) {
    struct fake_operation *operation;
    struct CUstream_st *stream;
    unsigned code = fake_stream(handle, &stream);

    if (code == 0 && !call)
        code = DRIVER_ERROR_INVALID_VALUE;
    if (code)
        return code;
    operation = fake_operation_new(FAKE_HOST, stream->object.context);
    operation->call = call;
    operation->data = data;
    return fake_enqueue(stream, operation);
}

unsigned cuLaunchHostFunc(struct CUstream_st *stream, void (*call)(void *), void *data) {
    FAKE_CALL("cuLaunchHostFunc", launch_host(stream, call, data));
}

/* ---- Events ------------------------------------------------------------------------------ */

static unsigned find_event(struct CUevent_st *event) {
    struct CUctx_st *context;
    unsigned code = fake_current(&context);

    if (code)
        return code;
    return fake_is(FAKE_EVENT, event) ? 0 : DRIVER_ERROR_INVALID_HANDLE;
}

static unsigned create_event(struct CUevent_st **ret_event, unsigned flags) {
    struct CUctx_st *context;
    unsigned code = fake_current(&context);

    if (code == 0 && flags > 7)
        code = DRIVER_ERROR_INVALID_VALUE;
    if (code == 0) {
        *ret_event = fake_new(FAKE_EVENT, sizeof(**ret_event), fake_primary(context));
        (*ret_event)->flags = flags;
    }
    return code;
}

unsigned cuEventCreate(struct CUevent_st **ret_event, unsigned flags) {
    FAKE_CALL("cuEventCreate", create_event(ret_event, flags));
}

void fake_event_free(struct CUevent_st *event) {
    free(event->nodes);
    fake_forget(event);
}

static unsigned destroy_event(struct CUevent_st *event) {
    unsigned code = find_event(event);

    if (code == 0)
        fake_event_free(event);
    return code;
}

unsigned cuEventDestroy_v2(struct CUevent_st *event) {
    FAKE_CALL("cuEventDestroy_v2", destroy_event(event));
}

/* [cuEventRecord] Event and stream are of one context, else INVALID_HANDLE; a green context counts
 * as the primary one that it is a part of. */
static unsigned record(struct CUevent_st *event, struct CUstream_st *handle) {
    struct fake_operation *operation;
    struct CUstream_st *stream;
    unsigned code = fake_stream(handle, &stream);

    if (code == 0)
        code = find_event(event);
    if (code == 0 && event->object.context != fake_primary(stream->object.context))
        code = DRIVER_ERROR_INVALID_HANDLE;
    if (code)
        return code;
    if (stream->capture)
        return fake_capture_record(stream, event);
    operation = fake_operation_new(FAKE_RECORD, stream->object.context);
    operation->event = event;
    operation->record = ++event->records;
    event->capture = 0;
    event->stream = stream;
    event->number = stream->queued + 1;
    return fake_enqueue(stream, operation);
}

unsigned cuEventRecord(struct CUevent_st *event, struct CUstream_st *stream) {
    FAKE_CALL("cuEventRecord", record(event, stream));
}

/* [cuStreamWaitEvent] The stream may be of another device than the event; one that was never
 * recorded is nothing to wait for. */
static unsigned wait(struct CUstream_st *handle, struct CUevent_st *event) {
    struct fake_operation *operation;
    struct CUstream_st *stream;
    unsigned code = fake_stream(handle, &stream);

    if (code == 0)
        code = find_event(event);
    if (code)
        return code;
    if (stream->capture || event->capture)
        return fake_capture_wait(stream, event);
    operation = fake_operation_new(event->stream ? FAKE_WAIT : FAKE_EMPTY, stream->object.context);
    operation->launch.stream = event->stream;
    operation->record = event->number;
    return fake_enqueue(stream, operation);
}

unsigned cuStreamWaitEvent(struct CUstream_st *stream, struct CUevent_st *event, unsigned flags) {
    FAKE_CALL("cuStreamWaitEvent", flags != 0 ? DRIVER_ERROR_INVALID_VALUE : wait(stream, event));
}

/* [cuThreadExchangeStreamCaptureMode] An event of a capture can never be asked for; for others,
 * such a call is a potentially unsafe one. */
static unsigned check_event(struct CUevent_st *event) {
    unsigned code = find_event(event);

    if (code == 0 && event->capture) {
        fake_break(fake_capture_by_id(event->capture));
        code = DRIVER_ERROR_CAPTURED_EVENT;
    }
    return code ? code : fake_check_unsafe();
}

static unsigned query_event(struct CUevent_st *event) {
    unsigned code = check_event(event);

    if (code || event->done_records == event->records || !fake_find(FAKE_STREAM, event->stream))
        return code;
    if (!event->stream->running && event->stream->first)
        do_first(event->stream);
    return DRIVER_ERROR_NOT_READY;
}

unsigned cuEventQuery(struct CUevent_st *event) {
    FAKE_CALL("cuEventQuery", query_event(event));
}

static unsigned synchronize_event(struct CUevent_st *event) {
    unsigned code = check_event(event);
    struct CUctx_st *context;

    if (code == 0 && event->stream && fake_find(FAKE_STREAM, event->stream))
        fake_drain(event->stream, event->number);
    return code ? code : fake_current(&context);
}

unsigned cuEventSynchronize(struct CUevent_st *event) {
    FAKE_CALL("cuEventSynchronize", synchronize_event(event));
}

/* [cuEventElapsedTime] Both recorded, with timing, else INVALID_HANDLE; NOT_READY where the work of
 * one is not done. */
static unsigned elapsed(float *milliseconds, struct CUevent_st *from, struct CUevent_st *to) {
    unsigned code = find_event(from);

    if (code == 0)
        code = find_event(to);
    if (code == 0 && (!from->records || !to->records ||
                      ((from->flags | to->flags) & DRIVER_EVENT_DISABLE_TIMING)))
        code = DRIVER_ERROR_INVALID_HANDLE;
    if (code == 0 && (from->done_records < from->records || to->done_records < to->records))
        code = DRIVER_ERROR_NOT_READY;
    if (code == 0)
        *milliseconds = (float)((double)to->time - (double)from->time) / 1e6f;
    return code;
}

unsigned cuEventElapsedTime(float *milliseconds, struct CUevent_st *from, struct CUevent_st *to) {
    FAKE_CALL("cuEventElapsedTime", elapsed(milliseconds, from, to));
}
