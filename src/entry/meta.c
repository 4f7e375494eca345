/* SPDX-License-Identifier: Apache-2.0 */
#include "entry/meta.h"

#include <endian.h>
#include <string.h>

#define HEAD_SIZE 5

void meta_add(struct buffer *meta, enum meta_tag tag, const void *data, size_t size) {
    unsigned char head[HEAD_SIZE] = {(unsigned char)tag};
    uint32_t length = htole32((uint32_t)size);

    if (size > UINT32_MAX) {
        meta->failed = true;
        return;
    }
    memcpy(head + 1, &length, sizeof(length));
    buffer_add(meta, head, sizeof(head));
    buffer_add(meta, data, size);
}

void meta_add_text(struct buffer *meta, enum meta_tag tag, const char *text) {
    if (text)
        meta_add(meta, tag, text, strlen(text) + 1);
}

void meta_add_u64(struct buffer *meta, enum meta_tag tag, uint64_t value) {
    uint64_t stored = htole64(value);

    meta_add(meta, tag, &stored, sizeof(stored));
}

bool meta_next(struct meta_reader *reader, struct meta_item *ret_item) {
    size_t left = (size_t)(reader->end - reader->position);
    uint32_t length;

    if (left < HEAD_SIZE)
        return false;
    memcpy(&length, reader->position + 1, sizeof(length));
    length = le32toh(length);
    if (length > left - HEAD_SIZE)
        return false;
    ret_item->tag = (enum meta_tag)reader->position[0];
    ret_item->data = (const char *)reader->position + HEAD_SIZE;
    ret_item->size = length;
    reader->position += HEAD_SIZE + length;
    return true;
}

static bool meta_find(const void *meta, size_t size, enum meta_tag tag,
                      struct meta_item *ret_item) {
    struct meta_reader reader = {meta, (const unsigned char *)meta + size};

    while (meta_next(&reader, ret_item)) {
        if (ret_item->tag == tag)
            return true;
    }
    return false;
}

const char *meta_text(const void *meta, size_t size, enum meta_tag tag) {
    struct meta_item item;

    if (!meta_find(meta, size, tag, &item) || item.size == 0 || item.data[item.size - 1] != '\0')
        return "";
    return item.data;
}

uint64_t meta_u64(const void *meta, size_t size, enum meta_tag tag) {
    struct meta_item item;
    uint64_t value;

    if (!meta_find(meta, size, tag, &item) || item.size != sizeof(value))
        return 0;
    memcpy(&value, item.data, sizeof(value));
    return le64toh(value);
}
