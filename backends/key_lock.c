/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/key_lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cubby/cubby.h>

#include "os/fd.h"
#include "os/fork.h"
#include "os/time.h"
#include "util/error.h"

/* The key in hexadecimal, a point, and the kind. */
#define NAME_SIZE (CUBBY_KEY_HEX_SIZE + 2)

#define FILE_FLAGS (O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)

#define STALE_SECONDS 3600

/* A waiter looks again after a part of the time that it waited so far: it wakes up late by some
 * percent, and seldom where the wait is long. */
#define PAUSE_PART 8
#define PAUSE_MIN_NS 1000000u
#define PAUSE_MAX_NS 10000000u

struct cubby_key_lock {
    char name[NAME_SIZE];
    pthread_mutex_t opening; /* held while a descriptor is opened and noted: no fork in between */
    int folder;              /* descriptors; -1 before, and in a forked child */
    int file;
    struct fork_guard guard;
};

/* ---- Forks ------------------------------------------------------------------------------ */

static void close_one(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void hold_for_fork(void *context) {
    pthread_mutex_lock(&((struct cubby_key_lock *)context)->opening);
}

/* A child that kept the descriptor would keep the lock after its parent's death. To close it leaves
 * the parent's lock alone; to unlock it would not. */
static void release_after_fork(void *context, bool in_child) {
    struct cubby_key_lock *lock = context;

    if (in_child) {
        close_one(&lock->file);
        close_one(&lock->folder);
    }
    pthread_mutex_unlock(&lock->opening);
}

static struct cubby_key_lock *lock_new(enum cubby_entry_kind kind, const struct cubby_key *key) {
    struct cubby_key_lock *lock = calloc(1, sizeof(*lock));
    char hex[CUBBY_KEY_HEX_SIZE];

    if (!lock)
        return NULL;
    cubby_key_format(key, hex);
    snprintf(lock->name, sizeof(lock->name), "%s.%u", hex, (unsigned)kind % 10);
    lock->folder = lock->file = -1;
    pthread_mutex_init(&lock->opening, NULL);
    lock->guard =
        (struct fork_guard){hold_for_fork, release_after_fork, lock, FORK_LEVEL_STORE, NULL};
    fork_guard_add(&lock->guard);
    return lock;
}

static void lock_free(struct cubby_key_lock *lock) {
    pthread_mutex_lock(&lock->opening);
    if (lock->file >= 0)
        flock(lock->file, LOCK_UN); /* a child on its way to another program may have it open */
    close_one(&lock->file);
    close_one(&lock->folder);
    pthread_mutex_unlock(&lock->opening);
    fork_guard_remove(&lock->guard);
    pthread_mutex_destroy(&lock->opening);
    free(lock);
}

/* ---- Files -------------------------------------------------------------------------------- */

/* Opens the folder and the file. */
static int open_both(const struct key_locks *locks, struct cubby_key_lock *lock) {
    int saved;

    pthread_mutex_lock(&lock->opening);
    lock->folder = fd_open_folder(locks->base, locks->folder, locks->folder_mode);
    if (lock->folder >= 0)
        lock->file = fd_open_mode(lock->folder, lock->name, FILE_FLAGS | O_CREAT, locks->file_mode);
    saved = errno;
    pthread_mutex_unlock(&lock->opening);
    errno = saved;
    return lock->file < 0 ? -1 : 0;
}

/* True if the file still has its name: else the name may be another's by now. */
static bool has_name(int folder, const char *name, int file) {
    struct stat opened, named;

    return fstat(file, &opened) == 0 && opened.st_nlink > 0 &&
           fstatat(folder, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

/* Locks the file within that time. Returns 0, or -1 with errno: EWOULDBLOCK where another kept it.
 */
static int lock_within(int file, uint64_t timeout_ns) {
    uint64_t start = monotonic_ns();

    while (flock(file, LOCK_EX | LOCK_NB) < 0) {
        uint64_t waited = monotonic_ns() - start, pause = waited / PAUSE_PART;

        if (errno == EINTR)
            continue;
        if (errno != EWOULDBLOCK)
            return -1;
        if (waited >= timeout_ns) {
            errno = EWOULDBLOCK;
            return -1;
        }
        pause = pause < PAUSE_MIN_NS ? PAUSE_MIN_NS : pause > PAUSE_MAX_NS ? PAUSE_MAX_NS : pause;
        if (pause > timeout_ns - waited)
            pause = timeout_ns - waited;
        nanosleep(&(struct timespec){0, (long)pause}, NULL);
    }
    return 0;
}

/* ---- What dead holders left --------------------------------------------------------------- */

/* Removes a file that no one holds. One who has it open already and locks it next finds that it has
 * no name. */
static void remove_if_free(int folder, const char *name) {
    int file = openat(folder, name, FILE_FLAGS);

    if (file < 0)
        return;
    if (flock(file, LOCK_EX | LOCK_NB) == 0 && has_name(folder, name, file))
        unlinkat(folder, name, 0);
    close(file);
}

static void sweep(int folder) {
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    int64_t now = wall_seconds();
    struct dirent *found;

    if (!stream) {
        close_one(&fd);
        return;
    }
    while ((found = readdir(stream))) {
        struct stat status;

        if (strlen(found->d_name) == NAME_SIZE - 1 &&
            fstatat(folder, found->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(status.st_mode) && status.st_mtime + STALE_SECONDS < now)
            remove_if_free(folder, found->d_name);
    }
    closedir(stream);
}

/* ---- Taking and giving ---------------------------------------------------------------------- */

static int fail(const struct key_locks *locks, struct cubby_error *error) {
    if (errno == EWOULDBLOCK)
        return error_set(error, CUBBY_ERR_BUSY,
                         "another process that uses the store %s is still making the same entry",
                         locks->store);
    return error_set_errno(error, errno, "cannot lock a key in %s of the store %s", locks->folder,
                           locks->store);
}

int key_lock_take(struct key_locks *locks, enum cubby_entry_kind kind, const struct cubby_key *key,
                  uint64_t timeout_ns, struct cubby_key_lock **ret_lock,
                  struct cubby_error *error) {
    struct cubby_key_lock *lock = lock_new(kind, key);
    int result = 0;

    if (!lock)
        return error_no_memory(error);
    if (open_both(locks, lock) < 0 || lock_within(lock->file, timeout_ns) < 0)
        result = fail(locks, error);
    if (result == 0 && !atomic_exchange(&locks->swept, true))
        sweep(lock->folder);
    if (result == 0 && has_name(lock->folder, lock->name, lock->file)) {
        *ret_lock = lock;
        return 0;
    }
    if (result == 0)
        *ret_lock = NULL;
    lock_free(lock);
    return result;
}

void key_lock_give(struct cubby_key_lock *lock) {
    if (lock->file >= 0 && has_name(lock->folder, lock->name, lock->file))
        unlinkat(lock->folder, lock->name, 0);
    lock_free(lock);
}
