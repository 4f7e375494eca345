/* SPDX-License-Identifier: Apache-2.0 */
/* A library's file as it was when it was looked at, so that a later look can tell whether it is
 * still that file. */
#ifndef CUBBY_KEY_LIBRARY_FILE_H
#define CUBBY_KEY_LIBRARY_FILE_H

#include <jansson.h>
#include <stdbool.h>

/* {path, device, inode, size, mtime_ns, ctime_ns} as new JSON; NULL where it cannot be read, and
 * where it changed less than two seconds ago, when another change might leave the same stamps. */
json_t *library_file_stamp(const char *path);

/* True if the file of that stamp is unchanged. */
bool library_file_unchanged(const json_t *stamp);

#endif
