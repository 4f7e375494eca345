/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the set of a manifest that holds now, or what keeps the nearest from it. Each path is
 * looked at once, each file read at most once, however many sets there are. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "deps/header_text.h"
#include "deps/manifest.h"

/* What is at a path now, as far as it was looked at. */
struct sight {
    bool looked;
    bool exists;
    bool is_regular;
    bool was_read;
    struct file_stamp stamp;
    struct cubby_key digest; /* once read; of nothing where it could not be */
};

struct match {
    struct manifest *manifest;
    bool strict;
    struct sight *sights; /* one for each path */
    int64_t settled_ns;
    bool refreshed;
};

static struct sight *look(struct match *match, uint32_t path) {
    struct sight *sight = &match->sights[path];
    struct stat status;

    if (sight->looked)
        return sight;
    sight->looked = true;
    sight->exists = stat(match->manifest->paths[path], &status) == 0;
    sight->is_regular = sight->exists && S_ISREG(status.st_mode);
    if (sight->is_regular)
        file_stamp_of(&status, &sight->stamp);
    return sight;
}

static const struct cubby_key *content(struct match *match, uint32_t path) {
    struct sight *sight = &match->sights[path];
    struct header_texts texts = {0};

    if (!sight->was_read && header_texts_add_file(&texts, match->manifest->paths[path]) == 0) {
        sight->digest = texts.items[0].digest;
        sight->stamp = texts.items[0].stamp; /* that from just before it was read */
    }
    sight->was_read = true;
    header_texts_free(&texts);
    return &sight->digest;
}

static bool stamp_suits(const struct match *match, const struct sight *sight,
                        const struct manifest_file *file) {
    return sight->stamp.size == file->stamp.size &&
           (!match->strict || sight->stamp.mtime_ns == file->stamp.mtime_ns);
}

/* A file whose stamps changed and whose content did not is remembered with its new stamps. */
static bool file_holds(struct match *match, struct manifest_file *file) {
    struct sight *sight = look(match, file->path);

    if (!sight->is_regular || !stamp_suits(match, sight, file))
        return false;
    if (file->settled && file_stamp_equal(&sight->stamp, &file->stamp))
        return true;
    if (memcmp(content(match, file->path), &file->digest, sizeof(file->digest)) != 0)
        return false;
    if (!stamp_suits(match, sight, file)) /* reading it gave it its stamp anew */
        return false;
    file->settled = file_stamp_before(&sight->stamp, match->settled_ns);
    file->stamp = sight->stamp;
    match->refreshed = match->refreshed || file->settled;
    return true;
}

static bool other_holds(struct match *match, uint32_t path, enum dep_kind kind) {
    const struct sight *sight = look(match, path);
    bool readable;

    if (kind == DEP_MISSING)
        return !sight->exists;
    readable = sight->is_regular && access(match->manifest->paths[path], R_OK) == 0;
    return readable == (kind == DEP_PRESENT);
}

/* ---- One set ----------------------------------------------------------------------------- */

/* A path of a set, as it is stored: what has to hold there. */
struct wish {
    uint32_t path;
    enum dep_kind kind;
    struct manifest_file *file; /* of a DEP_FILE */
};

static struct wish wish_of(const struct match *match, const struct manifest_set *set,
                           uint32_t index) {
    uint32_t other;

    if (index < set->file_count) {
        struct manifest_file *file = &match->manifest->files[set->files[index]];

        return (struct wish){file->path, DEP_FILE, file};
    }
    other = set->others[index - set->file_count];
    return (struct wish){other / DEP_KINDS, (enum dep_kind)(other % DEP_KINDS), NULL};
}

static bool wish_holds(struct match *match, const struct wish *wish) {
    return wish->file ? file_holds(match, wish->file) : other_holds(match, wish->path, wish->kind);
}

static bool set_holds(struct match *match, const struct manifest_set *set) {
    for (uint32_t i = 0; i < set->file_count + set->other_count; i++) {
        struct wish wish = wish_of(match, set, i);

        if (!wish_holds(match, &wish))
            return false;
    }
    return true;
}

static struct match match_begin(struct manifest *manifest, bool strict) {
    return (struct match){
        .manifest = manifest,
        .strict = strict,
        .sights = calloc((size_t)manifest->path_count + 1, sizeof(struct sight)),
        .settled_ns = file_stamp_settled_ns(),
    };
}

int manifest_match(struct manifest *manifest, bool strict, const struct manifest_set **ret_set,
                   bool *ret_refreshed) {
    struct match match = match_begin(manifest, strict);
    int result = CUBBY_ERR_NOT_FOUND;

    for (uint32_t i = 0; match.sights && i < manifest->set_count && result != 0; i++) {
        if (set_holds(&match, &manifest->sets[i])) {
            *ret_set = &manifest->sets[i];
            result = 0;
        }
    }
    free(match.sights);
    *ret_refreshed = match.refreshed && result == 0;
    return result;
}

/* ---- What keeps a set from holding ------------------------------------------------------- */

static void show(struct match *match, const struct manifest_set *set, const struct wish *wish,
                 manifest_break_visit visit, void *context) {
    const char *path = match->manifest->paths[wish->path];
    const struct sight *sight = look(match, wish->path);
    struct manifest_break found = {
        .set = set, .path = path, .kind = wish->kind, .then = wish->file, .exists = sight->exists};

    found.is_readable = sight->is_regular && access(path, R_OK) == 0;
    if (found.is_readable) {
        found.digest = *content(match, wish->path);
        found.stamp = sight->stamp;
    }
    visit(&found, context);
}

/* The number of paths of a set that are not as it wants them; visit may be NULL. */
static size_t breaks(struct match *match, const struct manifest_set *set,
                     manifest_break_visit visit, void *context) {
    size_t count = 0;

    for (uint32_t i = 0; i < set->file_count + set->other_count; i++) {
        struct wish wish = wish_of(match, set, i);

        if (wish_holds(match, &wish))
            continue;
        count++;
        if (visit)
            show(match, set, &wish, visit, context);
    }
    return count;
}

int manifest_nearest(struct manifest *manifest, bool strict, const struct manifest_set **ret_set,
                     size_t *ret_breaks) {
    struct match match = match_begin(manifest, strict);
    int result = match.sights ? CUBBY_ERR_NOT_FOUND : CUBBY_ERR_NO_MEMORY;

    for (uint32_t i = 0; match.sights && i < manifest->set_count; i++) {
        size_t count = breaks(&match, &manifest->sets[i], NULL, NULL);

        if (result < 0 || count < *ret_breaks) {
            *ret_set = &manifest->sets[i];
            *ret_breaks = count;
            result = 0;
        }
    }
    free(match.sights);
    return result;
}

int manifest_show(struct manifest *manifest, bool strict, const struct manifest_set *set,
                  manifest_break_visit visit, void *context) {
    struct match match = match_begin(manifest, strict);

    if (!match.sights)
        return CUBBY_ERR_NO_MEMORY;
    breaks(&match, set, visit, context);
    free(match.sights);
    return 0;
}
