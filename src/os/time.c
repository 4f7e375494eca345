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
