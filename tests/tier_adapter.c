/* SPDX-License-Identifier: Apache-2.0 */
#include "tier_adapter.h"

#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"
#include "object.h"

struct adapter {
    struct cubby_backend backend;
    struct cubby_cache *cache;
};

static struct cubby_cache *cache_of(struct cubby_backend *backend) {
    return ((struct adapter *)backend)->cache;
}

static int adapter_get(struct cubby_backend *backend, enum cubby_entry_kind kind,
                       const struct cubby_key *key, struct cubby_blob **ret_blob,
                       struct cubby_error *error) {
    struct cubby_object *object;
    const char *tier;
    int result = cache_lookup(cache_of(backend), kind, key, &object, &tier);

    (void)error;
    if (result < 0)
        return result;
    *ret_blob = cubby_blob_ref(object_blob(object));
    cubby_object_unref(object);
    return 0;
}

static int adapter_put(struct cubby_backend *backend, enum cubby_entry_kind kind,
                       const struct cubby_key *key, struct cubby_blob *blob,
                       struct cubby_error *error) {
    return cache_store(cache_of(backend), kind, key, blob, error);
}

static int adapter_remove(struct cubby_backend *backend, enum cubby_entry_kind kind,
                          const struct cubby_key *key, struct cubby_error *error) {
    return cubby_cache_remove(cache_of(backend), kind, key, error);
}

/* The last tier holds everything; the others hold copies. */
struct last_tier {
    const char *name;
    cubby_entry_visitor visit;
    void *context;
};

static int visit_last(const char *tier, const struct cubby_entry_info *info, void *context) {
    const struct last_tier *last = context;

    return strcmp(tier, last->name) == 0 ? last->visit(info, last->context) : 0;
}

static int adapter_iterate(struct cubby_backend *backend, cubby_entry_visitor visit, void *context,
                           struct cubby_error *error) {
    struct cubby_cache *cache = cache_of(backend);
    struct last_tier last = {cubby_cache_tier_name(cache, cubby_cache_tier_count(cache) - 1), visit,
                             context};

    return cubby_cache_iterate(cache, visit_last, &last, error);
}

static int adapter_stats(struct cubby_backend *backend, struct cubby_store_stats *ret_stats,
                         struct cubby_error *error) {
    struct cubby_cache *cache = cache_of(backend);

    return cubby_cache_tier_stats(cache, cubby_cache_tier_count(cache) - 1, ret_stats, error);
}

static int adapter_clear(struct cubby_backend *backend, struct cubby_error *error) {
    return cubby_cache_clear(cache_of(backend), error);
}

static void adapter_close(struct cubby_backend *backend) {
    cubby_cache_unref(cache_of(backend));
    free(backend);
}

static const struct cubby_backend_ops ADAPTER_OPS = {
    .abi = CUBBY_BACKEND_ABI,
    .name = "tiers",
    .get = adapter_get,
    .put = adapter_put,
    .remove = adapter_remove,
    .iterate = adapter_iterate,
    .stats = adapter_stats,
    .clear = adapter_clear,
    .close = adapter_close,
};

int tier_adapter_open(struct cubby_backend *const *tiers, size_t count,
                      struct cubby_backend **ret_backend, struct cubby_error *error) {
    struct adapter *adapter = calloc(1, sizeof(*adapter));
    int result;

    if (!adapter)
        return CUBBY_ERR_NO_MEMORY;
    result = cubby_cache_open_backends(tiers, count, &adapter->cache, error);
    if (result < 0) {
        free(adapter);
        return result;
    }
    adapter->backend.ops = &ADAPTER_OPS;
    *ret_backend = &adapter->backend;
    return 0;
}
