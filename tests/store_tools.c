/* SPDX-License-Identifier: Apache-2.0 */
#include "store_tools.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OBJECT CUBBY_ENTRY_OBJECT
#define ORDINARY_USER 65534

struct cubby_backend *store_open(store_opener *open, const char *path, uint64_t max_size) {
    struct backend_params params = {.path = path, .max_size = max_size};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_backend *backend = NULL;

    ck_ok(open(&params, &backend, &error), &error);
    return backend;
}

void store_refused(store_opener *open, const char *path, int code, const char *text,
                   const char *other_text) {
    struct backend_params params = {.path = path};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_backend *backend = NULL;

    ck_assert_int_eq(open(&params, &backend, &error), code);
    ck_assert_ptr_null(backend);
    ck_assert_int_eq(error.code, code);
    ck_assert_msg(strstr(error.message, text) && strstr(error.message, other_text), "%s",
                  error.message);
    cubby_error_clear(&error);
}

int store_put_code(struct cubby_backend *backend, unsigned number, unsigned seed, size_t size,
                   struct cubby_error *error) {
    struct cubby_blob *blob = blob_of(seed, size);
    struct cubby_key key = key_of(number);
    int result = backend->ops->put(backend, OBJECT, &key, blob, error);

    cubby_blob_unref(blob);
    return result;
}

void store_put(struct cubby_backend *backend, unsigned number, unsigned seed, size_t size) {
    struct cubby_error error = CUBBY_ERROR_INIT;

    ck_ok(store_put_code(backend, number, seed, size, &error), &error);
}

int store_get_code(struct cubby_backend *backend, unsigned number) {
    struct cubby_key key = key_of(number);
    struct cubby_blob *blob = NULL;
    int result = backend->ops->get(backend, OBJECT, &key, &blob, NULL);

    cubby_blob_unref(blob);
    return result;
}

void store_peek(struct cubby_backend *backend, unsigned number) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_key key = key_of(number);
    struct cubby_blob *blob = NULL;

    ck_ok(backend->ops->peek(backend, OBJECT, &key, &blob, &error), &error);
    cubby_blob_unref(blob);
}

void store_expect(struct cubby_backend *backend, unsigned number, unsigned seed, size_t size) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_key key = key_of(number);
    struct cubby_blob *blob = NULL;

    ck_ok(backend->ops->get(backend, OBJECT, &key, &blob, &error), &error);
    ck_assert_uint_eq(cubby_blob_size(blob), size);
    ck_assert(is_blob_of(cubby_blob_data(blob), size, seed));
    cubby_blob_unref(blob);
}

int store_remove_code(struct cubby_backend *backend, unsigned number) {
    struct cubby_key key = key_of(number);

    return backend->ops->remove(backend, OBJECT, &key, NULL);
}

struct cubby_store_stats store_stats(struct cubby_backend *backend) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_store_stats stats;

    ck_ok(backend->ops->stats(backend, &stats, &error), &error);
    return stats;
}

void store_close(struct cubby_backend *backend) {
    backend->ops->close(backend);
}

static int count_one(const struct cubby_entry_info *info, void *context) {
    (void)info;
    ++*(unsigned *)context;
    return 0;
}

unsigned store_walk(struct cubby_backend *backend) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    unsigned count = 0;

    ck_ok(backend->ops->iterate(backend, count_one, &count, &error), &error);
    return count;
}

/* ---- Processes --------------------------------------------------------------------------- */

pid_t start_child(void (*run)(void *context), void *context) {
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        run(context);
        _exit(0);
    }
    return child;
}

void end_child(pid_t child) {
    int status;

    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child ended with status %#x",
                  (unsigned)status);
}

void become_ordinary(const char *folder) {
    ck_assert_int_eq(chown(folder, ORDINARY_USER, ORDINARY_USER), 0);
    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_int_eq(chmod("..", 0711), 0); /* absolute paths are to work too */
    ck_assert_int_eq(setgroups(0, NULL), 0);
    ck_assert_int_eq(setgid(ORDINARY_USER), 0);
    ck_assert_int_eq(setuid(ORDINARY_USER), 0);
}

bool is_root(const char *test) {
    if (geteuid() == 0)
        return true;
    fprintf(stderr, "%s: skipped, needs to be root\n", test);
    return false;
}

/* ---- Small disks ------------------------------------------------------------------------- */

char *small_disk_new(unsigned kib) {
    char *folder = strdup(scratch_dir()), options[48];

    ck_assert_ptr_nonnull(folder);
    snprintf(options, sizeof(options), "mode=700,size=%uk", kib);
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", folder, "tmpfs", 0, options) < 0) {
        fprintf(stderr, "small disk: skipped, mounting is not permitted: %s\n", strerror(errno));
        free(folder);
        return NULL;
    }
    return folder;
}

void small_disk_free(char *folder) {
    ck_assert_int_eq(umount2(folder, MNT_DETACH), 0);
    free(folder);
}

void fill_disk(const char *path) {
    static const char zeros[4096];
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    while (write(fd, zeros, sizeof(zeros)) > 0)
        ;
    ck_assert_int_eq(errno, ENOSPC);
    close(fd);
}
