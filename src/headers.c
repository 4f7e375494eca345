/* SPDX-License-Identifier: Apache-2.0 */
#include "headers.h"

#include "cache/cache.h"
#include "deps/manifest.h"
#include "entry/entry.h"
#include "key/program.h"
#include "util/error.h"

static int store(struct cubby_cache *cache, const struct cubby_key *base,
                 const struct manifest *manifest, struct cubby_error *error) {
    struct buffer payload = BUFFER_INIT;
    struct cubby_blob *blob;
    int result = manifest_encode(manifest, &payload);

    if (result < 0)
        result = error_no_memory(error);
    else
        result = entry_encode(CUBBY_ENTRY_MANIFEST, base, payload.data, payload.size, NULL, 0,
                              &blob, error);
    buffer_free(&payload);
    if (result < 0)
        return result;
    result = cache_store(cache, CUBBY_ENTRY_MANIFEST, base, blob, error);
    cubby_blob_unref(blob);
    return result;
}

/* ---- Finding ---------------------------------------------------------------------------- */

struct search_for_set {
    struct cubby_cache *cache;
    const struct cubby_key *base;
    bool strict;
    headers_visit visit;
    void *context;
    struct cubby_key *ret_key;
};

static void show(const struct search_for_set *search, const struct manifest *manifest,
                 const struct manifest_set *set) {
    for (uint32_t i = 0; search->visit && i < set->file_count; i++) {
        const struct manifest_file *file = &manifest->files[set->files[i]];

        search->visit(manifest->paths[file->path], DEP_FILE, &file->digest, search->context);
    }
    for (uint32_t i = 0; search->visit && i < set->other_count; i++)
        search->visit(manifest->paths[set->others[i] / DEP_KINDS],
                      (enum dep_kind)(set->others[i] % DEP_KINDS), NULL, search->context);
}

/* A tier may know fewer sets than the next, so each is asked until one has a set that holds. */
static bool has_set(struct cubby_object *object, void *context) {
    struct search_for_set *search = context;
    const struct manifest_set *set;
    struct manifest manifest;
    bool refreshed, found;

    if (manifest_decode(cubby_object_data(object), cubby_object_size(object), &manifest) < 0)
        return false;
    found = manifest_match(&manifest, search->strict, &set, &refreshed) == 0;
    if (found) {
        *search->ret_key = set->key;
        show(search, &manifest, set);
        if (refreshed) /* that spares reading those files the next time; no loss if it fails */
            store(search->cache, search->base, &manifest, NULL);
    }
    manifest_free(&manifest);
    return found;
}

int headers_find(struct cubby_cache *cache, const struct cubby_program *program,
                 const struct cubby_key *base, headers_visit visit, void *context,
                 struct cubby_key *ret_key) {
    struct search_for_set search = {cache, base, program->stamps_source, visit, context, ret_key};

    return cache_lookup_accepted(cache, CUBBY_ENTRY_MANIFEST, base, has_set, &search);
}

/* ---- Recording ---------------------------------------------------------------------------- */

int headers_record(struct cubby_cache *cache, const struct cubby_key *base, const struct deps *deps,
                   const struct cubby_key *key, struct cubby_error *error) {
    struct manifest manifest = MANIFEST_INIT;
    struct cubby_object *object = NULL;
    const char *tier;
    int result;

    /* One that cannot be read is replaced. */
    if (cache_lookup(cache, CUBBY_ENTRY_MANIFEST, base, &object, &tier) == 0 &&
        manifest_decode(cubby_object_data(object), cubby_object_size(object), &manifest) < 0)
        manifest = (struct manifest)MANIFEST_INIT;
    result = manifest_add(&manifest, deps, key);
    if (result < 0)
        result = error_no_memory(error);
    else
        result = store(cache, base, &manifest, error);
    manifest_free(&manifest);
    cubby_object_unref(object);
    return result;
}
