/* SPDX-License-Identifier: Apache-2.0 */
/* The texts that a compile read: the source, the in-memory headers and the files. */
#ifndef CUBBY_DEPS_HEADER_TEXT_H
#define CUBBY_DEPS_HEADER_TEXT_H

#include <cubby/backend.h>

#include "key/scan.h"
#include "os/file_stamp.h"

struct header_text {
    char *path;              /* owned; decides where its quoted includes are looked for first */
    bool is_file;            /* else it came from memory */
    char *data;              /* owned; of a file */
    size_t size;             /* of a file */
    struct file_stamp stamp; /* of a file, before it was read */
    struct cubby_key digest; /* of a file's content */
    const char *text;        /* borrowed: as it was before its lines were joined */
    size_t text_size;
    struct scan_text scan;
    bool has_macro_include; /* it includes what only the preprocessor can name */
    bool explained;         /* some text includes it by name */
};

struct header_texts {
    struct header_text *items;
    size_t count;
    size_t capacity;
};

/* Adds a text from memory, borrowed. Returns 0 or NO_MEMORY. */
int header_texts_add_memory(struct header_texts *texts, const char *path, const char *data,
                            size_t size);

/* Reads a file and adds it. Returns 0, NOT_FOUND where it cannot be read, or NO_MEMORY. */
int header_texts_add_file(struct header_texts *texts, const char *path);

/* The first text at or behind the index that is that very file; NULL where there is none. */
struct header_text *header_texts_find(const struct header_texts *texts,
                                      const struct file_stamp *stamp, size_t from);

void header_texts_free(struct header_texts *texts);

#endif
