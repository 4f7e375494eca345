/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the layer over the CUDA driver share. */
#ifndef TESTS_DRIVER_HELP_H
#define TESTS_DRIVER_HELP_H

#include <stdbool.h>

#include "driver/memory.h"
#include "driver/module.h"
#include "fake_cuda.h"

extern const struct fake_cuda *fake;
extern struct cubby_error error;

/* Begins with the double of the driver and an empty environment. */
void driver_set_up(void);

/* Nothing is left, and nothing was done that a driver does not allow. */
void driver_tear_down(void);

/* A new reference. */
struct device_context *open_context(int ordinal);

/* A failure of that code whose message has the text; the error is empty afterwards. */
void assert_failure(int result, int code, const char *text);

/* The kernel scale(float *data, float factor, unsigned count). */
void run_scale(const struct fake_launch *launch, void **parameters, void *data);

/* A new reference to the module of a cubin, under a key that stands for the number. */
struct loaded_module *load_cubin(struct device_context *context, void *cubin, unsigned key);

/* Scales all of the memory. */
int launch_scale(struct device_context *context, struct CUfunc_st *function,
                 struct device_memory *memory, float factor, struct CUstream_st *stream);

/* 0: a driver with libraries, 1: an older one. False where this process has another already. */
bool choose_version(int i);

#endif
