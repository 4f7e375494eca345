/* SPDX-License-Identifier: Apache-2.0 */
/* One launch of a kernel. The device's context is current. */
#ifndef CUBBY_DRIVER_LAUNCH_H
#define CUBBY_DRIVER_LAUNCH_H

#include "driver/context.h"

struct kernel_launch {
    const char *name; /* for messages */
    struct CUfunc_st *function;
    unsigned grid[3];
    unsigned block[3];
    unsigned shared;  /* bytes of dynamic shared memory */
    void **arguments; /* addresses of the values, one per parameter; read during the call */
};

/*
 * Lets blocks of the function have so many bytes of dynamic shared memory, which has to be asked
 * for before the launch where it is above 48 KiB together with what is static. Where it is asked
 * for, then for all that a block can have.
 */
int kernel_allow_shared(struct device_context *context, const char *name,
                        struct CUfunc_st *function, unsigned bytes, struct cubby_error *error);

/* Puts a launch into a stream of the device; the message of a failure has the kernel's name and
 * geometry. What goes wrong while it runs is told by later calls. */
int kernel_launch(struct device_context *context, const struct kernel_launch *launch,
                  struct CUstream_st *stream, struct cubby_error *error);

#endif
