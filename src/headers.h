/* SPDX-License-Identifier: Apache-2.0 */
/* The key of a program that reads headers: what the manifest in the cache knows of it, and what a
 * compile teaches the manifest. */
#ifndef CUBBY_HEADERS_H
#define CUBBY_HEADERS_H

#include <cubby/cubby.h>

#include "deps/harvest.h"

/* Receives each path of the set that holds now. digest: of a DEP_FILE, else NULL. */
typedef void (*headers_visit)(const char *path, enum dep_kind kind, const struct cubby_key *digest,
                              void *context);

/*
 * Looks for a set of headers that holds now. base: the key of the program itself. visit may be
 * NULL. Returns 0 with the key of the object, or NOT_FOUND.
 */
int headers_find(struct cubby_cache *cache, const struct cubby_program *program,
                 const struct cubby_key *base, headers_visit visit, void *context,
                 struct cubby_key *ret_key);

/*
 * Shows what keeps the sets of headers that the cache knows from holding: of the set that is
 * nearest to the files as they are. base: the key of the program itself. Returns 0 with the key of
 * the object that was compiled with that set, NOT_FOUND where no manifest is stored, or NO_MEMORY.
 */
int headers_compare(struct cubby_cache *cache, const struct cubby_program *program,
                    const struct cubby_key *base, cubby_difference_visitor visit, void *context,
                    struct cubby_key *ret_key);

/* Has every store know the set of headers with which the object lies under that key. */
void headers_fill(struct cubby_cache *cache, const struct cubby_program *program,
                  const struct cubby_key *base, const struct cubby_key *key);

/* Notes in the manifest that with these dependencies the object lies under that key. Returns 0 or
 * an error of the store. */
int headers_record(struct cubby_cache *cache, const struct cubby_program *program,
                   const struct cubby_key *base, const struct deps *deps,
                   const struct cubby_key *key, struct cubby_error *error);

#endif
