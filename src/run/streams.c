/* SPDX-License-Identifier: Apache-2.0 */
#include "run/streams.h"

#include <stdlib.h>
#include <string.h>

#include "driver/graph.h"
#include "driver/stream.h"
#include "run/guard.h"
#include "util/error.h"

/* ---- Choosing ----------------------------------------------------------------------------- */

/* What a stream is, asked with the context of the engine's device. */
struct stream_facts {
    bool is_default; /* of whatever device; it never captures */
    bool captures;
    int device;             /* of a stream that neither captures nor is a default one, */
    struct CUctx_st *place; /* and its green context, or NULL */
};

/* Drivers differ in whether a stream of another context can be asked at all whether it captures; of
 * what device it is can be found out for each. wants_all: not only whether it captures. */
static int ask(struct device_context *context, struct CUstream_st *stream, bool wants_all,
               struct stream_facts *facts, struct cubby_error *error) {
    const struct driver *driver = context->driver;
    struct cubby_error problem = CUBBY_ERROR_INIT;
    int result = capture_is_active(driver, stream, &facts->captures, &problem);

    if (facts->captures)
        return 0;
    if (result < 0 && (stream_find_device(driver, stream, &facts->device, NULL) < 0 ||
                       facts->device == context->device.handle)) {
        error_move(error, &problem);
        return result;
    }
    cubby_error_clear(&problem);
    if (!wants_all)
        return 0;
    result = stream_find_device(driver, stream, &facts->device, error);
    return result == 0 ? stream_find_green(driver, stream, &facts->place, error) : result;
}

static int find_facts(const struct cubby_engine *engine, struct CUstream_st *stream, bool wants_all,
                      struct stream_facts *ret_facts, struct cubby_error *error) {
    struct device_context *context;
    int result;

    *ret_facts = (struct stream_facts){.is_default = !stream || stream == DRIVER_STREAM_LEGACY ||
                                                     stream == DRIVER_STREAM_PER_THREAD};
    if (ret_facts->is_default)
        return 0;
    result = device_context_get(engine->device.ordinal, &context, error);
    if (result < 0)
        return result;
    result = device_context_enter(context, error);
    if (result == 0) {
        result = ask(context, stream, wants_all, ret_facts, error);
        device_context_leave(context);
    }
    device_context_unref(context);
    return result;
}

static int check_device(const struct cubby_engine *engine, const struct stream_facts *facts,
                        struct cubby_error *error) {
    if (facts->is_default || facts->captures || facts->device == engine->device.handle)
        return 0;
    return error_set(error, CUBBY_ERR_INVALID,
                     "engine %s: it runs on device %d (%s), and the stream is of another: pass one "
                     "that was made on its own device",
                     engine->name, engine->device.ordinal, engine->device.name);
}

static int choose_external(const struct cubby_engine *engine, struct destination *destination,
                           struct cubby_error *error) {
    struct stream_facts facts;
    int result = find_facts(engine, engine->external.stream, false, &facts, error);

    destination->stream = engine->external.stream;
    destination->place = engine->external.place;
    if (result < 0 || !facts.captures)
        return result;
    return error_set(error, CUBBY_ERR_INVALID,
                     "engine %s: its external stream captures: clear it, and enter a guard of the "
                     "stream that is to record the engine",
                     engine->name);
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
    return destination->is_own ? 0 : check_device(engine, &facts, error);
}

int streams_choose(const struct cubby_engine *engine, struct destination *ret_destination,
                   struct cubby_error *error) {
    const struct cubby_stream_guard *guard = guard_current();

    *ret_destination = (struct destination){.is_own = !engine->external.stream};
    if (engine->external.stream)
        return choose_external(engine, ret_destination, error);
    return guard ? choose_guarded(engine, guard, ret_destination, error) : 0;
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

/* ---- External streams --------------------------------------------------------------------- */

static int check_external(const struct cubby_engine *engine, struct bound_stream *bound,
                          struct cubby_error *error) {
    struct stream_facts facts;
    int result = find_facts(engine, bound->stream, true, &facts, error);

    if (result < 0)
        return result;
    bound->place = facts.place;
    if (engine->outer_graphs > 0)
        return error_set(error, CUBBY_ERR_INVALID,
                         "engine %s: it is recorded with other work until its graph scope is left: "
                         "leave that before an external stream is bound",
                         engine->name);
    if (facts.is_default)
        return error_set(error, CUBBY_ERR_INVALID,
                         "engine %s: the default streams are of no device: pass one made with "
                         "cuStreamCreate, or clear the external stream",
                         engine->name);
    if (facts.captures)
        return error_set(error, CUBBY_ERR_INVALID,
                         "engine %s: the stream captures: bind it before the capture begins",
                         engine->name);
    return check_device(engine, &facts, error);
}

/* checks: the stream is the user's wish; else it was bound before, or is NULL for none. */
static int set_external(struct cubby_engine *engine, struct bound_stream stream, bool checks,
                        struct bound_stream *ret_before, struct cubby_error *error) {
    int result = engine_begin(engine, error);

    if (result < 0)
        return result;
    if (checks)
        result = check_external(engine, &stream, error);
    *ret_before = engine->external;
    if (result == 0)
        engine->external = stream;
    engine_end(engine);
    return result;
}

int cubby_engine_set_external_stream(struct cubby_engine *engine, struct CUstream_st *stream,
                                     struct cubby_error *error) {
    struct bound_stream before;

    return set_external(engine, (struct bound_stream){stream, NULL}, true, &before, error);
}

int cubby_engine_clear_external_stream(struct cubby_engine *engine, struct cubby_error *error) {
    struct bound_stream before;

    return set_external(engine, (struct bound_stream){NULL, NULL}, false, &before, error);
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

/* ---- Several by name ---------------------------------------------------------------------- */

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
        struct bound_stream within;
        int one =
            bound->engine ? set_external(bound->engine, bound->before, false, &within, error) : 0;

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
        int result = set_external(found[i], (struct bound_stream){bindings[i].stream, NULL}, true,
                                  &bound->before, error);

        if (result < 0)
            return result;
        bound->engine = cubby_engine_ref(found[i]);
        scope->count++;
    }
    return 0;
}

/* Gives the engines back without restoring anything. */
static void release(struct cubby_stream_scope *scope) {
    for (size_t i = 0; i < scope->count; i++)
        cubby_engine_unref(scope->bound[i].engine);
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
