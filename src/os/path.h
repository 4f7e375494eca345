/* SPDX-License-Identifier: Apache-2.0 */
/* Paths that mean the same file whatever becomes of the current folder. */
#ifndef CUBBY_OS_PATH_H
#define CUBBY_OS_PATH_H

/* The path from the root, new; a relative one is taken from what is the current folder now. NULL
 * with errno. */
char *path_absolute(const char *path);

#endif
