/* SPDX-License-Identifier: Apache-2.0 */
/* What is around the entries of a file store: names, rights, temporaries, the shared total. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cubby/cubby.h>

#include "backends/file.h"
#include "backends/file_account.h"
#include "os/trust.h"
#include "util/error.h"

/* The shared total lags behind by design; what it may be wrong by before it is worth a word. */
#define TOTAL_SLACK (4u << 20)

struct inspection {
    struct file_backend *file;
    bool repair;
    cubby_finding_visitor visit;
    void *context;
    uint64_t bytes; /* of all entries */
};

static int report(const struct inspection *inspection, struct cubby_finding *finding,
                  const char *format, ...) __attribute__((format(printf, 3, 4)));
static int report(const struct inspection *inspection, struct cubby_finding *finding,
                  const char *format, ...) {
    char problem[CUBBY_MESSAGE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(problem, sizeof(problem), format, arguments);
    va_end(arguments);
    finding->problem = problem;
    return inspection->visit(finding, inspection->context);
}

/* Those, NFS makes of files that are removed while they are open; these, file systems keep. */
static bool is_of_the_system(const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strncmp(name, ".nfs", 4) == 0 ||
           strcmp(name, "lost+found") == 0;
}

static int report_foreign(const struct inspection *inspection, const char *folder,
                          const char *name) {
    struct cubby_finding finding = {0};

    return is_of_the_system(name)
               ? 0
               : report(inspection, &finding, "%s/%s%s%s is no part of the store: it is left alone",
                        inspection->file->path, folder, *folder ? "/" : "", name);
}

/* True if only those could write it who may write the store. */
static bool is_trusted(const struct file_backend *file, const struct stat *status) {
    if (!file->shared)
        return trust_check(file->path, status, NULL) == 0;
    return S_ISDIR(status->st_mode) ? trust_check_shared(file->path, status, NULL) == 0
                                    : !(status->st_mode & 0002);
}

/* ---- Entries ----------------------------------------------------------------------------- */

static int inspect_entry(struct inspection *inspection, DIR *folder, const char *name,
                         struct cubby_finding *finding) {
    const struct file_backend *file = inspection->file;
    char path[FILE_PATH_SIZE];
    struct stat status;

    if (fstatat(dirfd(folder), name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return 0; /* gone meanwhile */
    if (S_ISREG(status.st_mode) && is_trusted(file, &status)) {
        inspection->bytes += (uint64_t)status.st_size;
        return 0;
    }
    /* Whatever the checksum says: others could have written it. */
    file_entry_path(&finding->key, path);
    finding->has_key = finding->damage = true;
    finding->repaired =
        inspection->repair && file_entry_unlink(file->kinds[finding->kind], path) == 0;
    if (!S_ISREG(status.st_mode))
        return report(inspection, finding, "%s/%s/%s is not a regular file", file->path,
                      cubby_entry_kind_name(finding->kind), path);
    return report(inspection, finding,
                  "%s/%s/%s belongs to user %u and has mode %04o: others can write it", file->path,
                  cubby_entry_kind_name(finding->kind), path, (unsigned)status.st_uid,
                  (unsigned)(status.st_mode & 07777));
}

static int inspect_entries(struct inspection *inspection, enum cubby_entry_kind kind, DIR *folder,
                           const char *fan_out) {
    struct dirent *found;
    char place[32];
    int result = 0;

    snprintf(place, sizeof(place), "%s/%.2s", cubby_entry_kind_name(kind), fan_out);
    while (result == 0 && (found = readdir(folder))) {
        struct cubby_finding finding = {.kind = kind};

        if (file_entry_key(fan_out, found->d_name, &finding.key))
            result = inspect_entry(inspection, folder, found->d_name, &finding);
        else
            result = report_foreign(inspection, place, found->d_name);
    }
    return result;
}

/* ---- Folders ----------------------------------------------------------------------------- */

/* A folder of entries that others can write: they could have put anything there. */
static int inspect_rights(const struct inspection *inspection, enum cubby_entry_kind kind,
                          DIR *folder, const char *name) {
    struct cubby_finding finding = {.damage = true};
    struct stat status;

    if (fstat(dirfd(folder), &status) < 0 || is_trusted(inspection->file, &status))
        return 0;
    finding.repaired = inspection->repair && status.st_uid == geteuid() &&
                       fchmod(dirfd(folder), file_folder_mode(inspection->file)) == 0;
    return report(inspection, &finding,
                  "%s/%s/%s belongs to user %u and has mode %04o: others can write it",
                  inspection->file->path, cubby_entry_kind_name(kind), name,
                  (unsigned)status.st_uid, (unsigned)(status.st_mode & 07777));
}

static int inspect_fan_out(struct inspection *inspection, enum cubby_entry_kind kind,
                           const char *name) {
    int kinds = inspection->file->kinds[kind];
    DIR *folder = file_open_stream(kinds, name);
    struct cubby_finding finding = {.damage = true};
    int result, failure = errno;

    if (folder) {
        result = inspect_rights(inspection, kind, folder, name);
        if (result == 0)
            result = inspect_entries(inspection, kind, folder, name);
        closedir(folder);
        return result;
    }
    if (failure == ENOENT)
        return 0;
    if (failure == ENOMEM)
        return CUBBY_ERR_NO_MEMORY;
    if (failure != ENOTDIR && failure != ELOOP)
        return report(inspection, &finding, "cannot read the folder %s/%s/%s: %s",
                      inspection->file->path, cubby_entry_kind_name(kind), name, strerror(failure));
    finding.repaired = inspection->repair && unlinkat(kinds, name, 0) == 0;
    return report(inspection, &finding, "%s/%s/%s is not a folder", inspection->file->path,
                  cubby_entry_kind_name(kind), name);
}

static int inspect_kind(struct inspection *inspection, enum cubby_entry_kind kind) {
    int kinds = inspection->file->kinds[kind];
    DIR *stream = kinds < 0 ? NULL : file_open_stream(kinds, ".");
    struct dirent *found;
    int result = 0;

    while (stream && result == 0 && (found = readdir(stream))) {
        if (file_is_fan_out(found->d_name))
            result = inspect_fan_out(inspection, kind, found->d_name);
        else
            result = report_foreign(inspection, cubby_entry_kind_name(kind), found->d_name);
    }
    if (stream)
        closedir(stream);
    return result;
}

static bool is_known(const char *name) {
    static const char *const KNOWN[] = {"CACHEDIR.TAG", "counters", "flights", "tmp"};

    for (size_t i = 0; i < sizeof(KNOWN) / sizeof(*KNOWN); i++) {
        if (strcmp(name, KNOWN[i]) == 0)
            return true;
    }
    for (int kind = 0; kind < CUBBY_ENTRY_KINDS; kind++) {
        if (strcmp(name, cubby_entry_kind_name((enum cubby_entry_kind)kind)) == 0)
            return true;
    }
    return false;
}

static int inspect_root(struct inspection *inspection) {
    DIR *stream = file_open_stream(inspection->file->root, ".");
    struct dirent *found;
    int result = 0;

    while (stream && result == 0 && (found = readdir(stream))) {
        if (!is_known(found->d_name))
            result = report_foreign(inspection, "", found->d_name);
    }
    if (stream)
        closedir(stream);
    return result;
}

/* ---- What is shared ---------------------------------------------------------------------- */

static int inspect_temporaries(const struct inspection *inspection) {
    const struct file_backend *file = inspection->file;
    struct cubby_finding finding = {.repaired = inspection->repair};
    size_t stale = file->tmp < 0 ? 0 : file_sweep(file, inspection->repair);

    return stale == 0 ? 0
                      : report(inspection, &finding,
                               "%s/tmp has %zu temporary files that no one writes any more",
                               file->path, stale);
}

/* Walks the store and sets its total, which writes a damaged account anew. */
static bool set_total(const struct inspection *inspection) {
    const struct cubby_trim_limits none = {0};
    struct file_backend *file = inspection->file;
    struct account account;
    struct stat status;

    if (!inspection->repair)
        return false;
    if (fstatat(file->root, "counters", &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        !S_ISREG(status.st_mode))
        unlinkat(file->root, "counters", S_ISDIR(status.st_mode) ? AT_REMOVEDIR : 0);
    return file_evict(file, &none, NULL, NULL) == 0 && account_read(file->root, &account);
}

static int inspect_account(const struct inspection *inspection) {
    const struct file_backend *file = inspection->file;
    struct cubby_finding finding = {0};
    struct account account;
    uint64_t total, apart;

    if (!account_read(file->root, &account)) {
        finding.damage = true;
        finding.repaired = set_total(inspection);
        return report(inspection, &finding,
                      "%s/counters is damaged: the counters begin anew, the total is summed up",
                      file->path);
    }
    total = account.bytes + atomic_load(&file->pending_bytes);
    apart = total > inspection->bytes ? total - inspection->bytes : inspection->bytes - total;
    if (apart <= inspection->bytes / 10 + TOTAL_SLACK)
        return 0;
    finding.repaired = set_total(inspection);
    return report(inspection, &finding,
                  "%s/counters has a total of %llu bytes, and the entries have %llu", file->path,
                  (unsigned long long)total, (unsigned long long)inspection->bytes);
}

int file_inspect(struct cubby_backend *backend, bool repair, cubby_finding_visitor visit,
                 void *context, struct cubby_error *error) {
    struct file_backend *file = (struct file_backend *)backend;
    struct inspection inspection = {file, repair && !file->read_only, visit, context, 0};
    int result = inspect_root(&inspection);

    (void)error;
    for (int kind = 0; kind < CUBBY_ENTRY_KINDS && result == 0; kind++)
        result = inspect_kind(&inspection, (enum cubby_entry_kind)kind);
    if (result == 0)
        result = inspect_temporaries(&inspection);
    return result == 0 ? inspect_account(&inspection) : result;
}
