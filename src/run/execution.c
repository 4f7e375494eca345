/* SPDX-License-Identifier: Apache-2.0 */
#include "run/execution.h"

#include <stdlib.h>
#include <string.h>

#include "driver/graph.h"
#include "driver/launch.h"
#include "driver/stream.h"
#include "run/launches.h"
#include "run/order.h"
#include "run/recording.h"
#include "run/scratch.h"
#include "util/error.h"
#include "util/log.h"

struct execution {
    const struct cubby_engine_plan *plan;
    struct run_events *events;
    enum cubby_specialization_strategy strategy;
    struct device_context *context; /* a reference */
    struct device_stream *stream;
    struct order order;
    struct CUctx_st *place; /* the green context for which the launches are set; NULL for none */
    struct kernels *kernels;
    struct scratch scratch;
    struct launches launches;
    bool records; /* as a graph, once all kernels are what they will be */
    struct recording recording;
    struct variant **chosen; /* for each program, which runs */
    unsigned shape;          /* serial of that for which all is prepared; 0: none */
    unsigned news;           /* of the kernels, when they were chosen */
    bool is_settled;         /* no better kernels than the chosen ones could be asked for, */
    bool is_final;           /* nor are any under way */
};

/* ---- Life -------------------------------------------------------------------------------- */

static int fill(struct execution *execution, const struct kernels_setup *setup, int device,
                struct cubby_error *error) {
    int result = device_context_get(device, &execution->context, error);

    if (result == 0)
        result = device_stream_new(execution->context, 0, &execution->stream, error);
    if (result == 0)
        result = kernels_new(setup, execution->context, &execution->kernels, error);
    if (result == 0)
        execution->order =
            (struct order){.context = execution->context, .own = execution->stream->handle};
    if (result == 0)
        result = launches_init(&execution->launches, setup->plan, error);
    if (result == 0)
        result = recording_init(&execution->recording, &execution->launches,
                                execution->stream->handle, error);
    return result;
}

/* Without graphs an engine is slower, and that is all. */
static bool can_record(const struct driver *driver, const char *name) {
    struct cubby_error problem = CUBBY_ERROR_INIT;

    if (driver->api.cuGraphInstantiateWithFlags)
        return true;
    driver_lacks(driver, "cuGraphInstantiateWithFlags", &problem);
    log_line(CUBBY_LOG_WARN, "engine %s runs without CUDA graphs: %s", name, problem.message);
    return false;
}

int execution_new(const struct kernels_setup *setup, int device,
                  const struct cubby_runtime_settings *settings, struct execution **ret_execution,
                  struct cubby_error *error) {
    struct execution *execution = calloc(1, sizeof(*execution));
    int result;

    if (!execution)
        return error_no_memory(error);
    execution->plan = setup->plan;
    execution->events = setup->events;
    execution->strategy = settings->dynamic_shapes_kernel_specialization_strategy;
    execution->chosen = calloc(setup->plan->program_count + 1, sizeof(struct variant *));
    result = execution->chosen ? fill(execution, setup, device, error) : error_no_memory(error);
    if (result < 0) {
        execution_free(execution);
        return result;
    }
    execution->records = settings->cuda_graph_strategy == CUBBY_CUDA_GRAPH_WHOLE_GRAPH_CAPTURE &&
                         can_record(execution->context->driver, setup->name);
    *ret_execution = execution;
    return 0;
}

/* What is on the device; its context is current where there is one. */
static void clear(struct execution *execution) {
    const struct driver *driver = execution->context ? execution->context->driver : NULL;

    if (driver && execution->stream)
        order_sync(&execution->order, NULL);
    order_free(&execution->order);
    recording_free(&execution->recording, driver);
    scratch_free(&execution->scratch);
    kernels_free(execution->kernels);
    device_stream_free(execution->stream);
}

void execution_free(struct execution *execution) {
    bool is_entered;
    unsigned mode = 0;

    if (!execution)
        return;
    is_entered = execution->context && device_context_enter(execution->context, NULL) == 0;
    if (is_entered)
        mode = capture_tolerate(execution->context->driver);
    clear(execution);
    if (is_entered) {
        capture_restore(execution->context->driver, mode);
        device_context_leave(execution->context);
    }
    device_context_unref(execution->context);
    launches_free(&execution->launches);
    free(execution->chosen);
    free(execution);
}

int execution_mark(struct execution *execution, struct device_event **ret_event,
                   struct cubby_error *error) {
    int result = device_context_enter(execution->context, error);

    if (result < 0)
        return result;
    result = order_mark(&execution->order, execution->records, ret_event, error);
    device_context_leave(execution->context);
    return result;
}

/* The thread may capture something else, which a wait is no part of. */
int execution_await(struct execution *execution, struct device_event *event,
                    struct cubby_error *error) {
    int result = device_context_enter(execution->context, error);
    unsigned mode;

    if (result < 0)
        return result;
    mode = capture_tolerate(execution->context->driver);
    result = order_await(&execution->order, event, error);
    capture_restore(execution->context->driver, mode);
    device_context_leave(execution->context);
    return result;
}

/* ---- Which kernels ----------------------------------------------------------------------- */

static bool may_be_specialised(const struct execution *execution, size_t program) {
    return execution->strategy != CUBBY_SPECIALIZATION_NONE &&
           execution->plan->programs[program].view.specialize_count > 0;
}

static bool is_lazy(const struct execution *execution) {
    return execution->strategy == CUBBY_SPECIALIZATION_LAZY;
}

/* Has the oldest variant make room for another, where there is one that can. */
static int make_room(struct execution *execution, size_t program, bool *ret_made,
                     struct cubby_error *error) {
    struct variant *oldest =
        kernels_find_oldest(execution->kernels, program, execution->chosen[program]);
    int result = oldest ? order_sync(&execution->order, error) : 0;

    *ret_made = oldest && result == 0;
    if (!*ret_made)
        return result;
    recording_reset(&execution->recording, execution->context->driver);
    kernels_drop(execution->kernels, oldest);
    return 0;
}

static int ask_specialised(struct execution *execution, size_t program, const int64_t *dims,
                           struct cubby_error *error) {
    struct variant *variant = kernels_ask(execution->kernels, program, dims, is_lazy(execution));
    bool has_room = false;
    int result = 0;

    if (!variant)
        result = make_room(execution, program, &has_room, error);
    if (has_room)
        variant = kernels_ask(execution->kernels, program, dims, is_lazy(execution));
    if (!variant)
        execution->is_settled = false; /* later */
    return result;
}

/* Has all compiles begin that are needed, before any is waited for; what runs at once first. */
static int ask_for_all(struct execution *execution, const int64_t *dims,
                       struct cubby_error *error) {
    const size_t count = execution->plan->program_count;
    int result = 0;

    for (size_t i = 0; result == 0 && i < count; i++) {
        if ((is_lazy(execution) || !may_be_specialised(execution, i)) &&
            !kernels_ask(execution->kernels, i, NULL, false))
            result = error_no_memory(error);
    }
    for (size_t i = 0; result == 0 && i < count; i++) {
        if (may_be_specialised(execution, i))
            result = ask_specialised(execution, i, dims, error);
    }
    return result;
}

/* The specialised variant, if it can run now; NULL where the generic one is to, as it is where a
 * lazy run had to wait for that. Returns 0, or EXECUTION_WAITS. */
static int find_specialised(struct execution *execution, size_t program, const int64_t *dims,
                            bool has_waited, struct variant **ret_variant) {
    struct variant *variant = kernels_ask(execution->kernels, program, dims, is_lazy(execution));
    enum variant_state state;

    *ret_variant = NULL;
    if (!variant) {
        execution->is_final = false;
        return 0;
    }
    state = variant_state(execution->kernels, variant);
    if (state == VARIANT_PENDING && !is_lazy(execution))
        return EXECUTION_WAITS;
    if (state != VARIANT_PENDING && has_waited && is_lazy(execution)) {
        state = VARIANT_PENDING; /* as it was when this run began: the next one looks again */
        execution->is_settled = false;
    }
    if (state == VARIANT_READY) {
        if (variant->was_missed)
            count_event(execution->events, RUN_SWAP);
        variant->was_missed = false;
        *ret_variant = variant;
        return 0;
    }
    variant->was_missed = true;
    execution->is_final = execution->is_final && state == VARIANT_FAILED;
    return 0;
}

/* Returns 0, EXECUTION_WAITS, or the variant's failure. */
static int find_generic(struct execution *execution, size_t program, struct variant **ret_variant,
                        struct cubby_error *error) {
    struct variant *variant = kernels_ask(execution->kernels, program, NULL, false);
    enum variant_state state;

    if (!variant)
        return error_no_memory(error);
    state = variant_state(execution->kernels, variant);
    if (state == VARIANT_PENDING)
        return EXECUTION_WAITS;
    if (state == VARIANT_READY) {
        *ret_variant = variant;
        return 0;
    }
    error_copy(error, &variant->problem);
    return variant->problem.code;
}

/* What is to run for one program. */
static int choose_one(struct execution *execution, size_t program, const int64_t *dims,
                      bool has_waited, struct cubby_error *error) {
    struct variant *variant = NULL;
    int result = 0;

    if (may_be_specialised(execution, program))
        result = find_specialised(execution, program, dims, has_waited, &variant);
    if (result == 0 && !variant)
        result = find_generic(execution, program, &variant, error);
    if (result == 0)
        execution->chosen[program] = variant;
    return result;
}

static int choose(struct execution *execution, const int64_t *dims, struct kernels_wait *wait,
                  struct cubby_error *error) {
    int result;

    execution->news = kernels_news(execution->kernels);
    execution->is_settled = execution->is_final = true;
    result = ask_for_all(execution, dims, error);
    for (size_t i = 0; result == 0 && i < execution->plan->program_count; i++)
        result = choose_one(execution, i, dims, wait->has_waited, error);
    if (result < 0)
        kernels_forget_failures(execution->kernels); /* their reasons may go away */
    if (result == EXECUTION_WAITS)
        kernels_wait_begin(execution->kernels, execution->news, wait);
    return result;
}

/* ---- One run ----------------------------------------------------------------------------- */

/* Work that is still going on uses the scratch memory that is there. */
static int prepare_scratch(struct execution *execution, const struct shape *shape,
                           struct cubby_error *error) {
    int result = 0;

    if (!scratch_fits(&execution->scratch, execution->plan, shape->geometry))
        result = order_sync(&execution->order, error);
    return result == 0 ? scratch_set(&execution->scratch, execution->context, execution->plan,
                                     shape->geometry, error)
                       : result;
}

static bool is_prepared(const struct execution *execution, const struct shape *shape) {
    return execution->shape == shape->serial && execution->is_settled &&
           execution->news == kernels_news(execution->kernels);
}

static int prepare_anew(struct execution *execution, const struct shape *shape,
                        struct kernels_wait *wait, struct cubby_error *error) {
    int result;

    execution->shape = 0;
    result = choose(execution, shape->dims, wait, error);
    if (result == 0)
        result = prepare_scratch(execution, shape, error);
    if (result == 0)
        result = launches_set(&execution->launches, execution->context, execution->place,
                              execution->chosen, shape->dims, shape->geometry, error);
    if (result == 0)
        execution->shape = shape->serial;
    return result;
}

static void count_run(struct execution *execution) {
    count_event(execution->events, RUN_ENQUEUE);
    for (size_t i = 0; i < execution->plan->program_count; i++) {
        if (execution->chosen[i]->dims)
            count_event(execution->events, RUN_SPECIALIZED);
        else if (execution->plan->programs[i].view.specialize_count > 0)
            count_event(execution->events, RUN_GENERIC);
    }
}

/* Another thread may be capturing, in whatever mode: what is allocated and waited for is no part of
 * that. */
static int prepare(struct execution *execution, const struct shape *shape,
                   struct kernels_wait *wait, struct cubby_error *error) {
    const struct driver *driver = execution->context->driver;
    unsigned mode;
    int result;

    if (is_prepared(execution, shape))
        return 0;
    mode = capture_tolerate(driver);
    result = prepare_anew(execution, shape, wait, error);
    capture_restore(driver, mode);
    return result;
}

/* ---- In someone else's capture ----------------------------------------------------------- */

static const struct variant *find_done(const struct execution *execution, size_t program,
                                       const int64_t *dims) {
    const struct variant *variant = NULL;

    if (may_be_specialised(execution, program)) {
        variant = kernels_find_done(execution->kernels, program, dims);
        if (!variant || variant->state == VARIANT_READY)
            return variant;
    }
    variant = kernels_find_done(execution->kernels, program, NULL);
    return variant && variant->state == VARIANT_READY ? variant : NULL;
}

bool execution_is_ready(struct execution *execution, const struct shape *shape,
                        const struct CUctx_st *place) {
    if (execution->place != place)
        return false;
    for (size_t i = 0; i < execution->plan->program_count; i++) {
        if (!find_done(execution, i, shape->dims))
            return false;
    }
    return scratch_fits(&execution->scratch, execution->plan, shape->geometry);
}

/* What is recorded will be run when we know nothing of it. */
static void pin(struct execution *execution) {
    for (size_t i = 0; i < execution->plan->program_count; i++)
        execution->chosen[i]->is_pinned = true;
    execution->scratch.is_pinned = execution->scratch.memory != NULL;
}

/* ---- In a stream ------------------------------------------------------------------------- */

static int launch(struct execution *execution, struct CUstream_st *stream,
                  struct cubby_error *error) {
    if (execution->records && execution->is_final)
        return recording_run(&execution->recording, &execution->launches, execution->context,
                             execution->place, stream, execution->events, error);
    return launches_run(&execution->launches, execution->context, stream, error);
}

/* What is behind a run comes behind all of it that is in the stream, also where a launch failed. */
static int launch_all(struct execution *execution, struct CUstream_st *stream, bool stays,
                      struct cubby_error *error) {
    int result = launch(execution, stream, error);
    int ended = order_end(&execution->order, stream, stays, result == 0 ? error : NULL);

    return result < 0 ? result : ended;
}

static int launch_in_order(struct execution *execution, const struct destination *destination,
                           struct cubby_error *error) {
    struct order *order = &execution->order;
    struct CUstream_st *stream = destination->is_own ? order->own : destination->stream;
    int result = order_begin(order, stream, error);

    if (result == 0 && destination->has_caller)
        result = order_after_caller(order, destination->caller, error);
    if (result == 0)
        result = launch_all(execution, stream, destination->is_bound, error);
    if (result == 0 && destination->has_caller)
        result = order_before_caller(order, destination->caller, error);
    return result;
}

/* Functions are of a context; a green one that is not bound may be another one each time. */
static void move_to(struct execution *execution, const struct destination *destination) {
    if (execution->place != destination->place || (destination->place && !destination->is_bound))
        execution->shape = 0;
    execution->place = destination->place;
}

/* A graph has the green context that it was recorded in, which may go with the stream. */
static void forget_green_graph(struct execution *execution) {
    const struct driver *driver = execution->context->driver;
    unsigned mode;

    if (!execution->recording.place || device_context_enter(execution->context, NULL) < 0)
        return;
    mode = capture_tolerate(driver);
    recording_reset(&execution->recording, driver);
    capture_restore(driver, mode);
    device_context_leave(execution->context);
}

void execution_forget_stream(struct execution *execution) {
    execution->shape = 0;
    recording_outdate(&execution->recording);
    forget_green_graph(execution);
    order_forget_stream(&execution->order);
}

/* The device's context is current. */
static int run(struct execution *execution, const struct shape *shape, const uint64_t *addresses,
               const struct destination *destination, struct kernels_wait *wait,
               struct cubby_error *error) {
    int result;

    if (!destination->captures)
        move_to(execution, destination);
    result = prepare(execution, shape, wait, error);
    if (result != 0)
        return result;
    launches_point(&execution->launches, addresses, execution->scratch.offsets,
                   scratch_address(&execution->scratch));
    if (!destination->captures)
        return launch_in_order(execution, destination, error);
    pin(execution);
    return launches_run(&execution->launches, execution->context, destination->stream, error);
}

int execution_prepare(struct execution *execution, const struct shape *shape,
                      const struct destination *destination, struct kernels_wait *wait,
                      struct cubby_error *error) {
    int result = device_context_enter(execution->context, error);

    if (result < 0)
        return result;
    move_to(execution, destination);
    result = prepare(execution, shape, wait, error);
    device_context_leave(execution->context);
    return result;
}

int execution_run(struct execution *execution, const struct shape *shape, const uint64_t *addresses,
                  const struct destination *destination, struct kernels_wait *wait,
                  struct cubby_error *error) {
    int result = device_context_enter(execution->context, error);

    if (result < 0)
        return result;
    result = run(execution, shape, addresses, destination, wait, error);
    device_context_leave(execution->context);
    if (result == 0)
        count_run(execution);
    return result;
}
