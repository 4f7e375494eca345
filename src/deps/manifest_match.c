/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the set of a manifest that holds now. Each path is looked at once, each file read at most
 * once, however many sets there are. */
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

static bool set_holds(struct match *match, const struct manifest_set *set) {
    for (uint32_t i = 0; i < set->file_count; i++) {
        if (!file_holds(match, &match->manifest->files[set->files[i]]))
            return false;
    }
    for (uint32_t i = 0; i < set->other_count; i++) {
        if (!other_holds(match, set->others[i] / DEP_KINDS,
                         (enum dep_kind)(set->others[i] % DEP_KINDS)))
            return false;
    }
    return true;
}

int manifest_match(struct manifest *manifest, bool strict, const struct manifest_set **ret_set,
                   bool *ret_refreshed) {
    struct match match = {
        .manifest = manifest,
        .strict = strict,
        .sights = calloc((size_t)manifest->path_count + 1, sizeof(struct sight)),
        .settled_ns = file_stamp_settled_ns(),
    };
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
