/* SPDX-License-Identifier: Apache-2.0 */
/* Settings that hold from enter to exit, on several engines together. */
#include <stdlib.h>

#include "run/engine.h"
#include "runtime/runtime_cache.h"
#include "util/error.h"

#define KNOWN                                                                                      \
    (CUBBY_RUNTIME_SCOPE_SPECIALIZATION | CUBBY_RUNTIME_SCOPE_CUDA_GRAPHS |                        \
     CUBBY_RUNTIME_SCOPE_RUNTIME_CACHE)

struct target {
    struct cubby_engine *engine; /* a reference; NULL once it was restored */
    struct settings before;
};

struct cubby_runtime_scope {
    struct cubby_runtime_cache *handle; /* that is saved at exit: a reference, or NULL */
    bool saves;                         /* kernels: in the handle, or in handles of the engines */
    size_t count;
    struct target targets[];
};

/* ---- One engine -------------------------------------------------------------------------- */

static struct cubby_runtime_settings override(const struct cubby_runtime_settings *now,
                                              const struct cubby_runtime_settings *overrides,
                                              unsigned mask) {
    struct cubby_runtime_settings asked = *now;

    asked.version = overrides->version;
    if (mask & CUBBY_RUNTIME_SCOPE_SPECIALIZATION)
        asked.dynamic_shapes_kernel_specialization_strategy =
            overrides->dynamic_shapes_kernel_specialization_strategy;
    if (mask & CUBBY_RUNTIME_SCOPE_CUDA_GRAPHS)
        asked.cuda_graph_strategy = overrides->cuda_graph_strategy;
    if (mask & CUBBY_RUNTIME_SCOPE_RUNTIME_CACHE) {
        asked.runtime_cache = overrides->runtime_cache;
        asked.runtime_cache_path = overrides->runtime_cache_path;
        asked.runtime_cache_max_size = overrides->runtime_cache_max_size;
    }
    return asked;
}

/* Whatever was set meanwhile, also by others, is displaced. Ends what engine_begin() began. */
static void restore(struct cubby_engine *engine, struct settings *before) {
    if (!settings_equal(&engine->settings, &before->now) ||
        engine->settings.now.runtime_cache != before->now.runtime_cache)
        engine_swap_settings(engine, before);
    engine_end_displacing(engine, before);
}

static int restore_target(struct target *target, struct cubby_error *error) {
    struct cubby_engine *engine = target->engine;
    int result;

    if (!engine)
        return 0;
    result = engine_begin(engine, error);
    if (result < 0)
        return result;
    restore(engine, &target->before);
    target->engine = NULL;
    cubby_engine_unref(engine);
    return 0;
}

/* ---- All of them ------------------------------------------------------------------------- */

static bool is_among(struct cubby_engine *const *engines, size_t count,
                     const struct cubby_engine *engine) {
    for (size_t i = 0; i < count; i++) {
        if (engines[i] == engine)
            return true;
    }
    return false;
}

static int check(size_t count, unsigned mask, struct cubby_error *error) {
    if (count == 0)
        return error_set(error, CUBBY_ERR_INVALID,
                         "a scope of runtime settings has no engine: expected at least one");
    if (mask & ~(unsigned)KNOWN)
        return error_set(error, CUBBY_ERR_INVALID,
                         "the mask of a scope of runtime settings is 0x%x: expected bits of enum "
                         "cubby_runtime_scope_mask",
                         mask);
    return 0;
}

static void release(struct cubby_runtime_scope *scope) {
    cubby_runtime_cache_unref(scope->handle);
    free(scope);
}

/* Sets each distinct engine once. */
static int set_all(struct cubby_runtime_scope *scope, struct cubby_engine *const *engines,
                   size_t count, const struct cubby_runtime_settings *overrides, unsigned mask,
                   struct cubby_error *error) {
    int result = 0;

    for (size_t i = 0; result == 0 && i < count; i++) {
        struct target *target = &scope->targets[scope->count];
        struct cubby_runtime_settings asked;

        if (is_among(engines, i, engines[i]))
            continue;
        result = engine_begin(engines[i], error);
        if (result < 0)
            break;
        asked = override(&engines[i]->settings.now, overrides, mask);
        result = engine_set(engines[i], &asked, &target->before, error);
        engine_end(engines[i]);
        if (result < 0)
            break;
        target->engine = cubby_engine_ref(engines[i]);
        scope->count++;
    }
    return result;
}

static int restore_all(struct cubby_runtime_scope *scope, struct cubby_error *error) {
    int result = 0;

    for (size_t i = scope->count; i > 0; i--) {
        const int one = restore_target(&scope->targets[i - 1], error);

        if (result == 0)
            result = one;
    }
    return result;
}

int cubby_runtime_scope_enter(struct cubby_engine *const *engines, size_t count,
                              const struct cubby_runtime_settings *overrides, unsigned mask,
                              struct cubby_runtime_scope **ret_scope, struct cubby_error *error) {
    struct cubby_runtime_scope *scope;
    int result = check(count, mask, error);

    if (result < 0)
        return result;
    scope = calloc(1, sizeof(*scope) + count * sizeof(scope->targets[0]));
    if (!scope)
        return error_no_memory(error);
    result = set_all(scope, engines, count, overrides, mask, error);
    if (result < 0) {
        restore_all(scope, NULL);
        release(scope);
        return result;
    }
    scope->saves = mask & CUBBY_RUNTIME_SCOPE_RUNTIME_CACHE;
    if (scope->saves && !overrides->runtime_cache_path)
        scope->handle = cubby_runtime_cache_ref(overrides->runtime_cache);
    if (scope->handle && !cubby_runtime_cache_has_cache(scope->handle))
        cubby_runtime_cache_load(scope->handle);
    *ret_scope = scope;
    return 0;
}

static int save(const struct cubby_runtime_scope *scope, struct cubby_error *error) {
    if (!scope->handle || !runtime_cache_has_place(scope->handle))
        return 0;
    return cubby_runtime_cache_save(scope->handle, error);
}

/* What was asked for within the scope is saved with it. */
static void wait_for_all(const struct cubby_runtime_scope *scope) {
    for (size_t i = 0; scope->saves && i < scope->count; i++) {
        if (scope->targets[i].engine)
            cubby_engine_wait_kernels(scope->targets[i].engine);
    }
}

int cubby_runtime_scope_exit(struct cubby_runtime_scope *scope, struct cubby_error *error) {
    int result, saved;

    if (!scope)
        return 0;
    wait_for_all(scope);
    result = restore_all(scope, error);
    if (result < 0)
        return result;
    saved = save(scope, error);
    release(scope);
    return saved;
}
