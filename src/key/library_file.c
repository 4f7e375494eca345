/* SPDX-License-Identifier: Apache-2.0 */
#include "key/library_file.h"

#include <sys/stat.h>

#include "os/time.h"

#define SETTLED_SECONDS 2

static json_int_t nanoseconds(struct timespec time) {
    return (json_int_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static json_t *stamp_of(const char *path, const struct stat *status) {
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "path", path, "device",
                     (json_int_t)status->st_dev, "inode", (json_int_t)status->st_ino, "size",
                     (json_int_t)status->st_size, "mtime_ns", nanoseconds(status->st_mtim),
                     "ctime_ns", nanoseconds(status->st_ctim));
}

json_t *library_file_stamp(const char *path) {
    struct stat status;

    if (stat(path, &status) != 0 || status.st_ctim.tv_sec + SETTLED_SECONDS > wall_seconds())
        return NULL;
    return stamp_of(path, &status);
}

bool library_file_unchanged(const json_t *stamp) {
    const char *path = json_string_value(json_object_get(stamp, "path"));
    struct stat status;
    json_t *now;
    bool same;

    if (!path || stat(path, &status) != 0)
        return false;
    now = stamp_of(path, &status);
    same = now && json_equal(now, stamp);
    json_decref(now);
    return same;
}
