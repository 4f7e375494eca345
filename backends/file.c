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
#include <sys/random.h>
#include <unistd.h>

#include "backends/file_account.h"
#include "os/fd.h"
#include "os/process.h"
#include "os/time.h"
#include "util/counters.h"
#include "util/error.h"

#define TOUCH_SECONDS 60 /* recency is noted at most so often */
#define TRIES 3

static struct file_backend *file_of(struct cubby_backend *backend) {
    return (struct file_backend *)backend;
}

static int refuse_read_only(const struct file_backend *file, struct cubby_error *error) {
    return error_set(error, CUBBY_ERR_UNSUPPORTED, "the store %s is opened read-only", file->path);
}

static int fail(const struct file_backend *file, const char *what, struct cubby_error *error) {
    return error_set_errno(error, errno, "cannot %s the store %s", what, file->path);
}

/* ---- Reading ----------------------------------------------------------------------------- */

/* Notes the use for the evictor; a failure costs only precision. */
static void touch(const struct file_backend *file, int fd, const struct stat *status) {
    if (file->max_size > 0 && !file->read_only && status->st_mtime + TOUCH_SECONDS < wall_seconds())
        futimens(fd, NULL);
}

static int read_entry(const struct file_backend *file, int fd, struct cubby_blob **ret_blob,
                      struct cubby_error *error) {
    struct cubby_blob *blob;
    struct stat status;
    ssize_t size;

    if (fstat(fd, &status) < 0)
        return fail(file, "read from", error);
    if (!S_ISREG(status.st_mode))
        return error_set(error, CUBBY_ERR_CORRUPT, "an entry of the store %s is not a file",
                         file->path);
    blob = cubby_blob_new((size_t)status.st_size);
    if (!blob)
        return error_no_memory(error);
    size = fd_read_full(fd, cubby_blob_writable(blob), (size_t)status.st_size);
    if (size < 0) {
        cubby_blob_unref(blob);
        return fail(file, "read from", error);
    }
    cubby_blob_truncate(blob, (size_t)size);
    touch(file, fd, &status);
    *ret_blob = blob;
    return 0;
}

static int file_get(struct cubby_backend *backend, enum cubby_entry_kind kind,
                    const struct cubby_key *key, struct cubby_blob **ret_blob,
                    struct cubby_error *error) {
    struct file_backend *file = file_of(backend);
    char path[FILE_PATH_SIZE];
    int result, fd;

    if (file->kinds[kind] < 0)
        return CUBBY_ERR_NOT_FOUND;
    file_entry_path(key, path);
    fd = openat(file->kinds[kind], path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && (errno == ENOENT || errno == ESTALE))
        return CUBBY_ERR_NOT_FOUND;
    if (fd < 0 && errno == ELOOP)
        return error_set(error, CUBBY_ERR_CORRUPT,
                         "an entry of the store %s is a symbolic link, which is not followed",
                         file->path);
    if (fd < 0)
        return fail(file, "read from", error);
    result = read_entry(file, fd, ret_blob, error);
    close(fd);
    return result;
}

/* ---- Writing ----------------------------------------------------------------------------- */

static void random_name(char ret_name[33]) {
    unsigned char bytes[16];

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        uint64_t fallback[2] = {monotonic_ns(),
                                (uint64_t)process_id()}; /* O_EXCL settles the rest */

        memcpy(bytes, fallback, sizeof(bytes));
    }
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(ret_name + 2 * i, 3, "%02x", bytes[i]);
}

static int write_temporary(const struct file_backend *file, const struct cubby_blob *blob,
                           char ret_name[33]) {
    int fd, result;

    random_name(ret_name);
    fd = openat(file->tmp, ret_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -1;
    result = fd_write_full(fd, cubby_blob_data(blob), cubby_blob_size(blob));
    if (result == 0 && file->durable)
        result = fdatasync(fd);
    if (close(fd) < 0)
        result = -1;
    if (result < 0) {
        int saved = errno;

        unlinkat(file->tmp, ret_name, 0);
        errno = saved;
    }
    return result;
}

/* Gives the temporary its name; the fan-out folder is made at its first use. */
static int rename_into_place(const struct file_backend *file, int folder, const char *temporary,
                             const char *path) {
    char fan_out[3] = {path[0], path[1], '\0'};

    for (int i = 0; i < TRIES; i++) {
        if (renameat(file->tmp, temporary, folder, path) == 0)
            return 0;
        /* Nothing there: the folder was never made, or a cleaner removed it just now. */
        if (errno != ENOENT || (mkdirat(folder, fan_out, 0700) < 0 && errno != EEXIST))
            return -1;
    }
    return -1;
}

static void sync_folder(int folder, const char *path) {
    char fan_out[3] = {path[0], path[1], '\0'};
    int fd = openat(folder, fan_out, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

static int store_blob(struct file_backend *file, enum cubby_entry_kind kind,
                      const struct cubby_key *key, struct cubby_blob *blob) {
    char path[FILE_PATH_SIZE], temporary[33];
    int saved;

    file_entry_path(key, path);
    if (write_temporary(file, blob, temporary) < 0)
        return -1;
    if (rename_into_place(file, file->kinds[kind], temporary, path) == 0) {
        if (file->durable)
            sync_folder(file->kinds[kind], path);
        return 0;
    }
    saved = errno;
    unlinkat(file->tmp, temporary, 0);
    errno = saved;
    return -1;
}

static int file_put(struct cubby_backend *backend, enum cubby_entry_kind kind,
                    const struct cubby_key *key, struct cubby_blob *blob,
                    struct cubby_error *error) {
    struct file_backend *file = file_of(backend);
    size_t size = cubby_blob_size(blob);

    if (file->read_only)
        return refuse_read_only(file, error);
    if (file->max_size > 0 && size > file->max_size)
        return 0; /* it would push out everything else and still not fit */
    if (store_blob(file, kind, key, blob) < 0)
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
    if (unlinkat(file->kinds[kind], path, 0) == 0)
        return 0;
    if (errno == ENOENT || errno == ESTALE)
        return error_set(error, CUBBY_ERR_NOT_FOUND, "the store %s holds no such entry",
                         file->path);
    return fail(file, "remove from", error);
}

/* ---- All entries ---------------------------------------------------------------------------- */

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

    (void)error;
    return file_walk(file_of(backend), visit_one, &iteration);
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

    (void)error;
    *ret_stats = (struct cubby_store_stats){.max_size = file->max_size};
    account_read(file->root, &account);
    ret_stats->counters = account.counters;
    ret_stats->counters.evictions += atomic_load(&file->evictions);
    return file_walk(file, add_to_stats, ret_stats);
}

static int remove_one(int folder, const char *name, const struct file_entry *entry, void *context) {
    (void)entry;
    if (unlinkat(folder, name, 0) < 0 && errno != ENOENT)
        *(int *)context = errno;
    return 0;
}

static void forget_total(struct account *account, const void *context) {
    (void)context;
    account->bytes = 0;
}

static int file_clear(struct cubby_backend *backend, struct cubby_error *error) {
    struct file_backend *file = file_of(backend);
    int failed = 0;

    if (file->read_only)
        return refuse_read_only(file, error);
    file_sweep(file);
    file_walk(file, remove_one, &failed);
    account_change(file->root, forget_total, NULL, NULL);
    errno = failed;
    return failed ? fail(file, "clear", error) : 0;
}

static int file_trim(struct cubby_backend *backend, const struct cubby_trim_limits *limits,
                     struct cubby_error *error) {
    struct file_backend *file = file_of(backend);

    return file->read_only ? refuse_read_only(file, error) : file_evict(file, limits, NULL, error);
}

/* ---- Counters ----------------------------------------------------------------------------------
 */

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

    if (file->read_only || file->owner != process_id())
        return 0;
    pending.bytes = (uint64_t)atomic_exchange(&file->pending_bytes, 0);
    pending.counters.evictions = atomic_exchange(&file->evictions, 0);
    if (pending.bytes == 0 && pending.counters.evictions == 0)
        return 0;
    return account_change(file->root, add_pending, &pending, NULL) < 0
               ? fail(file, "count in", error)
               : 0;
}

/* ---- Opening ------------------------------------------------------------------------------------
 */

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
    file->durable = params->durable;
    file->read_only = params->read_only;
    file->owner = process_id();
    result = file->path ? file_root_open(file, error) : error_no_memory(error);
    if (result < 0) {
        free(file->path);
        free(file);
        return result;
    }
    *ret_backend = &file->backend;
    return 0;
}
