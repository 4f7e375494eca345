/* SPDX-License-Identifier: Apache-2.0 */
/* A cache over one store, as the subject of a measurement beside its floor. */
#ifndef BENCH_STORE_H
#define BENCH_STORE_H

#include <cubby/cubby.h>

#include "floor.h"

struct store {
    struct cubby_cache *cache;
    size_t size;
    unsigned next;
    unsigned char *bytes;
    struct cubby_key keys[BENCH_ENTRIES];
};

/* Parameters with which a store has a secret, which store_open() writes. */
#define STORE_SECRET "?secret_file="

/* Opens a store of that kind and parameters in the folder and puts BENCH_ENTRIES entries of so many
 * bytes in. Returns 0, or a code with the error filled; store_close() also after a failure. */
int store_open(struct store *store, const char *kind, const char *params, const char *folder,
               size_t size, struct cubby_error *error);
void store_close(struct store *store);

/* The bytes of one entry as the store keeps them, with metadata and trailer. */
size_t store_entry_size(const struct store *store);

/* The works. */
int store_get(void *store); /* a hit, its bytes at hand, released */
int store_put(void *store); /* replaces an entry */

#endif
