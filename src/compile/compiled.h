/* SPDX-License-Identifier: Apache-2.0 */
/* What a compiler or linker gave. */
#ifndef CUBBY_COMPILE_COMPILED_H
#define CUBBY_COMPILE_COMPILED_H

#include <stddef.h>

/* All owned. */
struct compiled {
    void *data;
    size_t size;
    char *log;      /* never NULL after success */
    char **lowered; /* one for each name of the program, in its order */
    size_t lowered_count;
};

void compiled_clear(struct compiled *compiled);

/* Shortens a log of size bytes, its NUL included, to what is worth keeping. */
void compiled_cut_log(char *log, size_t size);

#endif
