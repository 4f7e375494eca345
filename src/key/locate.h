/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a CUDA library lies. In this order, the first that exists wins:
 *
 *     1. a library of that name already in the process
 *     2. the path that the user gave (CUBBY_NVRTC and the like)
 *     3. the library folders of CUDA_HOME, then of CUDA_PATH
 *     4. what the dynamic linker finds: LD_LIBRARY_PATH, its cache, its default folders
 *     5. /usr/local/cuda, then /usr/local/cuda-*, newest first
 *     6. nvidia/.../lib of pip's wheels: the virtual environment's, the user's, the system's
 *     7. the folder that Cubby was configured with (--with-cuda)
 */
#ifndef CUBBY_KEY_LOCATE_H
#define CUBBY_KEY_LOCATE_H

#include <limits.h>
#include <stdbool.h>

#include <cubby/error.h>

#include "util/buffer.h"

/* One library and the names that it goes by. */
struct library {
    const char *label;          /* for messages, such as "NVRTC" */
    const char *prefix;         /* begins its file name, such as "libnvrtc.so" */
    const char *variable;       /* environment variable that names the file */
    const char *const *sonames; /* newest first, NULL at the end */
};

extern const struct library LIBRARY_NVRTC;
extern const struct library LIBRARY_NVJITLINK;
extern const struct library LIBRARY_NVVM;
extern const struct library LIBRARY_DRIVER;

/* Where a library was found. */
struct location {
    char path[PATH_MAX]; /* "": only the dynamic linker can tell, ask it for each soname */
};

/*
 * Finds a library by looking at the file system only (nothing is loaded), but for step 4, where
 * only the dynamic linker can tell: then *ret_location has no path.
 *
 * skip_linker: go on with step 5, after the dynamic linker found nothing.
 * tried: receives the places that were looked at, one a line, for the message; may be NULL.
 * Returns 0, CUBBY_ERR_NOT_FOUND, CUBBY_ERR_NO_TOOLCHAIN where the user named a file that cannot be
 * used, or CUBBY_ERR_NO_MEMORY: a place that could not be looked at is not passed over.
 */
int locate_library(const struct library *library, bool skip_linker, struct location *ret_location,
                   struct buffer *tried, struct cubby_error *error);

/* The include folder that belongs to a toolkit's library, resolved. False where there is none. */
bool locate_include_dir(const char *library_path, char ret_dir[PATH_MAX]);

#endif
