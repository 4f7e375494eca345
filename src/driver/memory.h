/* SPDX-License-Identifier: Apache-2.0 */
/* Memory on a device, and copies to and from it. */
#ifndef CUBBY_DRIVER_MEMORY_H
#define CUBBY_DRIVER_MEMORY_H

#include "driver/context.h"

struct device_memory {
    struct device_context *context; /* a reference */
    driver_address address;
    size_t size;
    struct CUstream_st *stream; /* that it was allocated in order with; else NULL */
};

/*
 * New memory, its bytes undefined. With a stream, allocated and later freed in order with its work
 * (drivers of CUDA 11.2 and newer: CUBBY_ERR_UNSUPPORTED before), and usable in order with that;
 * the stream has to outlive it. With NULL, at once: not allowed while the thread captures. A size
 * of 0 is CUBBY_ERR_INVALID.
 */
int device_memory_new(struct device_context *context, size_t size, struct CUstream_st *stream,
                      struct device_memory **ret_memory, struct cubby_error *error);

/* NULL-safe. Without a stream, waits for the device's work, and not while the thread captures. */
void device_memory_free(struct device_memory *memory);

/*
 * Copies between the host and the memory, in order with a stream; the host's bytes stay in place
 * until that work is done. With a NULL stream, the copy is done when the call returns, but is not
 * in order with the work of streams. CUBBY_ERR_INVALID where it would reach past the end.
 */
int device_memory_write(struct device_memory *memory, size_t offset, const void *data, size_t size,
                        struct CUstream_st *stream, struct cubby_error *error);
int device_memory_read(struct device_memory *memory, size_t offset, void *data, size_t size,
                       struct CUstream_st *stream, struct cubby_error *error);

/* Sets every byte; the stream as above. */
int device_memory_fill(struct device_memory *memory, unsigned char byte, struct CUstream_st *stream,
                       struct cubby_error *error);

#endif
