/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metadata of an entry: items of tag (1 byte), length (4 bytes, little-endian) and bytes, in
 * any order. A reader skips tags that it does not know. Text is stored with its final NUL, so that
 * it can be used where it lies.
 */
#ifndef CUBBY_ENTRY_META_H
#define CUBBY_ENTRY_META_H

#include <stdint.h>

#include "util/buffer.h"

enum meta_tag {
    META_START = 0, /* empty, and first: ends a payload that is text with a NUL where it lies */
    META_CREATED_AT = 1,  /* u64: seconds since the epoch */
    META_COMPILE_NS = 2,  /* u64: cost of the compile */
    META_TARGET = 3,      /* text */
    META_ARCH = 4,        /* text */
    META_SOURCE_NAME = 5, /* text */
    META_TOOLCHAIN = 6,   /* text */
    META_LOG = 7,         /* text */
    META_NAME = 8,        /* two texts: expression, lowered name; once for each expression */
    META_FIELDS = 9,      /* pairs of texts: name and value of each field of the program's key */
};

void meta_add(struct buffer *meta, enum meta_tag tag, const void *data, size_t size);
void meta_add_text(struct buffer *meta, enum meta_tag tag, const char *text); /* NULL: nothing */
void meta_add_u64(struct buffer *meta, enum meta_tag tag, uint64_t value);

/* Walks through metadata; both pointers are borrowed. */
struct meta_reader {
    const unsigned char *position;
    const unsigned char *end;
};

struct meta_item {
    enum meta_tag tag;
    const char *data;
    size_t size;
};

/* The next item; false at the end, and where a length points past it. */
bool meta_next(struct meta_reader *reader, struct meta_item *ret_item);

/* The text of the first item with that tag, borrowed; "" where there is none. */
const char *meta_text(const void *meta, size_t size, enum meta_tag tag);

/* The number of the first item with that tag; 0 where there is none. */
uint64_t meta_u64(const void *meta, size_t size, enum meta_tag tag);

#endif
