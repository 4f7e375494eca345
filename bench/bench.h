/* SPDX-License-Identifier: Apache-2.0 */
/* The benchmark as its parts see it: what is to be measured, and the rows measured so far. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#include "measure.h"

/* What a goal speaks of. */
enum goal_kind {
    GOAL_NONE,         /* measured to be known */
    GOAL_RATIO,        /* subject over floor, at most */
    GOAL_MICROSECONDS, /* the subject alone, at most */
};

/* One row of the results. */
struct row {
    char name[32];       /* such as "hit/file/4K" */
    struct work floor;   /* the least that could do the same */
    struct work subject; /* what Cubby does */
    bool lingers;        /* an operation leaves work behind that the next one waits for */
    bool is_long;        /* an operation takes a good part of a second */
    enum goal_kind goal;
    double limit;      /* of the goal, in its unit */
    bool measured;     /* comparison is set */
    char problem[160]; /* why it was not measured, "" where it was */
    struct comparison comparison;
};

struct bench {
    struct plan plan;
    const char *filter;                  /* part of the names of the rows wanted; NULL for all */
    unsigned entries;                    /* of a store that has many */
    const char *scratch;                 /* an empty folder */
    const char *command;                 /* path of the command `cubby` */
    const char *kernel;                  /* path of a source for it to compile */
    void (*show)(const struct row *row); /* told each row as it is measured; may be NULL */
    struct row *rows;
    size_t row_count;
    bool failed; /* a row failed that should not have */
};

/* The sizes at which stores and keys are measured, and how many entries are used in turn. */
#define BENCH_SIZES                                                                                \
    { 4096, 65536, 1048576 }
#define BENCH_ENTRIES 16

/* Fills a row's name, such as "hit/file/4K"; true if it is to be measured. */
bool bench_begin(const struct bench *bench, struct row *row, const char *what, size_t size);

/* Measures a row and keeps it. */
void bench_measure(struct bench *bench, struct row *row);

/* Keeps a row that was measured already. */
void bench_keep(struct bench *bench, struct row *row, const struct comparison *comparison);

/* Keeps a row that cannot be measured on this machine, with the reason. */
void bench_skip(struct bench *bench, struct row *row, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Keeps a row that should have been measured, with what went wrong. */
void bench_fail(struct bench *bench, struct row *row, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* True if the goal of a measured row is met. */
bool row_met(const struct row *row);

/* The parts, each of which adds its rows. */
void store_rows(struct bench *bench);
void key_rows(struct bench *bench);
void header_rows(struct bench *bench);
void process_rows(struct bench *bench);
void flight_rows(struct bench *bench);
void scale_rows(struct bench *bench);
void crowd_rows(struct bench *bench);

#endif
