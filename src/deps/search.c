/* SPDX-License-Identifier: Apache-2.0 */
#include "deps/search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cubby/error.h>

int search_open(const struct cubby_program *program, struct search *ret_search) {
    struct search search = {calloc(program->options.count + 1, sizeof(char *)), 0,
                            !program->not_beside};

    if (!search.folders)
        return CUBBY_ERR_NO_MEMORY;
    for (size_t i = 0; i < program->options.count; i++) {
        if (program->options.items[i].effect == OPTION_INCLUDE_DIR)
            search.folders[search.count++] = option_value(&program->options.items[i]);
    }
    *ret_search = search;
    return 0;
}

void search_close(struct search *search) {
    free(search->folders);
    *search = (struct search){0};
}

size_t search_places(const struct search *search) {
    return 2 * (search->count + 1) + 1;
}

size_t search_folder_length(const char *path) {
    const char *slash = strrchr(path, '/');

    return slash ? (size_t)(slash - path) + 1 : 0;
}

#define STANDARD_SUFFIX ".stdh"

/* True if the last part of a name has no suffix. */
static bool lacks_suffix(const char *name, size_t length) {
    const char *slash = memrchr(name, '/', length);
    const char *base = slash ? slash + 1 : name;

    return !memchr(base, '.', (size_t)(name + length - base));
}

/* A name in a folder of so many bytes ("" is the current one); NULL when memory is short. */
static char *join(const char *folder, size_t folder_length, const char *name, size_t length,
                  const char *suffix) {
    bool slash = folder_length > 0 && folder[folder_length - 1] != '/';
    char *path;

    if (asprintf(&path, "%.*s%s%.*s%s", (int)folder_length, folder, slash ? "/" : "", (int)length,
                 name, suffix) < 0)
        return NULL;
    return path;
}

char *search_place(const struct search *search, const char *from, const char *name, size_t length,
                   size_t n, bool *ret_end) {
    size_t tries = lacks_suffix(name, length) ? 2 : 1, folder = n / tries;
    const char *suffix = n % tries ? STANDARD_SUFFIX : "";

    *ret_end = false;
    if (length > 0 && *name == '/') {
        *ret_end = folder > 0;
        return *ret_end ? NULL : join("", 0, name, length, suffix);
    }
    if (from && search->beside) {
        if (folder == 0)
            return join(from, search_folder_length(from), name, length, suffix);
        folder--;
    }
    *ret_end = folder >= search->count;
    return *ret_end ? NULL
                    : join(search->folders[folder], strlen(search->folders[folder]), name, length,
                           suffix);
}
