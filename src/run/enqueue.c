/* SPDX-License-Identifier: Apache-2.0 */
/* One run of an engine: what the caller gave is checked, then the execution context runs it. */
#include <inttypes.h>
#include <string.h>

#include "run/engine.h"
#include "run/front.h"
#include "run/streams.h"
#include "util/error.h"
#include "util/log.h"

/* ---- The execution context --------------------------------------------------------------- */

/* Sets the cache that programs come through, with the runtime cache in front: a new reference, or
 * NULL. A handle that cannot be used is no reason not to run. */
static int open_cache(const struct cubby_engine *engine, struct kernels_setup *setup,
                      struct cubby_error *error) {
    struct cubby_runtime_cache *handle = engine->settings.now.runtime_cache;
    const struct front_place place = {engine->device.arch, engine->driver_version,
                                      plan_has_cuda(engine->plan)};
    struct cubby_error problem = CUBBY_ERROR_INIT;
    int result;

    if (!handle) {
        setup->cache = cubby_cache_ref(engine->cache);
        return 0;
    }
    result = front_open(handle, engine->cache, &place, &setup->cache, &problem);
    if (result == 0) {
        setup->runtime_cache = handle;
    } else if (result == CUBBY_ERR_INVALID) {
        log_line(CUBBY_LOG_WARN, "engine %s: its runtime cache is not used: %s", engine->name,
                 problem.message);
        setup->cache = cubby_cache_ref(engine->cache);
        result = 0;
    } else {
        error_move(error, &problem);
    }
    cubby_error_clear(&problem);
    return result;
}

static int create(struct cubby_engine *engine, struct cubby_error *error) {
    struct kernels_setup setup = {
        .name = engine->name,
        .plan = engine->plan,
        .options = (const char *const *)engine->options,
        .option_count = engine->option_count,
        .events = &engine->events,
        .group = &engine->group,
    };
    struct execution *execution = NULL;
    int result = open_cache(engine, &setup, error);

    if (result == 0)
        result =
            execution_new(&setup, engine->device.ordinal, &engine->settings.now, &execution, error);
    cubby_cache_unref(setup.cache);
    if (result < 0)
        return result;
    pthread_mutex_lock(&engine->lock);
    engine->execution = execution;
    pthread_mutex_unlock(&engine->lock);
    count_event(&engine->events, RUN_CONTEXT);
    return 0;
}

/* The one place that creates an execution context. */
static int get_execution(struct cubby_engine *engine, struct execution **ret_execution,
                         struct cubby_error *error) {
    int result = engine->execution ? 0 : create(engine, error);

    *ret_execution = engine->execution;
    return result;
}

/* ---- What the caller gave ---------------------------------------------------------------- */

static int set_shape(struct cubby_engine *engine, const int64_t *dims, size_t dim_count,
                     struct cubby_error *error) {
    const size_t size = engine->plan->dim_count * sizeof(*dims);
    struct cubby_engine_geometry *geometry;
    struct shape *shape = &engine->shape;
    int result;

    if (shape->serial > 0 && dim_count == engine->plan->dim_count &&
        (size == 0 || (dims && memcmp(shape->dims, dims, size) == 0)))
        return 0;
    result = cubby_engine_plan_evaluate(engine->plan, dims, dim_count, &geometry, error);
    if (result < 0)
        return result;
    cubby_engine_geometry_free(shape->geometry);
    shape->geometry = geometry;
    if (dims)
        memcpy(shape->dims, dims, size);
    shape->serial = shape->serial == UINT32_MAX ? 1 : shape->serial + 1;
    return 0;
}

static int check_buffer(const struct cubby_engine *engine, size_t tensor,
                        const struct cubby_engine_buffer *buffer, struct cubby_error *error) {
    const struct cubby_engine_tensor *what = &engine->plan->tensors[tensor];
    const uint64_t bytes = engine->shape.geometry->tensors[tensor].bytes;
    const size_t alignment = cubby_dtype_size(what->dtype);

    if (buffer->address == 0)
        return error_set(error, CUBBY_ERR_INVALID,
                         "engine %s: no buffer for the %s %s: expected the address of %" PRIu64
                         " bytes on device %d",
                         engine->name, cubby_role_name(what->role), what->name, bytes,
                         engine->device.ordinal);
    if (buffer->address % alignment != 0)
        return error_set(error, CUBBY_ERR_INVALID,
                         "engine %s: the buffer for %s is at 0x%" PRIx64
                         ": expected a multiple of %zu, the size of its elements",
                         engine->name, what->name, buffer->address, alignment);
    if (buffer->size < bytes)
        return error_set(error, CUBBY_ERR_INVALID,
                         "engine %s: the buffer for %s has %" PRIu64 " bytes: expected %" PRIu64
                         " for these dims",
                         engine->name, what->name, buffer->size, bytes);
    return 0;
}

/* Takes the buffers, which stand for all tensors but scratch. */
static int set_buffers(struct cubby_engine *engine, const struct cubby_engine_call *call,
                       struct cubby_error *error) {
    const size_t given = call->buffers ? call->buffer_count : 0;
    size_t next = 0;
    int result = 0;

    for (size_t i = 0; result == 0 && i < engine->plan->tensor_count; i++) {
        static const struct cubby_engine_buffer NONE = {0, 0};

        if (engine->plan->tensors[i].role == CUBBY_ROLE_SCRATCH)
            continue;
        result = check_buffer(engine, i, next < given ? &call->buffers[next] : &NONE, error);
        if (result == 0)
            engine->addresses[i] = call->buffers[next++].address;
    }
    if (result == 0 && next != call->buffer_count)
        result = error_set(error, CUBBY_ERR_INVALID,
                           "engine %s: %zu buffers: expected %zu, one for each input and output",
                           engine->name, call->buffer_count, next);
    return result;
}

/* ---- Running ----------------------------------------------------------------------------- */

/* In someone else's capture nothing may happen but launches, and these have to stay what they are.
 */
static int check_capture(struct cubby_engine *engine, const struct destination *destination,
                         struct cubby_error *error) {
    if (!cubby_engine_is_monolithic_capturable(engine))
        return error_set(error, CUBBY_ERR_INVALID,
                         "engine %s cannot be recorded: it is lazy, and would swap kernels later; "
                         "set dynamic_shapes_kernel_specialization_strategy to 1 (eager) or 2 "
                         "(none)",
                         engine->name);
    if (!engine->execution ||
        !execution_is_ready(engine->execution, &engine->shape, destination->place))
        return error_set(error, CUBBY_ERR_INVALID,
                         "engine %s cannot be recorded: not everything is ready for these dims in "
                         "this stream; call cubby_engine_prepare() before the capture begins",
                         engine->name);
    return 0;
}

/* Returns EXECUTION_WAITS with *wait, as does prepare(). */
static int enqueue(struct cubby_engine *engine, const struct cubby_engine_call *call,
                   struct kernels_wait *wait, struct cubby_error *error) {
    struct destination destination = {.is_own = true};
    struct execution *execution;
    int result = set_shape(engine, call->dims, call->dim_count, error);

    if (result == 0)
        result = set_buffers(engine, call, error);
    if (result == 0)
        result = streams_choose(engine, &destination, error);
    if (result == 0 && destination.captures)
        result = check_capture(engine, &destination, error);
    if (result == 0)
        result = get_execution(engine, &execution, error);
    return result == 0 ? execution_run(execution, &engine->shape, engine->addresses, &destination,
                                       wait, error)
                       : result;
}

/* As enqueue(), for the dims of the call alone. */
static int prepare(struct cubby_engine *engine, const struct cubby_engine_call *call,
                   struct kernels_wait *wait, struct cubby_error *error) {
    struct destination destination = {.is_own = true};
    struct execution *execution;
    int result = set_shape(engine, call->dims, call->dim_count, error);

    if (result == 0)
        result = streams_choose(engine, &destination, error);
    if (result < 0)
        return result;
    if (destination.captures)
        return check_capture(engine, &destination,
                             error); /* there is nothing left to do, or it is too late */
    result = streams_prepare(engine, &destination, error);
    if (result == 0)
        result = get_execution(engine, &execution, error);
    return result == 0 ? execution_prepare(execution, &engine->shape, &destination, wait, error)
                       : result;
}

typedef int (*engine_step)(struct cubby_engine *engine, const struct cubby_engine_call *call,
                           struct kernels_wait *wait, struct cubby_error *error);

/* While kernels are waited for, others have their turns, after which everything is looked at anew.
 */
static int take_turns(struct cubby_engine *engine, engine_step step,
                      const struct cubby_engine_call *call, struct cubby_error *error) {
    struct kernels_wait wait = KERNELS_WAIT_INIT;
    int result;

    for (;;) {
        result = engine_begin(engine, error);
        if (result < 0)
            return result;
        result = step(engine, call, &wait, error);
        engine_end(engine);
        if (result != EXECUTION_WAITS)
            return result;
        kernels_wait_end(&wait);
    }
}

int cubby_engine_prepare(struct cubby_engine *engine, const int64_t *dims, size_t dim_count,
                         struct cubby_error *error) {
    const struct cubby_engine_call call = {.dims = dims, .dim_count = dim_count};

    return take_turns(engine, prepare, &call, error);
}

int cubby_engine_enqueue(struct cubby_engine *engine, const struct cubby_engine_call *call,
                         struct cubby_error *error) {
    return take_turns(engine, enqueue, call, error);
}

/* ---- Waiting ----------------------------------------------------------------------------- */

/* What there is to wait for, with the execution held; *ret_execution is NULL for nothing. */
static int begin_sync(struct cubby_engine *engine, struct execution **ret_execution,
                      struct device_event **ret_event, struct cubby_error *error) {
    int result = engine_begin(engine, error);

    *ret_execution = NULL;
    if (result < 0)
        return result;
    if (engine->execution)
        result = execution_mark(engine->execution, ret_event, error);
    if (engine->execution && result == 0) {
        pthread_mutex_lock(&engine->lock);
        engine->syncs++;
        pthread_mutex_unlock(&engine->lock);
        *ret_execution = engine->execution;
    }
    engine_end(engine);
    return result;
}

int cubby_engine_sync(struct cubby_engine *engine, struct cubby_error *error) {
    struct execution *execution;
    struct device_event *event;
    int result = begin_sync(engine, &execution, &event, error);

    if (!execution)
        return result;
    result = execution_await(execution, event, error);
    pthread_mutex_lock(&engine->lock);
    if (--engine->syncs == 0)
        pthread_cond_broadcast(&engine->synced);
    pthread_mutex_unlock(&engine->lock);
    return result;
}
