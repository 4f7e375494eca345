/* SPDX-License-Identifier: Apache-2.0 */
/* Who else could have written a store? What is in it is code that runs with the user's rights. */
#ifndef CUBBY_OS_TRUST_H
#define CUBBY_OS_TRUST_H

#include <sys/stat.h>

struct cubby_error;

/*
 * Refuses what belongs to another user than this process or root, or may be written by group or
 * others. A sticky folder such as /tmp is refused as well: others may put files of their own there,
 * and SQLite believes a log or journal that bears the database's name.
 * Returns 0, or INVALID naming the path and what to do.
 */
int trust_check(const char *path, const struct stat *status, struct cubby_error *error);

/*
 * As trust_check(), for a folder that a group shares on purpose (shared=group): it must hand its
 * group down (set-group-id), that group's members may write in it and no one else, and this process
 * is one of them. Who owns it does not matter. Returns 0, INVALID or NO_MEMORY.
 */
int trust_check_shared(const char *path, const struct stat *status, struct cubby_error *error);

/* Makes a folder and those above it that are missing, each for its owner alone (0700).
 * Returns 0, or -1 with errno. */
int make_folders(const char *path);

#endif
