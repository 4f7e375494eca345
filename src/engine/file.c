/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/fd.h"
#include "util/error.h"

static int read_open(int fd, const char *path, size_t max, char **ret_data, size_t *ret_size,
                     struct cubby_error *error) {
    struct stat status;
    ssize_t size;
    char *data;

    if (fstat(fd, &status) < 0)
        return error_set_errno(error, errno, "cannot read %s", path);
    if (!S_ISREG(status.st_mode))
        return error_set(error, CUBBY_ERR_INVALID, "%s is no regular file: expected one", path);
    if ((uint64_t)status.st_size > max)
        return error_set(error, CUBBY_ERR_INVALID,
                         "%s is %lld bytes long: expected at most %zu MiB", path,
                         (long long)status.st_size, max >> 20);
    data = malloc((size_t)status.st_size + 1);
    if (!data)
        return error_no_memory(error);
    size = fd_read_full(fd, data, (size_t)status.st_size);
    if (size < 0) {
        int errnum = errno;

        free(data);
        return error_set_errno(error, errnum, "cannot read %s", path);
    }
    data[size] = '\0';
    *ret_data = data;
    *ret_size = (size_t)size;
    return 0;
}

int engine_read_file(const char *path, size_t max, char **ret_data, size_t *ret_size,
                     struct cubby_error *error) {
    /* Not blocking: a pipe is refused, not waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int result;

    if (fd < 0)
        return error_set_errno(error, errno, "cannot read %s", path);
    result = read_open(fd, path, max, ret_data, ret_size, error);
    close(fd);
    return result;
}

char *engine_folder_of(const char *path) {
    const char *slash = strrchr(path, '/');

    if (!slash)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

char *engine_path_from(const char *folder, const char *path) {
    char *joined;

    if (!folder || *path == '/' || strcmp(folder, ".") == 0)
        return strdup(path);
    return asprintf(&joined, "%s/%s", folder, path) < 0 ? NULL : joined;
}
