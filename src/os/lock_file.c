/* SPDX-License-Identifier: Apache-2.0 */
#include "os/lock_file.h"

#include <errno.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/fd.h"

static void close_one(int *fd) {
    if (*fd < 0)
        return; /* AT_FDCWD stays what it is */
    close(*fd);
    *fd = -1;
}

/* ---- Forks ------------------------------------------------------------------------------- */

static void hold_for_fork(void *context) {
    lock_file_enter(context);
}

/* A child that kept the descriptor would keep the lock after its parent's death. To close it leaves
 * the parent's lock alone; to unlock it would not. */
static void release_after_fork(void *context, bool in_child) {
    struct lock_file *lock = context;

    if (in_child) {
        close_one(&lock->file);
        close_one(&lock->folder);
    }
    lock_file_leave(lock);
}

void lock_file_init(struct lock_file *lock, enum fork_level level) {
    lock->folder = AT_FDCWD;
    lock->file = -1;
    pthread_mutex_init(&lock->changing, NULL);
    lock->guard = (struct fork_guard){hold_for_fork, release_after_fork, lock, level, NULL};
    fork_guard_add(&lock->guard);
}

void lock_file_end(struct lock_file *lock) {
    lock_file_enter(lock);
    lock_file_close(lock);
    close_one(&lock->folder);
    lock_file_leave(lock);
    fork_guard_remove(&lock->guard);
    pthread_mutex_destroy(&lock->changing);
}

void lock_file_enter(struct lock_file *lock) {
    pthread_mutex_lock(&lock->changing);
}

void lock_file_leave(struct lock_file *lock) {
    pthread_mutex_unlock(&lock->changing);
}

/* ---- The file ---------------------------------------------------------------------------- */

int lock_file_open(struct lock_file *lock, const char *name, mode_t mode) {
    struct stat status;
    int fd, saved;

    do {
        fd = fd_open_mode(lock->folder, name, LOCK_FILE_FLAGS | O_CREAT, mode);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -1;
    if (fstat(fd, &status) < 0) {
        saved = errno;
    } else if (!S_ISREG(status.st_mode)) {
        saved = EINVAL;
    } else {
        lock->file = fd;
        return 0;
    }
    close(fd);
    errno = saved;
    return -1;
}

void lock_file_close(struct lock_file *lock) {
    if (lock->file >= 0)
        lock_file_unlock(lock); /* a child on its way to another program may have it open */
    close_one(&lock->file);
}

int lock_file_try(struct lock_file *lock, bool exclusive) {
    return flock_try(lock->file, exclusive);
}

static int flock_retried(int fd, int operation) {
    int result;

    do {
        result = flock(fd, operation);
    } while (result < 0 && errno == EINTR);
    return result;
}

int lock_file_unlock(struct lock_file *lock) {
    return flock_retried(lock->file, LOCK_UN);
}

int flock_try(int fd, bool exclusive) {
    return flock_retried(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
}
