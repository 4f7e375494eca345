/* SPDX-License-Identifier: Apache-2.0 */
#include <cubby/file_lock.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/fd.h"
#include "os/lock_file.h"
#include "os/path.h"
#include "os/time.h"
#include "os/trust.h"
#include "util/error.h"

#define FILE_MODE 0644
#define POLL_NS 50000000u

/* One who releases may remove the file (filelock 3.21 to 3.29) each time that it was just opened
 * here; after so many in a row the lock counts as held by another, so that the time-out stays what
 * it is. */
#define MAX_REOPENS 16

struct cubby_file_lock {
    struct lock_file at;       /* all below but the path is looked at between enter and leave */
    enum cubby_lock_mode held; /* while the file is open */
    char *path;                /* absolute */
};

/* ---- The file ---------------------------------------------------------------------------- */

static int make_parent(const char *path) {
    char *folder = strndup(path, (size_t)(strrchr(path, '/') - path));
    int result = -1;

    if (folder)
        result = *folder ? make_folders(folder) : 0;
    free(folder);
    return result;
}

/* Opens the file, which is not locked then. Returns 0, or -1 with errno. */
static int open_file(struct cubby_file_lock *lock) {
    lock->held = CUBBY_LOCK_NONE;
    if (lock_file_open(&lock->at, lock->path, FILE_MODE) == 0)
        return 0;
    if (errno != ENOENT || make_parent(lock->path) < 0)
        return -1;
    return lock_file_open(&lock->at, lock->path, FILE_MODE);
}

static int fail_open(const struct cubby_file_lock *lock, int errnum, struct cubby_error *error) {
    struct stat status;

    if (errnum == EINVAL || errnum == ELOOP) {
        bool found = lstat(lock->path, &status) == 0;

        if (found && S_ISLNK(status.st_mode))
            return error_set(error, CUBBY_ERR_INVALID,
                             "%s is a symbolic link: a lock has to be a regular file, so that all "
                             "lock the same one; remove it, or give the path that it leads to",
                             lock->path);
        if (found && !S_ISREG(status.st_mode))
            return error_set(error, CUBBY_ERR_INVALID,
                             "%s is no regular file: choose another path for the lock", lock->path);
    }
    return error_set_errno(error, errnum, "cannot open the lock %s", lock->path);
}

int cubby_file_lock_new(const char *path, struct cubby_file_lock **ret_lock,
                        struct cubby_error *error) {
    struct cubby_file_lock *lock;
    int errnum = 0;

    if (!path || !*path)
        return error_set(error, CUBBY_ERR_INVALID,
                         "a lock needs the path of its file: it is empty");
    lock = calloc(1, sizeof(*lock));
    if (!lock)
        return error_no_memory(error);
    lock->path = path_absolute(path);
    if (!lock->path) {
        errnum = errno;
        free(lock);
        return error_set_errno(error, errnum, "cannot tell where the lock %s lies", path);
    }
    lock_file_init(&lock->at, FORK_LEVEL_LOCK_FILE);
    lock_file_enter(&lock->at);
    if (open_file(lock) < 0)
        errnum = errno;
    lock_file_leave(&lock->at);
    if (errnum != 0) {
        int result = fail_open(lock, errnum, error);

        cubby_file_lock_free(lock);
        return result;
    }
    *ret_lock = lock;
    return 0;
}

void cubby_file_lock_free(struct cubby_file_lock *lock) {
    if (!lock)
        return;
    lock_file_end(&lock->at);
    free(lock->path);
    free(lock);
}

const char *cubby_file_lock_path(const struct cubby_file_lock *lock) {
    return lock->path;
}

/* ---- Taking and giving up ---------------------------------------------------------------- */

/* In a forked child the file was closed, and nothing is held. */
static enum cubby_lock_mode held_now(const struct cubby_file_lock *lock) {
    return lock->at.file < 0 ? CUBBY_LOCK_NONE : lock->held;
}

/* What became of one try. */
struct attempt {
    int errnum;   /* 0: taken; EWOULDBLOCK: another holds it */
    bool opening; /* what failed was to open the file */
};

/* Locks the file that has the name, whatever was held of it before. */
static struct attempt take(struct cubby_file_lock *lock, enum cubby_lock_mode mode) {
    for (unsigned i = 0; i < MAX_REOPENS; i++) {
        if (lock->at.file < 0 && open_file(lock) < 0)
            return (struct attempt){errno, true};
        lock->held = CUBBY_LOCK_NONE; /* flock gives it up before it looks for the other */
        if (lock_file_try(&lock->at, mode == CUBBY_LOCK_EXCLUSIVE) < 0)
            return (struct attempt){errno, false};
        if (fd_has_name(lock->at.file, lock->at.folder, lock->path)) {
            lock->held = mode;
            return (struct attempt){0, false};
        }
        lock_file_close(&lock->at);
    }
    return (struct attempt){EWOULDBLOCK, false};
}

/* Tries once; what was held is taken again where that fails. *ret_lost is set where that fails too.
 */
static struct attempt try_once(struct cubby_file_lock *lock, enum cubby_lock_mode mode,
                               bool *ret_lost) {
    enum cubby_lock_mode before;
    struct attempt attempt;

    lock_file_enter(&lock->at);
    before = held_now(lock);
    attempt = take(lock, mode);
    if (attempt.errnum != 0 && before != CUBBY_LOCK_NONE)
        *ret_lost = take(lock, before).errnum != 0;
    lock_file_leave(&lock->at);
    return attempt;
}

static const char *word_for(enum cubby_lock_mode mode) {
    return mode == CUBBY_LOCK_SHARED ? "shared" : "exclusively";
}

static int fail_try(const struct cubby_file_lock *lock, enum cubby_lock_mode mode,
                    struct attempt attempt, bool lost, int64_t timeout_ns,
                    struct cubby_error *error) {
    const char *note = lost ? "; the lock that was held before is lost" : "";

    if (attempt.errnum == EWOULDBLOCK)
        return error_set(
            error, CUBBY_ERR_BUSY,
            "cannot lock %s %s: another still holds it after %g s; wait longer, or see "
            "which process that is%s",
            lock->path, word_for(mode), (double)timeout_ns / 1e9, note);
    if (attempt.opening)
        return fail_open(lock, attempt.errnum, error);
    if (attempt.errnum == ENOSYS || attempt.errnum == EOPNOTSUPP)
        return error_set(error, CUBBY_ERR_UNSUPPORTED,
                         "cannot lock %s: its file system has no locks (flock: %s); choose a path "
                         "on another%s",
                         lock->path, strerror(attempt.errnum), note);
    return error_set_errno(error, attempt.errnum, "cannot lock %s %s%s", lock->path, word_for(mode),
                           note);
}

int cubby_file_lock_try(struct cubby_file_lock *lock, enum cubby_lock_mode mode, int64_t timeout_ns,
                        struct cubby_error *error) {
    uint64_t start = monotonic_ns();
    struct attempt attempt;
    bool lost = false;

    if (mode != CUBBY_LOCK_SHARED && mode != CUBBY_LOCK_EXCLUSIVE)
        return error_set(error, CUBBY_ERR_INVALID,
                         "cannot lock %s in mode %d: expected CUBBY_LOCK_SHARED or "
                         "CUBBY_LOCK_EXCLUSIVE; to give a lock up, release it",
                         lock->path, (int)mode);
    do {
        attempt = try_once(lock, mode, &lost);
    } while (attempt.errnum == EWOULDBLOCK && pause_within(start, timeout_ns, POLL_NS));
    return attempt.errnum == 0 ? 0 : fail_try(lock, mode, attempt, lost, timeout_ns, error);
}

void cubby_file_lock_release(struct cubby_file_lock *lock) {
    if (!lock)
        return;
    lock_file_enter(&lock->at);
    /* A file that cannot be unlocked is closed, which gives the lock up as well. */
    if (held_now(lock) != CUBBY_LOCK_NONE && lock_file_unlock(&lock->at) < 0)
        lock_file_close(&lock->at);
    lock->held = CUBBY_LOCK_NONE;
    lock_file_leave(&lock->at);
}

enum cubby_lock_mode cubby_file_lock_mode(struct cubby_file_lock *lock) {
    enum cubby_lock_mode held;

    lock_file_enter(&lock->at);
    held = held_now(lock);
    lock_file_leave(&lock->at);
    return held;
}

bool cubby_file_lock_is_held(struct cubby_file_lock *lock) {
    return cubby_file_lock_mode(lock) != CUBBY_LOCK_NONE;
}
