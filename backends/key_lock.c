/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/key_lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cubby/cubby.h>

#include "os/fd.h"
#include "os/lock_file.h"
#include "os/time.h"
#include "util/error.h"

/* The key in hexadecimal, a point, and the kind. */
#define NAME_SIZE (CUBBY_KEY_HEX_SIZE + 2)

#define STALE_SECONDS 3600

/* A waiter looks again after a part of the time that it waited so far: it wakes up late by some
 * percent, and seldom where the wait is long. */
#define PAUSE_PART 8
#define PAUSE_MIN_NS 1000000u
#define PAUSE_MAX_NS 10000000u

struct cubby_key_lock {
    char name[NAME_SIZE];
    struct lock_file at;
};

static struct cubby_key_lock *lock_new(enum cubby_entry_kind kind, const struct cubby_key *key) {
    struct cubby_key_lock *lock = calloc(1, sizeof(*lock));
    char hex[CUBBY_KEY_HEX_SIZE];

    if (!lock)
        return NULL;
    cubby_key_format(key, hex);
    snprintf(lock->name, sizeof(lock->name), "%s.%u", hex, (unsigned)kind % 10);
    lock_file_init(&lock->at, FORK_LEVEL_STORE);
    return lock;
}

static void lock_free(struct cubby_key_lock *lock) {
    lock_file_end(&lock->at);
    free(lock);
}

/* Opens the folder and the file. */
static int open_both(const struct key_locks *locks, struct cubby_key_lock *lock) {
    int result = -1, saved;

    lock_file_enter(&lock->at);
    lock->at.folder = fd_open_folder(locks->base, locks->folder, locks->folder_mode);
    if (lock->at.folder >= 0)
        result = lock_file_open(&lock->at, lock->name, locks->file_mode);
    saved = errno;
    lock_file_leave(&lock->at);
    errno = saved;
    return result;
}

static bool has_name(const struct cubby_key_lock *lock) {
    return fd_has_name(lock->at.file, lock->at.folder, lock->name);
}

/* Locks the file within that time. Returns 0, or -1 with errno: EWOULDBLOCK where another kept it.
 */
static int lock_within(struct cubby_key_lock *lock, uint64_t timeout_ns) {
    int64_t timeout = timeout_ns > INT64_MAX ? INT64_MAX : (int64_t)timeout_ns;
    uint64_t start = monotonic_ns();

    while (lock_file_try(&lock->at, true) < 0) {
        uint64_t pause = (monotonic_ns() - start) / PAUSE_PART;

        pause = pause < PAUSE_MIN_NS ? PAUSE_MIN_NS : pause > PAUSE_MAX_NS ? PAUSE_MAX_NS : pause;
        if (errno != EWOULDBLOCK || !pause_within(start, timeout, pause))
            return -1;
    }
    return 0;
}

/* ---- What dead holders left -------------------------------------------------------------- */

/* Removes a file that no one holds. One who has it open already and locks it next finds that it has
 * no name. */
static void remove_if_free(int folder, const char *name) {
    int file = openat(folder, name, LOCK_FILE_FLAGS);

    if (file < 0)
        return;
    if (flock_try(file, true) == 0 && fd_has_name(file, folder, name))
        unlinkat(folder, name, 0);
    close(file);
}

static void sweep(int folder) {
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    int64_t now = wall_seconds();
    struct dirent *found;

    if (!stream) {
        if (fd >= 0)
            close(fd);
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

/* ---- Taking and giving ------------------------------------------------------------------- */

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
    if (open_both(locks, lock) < 0 || lock_within(lock, timeout_ns) < 0)
        result = fail(locks, error);
    if (result == 0 && !atomic_exchange(&locks->swept, true))
        sweep(lock->at.folder);
    if (result == 0 && has_name(lock)) {
        *ret_lock = lock;
        return 0;
    }
    if (result == 0)
        *ret_lock = NULL;
    lock_free(lock);
    return result;
}

void key_lock_give(struct cubby_key_lock *lock) {
    if (lock->at.file >= 0 && has_name(lock))
        unlinkat(lock->at.folder, lock->name, 0);
    lock_free(lock);
}
