/* SPDX-License-Identifier: Apache-2.0 */
/* A device divided: green contexts, each with multiprocessors that no other one has. */
#ifndef CUBBY_DRIVER_GREEN_H
#define CUBBY_DRIVER_GREEN_H

#include "driver/context.h"

struct green_part {
    struct CUgreenCtx_st *green;
    struct CUctx_st *context;   /* its form for what takes a context */
    struct CUstream_st *stream; /* one, which the part owns */
    unsigned multiprocessors;
};

struct green_division {
    struct device_context *context; /* a reference */
    unsigned count;
    struct green_part parts[];
};

/*
 * Divides a device into parts of equal size, at least of the asked number of multiprocessors each,
 * and makes a stream for each part. What the device asks for (on compute capability 9.0 at least 8,
 * and multiples of 8) is told in the message where the number does not fit: nothing is rounded, and
 * there is never a silent fall-back.
 * Returns 0; CUBBY_ERR_INVALID; CUBBY_ERR_UNSUPPORTED with drivers older than CUDA 12.5.
 */
int green_division_new(struct device_context *context, unsigned parts, unsigned multiprocessors,
                       struct green_division **ret_division, struct cubby_error *error);

/* Destroys the streams, then the contexts. NULL-safe. No work may be running in them. */
void green_division_free(struct green_division *division);

#endif
