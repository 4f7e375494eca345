/* SPDX-License-Identifier: Apache-2.0 */
#include "run/settings.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/runtime_cache.h"
#include "util/error.h"

static const char *const SPECIALIZATIONS[] = {"lazy", "eager", "none"};
static const char *const CUDA_GRAPHS[] = {"disabled", "whole_graph_capture"};

#define COUNT(table) (sizeof(table) / sizeof(*(table)))

const char *cubby_specialization_strategy_name(enum cubby_specialization_strategy strategy) {
    return (size_t)strategy < COUNT(SPECIALIZATIONS) ? SPECIALIZATIONS[strategy] : NULL;
}

const char *cubby_cuda_graph_strategy_name(enum cubby_cuda_graph_strategy strategy) {
    return (size_t)strategy < COUNT(CUDA_GRAPHS) ? CUDA_GRAPHS[strategy] : NULL;
}

/* ---- Checking and comparing -------------------------------------------------------------- */

static bool same_text(const char *left, const char *right) {
    return left && right ? strcmp(left, right) == 0 : left == right;
}

static bool has_path(const struct cubby_runtime_settings *settings) {
    return settings->runtime_cache_path != NULL;
}

/* True for the handle of a path, as cubby_engine_get_settings() gives both. */
static bool is_own_handle(const struct settings *settings,
                          const struct cubby_runtime_settings *asked) {
    return settings && asked->runtime_cache == settings->now.runtime_cache &&
           same_text(asked->runtime_cache_path, settings->now.runtime_cache_path);
}

int settings_check(const struct cubby_runtime_settings *asked, const struct settings *settings,
                   struct cubby_error *error) {
    const struct cubby_runtime_settings defaults = CUBBY_RUNTIME_SETTINGS_INIT;

    if (asked->version != defaults.version)
        return error_set(error, CUBBY_ERR_INVALID,
                         "struct cubby_runtime_settings has version %u: expected 1, which "
                         "CUBBY_RUNTIME_SETTINGS_INIT sets",
                         asked->version);
    if (!cubby_specialization_strategy_name(asked->dynamic_shapes_kernel_specialization_strategy))
        return error_set(error, CUBBY_ERR_INVALID,
                         "dynamic_shapes_kernel_specialization_strategy is %d: expected 0 (lazy), "
                         "1 (eager) or 2 (none)",
                         (int)asked->dynamic_shapes_kernel_specialization_strategy);
    if (!cubby_cuda_graph_strategy_name(asked->cuda_graph_strategy))
        return error_set(error, CUBBY_ERR_INVALID,
                         "cuda_graph_strategy is %d: expected 0 (disabled) or 1 "
                         "(whole_graph_capture)",
                         (int)asked->cuda_graph_strategy);
    if (asked->runtime_cache && has_path(asked) && !is_own_handle(settings, asked))
        return error_set(error, CUBBY_ERR_INVALID,
                         "runtime_cache and runtime_cache_path are both set: expected a handle, or "
                         "the path %s, for which the engine makes a handle of its own",
                         asked->runtime_cache_path);
    return 0;
}

/* True if both are for a handle of the engine's own, which can be the same one. */
static bool same_path(const struct cubby_runtime_settings *left,
                      const struct cubby_runtime_settings *right) {
    return has_path(left) && same_text(left->runtime_cache_path, right->runtime_cache_path) &&
           left->runtime_cache_max_size == right->runtime_cache_max_size;
}

bool settings_equal(const struct settings *settings, const struct cubby_runtime_settings *asked) {
    const struct cubby_runtime_settings *now = &settings->now;
    const bool same_cache = has_path(asked)
                                ? same_path(asked, now)
                                : !has_path(now) && asked->runtime_cache == now->runtime_cache;

    return same_cache && asked->cuda_graph_strategy == now->cuda_graph_strategy &&
           asked->dynamic_shapes_kernel_specialization_strategy ==
               now->dynamic_shapes_kernel_specialization_strategy;
}

/* ---- Owning ------------------------------------------------------------------------------ */

/* A handle of the engine's own, with what was saved there. */
static int open_path(struct cubby_runtime_settings *settings, struct cubby_error *error) {
    int result =
        runtime_cache_of_engine(settings->runtime_cache_path, settings->runtime_cache_max_size,
                                &settings->runtime_cache, error);

    if (result == 0)
        cubby_runtime_cache_load(settings->runtime_cache);
    return result;
}

int settings_make(const struct cubby_runtime_settings *asked, const struct settings *before,
                  struct settings *ret_settings, struct cubby_error *error) {
    struct settings made = {.now = *asked};
    const bool goes_on = before && same_path(asked, &before->now);
    int result = 0;

    if (has_path(asked)) {
        made.now.runtime_cache = goes_on ? before->now.runtime_cache : NULL;
        made.now.runtime_cache_path = strdup(asked->runtime_cache_path);
        if (!made.now.runtime_cache_path)
            return error_no_memory(error);
    } else {
        made.now.runtime_cache_max_size = 0;
    }
    cubby_runtime_cache_ref(made.now.runtime_cache);
    if (has_path(asked) && !goes_on)
        result = open_path(&made.now, error);
    if (result < 0)
        settings_free(&made);
    else
        *ret_settings = made;
    return result;
}

int settings_copy(const struct settings *settings, struct settings *ret_copy,
                  struct cubby_error *error) {
    return settings_make(&settings->now, settings, ret_copy, error);
}

void settings_free(struct settings *settings) {
    cubby_runtime_cache_unref(settings->now.runtime_cache);
    free((char *)settings->now.runtime_cache_path);
    *settings = (struct settings){.now = CUBBY_RUNTIME_SETTINGS_INIT};
}
