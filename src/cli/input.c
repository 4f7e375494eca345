/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/fd.h"
#include "util/buffer.h"
#include "util/error.h"

#define CHUNK (64 * 1024)
#define MAX_INPUT (256 << 20) /* /dev/zero has no end, and no source is that long */

static int fail(struct cubby_error *error, const char *what, const char *path) {
    int errnum = errno;

    return error_set(error, CUBBY_ERR_INVALID, "cannot %s %s: %s", what,
                     strcmp(path, "-") == 0 ? "the standard stream" : path, strerror(errnum));
}

/* ---- Reading ------------------------------------------------------------------------ */

static int read_all(int fd, struct buffer *buffer) {
    char *chunk = malloc(CHUNK);
    ssize_t size = chunk ? 0 : -1;

    while (chunk && buffer->size <= MAX_INPUT && !buffer->failed &&
           (size = fd_read_full(fd, chunk, CHUNK)) > 0)
        buffer_add(buffer, chunk, (size_t)size);
    free(chunk);
    return size < 0 ? -1 : 0;
}

int input_read(const char *path, char **ret_data, size_t *ret_size, struct cubby_error *error) {
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct buffer buffer = BUFFER_INIT;
    size_t size;
    int result = 0;

    if (fd < 0)
        return fail(error, "read", path);
    if (read_all(fd, &buffer) < 0)
        result = fail(error, "read", path);
    if (!standard)
        close(fd);
    size = buffer.size;
    if (result == 0 && size > MAX_INPUT)
        result = error_set(error, CUBBY_ERR_INVALID,
                           "%s is longer than %d MB: expected a source for the compiler",
                           standard ? "standard input" : path, MAX_INPUT >> 20);
    if (result == 0) {
        *ret_data = buffer_steal_text(&buffer);
        *ret_size = size;
        if (!*ret_data)
            result = error_no_memory(error);
    }
    buffer_free(&buffer);
    return result;
}

/* ---- Writing ------------------------------------------------------------------------ */

static int write_in_place(const char *path, const void *data, size_t size,
                          struct cubby_error *error) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int result = 0;

    if (fd < 0)
        return fail(error, "write", path);
    if (fd_write_full(fd, data, size) < 0)
        result = fail(error, "write", path);
    if (close(fd) < 0 && result == 0)
        result = fail(error, "write", path);
    return result;
}

/* The mode that open() would give a new file. */
static mode_t new_file_mode(void) {
    mode_t mask = umask(0);

    umask(mask);
    return 0666 & ~mask;
}

static int write_replacing(const char *path, mode_t mode, const void *data, size_t size,
                           struct cubby_error *error) {
    char *temporary = NULL;
    int result = 0;
    int fd;

    if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
        return error_no_memory(error);
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        result = fail(error, "write", path);
        free(temporary);
        return result;
    }
    if (fd_write_full(fd, data, size) < 0 || fchmod(fd, mode) < 0)
        result = fail(error, "write", path);
    if (close(fd) < 0 && result == 0)
        result = fail(error, "write", path);
    if (result == 0 && rename(temporary, path) < 0)
        result = fail(error, "write", path);
    if (result < 0)
        unlink(temporary);
    free(temporary);
    return result;
}

int output_write(const char *path, const void *data, size_t size, struct cubby_error *error) {
    struct stat status;
    char *target;
    int result;

    if (strcmp(path, "-") == 0)
        return fd_write_full(STDOUT_FILENO, data, size) < 0 ? fail(error, "write", path) : 0;
    if (lstat(path, &status) < 0)
        return write_replacing(path, new_file_mode(), data, size, error);
    if (stat(path, &status) < 0 || !S_ISREG(status.st_mode))
        return write_in_place(path, data, size, error);
    target = realpath(path, NULL); /* a link stays, and what it points to is replaced */
    if (!target)
        return fail(error, "write", path);
    result = write_replacing(target, status.st_mode & 0777, data, size, error);
    free(target);
    return result;
}
