/* SPDX-License-Identifier: Apache-2.0 */
/* Shared libraries bound at run time: symbols into a table, all of them or none. */
#ifndef CUBBY_OS_DL_H
#define CUBBY_OS_DL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct cubby_error;

/* One symbol and where its address goes. */
struct dl_symbol {
    const char *name;
    void **address;
};

/* The path of the first loaded library whose file name begins with prefix. False where there is
 * none. */
bool dl_loaded_path(const char *prefix, char ret_path[PATH_MAX]);

/* The file that a handle was loaded from, resolved. False where it cannot be told. */
bool dl_handle_path(void *handle, char ret_path[PATH_MAX]);

/* dlopen(), with all symbols bound and none of them for others. Returns 0, CUBBY_ERR_NO_MEMORY, or
 * CUBBY_ERR_NOT_FOUND for every other reason, which dlerror() then tells. */
int dl_open(const char *name, void **ret_handle);

/* Resolves a table that ends with a NULL name. On failure nothing of the table is set and
 * *ret_missing (may be NULL) names the first symbol that is missing. */
bool dl_resolve(void *handle, const struct dl_symbol *symbols, const char **ret_missing);

#endif
