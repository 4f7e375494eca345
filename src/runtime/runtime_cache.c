/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/runtime_cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "object.h"
#include "os/fork.h"
#include "runtime/backing.h"
#include "runtime/identity.h"
#include "runtime/kernel_blob.h"
#include "runtime/kernel_set.h"
#include "util/error.h"
#include "util/log.h"

struct cubby_runtime_cache {
    atomic_uint references;
    struct backing backing;
    uint64_t max_size;

    pthread_mutex_t lock; /* guards all below; held for moments only */
    struct fork_guard guard;
    bool saves_itself;                      /* and has not yet */
    bool is_live;                           /* pending until then */
    bool toolchain_is_taken;                /* over from what was loaded: nobody uses it here */
    struct cubby_blob *stash;               /* of a pending handle; NULL for nothing */
    struct cubby_runtime_identity identity; /* of a live one, owned */
    struct kernel_set set;                  /* of a live one */
    uint64_t last_use_ns;                   /* so that no two uses are at the same time */
    uint64_t changes;                       /* of what a save would write */
    uint64_t saved;                         /* as many of them are saved */
    bool stream_is_written;
    struct cubby_runtime_cache_stats counters; /* but kernels and bytes */
};

/* ---- Life -------------------------------------------------------------------------------- */

static void hold_for_fork(void *context) {
    pthread_mutex_lock(&((struct cubby_runtime_cache *)context)->lock);
}

static void release_after_fork(void *context, bool in_child) {
    (void)in_child;
    pthread_mutex_unlock(&((struct cubby_runtime_cache *)context)->lock);
}

int cubby_runtime_cache_new(const struct cubby_runtime_cache_options *options,
                            struct cubby_runtime_cache **ret_cache, struct cubby_error *error) {
    const struct cubby_runtime_cache_options defaults = CUBBY_RUNTIME_CACHE_OPTIONS_INIT;
    struct cubby_runtime_cache *cache;
    int result;

    if (!options)
        options = &defaults;
    if (options->version != defaults.version)
        return error_set(error, CUBBY_ERR_INVALID,
                         "struct cubby_runtime_cache_options has version %u: expected 1 for a "
                         "runtime cache, which CUBBY_RUNTIME_CACHE_OPTIONS_INIT sets",
                         options->version);
    cache = calloc(1, sizeof(*cache));
    if (!cache)
        return error_no_memory(error);
    result = backing_init(&cache->backing, options, error);
    if (result < 0) {
        backing_end(&cache->backing);
        free(cache);
        return result;
    }
    atomic_init(&cache->references, 1);
    cache->max_size = options->max_size;
    pthread_mutex_init(&cache->lock, NULL);
    cache->guard = (struct fork_guard){hold_for_fork, release_after_fork, cache,
                                       FORK_LEVEL_RUNTIME_CACHE, NULL};
    fork_guard_add(&cache->guard);
    *ret_cache = cache;
    return 0;
}

int runtime_cache_of_engine(const char *path, uint64_t max_size,
                            struct cubby_runtime_cache **ret_cache, struct cubby_error *error) {
    struct cubby_runtime_cache_options options = CUBBY_RUNTIME_CACHE_OPTIONS_INIT;
    int result;

    options.path = path;
    options.max_size = max_size;
    result = cubby_runtime_cache_new(&options, ret_cache, error);
    if (result == 0)
        (*ret_cache)->saves_itself = true;
    return result;
}

struct cubby_runtime_cache *cubby_runtime_cache_ref(struct cubby_runtime_cache *cache) {
    if (cache)
        atomic_fetch_add_explicit(&cache->references, 1, memory_order_relaxed);
    return cache;
}

void cubby_runtime_cache_unref(struct cubby_runtime_cache *cache) {
    if (!cache || atomic_fetch_sub_explicit(&cache->references, 1, memory_order_acq_rel) != 1)
        return;
    runtime_cache_retire(cache);
    fork_guard_remove(&cache->guard);
    pthread_mutex_destroy(&cache->lock);
    backing_end(&cache->backing);
    cubby_blob_unref(cache->stash);
    identity_free(&cache->identity);
    kernel_set_free(&cache->set);
    free(cache);
}

/* ---- What comes in ----------------------------------------------------------------------- */

/* All of the kernels of a blob that fit, into an empty set. Who has no driver, or no toolchain,
 * takes over what they were made with. */
static int read_kernels(const void *data, size_t size, struct cubby_runtime_identity *here,
                        struct kernel_set *set, struct cubby_error *error) {
    struct cubby_runtime_identity made_for;
    int result = kernel_blob_check(data, size, true, &made_for, error);

    if (result == 0)
        result = identity_fits(&made_for, here, error);
    if (result == 0)
        result = kernel_blob_kernels(data, size, true, set, error);
    if (result == 0 && identity_raise(here, &made_for) < 0) {
        kernel_set_free(set);
        result = error_no_memory(error);
    }
    return result;
}

/* Keeps the set within its bound. Returns whether anything was dropped. */
static bool bound(struct cubby_runtime_cache *cache) {
    uint64_t overhead = kernel_blob_overhead(&cache->identity);
    size_t drops = 0;

    if (cache->max_size > 0)
        drops = kernel_set_drop(&cache->set,
                                cache->max_size > overhead ? cache->max_size - overhead : 0);
    cache->counters.drops += drops;
    return drops > 0;
}

static void warn(const char *what, const struct cubby_error *problem) {
    log_line(CUBBY_LOG_WARN, "%s is not used: %s", what, problem->message);
}

/* Takes the stash into the set, the lock held. Returns 0, or NO_MEMORY with the set empty; of what
 * is left out, the problem says why. */
static int drain(struct cubby_runtime_cache *cache, struct cubby_runtime_identity *here,
                 struct cubby_error *problem) {
    int result;

    if (!cache->stash)
        return 0;
    result = read_kernels(cubby_blob_data(cache->stash), cubby_blob_size(cache->stash), here,
                          &cache->set, problem);
    if (result == CUBBY_ERR_NO_MEMORY)
        return result;
    if (result < 0) {
        cache->counters.rejects++;
        cache->saved = cache->changes; /* what was stashed is not to be saved any more */
    }
    cubby_blob_unref(cache->stash);
    cache->stash = NULL;
    return 0;
}

/* The lock is held. */
static int make_live(struct cubby_runtime_cache *cache,
                     const struct cubby_runtime_identity *identity, struct cubby_error *problem) {
    struct cubby_runtime_identity copy;
    int result = identity_copy(identity, &copy, problem);

    if (result < 0)
        return result;
    result = drain(cache, &copy, problem);
    if (result < 0) {
        identity_free(&copy);
        return result;
    }
    cache->identity = copy;
    cache->is_live = true;
    cache->toolchain_is_taken = !*identity->toolchain;
    cache->counters.materialisations++;
    bound(cache);
    return 0;
}

/* Where the toolchain was only taken over, and another is in use now, what was made by the one
 * goes: it would have been left out. */
static int leave_toolchain(struct cubby_runtime_cache *cache, const char *toolchain,
                           struct cubby_error *problem) {
    struct cubby_runtime_identity *live = &cache->identity;
    char *none = strdup("");

    if (!none)
        return error_no_memory(problem);
    error_set(problem, CUBBY_ERR_INVALID,
              "its kernels were made by another toolchain (%.200s) than that in use (%.200s)",
              live->toolchain, toolchain);
    free((char *)live->toolchain);
    live->toolchain = none;
    kernel_set_free(&cache->set);
    cache->counters.rejects++;
    cache->changes++;
    return 0;
}

/* Where no driver or no toolchain was known before, it is now. */
static int check_same(struct cubby_runtime_cache *cache,
                      const struct cubby_runtime_identity *identity, struct cubby_error *error) {
    struct cubby_runtime_identity *live = &cache->identity;
    const bool drivers_fit = live->driver_version == identity->driver_version ||
                             live->driver_version == 0 || identity->driver_version == 0;

    if (cache->toolchain_is_taken && drivers_fit && strcmp(live->arch, identity->arch) == 0 &&
        !identity_equal(live, identity) && leave_toolchain(cache, identity->toolchain, error) < 0)
        return CUBBY_ERR_NO_MEMORY;
    if (identity_equal(live, identity) && drivers_fit) {
        if (identity_raise(live, identity) < 0)
            return error_no_memory(error);
        cache->toolchain_is_taken = cache->toolchain_is_taken && !*identity->toolchain;
        return 0;
    }
    return error_set(error, CUBBY_ERR_INVALID,
                     "this runtime cache is in use for %s (driver CUDA %d) and cannot be for %s "
                     "(driver CUDA %d) with %s toolchain as well: make a handle for each",
                     live->arch, live->driver_version, identity->arch, identity->driver_version,
                     strcmp(live->toolchain, identity->toolchain) == 0 ? "the same" : "another");
}

static int materialise(struct cubby_runtime_cache *cache,
                       const struct cubby_runtime_identity *identity, struct cubby_error *error) {
    struct cubby_error problem = CUBBY_ERROR_INIT;
    int result = backing_check(&cache->backing, identity, error);

    if (result < 0)
        return result;
    pthread_mutex_lock(&cache->lock);
    if (cache->is_live)
        result = check_same(cache, identity, &problem);
    else
        result = make_live(cache, identity, &problem);
    pthread_mutex_unlock(&cache->lock);
    if (result < 0)
        error_move(error, &problem);
    else if (problem.code != CUBBY_OK)
        warn("what was read for a runtime cache", &problem);
    cubby_error_clear(&problem);
    return result;
}

int cubby_runtime_cache_materialise(struct cubby_runtime_cache *cache,
                                    const struct cubby_runtime_identity *identity,
                                    struct cubby_error *error) {
    int result = identity_check(identity, error);

    return result == 0 ? materialise(cache, identity, error) : result;
}

int runtime_cache_materialise_any(struct cubby_runtime_cache *cache, const char *arch,
                                  int driver_version, char **ret_toolchain,
                                  struct cubby_error *error) {
    const struct cubby_runtime_identity identity = {arch, "", driver_version};
    int result = identity_check_any(&identity, error);

    if (result == 0)
        result = materialise(cache, &identity, error);
    if (result < 0)
        return result;
    pthread_mutex_lock(&cache->lock);
    *ret_toolchain = strdup(cache->identity.toolchain);
    pthread_mutex_unlock(&cache->lock);
    return *ret_toolchain ? 0 : error_no_memory(error);
}

bool cubby_runtime_cache_has_cache(struct cubby_runtime_cache *cache) {
    bool is_live;

    pthread_mutex_lock(&cache->lock);
    is_live = cache->is_live;
    pthread_mutex_unlock(&cache->lock);
    return is_live;
}

/* Takes a blob that is not empty. is_change: it did not come from where a save goes. */
static int take(struct cubby_runtime_cache *cache, const void *data, size_t size, bool is_change,
                struct cubby_error *error) {
    struct kernel_set others = KERNEL_SET_INIT;
    struct cubby_blob *copy = NULL, *old = NULL;
    int result = 0;

    pthread_mutex_lock(&cache->lock);
    if (!cache->is_live) {
        copy = cubby_blob_copy(data, size);
        if (copy) {
            old = cache->stash;
            cache->stash = copy;
        } else {
            result = error_no_memory(error);
        }
    } else {
        result = read_kernels(data, size, &cache->identity, &others, error);
        if (result == 0 && kernel_set_unite(&cache->set, &others) < 0)
            result = error_no_memory(error);
        bound(cache);
    }
    if (result == 0 && is_change)
        cache->changes++;
    pthread_mutex_unlock(&cache->lock);
    kernel_set_free(&others);
    cubby_blob_unref(old);
    return result;
}

int cubby_runtime_cache_deserialise(struct cubby_runtime_cache *cache, const void *data,
                                    size_t size, struct cubby_error *error) {
    return data && size > 0 ? take(cache, data, size, true, error) : 0;
}

/* What is wrong with a blob is told now, while it can be said where it came from. */
static int take_loaded(struct cubby_runtime_cache *cache, const struct cubby_blob *blob,
                       struct cubby_error *error) {
    const void *data = cubby_blob_data(blob);
    const size_t size = cubby_blob_size(blob);
    struct cubby_runtime_identity made_for;
    int result;

    if (size == 0)
        return CUBBY_ERR_NOT_FOUND;
    result = kernel_blob_check(data, size, true, &made_for, error);
    return result == 0 ? take(cache, data, size, false, error) : result;
}

bool cubby_runtime_cache_load(struct cubby_runtime_cache *cache) {
    struct cubby_error problem = CUBBY_ERROR_INIT;
    struct cubby_blob *blob = NULL;
    int result = backing_read(&cache->backing, &blob, &problem);

    if (result == 0)
        result = take_loaded(cache, blob, &problem);
    cubby_blob_unref(blob);
    if (result == CUBBY_ERR_NOT_FOUND)
        return false;
    pthread_mutex_lock(&cache->lock);
    if (result == 0)
        cache->counters.loads++;
    else
        cache->counters.rejects++;
    pthread_mutex_unlock(&cache->lock);
    if (result < 0)
        warn(backing_name(&cache->backing), &problem);
    cubby_error_clear(&problem);
    return result == 0;
}

/* ---- Kernels ----------------------------------------------------------------------------- */

static bool is_code(const struct kernel *kernel) {
    return kernel_kind_is_code(cubby_object_kind(kernel->object));
}

/* Kernels of either kind are found as both. */
static bool is_of_kind(const struct kernel *kernel, enum cubby_entry_kind kind) {
    return kernel_kind_is_code(kind) ? is_code(kernel) : cubby_object_kind(kernel->object) == kind;
}

/* Now, but later than any use before. The lock is held. */
static uint64_t next_use(struct cubby_runtime_cache *cache) {
    struct timespec now;
    uint64_t now_ns;

    clock_gettime(CLOCK_REALTIME, &now);
    now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    cache->last_use_ns = now_ns > cache->last_use_ns ? now_ns : cache->last_use_ns + 1;
    return cache->last_use_ns;
}

/* Finds an entry, which is its use, and counts nothing. */
static int find(struct cubby_runtime_cache *cache, enum cubby_entry_kind kind,
                const struct cubby_key *key, struct cubby_object **ret_object) {
    struct kernel *kernel;
    bool found;

    pthread_mutex_lock(&cache->lock);
    kernel = kernel_set_find(&cache->set, key);
    found = kernel && is_of_kind(kernel, kind);
    if (found) {
        kernel->used_ns = next_use(cache);
        if (cache->max_size > 0)
            cache->changes++; /* it decides what will be dropped */
        *ret_object = cubby_object_ref(kernel->object);
    }
    pthread_mutex_unlock(&cache->lock);
    return found ? 0 : CUBBY_ERR_NOT_FOUND;
}

void runtime_cache_count(struct cubby_runtime_cache *cache, bool is_hit) {
    pthread_mutex_lock(&cache->lock);
    (*(is_hit ? &cache->counters.hits : &cache->counters.misses))++;
    pthread_mutex_unlock(&cache->lock);
}

int cubby_runtime_cache_find(struct cubby_runtime_cache *cache, const struct cubby_key *key,
                             struct cubby_object **ret_object) {
    int result = find(cache, CUBBY_ENTRY_OBJECT, key, ret_object);

    runtime_cache_count(cache, result == 0);
    return result;
}

static int check_kernel(struct cubby_object *object, struct cubby_error *error) {
    const enum cubby_entry_kind kind = cubby_object_kind(object);

    if (kind != CUBBY_ENTRY_OBJECT && kind != CUBBY_ENTRY_USER)
        return error_set(error, CUBBY_ERR_INVALID,
                         "an entry of kind \"%s\" is no kernel: expected \"object\" or \"user\"",
                         cubby_entry_kind_name(kind));
    if (!cubby_object_data(object))
        return error_set(error, CUBBY_ERR_INVALID,
                         "this object only describes a stored one and has no bytes: get it with "
                         "cubby_cache_get()");
    return 0;
}

/* Puts what bears that key already. Returns 0; INVALID on a pending handle; NO_MEMORY. */
static int put(struct cubby_runtime_cache *cache, const struct cubby_key *key,
               struct cubby_object *object, struct cubby_error *error) {
    int result = 0;

    pthread_mutex_lock(&cache->lock);
    if (!cache->is_live)
        result = error_set(error, CUBBY_ERR_INVALID,
                           "this runtime cache is pending: materialise it before kernels are "
                           "inserted");
    else if (kernel_set_put(&cache->set, key, object, next_use(cache)) < 0)
        result = error_no_memory(error);
    if (result == 0) {
        cache->counters.inserts += kernel_kind_is_code(cubby_object_kind(object));
        cache->changes++;
        bound(cache);
    }
    pthread_mutex_unlock(&cache->lock);
    return result;
}

int cubby_runtime_cache_insert(struct cubby_runtime_cache *cache, const struct cubby_key *key,
                               struct cubby_object *object, struct cubby_error *error) {
    struct cubby_object *kernel = NULL;
    int result = check_kernel(object, error);

    if (result == 0)
        result = object_under(object, key, &kernel, error);
    if (result < 0)
        return result;
    result = put(cache, key, kernel, error);
    cubby_object_unref(kernel);
    return result;
}

/* ---- As a store has them ----------------------------------------------------------------- */

/* In what a pending handle has stashed. */
static int find_in_stash(struct cubby_runtime_cache *cache, enum cubby_entry_kind kind,
                         const struct cubby_key *key, struct cubby_object **ret_object) {
    struct cubby_runtime_identity made_for;
    struct cubby_blob *stash;
    const void *data;
    size_t size;
    int result;

    pthread_mutex_lock(&cache->lock);
    stash = cubby_blob_ref(cache->stash);
    pthread_mutex_unlock(&cache->lock);
    if (!stash)
        return CUBBY_ERR_NOT_FOUND;
    data = cubby_blob_data(stash);
    size = cubby_blob_size(stash);
    result = kernel_blob_check(data, size, true, &made_for, NULL);
    if (result == 0)
        result = kernel_blob_find(data, size, kind, key, ret_object);
    cubby_blob_unref(stash);
    return result < 0 ? CUBBY_ERR_NOT_FOUND : 0;
}

int runtime_cache_get(struct cubby_runtime_cache *cache, enum cubby_entry_kind kind,
                      const struct cubby_key *key, struct cubby_blob **ret_blob) {
    struct cubby_object *object = NULL;
    int result = CUBBY_ERR_NOT_FOUND;

    if (kernel_kind_is_kept(kind))
        result = find(cache, kind, key, &object);
    if (result < 0 && kind == CUBBY_ENTRY_TOOLCHAIN)
        result = find_in_stash(cache, kind, key, &object);
    if (result < 0)
        return result;
    *ret_blob = cubby_blob_ref(object_blob(object));
    cubby_object_unref(object);
    return 0;
}

int runtime_cache_put(struct cubby_runtime_cache *cache, enum cubby_entry_kind kind,
                      const struct cubby_key *key, struct cubby_blob *blob,
                      struct cubby_error *error) {
    struct cubby_object *object;
    int result;

    if (!kernel_kind_is_kept(kind) || !cubby_runtime_cache_has_cache(cache))
        return 0;
    result = object_from_blob(blob, kind, key, false, &object, error);
    if (result < 0)
        return result;
    result = put(cache, key, object, error);
    cubby_object_unref(object);
    return result;
}

int runtime_cache_remove(struct cubby_runtime_cache *cache, const struct cubby_key *key) {
    bool was_there;

    pthread_mutex_lock(&cache->lock);
    was_there = kernel_set_remove(&cache->set, key);
    if (was_there)
        cache->changes++;
    pthread_mutex_unlock(&cache->lock);
    return was_there ? 0 : CUBBY_ERR_NOT_FOUND;
}

/* ---- What goes out ----------------------------------------------------------------------- */

int cubby_runtime_cache_serialise(struct cubby_runtime_cache *cache, struct cubby_blob **ret_blob,
                                  struct cubby_error *error) {
    int result = 0;

    pthread_mutex_lock(&cache->lock);
    if (cache->is_live)
        result = kernel_blob_encode(&cache->set, &cache->identity, ret_blob, error);
    else if (cache->stash)
        *ret_blob = cubby_blob_ref(cache->stash);
    else if (!(*ret_blob = cubby_blob_new(0)))
        result = error_no_memory(error);
    pthread_mutex_unlock(&cache->lock);
    return result;
}

/* What is to be saved, apart from the handle. */
struct snapshot {
    struct kernel_set set;
    struct cubby_runtime_identity identity; /* owned */
    uint64_t changes;
};

static void snapshot_free(struct snapshot *snapshot) {
    kernel_set_free(&snapshot->set);
    identity_free(&snapshot->identity);
}

/* Of a live handle, the lock held. */
static int snapshot_set(const struct cubby_runtime_cache *cache, struct snapshot *snapshot,
                        struct cubby_error *error) {
    if (kernel_set_unite(&snapshot->set, &cache->set) < 0)
        return error_no_memory(error);
    return identity_copy(&cache->identity, &snapshot->identity, error);
}

/* Of what a pending handle has stashed, which fits itself. */
static int snapshot_stash(const struct cubby_blob *stash, struct snapshot *snapshot,
                          struct cubby_error *error) {
    const void *data = cubby_blob_data(stash);
    const size_t size = cubby_blob_size(stash);
    struct cubby_runtime_identity made_for;
    int result = kernel_blob_check(data, size, true, &made_for, error);

    if (result == 0)
        result = kernel_blob_kernels(data, size, true, &snapshot->set, error);
    return result == 0 ? identity_copy(&made_for, &snapshot->identity, error) : result;
}

static int take_snapshot(struct cubby_runtime_cache *cache, struct snapshot *snapshot,
                         struct cubby_error *error) {
    struct cubby_blob *stash;
    int result = 0;

    pthread_mutex_lock(&cache->lock);
    snapshot->changes = cache->changes;
    stash = cubby_blob_ref(cache->stash);
    if (cache->is_live)
        result = snapshot_set(cache, snapshot, error);
    pthread_mutex_unlock(&cache->lock);
    if (stash)
        result = snapshot_stash(stash, snapshot, error);
    cubby_blob_unref(stash);
    return result;
}

/* What is written once is claimed before. Returns 1 where it holds all already, 0 or INVALID. */
static int claim_stream(struct cubby_runtime_cache *cache, struct cubby_error *error) {
    bool was_written, is_same;

    pthread_mutex_lock(&cache->lock);
    was_written = cache->stream_is_written;
    is_same = cache->changes == cache->saved;
    cache->stream_is_written = true;
    pthread_mutex_unlock(&cache->lock);
    if (!was_written)
        return 0;
    if (is_same)
        return 1;
    return error_set(error, CUBBY_ERR_INVALID,
                     "the stream of the runtime cache was written before, and is written once: "
                     "save when nothing more will be inserted");
}

static int save_snapshot(struct cubby_runtime_cache *cache, struct snapshot *snapshot,
                         struct cubby_error *error) {
    size_t drops = 0;
    int result = backing_check(&cache->backing, &snapshot->identity, error);

    if (result == 0 && backing_is_stream(&cache->backing))
        result = claim_stream(cache, error);
    if (result == 0)
        result = backing_unite(&cache->backing, &snapshot->set, &snapshot->identity,
                               cache->max_size, &drops, error);
    if (result != 0)
        return result < 0 ? result : 0;
    pthread_mutex_lock(&cache->lock);
    cache->counters.saves++;
    cache->counters.drops += drops;
    if (snapshot->changes > cache->saved)
        cache->saved = snapshot->changes;
    pthread_mutex_unlock(&cache->lock);
    return 0;
}

bool runtime_cache_has_place(const struct cubby_runtime_cache *cache) {
    return cache->backing.ops != NULL;
}

int cubby_runtime_cache_save(struct cubby_runtime_cache *cache, struct cubby_error *error) {
    struct snapshot snapshot = {.set = KERNEL_SET_INIT};
    int result = 0;

    if (!cache->backing.ops)
        return error_set(error, CUBBY_ERR_INVALID,
                         "this runtime cache has nowhere to be saved: make it with a path, a "
                         "stream or a cache, or serialise it");
    result = take_snapshot(cache, &snapshot, error);
    if (result == 0 && snapshot.set.count > 0)
        result = save_snapshot(cache, &snapshot, error);
    snapshot_free(&snapshot);
    return result;
}

void runtime_cache_retire(struct cubby_runtime_cache *cache) {
    struct cubby_error problem = CUBBY_ERROR_INIT;
    bool wanted;

    if (!cache)
        return;
    pthread_mutex_lock(&cache->lock);
    wanted = cache->saves_itself && cache->changes != cache->saved;
    cache->saves_itself = false;
    pthread_mutex_unlock(&cache->lock);
    if (wanted && cubby_runtime_cache_save(cache, &problem) < 0)
        log_line(CUBBY_LOG_WARN, "a runtime cache is not saved: %s", problem.message);
    cubby_error_clear(&problem);
}

void cubby_runtime_cache_stats(struct cubby_runtime_cache *cache,
                               struct cubby_runtime_cache_stats *ret_stats) {
    pthread_mutex_lock(&cache->lock);
    *ret_stats = cache->counters;
    ret_stats->kernels = 0;
    for (size_t i = 0; i < cache->set.count; i++)
        ret_stats->kernels += is_code(&cache->set.kernels[i]);
    if (cache->stash)
        ret_stats->bytes = cubby_blob_size(cache->stash);
    else if (cache->set.count > 0)
        ret_stats->bytes = kernel_blob_overhead(&cache->identity) + cache->set.bytes;
    pthread_mutex_unlock(&cache->lock);
}
