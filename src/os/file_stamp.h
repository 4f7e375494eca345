/* SPDX-License-Identifier: Apache-2.0 */
/* A regular file as it was when it was looked at, so that a later look can tell whether it is still
 * that file without reading it. */
#ifndef CUBBY_OS_FILE_STAMP_H
#define CUBBY_OS_FILE_STAMP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct file_stamp {
    uint64_t device;
    uint64_t inode;
    uint64_t size;
    int64_t mtime_ns; /* since the epoch, as are all below */
    int64_t ctime_ns;
};

/* The stamp of a file's status. */
void file_stamp_of(const struct stat *status, struct file_stamp *ret_stamp);

bool file_stamp_equal(const struct file_stamp *left, const struct file_stamp *right);

/* True if neither content nor name changed at that time or later. */
bool file_stamp_before(const struct file_stamp *stamp, int64_t time_ns);

/* The latest time whose changes stamps seen now can be trusted to tell apart: a file changed after
 * it may change once more and look the same (coarse clocks, coarse file systems). */
int64_t file_stamp_settled_ns(void);

#endif
