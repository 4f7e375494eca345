/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of one entry: opened, written and removed. A link or anything else that was put in the
 * place of a fan-out folder or of an entry is not followed, and is replaced by the next write.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backends/file.h"
#include "os/fd.h"
#include "os/random_name.h"

#define TRIES 4

/* Where the name begins in the path of an entry: behind the two digits of its folder. */
#define NAME_OFFSET 3

/* ---- Opening ----------------------------------------------------------------------------- */

static int open_fan_out(int folder, const char *path) {
    char name[NAME_OFFSET] = {path[0], path[1], '\0'};

    return openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* Where the kernel has no openat2: folder first, then file. */
static int open_in_steps(int folder, const char *path, int flags) {
    int fan_out = open_fan_out(folder, path), fd, saved;

    if (fan_out < 0)
        return -1;
    fd = openat(fan_out, path + NAME_OFFSET, flags);
    saved = errno;
    close(fan_out);
    errno = saved;
    return fd;
}

int file_entry_open(int folder, const char *path) {
    static _Atomic bool unknown; /* to this kernel */
    /* A FIFO in the place of an entry must not make us wait for its writer. */
    const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    struct open_how how = {.flags = (uint64_t)flags, .resolve = RESOLVE_NO_SYMLINKS};
    long fd;

    if (atomic_load_explicit(&unknown, memory_order_relaxed))
        return open_in_steps(folder, path, flags);
    fd = syscall(SYS_openat2, folder, path, &how, sizeof(how));
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) /* EPERM: a sandbox that knows no openat2 */
        return (int)fd;
    if (errno == ENOSYS)
        atomic_store_explicit(&unknown, true, memory_order_relaxed);
    return open_in_steps(folder, path, flags);
}

/* ---- Writing ----------------------------------------------------------------------------- */

static int write_temporary(const struct file_backend *file, const struct cubby_blob *blob,
                           char ret_name[RANDOM_NAME_SIZE]) {
    int fd, result;

    random_name(ret_name);
    fd = fd_open_mode(file->tmp, ret_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                      file_mode(file));
    if (fd < 0)
        return -1;
    result = fd_write_full(fd, cubby_blob_data(blob), cubby_blob_size(blob));
    if (result == 0 && file->durable)
        result = fdatasync(fd);
    if (close(fd) < 0)
        result = -1;
    if (result < 0) {
        int saved = errno;

        unlinkat(file->tmp, ret_name, 0);
        errno = saved;
    }
    return result;
}

/* Opens the fan-out folder of an entry, made if it is missing. */
static int make_fan_out(const struct file_backend *file, int folder, const char *path) {
    char name[NAME_OFFSET] = {path[0], path[1], '\0'};
    int fd = open_fan_out(folder, path);
    bool made = false;

    for (int i = 0; i < TRIES && fd < 0; i++) {
        if (errno == ENOTDIR || errno == ELOOP) /* a link or a file, planted or astray */
            unlinkat(folder, name, 0);
        else if (errno != ENOENT)
            return -1;
        made = mkdirat(folder, name, file_folder_mode(file)) == 0;
        if (made) {
            if (file->durable)
                fsync(folder);
        } else if (errno != EEXIST) {
            return -1;
        }
        fd = open_fan_out(folder, path);
    }
    if (made && file->shared && fd >= 0)
        fchmod(fd, file_folder_mode(file));
    return fd;
}

/* Removes what has the name of an entry, an empty folder too. */
static int unlink_name(int fan_out, const char *name) {
    int result = unlinkat(fan_out, name, 0);

    return result < 0 && errno == EISDIR ? unlinkat(fan_out, name, AT_REMOVEDIR) : result;
}

/* Gives the temporary its name. */
static int rename_into_place(const struct file_backend *file, int folder, const char *temporary,
                             const char *path) {
    const char *name = path + NAME_OFFSET;
    int result = -1, saved;

    for (int i = 0; i < TRIES && result < 0; i++) {
        int fan_out = make_fan_out(file, folder, path);

        if (fan_out < 0)
            return -1;
        result = renameat(file->tmp, temporary, fan_out, name);
        saved = errno;
        if (result == 0 && file->durable)
            fsync(fan_out);
        if (result < 0 && saved == EISDIR)
            unlink_name(fan_out, name);
        close(fan_out);
        errno = saved;
        /* ENOENT: a cleaner removed the folder between the two steps. */
        if (result < 0 && saved != ENOENT && saved != EISDIR)
            return -1;
    }
    return result;
}

int file_entry_write(const struct file_backend *file, int folder, const char *path,
                     const struct cubby_blob *blob) {
    char temporary[RANDOM_NAME_SIZE];
    int saved;

    if (write_temporary(file, blob, temporary) < 0)
        return -1;
    if (rename_into_place(file, folder, temporary, path) == 0)
        return 0;
    saved = errno;
    unlinkat(file->tmp, temporary, 0);
    errno = saved;
    return -1;
}

/* ---- Removing ---------------------------------------------------------------------------- */

int file_entry_unlink(int folder, const char *path) {
    int fan_out = open_fan_out(folder, path), result, saved;

    if (fan_out < 0)
        return -1;
    result = unlink_name(fan_out, path + NAME_OFFSET);
    saved = errno;
    close(fan_out);
    errno = saved;
    return result;
}
