/* SPDX-License-Identifier: Apache-2.0 */
/* Engines: their life, their settings and what is told of them. */
#include "run/engine.h"

#include <stdlib.h>
#include <string.h>

#include "run/green.h"
#include "runtime/runtime_cache.h"
#include "util/error.h"
#include "util/log.h"

/* ---- Life -------------------------------------------------------------------------------- */

static int check_options(const struct cubby_engine_options *options, struct cubby_error *error) {
    const struct cubby_engine_options defaults = CUBBY_ENGINE_OPTIONS_INIT;

    if (options->version != defaults.version)
        return error_set(error, CUBBY_ERR_INVALID,
                         "struct cubby_engine_options has version %u: expected 1, which "
                         "CUBBY_ENGINE_OPTIONS_INIT sets",
                         options->version);
    for (size_t i = 0; i < options->option_count; i++) {
        if (!options->options || !options->options[i])
            return error_set(error, CUBBY_ERR_INVALID, "option %zu of an engine is NULL", i);
    }
    return options->settings ? settings_check(options->settings, NULL, error) : 0;
}

static int copy_options(struct cubby_engine *engine, const struct cubby_engine_options *options,
                        struct cubby_error *error) {
    engine->options = calloc(options->option_count + 1, sizeof(*engine->options));
    if (!engine->options)
        return error_no_memory(error);
    for (size_t i = 0; i < options->option_count; i++) {
        engine->options[i] = strdup(options->options[i]);
        if (!engine->options[i])
            return error_no_memory(error);
        engine->option_count++;
    }
    return 0;
}

static int find_device(struct cubby_engine *engine, int ordinal, struct cubby_error *error) {
    const struct driver *driver;
    int result = driver_open(&driver, error);

    if (result < 0)
        return result;
    engine->driver_version = driver->version;
    return device_describe(driver, ordinal, &engine->device, error);
}

static int fill(struct cubby_engine *engine, const struct cubby_engine_options *options,
                struct cubby_error *error) {
    static const struct cubby_runtime_settings DEFAULTS = CUBBY_RUNTIME_SETTINGS_INIT;
    int result;

    engine->name = strdup(options->name ? options->name : cubby_engine_plan_name(engine->plan));
    engine->shape.dims = calloc(engine->plan->dim_count + 1, sizeof(*engine->shape.dims));
    engine->addresses = calloc(engine->plan->tensor_count + 1, sizeof(*engine->addresses));
    if (!engine->name || !engine->shape.dims || !engine->addresses)
        return error_no_memory(error);
    result = copy_options(engine, options, error);
    if (result == 0)
        result = find_device(engine, options->device, error);
    if (result == 0)
        result = settings_make(options->settings ? options->settings : &DEFAULTS, NULL,
                               &engine->settings, error);
    return result;
}

static void init_recursive(pthread_mutex_t *lock) {
    pthread_mutexattr_t attributes;

    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

int cubby_engine_new(struct cubby_engine_plan *plan, const struct cubby_engine_options *options,
                     struct cubby_engine **ret_engine, struct cubby_error *error) {
    static const struct cubby_engine_options DEFAULTS = CUBBY_ENGINE_OPTIONS_INIT;
    struct cubby_engine *engine;
    int result;

    if (!options)
        options = &DEFAULTS;
    result = check_options(options, error);
    if (result < 0)
        return result;
    engine = calloc(1, sizeof(*engine));
    if (!engine)
        return error_no_memory(error);
    atomic_init(&engine->references, 1);
    init_recursive(&engine->turn);
    pthread_mutex_init(&engine->lock, NULL);
    pthread_cond_init(&engine->synced, NULL);
    engine->plan = cubby_engine_plan_ref(plan);
    engine->cache = cubby_cache_ref(options->cache);
    result = fill(engine, options, error);
    if (result < 0)
        cubby_engine_unref(engine);
    else
        *ret_engine = engine;
    return result;
}

struct cubby_engine *cubby_engine_ref(struct cubby_engine *engine) {
    if (engine)
        atomic_fetch_add_explicit(&engine->references, 1, memory_order_relaxed);
    return engine;
}

/* Compiles that have begun add to a handle of the engine's own, and are saved with it. */
static void retire_settings(struct cubby_engine *engine, struct settings *settings) {
    if (settings->now.runtime_cache_path) {
        pool_wait(&engine->group);
        runtime_cache_retire(settings->now.runtime_cache);
    }
    settings_free(settings);
}

void cubby_engine_unref(struct cubby_engine *engine) {
    if (!engine || atomic_fetch_sub_explicit(&engine->references, 1, memory_order_acq_rel) != 1)
        return;
    execution_free(engine->execution);
    division_unref(engine->external.division);
    division_unref(engine->prepared.division);
    pool_wait(&engine->group);
    retire_settings(engine, &engine->settings);
    cubby_engine_geometry_free(engine->shape.geometry);
    free(engine->shape.dims);
    free(engine->addresses);
    for (size_t i = 0; i < engine->option_count; i++)
        free(engine->options[i]);
    free(engine->options);
    free(engine->name);
    cubby_cache_unref(engine->cache);
    cubby_engine_plan_unref(engine->plan);
    pthread_cond_destroy(&engine->synced);
    pthread_mutex_destroy(&engine->lock);
    pthread_mutex_destroy(&engine->turn);
    free(engine);
}

/* ---- What is told of one ----------------------------------------------------------------- */

const char *cubby_engine_name(const struct cubby_engine *engine) {
    return engine->name;
}

struct cubby_engine_plan *cubby_engine_plan_of(const struct cubby_engine *engine) {
    return engine->plan;
}

const char *cubby_engine_arch(const struct cubby_engine *engine) {
    return engine->device.arch;
}

int cubby_engine_device(const struct cubby_engine *engine) {
    return engine->device.ordinal;
}

bool cubby_engine_has_context(struct cubby_engine *engine) {
    bool has_context;

    pthread_mutex_lock(&engine->lock);
    has_context = engine->execution != NULL;
    pthread_mutex_unlock(&engine->lock);
    return has_context;
}

void cubby_engine_stats(struct cubby_engine *engine, struct cubby_engine_stats *ret_stats) {
    const struct run_events *events = &engine->events;

    *ret_stats = (struct cubby_engine_stats){
        .enqueues = events_of(events, RUN_ENQUEUE),
        .contexts = events_of(events, RUN_CONTEXT),
        .compiles = events_of(events, RUN_COMPILE),
        .runtime_hits = events_of(events, RUN_RUNTIME_HIT),
        .cache_hits = events_of(events, RUN_CACHE_HIT),
        .failures = events_of(events, RUN_FAILURE),
        .swaps = events_of(events, RUN_SWAP),
        .generic_runs = events_of(events, RUN_GENERIC),
        .specialized_runs = events_of(events, RUN_SPECIALIZED),
        .captures = events_of(events, RUN_CAPTURE),
        .updates = events_of(events, RUN_UPDATE),
        .replays = events_of(events, RUN_REPLAY),
    };
}

void cubby_engine_wait_kernels(struct cubby_engine *engine) {
    pool_wait(&engine->group);
}

/* ---- Changing one ------------------------------------------------------------------------ */

int engine_begin(struct cubby_engine *engine, struct cubby_error *error) {
    pthread_mutex_lock(&engine->turn);
    if (engine->is_busy) {
        pthread_mutex_unlock(&engine->turn);
        return error_set(error, CUBBY_ERR_BUSY,
                         "engine %s is in the middle of a call of this thread: what changes it has "
                         "to wait until that returned",
                         engine->name);
    }
    engine->is_busy = true;
    return 0;
}

void engine_end(struct cubby_engine *engine) {
    engine->is_busy = false;
    pthread_mutex_unlock(&engine->turn);
}

void engine_swap_settings(struct cubby_engine *engine, struct settings *settings) {
    const struct settings before = engine->settings;
    struct execution *execution = engine->execution;

    pthread_mutex_lock(&engine->lock);
    engine->execution = NULL;
    engine->settings = *settings;
    while (engine->syncs > 0) /* for what this has to wait for as well */
        pthread_cond_wait(&engine->synced, &engine->lock);
    pthread_mutex_unlock(&engine->lock);
    execution_free(execution);
    *settings = before;
}

void engine_end_displacing(struct cubby_engine *engine, struct settings *settings) {
    const bool goes_on = settings->now.runtime_cache == engine->settings.now.runtime_cache;

    engine_end(engine);
    if (goes_on)
        settings_free(settings);
    else
        retire_settings(engine, settings);
}

void cubby_engine_get_settings(struct cubby_engine *engine,
                               struct cubby_runtime_settings *ret_settings) {
    pthread_mutex_lock(&engine->lock);
    *ret_settings = engine->settings.now;
    cubby_runtime_cache_ref(ret_settings->runtime_cache);
    pthread_mutex_unlock(&engine->lock);
}

/* What a new handle is to read from the same file has to be there. */
static void save_before(struct cubby_engine *engine, const struct cubby_runtime_settings *asked) {
    const struct cubby_runtime_settings *now = &engine->settings.now;
    struct cubby_error problem = CUBBY_ERROR_INIT;

    if (!asked->runtime_cache_path || !now->runtime_cache_path ||
        strcmp(asked->runtime_cache_path, now->runtime_cache_path) != 0)
        return;
    pool_wait(&engine->group);
    if (cubby_runtime_cache_save(now->runtime_cache, &problem) < 0)
        log_line(CUBBY_LOG_WARN, "engine %s: its runtime cache is not saved: %s", engine->name,
                 problem.message);
    cubby_error_clear(&problem);
}

int engine_set(struct cubby_engine *engine, const struct cubby_runtime_settings *asked,
               struct settings *ret_before, struct cubby_error *error) {
    struct settings settings;
    int result = settings_check(asked, &engine->settings, error);

    if (result < 0)
        return result;
    if (settings_equal(&engine->settings, asked))
        return settings_copy(&engine->settings, ret_before, error);
    if (asked->runtime_cache_max_size != engine->settings.now.runtime_cache_max_size)
        save_before(engine, asked);
    result = settings_make(asked, &engine->settings, &settings, error);
    if (result < 0)
        return result;
    engine_swap_settings(engine, &settings);
    *ret_before = settings;
    return 0;
}

int cubby_engine_set_settings(struct cubby_engine *engine,
                              const struct cubby_runtime_settings *settings,
                              struct cubby_error *error) {
    struct settings before;
    int result = engine_begin(engine, error);

    if (result < 0)
        return result;
    result = engine_set(engine, settings, &before, error);
    if (result == 0)
        engine_end_displacing(engine, &before);
    else
        engine_end(engine);
    return result;
}
