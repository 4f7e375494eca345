/* SPDX-License-Identifier: Apache-2.0 */
#include "run/streams.h"

#include <stdlib.h>
#include <string.h>

#include "driver/graph.h"
#include "driver/stream.h"
#include "run/green.h"
#include "run/guard.h"
#include "util/error.h"

/* ---- Choosing ---------------------------------------------------------------------------- */

/* What a stream is, for an engine. */
struct stream_facts {
    bool is_default; /* of whatever device */
    bool captures;
    bool is_foreign;        /* it captures, and only its own context could be asked */
    int device;             /* of a stream that neither captures nor is a default one, */
    struct CUctx_st *place; /* and its green context, or NULL */
};

static int ask_in(struct device_context *context, struct CUstream_st *stream, bool *ret_captures,
                  struct cubby_error *error) {
    int result = device_context_enter(context, error);

    if (result < 0)
        return result;
    result = capture_is_active(context->driver, stream, ret_captures, error);
    device_context_leave(context);
    return result;
}

/* Drivers differ in whether a stream of another context can be asked at all whether it captures:
 * then its caller's context may be its own. Of what device it is can be found out for each, but may
 * break its capture: that is left for those of which nothing else is told. */
static int ask_captures(struct device_context *context, struct CUstream_st *stream,
                        struct stream_facts *facts, struct cubby_error *error) {
    const struct driver *driver = context->driver;
    struct cubby_error problem = CUBBY_ERROR_INIT;
    int result = ask_in(context, stream, &facts->captures, &problem);

    if (result < 0 && !facts->is_default) {
        if (capture_is_active(driver, stream, &facts->captures, NULL) == 0) {
            facts->is_foreign = facts->captures;
            result = 0;
        } else if (stream_find_device(driver, stream, &facts->device, NULL) == 0 &&
                   facts->device != context->device.handle) {
            result = 0;
        }
    }
    if (result < 0)
        error_move(error, &problem);
    cubby_error_clear(&problem);
    return result;
}

static int ask_place(struct device_context *context, struct CUstream_st *stream,
                     struct stream_facts *facts, struct cubby_error *error) {
    int result = device_context_enter(context, error);

    if (result < 0)
        return result;
    result = stream_find_device(context->driver, stream, &facts->device, error);
    if (result == 0)
        result = stream_find_green(context->driver, stream, &facts->place, error);
    device_context_leave(context);
    return result;
}

/* wants_all: not only whether it captures. */
static int find_facts(const struct cubby_engine *engine, struct CUstream_st *stream, bool wants_all,
                      struct stream_facts *ret_facts, struct cubby_error *error) {
    struct device_context *context;
    int result;

    *ret_facts = (struct stream_facts){.is_default = stream_is_default(stream)};
    result = device_context_get(engine->device.ordinal, &context, error);
    if (result < 0)
        return result;
    result = ask_captures(context, stream, ret_facts, error);
    if (result == 0 && wants_all && !ret_facts->captures && !ret_facts->is_default)
        result = ask_place(context, stream, ret_facts, error);
    device_context_unref(context);
    return result;
}

static int check_device(const struct cubby_engine *engine, const struct stream_facts *facts,
                        struct cubby_error *error) {
    if (!facts->is_foreign &&
        (facts->is_default || facts->captures || facts->device == engine->device.handle))
        return 0;
    return error_set(error, CUBBY_ERR_INVALID,
                     "engine %s: it runs on device %d (%s), and the stream is of another: pass one "
                     "that was made on its own device",
                     engine->name, engine->device.ordinal, engine->device.name);
}

/* An engine with an external stream is part of no graph of its caller's: neither in that stream,
 * nor in the one that the thread works in. */
static int choose_external(const struct cubby_engine *engine,
                           const struct cubby_stream_guard *guard, struct destination *destination,
                           struct cubby_error *error) {
    struct stream_facts facts, around = {.captures = false};
    int result = find_facts(engine, engine->external.stream, false, &facts, error);

    destination->stream = engine->external.stream;
    destination->is_bound = true;
    destination->place = engine->external.place;
    if (result == 0 && facts.captures)
        return error_set(error, CUBBY_ERR_INVALID,
                         "engine %s: its external stream captures: clear it, and enter a guard of "
                         "the stream that is to record the engine",
                         engine->name);
    if (result == 0 && guard && !stream_is_legacy(guard->stream)) /* which never captures */
        result = find_facts(engine, guard->stream, false, &around, error);
    if (result == 0 && around.captures)
        return error_set(error, CUBBY_ERR_INVALID,
                         "engine %s: it has an external stream, and the stream of the thread's "
                         "guard captures: clear the external one for the engine to be recorded",
                         engine->name);
    return result;
}

static int choose_guarded(const struct cubby_engine *engine, const struct cubby_stream_guard *guard,
                          struct destination *destination, struct cubby_error *error) {
    const bool passes = cubby_stream_passthrough();
    struct stream_facts facts;
    int result = find_facts(engine, guard->stream, passes, &facts, error);

    if (result < 0)
        return result;
    destination->captures = facts.captures;
    destination->is_own = !facts.captures && !passes;
    destination->has_caller = destination->is_own;
    destination->stream = destination->caller = guard->stream;
    destination->place = destination->is_own ? NULL : facts.place;
    /* What is recorded cannot be asked where it is. */
    if (facts.captures && engine->prepared.stream == guard->stream)
        destination->place = engine->prepared.place;
    return destination->is_own ? 0 : check_device(engine, &facts, error);
}

int streams_choose(const struct cubby_engine *engine, struct destination *ret_destination,
                   struct cubby_error *error) {
    const struct cubby_stream_guard *guard = guard_current();

    *ret_destination = (struct destination){.is_own = !engine->external.stream};
    if (engine->external.stream)
        return choose_external(engine, guard, ret_destination, error);
    return guard ? choose_guarded(engine, guard, ret_destination, error) : 0;
}

static void forget_prepared(struct cubby_engine *engine) {
    division_unref(engine->prepared.division);
    engine->prepared = (struct bound_stream){.stream = NULL};
}

int streams_prepare(struct cubby_engine *engine, struct destination *destination,
                    struct cubby_error *error) {
    struct stream_facts facts;
    int result;

    forget_prepared(engine);
    if (destination->has_caller) {
        result = find_facts(engine, destination->caller, true, &facts, error);
        if (result < 0)
            return result;
        if (facts.device == engine->device.handle)
            destination->place = facts.place;
    }
    if (!destination->is_bound)
        engine->prepared = (struct bound_stream){destination->stream, destination->place,
                                                 division_of_stream(destination->stream)};
    return 0;
}

bool cubby_engine_is_monolithic_capturable(struct cubby_engine *engine) {
    bool may_swap = false;

    pthread_mutex_lock(&engine->lock);
    for (size_t i = 0; i < engine->plan->program_count; i++)
        may_swap = may_swap || engine->plan->programs[i].view.specialize_count > 0;
    may_swap = may_swap && engine->settings.now.dynamic_shapes_kernel_specialization_strategy ==
                               CUBBY_SPECIALIZATION_LAZY;
    pthread_mutex_unlock(&engine->lock);
    return !may_swap;
}

/* ---- External streams -------------------------------------------------------------------- */

static bool is_recorded_outside(struct cubby_engine *engine) {
    bool is_recorded;

    pthread_mutex_lock(&engine->lock);
    is_recorded = engine->outer_graphs > 0;
    pthread_mutex_unlock(&engine->lock);
    return is_recorded;
}

static int check_external(struct cubby_engine *engine, struct bound_stream *bound,
                          struct cubby_error *error) {
    struct stream_facts facts;
    int result;

    if (is_recorded_outside(engine))
        return error_set(error, CUBBY_ERR_INVALID,
                         "engine %s: it is recorded with other work until its graph scope is left: "
                         "leave that before an external stream is bound",
                         engine->name);
    if (stream_is_default(bound->stream))
        return error_set(error, CUBBY_ERR_INVALID,
                         "engine %s: the default streams are of no device: pass one made with "
                         "cuStreamCreate, or clear the external stream",
                         engine->name);
    result = find_facts(engine, bound->stream, true, &facts, error);
    if (result < 0)
        return result;
    bound->place = facts.place;
    if (facts.captures)
        return error_set(error, CUBBY_ERR_INVALID,
                         "engine %s: the stream captures: bind it before the capture begins",
                         engine->name);
    result = check_device(engine, &facts, error);
    if (result == 0)
        bound->division = division_of_stream(bound->stream);
    return result;
}

/* Gives what was bound before to the caller. */
static struct bound_stream bind(struct cubby_engine *engine, struct bound_stream stream) {
    const struct bound_stream before = engine->external;

    if (engine->execution && (before.stream || stream.stream))
        execution_forget_stream(engine->execution);
    pthread_mutex_lock(&engine->lock);
    engine->external = stream;
    pthread_mutex_unlock(&engine->lock);
    return before;
}

/* checks: the stream is the user's wish; else it was bound before, or is NULL for none. The caller
 * gets what is displaced, where that succeeds. */
static int set_external(struct cubby_engine *engine, struct bound_stream stream, bool checks,
                        struct bound_stream *ret_before, struct cubby_error *error) {
    int result = engine_begin(engine, error);

    if (result < 0)
        return result;
    if (checks)
        result = check_external(engine, &stream, error);
    if (result == 0)
        *ret_before = bind(engine, stream);
    engine_end(engine);
    return result;
}

static int set_for_good(struct cubby_engine *engine, struct bound_stream stream, bool checks,
                        struct cubby_error *error) {
    struct bound_stream before;
    int result = set_external(engine, stream, checks, &before, error);

    if (result == 0)
        division_unref(before.division);
    return result;
}

int cubby_engine_set_external_stream(struct cubby_engine *engine, struct CUstream_st *stream,
                                     struct cubby_error *error) {
    return set_for_good(engine, (struct bound_stream){.stream = stream}, true, error);
}

int cubby_engine_clear_external_stream(struct cubby_engine *engine, struct cubby_error *error) {
    return set_for_good(engine, (struct bound_stream){.stream = NULL}, false, error);
}

struct CUstream_st *cubby_engine_get_external_stream(struct cubby_engine *engine) {
    struct CUstream_st *stream;

    pthread_mutex_lock(&engine->lock);
    stream = engine->external.stream;
    pthread_mutex_unlock(&engine->lock);
    return stream;
}

bool cubby_engine_has_external_stream(struct cubby_engine *engine) {
    return cubby_engine_get_external_stream(engine) != NULL;
}

/* ---- Several by name --------------------------------------------------------------------- */

struct bound {
    struct cubby_engine *engine; /* a reference; NULL once it was restored */
    struct bound_stream before;
};

struct cubby_stream_scope {
    size_t count;
    struct bound bound[];
};

static int find_named(struct cubby_engine *const *engines, size_t count, const char *name,
                      struct cubby_engine **ret_engine, struct cubby_error *error) {
    struct cubby_engine *found = NULL;

    for (size_t i = 0; i < count; i++) {
        if (strcmp(engines[i]->name, name) != 0 || engines[i] == found)
            continue;
        if (found)
            return error_set(error, CUBBY_ERR_INVALID,
                             "two engines are called \"%s\": give them names of their own to bind "
                             "streams by",
                             name);
        found = engines[i];
    }
    if (!found)
        return error_set(error, CUBBY_ERR_INVALID,
                         "no engine is called \"%s\": expected the name of one of the %zu given",
                         name, count);
    *ret_engine = found;
    return 0;
}

/* Finds the engines of all bindings, each once. */
static int find_all(struct cubby_engine *const *engines, size_t count,
                    const struct cubby_stream_binding *bindings, size_t binding_count,
                    struct cubby_engine **found, struct cubby_error *error) {
    int result = 0;

    for (size_t i = 0; result == 0 && i < binding_count; i++) {
        if (!bindings[i].name)
            return error_set(error, CUBBY_ERR_INVALID,
                             "stream %zu has no name: expected that of an engine to bind it to", i);
        result = find_named(engines, count, bindings[i].name, &found[i], error);
        for (size_t j = 0; result == 0 && j < i; j++) {
            if (found[j] == found[i])
                result =
                    error_set(error, CUBBY_ERR_INVALID,
                              "engine %s is given two streams: expected one", bindings[i].name);
        }
    }
    return result;
}

static int restore_all(struct cubby_stream_scope *scope, struct cubby_error *error) {
    int result = 0;

    for (size_t i = scope->count; i > 0; i--) {
        struct bound *bound = &scope->bound[i - 1];
        int one = bound->engine ? set_for_good(bound->engine, bound->before, false, error) : 0;

        if (one == 0) {
            cubby_engine_unref(bound->engine);
            bound->engine = NULL;
        } else if (result == 0) {
            result = one;
        }
    }
    return result;
}

static int bind_all(struct cubby_stream_scope *scope, struct cubby_engine *const *found,
                    const struct cubby_stream_binding *bindings, size_t count,
                    struct cubby_error *error) {
    for (size_t i = 0; i < count; i++) {
        struct bound *bound = &scope->bound[i];
        int result = set_external(found[i], (struct bound_stream){.stream = bindings[i].stream},
                                  true, &bound->before, error);

        if (result < 0)
            return result;
        bound->engine = cubby_engine_ref(found[i]);
        scope->count++;
    }
    return 0;
}

/* Gives the engines back without restoring anything. */
static void release(struct cubby_stream_scope *scope) {
    for (size_t i = 0; i < scope->count; i++) {
        if (scope->bound[i].engine)
            division_unref(scope->bound[i].before.division);
        cubby_engine_unref(scope->bound[i].engine);
    }
    free(scope);
}

int cubby_engines_bind_streams(struct cubby_engine *const *engines, size_t count,
                               const struct cubby_stream_binding *bindings, size_t binding_count,
                               struct cubby_stream_scope **ret_scope, struct cubby_error *error) {
    struct cubby_engine **found = calloc(binding_count + 1, sizeof(struct cubby_engine *));
    struct cubby_stream_scope *scope =
        calloc(1, sizeof(*scope) + binding_count * sizeof(scope->bound[0]));
    int result = found && scope ? 0 : error_no_memory(error);

    if (result == 0)
        result = find_all(engines, count, bindings, binding_count, found, error);
    if (result == 0)
        result = bind_all(scope, found, bindings, binding_count, error);
    if (result < 0 && scope)
        restore_all(scope, NULL);
    free(found);
    if (result == 0 && ret_scope)
        *ret_scope = scope;
    else if (scope)
        release(scope);
    return result;
}

int cubby_stream_scope_exit(struct cubby_stream_scope *scope, struct cubby_error *error) {
    int result = scope ? restore_all(scope, error) : 0;

    if (scope && result == 0)
        release(scope);
    return result;
}
