/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/kernel_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/fd.h"
#include "os/random_name.h"
#include "os/trust.h"
#include "util/error.h"

#define FILE_MODE 0600

/* ---- Reading ----------------------------------------------------------------------------- */

static int fail_open(const char *path, int errnum, struct cubby_error *error) {
    switch (errnum) {
    case ENOENT:
    case ENOTDIR:
        return CUBBY_ERR_NOT_FOUND;
    case ELOOP:
        return error_set(error, CUBBY_ERR_INVALID,
                         "%s is a symbolic link: what a runtime cache holds is code that would run "
                         "with your rights; give the path that it leads to",
                         path);
    default:
        return error_set_errno(error, errnum, "cannot open the runtime cache %s", path);
    }
}

static int check_file(const char *path, int fd, size_t *ret_size, struct cubby_error *error) {
    struct stat status;

    if (fstat(fd, &status) < 0)
        return error_set_errno(error, errno, "cannot look at the runtime cache %s", path);
    if (!S_ISREG(status.st_mode))
        return error_set(error, CUBBY_ERR_INVALID,
                         "%s is no regular file: choose another path for the runtime cache", path);
    *ret_size = (size_t)status.st_size;
    return trust_check(path, &status, error);
}

static int read_open(const char *path, int fd, struct cubby_blob **ret_blob,
                     struct cubby_error *error) {
    struct cubby_blob *blob;
    size_t size = 0;
    ssize_t done;
    int result = check_file(path, fd, &size, error);

    if (result < 0)
        return result;
    blob = cubby_blob_new(size);
    if (!blob)
        return error_no_memory(error);
    done = fd_read_full(fd, cubby_blob_writable(blob), size);
    if (done < 0) {
        int errnum = errno;

        cubby_blob_unref(blob);
        return error_set_errno(error, errnum, "cannot read the runtime cache %s", path);
    }
    cubby_blob_truncate(blob, (size_t)done);
    *ret_blob = blob;
    return 0;
}

int kernel_file_read(const char *path, struct cubby_blob **ret_blob, struct cubby_error *error) {
    int fd, result;

    do { /* a FIFO must not make us wait for its writer */
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return fail_open(path, errno, error);
    result = read_open(path, fd, ret_blob, error);
    close(fd);
    return result;
}

/* ---- Writing ----------------------------------------------------------------------------- */

/* Returns 0, or -1 with errno. */
static int fill(int fd, const struct cubby_blob *blob) {
    int result = fd_write_full(fd, cubby_blob_data(blob), cubby_blob_size(blob));
    int errnum;

    while (result == 0 && fdatasync(fd) < 0) {
        if (errno != EINTR)
            result = -1;
    }
    errnum = errno;
    if (close(fd) < 0 && result == 0)
        return -1;
    errno = errnum;
    return result;
}

/* Returns 0, or -1 with errno. */
static int write_and_rename(const char *temporary, const char *path,
                            const struct cubby_blob *blob) {
    int fd, errnum;

    do {
        fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -1;
    if (fill(fd, blob) == 0 && rename(temporary, path) == 0)
        return 0;
    errnum = errno;
    unlink(temporary);
    errno = errnum;
    return -1;
}

int kernel_file_replace(const char *path, const struct cubby_blob *blob,
                        struct cubby_error *error) {
    char name[RANDOM_NAME_SIZE], *temporary;
    int result = 0;

    random_name(name);
    if (asprintf(&temporary, "%s.%s.tmp", path, name) < 0)
        return error_no_memory(error);
    if (write_and_rename(temporary, path, blob) < 0)
        result = error_set_errno(error, errno, "cannot write the runtime cache %s", path);
    free(temporary);
    return result;
}

/* ---- What others left behind ------------------------------------------------------------- */

/* True for NAME.DIGITS.tmp. */
static bool is_temporary(const char *entry, const char *name) {
    const size_t length = strlen(name), digits = RANDOM_NAME_SIZE - 1;

    return strlen(entry) == length + 1 + digits + strlen(".tmp") &&
           strncmp(entry, name, length) == 0 && entry[length] == '.' &&
           strspn(entry + length + 1, "0123456789abcdef") == digits &&
           strcmp(entry + length + 1 + digits, ".tmp") == 0;
}

void kernel_file_sweep(const char *path) {
    const char *name = strrchr(path, '/') + 1;
    char *folder = strndup(path, (size_t)(name - path));
    DIR *entries = folder ? opendir(folder) : NULL;
    const struct dirent *entry;

    free(folder);
    if (!entries)
        return;
    while ((entry = readdir(entries))) {
        if (is_temporary(entry->d_name, name))
            unlinkat(dirfd(entries), entry->d_name, 0);
    }
    closedir(entries);
}
