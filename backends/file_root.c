/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a file store: its folders are made, and it is trusted or refused. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cubby/cubby.h>

#include "backends/file.h"
#include "os/fd.h"
#include "os/trust.h"
#include "util/error.h"

/* As bford.info/cachedir asks for: the signature line, then anything. */
static const char CACHEDIR_TAG[] =
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This folder holds compiled GPU programs that Cubby can compile again.\n";

/* The root or a folder of it (name not NULL), by its descriptor. */
static int check_trust(const struct file_backend *file, int folder, const char *name,
                       struct cubby_error *error) {
    struct stat status;
    char *path = NULL;
    int result;

    if (fstat(folder, &status) < 0)
        return error_set_errno(error, errno, "cannot look at the store %s", file->path);
    if (name && asprintf(&path, "%s/%s", file->path, name) < 0)
        return error_no_memory(error);
    result =
        (file->shared ? trust_check_shared : trust_check)(path ? path : file->path, &status, error);
    free(path);
    return result;
}

/* Opens a folder below the root, made if it is missing. */
static int open_folder(const struct file_backend *file, const char *name) {
    return fd_open_folder(file->root, name, file->read_only ? 0 : file_folder_mode(file));
}

/* A missing tag is no failure. */
static void write_tag(const struct file_backend *file) {
    int fd = fd_open_mode(file->root, "CACHEDIR.TAG",
                          O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, file_mode(file));

    if (fd < 0)
        return;
    (void)!fd_write_full(fd, CACHEDIR_TAG, sizeof(CACHEDIR_TAG) - 1);
    close(fd);
}

static int open_folders(struct file_backend *file, struct cubby_error *error) {
    for (size_t kind = 0; kind < CUBBY_ENTRY_KINDS; kind++) {
        file->kinds[kind] = open_folder(file, cubby_entry_kind_name((enum cubby_entry_kind)kind));
        if (file->kinds[kind] < 0 && !(file->read_only && errno == ENOENT))
            return error_set_errno(error, errno, "cannot use %s/%s as part of a store", file->path,
                                   cubby_entry_kind_name((enum cubby_entry_kind)kind));
        if (file->kinds[kind] >= 0) {
            int result = check_trust(file, file->kinds[kind],
                                     cubby_entry_kind_name((enum cubby_entry_kind)kind), error);

            if (result < 0)
                return result;
        }
    }
    if (file->read_only)
        return 0;
    file->tmp = open_folder(file, "tmp");
    if (file->tmp < 0)
        return error_set_errno(error, errno, "cannot use %s/tmp as part of a store", file->path);
    write_tag(file);
    return 0;
}

int file_root_open(struct file_backend *file, struct cubby_error *error) {
    int result;

    file->root = file->tmp = -1;
    for (size_t kind = 0; kind < CUBBY_ENTRY_KINDS; kind++)
        file->kinds[kind] = -1;
    /* Which group is to share it is not ours to guess: such a root was made before. */
    if (!file->read_only && !file->shared && make_folders(file->path) < 0)
        return error_set_errno(error, errno, "cannot make the folder of the store %s", file->path);
    file->root = open(file->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->root < 0 && errno == ENOENT && file->shared)
        return error_set(
            error, CUBBY_ERR_INVALID,
            "%s is not there, and with shared=group the store's folder must be: make it "
            "with `install -d -m 2770 -g GROUP %s`",
            file->path, file->path);
    if (file->root < 0)
        return error_set_errno(error, errno, "cannot open the store %s", file->path);
    result = check_trust(file, file->root, NULL, error);
    if (result == 0)
        result = open_folders(file, error);
    if (result < 0)
        file_root_close(file);
    return result;
}

void file_root_close(struct file_backend *file) {
    for (size_t kind = 0; kind < CUBBY_ENTRY_KINDS; kind++) {
        if (file->kinds[kind] >= 0)
            close(file->kinds[kind]);
    }
    if (file->tmp >= 0)
        close(file->tmp);
    if (file->root >= 0)
        close(file->root);
}
