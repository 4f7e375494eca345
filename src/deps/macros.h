/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every definition of every macro that the texts of a program and its options have, in any branch.
 * Which of them holds at a place is not known, nor whether any does.
 */
#ifndef CUBBY_DEPS_MACROS_H
#define CUBBY_DEPS_MACROS_H

#include <stdbool.h>
#include <stddef.h>

#include "key/options.h"
#include "key/scan.h"

/* A run of bytes, borrowed, not NUL-terminated. */
struct macro_text {
    const char *start;
    const char *end;
};

struct macro {
    struct macro_text name;
    struct macro_text parameters; /* between the parentheses; start is NULL where there are none */
    struct macro_text body;       /* up to the end of the line */
};

struct macros {
    struct macro *items; /* owned */
    size_t count;
    size_t capacity;
    bool failed; /* memory ran out; what follows is not added */
};

#define MACROS_INIT                                                                                \
    { NULL, 0, 0, false }

/* Both borrow from what they are given. */
void macros_add_text(struct macros *macros, const struct scan_text *text);
void macros_add_options(struct macros *macros, const struct options *options);

/* To be called once all were added: sorts them, and keeps one of those that are the same. */
void macros_sort(struct macros *macros);

/* The definitions of a name, borrowed until the next is added; *ret_count 0 where there is none. */
const struct macro *macros_find(const struct macros *macros, const struct macro_text *name,
                                size_t *ret_count);

void macros_free(struct macros *macros);

#endif
