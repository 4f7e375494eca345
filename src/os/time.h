/* SPDX-License-Identifier: Apache-2.0 */
/* The two clocks. */
#ifndef CUBBY_OS_TIME_H
#define CUBBY_OS_TIME_H

#include <stdbool.h>
#include <stdint.h>

/* Nanoseconds that only grow; for measuring durations. */
uint64_t monotonic_ns(void);

/* Seconds since the epoch; for stamps that other processes read. */
int64_t wall_seconds(void);

/* Nanoseconds since the epoch by the coarse clock from which file systems take their stamps: what
 * is changed from now on gets a stamp of at least this. */
int64_t file_clock_ns(void);

/* Between two tries of something that has to be waited for: sleeps for that time, or for what is
 * left of the time-out, which is negative where there is none. Returns false at once where it has
 * passed since start, a monotonic_ns(), and leaves errno alone then. A signal ends the sleep. */
bool pause_within(uint64_t start, int64_t timeout_ns, uint64_t pause_ns);

#endif
