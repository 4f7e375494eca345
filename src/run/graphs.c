/* SPDX-License-Identifier: Apache-2.0 */
/* Who records: an engine for itself, or the caller for several engines and other work. */
#include <stdlib.h>

#include "run/engine.h"
#include "util/error.h"
#include "util/log.h"

struct cubby_graph_scope {
    struct cubby_runtime_scope *settings;
    bool is_outer;
    size_t count;
    struct cubby_engine *engines[]; /* references; each once for each time that it was given */
};

/* ---- What to do -------------------------------------------------------------------------- */

static bool is_one(struct cubby_engine *const *engines, size_t count) {
    for (size_t i = 1; i < count; i++) {
        if (engines[i] != engines[0])
            return false;
    }
    return true;
}

static int check_outer(struct cubby_engine *const *engines, size_t count,
                       struct cubby_error *error) {
    for (size_t i = 0; i < count; i++) {
        if (!cubby_engine_is_monolithic_capturable(engines[i]))
            return error_set(error, CUBBY_ERR_INVALID,
                             "engine %s cannot be part of a graph with other work: it is lazy, and "
                             "would swap kernels later; set its strategy to eager or none",
                             engines[i]->name);
        if (cubby_engine_has_external_stream(engines[i]))
            return error_set(error, CUBBY_ERR_INVALID,
                             "engine %s cannot be part of a graph with other work: it has an "
                             "external stream; clear that before",
                             engines[i]->name);
    }
    return 0;
}

static bool is_disabled(struct cubby_engine *engine) {
    struct cubby_runtime_settings settings;

    cubby_engine_get_settings(engine, &settings);
    cubby_runtime_cache_unref(settings.runtime_cache);
    return settings.cuda_graph_strategy == CUBBY_CUDA_GRAPH_DISABLED;
}

/* ---- Enter and exit ---------------------------------------------------------------------- */

/* In an outer graph no engine is bound to a stream of its own caller's. */
static void mark_outer(struct cubby_graph_scope *scope, int change) {
    for (size_t i = 0; scope->is_outer && i < scope->count; i++) {
        pthread_mutex_lock(&scope->engines[i]->lock);
        scope->engines[i]->outer_graphs += change;
        pthread_mutex_unlock(&scope->engines[i]->lock);
    }
}

static void release(struct cubby_graph_scope *scope) {
    for (size_t i = 0; i < scope->count; i++)
        cubby_engine_unref(scope->engines[i]);
    free(scope);
}

static struct cubby_graph_scope *scope_new(struct cubby_engine *const *engines, size_t count,
                                           bool is_outer) {
    struct cubby_graph_scope *scope =
        calloc(1, sizeof(*scope) + count * sizeof(struct cubby_engine *));

    if (!scope)
        return NULL;
    scope->is_outer = is_outer;
    for (; scope->count < count; scope->count++)
        scope->engines[scope->count] = cubby_engine_ref(engines[scope->count]);
    return scope;
}

int cubby_graph_scope_enter(struct cubby_engine *const *engines, size_t count, bool has_other_work,
                            enum cubby_graph_mode *ret_mode, struct cubby_graph_scope **ret_scope,
                            struct cubby_error *error) {
    struct cubby_runtime_settings overrides = CUBBY_RUNTIME_SETTINGS_INIT;
    const bool is_outer = has_other_work || !is_one(engines, count);
    struct cubby_graph_scope *scope;
    int result = is_outer ? check_outer(engines, count, error) : 0;

    if (result < 0)
        return result;
    scope = scope_new(engines, count, is_outer);
    if (!scope)
        return error_no_memory(error);
    if (!is_outer && count > 0 && is_disabled(engines[0]))
        log_line(CUBBY_LOG_WARN,
                 "engine %s records a graph of its own, although its cuda_graph_strategy is "
                 "disabled: there is nothing to record it with",
                 engines[0]->name);
    if (!is_outer)
        overrides.cuda_graph_strategy = CUBBY_CUDA_GRAPH_WHOLE_GRAPH_CAPTURE;
    result = cubby_runtime_scope_enter(engines, count, &overrides, CUBBY_RUNTIME_SCOPE_CUDA_GRAPHS,
                                       &scope->settings, error);
    if (result < 0) {
        release(scope);
        return result;
    }
    mark_outer(scope, 1);
    *ret_mode = is_outer ? CUBBY_GRAPH_MODE_OUTER : CUBBY_GRAPH_MODE_NATIVE;
    *ret_scope = scope;
    return 0;
}

int cubby_graph_scope_exit(struct cubby_graph_scope *scope, struct cubby_error *error) {
    int result = scope ? cubby_runtime_scope_exit(scope->settings, error) : 0;

    if (!scope || result < 0)
        return result;
    mark_outer(scope, -1);
    release(scope);
    return 0;
}
