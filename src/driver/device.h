/* SPDX-License-Identifier: Apache-2.0 */
/* What the driver says of a device. */
#ifndef CUBBY_DRIVER_DEVICE_H
#define CUBBY_DRIVER_DEVICE_H

#include "driver/driver.h"

struct device_info {
    int ordinal;    /* counted from 0, as CUDA_VISIBLE_DEVICES has them */
    int handle;     /* CUdevice */
    char name[128]; /* such as "NVIDIA H100" */
    char arch[16];  /* such as "sm_90" */
    unsigned char uuid[16];
    int major, minor; /* compute capability */
    int multiprocessors;
    int max_threads; /* in a block */
    int max_block[3];
    int max_grid[3];
    int max_shared;       /* bytes a block may have without asking */
    int max_shared_optin; /* bytes a block may have at most */
};

/* How many devices there are; 0 is no error. */
int device_count(const struct driver *driver, int *ret_count, struct cubby_error *error);

/* The number of a device, of which a stream or a context told. */
int device_ordinal(const struct driver *driver, int handle, int *ret_ordinal,
                   struct cubby_error *error);

/* Describes a device. CUBBY_ERR_INVALID where there is none of that number. */
int device_describe(const struct driver *driver, int ordinal, struct device_info *ret_info,
                    struct cubby_error *error);

int device_attribute(const struct driver *driver, int handle, unsigned attribute, int *ret_value,
                     struct cubby_error *error);

#endif
