/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
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

/* ---- Reading ----------------------------------------------------------------------------- */

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

/* ---- Writing ----------------------------------------------------------------------------- */

/* The mode that open() would give a new file. */
static mode_t new_file_mode(void) {
    mode_t mask = umask(0);

    umask(mask);
    return 0666 & ~mask;
}

static int open_in_place(struct output *output, struct cubby_error *error) {
    output->fd = open(output->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return output->fd < 0 ? fail(error, "write", output->path) : 0;
}

static int open_temporary(struct output *output, mode_t mode, struct cubby_error *error) {
    char *temporary;
    int result;

    if (asprintf(&temporary, "%s.XXXXXX", output->target) < 0)
        return error_no_memory(error);
    output->fd = mkostemp(temporary, O_CLOEXEC);
    if (output->fd < 0) {
        result = fail(error, "write", output->path);
        free(temporary);
        return result;
    }
    output->temporary = temporary;
    return fchmod(output->fd, mode) < 0 ? fail(error, "write", output->path) : 0;
}

/* What a name leads to, new: a link stays, and what it points to is replaced. *ret_in_place: it is
 * no regular file. NULL with errno. */
static char *find_target(const char *path, mode_t *ret_mode, bool *ret_in_place) {
    struct stat status;

    *ret_mode = new_file_mode();
    *ret_in_place = false;
    if (lstat(path, &status) < 0)
        return strdup(path);
    *ret_in_place = stat(path, &status) < 0 || !S_ISREG(status.st_mode);
    if (*ret_in_place)
        return strdup(path);
    *ret_mode = status.st_mode & 0777;
    return realpath(path, NULL);
}

int output_open(const char *path, struct output *ret_output, struct cubby_error *error) {
    bool in_place;
    mode_t mode;
    int result;

    *ret_output = (struct output){.path = path, .fd = STDOUT_FILENO};
    if (strcmp(path, "-") == 0)
        return 0;
    ret_output->fd = -1;
    ret_output->target = find_target(path, &mode, &in_place);
    if (!ret_output->target)
        return fail(error, "write", path);
    result = in_place ? open_in_place(ret_output, error) : open_temporary(ret_output, mode, error);
    if (result < 0)
        output_discard(ret_output);
    return result;
}

int output_commit(struct output *output, struct cubby_error *error) {
    int result = 0, closed = output->fd == STDOUT_FILENO ? 0 : close(output->fd);

    output->fd = -1;
    if (closed < 0 || (output->temporary && rename(output->temporary, output->target) < 0)) {
        result = fail(error, "write", output->path);
    } else {
        free(output->temporary);
        output->temporary = NULL;
    }
    output_discard(output);
    return result;
}

void output_discard(struct output *output) {
    if (output->fd >= 0 && output->fd != STDOUT_FILENO)
        close(output->fd);
    if (output->temporary)
        unlink(output->temporary);
    free(output->temporary);
    free(output->target);
    *output = (struct output){.fd = -1};
}

int output_write(const char *path, const void *data, size_t size, struct cubby_error *error) {
    struct output output;
    int result = output_open(path, &output, error);

    if (result < 0)
        return result;
    if (fd_write_full(output.fd, data, size) == 0)
        return output_commit(&output, error);
    result = fail(error, "write", path);
    output_discard(&output);
    return result;
}
