/* SPDX-License-Identifier: Apache-2.0 */
/* The files of an engine: its description and its sources. */
#ifndef CUBBY_ENGINE_FILE_H
#define CUBBY_ENGINE_FILE_H

#include <stddef.h>

#include <cubby/error.h>

/*
 * Reads a whole regular file of at most max bytes.
 * *ret_data is NUL-terminated and released by free(). Returns 0; INVALID for what is no regular
 * file or too long; IO; NO_MEMORY.
 */
int engine_read_file(const char *path, size_t max, char **ret_data, size_t *ret_size,
                     struct cubby_error *error);

/* The folder of a file, released by free(); NULL when memory is short. */
char *engine_folder_of(const char *path);

/* A path as seen from a folder (NULL for the current one); released by free(); NULL when memory is
 * short. */
char *engine_path_from(const char *folder, const char *path);

#endif
