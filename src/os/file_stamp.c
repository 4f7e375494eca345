/* SPDX-License-Identifier: Apache-2.0 */
#include "os/file_stamp.h"

#include "os/time.h"

#define SETTLED_NS (2 * INT64_C(1000000000))

static int64_t nanoseconds(struct timespec time) {
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

void file_stamp_of(const struct stat *status, struct file_stamp *ret_stamp) {
    *ret_stamp = (struct file_stamp){
        .device = status->st_dev,
        .inode = status->st_ino,
        .size = (uint64_t)status->st_size,
        .mtime_ns = nanoseconds(status->st_mtim),
        .ctime_ns = nanoseconds(status->st_ctim),
    };
}

bool file_stamp_equal(const struct file_stamp *left, const struct file_stamp *right) {
    return left->device == right->device && left->inode == right->inode &&
           left->size == right->size && left->mtime_ns == right->mtime_ns &&
           left->ctime_ns == right->ctime_ns;
}

bool file_stamp_before(const struct file_stamp *stamp, int64_t time_ns) {
    return stamp->mtime_ns < time_ns && stamp->ctime_ns < time_ns;
}

int64_t file_stamp_settled_ns(void) {
    return file_clock_ns() - SETTLED_NS;
}
