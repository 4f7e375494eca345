/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cache.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/secret.h"
#include "cache/state.h"
#include "object.h"
#include "os/process.h"
#include "util/error.h"
#include "util/log.h"

/* ---- Life -------------------------------------------------------------------------------- */

static int check_backend(const struct cubby_backend *backend, struct cubby_error *error) {
    const struct cubby_backend_ops *ops = backend ? backend->ops : NULL;

    if (!ops)
        return error_set(error, CUBBY_ERR_INVALID, "a backend is NULL or has no operations");
    if (ops->abi != CUBBY_BACKEND_ABI)
        return error_set(error, CUBBY_ERR_INVALID,
                         "a backend was made for version %u of the backend contract: expected %d",
                         ops->abi, CUBBY_BACKEND_ABI);
    if (!ops->name || !ops->get || !ops->put || !ops->remove || !ops->iterate || !ops->stats ||
        !ops->close)
        return error_set(error, CUBBY_ERR_INVALID,
                         "the backend \"%s\" lacks a required operation: see cubby/backend.h",
                         ops->name ? ops->name : "");
    return 0;
}

static void close_all(struct cubby_backend *const *tiers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (tiers[i] && tiers[i]->ops && tiers[i]->ops->close)
            tiers[i]->ops->close(tiers[i]);
    }
}

int cubby_cache_open_backends(struct cubby_backend *const *tiers, size_t count,
                              struct cubby_cache **ret_cache, struct cubby_error *error) {
    struct cubby_cache *cache = NULL;
    int result = 0;

    if (count > MAX_TIERS)
        result = error_set(error, CUBBY_ERR_INVALID, "%zu tiers are too many: at most %d", count,
                           MAX_TIERS);
    for (size_t i = 0; i < count && result == 0; i++)
        result = check_backend(tiers[i], error);
    if (result == 0) {
        cache = calloc(1, sizeof(*cache));
        if (!cache)
            result = error_no_memory(error);
    }
    if (result < 0) {
        close_all(tiers, count);
        return result;
    }
    atomic_init(&cache->references, 1);
    if (count > 0)
        memcpy(cache->tiers, tiers, count * sizeof(*tiers));
    cache->tier_count = cache->own_count = count;
    cache->owner = process_id();
    flight_table_init(&cache->own_flights);
    cache->flights = &cache->own_flights;
    *ret_cache = cache;
    return 0;
}

struct cubby_cache *cubby_cache_ref(struct cubby_cache *cache) {
    if (cache)
        atomic_fetch_add_explicit(&cache->references, 1, memory_order_relaxed);
    return cache;
}

void cubby_cache_unref(struct cubby_cache *cache) {
    if (!cache || atomic_fetch_sub_explicit(&cache->references, 1, memory_order_acq_rel) != 1)
        return;
    cubby_cache_flush(cache, NULL);
    if (!cache->lower)
        flight_table_free(&cache->own_flights);
    close_all(cache->tiers, cache->own_count);
    for (size_t i = 0; i < cache->own_count; i++)
        secret_free(cache->forms[i].secret);
    cubby_cache_unref(cache->lower);
    free(cache->made_by);
    for (size_t i = 0; i < cache->problem_count; i++)
        cubby_error_clear(&cache->problems[i]);
    free(cache);
}

/* What is behind a tier that has nothing behind it: one cache for all of the process, so that those
 * meet who make the same for different tiers. NULL where memory was short. */
static struct cubby_cache *nothing;

static void open_nothing(void) {
    cubby_cache_open_backends(NULL, 0, &nothing, NULL);
}

/* Puts the tiers of the lower one behind, and flies with all who do. */
static void append(struct cubby_cache *cache, struct cubby_cache *lower) {
    memcpy(cache->tiers + 1, lower->tiers, lower->tier_count * sizeof(*lower->tiers));
    memcpy(cache->forms + 1, lower->forms, lower->tier_count * sizeof(*lower->forms));
    cache->tier_count += lower->tier_count;
    cache->lower = cubby_cache_ref(lower);
    flight_table_free(&cache->own_flights);
    cache->flights = lower->flights;
}

int cache_put_before(struct cubby_cache *lower, struct cubby_backend *first,
                     struct cubby_cache **ret_cache, struct cubby_error *error) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct cubby_cache *cache;
    int result;

    if (!lower) {
        pthread_once(&once, open_nothing);
        lower = nothing;
    }
    if (lower && lower->tier_count == MAX_TIERS) {
        close_all(&first, 1);
        return error_set(error, CUBBY_ERR_INVALID,
                         "a cache of %d tiers takes no further one: use fewer stores", MAX_TIERS);
    }
    result = cubby_cache_open_backends(&first, 1, &cache, error);
    if (result < 0)
        return result;
    if (lower)
        append(cache, lower);
    *ret_cache = cache;
    return 0;
}

size_t cubby_cache_tier_count(const struct cubby_cache *cache) {
    return cache->tier_count;
}

const char *cubby_cache_tier_name(const struct cubby_cache *cache, size_t tier) {
    return tier < cache->tier_count ? cache->tiers[tier]->ops->name : NULL;
}

void cache_set_form(struct cubby_cache *cache, size_t tier, const struct entry_form *form) {
    cache->forms[tier] = *form;
}

int cache_set_made_by(struct cubby_cache *cache, const char *fingerprint) {
    cache->made_by = strdup(fingerprint);
    return cache->made_by ? 0 : CUBBY_ERR_NO_MEMORY;
}

const char *cache_made_by(const struct cubby_cache *cache) {
    return cache->made_by;
}

void cache_add_problem(struct cubby_cache *cache, struct cubby_error *problem) {
    log_line(CUBBY_LOG_WARN, "this store is not used: %s", problem->message);
    cache_count(cache, EVENT_ERROR, 1);
    if (cache->problem_count < MAX_TIERS)
        error_move(&cache->problems[cache->problem_count++], problem);
    cubby_error_clear(problem);
}

void cache_set_flight_timeout(struct cubby_cache *cache, unsigned seconds) {
    cache->flights->timeout_ns = seconds * UINT64_C(1000000000);
}

const struct cubby_error *cubby_cache_problem(const struct cubby_cache *cache, size_t index) {
    return index < cache->problem_count ? &cache->problems[index] : NULL;
}

/* ---- Counters ---------------------------------------------------------------------------- */

void cache_count(struct cubby_cache *cache, enum cache_event event, uint64_t amount) {
    atomic_fetch_add_explicit(&cache->events[event], amount, memory_order_relaxed);
}

static uint64_t take_event(struct cubby_cache *cache, enum cache_event event) {
    return atomic_exchange_explicit(&cache->events[event], 0, memory_order_relaxed);
}

/* The store that keeps the counters: the last that can. */
static struct cubby_backend *counting_tier(const struct cubby_cache *cache) {
    for (size_t i = cache->tier_count; i > 0; i--) {
        if (cache->tiers[i - 1]->ops->count)
            return cache->tiers[i - 1];
    }
    return NULL;
}

static int flush_counters(struct cubby_cache *cache, struct cubby_error *error) {
    static const struct cubby_counters NONE;
    struct cubby_backend *tier = counting_tier(cache);
    struct cubby_counters delta = {
        .hits = take_event(cache, EVENT_HIT),
        .misses = take_event(cache, EVENT_MISS),
        .compiles = take_event(cache, EVENT_COMPILE),
        .waits = take_event(cache, EVENT_WAIT),
        .puts = take_event(cache, EVENT_PUT),
        .corrupt = take_event(cache, EVENT_CORRUPT),
        .dropped = take_event(cache, EVENT_DROPPED),
        .errors = take_event(cache, EVENT_ERROR),
        .compile_ns = take_event(cache, EVENT_COMPILE_NS),
        .saved_ns = take_event(cache, EVENT_SAVED_NS),
    };

    /* A forked child starts with a copy of its parent's events, which the parent will write; so
     * the child's first flush only drops them. */
    if (cache->owner != process_id()) {
        cache->owner = process_id();
        return 0;
    }
    if (!tier || memcmp(&delta, &NONE, sizeof(delta)) == 0)
        return 0;
    return tier->ops->count(tier, &delta, error);
}

int cubby_cache_flush(struct cubby_cache *cache, struct cubby_error *error) {
    struct cubby_error problem = CUBBY_ERROR_INIT;
    int result = flush_counters(cache, &problem);

    for (size_t i = 0; i < cache->tier_count; i++) {
        const struct cubby_backend_ops *ops = cache->tiers[i]->ops;
        int flushed = ops->flush ? ops->flush(cache->tiers[i], &problem) : 0;

        result = result < 0 ? result : flushed;
    }
    if (result < 0)
        log_line(CUBBY_LOG_WARN, "the store could not be written: %s", problem.message);
    error_move(error, &problem);
    return result;
}

int cache_check_kind(enum cubby_entry_kind kind, struct cubby_error *error) {
    if ((unsigned)kind < CUBBY_ENTRY_KINDS)
        return 0;
    return error_set(error, CUBBY_ERR_INVALID,
                     "entry kind %d is not known: expected one of enum cubby_entry_kind",
                     (int)kind);
}

/* ---- Entries ----------------------------------------------------------------------------- */

/* Asks a tier: for use, or for looking only. */
typedef int (*tier_get)(struct cubby_backend *backend, enum cubby_entry_kind kind,
                        const struct cubby_key *key, struct cubby_blob **ret_blob,
                        struct cubby_error *error);

/* Notes what is wrong with a tier's answer; a damaged entry is removed, so that the next put heals
 * it. */
static void judge(struct cubby_cache *cache, struct cubby_backend *tier, enum cubby_entry_kind kind,
                  const struct cubby_key *key, const struct cubby_error *error) {
    switch (error->code) {
    case CUBBY_ERR_CORRUPT:
        cache_count(cache, EVENT_CORRUPT, 1);
        tier->ops->remove(tier, kind, key, NULL);
        break;
    case CUBBY_ERR_INVALID:
        /* Whole, but without our MAC. It may be the good entry of someone who shares the store with
         * another secret, or none, and to remove it would gain nothing: who planted it could do so
         * again. It is never used here, and our next put takes its place. */
        cache_count(cache, EVENT_CORRUPT, 1);
        break;
    default:
        cache_count(cache, EVENT_ERROR, 1);
    }
    log_line(CUBBY_LOG_WARN, "%s: %s", tier->ops->name, error->message);
}

/* One tier's answer. reading: of enum object_reading. */
static int ask_tier(struct cubby_cache *cache, size_t i, tier_get get, enum cubby_entry_kind kind,
                    const struct cubby_key *key, unsigned reading,
                    struct cubby_object **ret_object) {
    struct cubby_backend *tier = cache->tiers[i];
    struct cubby_blob *blob = NULL;
    struct cubby_error error;
    int result;

    if (!(tier->ops->flags & CUBBY_BACKEND_IN_PROCESS))
        reading |= OBJECT_VERIFY;
    error_begin(&error);
    result = get(tier, kind, key, &blob, &error);
    if (result == CUBBY_ERR_NOT_FOUND)
        return result;
    if (result == 0)
        result = object_from_stored(blob, kind, key, cache->forms[i].secret, reading, ret_object,
                                    &error);
    if (result == 0)
        return 0;
    error.code = result; /* a backend may have left it out */
    judge(cache, tier, kind, key, &error);
    cubby_error_clear(&error);
    return result;
}

int cache_put_into(struct cubby_cache *cache, size_t i, enum cubby_entry_kind kind,
                   const struct cubby_key *key, struct cubby_blob *blob,
                   struct cubby_error *error) {
    struct cubby_backend *tier = cache->tiers[i];
    struct cubby_blob *formed = NULL;
    int result = 0;

    if (cubby_blob_size(blob) > CUBBY_ENTRY_MAX_SIZE)
        result = error_set(error, CUBBY_ERR_INVALID,
                           "an entry of %zu bytes is too large: a store takes at most 1 GiB",
                           cubby_blob_size(blob));
    if (result == 0)
        result = entry_reform(blob, kind, key, &cache->forms[i], &formed, error);

    if (result == 0)
        result = tier->ops->put(tier, kind, key, formed, error);
    cubby_blob_unref(formed);
    if (result == 0) {
        cache_count(cache, EVENT_PUT, 1);
    } else if (result != CUBBY_ERR_UNSUPPORTED) { /* a read-only tier is no failure */
        cache_count(cache, EVENT_DROPPED, 1);
        log_line(CUBBY_LOG_WARN, "%s: not stored: %s", tier->ops->name, error->message);
    }
    return result;
}

static void promote(struct cubby_cache *cache, size_t from, enum cubby_entry_kind kind,
                    const struct cubby_key *key, struct cubby_object *object) {
    for (size_t i = 0; i < from; i++) {
        struct cubby_error error = CUBBY_ERROR_INIT;

        cache_put_into(cache, i, kind, key, object_blob(object), &error);
        cubby_error_clear(&error);
    }
}

static int look_in_tiers(struct cubby_cache *cache, enum cubby_entry_kind kind,
                         const struct cubby_key *key, cache_accept accept, void *context,
                         struct cubby_object **ret_object, const char **ret_tier) {
    for (size_t i = 0; i < cache->tier_count; i++) {
        struct cubby_object *object;

        if (ask_tier(cache, i, cache->tiers[i]->ops->get, kind, key, 0, &object) != 0)
            continue;
        if (accept && !accept(object, context)) {
            cubby_object_unref(object);
            continue;
        }
        promote(cache, i, kind, key, object);
        *ret_object = object;
        *ret_tier = cache->tiers[i]->ops->name;
        return 0;
    }
    return CUBBY_ERR_NOT_FOUND;
}

int cache_lookup(struct cubby_cache *cache, enum cubby_entry_kind kind, const struct cubby_key *key,
                 struct cubby_object **ret_object, const char **ret_tier) {
    return look_in_tiers(cache, kind, key, NULL, NULL, ret_object, ret_tier);
}

static int peek_tier(struct cubby_cache *cache, size_t i, enum cubby_entry_kind kind,
                     const struct cubby_key *key, unsigned reading,
                     struct cubby_object **ret_object) {
    const struct cubby_backend_ops *ops = cache->tiers[i]->ops;

    return ask_tier(cache, i, ops->peek ? ops->peek : ops->get, kind, key, reading, ret_object);
}

int cache_peek(struct cubby_cache *cache, enum cubby_entry_kind kind, const struct cubby_key *key,
               unsigned reading, struct cubby_object **ret_object, const char **ret_tier) {
    for (size_t i = 0; i < cache->tier_count; i++) {
        if (peek_tier(cache, i, kind, key, reading, ret_object) == 0) {
            *ret_tier = cache->tiers[i]->ops->name;
            return 0;
        }
    }
    return CUBBY_ERR_NOT_FOUND;
}

void cache_fill(struct cubby_cache *cache, enum cubby_entry_kind kind, const struct cubby_key *key,
                struct cubby_blob *blob) {
    for (size_t i = 0; i < cache->tier_count; i++) {
        struct cubby_error error = CUBBY_ERROR_INIT;
        struct cubby_object *object;

        if (peek_tier(cache, i, kind, key, 0, &object) == 0)
            cubby_object_unref(object);
        else
            cache_put_into(cache, i, kind, key, blob, &error);
        cubby_error_clear(&error);
    }
}

int cache_lookup_accepted(struct cubby_cache *cache, enum cubby_entry_kind kind,
                          const struct cubby_key *key, cache_accept accept, void *context) {
    struct cubby_object *object;
    const char *tier;
    int result = look_in_tiers(cache, kind, key, accept, context, &object, &tier);

    if (result == 0)
        cubby_object_unref(object);
    return result;
}

int cache_store(struct cubby_cache *cache, enum cubby_entry_kind kind, const struct cubby_key *key,
                struct cubby_blob *blob, struct cubby_error *error) {
    struct cubby_error first = CUBBY_ERROR_INIT;
    bool stored = false;

    for (size_t i = 0; i < cache->tier_count; i++) {
        struct cubby_error problem = CUBBY_ERROR_INIT;

        if (cache_put_into(cache, i, kind, key, blob, &problem) == 0)
            stored = true;
        error_move(&first, &problem);
    }
    if (!stored && first.code == CUBBY_OK)
        error_set(&first, CUBBY_ERR_IO, "no store is in use");
    if (stored) {
        cubby_error_clear(&first);
        return 0;
    }
    error_move(error, &first);
    return CUBBY_ERR_IO;
}
