/* SPDX-License-Identifier: Apache-2.0 */
/* PTX programs and links through nvJitLink. */
#ifndef CUBBY_COMPILE_NVJITLINK_H
#define CUBBY_COMPILE_NVJITLINK_H

#include <cubby/cubby.h>

#include "compile/compiled.h"
#include "key/toolchain.h"

/* handle is the library's, from toolchain_load(). Returns as compile_program(). */
int nvjitlink_compile(void *handle, const struct toolchain *toolchain,
                      const struct cubby_program *program, struct compiled *ret_compiled,
                      struct cubby_error *error);

#endif
