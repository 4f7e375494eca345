/* SPDX-License-Identifier: Apache-2.0 */
#include "deps/manifest.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "key/digest.h"

enum object_key_tag { TAG_PROGRAM = 1, TAG_PATH, TAG_CONTENT, TAG_STAMP, TAG_KIND };

void manifest_object_key(const struct cubby_key *program, const struct deps *deps, bool strict,
                         struct cubby_key *ret_key) {
    struct digest digest;

    digest_init(&digest, "cubby object v1");
    digest_field(&digest, TAG_PROGRAM, program->bytes, sizeof(program->bytes));
    for (size_t i = 0; i < deps->count; i++) {
        const struct dep *dep = &deps->items[i];
        uint64_t stamp[] = {htole64(dep->stamp.size), htole64((uint64_t)dep->stamp.mtime_ns)};
        unsigned char kind = (unsigned char)dep->kind;

        digest_field(&digest, TAG_PATH, dep->path, strlen(dep->path));
        digest_field(&digest, TAG_KIND, &kind, sizeof(kind)); /* __has_include tells them apart */
        if (dep->kind != DEP_FILE)
            continue;
        digest_field(&digest, TAG_CONTENT, dep->digest.bytes, sizeof(dep->digest.bytes));
        if (strict)
            digest_field(&digest, TAG_STAMP, stamp, sizeof(stamp));
    }
    digest_result(&digest, ret_key);
}

/* ---- Adding a set ------------------------------------------------------------------------ */

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

/* True if one entry can stand for both: where the time counts, it must be that of all who use it.
 */
static bool is_same_file(const struct manifest_file *left, const struct manifest_file *right,
                         bool strict) {
    return left->path == right->path &&
           memcmp(&left->digest, &right->digest, sizeof(left->digest)) == 0 &&
           (!strict || left->stamp.mtime_ns == right->stamp.mtime_ns);
}

/* The index of a file like this one; that of the first free entry where there is none. */
static uint32_t find_file(const struct manifest *manifest, const struct manifest_file *file,
                          bool strict) {
    uint32_t i = 0;

    while (i < manifest->file_count && !is_same_file(&manifest->files[i], file, strict))
        i++;
    return i;
}

/* The index of a file of that path and content; its stamp becomes the one just seen. */
static uint32_t file_index(struct manifest *manifest, const struct manifest_file *file,
                           bool strict) {
    uint32_t i = find_file(manifest, file, strict);

    manifest->files[i] = *file;
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

/* The paths of a manifest from before any was added to it. */
struct known_paths {
    const char ***sorted;
    uint32_t count;
};

/* The index of a path, which is added where it is not known. There is room for it. */
static uint32_t path_index(struct manifest *manifest, const struct known_paths *known,
                           const char *path) {
    const char **wanted = &path;
    const char ***found =
        bsearch(&wanted, known->sorted, known->count, sizeof(*known->sorted), compare_paths);

    if (found)
        return (uint32_t)(*found - manifest->paths);
    manifest->paths[manifest->path_count] = path;
    return manifest->path_count++;
}

/* Prepares for as many more paths and files. */
static bool prepare(struct manifest *manifest, size_t more, struct known_paths *ret_known) {
    if (!grow(manifest, more))
        return false;
    *ret_known = (struct known_paths){sorted_paths(manifest), manifest->path_count};
    return ret_known->sorted != NULL;
}

static bool new_set(const struct cubby_key *key, size_t files, size_t others,
                    struct manifest_set *ret_set) {
    *ret_set = (struct manifest_set){.key = *key,
                                     .files = calloc(files + 1, sizeof(uint32_t)),
                                     .others = calloc(others + 1, sizeof(uint32_t))};
    if (ret_set->files && ret_set->others)
        return true;
    free_set(ret_set);
    return false;
}

int manifest_add(struct manifest *manifest, const struct deps *deps, bool strict,
                 const struct cubby_key *key) {
    struct known_paths known;
    struct manifest_set set;

    if (!new_set(key, deps->count, deps->count, &set))
        return CUBBY_ERR_NO_MEMORY;
    if (!prepare(manifest, deps->count + 1, &known)) {
        free_set(&set);
        return CUBBY_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < deps->count; i++) {
        const struct dep *dep = &deps->items[i];
        struct manifest_file file = {
            .path = path_index(manifest, &known, dep->path),
            .settled = file_stamp_before(&dep->stamp, deps->settled_ns),
            .digest = dep->digest,
            .stamp = dep->stamp,
        };

        if (dep->kind == DEP_FILE)
            set.files[set.file_count++] = file_index(manifest, &file, strict);
        else
            set.others[set.other_count++] = file.path * DEP_KINDS + dep->kind;
    }
    free(known.sorted);
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

/* ---- Merging ----------------------------------------------------------------------------- */

static bool has_set(const struct manifest *manifest, const struct cubby_key *key) {
    for (uint32_t i = 0; i < manifest->set_count; i++) {
        if (memcmp(&manifest->sets[i].key, key, sizeof(*key)) == 0)
            return true;
    }
    return false;
}

/* Adds the other's paths and files, and says which index each has here. */
static bool merge_tables(struct manifest *manifest, const struct manifest *other, bool strict,
                         uint32_t *paths, uint32_t *files) {
    struct known_paths known;

    if (!prepare(manifest, (size_t)other->path_count + other->file_count + 1, &known))
        return false;
    for (uint32_t i = 0; i < other->path_count; i++)
        paths[i] = path_index(manifest, &known, other->paths[i]);
    free(known.sorted);
    for (uint32_t i = 0; i < other->file_count; i++) {
        struct manifest_file file = other->files[i];

        file.path = paths[file.path];
        files[i] = find_file(manifest, &file, strict);
        if (files[i] == manifest->file_count)
            manifest->files[manifest->file_count++] = file;
    }
    return true;
}

static bool append_set(struct manifest *manifest, const struct manifest_set *other,
                       const uint32_t *paths, const uint32_t *files) {
    struct manifest_set set;

    if (!new_set(&other->key, other->file_count, other->other_count, &set))
        return false;
    for (; set.file_count < other->file_count; set.file_count++)
        set.files[set.file_count] = files[other->files[set.file_count]];
    for (; set.other_count < other->other_count; set.other_count++) {
        uint32_t given = other->others[set.other_count];

        set.others[set.other_count] = paths[given / DEP_KINDS] * DEP_KINDS + given % DEP_KINDS;
    }
    manifest->sets[manifest->set_count++] = set;
    return true;
}

int manifest_merge(struct manifest *manifest, const struct manifest *other, bool strict) {
    uint32_t *paths = calloc((size_t)other->path_count + 1, sizeof(*paths));
    uint32_t *files = calloc((size_t)other->file_count + 1, sizeof(*files));
    bool fits = paths && files && merge_tables(manifest, other, strict, paths, files);

    for (uint32_t i = 0; fits && i < other->set_count; i++) {
        if (manifest->set_count < MANIFEST_MAX_SETS && !has_set(manifest, &other->sets[i].key))
            fits = append_set(manifest, &other->sets[i], paths, files);
    }
    free(paths);
    free(files);
    return fits ? 0 : CUBBY_ERR_NO_MEMORY;
}

void manifest_free(struct manifest *manifest) {
    for (uint32_t i = 0; i < manifest->set_count; i++)
        free_set(&manifest->sets[i]);
    free(manifest->paths);
    free(manifest->files);
    *manifest = (struct manifest)MANIFEST_INIT;
}
