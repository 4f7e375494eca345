/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of counters. */
#ifndef CUBBY_UTIL_COUNTERS_H
#define CUBBY_UTIL_COUNTERS_H

#include <cubby/backend.h>

/* Adds each counter of delta to that of sum. */
void counters_add(struct cubby_counters *sum, const struct cubby_counters *delta);

#endif
