/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/hold.h"

#include "cache/state.h"
#include "os/time.h"
#include "util/error.h"

/* A lock that another gives back is not this one's yet: that one has only ended its turn. */
static int hold_tier(struct cubby_backend *tier, enum cubby_entry_kind kind,
                     const struct cubby_key *key, uint64_t timeout_ns,
                     struct cubby_key_lock **ret_lock, struct cubby_error *error) {
    uint64_t start = monotonic_ns(), waited = 0;

    do {
        int result = tier->ops->lock_key(tier, kind, key, timeout_ns - waited, ret_lock, error);

        if (result < 0 || *ret_lock)
            return result;
        waited = monotonic_ns() - start;
    } while (waited < timeout_ns);
    return error_set(error, CUBBY_ERR_BUSY, "%s: others still change the same entry after %g s",
                     tier->ops->name, (double)timeout_ns / 1e9);
}

int cache_hold(struct cubby_cache *cache, enum cubby_entry_kind kind, const struct cubby_key *key,
               uint64_t timeout_ns, struct cache_hold *ret_hold, struct cubby_error *error) {
    *ret_hold = (struct cache_hold){NULL, NULL};
    for (size_t i = cache->tier_count; i > 0; i--) {
        struct cubby_backend *tier = cache->tiers[i - 1];
        struct cubby_error problem = CUBBY_ERROR_INIT;
        int result;

        if (!tier->ops->lock_key || !tier->ops->unlock_key)
            continue;
        result = hold_tier(tier, kind, key, timeout_ns, &ret_hold->lock, &problem);
        if (result == CUBBY_ERR_UNSUPPORTED) { /* a read-only tier is not where processes meet */
            cubby_error_clear(&problem);
            continue;
        }
        ret_hold->tier = tier;
        error_move(error, &problem);
        return result;
    }
    return 0;
}

void cache_let_go(struct cache_hold *hold) {
    if (hold->lock)
        hold->tier->ops->unlock_key(hold->tier, hold->lock);
    hold->lock = NULL;
}
