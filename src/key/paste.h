/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words that a program makes out of pieces with the preprocessor's ## operator: a look for whole
 * words misses them. The pieces may stand in different texts: the source, a header, an option.
 */
#ifndef CUBBY_KEY_PASTE_H
#define CUBBY_KEY_PASTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "key/scan.h"

#define PASTE_WORDS 5
#define PASTE_LONGEST 18 /* letters of the longest of the words */

/* Which parts of the words some text spells; all zero for none. */
struct pieces {
    uint32_t ends[PASTE_WORDS][PASTE_LONGEST]; /* bit e: the letters from this one up to e */
};

/* True if a text pastes, in any spelling of the operator. */
bool paste_is_used(const struct scan_text *text);

/* Adds what a text spells. Its lines must have been joined. */
void pieces_add(struct pieces *pieces, const char *text, size_t size);
void pieces_merge(struct pieces *into, const struct pieces *from);

/* A word that these pieces make: static, such as "__DATE__"; NULL for none. */
const char *pieces_word(const struct pieces *pieces);

#endif
