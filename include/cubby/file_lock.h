/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file file_lock.h
 * A lock among processes that is a file: one writes a file that several share while the others
 * wait.
 *
 *     struct cubby_file_lock *lock;
 *
 *     cubby_file_lock_new("kernels.bin.lock", &lock, &error);
 *     cubby_file_lock_try(lock, CUBBY_LOCK_EXCLUSIVE, CUBBY_FILE_LOCK_TIMEOUT_NS, &error);
 *     ... read and replace kernels.bin ...
 *     cubby_file_lock_free(lock);
 *
 * By convention the lock of the file NAME is NAME.lock.
 *
 * The protocol is that of FileLock in Python's package filelock
 * (https://github.com/tox-dev/filelock), whose exclusive locks and these exclude each other on the
 * same path: flock(2) on a file that has that name. As some of its versions from 3.21 to 3.29
 * remove the file before they give the lock up, a lock that was taken counts only if the file still
 * has its name; otherwise the one that has the name now is tried. The other way round the file is
 * neither removed nor written here. It may hold anything, and older versions of filelock empty it.
 *
 * Threads: a lock belongs to its object, not to the thread that took it, so one thread may take it
 * and another give it back. Threads that are to exclude each other need an object each: two objects
 * on one path do so in one process too. All functions may be called from any thread, also on the
 * same object, but cubby_file_lock_free(), which ends it.
 *
 * Processes: the system gives the lock up when its process ends, however it ends. A forked child
 * does not hold its parent's lock; it may take it on its own, through the same object, and frees
 * the object. File systems: flock has to work between all who share the file; where there is none,
 * taking a lock fails, and nothing else is tried in its place.
 */
#ifndef CUBBY_FILE_LOCK_H
#define CUBBY_FILE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include <cubby/error.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** A file as a lock. */
struct cubby_file_lock;

/** How a lock is held. */
enum cubby_lock_mode {
    CUBBY_LOCK_NONE = 0,      /**< not at all */
    CUBBY_LOCK_SHARED = 1,    /**< others may hold it shared too */
    CUBBY_LOCK_EXCLUSIVE = 2, /**< no one else holds it */
};

/** How long Cubby itself waits for such a lock: ten seconds. */
#define CUBBY_FILE_LOCK_TIMEOUT_NS INT64_C(10000000000)

/**
 * Opens the file of a lock, which is not held yet.
 *
 * @param path of the file, copied; a relative one stays below what is the current folder now. A
 * file that is missing is made (0644, less what the umask takes away), and so are folders above it
 * (0700).
 * @param[out] ret_lock new, released by cubby_file_lock_free()
 * @return 0; CUBBY_ERR_INVALID for an empty path, a symbolic link, or what is no regular file;
 *         CUBBY_ERR_IO; CUBBY_ERR_NO_MEMORY
 */
int cubby_file_lock_new(const char *path, struct cubby_file_lock **ret_lock,
                        struct cubby_error *error);

/**
 * Takes the lock, or changes how it is held.
 *
 * It is tried at least once, then every 50 ms until @p timeout_ns have passed. Signals do not end
 * the wait.
 *
 * To change between shared and exclusive the system gives the one up before it looks whether it can
 * grant the other, so another may hold the lock exclusively in between: what was read before has
 * to be read again, whether the change succeeds or not. Where it fails, the lock is taken again as
 * it was held; if another was faster, the message says so and cubby_file_lock_mode() is
 * CUBBY_LOCK_NONE. Two who both hold it shared and both wait to have it exclusively wait for each
 * other: give it up first.
 *
 * @param mode CUBBY_LOCK_SHARED or CUBBY_LOCK_EXCLUSIVE; as it is held already: nothing changes
 * @param timeout_ns nanoseconds; 0 tries once, a negative number waits for ever
 * @return 0; CUBBY_ERR_BUSY where another still held it when the time had passed;
 * CUBBY_ERR_UNSUPPORTED where the file system has no such locks; CUBBY_ERR_INVALID for another
 * mode, and as cubby_file_lock_new() where the file has to be opened again; CUBBY_ERR_IO;
 * CUBBY_ERR_NO_MEMORY
 */
int cubby_file_lock_try(struct cubby_file_lock *lock, enum cubby_lock_mode mode, int64_t timeout_ns,
                        struct cubby_error *error);

/** Gives the lock up. Where it is not held, nothing happens. NULL-safe. */
void cubby_file_lock_release(struct cubby_file_lock *lock);

/** How the lock is held through this object, in this process. */
enum cubby_lock_mode cubby_file_lock_mode(struct cubby_file_lock *lock);

/** True if it is held, shared or exclusively. */
bool cubby_file_lock_is_held(struct cubby_file_lock *lock);

/** The file's absolute path; borrowed from the lock. */
const char *cubby_file_lock_path(const struct cubby_file_lock *lock);

/** Gives the lock up and releases the object; the file stays. NULL-safe. */
void cubby_file_lock_free(struct cubby_file_lock *lock);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
