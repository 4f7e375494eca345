/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three locks on PATH-cubby-lock.
 *
 * Users: who has the database open holds a byte shared; who sets a damaged one aside holds it
 * alone. Otherwise others would go on in the renamed file and open their next connection to the new
 * one.
 *
 * Writers: an flock, shared by those who write and exclusive for a checkpoint (sqlite.h says why).
 *
 * The gate: a writer passes a second byte, held shared for a moment, on its way to the flock. Where
 * someone is always writing, a checkpoint that is overdue closes the gate, so that those within
 * come to an end and no new ones enter.
 *
 * The bytes are locked as open file descriptions: such a lock ends with the process, is shared with
 * forked children, and is apart from the flock. Nobody is waited for without bound: the holder may
 * have been stopped.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "backends/sqlite.h"
#include "os/time.h"
#include "util/error.h"

#define USERS_BYTE 0
#define GATE_BYTE 1

#define USERS_MS 200
#define DRAIN_MS 1000
#define PAUSE_NS 1000000
#define FLOCK (-1) /* in the place of a byte */

/* Locks a byte (F_RDLCK, F_WRLCK, F_UNLCK) or the flock (LOCK_SH, LOCK_EX), if it is free now. */
static int try_lock(int fd, int byte, int type) {
    struct flock lock = {.l_type = (short)type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    if (byte == FLOCK)
        return flock(fd, type | LOCK_NB);
    return fcntl(fd, F_OFD_SETLK, &lock);
}

/* Tries for so many milliseconds. Returns 0, or -1 with errno: EAGAIN where others kept it. */
static int lock_within(int fd, int byte, int type, unsigned ms) {
    uint64_t start = monotonic_ns();

    while (try_lock(fd, byte, type) < 0) {
        if (errno == EACCES)
            errno = EAGAIN;
        if ((errno != EAGAIN && errno != EINTR) ||
            !pause_within(start, ms * INT64_C(1000000), PAUSE_NS))
            return -1;
    }
    return 0;
}

/* ---- Users ------------------------------------------------------------------------------- */

int users_join(struct sqlite_backend *sqlite, struct cubby_error *error) {
    int flags = sqlite->read_only ? O_RDONLY : O_RDWR | O_CREAT;

    sqlite->users = open(sqlite->lock_path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (sqlite->users < 0)
        return sqlite->read_only
                   ? 0
                   : error_set_errno(error, errno, "cannot open %s", sqlite->lock_path);
    if (lock_within(sqlite->users, USERS_BYTE, F_RDLCK, USERS_MS) == 0)
        return 0;
    if (errno == EAGAIN)
        return error_set(error, CUBBY_ERR_BUSY,
                         "cannot open the store %s: another process is setting it aside",
                         sqlite->path);
    return error_set_errno(error, errno, "cannot lock %s", sqlite->lock_path);
}

bool users_exclude(struct sqlite_backend *sqlite) {
    /* Given up first: two who both kept theirs would each wait for the other. */
    try_lock(sqlite->users, USERS_BYTE, F_UNLCK);
    return lock_within(sqlite->users, USERS_BYTE, F_WRLCK, USERS_MS) == 0;
}

void users_rejoin(struct sqlite_backend *sqlite) {
    lock_within(sqlite->users, USERS_BYTE, F_RDLCK, USERS_MS);
}

void users_suspect(const struct sqlite_backend *sqlite, bool suspect) {
    /* A hint: without it the damage stays until someone else notes it. */
    if (sqlite->users >= 0 && !sqlite->read_only)
        (void)!ftruncate(sqlite->users, suspect ? 1 : 0);
}

bool users_suspected(const struct sqlite_backend *sqlite) {
    return sqlite->users >= 0 && lseek(sqlite->users, 0, SEEK_END) > 0;
}

int makers_enter(const struct sqlite_backend *sqlite, struct cubby_error *error) {
    if (lock_within(sqlite->users, FLOCK, LOCK_EX, BUSY_MS) == 0)
        return 0;
    if (errno == EAGAIN)
        return sqlite_fail(sqlite, NULL, SQLITE_BUSY, "make the store", error);
    return error_set_errno(error, errno, "cannot lock %s", sqlite->lock_path);
}

void makers_leave(const struct sqlite_backend *sqlite) {
    flock(sqlite->users, LOCK_UN);
}

/* ---- Writers and checkpoints ------------------------------------------------------------- */

int writers_enter(const struct connection *connection) {
    int fd = connection->lock;
    int result = lock_within(fd, GATE_BYTE, F_RDLCK, BUSY_MS), saved;

    if (result < 0)
        return -1;
    result = lock_within(fd, FLOCK, LOCK_SH, BUSY_MS);
    saved = errno;
    try_lock(fd, GATE_BYTE, F_UNLCK);
    errno = saved;
    return result;
}

void writers_leave(const struct connection *connection) {
    flock(connection->lock, LOCK_UN);
}

bool checkpoint_enter(const struct connection *connection, bool overdue) {
    int fd = connection->lock;
    bool entered;

    if (try_lock(fd, FLOCK, LOCK_EX) == 0)
        return true;
    if (!overdue || try_lock(fd, GATE_BYTE, F_WRLCK) < 0)
        return false; /* a later one will do, or another process is at it */
    entered = lock_within(fd, FLOCK, LOCK_EX, DRAIN_MS) == 0;
    if (!entered)
        try_lock(fd, GATE_BYTE, F_UNLCK);
    return entered;
}

void checkpoint_leave(const struct connection *connection) {
    flock(connection->lock, LOCK_UN);
    try_lock(connection->lock, GATE_BYTE, F_UNLCK);
}
