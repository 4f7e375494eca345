/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Includes through macros (#include HEADER) where the compiler does not tell what it read: every
 * header that they can mean, by whichever definitions that any text or option has, in any branch.
 */
#ifndef CUBBY_DEPS_MACRO_INCLUDE_H
#define CUBBY_DEPS_MACRO_INCLUDE_H

#include "deps/header_text.h"
#include "deps/macro_readings.h"
#include "key/options.h"

struct macro_include {
    size_t text; /* index of the text that has it */
    struct scan_reference reference;
};

struct macro_includes {
    struct macro_include *items; /* owned */
    size_t count;
    struct macros macros;
    size_t text_count;  /* how many of the texts were looked through for definitions */
    struct names words; /* that the headers' names come from */
    bool is_lost;       /* some cannot be told: */
    size_t lost;        /* the first */
    char why[MACRO_READINGS_WHY_SIZE];
    bool failed; /* memory ran out */
};

/* Which of these words the compiler may define as a macro by itself: one of them, borrowed; NULL
 * for none. */
typedef const char *(*macro_predefined)(const struct names *words, void *context);

/* Adds one; the text that it refers to must outlive it. */
void macro_includes_add(struct macro_includes *includes, size_t text,
                        const struct scan_reference *reference);

/*
 * Reads each with the definitions of all texts, and visits what it can mean as an include with that
 * name; the visitor may add texts and further includes. To be called until it returns false:
 * headers that are found define macros that lead to others.
 */
bool macro_includes_read(struct macro_includes *includes, const struct header_texts *texts,
                         const struct options *options,
                         void (*visit)(size_t text, const struct scan_reference *reference,
                                       void *context),
                         void *context);

/*
 * To be called then: whether they were all told. predefined may be NULL where there is no one to
 * ask. Returns NULL, or why not as a new text; failed is set where memory is short.
 */
char *macro_includes_check(struct macro_includes *includes, const struct header_texts *texts,
                           macro_predefined predefined, void *context);

void macro_includes_free(struct macro_includes *includes);

#endif
