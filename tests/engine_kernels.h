/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels of the example engines as functions of the host, for the driver's double: each
 * computes what the grid, the block and the arguments that it is given make the kernel compute, and
 * no more. Where a launch is not as the kernel expects it to be, the results are no numbers.
 */
#ifndef TESTS_ENGINE_KERNELS_H
#define TESTS_ENGINE_KERNELS_H

#include "fake_cuda.h"

void engine_kernels_attach(const struct fake_cuda *fake);

#endif
