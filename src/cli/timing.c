/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/timing.h"

#include <stdlib.h>

static int compare(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return a < b ? -1 : a > b;
}

struct timing timing_of(uint64_t *measured, size_t count) {
    struct timing timing = {0};
    const size_t lower = (count - 1) / 2, upper = count / 2, rank = (count * 99 + 99) / 100;
    double sum = 0;

    qsort(measured, count, sizeof(*measured), compare);
    for (size_t i = 0; i < count; i++)
        sum += (double)measured[i];
    timing.mean = sum / (double)count;
    timing.median = ((double)measured[lower] + (double)measured[upper]) / 2;
    timing.p99 = (double)measured[rank - 1];
    return timing;
}
