/* SPDX-License-Identifier: Apache-2.0 */
/* Names of entries, and walking through all of them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cubby/cubby.h>

#include "backends/file.h"
#include "util/error.h"

void file_entry_path(const struct cubby_key *key, char ret_path[FILE_PATH_SIZE]) {
    char hex[CUBBY_KEY_HEX_SIZE];

    cubby_key_format(key, hex);
    memcpy(ret_path, hex, 2);
    ret_path[2] = '/';
    memcpy(ret_path + 3, hex + 2, FILE_NAME_LENGTH + 1);
}

static bool is_hex(const char *text, size_t length) {
    return strlen(text) == length && strspn(text, "0123456789abcdef") == length;
}

bool file_is_fan_out(const char *name) {
    return is_hex(name, 2);
}

bool file_entry_key(const char *fan_out, const char *name, struct cubby_key *ret_key) {
    char hex[CUBBY_KEY_HEX_SIZE];

    if (!is_hex(fan_out, 2) || !is_hex(name, FILE_NAME_LENGTH))
        return false;
    snprintf(hex, sizeof(hex), "%.2s%.62s", fan_out, name);
    return cubby_key_parse(hex, ret_key, NULL) == 0;
}

DIR *file_open_stream(int folder, const char *name) {
    int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);

    if (fd >= 0 && !stream)
        close(fd);
    return stream;
}

static int visit_folder(DIR *stream, const char *prefix, enum cubby_entry_kind kind,
                        file_visitor visit, void *context) {
    struct dirent *found;
    int result = 0;

    while (result == 0 && (found = readdir(stream))) {
        struct file_entry entry = {.kind = kind};

        if (!file_entry_key(prefix, found->d_name, &entry.key) ||
            fstatat(dirfd(stream), found->d_name, &entry.status, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(entry.status.st_mode))
            continue; /* gone meanwhile, or not ours */
        result = visit(dirfd(stream), found->d_name, &entry, context);
    }
    return result;
}

/* A folder that went meanwhile, or may not be read, is passed over. With one for which this process
 * lacks memory or descriptors the walk would show less than there is. */
static int pass_over(const struct file_backend *file, struct cubby_error *error) {
    if (errno != ENOMEM && errno != EMFILE && errno != ENFILE)
        return 0;
    return error_set_errno(error, errno, "cannot read all of the store %s", file->path);
}

static int visit_kind(const struct file_backend *file, enum cubby_entry_kind kind,
                      file_visitor visit, void *context, struct cubby_error *error) {
    int folder = file->kinds[kind];
    DIR *stream = file_open_stream(folder, ".");
    struct dirent *found;
    int result = 0;

    if (!stream)
        return pass_over(file, error);
    while (result == 0 && (found = readdir(stream))) {
        DIR *below;

        if (!file_is_fan_out(found->d_name))
            continue;
        below = file_open_stream(folder, found->d_name);
        if (!below) {
            result = pass_over(file, error);
            continue;
        }
        result = visit_folder(below, found->d_name, kind, visit, context);
        closedir(below);
    }
    closedir(stream);
    return result;
}

int file_walk_part(const struct file_backend *file, unsigned part, file_visitor visit,
                   void *context, struct cubby_error *error) {
    char name[3];
    int result = 0;

    snprintf(name, sizeof(name), "%02x", part % FILE_PARTS);
    for (int kind = 0; kind < CUBBY_ENTRY_KINDS && result == 0; kind++) {
        DIR *below;

        if (file->kinds[kind] < 0)
            continue;
        below = file_open_stream(file->kinds[kind], name);
        if (!below) {
            result = pass_over(file, error);
            continue;
        }
        result = visit_folder(below, name, (enum cubby_entry_kind)kind, visit, context);
        closedir(below);
    }
    return result;
}

int file_walk(const struct file_backend *file, file_visitor visit, void *context,
              struct cubby_error *error) {
    int result = 0;

    for (int kind = 0; kind < CUBBY_ENTRY_KINDS && result == 0; kind++) {
        if (file->kinds[kind] >= 0)
            result = visit_kind(file, (enum cubby_entry_kind)kind, visit, context, error);
    }
    return result;
}
