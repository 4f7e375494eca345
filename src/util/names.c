/* SPDX-License-Identifier: Apache-2.0 */
#include "util/names.h"

#include <stdlib.h>
#include <string.h>

static bool holds(const struct names *names, const char *name, size_t length) {
    for (size_t i = 0; i < names->count; i++) {
        if (strncmp(names->items[i], name, length) == 0 && names->items[i][length] == '\0')
            return true;
    }
    return false;
}

void names_add(struct names *names, const char *name, size_t length) {
    char **grown;

    if (names->failed || holds(names, name, length))
        return;
    grown = realloc(names->items, (names->count + 1) * sizeof(*grown));
    if (grown) {
        names->items = grown;
        grown[names->count] = strndup(name, length);
    }
    if (grown && grown[names->count])
        names->count++;
    else
        names->failed = true;
}

bool names_has(const struct names *names, const char *name) {
    return holds(names, name, strlen(name));
}

void names_free(struct names *names) {
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct names)NAMES_INIT;
}
