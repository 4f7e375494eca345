/* SPDX-License-Identifier: Apache-2.0 */
#include "deps/deps.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum dep_kind dep_look(const char *path, struct file_stamp *ret_stamp) {
    struct stat status;

    if (stat(path, &status) != 0)
        return DEP_MISSING;
    if (!S_ISREG(status.st_mode) || access(path, R_OK) != 0)
        return DEP_UNUSABLE;
    file_stamp_of(&status, ret_stamp);
    return DEP_PRESENT;
}

void deps_add(struct deps *deps, const struct dep *dep) {
    if (!deps->failed && deps->count == deps->capacity) {
        size_t capacity = deps->capacity ? 2 * deps->capacity : 64;
        struct dep *grown = realloc(deps->items, capacity * sizeof(*grown));

        deps->failed = !grown;
        if (grown) {
            deps->items = grown;
            deps->capacity = capacity;
        }
    }
    if (deps->failed || !dep->path) {
        deps->failed = true;
        free(dep->path);
        return;
    }
    deps->items[deps->count++] = *dep;
}

/* Nothing lies below a folder that is not there: the first missing part of the path says as much,
 * and stands for all that is missing below it. */
static void shorten(char *path) {
    struct stat status;

    for (char *slash = strchr(path + strspn(path, "/"), '/'); slash;
         slash = strchr(slash + 1, '/')) {
        bool missing;

        *slash = '\0';
        missing = stat(path, &status) != 0;
        if (missing)
            return;
        *slash = '/';
    }
}

static int compare(const void *left, const void *right) {
    const struct dep *a = left, *b = right;
    int order = strcmp(a->path, b->path);

    return order ? order : (int)a->kind - (int)b->kind;
}

/* A file of known content is also a readable file. */
static bool agree(const struct dep *kept, const struct dep *next) {
    if (kept->kind != DEP_FILE)
        return kept->kind == next->kind;
    return next->kind == DEP_PRESENT ||
           (next->kind == DEP_FILE && file_stamp_equal(&kept->stamp, &next->stamp));
}

bool deps_sort(struct deps *deps) {
    size_t kept = 0;
    bool agreed = true;

    for (size_t i = 0; i < deps->count; i++) {
        if (deps->items[i].kind == DEP_MISSING)
            shorten(deps->items[i].path);
    }
    if (deps->count > 0)
        qsort(deps->items, deps->count, sizeof(*deps->items), compare);
    for (size_t i = 0; i < deps->count; i++) {
        struct dep *item = &deps->items[i];

        if (kept > 0 && strcmp(deps->items[kept - 1].path, item->path) == 0) {
            agreed = agreed && agree(&deps->items[kept - 1], item);
            free(item->path);
        } else {
            deps->items[kept++] = *item;
        }
    }
    deps->count = kept;
    return agreed;
}

void deps_free(struct deps *deps) {
    for (size_t i = 0; i < deps->count; i++)
        free(deps->items[i].path);
    free(deps->items);
    *deps = (struct deps)DEPS_INIT;
}
