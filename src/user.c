/* SPDX-License-Identifier: Apache-2.0 */
/* For those who bring their own compiler: entries under keys of the caller's. */
#include "cache/cache.h"
#include "entry/meta.h"
#include "object.h"
#include "os/time.h"
#include "outcome.h"
#include "util/error.h"

static void begin(const struct cubby_key *key, struct cubby_outcome *outcome) {
    *outcome = (struct cubby_outcome){.kind = CUBBY_OUTCOME_ERROR, .has_key = true, .key = *key};
    outcome->elapsed_ns = monotonic_ns();
}

static int end(int result, struct cubby_outcome *outcome, struct cubby_outcome *ret_outcome) {
    outcome->elapsed_ns = monotonic_ns() - outcome->elapsed_ns;
    if (ret_outcome)
        *ret_outcome = *outcome;
    return result;
}

int cubby_cache_get(struct cubby_cache *cache, enum cubby_entry_kind kind,
                    const struct cubby_key *key, struct cubby_object **ret_object,
                    struct cubby_outcome *ret_outcome, struct cubby_error *error) {
    struct cubby_outcome outcome;
    int result = cache_check_kind(kind, error);

    /* A hit in memory takes less time than two looks at the clock: only who asks waits for them. */
    if (ret_outcome)
        begin(key, &outcome);
    if (result == 0)
        result = outcome_look_up(cache, kind, key, ret_object, ret_outcome ? &outcome : NULL);
    if (result < 0)
        error_set(error, result, "no store holds an entry of that key");
    return ret_outcome ? end(result, &outcome, ret_outcome) : result;
}

int cubby_cache_peek(struct cubby_cache *cache, enum cubby_entry_kind kind,
                     const struct cubby_key *key, struct cubby_object **ret_object) {
    int result = cache_check_kind(kind, NULL);
    const char *tier;

    return result < 0 ? result : cache_peek(cache, kind, key, 0, ret_object, &tier);
}

int cubby_cache_describe(struct cubby_cache *cache, enum cubby_entry_kind kind,
                         const struct cubby_key *key, struct cubby_object **ret_object) {
    int result = cache_check_kind(kind, NULL);
    const char *tier;

    return result < 0 ? result : cache_peek(cache, kind, key, OBJECT_DESCRIBE, ret_object, &tier);
}

static int encode(const struct cubby_key *key, const void *data, size_t size, uint64_t make_ns,
                  struct cubby_blob **ret_blob, struct cubby_error *error) {
    struct buffer meta = BUFFER_INIT;
    int result;

    meta_add(&meta, META_START, NULL, 0);
    meta_add_u64(&meta, META_COMPILE_NS, make_ns);
    meta_add_u64(&meta, META_CREATED_AT, (uint64_t)wall_seconds());
    result = meta.failed ? error_no_memory(error)
                         : entry_encode(CUBBY_ENTRY_USER, key, data, size, meta.data, meta.size,
                                        ret_blob, error);
    buffer_free(&meta);
    return result;
}

int cubby_cache_put(struct cubby_cache *cache, const struct cubby_key *key, const void *data,
                    size_t size, struct cubby_error *error) {
    struct cubby_blob *blob;
    int result = encode(key, data, size, 0, &blob, error);

    if (result < 0)
        return result;
    result = cache_store(cache, CUBBY_ENTRY_USER, key, blob, error);
    cubby_blob_unref(blob);
    return result;
}

/* A request for an entry that no store had. */
struct wish {
    struct cubby_cache *cache;
    const struct cubby_key *key;
    cubby_make_function make;
    void *context;
    struct cubby_outcome *outcome;
};

static int look_again(void *context, struct cubby_object **ret_object) {
    const struct wish *wish = context;
    const char *tier;

    return cache_lookup(wish->cache, CUBBY_ENTRY_USER, wish->key, ret_object, &tier);
}

/* Calls the maker and stores what it gives. */
static int make_entry(void *context, struct cubby_object **ret_object, bool *ret_kept,
                      struct cubby_error *error) {
    const struct wish *wish = context;
    struct cubby_cache *cache = wish->cache;
    struct cubby_outcome *outcome = wish->outcome;
    const struct cubby_key *key = wish->key;
    struct cubby_error dropped = CUBBY_ERROR_INIT;
    struct cubby_blob *made = NULL, *blob = NULL;
    uint64_t start = monotonic_ns();
    int result = wish->make(wish->context, &made, error);

    outcome->compile_ns = monotonic_ns() - start;
    if (result < 0)
        return result;
    cache_count(cache, EVENT_COMPILE, 1);
    cache_count(cache, EVENT_COMPILE_NS, outcome->compile_ns);
    result = encode(key, cubby_blob_data(made), cubby_blob_size(made), outcome->compile_ns, &blob,
                    error);
    if (result == 0)
        result = object_from_blob(blob, CUBBY_ENTRY_USER, key, false, ret_object, error);
    if (result == 0) {
        outcome->kind = CUBBY_OUTCOME_COMPILED;
        *ret_kept = cache_store(cache, CUBBY_ENTRY_USER, key, blob, &dropped) == 0;
        if (!*ret_kept)
            outcome_set_reason(outcome, dropped.message);
    }
    cubby_error_clear(&dropped);
    cubby_blob_unref(blob);
    cubby_blob_unref(made);
    return result;
}

int cubby_cache_get_or_make(struct cubby_cache *cache, const struct cubby_key *key,
                            cubby_make_function make, void *context,
                            struct cubby_object **ret_object, struct cubby_outcome *ret_outcome,
                            struct cubby_error *error) {
    struct cubby_outcome outcome;
    struct wish wish = {cache, key, make, context, &outcome};
    int result;

    begin(key, &outcome);
    result = outcome_look_up(cache, CUBBY_ENTRY_USER, key, ret_object, &outcome);
    if (result < 0) {
        const struct flight_task task = {CUBBY_ENTRY_USER, *key,       true, "",
                                         look_again,       make_entry, &wish};

        result = outcome_make(cache, &task, ret_object, &outcome, error);
    }
    return end(result, &outcome, ret_outcome);
}
