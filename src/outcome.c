/* SPDX-License-Identifier: Apache-2.0 */
#include "outcome.h"

#include <stdio.h>

#include "cache/cache.h"

const char *cubby_outcome_name(enum cubby_outcome_kind kind) {
    static const char *const NAMES[] = {"hit", "compiled", "waited", "uncacheable", "error"};

    return (size_t)kind < sizeof(NAMES) / sizeof(*NAMES) ? NAMES[kind] : "unknown";
}

int outcome_look_up(struct cubby_cache *cache, enum cubby_entry_kind kind,
                    const struct cubby_key *key, struct cubby_object **ret_object,
                    struct cubby_outcome *outcome) {
    struct cubby_object_info info;
    const char *tier;
    int result = cache_lookup(cache, kind, key, ret_object, &tier);

    if (result < 0) {
        cache_count(cache, EVENT_MISS, 1);
        return result;
    }
    cubby_object_info(*ret_object, &info);
    outcome->kind = CUBBY_OUTCOME_HIT;
    outcome->compile_ns = info.compile_ns;
    snprintf(outcome->tier, sizeof(outcome->tier), "%s", tier);
    cache_count(cache, EVENT_HIT, 1);
    cache_count(cache, EVENT_SAVED_NS, info.compile_ns);
    return 0;
}

void outcome_set_reason(struct cubby_outcome *outcome, const char *reason) {
    snprintf(outcome->reason, sizeof(outcome->reason), "%s", reason);
}
