/* SPDX-License-Identifier: Apache-2.0 */
/* Shared libraries bound at run time: symbols into a table, all of them or none. */
#ifndef CUBBY_OS_DL_H
#define CUBBY_OS_DL_H

#include <stdbool.h>
#include <stddef.h>

struct cubby_error;

/* One symbol and where its address goes. */
struct dl_symbol {
    const char *name;
    void **address;
};

/* The path of the first loaded library whose file name begins with prefix, as new text; NULL where
 * there is none. */
char *dl_loaded_path(const char *prefix);

/* The file that a handle was loaded from, as new text; NULL where it cannot be told. */
char *dl_handle_path(void *handle);

/* Resolves a table that ends with a NULL name. On failure nothing of the table is set and
 * *ret_missing (may be NULL) names the first symbol that is missing. */
bool dl_resolve(void *handle, const struct dl_symbol *symbols, const char **ret_missing);

#endif
