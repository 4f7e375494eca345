/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a source or of an in-memory header, digested and looked through once, then shared. */
#ifndef CUBBY_KEY_SOURCE_H
#define CUBBY_KEY_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include <cubby/cubby.h>

#include "key/paste.h"
#include "key/scan.h"

/* One place in the text that may read a file. */
struct source_include {
    char *spelling; /* NULL where it cannot be told, and for what reads files whatever its name */
    char *what;     /* the directive, for messages */
};

struct source; /* immutable, reference-counted */

/* What a text is called in messages: the source "saxpy.cu". */
struct source_label {
    const char *what;
    const char *name; /* NULL for none */
};

/*
 * Copies and digests a text.
 * Returns 0, INVALID for NUL bytes within, or NO_MEMORY.
 */
int source_new(const void *data, size_t size, const struct source_label *label,
               struct source **ret_source, struct cubby_error *error);

/* Copies and digests bytes that no preprocessor reads: nothing is looked for in them. */
int source_new_bytes(const void *data, size_t size, struct source **ret_source,
                     struct cubby_error *error);

/* The same of a whole file. Returns 0, IO or NO_MEMORY. */
int source_from_file(const char *path, struct source **ret_source, struct cubby_error *error);

struct source *source_ref(struct source *source);
void source_unref(struct source *source);

const char *source_text(const struct source *source); /* ends in NUL */
size_t source_size(const struct source *source);
const struct cubby_key *source_digest(const struct source *source);
const struct scan_words *source_words(const struct source *source);
/* Adds the pieces of words that the text spells; false when memory is short. */
bool source_pieces(const struct source *source, struct pieces *pieces);
const struct source_include *source_includes(const struct source *source, size_t *ret_count);

#endif
