/* SPDX-License-Identifier: Apache-2.0 */
/* Whole reads and writes on file descriptors: EINTR and short transfers end here. */
#ifndef CUBBY_OS_FD_H
#define CUBBY_OS_FD_H

#include <stdbool.h>
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

/* Opens a folder, no link, and makes it where it is missing, unless the mode is 0. One made for its
 * group too (mode 02770) is that whatever the umask takes away. Returns the descriptor, or -1 with
 * errno. */
int fd_open_folder(int base, const char *name, mode_t mode);

/* True if the open file is still the one that has that name in the folder: else the name may be
 * another's by now. */
bool fd_has_name(int fd, int folder, const char *name);
/* As flock(), LOCK_SH or LOCK_EX, but waits at most so many milliseconds: who holds the lock may
 * have been stopped. What counts is the time asleep, so that where waiter and holder were both
 * stopped, the holder still has its time. Returns 0, or -1 with errno: EAGAIN where others kept it.
 */
int fd_flock_within(int fd, int operation, unsigned ms);

#endif
