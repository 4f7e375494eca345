/* SPDX-License-Identifier: Apache-2.0 */
/* Hits with the key at hand, and replacing an entry, in each kind of store beside its floor. */
#include <stdio.h>

#include "scratch.h"
#include "store.h"

enum operation { HIT, PUT };

static const struct subject {
    const char *name, *kind, *params; /* the parameters of the spec, a secret in its folder */
    enum operation operation;
    const char *what;
    enum goal_kind goal;
    double limit;
} SUBJECTS[] = {
    {"hit/memory", "memory", "", HIT, "cubby_cache_get", GOAL_MICROSECONDS, 0.15},
    {"hit/file", "file", "", HIT, "cubby_cache_get, verified", GOAL_RATIO, 1.35},
    {"put/file", "file", "", PUT, "cubby_cache_put", GOAL_RATIO, 1.3},
#ifdef HAVE_ZSTD
    {"hit/file-zstd", "file", "?compress=zstd", HIT, "cubby_cache_get, decompressed", GOAL_NONE, 0},
    {"put/file-zstd", "file", "?compress=zstd", PUT, "cubby_cache_put, compressed", GOAL_NONE, 0},
#endif
    {"hit/file-secret", "file", STORE_SECRET, HIT, "cubby_cache_get, its MAC checked", GOAL_NONE,
     0},
    {"put/file-secret", "file", STORE_SECRET, PUT, "cubby_cache_put, signed", GOAL_NONE, 0},
#ifdef HAVE_SQLITE
    {"hit/sqlite", "sqlite", "", HIT, "cubby_cache_get, verified", GOAL_RATIO, 1.35},
    {"put/sqlite", "sqlite", "", PUT, "cubby_cache_put", GOAL_NONE, 0},
#endif
};

/* Floor and subject each keep as many bytes an entry, metadata and trailer included. */
static void measure(struct bench *bench, const struct subject *subject, struct row *row,
                    const char *folder, size_t size) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct floor floor = {.free = NULL};
    struct store store;

    if (store_open(&store, subject->kind, subject->params, folder, size, &error) < 0) {
        bench_fail(bench, row, "%.140s", *error.message ? error.message : "out of memory");
    } else if (floor_open(&floor, subject->kind, folder, store_entry_size(&store)) < 0) {
        bench_fail(bench, row, "the floor could not be made");
    } else {
        row->floor = subject->operation == HIT ? floor.get : floor.put;
        row->subject =
            (struct work){subject->what, subject->operation == HIT ? store_get : store_put, &store};
        row->lingers = subject->operation == PUT;
        row->goal = subject->goal;
        row->limit = subject->limit;
        bench_measure(bench, row);
    }
    floor_close(&floor);
    store_close(&store);
    cubby_error_clear(&error);
}

void store_rows(struct bench *bench) {
    static const size_t SIZES[] = BENCH_SIZES;

    for (size_t i = 0; i < sizeof(SUBJECTS) / sizeof(*SUBJECTS); i++) {
        for (size_t j = 0; j < sizeof(SIZES) / sizeof(*SIZES); j++) {
            const char *folder;
            struct row row;

            if (!bench_begin(bench, &row, SUBJECTS[i].name, SIZES[j]))
                continue;
            folder = scratch_folder(bench->scratch);
            if (!folder) {
                bench_fail(bench, &row, "no folder could be made in %s", bench->scratch);
                continue;
            }
            measure(bench, &SUBJECTS[i], &row, folder, SIZES[j]);
            scratch_remove(folder);
        }
    }
}
