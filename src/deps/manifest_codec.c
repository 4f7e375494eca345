/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "deps/manifest.h"

#define FORMAT_VERSION 1
#define FLAG_SETTLED 1u
#define FILE_SIZE (4 + 4 + 32 + 5 * 8)

/* ---- Writing ----------------------------------------------------------------------------- */

static void put_u32(struct buffer *buffer, uint32_t value) {
    value = htole32(value);
    buffer_add(buffer, &value, sizeof(value));
}

static void put_u64(struct buffer *buffer, uint64_t value) {
    value = htole64(value);
    buffer_add(buffer, &value, sizeof(value));
}

/* New numbers for what is still in use: 1 and up in the old order, 0 for what is not. */
struct renumbering {
    uint32_t *paths;
    uint32_t *files;
    uint32_t path_count;
    uint32_t file_count;
};

static void mark_used(const struct manifest *manifest, struct renumbering *numbers) {
    for (uint32_t s = 0; s < manifest->set_count; s++) {
        const struct manifest_set *set = &manifest->sets[s];

        for (uint32_t i = 0; i < set->file_count; i++) {
            numbers->files[set->files[i]] = 1;
            numbers->paths[manifest->files[set->files[i]].path] = 1;
        }
        for (uint32_t i = 0; i < set->other_count; i++)
            numbers->paths[set->others[i] / DEP_KINDS] = 1;
    }
}

static uint32_t number(uint32_t *used, uint32_t count) {
    uint32_t next = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (used[i])
            used[i] = ++next;
    }
    return next;
}

static bool renumber(const struct manifest *manifest, struct renumbering *numbers) {
    numbers->paths = calloc((size_t)manifest->path_count + 1, sizeof(uint32_t));
    numbers->files = calloc((size_t)manifest->file_count + 1, sizeof(uint32_t));
    if (!numbers->paths || !numbers->files)
        return false;
    mark_used(manifest, numbers);
    numbers->path_count = number(numbers->paths, manifest->path_count);
    numbers->file_count = number(numbers->files, manifest->file_count);
    return true;
}

static void put_file(struct buffer *buffer, const struct manifest_file *file, uint32_t path) {
    put_u32(buffer, path);
    put_u32(buffer, file->settled ? FLAG_SETTLED : 0);
    buffer_add(buffer, file->digest.bytes, sizeof(file->digest.bytes));
    put_u64(buffer, file->stamp.device);
    put_u64(buffer, file->stamp.inode);
    put_u64(buffer, file->stamp.size);
    put_u64(buffer, (uint64_t)file->stamp.mtime_ns);
    put_u64(buffer, (uint64_t)file->stamp.ctime_ns);
}

static void put_set(struct buffer *buffer, const struct manifest_set *set,
                    const struct renumbering *numbers) {
    buffer_add(buffer, set->key.bytes, sizeof(set->key.bytes));
    put_u32(buffer, set->file_count);
    put_u32(buffer, set->other_count);
    for (uint32_t i = 0; i < set->file_count; i++)
        put_u32(buffer, numbers->files[set->files[i]] - 1);
    for (uint32_t i = 0; i < set->other_count; i++)
        put_u32(buffer, (numbers->paths[set->others[i] / DEP_KINDS] - 1) * DEP_KINDS +
                            set->others[i] % DEP_KINDS);
}

int manifest_encode(const struct manifest *manifest, struct buffer *payload) {
    struct renumbering numbers = {0};
    struct buffer texts = BUFFER_INIT;

    if (!renumber(manifest, &numbers))
        payload->failed = true;
    for (uint32_t i = 0; !payload->failed && i < manifest->path_count; i++) {
        if (numbers.paths[i])
            buffer_add(&texts, manifest->paths[i], strlen(manifest->paths[i]) + 1);
    }
    put_u32(payload, FORMAT_VERSION);
    put_u32(payload, numbers.path_count);
    put_u32(payload, numbers.file_count);
    put_u32(payload, manifest->set_count);
    put_u32(payload, (uint32_t)texts.size);
    buffer_add(payload, texts.data, texts.size);
    for (uint32_t i = 0; !payload->failed && i < manifest->file_count; i++) {
        const struct manifest_file *file = &manifest->files[i];

        if (numbers.files[i])
            put_file(payload, file, numbers.paths[file->path] - 1);
    }
    for (uint32_t i = 0; !payload->failed && i < manifest->set_count; i++)
        put_set(payload, &manifest->sets[i], &numbers);
    payload->failed = payload->failed || texts.failed;
    buffer_free(&texts);
    free(numbers.paths);
    free(numbers.files);
    return payload->failed ? CUBBY_ERR_NO_MEMORY : 0;
}

/* ---- Reading ----------------------------------------------------------------------------- */

struct reader {
    const unsigned char *at;
    size_t left;
    bool failed; /* the bytes say something that cannot be */
};

static const unsigned char *take(struct reader *reader, size_t size) {
    const unsigned char *at = reader->at;

    if (reader->failed || size > reader->left) {
        reader->failed = true;
        return NULL;
    }
    reader->at += size;
    reader->left -= size;
    return at;
}

static uint32_t take_u32(struct reader *reader) {
    const unsigned char *bytes = take(reader, 4);
    uint32_t value = 0;

    if (bytes)
        memcpy(&value, bytes, sizeof(value));
    return le32toh(value);
}

static uint64_t take_u64(struct reader *reader) {
    const unsigned char *bytes = take(reader, 8);
    uint64_t value = 0;

    if (bytes)
        memcpy(&value, bytes, sizeof(value));
    return le64toh(value);
}

/* A number of things of at least that size each, no more than there can be. */
static uint32_t take_count(struct reader *reader, size_t each) {
    uint32_t count = take_u32(reader);

    if (count > reader->left / each)
        reader->failed = true;
    return reader->failed ? 0 : count;
}

static uint32_t take_index(struct reader *reader, uint64_t bound) {
    uint32_t index = take_u32(reader);

    if (index >= bound)
        reader->failed = true;
    return reader->failed ? 0 : index;
}

static void take_key(struct reader *reader, struct cubby_key *ret_key) {
    const unsigned char *bytes = take(reader, sizeof(ret_key->bytes));

    if (bytes)
        memcpy(ret_key->bytes, bytes, sizeof(ret_key->bytes));
}

static void take_paths(struct reader *reader, struct manifest *manifest, size_t size) {
    const char *text = (const char *)take(reader, size);
    const char *end = text ? text + size : NULL;

    if (!text)
        return;
    for (uint32_t i = 0; i < manifest->path_count; i++) {
        const char *nul = text < end ? memchr(text, '\0', (size_t)(end - text)) : NULL;

        if (!nul || nul == text) {
            reader->failed = true;
            return;
        }
        manifest->paths[i] = text;
        text = nul + 1;
    }
    if (text != end)
        reader->failed = true;
}

static void take_file(struct reader *reader, struct manifest *manifest,
                      struct manifest_file *file) {
    file->path = take_index(reader, manifest->path_count);
    file->settled = take_u32(reader) & FLAG_SETTLED;
    take_key(reader, &file->digest);
    file->stamp.device = take_u64(reader);
    file->stamp.inode = take_u64(reader);
    file->stamp.size = take_u64(reader);
    file->stamp.mtime_ns = (int64_t)take_u64(reader);
    file->stamp.ctime_ns = (int64_t)take_u64(reader);
}

/* Returns false when memory is short. */
static bool take_set(struct reader *reader, const struct manifest *manifest,
                     struct manifest_set *set) {
    take_key(reader, &set->key);
    set->file_count = take_count(reader, 4);
    set->other_count = take_count(reader, 4);
    set->files = calloc((size_t)set->file_count + 1, sizeof(uint32_t));
    set->others = calloc((size_t)set->other_count + 1, sizeof(uint32_t));
    if (!set->files || !set->others)
        return false;
    for (uint32_t i = 0; i < set->file_count; i++)
        set->files[i] = take_index(reader, manifest->file_count);
    for (uint32_t i = 0; i < set->other_count; i++)
        set->others[i] = take_index(reader, (uint64_t)manifest->path_count * DEP_KINDS);
    return true;
}

int manifest_decode(const void *data, size_t size, struct manifest *ret_manifest) {
    struct reader reader = {data, size, false};
    struct manifest manifest = MANIFEST_INIT;
    uint32_t sets, text_size;
    bool fits = true;

    if (take_u32(&reader) != FORMAT_VERSION)
        reader.failed = true;
    manifest.path_count = take_count(&reader, 1);
    manifest.file_count = take_count(&reader, FILE_SIZE);
    sets = take_count(&reader, sizeof(struct cubby_key) + 8);
    text_size = take_u32(&reader);
    if (reader.failed || sets > MANIFEST_MAX_SETS)
        return CUBBY_ERR_CORRUPT;
    manifest.paths = calloc((size_t)manifest.path_count + 1, sizeof(*manifest.paths));
    manifest.files = calloc((size_t)manifest.file_count + 1, sizeof(*manifest.files));
    fits = manifest.paths && manifest.files;
    if (fits)
        take_paths(&reader, &manifest, text_size);
    for (uint32_t i = 0; fits && i < manifest.file_count; i++)
        take_file(&reader, &manifest, &manifest.files[i]);
    while (fits && !reader.failed && manifest.set_count < sets)
        fits = take_set(&reader, &manifest, &manifest.sets[manifest.set_count++]);
    if (!fits || reader.failed || reader.left > 0) {
        manifest_free(&manifest);
        return fits ? CUBBY_ERR_CORRUPT : CUBBY_ERR_NO_MEMORY;
    }
    *ret_manifest = manifest;
    return 0;
}
