/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cubby/cubby.h>

#include "floor.h"

struct file_floor {
    int folder;
    size_t size;
    unsigned next;
    unsigned char *bytes;
    char paths[BENCH_ENTRIES][CUBBY_KEY_HEX_SIZE + 1];
};

static int get(void *context) {
    struct file_floor *floor = context;
    const char *path = floor->paths[floor->next++ % BENCH_ENTRIES];
    int fd = openat(floor->folder, path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    int result = -1;

    if (fd < 0)
        return -1;
    if (fstat(fd, &status) == 0 && (size_t)status.st_size == floor->size &&
        read(fd, floor->bytes, floor->size) == (ssize_t)floor->size)
        result = 0;
    close(fd);
    return result;
}

static int put(void *context) {
    struct file_floor *floor = context;
    const char *path = floor->paths[floor->next++ % BENCH_ENTRIES];
    int fd = openat(floor->folder, "new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int result = -1;

    if (fd < 0)
        return -1;
    if (write(fd, floor->bytes, floor->size) == (ssize_t)floor->size)
        result = 0;
    if (close(fd) < 0 || result < 0)
        return -1;
    return renameat(floor->folder, "new", floor->folder, path);
}

/* The layout of the file store: two digits, a slash, the rest. */
static int add_entry(struct file_floor *floor, unsigned number) {
    char hex[CUBBY_KEY_HEX_SIZE], fan_out[3];
    struct cubby_key key;

    floor_key(number, &key);
    cubby_key_format(&key, hex);
    snprintf(fan_out, sizeof(fan_out), "%.2s", hex);
    snprintf(floor->paths[number], sizeof(floor->paths[number]), "%s/%s", fan_out, hex + 2);
    (void)!mkdirat(floor->folder, fan_out, 0700); /* two keys may share one */
    floor->next = number;
    return put(floor);
}

static void release(void *context) {
    struct file_floor *floor = context;

    if (floor->folder >= 0)
        close(floor->folder);
    free(floor->bytes);
    free(floor);
}

int file_floor_open(struct floor *ret_floor, const char *folder, size_t size) {
    struct file_floor *floor = calloc(1, sizeof(*floor));
    int result;

    if (!floor)
        return -1;
    *ret_floor = (struct floor){{"open, fstat, read, close", get, floor},
                                {"create, write, close, rename", put, floor},
                                floor,
                                release};
    floor->size = size;
    floor->bytes = malloc(size);
    floor->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    result = floor->bytes && floor->folder >= 0 ? 0 : -1;
    if (result == 0)
        memset(floor->bytes, 'x', size);
    for (unsigned i = 0; i < BENCH_ENTRIES && result == 0; i++)
        result = add_entry(floor, i);
    return result;
}
