/* SPDX-License-Identifier: Apache-2.0 */
/* What several measurements of the same come to. */
#ifndef CUBBY_CLI_TIMING_H
#define CUBBY_CLI_TIMING_H

#include <stddef.h>
#include <stdint.h>

struct timing {
    double median; /* all in the unit of the measurements */
    double p99;    /* the least one that 99 of 100 do not exceed */
    double mean;
};

/* At least one measurement; sorts them. */
struct timing timing_of(uint64_t *measured, size_t count);

#endif
