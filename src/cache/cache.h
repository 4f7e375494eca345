/* SPDX-License-Identifier: Apache-2.0 */
/* The cache from within: an ordered list of stores, and what happens between them. */
#ifndef CUBBY_CACHE_CACHE_H
#define CUBBY_CACHE_CACHE_H

#include <cubby/cubby.h>

struct entry_form;

/* Counters that the cache keeps itself, for the stores to add to their own. */
enum cache_event {
    EVENT_HIT,
    EVENT_MISS,
    EVENT_COMPILE,
    EVENT_WAIT,
    EVENT_PUT,
    EVENT_CORRUPT,
    EVENT_DROPPED,
    EVENT_ERROR,
    EVENT_COMPILE_NS,
    EVENT_SAVED_NS,
    EVENT_COUNT,
};

void cache_count(struct cubby_cache *cache, enum cache_event event, uint64_t amount);

/*
 * Asks the tiers in order for a good entry. What a tier gives that is damaged is removed there,
 * counted, and counts as a miss, as does what lacks the MAC that the tier asks for; what a lower
 * tier gives is put into those above it. Neither hit nor miss is counted.
 *
 * Returns 0 with a new object and the name of the tier (borrowed), or NOT_FOUND.
 */
int cache_lookup(struct cubby_cache *cache, enum cubby_entry_kind kind, const struct cubby_key *key,
                 struct cubby_object **ret_object, const char **ret_tier);

/* As cache_lookup(), for looking at a cache: it is no use of the entry, and nothing is put into the
 * tiers above. reading: 0, or OBJECT_DESCRIBE of enum object_reading. */
int cache_peek(struct cubby_cache *cache, enum cubby_entry_kind kind, const struct cubby_key *key,
               unsigned reading, struct cubby_object **ret_object, const char **ret_tier);

/* Says whether an entry will do; where not, the next tier is asked. */
typedef bool (*cache_accept)(struct cubby_object *object, void *context);

/* As cache_lookup(), for entries that may differ between tiers. */
int cache_lookup_accepted(struct cubby_cache *cache, enum cubby_entry_kind kind,
                          const struct cubby_key *key, cache_accept accept, void *context);

/*
 * Puts an entry into every tier that may be written. A failure is logged and counted.
 * Returns 0 if at least one tier took it; else the first tier's failure.
 */
int cache_store(struct cubby_cache *cache, enum cubby_entry_kind kind, const struct cubby_key *key,
                struct cubby_blob *blob, struct cubby_error *error);

/* Puts an entry into every tier that lacks it. Failures are logged and counted. */
void cache_fill(struct cubby_cache *cache, enum cubby_entry_kind kind, const struct cubby_key *key,
                struct cubby_blob *blob);

/* Puts an entry into one tier, in the tier's form. Returns its failure, which is counted and logged
 * unless the tier is read-only (UNSUPPORTED). */
int cache_put_into(struct cubby_cache *cache, size_t tier, enum cubby_entry_kind kind,
                   const struct cubby_key *key, struct cubby_blob *blob, struct cubby_error *error);

/* Has a tier of a new cache keep its entries in a form, whose secret is taken over. */
void cache_set_form(struct cubby_cache *cache, size_t tier, const struct entry_form *form);

/* A cache with one more tier, which it steals, before all those of another, which it references;
 * lower: NULL for none. */
int cache_put_before(struct cubby_cache *lower, struct cubby_backend *first,
                     struct cubby_cache **ret_cache, struct cubby_error *error);

/* Says of a new cache which compiler made what is in it, where there is none here to ask. Copied.
 * Returns 0 or NO_MEMORY. */
int cache_set_made_by(struct cubby_cache *cache, const char *fingerprint);

/* The fingerprint of that compiler, borrowed; NULL where the one that is here counts. */
const char *cache_made_by(const struct cubby_cache *cache);

/* Notes that a store of the spec is not in use. */
void cache_add_problem(struct cubby_cache *cache, struct cubby_error *problem);

/* How long a request waits for another that makes the same entry; 0: not at all. */
void cache_set_flight_timeout(struct cubby_cache *cache, unsigned seconds);

/* Stores index arrays by the kind: 0, or INVALID for a value that is none. */
int cache_check_kind(enum cubby_entry_kind kind, struct cubby_error *error);

#endif
