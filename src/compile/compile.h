/* SPDX-License-Identifier: Apache-2.0 */
/* One compile or link through the tool that a program was found to need. */
#ifndef CUBBY_COMPILE_COMPILE_H
#define CUBBY_COMPILE_COMPILE_H

#include <cubby/cubby.h>

#include "compile/compiled.h"
#include "key/toolchain.h"

/*
 * handle and toolchain are those of toolchain_load(); trace is for nvrtc_compile(). Returns 0;
 * COMPILE with the log in the error; NO_TOOLCHAIN or NO_DRIVER where the tool itself is broken;
 * INVALID or UNSUPPORTED for what cannot be had.
 */
int compile_program(void *handle, const struct toolchain *toolchain,
                    const struct cubby_program *program, const struct cubby_key *key,
                    const char *trace, struct compiled *ret_compiled, struct cubby_error *error);

#endif
