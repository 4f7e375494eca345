/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the text of a source says of its dependence on the world outside of it. The look is
 * conservative: text in a comment or a string counts as code does.
 */
#ifndef CUBBY_KEY_SCAN_H
#define CUBBY_KEY_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "key/paste.h"

#define SCAN_SPELLING_SIZE 96

/* What was found in one text. */
struct scan {
    bool uses_name; /* __FILE__ and the like: the whole name of the source may enter the object */
    const char *volatile_macro; /* __DATE__ or __TIME__, static; NULL where neither is used */
    bool pastes;                /* it uses ##: words may be made out of pieces */
};

/*
 * Called for each directive that may read a file. spelling: what stands between the quotes or angle
 * brackets; NULL where that is not to be told (a macro, __has_include, ...). what: the directive as
 * text, for messages; borrowed.
 */
typedef void (*scan_include)(const char *spelling, const char *what, void *context);

/* Looks through a text of size bytes. */
void scan_text(const char *text, size_t size, struct scan *ret_scan, scan_include visit,
               void *context);

/* Adds the pieces of words that a text spells, its lines joined; false when memory is short. */
bool scan_pieces(const char *text, size_t size, struct pieces *pieces);

/* True if the text is valid UTF-8 (RFC 3629); *ret_offset is the first byte that is not. */
bool scan_utf8(const char *text, size_t size, size_t *ret_offset);

#endif
