/* SPDX-License-Identifier: Apache-2.0 */
/* A growable run of bytes. A failed growth is remembered, so that one check at the end is enough.
 */
#ifndef CUBBY_UTIL_BUFFER_H
#define CUBBY_UTIL_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

struct buffer {
    char *data; /* owned; not NUL-terminated unless buffer_text is asked */
    size_t size;
    size_t capacity;
    bool failed; /* memory ran out; what follows is not added */
};

#define BUFFER_INIT                                                                                \
    { NULL, 0, 0, false }

void buffer_add(struct buffer *buffer, const void *data, size_t size);
void buffer_add_text(struct buffer *buffer, const char *text);
void buffer_format(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The bytes as an owned NUL-terminated string, leaving the buffer empty; NULL when memory ran out
 * at any time. */
char *buffer_steal_text(struct buffer *buffer);

void buffer_free(struct buffer *buffer);

#endif
