/* SPDX-License-Identifier: Apache-2.0 */
/* Whole reads and writes on file descriptors: EINTR and short transfers end here. */
#ifndef CUBBY_OS_FD_H
#define CUBBY_OS_FD_H

#include <stddef.h>
#include <sys/types.h>

/* Reads up to size bytes from the current position until the end of the file.
 * Returns the number read, or -1 with errno. */
ssize_t fd_read_full(int fd, void *data, size_t size);

/* Writes all of it. Returns 0, or -1 with errno. */
int fd_write_full(int fd, const void *data, size_t size);

/* As openat(); a file made for its group too (mode 0660) is that whatever the umask takes away.
 * Returns the descriptor, or -1 with errno. */
int fd_open_mode(int folder, const char *name, int flags, mode_t mode);

/* As flock(), LOCK_SH or LOCK_EX, but waits at most so many milliseconds: who holds the lock may
 * have been stopped. What counts is the time asleep, so that where waiter and holder were both
 * stopped, the holder still has its time. Returns 0, or -1 with errno: EAGAIN where others kept it.
 */
int fd_flock_within(int fd, int operation, unsigned ms);

#endif
