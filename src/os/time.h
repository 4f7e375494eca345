/* SPDX-License-Identifier: Apache-2.0 */
/* The two clocks. */
#ifndef CUBBY_OS_TIME_H
#define CUBBY_OS_TIME_H

#include <stdint.h>

/* Nanoseconds that only grow; for measuring durations. */
uint64_t monotonic_ns(void);

/* Seconds since the epoch; for stamps that other processes read. */
int64_t wall_seconds(void);

#endif
