/* SPDX-License-Identifier: Apache-2.0 */
#include "os/dl.h"

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

struct search {
    const char *prefix;
    char *path;
};

static int visit_loaded(struct dl_phdr_info *info, size_t size, void *context) {
    struct search *search = context;
    const char *slash = strrchr(info->dlpi_name, '/');
    const char *base = slash ? slash + 1 : info->dlpi_name;

    (void)size;
    if (strncmp(base, search->prefix, strlen(search->prefix)) != 0)
        return 0;
    search->path = strdup(info->dlpi_name);
    return 1;
}

char *dl_loaded_path(const char *prefix) {
    struct search search = {prefix, NULL};

    dl_iterate_phdr(visit_loaded, &search);
    return search.path;
}

char *dl_handle_path(void *handle) {
    struct link_map *map = NULL;

    if (dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0 || !map || !map->l_name || !*map->l_name)
        return NULL;
    return realpath(map->l_name, NULL);
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
