/* SPDX-License-Identifier: Apache-2.0 */
#include "deps/manifest.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "key/digest.h"

enum object_key_tag { TAG_PROGRAM = 1, TAG_PATH, TAG_CONTENT, TAG_STAMP };

void manifest_object_key(const struct cubby_key *program, const struct deps *deps, bool strict,
                         struct cubby_key *ret_key) {
    struct digest digest;

    digest_init(&digest, "cubby object v1");
    digest_field(&digest, TAG_PROGRAM, program->bytes, sizeof(program->bytes));
    for (size_t i = 0; i < deps->count; i++) {
        const struct dep *dep = &deps->items[i];
        uint64_t stamp[] = {htole64(dep->stamp.size), htole64((uint64_t)dep->stamp.mtime_ns)};

        if (dep->kind != DEP_FILE)
            continue;
        digest_field(&digest, TAG_PATH, dep->path, strlen(dep->path));
        digest_field(&digest, TAG_CONTENT, dep->digest.bytes, sizeof(dep->digest.bytes));
        if (strict)
            digest_field(&digest, TAG_STAMP, stamp, sizeof(stamp));
    }
    digest_result(&digest, ret_key);
}

/* ---- Adding a set ------------------------------------------------------------------- */

static void free_set(struct manifest_set *set) {
    free(set->files);
    free(set->others);
}

static void drop_set(struct manifest *manifest, uint32_t index) {
    free_set(&manifest->sets[index]);
    manifest->set_count--;
    memmove(&manifest->sets[index], &manifest->sets[index + 1],
            (manifest->set_count - index) * sizeof(*manifest->sets));
}

static int compare_paths(const void *left, const void *right) {
    return strcmp(**(const char **const *)left, **(const char **const *)right);
}

/* The paths known so far, sorted, for looking one up: pointers into the table. */
static const char ***sorted_paths(const struct manifest *manifest) {
    const char ***sorted = calloc((size_t)manifest->path_count + 1, sizeof(*sorted));

    for (uint32_t i = 0; sorted && i < manifest->path_count; i++)
        sorted[i] = &manifest->paths[i];
    if (sorted && manifest->path_count > 0)
        qsort(sorted, manifest->path_count, sizeof(*sorted), compare_paths);
    return sorted;
}

/* The index of a file of that path and content; its stamp becomes the one just seen. */
static uint32_t file_index(struct manifest *manifest, uint32_t path, const struct dep *dep) {
    struct manifest_file file = {
        .path = path,
        .settled = file_stamp_before(&dep->stamp, file_stamp_settled_ns()),
        .digest = dep->digest,
        .stamp = dep->stamp,
    };
    uint32_t i = 0;

    while (i < manifest->file_count &&
           (manifest->files[i].path != path ||
            memcmp(&manifest->files[i].digest, &dep->digest, sizeof(dep->digest)) != 0))
        i++;
    manifest->files[i] = file;
    if (i == manifest->file_count)
        manifest->file_count++;
    return i;
}

/* Makes room for as many more paths and files as there are dependencies. */
static bool grow(struct manifest *manifest, size_t more) {
    const char **paths = realloc(manifest->paths, (manifest->path_count + more) * sizeof(*paths));
    struct manifest_file *files;

    if (!paths)
        return false;
    manifest->paths = paths;
    files = realloc(manifest->files, (manifest->file_count + more) * sizeof(*files));
    if (!files)
        return false;
    manifest->files = files;
    return true;
}

/* Fills the set, which has room for all. known: the paths before any of these was added. */
static void fill_set(struct manifest *manifest, const struct deps *deps, const char ***known,
                     uint32_t known_count, struct manifest_set *set) {
    for (size_t i = 0; i < deps->count; i++) {
        const struct dep *dep = &deps->items[i];
        const char *path = dep->path;
        const char **wanted = &path;
        const char ***found = bsearch(&wanted, known, known_count, sizeof(*known), compare_paths);
        uint32_t index = found ? (uint32_t)(*found - manifest->paths) : manifest->path_count;

        if (!found)
            manifest->paths[manifest->path_count++] = path;
        if (dep->kind == DEP_FILE)
            set->files[set->file_count++] = file_index(manifest, index, dep);
        else
            set->others[set->other_count++] = index * DEP_KINDS + dep->kind;
    }
}

int manifest_add(struct manifest *manifest, const struct deps *deps, const struct cubby_key *key) {
    struct manifest_set set = {.key = *key,
                               .files = calloc(deps->count + 1, sizeof(uint32_t)),
                               .others = calloc(deps->count + 1, sizeof(uint32_t))};
    uint32_t known_count = manifest->path_count;
    const char ***known = NULL;

    if (set.files && set.others && grow(manifest, deps->count + 1))
        known = sorted_paths(manifest);
    if (!known) {
        free_set(&set);
        return CUBBY_ERR_NO_MEMORY;
    }
    fill_set(manifest, deps, known, known_count, &set);
    free(known);
    for (uint32_t i = manifest->set_count; i > 0; i--) {
        if (memcmp(&manifest->sets[i - 1].key, key, sizeof(*key)) == 0)
            drop_set(manifest, i - 1);
    }
    if (manifest->set_count == MANIFEST_MAX_SETS)
        drop_set(manifest, MANIFEST_MAX_SETS - 1);
    memmove(&manifest->sets[1], &manifest->sets[0], manifest->set_count * sizeof(*manifest->sets));
    manifest->sets[0] = set;
    manifest->set_count++;
    return 0;
}

void manifest_free(struct manifest *manifest) {
    for (uint32_t i = 0; i < manifest->set_count; i++)
        free_set(&manifest->sets[i]);
    free(manifest->paths);
    free(manifest->files);
    *manifest = (struct manifest)MANIFEST_INIT;
}
