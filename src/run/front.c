/* SPDX-License-Identifier: Apache-2.0 */
#include "run/front.h"

#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"
#include "runtime/runtime_cache.h"
#include "util/error.h"

#define FRONT_TIER "runtime"

struct front {
    struct cubby_backend backend;
    struct cubby_runtime_cache *runtime_cache; /* a reference */
};

static struct cubby_runtime_cache *behind(struct cubby_backend *backend) {
    return ((struct front *)backend)->runtime_cache;
}

static int front_get(struct cubby_backend *backend, enum cubby_entry_kind kind,
                     const struct cubby_key *key, struct cubby_blob **ret_blob,
                     struct cubby_error *error) {
    (void)error;
    return runtime_cache_get(behind(backend), kind, key, ret_blob);
}

static int front_put(struct cubby_backend *backend, enum cubby_entry_kind kind,
                     const struct cubby_key *key, struct cubby_blob *blob,
                     struct cubby_error *error) {
    return runtime_cache_put(behind(backend), kind, key, blob, error);
}

static int front_remove(struct cubby_backend *backend, enum cubby_entry_kind kind,
                        const struct cubby_key *key, struct cubby_error *error) {
    (void)kind;
    (void)error;
    return runtime_cache_remove(behind(backend), key);
}

/* No one looks after a runtime cache in this form. */
static int front_iterate(struct cubby_backend *backend, cubby_entry_visitor visit, void *context,
                         struct cubby_error *error) {
    (void)backend;
    (void)visit;
    (void)context;
    return error_set(error, CUBBY_ERR_UNSUPPORTED, "a runtime cache cannot be walked through");
}

static int front_stats(struct cubby_backend *backend, struct cubby_store_stats *ret_stats,
                       struct cubby_error *error) {
    struct cubby_runtime_cache_stats stats;

    (void)error;
    cubby_runtime_cache_stats(behind(backend), &stats);
    *ret_stats = (struct cubby_store_stats){.bytes = stats.bytes};
    ret_stats->entries[CUBBY_ENTRY_OBJECT] = stats.kernels;
    return 0;
}

static void front_close(struct cubby_backend *backend) {
    cubby_runtime_cache_unref(behind(backend));
    free(backend);
}

static int put_in_front(struct cubby_runtime_cache *runtime_cache, struct cubby_cache *lower,
                        struct cubby_cache **ret_cache, struct cubby_error *error) {
    static const struct cubby_backend_ops ops = {
        .abi = CUBBY_BACKEND_ABI,
        .flags = CUBBY_BACKEND_IN_PROCESS,
        .name = FRONT_TIER,
        .get = front_get,
        .put = front_put,
        .remove = front_remove,
        .iterate = front_iterate,
        .stats = front_stats,
        .close = front_close,
    };
    struct front *front = calloc(1, sizeof(*front));

    if (!front)
        return error_no_memory(error);
    front->backend.ops = &ops;
    front->runtime_cache = cubby_runtime_cache_ref(runtime_cache);
    return cache_put_before(lower, &front->backend, ret_cache, error);
}

bool front_has_served(const struct cubby_outcome *outcome) {
    return outcome->kind == CUBBY_OUTCOME_HIT && strcmp(outcome->tier, FRONT_TIER) == 0;
}

/* For whatever toolchain it is: there is none here, or none is needed. */
static int make_live_for_any(struct cubby_runtime_cache *runtime_cache, struct cubby_cache *cache,
                             const struct front_place *place, struct cubby_error *error) {
    char *toolchain = NULL;
    int result = runtime_cache_materialise_any(runtime_cache, place->arch, place->driver_version,
                                               &toolchain, error);

    if (result == 0 && *toolchain && cache_set_made_by(cache, toolchain) < 0)
        result = error_no_memory(error);
    free(toolchain);
    return result;
}

/* Which compiler there is the runtime cache may know itself, from what was loaded into it, before
 * it is live. */
static int make_live(struct cubby_runtime_cache *runtime_cache, struct cubby_cache *cache,
                     const struct front_place *place, struct cubby_error *error) {
    struct cubby_runtime_identity identity = {place->arch, NULL, place->driver_version};
    struct cubby_error problem = CUBBY_ERROR_INIT;
    struct cubby_toolchain toolchain;
    int result;

    if (!place->compiles)
        return make_live_for_any(runtime_cache, cache, place, error);
    result = cubby_toolchain_find(cache, &toolchain, &problem);
    if (result == CUBBY_ERR_NO_TOOLCHAIN) {
        cubby_error_clear(&problem);
        return make_live_for_any(runtime_cache, cache, place, error);
    }
    error_move(error, &problem);
    if (result < 0)
        return result;
    identity.toolchain = toolchain.fingerprint;
    result = cubby_runtime_cache_materialise(runtime_cache, &identity, error);
    cubby_toolchain_clear(&toolchain);
    return result;
}

int front_open(struct cubby_runtime_cache *runtime_cache, struct cubby_cache *lower,
               const struct front_place *place, struct cubby_cache **ret_cache,
               struct cubby_error *error) {
    struct cubby_cache *cache;
    int result = put_in_front(runtime_cache, lower, &cache, error);

    if (result < 0)
        return result;
    result = make_live(runtime_cache, cache, place, error);
    if (result < 0)
        cubby_cache_unref(cache);
    else
        *ret_cache = cache;
    return result;
}
