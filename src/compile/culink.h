/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PTX programs and links through the driver's own linker, which needs a context: the current one of
 * the thread, else the primary one of device 0 for as long as the link takes.
 */
#ifndef CUBBY_COMPILE_CULINK_H
#define CUBBY_COMPILE_CULINK_H

#include <cubby/cubby.h>

#include "compile/compiled.h"
#include "key/toolchain.h"

/* handle is the driver's, from toolchain_load(). Returns as compile_program(). */
int culink_compile(void *handle, const struct toolchain *toolchain,
                   const struct cubby_program *program, struct compiled *ret_compiled,
                   struct cubby_error *error);

#endif
