/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where NVRTC looks for a file that a text includes: for "name" beside the including file first,
 * then, as for <name>, in the folders of -I in their order. Relative paths start from the current
 * folder at the time of the compile. In each folder a name without a suffix is tried as it is, then
 * with ".stdh" (the front end's suffix for headers of the standard library).
 * In-memory headers come before all of this and are none of its business.
 */
#ifndef CUBBY_DEPS_SEARCH_H
#define CUBBY_DEPS_SEARCH_H

#include <stdbool.h>
#include <stddef.h>

#include "key/program.h"

struct search {
    const char **folders; /* of -I, borrowed from the program */
    size_t count;
    bool beside; /* quoted names are looked for beside the including file */
};

/* Returns 0 or NO_MEMORY. */
int search_open(const struct cubby_program *program, struct search *ret_search);
void search_close(struct search *search);

/*
 * The n-th place for a name, as an owned path; NULL past the last (*ret_end is then true) and when
 * memory is short.
 * from: the path of the including text, whose folder comes first; NULL where <name> was asked for.
 */
char *search_place(const struct search *search, const char *from, const char *name, size_t length,
                   size_t n, bool *ret_end);

/* More places than any name has. */
size_t search_places(const struct search *search);

/* The length of a path's folder, its last slash included; 0 where the path has no slash. */
size_t search_folder_length(const char *path);

#endif
