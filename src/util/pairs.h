/* SPDX-License-Identifier: Apache-2.0 */
/* A run of pairs of texts, each text with its NUL, so that both can be used where they lie. */
#ifndef CUBBY_UTIL_PAIRS_H
#define CUBBY_UTIL_PAIRS_H

#include <stdbool.h>

#include "util/buffer.h"

void pairs_add(struct buffer *pairs, const char *first, const char *second);

/* Walks through a run; both pointers are borrowed. */
struct pairs {
    const char *position;
    const char *end;
};

/* The next pair, borrowed; false at the end, and where a NUL is missing. */
bool pairs_next(struct pairs *pairs, const char **ret_first, const char **ret_second);

#endif
