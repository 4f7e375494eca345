/* SPDX-License-Identifier: Apache-2.0 */
#include "os/dl.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cubby/error.h>

struct search {
    const char *prefix;
    char *path; /* of PATH_MAX bytes */
};

static int visit_loaded(struct dl_phdr_info *info, size_t size, void *context) {
    struct search *search = context;
    const char *slash = strrchr(info->dlpi_name, '/');
    const char *base = slash ? slash + 1 : info->dlpi_name;

    (void)size;
    if (strncmp(base, search->prefix, strlen(search->prefix)) != 0)
        return 0;
    snprintf(search->path, PATH_MAX, "%s", info->dlpi_name);
    return 1;
}

bool dl_loaded_path(const char *prefix, char ret_path[PATH_MAX]) {
    struct search search = {prefix, ret_path};

    return dl_iterate_phdr(visit_loaded, &search) != 0;
}

bool dl_handle_path(void *handle, char ret_path[PATH_MAX]) {
    struct link_map *map = NULL;

    return dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && map && map->l_name && *map->l_name &&
           realpath(map->l_name, ret_path);
}

int dl_open(const char *name, void **ret_handle) {
    void *handle;

    errno = 0;
    handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return errno == ENOMEM ? CUBBY_ERR_NO_MEMORY : CUBBY_ERR_NOT_FOUND;
    *ret_handle = handle;
    return 0;
}

bool dl_resolve(void *handle, const struct dl_symbol *symbols, const char **ret_missing) {
    for (const struct dl_symbol *symbol = symbols; symbol->name; symbol++) {
        if (!dlsym(handle, symbol->name)) {
            if (ret_missing)
                *ret_missing = symbol->name;
            return false;
        }
    }
    for (const struct dl_symbol *symbol = symbols; symbol->name; symbol++)
        *symbol->address = dlsym(handle, symbol->name);
    return true;
}
