/* SPDX-License-Identifier: Apache-2.0 */
#include "key/library_file.h"

#include "os/file_stamp.h"

static json_t *stamp_json(const char *path, const struct stat *status) {
    struct file_stamp stamp;

    file_stamp_of(status, &stamp);
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "path", path, "device",
                     (json_int_t)stamp.device, "inode", (json_int_t)stamp.inode, "size",
                     (json_int_t)stamp.size, "mtime_ns", (json_int_t)stamp.mtime_ns, "ctime_ns",
                     (json_int_t)stamp.ctime_ns);
}

json_t *library_file_stamp(const char *path) {
    struct file_stamp stamp;
    struct stat status;

    if (stat(path, &status) != 0)
        return NULL;
    file_stamp_of(&status, &stamp);
    return file_stamp_before(&stamp, file_stamp_settled_ns()) ? stamp_json(path, &status) : NULL;
}

bool library_file_unchanged(const json_t *stamp) {
    const char *path = json_string_value(json_object_get(stamp, "path"));
    struct stat status;
    json_t *now;
    bool same;

    if (!path || stat(path, &status) != 0)
        return false;
    now = stamp_json(path, &status);
    same = now && json_equal(now, stamp);
    json_decref(now);
    return same;
}
