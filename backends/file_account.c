/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/file_account.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "os/fd.h"

#define NAME "counters"

/* It is held for microseconds; for longer only by a process that was stopped within these. */
#define LOCK_MS 500

static const char MAGIC[8] = "cubbycn2";

/* The file, in the machine's own byte order: it is shared by processes, not by machines of
 * different kinds, and another order fails the checksum. */
struct stored {
    char magic[8];
    struct account account;
    uint64_t checksum; /* XXH3-64 of what is before it */
};

static uint64_t checksum_of(const struct stored *stored) {
    return XXH3_64bits(stored, offsetof(struct stored, checksum));
}

/* An empty one was just made, and is yet to be written. */
static bool read_stored(int fd, struct account *ret_account) {
    struct stored stored;
    ssize_t size = pread(fd, &stored, sizeof(stored), 0);

    memset(ret_account, 0, sizeof(*ret_account));
    if (size != (ssize_t)sizeof(stored) || memcmp(stored.magic, MAGIC, sizeof(MAGIC)) != 0 ||
        stored.checksum != checksum_of(&stored))
        return size == 0;
    *ret_account = stored.account;
    return true;
}

/* Closing alone would not do: a child that was forked meanwhile holds the descriptor too, and with
 * it the lock for as long as it lives. */
static void unlock(int fd) {
    int saved = errno;

    flock(fd, LOCK_UN);
    errno = saved;
}

bool account_read(int root, struct account *ret_account) {
    int fd = openat(root, NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    bool sound = fd >= 0 || errno == ENOENT;

    memset(ret_account, 0, sizeof(*ret_account));
    if (fd < 0)
        return sound;
    if (fd_flock_within(fd, LOCK_SH, LOCK_MS) == 0) {
        sound = read_stored(fd, ret_account);
        unlock(fd);
    } else {
        /* Better than nothing. If it is half written, that says nothing of what it will be. */
        read_stored(fd, ret_account);
    }
    close(fd);
    return sound;
}

/* A root that its group may write in is a shared one, whose members all count. */
static mode_t mode_below(int root) {
    struct stat status;

    return fstat(root, &status) == 0 && (status.st_mode & 0020) ? 0660 : 0600;
}

int account_change(int root, void (*change)(struct account *account, const void *context),
                   const void *context, struct account *ret_account) {
    int fd = fd_open_mode(root, NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode_below(root));
    struct stored stored = {0};
    int result = -1;

    if (fd < 0)
        return -1;
    result = fd_flock_within(fd, LOCK_EX, LOCK_MS);
    if (result == 0) {
        memcpy(stored.magic, MAGIC, sizeof(MAGIC));
        read_stored(fd, &stored.account);
        change(&stored.account, context);
        stored.checksum = checksum_of(&stored);
        if (pwrite(fd, &stored, sizeof(stored), 0) != (ssize_t)sizeof(stored))
            result = -1;
        if (ret_account)
            *ret_account = stored.account;
        unlock(fd);
    }
    close(fd);
    return result;
}
