/* SPDX-License-Identifier: Apache-2.0 */
/* A store that is full of small entries, made in bulk: through puts a million would take minutes.
 */
#ifndef BENCH_POPULOUS_H
#define BENCH_POPULOUS_H

#include <cubby/cubby.h>

struct populous {
    struct cubby_cache *cache; /* NULL while it is closed */
    const char *kind;          /* "file" or "sqlite" */
    char *spec;
    unsigned entries;   /* at its cap */
    unsigned next;      /* number of the key that is put next */
    uint64_t random;    /* for keys to get */
    unsigned per_cycle; /* puts that populous_cycle() makes */
};

/* Makes a store of so many entries in an empty folder, its cap just above what they have together,
 * and opens it. Returns 0 or -1; populous_close() also after a failure. */
int populous_open(struct populous *store, const char *kind, const char *folder, unsigned entries);
void populous_close(struct populous *store);

/* The works. */
int populous_reopen(void *store); /* opens it once more, gets an entry, and closes that */
int populous_get(void *store);    /* a hit of any of the entries that it began with */
int populous_put(void *store);    /* a new entry */
int populous_cycle(void *store);  /* many of these */

#endif
