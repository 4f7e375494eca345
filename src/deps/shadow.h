/* SPDX-License-Identifier: Apache-2.0 */
/* Which header a file that appeared takes the place of. */
#ifndef CUBBY_DEPS_SHADOW_H
#define CUBBY_DEPS_SHADOW_H

#include "deps/manifest.h"
#include "key/program.h"

/*
 * Something is now at a path where a set of headers wants nothing: is a file there, or below it
 * where it is a folder, that is found before one of the set's headers? Returns 0 with the path of
 * that file (new) and of the header (borrowed from the manifest), NOT_FOUND, or NO_MEMORY.
 */
int shadow_find(const struct cubby_program *program, const struct manifest *manifest,
                const struct manifest_set *set, const char *path, char **ret_file,
                const char **ret_header);

#endif
