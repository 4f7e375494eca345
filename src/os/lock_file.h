/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that stands for a lock among processes, and the descriptor through which this process
 * takes it: flock(2), which the kernel frees when the holder dies. A forked child does not share
 * it. This is all that knows which call of the system locks a file; elsewhere LockFileEx() on the
 * byte range (0, 1) would do the same.
 */
#ifndef CUBBY_OS_LOCK_FILE_H
#define CUBBY_OS_LOCK_FILE_H

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "os/fork.h"

/* How such a file is opened: no link is followed, no program that is started inherits it, and
 * nothing is waited for. */
#define LOCK_FILE_FLAGS (O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)

struct lock_file {
    pthread_mutex_t changing; /* held while a descriptor is opened and noted: no fork in between */
    int folder; /* the name is taken from there: AT_FDCWD, or a descriptor of its own */
    int file;   /* -1 while it is not open, and in a forked child */
    struct fork_guard guard;
};

/* Not open yet, its name taken from the current folder. Stays where it is until lock_file_end(),
 * which unlocks and closes it. Neither is called with a guarded lock held. */
void lock_file_init(struct lock_file *lock, enum fork_level level);
void lock_file_end(struct lock_file *lock);

/* No fork in between; what lies in between must not wait for another. The descriptors are opened,
 * closed and, where several threads use them, looked at there. */
void lock_file_enter(struct lock_file *lock);
void lock_file_leave(struct lock_file *lock);

/* Opens the file, and makes it with that mode where it is missing. Returns 0, or -1 with errno:
 * EINVAL for one that is no regular file, ELOOP for a link. */
int lock_file_open(struct lock_file *lock, const char *name, mode_t mode);

/* Unlocks and closes the file. */
void lock_file_close(struct lock_file *lock);

/* Locks the open file, if it is free now; a lock that was held in the other mode is given up for
 * it, also where that fails. Returns 0, or -1 with errno: EWOULDBLOCK where another holds it. */
int lock_file_try(struct lock_file *lock, bool exclusive);

/* Gives the lock up; the file stays open. Returns 0, or -1 with errno. */
int lock_file_unlock(struct lock_file *lock);

/* As lock_file_try(), on a descriptor of the caller's. */
int flock_try(int fd, bool exclusive);

#endif
