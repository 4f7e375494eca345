/* SPDX-License-Identifier: Apache-2.0 */
/* Runtime caches from within: the handle that an engine makes for itself, which is saved without
 * being asked. Handles of the user's own, and those that are shared, are not. */
#ifndef CUBBY_RUNTIME_RUNTIME_CACHE_H
#define CUBBY_RUNTIME_RUNTIME_CACHE_H

#include <cubby/cubby.h>

/* A handle on a path that saves itself once: when it is retired, at the latest with its last
 * reference. Returns as cubby_runtime_cache_new(). */
int runtime_cache_of_engine(const char *path, uint64_t max_size,
                            struct cubby_runtime_cache **ret_cache, struct cubby_error *error);

/* The engine uses another from now on, or ends: what was inserted is saved, unless it was before. A
 * failure is logged. Does nothing for the handles of others. NULL-safe. */
void runtime_cache_retire(struct cubby_runtime_cache *cache);

/* As cubby_runtime_cache_materialise(), for a user who has no toolchain, or needs none: the handle
 * keeps that of what was loaded. *ret_toolchain: which one that is, new; "" for none. */
int runtime_cache_materialise_any(struct cubby_runtime_cache *cache, const char *arch,
                                  int driver_version, char **ret_toolchain,
                                  struct cubby_error *error);

/* True if there is somewhere to save to. */
bool runtime_cache_has_place(const struct cubby_runtime_cache *cache);

/*
 * Entries of any kind that a runtime cache keeps, as a store has them. get: 0 or NOT_FOUND; counts
 * neither hit nor miss, as one request may look several times. Of a pending handle only what it has
 * stashed of toolchains is found: who is to say for which one it becomes live asks for that before.
 * put: 0, also of a pending handle, which keeps nothing; CORRUPT; NO_MEMORY; kernels count as with
 * cubby_runtime_cache_insert(). remove: 0 or NOT_FOUND.
 */
int runtime_cache_get(struct cubby_runtime_cache *cache, enum cubby_entry_kind kind,
                      const struct cubby_key *key, struct cubby_blob **ret_blob);
int runtime_cache_put(struct cubby_runtime_cache *cache, enum cubby_entry_kind kind,
                      const struct cubby_key *key, struct cubby_blob *blob,
                      struct cubby_error *error);
int runtime_cache_remove(struct cubby_runtime_cache *cache, const struct cubby_key *key);

/* Counts a request for a kernel, which was found there or was not. */
void runtime_cache_count(struct cubby_runtime_cache *cache, bool is_hit);

#endif
