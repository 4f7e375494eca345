/* SPDX-License-Identifier: Apache-2.0 */
/* Removes what was used least recently. */
#include <stdlib.h>

#include "cache/state.h"
#include "util/error.h"

/* ---- For stores that cannot by themselves ------------------------------------------------ */

struct census {
    struct cubby_entry_info *infos;
    size_t count, capacity;
    uint64_t bytes;
};

static int add_info(const struct cubby_entry_info *info, void *context) {
    struct census *census = context;

    if (census->count == census->capacity) {
        size_t capacity = census->capacity ? 2 * census->capacity : 256;
        struct cubby_entry_info *grown = realloc(census->infos, capacity * sizeof(*grown));

        if (!grown)
            return CUBBY_ERR_NO_MEMORY;
        census->infos = grown;
        census->capacity = capacity;
    }
    census->infos[census->count++] = *info;
    census->bytes += info->size;
    return 0;
}

static int compare_use(const void *left, const void *right) {
    int64_t a = ((const struct cubby_entry_info *)left)->used_at;
    int64_t b = ((const struct cubby_entry_info *)right)->used_at;

    return (a > b) - (a < b);
}

static int remove_oldest(struct cubby_backend *tier, const struct census *census,
                         const struct cubby_trim_limits *limits, struct cubby_trimmed *trimmed,
                         struct cubby_error *error) {
    uint64_t left = census->bytes;

    for (size_t i = 0; i < census->count; i++) {
        const struct cubby_entry_info *info = &census->infos[i];
        bool too_old = limits->used_before && info->used_at < limits->used_before;
        bool too_much = limits->max_size && left > limits->max_size;
        struct cubby_error problem = CUBBY_ERROR_INIT;
        int result;

        if (!too_old && !too_much)
            return 0;
        result = tier->ops->remove(tier, info->kind, &info->key, &problem);
        left -= info->size;
        if (result == 0) {
            trimmed->entries++;
            trimmed->bytes += info->size;
        } else if (result != CUBBY_ERR_NOT_FOUND) {
            error_move(error, &problem);
            return result;
        }
        cubby_error_clear(&problem);
    }
    return 0;
}

static int trim_by_hand(struct cubby_backend *tier, const struct cubby_trim_limits *limits,
                        struct cubby_trimmed *trimmed, struct cubby_error *error) {
    struct census census = {0};
    int result = tier->ops->iterate(tier, add_info, &census, error);

    if (result == CUBBY_ERR_NO_MEMORY)
        error_no_memory(error);
    if (result == 0 && census.count > 0) {
        qsort(census.infos, census.count, sizeof(*census.infos), compare_use);
        result = remove_oldest(tier, &census, limits, trimmed, error);
    }
    free(census.infos);
    return result;
}

/* ---- All tiers --------------------------------------------------------------------------- */

int cubby_cache_trim(struct cubby_cache *cache, const struct cubby_trim_limits *limits,
                     struct cubby_trimmed *ret_trimmed, struct cubby_error *error) {
    struct cubby_error first = CUBBY_ERROR_INIT;
    struct cubby_trimmed sum = {0};
    bool any = false;
    int result;

    if (!limits->max_size && !limits->used_before)
        return error_set(error, CUBBY_ERR_INVALID,
                         "nothing to trim by: expected a size or a time; cubby_cache_clear() "
                         "removes everything");
    for (size_t i = 0; i < cache->tier_count; i++) {
        struct cubby_backend *tier = cache->tiers[i];
        struct cubby_error one = CUBBY_ERROR_INIT;
        struct cubby_trimmed trimmed = {0};

        result = (tier->ops->trim ? tier->ops->trim : trim_by_hand)(tier, limits, &trimmed, &one);
        sum.entries += trimmed.entries;
        sum.bytes += trimmed.bytes;
        any = any || result == 0;
        if (result != CUBBY_ERR_UNSUPPORTED || (!any && i + 1 == cache->tier_count))
            error_move(&first, &one);
        cubby_error_clear(&one);
    }
    if (ret_trimmed)
        *ret_trimmed = sum;
    result = first.code;
    error_move(error, &first);
    return result;
}
