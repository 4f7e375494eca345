/* SPDX-License-Identifier: Apache-2.0 */
/* A growing set of names, in the order in which they came. */
#ifndef CUBBY_UTIL_NAMES_H
#define CUBBY_UTIL_NAMES_H

#include <stdbool.h>
#include <stddef.h>

struct names {
    char **items; /* owned */
    size_t count;
    bool failed; /* memory ran out; what follows is not added */
};

#define NAMES_INIT                                                                                 \
    { NULL, 0, false }

/* Adds the length bytes at name, unless they are there already. */
void names_add(struct names *names, const char *name, size_t length);

bool names_has(const struct names *names, const char *name);

void names_free(struct names *names);

#endif
