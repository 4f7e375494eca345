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

char *search_join(const char *folder, size_t folder_length, const char *name, size_t length) {
    bool slash = folder_length > 0 && folder[folder_length - 1] != '/';
    char *path = malloc(folder_length + length + 2);

    if (path)
        sprintf(path, "%.*s%s%.*s", (int)folder_length, folder, slash ? "/" : "", (int)length,
                name);
    return path;
}

size_t search_folder_length(const char *path) {
    const char *slash = strrchr(path, '/');

    return slash ? (size_t)(slash - path) + 1 : 0;
}

char *search_place(const struct search *search, const char *from, const char *name, size_t length,
                   size_t n, bool *ret_end) {
    *ret_end = false;
    if (length > 0 && *name == '/') {
        *ret_end = n > 0;
        return n > 0 ? NULL : search_join("", 0, name, length);
    }
    if (from && search->beside) {
        if (n == 0)
            return search_join(from, search_folder_length(from), name, length);
        n--;
    }
    *ret_end = n >= search->count;
    return *ret_end ? NULL
                    : search_join(search->folders[n], strlen(search->folders[n]), name, length);
}
