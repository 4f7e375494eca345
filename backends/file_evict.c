/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping a file store within its cap. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "backends/file.h"
#include "backends/file_account.h"
#include "os/process.h"
#include "os/time.h"
#include "util/error.h"

#define LOCK_NAME "evict.lock"
#define STALE_SECONDS 3600
#define LOW_WATER_PERCENT 90

/* The total is told in steps, so that a put seldom takes the lock on the counters. */
#define TELL_BYTES (4 << 20)

/* ---- Temporaries ------------------------------------------------------------------------ */

void file_sweep(const struct file_backend *file) {
    int fd = openat(file->tmp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
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

        if (strcmp(found->d_name, LOCK_NAME) != 0 &&
            fstatat(dirfd(stream), found->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(status.st_mode) && status.st_mtime + STALE_SECONDS < now)
            unlinkat(dirfd(stream), found->d_name, 0);
    }
    closedir(stream);
}

/* ---- Choosing and removing ---------------------------------------------------------------- */

struct census {
    struct file_entry *entries;
    size_t count, capacity;
    uint64_t bytes;
};

static int add_entry(int folder, const char *name, const struct file_entry *entry, void *context) {
    struct census *census = context;

    (void)folder;
    (void)name;
    if (census->count == census->capacity) {
        size_t capacity = census->capacity ? 2 * census->capacity : 256;
        struct file_entry *grown = realloc(census->entries, capacity * sizeof(*grown));

        if (!grown)
            return CUBBY_ERR_NO_MEMORY;
        census->entries = grown;
        census->capacity = capacity;
    }
    census->entries[census->count++] = *entry;
    census->bytes += (uint64_t)entry->status.st_size;
    return 0;
}

static int compare_use(const void *left, const void *right) {
    const struct timespec *a = &((const struct file_entry *)left)->status.st_mtim;
    const struct timespec *b = &((const struct file_entry *)right)->status.st_mtim;

    if (a->tv_sec != b->tv_sec)
        return a->tv_sec < b->tv_sec ? -1 : 1;
    return (a->tv_nsec > b->tv_nsec) - (a->tv_nsec < b->tv_nsec);
}

/* Removes one entry; one that vanished under us is gone all the same. */
static bool remove_entry(struct file_backend *file, const struct file_entry *entry) {
    char path[FILE_PATH_SIZE];

    file_entry_path(&entry->key, path);
    return unlinkat(file->kinds[entry->kind], path, 0) == 0 || errno == ENOENT;
}

static void remove_oldest(struct file_backend *file, struct census *census,
                          const struct cubby_trim_limits *limits, const struct cubby_key *keep) {
    qsort(census->entries, census->count, sizeof(*census->entries), compare_use);
    for (size_t i = 0; i < census->count; i++) {
        const struct file_entry *entry = &census->entries[i];
        bool too_old = limits->used_before && entry->status.st_mtime < limits->used_before;
        bool too_much = limits->max_size && census->bytes > limits->max_size;

        if (!too_old && !too_much)
            return;
        if ((keep && memcmp(keep, &entry->key, sizeof(*keep)) == 0) || !remove_entry(file, entry))
            continue;
        census->bytes -= (uint64_t)entry->status.st_size;
        atomic_fetch_add_explicit(&file->evictions, 1, memory_order_relaxed);
    }
}

/* ---- The shared total ------------------------------------------------------------------------ */

static void set_total(struct account *account, const void *context) {
    const struct account *found = context;

    account->bytes = found->bytes;
    account->counters.evictions += found->counters.evictions;
}

static void add_total(struct account *account, const void *context) {
    int64_t added = *(const int64_t *)context;

    account->bytes =
        added < 0 && account->bytes < (uint64_t)-added ? 0 : account->bytes + (uint64_t)added;
}

int file_evict(struct file_backend *file, const struct cubby_trim_limits *limits,
               const struct cubby_key *keep, struct cubby_error *error) {
    int lock = openat(file->tmp, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct census census = {0};
    struct account found = {0};
    int result = 0;

    if (lock < 0)
        return error_set_errno(error, errno, "cannot lock the store %s", file->path);
    if (flock(lock, LOCK_EX | LOCK_NB) < 0) {
        close(lock); /* someone else is at it: two would remove twice as much */
        return 0;
    }
    file_sweep(file);
    if (file_walk(file, add_entry, &census) < 0) {
        result = error_no_memory(error);
    } else {
        remove_oldest(file, &census, limits, keep);
        found.bytes = census.bytes; /* what was really found heals the running total */
        found.counters.evictions = atomic_exchange(&file->evictions, 0);
        atomic_store(&file->pending_bytes, 0);
        account_change(file->root, set_total, &found, NULL);
    }
    free(census.entries);
    close(lock);
    return result;
}

void file_note_stored(struct file_backend *file, size_t size, const struct cubby_key *key) {
    int64_t step = file->max_size / 256 < TELL_BYTES ? (int64_t)(file->max_size / 256) : TELL_BYTES;
    struct cubby_trim_limits limits = {.max_size = file->max_size / 100 * LOW_WATER_PERCENT};
    struct account account;
    int64_t pending;

    if (file->max_size == 0)
        return;
    if (file->owner != process_id()) {
        file->owner = process_id();
        atomic_store(&file->pending_bytes, 0);
    }
    pending = atomic_fetch_add(&file->pending_bytes, (int64_t)size) + (int64_t)size;
    if (pending < step)
        return;
    pending = atomic_exchange(&file->pending_bytes, 0);
    if (account_change(file->root, add_total, &pending, &account) == 0 &&
        account.bytes > file->max_size)
        file_evict(file, &limits, key, NULL);
}
