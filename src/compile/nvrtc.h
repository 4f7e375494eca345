/* SPDX-License-Identifier: Apache-2.0 */
/* One compile through NVRTC, which is loaded at the first. */
#ifndef CUBBY_COMPILE_NVRTC_H
#define CUBBY_COMPILE_NVRTC_H

#include <cubby/cubby.h>

#include "key/toolchain.h"
#include "util/buffer.h"

/* What a compile gave; all owned. */
struct compiled {
    void *data;
    size_t size;
    char *log;      /* never NULL after success */
    char **lowered; /* one for each name of the program, in its order */
    size_t lowered_count;
};

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

void compiled_clear(struct compiled *compiled);

#endif
