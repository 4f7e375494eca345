/* SPDX-License-Identifier: Apache-2.0 */
/* One compile through NVRTC, which is loaded at the first. */
#ifndef CUBBY_COMPILE_NVRTC_H
#define CUBBY_COMPILE_NVRTC_H

#include <cubby/cubby.h>

#include "compile/compiled.h"
#include "key/toolchain.h"
#include "util/names.h"

/*
 * Compiles a program. nvrtc is the library's handle, from toolchain_load(). The key seeds names
 * that NVRTC would otherwise make from the time and the process id. trace is an option for NVRTC
 * to write its trace, or NULL.
 *
 * Returns 0; COMPILE with the log in the error; NO_TOOLCHAIN where NVRTC itself is broken; INVALID
 * where what was asked for cannot be had, such as a cubin of a virtual architecture.
 */
int nvrtc_compile(void *nvrtc, const struct toolchain *toolchain,
                  const struct cubby_program *program, const struct cubby_key *key,
                  const char *trace, struct compiled *ret_compiled, struct cubby_error *error);

/*
 * Runs the compiler's front end alone over a program that compiles, for the sake of its trace.
 * Returns 0, or an error where there is none.
 */
int nvrtc_trace(void *nvrtc, const struct toolchain *toolchain, const struct cubby_program *program,
                const struct cubby_key *key, const char *trace);

/*
 * Asks the compiler, told what the program's options say, which of these words it defines as a
 * macro by itself; what -D defines does not count. Returns one of them, borrowed, also where it
 * cannot be told; NULL where it defines none.
 */
const char *nvrtc_predefined(void *nvrtc, const struct toolchain *toolchain,
                             const struct cubby_program *program, const struct cubby_key *key,
                             const struct names *words);

#endif
