/* SPDX-License-Identifier: Apache-2.0 */
#include "deps/shadow.h"

#include <stdlib.h>
#include <string.h>

#include <cubby/error.h>

#include "deps/search.h"
#include "util/names.h"

struct shadow {
    struct search search;
    struct names folders; /* of the texts that may include something beside them, each once */
    const char *path;     /* where something is now */
    size_t length;
};

static void add_folder(struct shadow *shadow, const char *path) {
    names_add(&shadow->folders, path, search_folder_length(path));
}

/* True if a place is the path, or a file below it. */
static bool is_there(const struct shadow *shadow, const char *place) {
    struct file_stamp stamp;

    return strncmp(place, shadow->path, shadow->length) == 0 &&
           (place[shadow->length] == '\0' || place[shadow->length] == '/') &&
           dep_look(place, &stamp) == DEP_PRESENT;
}

/* The first place for a name that is the path and comes before the header itself, as a new text;
 * NULL where there is none. from: as for search_place(). */
static char *place_before(const struct shadow *shadow, const char *from, const char *name,
                          const char *header) {
    bool end = false;

    for (size_t n = 0; !end; n++) {
        char *place = search_place(&shadow->search, from, name, strlen(name), n, &end);

        if (place && strcmp(place, header) != 0 && is_there(shadow, place))
            return place;
        end = end || !place || strcmp(place, header) == 0;
        free(place);
    }
    return NULL;
}

/* The same for whoever may have included the header under that name. */
static char *any_place_before(const struct shadow *shadow, const char *name, const char *header) {
    char *place = place_before(shadow, NULL, name, header);

    for (size_t i = 0; i < shadow->folders.count && !place; i++)
        place = place_before(shadow, shadow->folders.items[i], name, header);
    return place;
}

/* What a text that includes a header calls it, where it was found in that folder; NULL where it was
 * not. */
static const char *name_in(const char *folder, const char *header) {
    size_t length = strlen(folder);

    if (strncmp(header, folder, length) != 0)
        return NULL;
    if (length > 0 && folder[length - 1] == '/')
        return header + length;
    return length == 0 ? header : header[length] == '/' ? header + length + 1 : NULL;
}

static char *place_of_header(const struct shadow *shadow, const char *header) {
    char *place = NULL;

    for (size_t i = 0; i < shadow->search.count && !place; i++) {
        const char *name = name_in(shadow->search.folders[i], header);

        if (name)
            place = any_place_before(shadow, name, header);
    }
    return place;
}

int shadow_find(const struct cubby_program *program, const struct manifest *manifest,
                const struct manifest_set *set, const char *path, char **ret_file,
                const char **ret_header) {
    struct shadow shadow = {.folders = NAMES_INIT, .path = path, .length = strlen(path)};
    int result = search_open(program, &shadow.search);

    if (result < 0)
        return result;
    add_folder(&shadow, program->name);
    for (uint32_t i = 0; i < set->file_count; i++)
        add_folder(&shadow, manifest->paths[manifest->files[set->files[i]].path]);
    result = shadow.folders.failed ? CUBBY_ERR_NO_MEMORY : CUBBY_ERR_NOT_FOUND;
    for (uint32_t i = 0; i < set->file_count && result == CUBBY_ERR_NOT_FOUND; i++) {
        const char *header = manifest->paths[manifest->files[set->files[i]].path];
        char *file = place_of_header(&shadow, header);

        if (file) {
            *ret_file = file;
            *ret_header = header;
            result = 0;
        }
    }
    names_free(&shadow.folders);
    search_close(&shadow.search);
    return result;
}
