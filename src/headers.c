/* SPDX-License-Identifier: Apache-2.0 */
#include "headers.h"

#include <stdlib.h>
#include <string.h>

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

/* ---- All tiers together ------------------------------------------------------------------ */

/* What the tiers know, and the objects that lend the texts. */
struct knowledge {
    struct manifest *manifest;
    bool strict;
    struct cubby_object **lenders;
    size_t lender_count;
};

/* Never content, so that every tier is asked. What cannot be read is left out, and so replaced. */
static bool add_tier(struct cubby_object *object, void *context) {
    struct knowledge *knowledge = context;
    struct manifest manifest;

    if (manifest_decode(cubby_object_data(object), cubby_object_size(object), &manifest) < 0)
        return false;
    manifest_merge(knowledge->manifest, &manifest,
                   knowledge->strict); /* a lost set costs a compile */
    knowledge->lenders[knowledge->lender_count++] = cubby_object_ref(object);
    manifest_free(&manifest);
    return false;
}

/* Writes a manifest to all tiers with the sets of each behind its own: another process may have
 * added some to a lower tier that an upper one does not know. */
static int store_all(struct cubby_cache *cache, const struct cubby_key *base,
                     struct manifest *manifest, bool strict, struct cubby_error *error) {
    struct knowledge knowledge = {
        .manifest = manifest,
        .strict = strict,
        .lenders = calloc(cubby_cache_tier_count(cache) + 1, sizeof(struct cubby_object *))};
    int result;

    if (!knowledge.lenders)
        return error_no_memory(error);
    cache_lookup_accepted(cache, CUBBY_ENTRY_MANIFEST, base, add_tier, &knowledge);
    result = store(cache, base, manifest, error);
    for (size_t i = 0; i < knowledge.lender_count; i++)
        cubby_object_unref(knowledge.lenders[i]);
    free(knowledge.lenders);
    return result;
}

/* ---- Finding ----------------------------------------------------------------------------- */

struct search_for_set {
    bool strict;
    struct cubby_object *object; /* of the manifest that has the set */
    struct manifest manifest;
    const struct manifest_set *set;
    bool refreshed;
};

static void show(const struct manifest *manifest, const struct manifest_set *set,
                 headers_visit visit, void *context) {
    for (uint32_t i = 0; i < set->file_count; i++) {
        const struct manifest_file *file = &manifest->files[set->files[i]];

        visit(manifest->paths[file->path], DEP_FILE, &file->digest, context);
    }
    for (uint32_t i = 0; i < set->other_count; i++)
        visit(manifest->paths[set->others[i] / DEP_KINDS],
              (enum dep_kind)(set->others[i] % DEP_KINDS), NULL, context);
}

/* A tier may know fewer sets than the next, so each is asked until one has a set that holds. */
static bool has_set(struct cubby_object *object, void *context) {
    struct search_for_set *search = context;

    if (manifest_decode(cubby_object_data(object), cubby_object_size(object), &search->manifest) <
        0)
        return false;
    if (manifest_match(&search->manifest, search->strict, &search->set, &search->refreshed) < 0) {
        manifest_free(&search->manifest);
        return false;
    }
    search->object = cubby_object_ref(object);
    return true;
}

int headers_find(struct cubby_cache *cache, const struct cubby_program *program,
                 const struct cubby_key *base, headers_visit visit, void *context,
                 struct cubby_key *ret_key) {
    struct search_for_set search = {.strict = program->stamps_source};
    int result = cache_lookup_accepted(cache, CUBBY_ENTRY_MANIFEST, base, has_set, &search);

    if (result < 0)
        return result;
    *ret_key = search.set->key;
    if (visit)
        show(&search.manifest, search.set, visit, context);
    if (search.refreshed) /* that spares reading those files the next time; no loss if it fails */
        store_all(cache, base, &search.manifest, search.strict, NULL);
    manifest_free(&search.manifest);
    cubby_object_unref(search.object);
    return 0;
}

/* ---- Recording --------------------------------------------------------------------------- */

int headers_record(struct cubby_cache *cache, const struct cubby_program *program,
                   const struct cubby_key *base, const struct deps *deps,
                   const struct cubby_key *key, struct cubby_error *error) {
    struct manifest manifest = MANIFEST_INIT;
    int result = manifest_add(&manifest, deps, program->stamps_source, key);

    if (result < 0)
        result = error_no_memory(error);
    else
        result = store_all(cache, base, &manifest, program->stamps_source, error);
    manifest_free(&manifest);
    return result;
}

/* ---- Passing on -------------------------------------------------------------------------- */

struct knowing {
    const struct cubby_key *key;
    size_t count; /* tiers that know the set of that key */
};

/* Never content, so that every tier is asked. */
static bool count_knowing(struct cubby_object *object, void *context) {
    struct knowing *knowing = context;
    struct manifest manifest;
    bool knows = false;

    if (manifest_decode(cubby_object_data(object), cubby_object_size(object), &manifest) < 0)
        return false;
    for (uint32_t i = 0; i < manifest.set_count; i++)
        knows = knows || memcmp(&manifest.sets[i].key, knowing->key, sizeof(*knowing->key)) == 0;
    knowing->count += knows;
    manifest_free(&manifest);
    return false;
}

void headers_fill(struct cubby_cache *cache, const struct cubby_program *program,
                  const struct cubby_key *base, const struct cubby_key *key) {
    struct knowing knowing = {.key = key};
    struct manifest manifest = MANIFEST_INIT;

    cache_lookup_accepted(cache, CUBBY_ENTRY_MANIFEST, base, count_knowing, &knowing);
    if (knowing.count > 0 && knowing.count < cubby_cache_tier_count(cache))
        store_all(cache, base, &manifest, program->stamps_source, NULL);
    manifest_free(&manifest);
}
