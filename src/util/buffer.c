/* SPDX-License-Identifier: Apache-2.0 */
#include "util/buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool buffer_reserve(struct buffer *buffer, size_t more) {
    size_t capacity = buffer->capacity ? buffer->capacity : 256;
    char *data;

    if (buffer->failed)
        return false;
    if (more <= buffer->capacity - buffer->size)
        return true;
    while (capacity - buffer->size < more) {
        if (capacity > SIZE_MAX / 2)
            goto fail;
        capacity *= 2;
    }
    data = realloc(buffer->data, capacity);
    if (!data)
        goto fail;
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
fail:
    buffer->failed = true;
    return false;
}

void buffer_add(struct buffer *buffer, const void *data, size_t size) {
    if (size == 0 || !buffer_reserve(buffer, size))
        return;
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

void buffer_add_text(struct buffer *buffer, const char *text) {
    buffer_add(buffer, text, strlen(text));
}

void buffer_format(struct buffer *buffer, const char *format, ...) {
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0 || !buffer_reserve(buffer, (size_t)length + 1))
        return;
    va_start(arguments, format);
    vsnprintf(buffer->data + buffer->size, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buffer->size += (size_t)length;
}

char *buffer_steal_text(struct buffer *buffer) {
    char *text;

    buffer_add(buffer, "", 1);
    if (buffer->failed) {
        buffer_free(buffer);
        return NULL;
    }
    text = buffer->data;
    *buffer = (struct buffer)BUFFER_INIT;
    return text;
}

void buffer_free(struct buffer *buffer) {
    free(buffer->data);
    *buffer = (struct buffer)BUFFER_INIT;
}
