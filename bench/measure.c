/* SPDX-License-Identifier: Apache-2.0 */
#include "measure.h"

#include <stdlib.h>

#include "os/time.h"

/* Repeats the work; the time that all of it took. */
static int run_batch(const struct work *work, uint64_t count, uint64_t *ret_ns) {
    uint64_t start = monotonic_ns();

    for (uint64_t i = 0; i < count; i++) {
        if (work->once(work->context) < 0)
            return -1;
    }
    *ret_ns = monotonic_ns() - start;
    return 0;
}

/* Repeats the work until it is warm, and finds how many repetitions fill a batch. */
static int warm_up(const struct work *work, const struct plan *plan, uint64_t *ret_count) {
    uint64_t count = 1, spent = 0, batch_ns = 0;

    while (spent < plan->warm_up_ns || batch_ns < plan->batch_ns / 2) {
        if (spent > 0 && batch_ns < plan->batch_ns / 2)
            count *= 2;
        if (run_batch(work, count, &batch_ns) < 0)
            return -1;
        spent += batch_ns + 1;
    }
    *ret_count = count;
    return 0;
}

static int compare_numbers(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

/* Between the two nearest ranks, in proportion. */
static double quantile(const double *sorted, unsigned count, double part) {
    double at = part * (count - 1);
    unsigned below = (unsigned)at;
    unsigned above = below + 1 < count ? below + 1 : below;

    return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

static struct spread spread_of(double *numbers, unsigned count) {
    qsort(numbers, count, sizeof(*numbers), compare_numbers);
    return (struct spread){quantile(numbers, count, 0.1), quantile(numbers, count, 0.5),
                           quantile(numbers, count, 0.9)};
}

/* One run: a batch of each, the first to go taking turns, so that neither profits from its place.
 */
static int run_pair(const struct work *const works[2], const uint64_t counts[2], unsigned run,
                    double ret_each_ns[2]) {
    for (unsigned turn = 0; turn < 2; turn++) {
        unsigned which = (run + turn) % 2;
        uint64_t ns;

        if (run_batch(works[which], counts[which], &ns) < 0)
            return -1;
        ret_each_ns[which] = (double)(ns ? ns : 1) / (double)counts[which];
    }
    return 0;
}

int measure_pair(const struct work *floor, const struct work *subject, const struct plan *plan,
                 struct comparison *ret_comparison) {
    const struct work *works[2] = {floor, subject};
    double *numbers = calloc(3 * (size_t)plan->runs, sizeof(*numbers));
    double *floor_ns = numbers, *subject_ns = numbers + plan->runs;
    double *ratio = numbers + 2 * (size_t)plan->runs;
    uint64_t counts[2] = {1, 1};
    int result = numbers ? 0 : -1;

    for (unsigned i = 0; i < 2 && result == 0; i++)
        result = warm_up(works[i], plan, &counts[i]);
    for (unsigned run = 0; run < plan->runs && result == 0; run++) {
        double each_ns[2] = {0, 0};

        result = run_pair(works, counts, run, each_ns);
        floor_ns[run] = each_ns[0];
        subject_ns[run] = each_ns[1];
        ratio[run] = each_ns[0] > 0 ? each_ns[1] / each_ns[0] : 0;
    }
    if (result == 0)
        *ret_comparison = (struct comparison){
            .floor_ns = spread_of(floor_ns, plan->runs),
            .subject_ns = spread_of(subject_ns, plan->runs),
            .ratio = spread_of(ratio, plan->runs),
            .runs = plan->runs,
            .floor_batch = counts[0],
            .subject_batch = counts[1],
        };
    free(numbers);
    return result;
}

/* ---- Single operations ------------------------------------------------------------------- */

/* The two in turn; sorts the times of each. */
static int time_each(const struct work *const works[2], int (*before)(void *context),
                     unsigned count, double *const times[2]) {
    for (unsigned i = 0; i < count; i++) {
        for (unsigned turn = 0; turn < 2; turn++) {
            unsigned which = (i + turn) % 2;
            uint64_t ns;

            if (before && before(works[which]->context) < 0)
                return -1;
            if (run_batch(works[which], 1, &ns) < 0)
                return -1;
            times[which][i] = (double)(ns ? ns : 1);
        }
    }
    for (unsigned which = 0; which < 2; which++)
        qsort(times[which], count, sizeof(double), compare_numbers);
    return 0;
}

int measure_latencies(const struct work *floor, const struct work *subject,
                      int (*before)(void *context), const struct plan *plan, unsigned count,
                      const double *parts, unsigned part_count,
                      struct comparison *ret_comparisons) {
    const struct work *works[2] = {floor, subject};
    size_t runs = plan->runs;
    double *numbers = calloc(2 * (size_t)count + 3 * runs * part_count, sizeof(*numbers));
    double *times[2] = {numbers, numbers + count};
    double *results = numbers + 2 * (size_t)count; /* floor, subject, ratio of each part */
    int result = numbers ? 0 : -1;

    for (size_t run = 0; run < runs && result == 0; run++) {
        result = time_each(works, before, count, times);
        for (unsigned i = 0; i < part_count && result == 0; i++) {
            double *of = results + 3 * runs * i;

            of[run] = quantile(times[0], count, parts[i]);
            of[runs + run] = quantile(times[1], count, parts[i]);
            of[2 * runs + run] = of[runs + run] / of[run];
        }
    }
    for (unsigned i = 0; i < part_count && result == 0; i++) {
        double *of = results + 3 * runs * i;

        ret_comparisons[i] = (struct comparison){
            .floor_ns = spread_of(of, plan->runs),
            .subject_ns = spread_of(of + runs, plan->runs),
            .ratio = spread_of(of + 2 * runs, plan->runs),
            .runs = plan->runs,
            .floor_batch = 1,
            .subject_batch = 1,
        };
    }
    free(numbers);
    return result;
}
