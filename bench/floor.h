/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floors: the least work by which each kind of store could keep bytes under a key, without
 * checksum, metadata, counters or care for failures. Each keeps BENCH_ENTRIES entries under the
 * same keys as the subject and uses them in turn.
 */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <cubby/cubby.h>

#include "bench.h"

struct floor {
    struct work get, put; /* put.once is NULL where nothing is compared */
    void *context;
    void (*free)(void *context); /* NULL-safe */
};

/* Makes the floor of a kind of store, as a spec calls it, in an empty folder. Returns 0 or -1;
 * floor_close() also after a failure. */
int floor_open(struct floor *floor, const char *kind, const char *folder, size_t size);
void floor_close(struct floor *floor);

/* The key of the entry of that number. */
void floor_key(unsigned number, struct cubby_key *ret_key);

/* One kind each. */
int memory_floor_open(struct floor *floor, size_t size);
int file_floor_open(struct floor *floor, const char *folder, size_t size);
int sqlite_floor_open(struct floor *floor, const char *folder, size_t size);

#endif
