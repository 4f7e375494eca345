/* SPDX-License-Identifier: Apache-2.0 */
/* The two clocks. */
#ifndef CUBBY_OS_TIME_H
#define CUBBY_OS_TIME_H

#include <stdint.h>

/* Nanoseconds that only grow; for measuring durations. */
uint64_t monotonic_ns(void);

/* Seconds since the epoch; for stamps that other processes read. */
int64_t wall_seconds(void);

/* Nanoseconds since the epoch by the coarse clock from which file systems take their stamps: what
 * is changed from now on gets a stamp of at least this. */
int64_t file_clock_ns(void);

#endif
