/* SPDX-License-Identifier: Apache-2.0 */
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Between two looks at a lock: soon at first, as most are held for microseconds. */
#define PAUSE_MIN_NS 20000
#define PAUSE_MAX_NS 2000000

ssize_t fd_read_full(int fd, void *data, size_t size) {
    size_t done = 0;

    while (done < size) {
        ssize_t n = read(fd, (char *)data + done, size - done);

        if (n == 0)
            break;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

int fd_write_full(int fd, const void *data, size_t size) {
    size_t done = 0;

    while (done < size) {
        ssize_t n = write(fd, (const char *)data + done, size - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        done += (size_t)n;
    }
    return 0;
}

int fd_open_mode(int folder, const char *name, int flags, mode_t mode) {
    int fd = openat(folder, name, flags, mode);

    /* Only its owner may, and for one that was there before it changes nothing. */
    if (fd >= 0 && (mode & 0020))
        (void)!fchmod(fd, mode);
    return fd;
}

int fd_open_folder(int base, const char *name, mode_t mode) {
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(base, name, flags);
    bool made = false;

    if (fd < 0 && errno == ENOENT && mode != 0) {
        made = mkdirat(base, name, mode) == 0;
        if (made || errno == EEXIST)
            fd = openat(base, name, flags);
    }
    if (made && fd >= 0 && (mode & 0070))
        fchmod(fd, mode);
    return fd;
}

bool fd_has_name(int fd, int folder, const char *name) {
    struct stat opened, named;

    return fstat(fd, &opened) == 0 && opened.st_nlink > 0 &&
           fstatat(folder, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

int fd_flock_within(int fd, int operation, unsigned ms) {
    struct timespec pause = {0, PAUSE_MIN_NS};
    int64_t left = (int64_t)ms * 1000000;

    while (flock(fd, operation | LOCK_NB) < 0) {
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN || left <= 0)
            return -1;
        nanosleep(&pause, NULL);
        left -= pause.tv_nsec;
        pause.tv_nsec = pause.tv_nsec < PAUSE_MAX_NS ? 2 * pause.tv_nsec : PAUSE_MAX_NS;
    }
    return 0;
}
