/* SPDX-License-Identifier: Apache-2.0 */
#include "os/time.h"

#include <time.h>

uint64_t monotonic_ns(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int64_t wall_seconds(void) {
    return (int64_t)time(NULL);
}

int64_t file_clock_ns(void) {
    struct timespec now;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool pause_within(uint64_t start, int64_t timeout_ns, uint64_t pause_ns) {
    if (timeout_ns >= 0) {
        uint64_t timeout = (uint64_t)timeout_ns, waited = monotonic_ns() - start;

        if (waited >= timeout)
            return false;
        if (pause_ns > timeout - waited)
            pause_ns = timeout - waited;
    }
    nanosleep(&(struct timespec){(time_t)(pause_ns / 1000000000u), (long)(pause_ns % 1000000000u)},
              NULL);
    return true;
}
