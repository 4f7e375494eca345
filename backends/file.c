/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder of files. The bytes of an entry are the bytes of its file, and they appear under its
 * name all at once: written under a random name first, then renamed.
 */
#include "backends/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/file_account.h"
#include "os/fd.h"
#include "os/process.h"
#include "os/time.h"
#include "util/counters.h"
#include "util/error.h"

#define TOUCH_SECONDS 60 /* recency is noted at most so often */

static struct file_backend *file_of(struct cubby_backend *backend) {
    return (struct file_backend *)backend;
}

static int refuse_read_only(const struct file_backend *file, struct cubby_error *error) {
    return error_set(error, CUBBY_ERR_UNSUPPORTED, "the store %s is opened read-only", file->path);
}

static int fail(const struct file_backend *file, const char *what, struct cubby_error *error) {
    if (errno == EAGAIN)
        return error_set(error, CUBBY_ERR_BUSY,
                         "cannot %s the store %s: another process, perhaps one that was stopped, "
                         "holds its lock",
                         what, file->path);
    return error_set_errno(error, errno, "cannot %s the store %s", what, file->path);
}

/* ---- Reading ----------------------------------------------------------------------------- */

/* Notes the use for the evictor; a failure costs only precision. */
static void touch(const struct file_backend *file, int fd, const struct stat *status) {
    if (file->max_size > 0 && !file->read_only && status->st_mtime + TOUCH_SECONDS < wall_seconds())
        futimens(fd, NULL);
}

static int read_entry(const struct file_backend *file, int fd, bool is_use,
                      struct cubby_blob **ret_blob, struct cubby_error *error) {
    struct cubby_blob *blob;
    struct stat status;
    ssize_t size;

    if (fstat(fd, &status) < 0)
        return fail(file, "read from", error);
    if (!S_ISREG(status.st_mode))
        return error_set(error, CUBBY_ERR_CORRUPT, "an entry of the store %s is not a file",
                         file->path);
    if ((uint64_t)status.st_size > CUBBY_ENTRY_MAX_SIZE)
        return error_set(error, CUBBY_ERR_CORRUPT,
                         "an entry of the store %s has %lld bytes: none has more than 1 GiB",
                         file->path, (long long)status.st_size);
    blob = cubby_blob_new((size_t)status.st_size);
    if (!blob)
        return error_no_memory(error);
    size = fd_read_full(fd, cubby_blob_writable(blob), (size_t)status.st_size);
    if (size < 0) {
        cubby_blob_unref(blob);
        return fail(file, "read from", error);
    }
    cubby_blob_truncate(blob, (size_t)size);
    if (is_use)
        touch(file, fd, &status);
    *ret_blob = blob;
    return 0;
}

static int find_entry(const struct file_backend *file, enum cubby_entry_kind kind,
                      const struct cubby_key *key, bool is_use, struct cubby_blob **ret_blob,
                      struct cubby_error *error) {
    char path[FILE_PATH_SIZE];
    int result, fd;

    if (file->kinds[kind] < 0)
        return CUBBY_ERR_NOT_FOUND;
    file_entry_path(key, path);
    fd = file_entry_open(file->kinds[kind], path);
    if (fd < 0 && (errno == ENOENT || errno == ESTALE))
        return CUBBY_ERR_NOT_FOUND;
    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
        return error_set(error, CUBBY_ERR_CORRUPT,
                         "an entry of the store %s lies behind a symbolic link, which is not "
                         "followed, or behind something that is no folder",
                         file->path);
    if (fd < 0)
        return fail(file, "read from", error);
    result = read_entry(file, fd, is_use, ret_blob, error);
    close(fd);
    return result;
}

static int file_get(struct cubby_backend *backend, enum cubby_entry_kind kind,
                    const struct cubby_key *key, struct cubby_blob **ret_blob,
                    struct cubby_error *error) {
    return find_entry(file_of(backend), kind, key, true, ret_blob, error);
}

static int file_peek(struct cubby_backend *backend, enum cubby_entry_kind kind,
                     const struct cubby_key *key, struct cubby_blob **ret_blob,
                     struct cubby_error *error) {
    return find_entry(file_of(backend), kind, key, false, ret_blob, error);
}

/* ---- Writing ----------------------------------------------------------------------------- */

static int file_put(struct cubby_backend *backend, enum cubby_entry_kind kind,
                    const struct cubby_key *key, struct cubby_blob *blob,
                    struct cubby_error *error) {
    struct file_backend *file = file_of(backend);
    size_t size = cubby_blob_size(blob);
    char path[FILE_PATH_SIZE];

    if (file->read_only)
        return refuse_read_only(file, error);
    file_entry_path(key, path);
    if (file->max_size > 0 && size > file->max_size) {
        /* It would push out everything else and still not fit; but what it was to replace is out
         * of date. */
        file_entry_unlink(file->kinds[kind], path);
        return 0;
    }
    if (!atomic_exchange(&file->swept, true))
        file_sweep(file, true);
    if (file_entry_write(file, file->kinds[kind], path, blob) < 0)
        return fail(file, "write to", error);
    file_note_stored(file, size, key);
    return 0;
}

static int file_remove(struct cubby_backend *backend, enum cubby_entry_kind kind,
                       const struct cubby_key *key, struct cubby_error *error) {
    struct file_backend *file = file_of(backend);
    char path[FILE_PATH_SIZE];

    if (file->read_only)
        return refuse_read_only(file, error);
    file_entry_path(key, path);
    if (file_entry_unlink(file->kinds[kind], path) == 0)
        return 0;
    if (errno == ENOENT || errno == ESTALE || errno == ELOOP || errno == ENOTDIR)
        return error_set(error, CUBBY_ERR_NOT_FOUND, "the store %s holds no such entry",
                         file->path);
    return fail(file, "remove from", error);
}

/* ---- All entries ------------------------------------------------------------------------- */

struct iteration {
    cubby_entry_visitor visit;
    void *context;
};

static int visit_one(int folder, const char *name, const struct file_entry *entry, void *context) {
    const struct iteration *iteration = context;
    struct cubby_entry_info info = {entry->kind, entry->key, (uint64_t)entry->status.st_size,
                                    entry->status.st_mtime};

    (void)folder;
    (void)name;
    return iteration->visit(&info, iteration->context);
}

static int file_iterate(struct cubby_backend *backend, cubby_entry_visitor visit, void *context,
                        struct cubby_error *error) {
    struct iteration iteration = {visit, context};

    return file_walk(file_of(backend), visit_one, &iteration, error);
}

static int add_to_stats(int folder, const char *name, const struct file_entry *entry,
                        void *context) {
    struct cubby_store_stats *stats = context;

    (void)folder;
    (void)name;
    stats->entries[entry->kind]++;
    stats->bytes += (uint64_t)entry->status.st_size;
    return 0;
}

static int file_stats(struct cubby_backend *backend, struct cubby_store_stats *ret_stats,
                      struct cubby_error *error) {
    struct file_backend *file = file_of(backend);
    struct account account;

    *ret_stats = (struct cubby_store_stats){.max_size = file->max_size};
    account_read(file->root, &account);
    ret_stats->counters = account.counters;
    ret_stats->counters.evictions += atomic_load(&file->evictions);
    return file_walk(file, add_to_stats, ret_stats, error);
}

static int remove_one(int folder, const char *name, const struct file_entry *entry, void *context) {
    (void)entry;
    if (unlinkat(folder, name, 0) < 0 && errno != ENOENT)
        *(int *)context = errno;
    return 0;
}

/* What others told meanwhile may still be there. */
static void forget_total(struct account *account, const void *context) {
    uint64_t before = *(const uint64_t *)context;

    account->bytes = account->bytes > before ? account->bytes - before : 0;
    account->walked_at = wall_seconds();
}

static int file_clear(struct cubby_backend *backend, struct cubby_error *error) {
    struct file_backend *file = file_of(backend);
    struct account before;
    int failed = 0, result, turn;

    if (file->read_only)
        return refuse_read_only(file, error);
    turn = file_turn_begin(file);
    account_read(file->root, &before);
    file_sweep(file, true);
    atomic_store(&file->pending_bytes, 0);
    result = file_walk(file, remove_one, &failed, error);
    account_change(file->root, forget_total, &before.bytes, NULL);
    file_turn_end(turn);
    errno = failed;
    return failed ? fail(file, "clear", error) : result;
}

static int file_trim(struct cubby_backend *backend, const struct cubby_trim_limits *limits,
                     struct cubby_trimmed *ret_trimmed, struct cubby_error *error) {
    struct file_backend *file = file_of(backend);

    return file->read_only ? refuse_read_only(file, error)
                           : file_evict(file, limits, ret_trimmed, error);
}

/* ---- Counters ---------------------------------------------------------------------------- */

static void add_counters(struct account *account, const void *context) {
    counters_add(&account->counters, context);
}

static int file_count(struct cubby_backend *backend, const struct cubby_counters *delta,
                      struct cubby_error *error) {
    struct file_backend *file = file_of(backend);

    if (file->read_only)
        return 0;
    return account_change(file->root, add_counters, delta, NULL) < 0 ? fail(file, "count in", error)
                                                                     : 0;
}

static void zero_counters(struct account *account, const void *context) {
    (void)context;
    account->counters = (struct cubby_counters){0};
}

static int file_zero(struct cubby_backend *backend, struct cubby_error *error) {
    struct file_backend *file = file_of(backend);

    if (file->read_only)
        return refuse_read_only(file, error);
    atomic_store(&file->evictions, 0);
    return account_change(file->root, zero_counters, NULL, NULL) < 0 ? fail(file, "count in", error)
                                                                     : 0;
}

static void add_pending(struct account *account, const void *context) {
    const struct account *pending = context;

    account->bytes += pending->bytes;
    account->counters.evictions += pending->counters.evictions;
}

static int file_flush(struct cubby_backend *backend, struct cubby_error *error) {
    struct file_backend *file = file_of(backend);
    struct account pending = {0};

    if (file->read_only)
        return 0;
    file_own_pending(file);
    pending.bytes = atomic_exchange(&file->pending_bytes, 0);
    pending.counters.evictions = atomic_exchange(&file->evictions, 0);
    if (pending.bytes == 0 && pending.counters.evictions == 0)
        return 0;
    return account_change(file->root, add_pending, &pending, NULL) < 0
               ? fail(file, "count in", error)
               : 0;
}

/* ---- Flights ----------------------------------------------------------------------------- */

static int file_lock_key(struct cubby_backend *backend, enum cubby_entry_kind kind,
                         const struct cubby_key *key, uint64_t timeout_ns,
                         struct cubby_key_lock **ret_lock, struct cubby_error *error) {
    struct file_backend *file = file_of(backend);

    return file->read_only ? refuse_read_only(file, error)
                           : key_lock_take(&file->flights, kind, key, timeout_ns, ret_lock, error);
}

static void file_unlock_key(struct cubby_backend *backend, struct cubby_key_lock *lock) {
    (void)backend;
    key_lock_give(lock);
}

/* ---- Opening ----------------------------------------------------------------------------- */

static void file_close(struct cubby_backend *backend) {
    struct file_backend *file = file_of(backend);

    file_flush(backend, NULL);
    file_root_close(file);
    free(file->path);
    free(file);
}

static const struct cubby_backend_ops FILE_OPS = {
    .abi = CUBBY_BACKEND_ABI,
    .name = "file",
    .get = file_get,
    .peek = file_peek,
    .put = file_put,
    .remove = file_remove,
    .iterate = file_iterate,
    .stats = file_stats,
    .clear = file_clear,
    .trim = file_trim,
    .count = file_count,
    .zero = file_zero,
    .flush = file_flush,
    .close = file_close,
    .inspect = file_inspect,
    .lock_key = file_lock_key,
    .unlock_key = file_unlock_key,
};

int file_backend_open(const struct backend_params *params, struct cubby_backend **ret_backend,
                      struct cubby_error *error) {
    struct file_backend *file = calloc(1, sizeof(*file));
    int result;

    if (!file)
        return error_no_memory(error);
    file->backend.ops = &FILE_OPS;
    file->path = strdup(params->path);
    file->max_size = params->max_size;
    file->sample = FILE_SAMPLE;
    file->durable = params->durable;
    file->read_only = params->read_only;
    file->shared = params->shared;
    atomic_store(&file->owner, process_id());
    result = file->path ? file_root_open(file, error) : error_no_memory(error);
    if (result < 0) {
        free(file->path);
        free(file);
        return result;
    }
    file->flights = (struct key_locks){.file_mode = file_mode(file),
                                       .folder_mode = file_folder_mode(file),
                                       .base = file->root,
                                       .folder = "flights",
                                       .store = file->path};
    *ret_backend = &file->backend;
    return 0;
}
