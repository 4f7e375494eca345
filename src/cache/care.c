/* SPDX-License-Identifier: Apache-2.0 */
/* Looking after a cache: each operation, tier by tier. */
#include <string.h>

#include "cache/cache.h"
#include "cache/state.h"
#include "util/error.h"

/* A read-only tier cannot remove, which matters only where there is something to remove. */
static bool holds(struct cubby_backend *tier, enum cubby_entry_kind kind,
                  const struct cubby_key *key) {
    struct cubby_blob *blob = NULL;
    bool found = tier->ops->get(tier, kind, key, &blob, NULL) == 0;

    cubby_blob_unref(blob);
    return found;
}

int cubby_cache_remove(struct cubby_cache *cache, enum cubby_entry_kind kind,
                       const struct cubby_key *key, struct cubby_error *error) {
    struct cubby_error problem = CUBBY_ERROR_INIT;
    bool removed = false;
    int result = cache_check_kind(kind, error);

    if (result < 0)
        return result;
    for (size_t i = 0; i < cache->tier_count; i++) {
        struct cubby_error one = CUBBY_ERROR_INIT;

        result = cache->tiers[i]->ops->remove(cache->tiers[i], kind, key, &one);
        if (result == 0)
            removed = true;
        else if (result != CUBBY_ERR_NOT_FOUND &&
                 (result != CUBBY_ERR_UNSUPPORTED || holds(cache->tiers[i], kind, key)))
            error_move(&problem, &one);
        cubby_error_clear(&one);
    }
    result = problem.code;
    if (result < 0)
        error_move(error, &problem);
    else if (!removed)
        result = error_set(error, CUBBY_ERR_NOT_FOUND, "no store holds an entry of that key");
    return result;
}

/* ---- Walking ----------------------------------------------------------------------------- */

struct walk {
    const char *tier;
    cubby_cache_visitor visit;
    void *context;
};

static int visit_entry(const struct cubby_entry_info *info, void *context) {
    struct walk *walk = context;

    return walk->visit(walk->tier, info, walk->context);
}

int cubby_cache_iterate(struct cubby_cache *cache, cubby_cache_visitor visit, void *context,
                        struct cubby_error *error) {
    int result = 0;

    for (size_t i = 0; i < cache->tier_count && result == 0; i++) {
        struct cubby_backend *tier = cache->tiers[i];
        struct walk walk = {tier->ops->name, visit, context};

        result = tier->ops->iterate(tier, visit_entry, &walk, error);
    }
    return result;
}

/* ---- Clearing ---------------------------------------------------------------------------- */

static int remove_visited(const struct cubby_entry_info *info, void *context) {
    struct cubby_backend *tier = context;
    int result = tier->ops->remove(tier, info->kind, &info->key, NULL);

    return result == CUBBY_ERR_NOT_FOUND ? 0 : result;
}

static int clear_tier(struct cubby_backend *tier, struct cubby_error *error) {
    if (tier->ops->clear)
        return tier->ops->clear(tier, error);
    return tier->ops->iterate(tier, remove_visited, tier, error);
}

int cubby_cache_clear(struct cubby_cache *cache, struct cubby_error *error) {
    struct cubby_error problem = CUBBY_ERROR_INIT;
    int result = 0;

    for (size_t i = 0; i < cache->tier_count; i++) {
        struct cubby_error one = CUBBY_ERROR_INIT;
        int cleared = clear_tier(cache->tiers[i], &one);

        if (cleared < 0 && cleared != CUBBY_ERR_UNSUPPORTED && result == 0) {
            result = cleared;
            error_move(&problem, &one);
        }
        cubby_error_clear(&one);
    }
    error_move(error, &problem);
    return result;
}

/* ---- Statistics -------------------------------------------------------------------------- */

int cubby_cache_tier_stats(struct cubby_cache *cache, size_t tier,
                           struct cubby_store_stats *ret_stats, struct cubby_error *error) {
    if (tier >= cache->tier_count)
        return error_set(error, CUBBY_ERR_INVALID, "the cache has %zu tiers: there is no tier %zu",
                         cache->tier_count, tier);
    return cache->tiers[tier]->ops->stats(cache->tiers[tier], ret_stats, error);
}

int cubby_cache_zero(struct cubby_cache *cache, struct cubby_error *error) {
    for (size_t i = 0; i < EVENT_COUNT; i++)
        atomic_store_explicit(&cache->events[i], 0, memory_order_relaxed);
    for (size_t i = 0; i < cache->tier_count; i++) {
        const struct cubby_backend_ops *ops = cache->tiers[i]->ops;
        int result = ops->zero ? ops->zero(cache->tiers[i], error) : 0;

        if (result < 0 && result != CUBBY_ERR_UNSUPPORTED)
            return result;
    }
    return 0;
}
