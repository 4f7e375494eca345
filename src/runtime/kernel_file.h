/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a runtime cache: code that will run, so that not any file is read; and replaced as a
 * whole, so that no one ever sees a half. */
#ifndef CUBBY_RUNTIME_KERNEL_FILE_H
#define CUBBY_RUNTIME_KERNEL_FILE_H

#include <cubby/cubby.h>

/* Reads it. Returns 0 with a new blob; NOT_FOUND; INVALID for a symbolic link, what is no regular
 * file, and a file that others could have written; IO; NO_MEMORY. */
int kernel_file_read(const char *path, struct cubby_blob **ret_blob, struct cubby_error *error);

/* Replaces it, or makes it (0600). The caller holds its lock. Returns 0, IO or NO_MEMORY, and the
 * file is as it was. */
int kernel_file_replace(const char *path, const struct cubby_blob *blob, struct cubby_error *error);

/* Removes temporary files that were left behind when others died. The caller holds the lock, so
 * that none of them is in use. */
void kernel_file_sweep(const char *path);

#endif
