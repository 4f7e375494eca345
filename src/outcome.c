/* SPDX-License-Identifier: Apache-2.0 */
#include "outcome.h"

#include <stdio.h>
#include <string.h>

#include "cache/cache.h"
#include "object.h"
#include "os/time.h"

const char *cubby_outcome_name(enum cubby_outcome_kind kind) {
    static const char *const NAMES[] = {"hit", "compiled", "waited", "uncacheable", "error"};

    return (size_t)kind < sizeof(NAMES) / sizeof(*NAMES) ? NAMES[kind] : "unknown";
}

static void set_tier(struct cubby_outcome *outcome, const char *tier) {
    size_t length = strnlen(tier, sizeof(outcome->tier) - 1);

    memcpy(outcome->tier, tier, length);
    outcome->tier[length] = '\0';
}

int outcome_look_up(struct cubby_cache *cache, enum cubby_entry_kind kind,
                    const struct cubby_key *key, struct cubby_object **ret_object,
                    struct cubby_outcome *outcome) {
    uint64_t compile_ns;
    const char *tier;
    int result = cache_lookup(cache, kind, key, ret_object, &tier);

    if (result < 0) {
        cache_count(cache, EVENT_MISS, 1);
        return result;
    }
    compile_ns = object_compile_ns(*ret_object);
    cache_count(cache, EVENT_HIT, 1);
    cache_count(cache, EVENT_SAVED_NS, compile_ns);
    if (outcome) {
        outcome->kind = CUBBY_OUTCOME_HIT;
        outcome->compile_ns = compile_ns;
        set_tier(outcome, tier);
    }
    return 0;
}

int outcome_make(struct cubby_cache *cache, const struct flight_task *task,
                 struct cubby_object **ret_object, struct cubby_outcome *outcome,
                 struct cubby_error *error) {
    uint64_t start = monotonic_ns(), waited_ns;
    bool waited;
    int result = flight_run(cache, task, ret_object, &waited, error);

    if (result < 0 || !waited)
        return result;
    waited_ns = monotonic_ns() - start;
    outcome->kind = CUBBY_OUTCOME_WAITED;
    outcome->compile_ns = object_compile_ns(*ret_object);
    cache_count(cache, EVENT_WAIT, 1);
    if (outcome->compile_ns > waited_ns)
        cache_count(cache, EVENT_SAVED_NS, outcome->compile_ns - waited_ns);
    return 0;
}

void outcome_set_reason(struct cubby_outcome *outcome, const char *reason) {
    snprintf(outcome->reason, sizeof(outcome->reason), "%s", reason);
}
