/* SPDX-License-Identifier: Apache-2.0 */
/* Cubins without code: as much of one as the driver's double reads. */
#ifndef TESTS_CUBIN_EMPTY_H
#define TESTS_CUBIN_EMPTY_H

#include <stddef.h>

struct cubin_kernel {
    const char *name;
    unsigned sizes[8];    /* of its parameters, in bytes; 0 ends them */
    unsigned max_threads; /* 0: no bound */
    unsigned static_shared;
    unsigned registers;
};

/* A cubin for an architecture such as 90, owned by the caller. */
void *cubin_of(int sm, const struct cubin_kernel *kernels, size_t count, size_t *ret_size);

/* The same with the one kernel scale(float *data, float factor, unsigned count). */
void *cubin_of_scale(int sm);

#endif
