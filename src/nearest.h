/* SPDX-License-Identifier: Apache-2.0 */
/* The stored object that is nearest to a program. */
#ifndef CUBBY_NEAREST_H
#define CUBBY_NEAREST_H

#include <cubby/cubby.h>

#include "util/pairs.h"

/* More objects than this are not looked at: of a file store's, each takes some 20 microseconds. */
#define NEAREST_MAX_LOOKS 10000

/*
 * Finds it among the objects of that name. fields: of the key of the program. Returns 0 with a new
 * object and its key; NOT_FOUND; NO_MEMORY; or an error of the store.
 */
int nearest_find(struct cubby_cache *cache, const char *source_name, const struct pairs *fields,
                 struct cubby_object **ret_object, struct cubby_key *ret_key,
                 struct cubby_error *error);

#endif
