/* SPDX-License-Identifier: Apache-2.0 */
#include "deps/header_text.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cubby/error.h>

#include "key/digest.h"
#include "os/fd.h"

/* Room for one more at the end, cleared; NULL when memory is short. */
static struct header_text *next_slot(struct header_texts *texts) {
    if (texts->count == texts->capacity) {
        size_t capacity = texts->capacity ? 2 * texts->capacity : 32;
        struct header_text *grown = realloc(texts->items, capacity * sizeof(*grown));

        if (!grown)
            return NULL;
        texts->items = grown;
        texts->capacity = capacity;
    }
    memset(&texts->items[texts->count], 0, sizeof(*texts->items));
    return &texts->items[texts->count];
}

/* Completes the slot with its path and its text. */
static int finish(struct header_texts *texts, struct header_text *slot, const char *path,
                  const char *data, size_t size) {
    slot->path = strdup(path);
    slot->text = data;
    slot->text_size = size;
    if (!slot->path || scan_open(data, size, &slot->scan) < 0) {
        free(slot->path);
        free(slot->data);
        return CUBBY_ERR_NO_MEMORY;
    }
    texts->count++;
    return 0;
}

int header_texts_add_memory(struct header_texts *texts, const char *path, const char *data,
                            size_t size) {
    struct header_text *slot = next_slot(texts);

    return slot ? finish(texts, slot, path, data, size) : CUBBY_ERR_NO_MEMORY;
}

/* Reads all of an open file; a file that grows meanwhile is caught by its stamp later. */
static int read_file(int fd, struct header_text *slot) {
    struct stat status;
    ssize_t size;

    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return CUBBY_ERR_NOT_FOUND;
    file_stamp_of(&status, &slot->stamp);
    slot->data = malloc(slot->stamp.size + 1);
    if (!slot->data)
        return CUBBY_ERR_NO_MEMORY;
    size = fd_read_full(fd, slot->data, slot->stamp.size);
    if (size < 0 || (uint64_t)size != slot->stamp.size) {
        free(slot->data);
        return CUBBY_ERR_NOT_FOUND;
    }
    slot->size = (size_t)size;
    slot->is_file = true;
    digest_bytes(slot->data, slot->size, &slot->digest);
    return 0;
}

int header_texts_add_file(struct header_texts *texts, const char *path) {
    struct header_text *slot = next_slot(texts);
    int result, fd;

    if (!slot)
        return CUBBY_ERR_NO_MEMORY;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return CUBBY_ERR_NOT_FOUND;
    result = read_file(fd, slot);
    close(fd);
    return result < 0 ? result : finish(texts, slot, path, slot->data, slot->size);
}

struct header_text *header_texts_find(const struct header_texts *texts,
                                      const struct file_stamp *stamp, size_t from) {
    for (size_t i = from; i < texts->count; i++) {
        struct header_text *text = &texts->items[i];

        if (text->is_file && text->stamp.inode == stamp->inode &&
            text->stamp.device == stamp->device)
            return text;
    }
    return NULL;
}

void header_texts_free(struct header_texts *texts) {
    for (size_t i = 0; i < texts->count; i++) {
        scan_close(&texts->items[i].scan);
        free(texts->items[i].path);
        free(texts->items[i].data);
    }
    free(texts->items);
    *texts = (struct header_texts){0};
}
