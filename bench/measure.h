/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two pieces of work timed beside each other: a floor and a subject. Absolute times of one machine
 * drift from minute to minute, so what counts is the ratio of two batches that ran back to back.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdint.h>

/* One operation that can be repeated. */
struct work {
    const char *name;           /* what it does, for the reader of the results */
    int (*once)(void *context); /* returns 0, or -1 where it did not do what it should */
    void *context;
};

/* How long to measure. */
struct plan {
    unsigned runs;       /* pairs of batches, one of each piece of work */
    uint64_t batch_ns;   /* a batch repeats its work for about so long, at least once */
    uint64_t warm_up_ns; /* each piece of work is first repeated for so long, untimed */
};

/* Quantiles over all runs. */
struct spread {
    double p10, p50, p90;
};

struct comparison {
    struct spread floor_ns;   /* nanoseconds of one operation */
    struct spread subject_ns; /* likewise */
    struct spread ratio;      /* subject over floor, formed within each run */
    unsigned runs;
    uint64_t floor_batch, subject_batch; /* operations in a batch */
};

/* Warms up, then times batches of the two in turn. Returns 0, or -1 where a work failed or memory
 * was short. */
int measure_pair(const struct work *floor, const struct work *subject, const struct plan *plan,
                 struct comparison *ret_comparison);

/*
 * Times single operations, count of each in turn in a run, and compares their quantiles. Before
 * each of them, what is not timed is done with the context of its work (NULL for nothing). Those at
 * parts[i] of a run's operations (0.99: all but the slowest percent are faster; 1: the slowest) go
 * into ret_comparisons[i]. For what a few operations pay for all. Returns as measure_pair().
 */
int measure_latencies(const struct work *floor, const struct work *subject,
                      int (*before)(void *context), const struct plan *plan, unsigned count,
                      const double *parts, unsigned part_count, struct comparison *ret_comparisons);

#endif
