/* SPDX-License-Identifier: Apache-2.0 */
#include "nearest.h"

#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"
#include "key/fields.h"
#include "object.h"
#include "util/error.h"

/* ---- The objects used last --------------------------------------------------------------- */

struct candidate {
    struct cubby_key key;
    int64_t used_at;
};

struct candidates {
    struct candidate *list; /* room for twice as many as are wanted */
    size_t count;
};

static int compare_use(const void *left, const void *right) {
    const struct candidate *a = left, *b = right;

    return (a->used_at < b->used_at) - (a->used_at > b->used_at);
}

/* Leaves only those used last, the newest first. */
static void keep_newest(struct candidates *candidates) {
    if (candidates->count > 0)
        qsort(candidates->list, candidates->count, sizeof(*candidates->list), compare_use);
    if (candidates->count > NEAREST_MAX_LOOKS)
        candidates->count = NEAREST_MAX_LOOKS;
}

static int add_candidate(const char *tier, const struct cubby_entry_info *info, void *context) {
    struct candidates *candidates = context;

    (void)tier;
    if (info->kind != CUBBY_ENTRY_OBJECT)
        return 0;
    if (candidates->count == (size_t)2 * NEAREST_MAX_LOOKS)
        keep_newest(candidates);
    candidates->list[candidates->count++] = (struct candidate){info->key, info->used_at};
    return 0;
}

static int collect(struct cubby_cache *cache, struct candidates *ret_candidates,
                   struct cubby_error *error) {
    struct candidates candidates = {
        malloc((size_t)2 * NEAREST_MAX_LOOKS * sizeof(*candidates.list)), 0};
    int result;

    if (!candidates.list)
        return error_no_memory(error);
    result = cubby_cache_iterate(cache, add_candidate, &candidates, error);
    if (result < 0) {
        free(candidates.list);
        return result;
    }
    keep_newest(&candidates);
    *ret_candidates = candidates;
    return 0;
}

/* ---- The nearest of them ----------------------------------------------------------------- */

/* How well an object fits, the best being 0. */
enum rank { RANK_SAME_NAME, RANK_SAME_BASE, RANK_SAME_SOURCE, RANK_NONE };

struct rating {
    enum rank rank;
    size_t differences;
    int64_t created_at;
};

struct nearest {
    const char *name;
    const char *base;
    const char *source; /* digest, borrowed; NULL for none */
    const struct pairs *fields;
    struct rating rating;
    struct cubby_object *object; /* new; NULL for none yet */
    struct cubby_key key;
};

static const char *base_of(const char *name) {
    const char *slash = strrchr(name, '/');

    return slash ? slash + 1 : name;
}

static const char *source_digest_in(struct pairs fields) {
    const char *name, *value;

    while (pairs_next(&fields, &name, &value)) {
        if (strcmp(name, "source digest") == 0)
            return value;
    }
    return NULL;
}

static enum rank rank_of(const struct nearest *nearest, const char *name,
                         const struct pairs *fields) {
    const char *source;

    if (strcmp(name, nearest->name) == 0)
        return RANK_SAME_NAME;
    if (strcmp(base_of(name), nearest->base) == 0)
        return RANK_SAME_BASE;
    source = source_digest_in(*fields);
    if (source && nearest->source && strcmp(source, nearest->source) == 0)
        return RANK_SAME_SOURCE;
    return RANK_NONE;
}

static bool is_nearer(const struct rating *rating, const struct rating *than) {
    if (rating->rank != than->rank)
        return rating->rank < than->rank;
    if (rating->differences != than->differences)
        return rating->differences < than->differences;
    return rating->created_at > than->created_at;
}

/* Looks at an object, borrowed, which becomes the nearest if it is nearer. Returns 0 or NO_MEMORY.
 */
static int consider(struct nearest *nearest, struct cubby_object *object,
                    const struct cubby_key *key) {
    struct rating rating = {RANK_NONE, 0, 0};
    struct cubby_object_info info;
    struct pairs fields;
    int result;

    cubby_object_info(object, &info);
    if (object_fields(object, &fields))
        rating.rank = rank_of(nearest, info.source_name, &fields);
    if (rating.rank == RANK_NONE || rating.rank > nearest->rating.rank)
        return 0;
    rating.created_at = info.created_at;
    result = fields_compare(&fields, nearest->fields, NULL, NULL, &rating.differences);
    if (result < 0 || !is_nearer(&rating, &nearest->rating))
        return result;
    cubby_object_unref(nearest->object);
    nearest->object = cubby_object_ref(object);
    nearest->key = *key;
    nearest->rating = rating;
    return 0;
}

int nearest_find(struct cubby_cache *cache, const char *source_name, const struct pairs *fields,
                 struct cubby_object **ret_object, struct cubby_key *ret_key,
                 struct cubby_error *error) {
    struct nearest nearest = {.name = source_name,
                              .base = base_of(source_name),
                              .source = source_digest_in(*fields),
                              .fields = fields,
                              .rating = {RANK_NONE, 0, 0}};
    struct candidates candidates = {0};
    int result = collect(cache, &candidates, error);

    if (result < 0)
        return result;
    for (size_t i = 0; i < candidates.count && result == 0; i++) {
        struct cubby_object *object;
        const char *tier;

        /* One that is gone meanwhile, or damaged, is none. */
        if (cache_peek(cache, CUBBY_ENTRY_OBJECT, &candidates.list[i].key, OBJECT_DESCRIBE, &object,
                       &tier) < 0)
            continue;
        result = consider(&nearest, object, &candidates.list[i].key);
        cubby_object_unref(object);
    }
    free(candidates.list);
    if (result < 0)
        error_no_memory(error);
    else if (!nearest.object)
        result = CUBBY_ERR_NOT_FOUND;
    if (result < 0) {
        cubby_object_unref(nearest.object);
        return result;
    }
    *ret_object = nearest.object;
    *ret_key = nearest.key;
    return 0;
}
