/* SPDX-License-Identifier: Apache-2.0 */
/* Why a program is not in the cache: how it differs from what is. */
#include <stdio.h>
#include <string.h>

#include "cache/cache.h"
#include "headers.h"
#include "key/fields.h"
#include "key/key.h"
#include "key/program.h"
#include "nearest.h"
#include "object.h"
#include "tooling.h"
#include "util/error.h"

const char *cubby_comparison_name(enum cubby_comparison_kind kind) {
    static const char *const NAMES[] = {"hit", "miss", "uncacheable"};

    return (size_t)kind < sizeof(NAMES) / sizeof(*NAMES) ? NAMES[kind] : NULL;
}

struct comparing {
    struct cubby_cache *cache;
    struct cubby_program *program;
    const struct toolchain *toolchain;
    struct cubby_key base; /* key of the program itself */
    cubby_difference_visitor visit;
    void *context;
    struct cubby_comparison *found;
    struct cubby_error *error;
};

static void tell(const struct cubby_difference *difference, void *context) {
    const struct comparing *comparing = context;

    if (comparing->visit)
        comparing->visit(difference, comparing->context);
}

static void tell_missing(struct comparing *comparing, const char *field, const char *name) {
    const struct cubby_difference difference = {.field = field, .name = name, .then = "stored"};

    tell(&difference, comparing);
}

static void set_reason(struct comparing *comparing, const char *reason) {
    snprintf(comparing->found->reason, sizeof(comparing->found->reason), "%s", reason);
}

static void set_nearest(struct comparing *comparing, const struct cubby_key *key) {
    comparing->found->has_nearest = true;
    comparing->found->nearest_key = *key;
}

/* ---- Headers ----------------------------------------------------------------------------- */

/* The program itself is known: it is its headers, or what was made with them is gone. */
static int compare_headers(struct comparing *comparing, bool set_holds) {
    char hex[CUBBY_KEY_HEX_SIZE];
    struct cubby_key key;
    const char *tier;

    if (set_holds) {
        cubby_key_format(&comparing->found->key, hex);
        tell_missing(comparing, "object", hex);
        set_nearest(comparing, &comparing->found->key);
        return 0;
    }
    if (headers_compare(comparing->cache, comparing->program, &comparing->base, tell, comparing,
                        &key) < 0)
        return CUBBY_ERR_NOT_FOUND;
    set_nearest(comparing, &key);
    cache_peek(comparing->cache, CUBBY_ENTRY_OBJECT, &key, OBJECT_DESCRIBE,
               &comparing->found->nearest, &tier);
    return 0;
}

/* ---- Fields ------------------------------------------------------------------------------ */

static int tell_fields(struct comparing *comparing, const struct pairs *now) {
    struct pairs then;
    size_t count;
    int result;

    if (!object_fields(comparing->found->nearest, &then))
        return 0;
    result = fields_compare(&then, now, tell, comparing, &count);
    /* Then only the headers can have differed, and what they were is forgotten. */
    if (result == 0 && count == 0)
        tell_missing(comparing, "header list", NULL);
    return result < 0 ? error_no_memory(comparing->error) : 0;
}

static int compare_fields(struct comparing *comparing) {
    struct buffer fields = BUFFER_INIT;
    struct pairs now;
    int result;

    fields_collect(comparing->program, comparing->toolchain, &fields);
    if (fields.failed) {
        buffer_free(&fields);
        return error_no_memory(comparing->error);
    }
    now = (struct pairs){fields.data, fields.data + fields.size};
    result =
        nearest_find(comparing->cache, comparing->program->name, &now, &comparing->found->nearest,
                     &comparing->found->nearest_key, comparing->error);
    if (result == 0) {
        comparing->found->has_nearest = true;
        result = tell_fields(comparing, &now);
    } else if (result == CUBBY_ERR_NOT_FOUND) {
        set_reason(comparing, "no object of that name or of that source is stored");
        result = 0;
    }
    buffer_free(&fields);
    return result;
}

/* ---- The program ------------------------------------------------------------------------- */

static bool find_object(struct comparing *comparing, bool *ret_set_holds) {
    struct cubby_comparison *found = comparing->found;
    struct cubby_object *object;
    const char *tier;

    *ret_set_holds = comparing->program->reaches_files &&
                     headers_find(comparing->cache, comparing->program, &comparing->base, NULL,
                                  NULL, &found->key) == 0;
    if (comparing->program->reaches_files && !*ret_set_holds)
        return false;
    if (cache_peek(comparing->cache, CUBBY_ENTRY_OBJECT, &found->key, OBJECT_DESCRIBE, &object,
                   &tier) < 0)
        return false;
    cubby_object_unref(object);
    found->kind = CUBBY_COMPARISON_HIT;
    snprintf(found->tier, sizeof(found->tier), "%s", tier);
    return true;
}

static int compare(struct comparing *comparing) {
    struct cubby_comparison *found = comparing->found;
    bool set_holds;
    int result;

    if (comparing->program->uncacheable[0]) {
        found->kind = CUBBY_COMPARISON_UNCACHEABLE;
        set_reason(comparing, comparing->program->uncacheable);
        return 0;
    }
    result =
        tooling_find(comparing->cache, comparing->program, &comparing->toolchain, comparing->error);
    if (result < 0)
        return result;
    key_derive(comparing->program, comparing->toolchain, &comparing->base);
    found->key = comparing->base;
    found->has_key = true;
    found->kind = CUBBY_COMPARISON_MISS;
    if (!comparing->cache || cubby_cache_tier_count(comparing->cache) == 0) {
        set_reason(comparing, "no store is in use");
        return 0;
    }
    if (find_object(comparing, &set_holds) ||
        (comparing->program->reaches_files && compare_headers(comparing, set_holds) == 0))
        return 0;
    return compare_fields(comparing);
}

int cubby_program_compare(struct cubby_cache *cache, struct cubby_program *program,
                          cubby_difference_visitor visit, void *context,
                          struct cubby_comparison *ret_comparison, struct cubby_error *error) {
    struct cubby_comparison found = {0};
    struct comparing comparing = {.cache = cache,
                                  .program = program,
                                  .visit = visit,
                                  .context = context,
                                  .found = &found,
                                  .error = error};
    int result = compare(&comparing);

    if (result < 0)
        cubby_object_unref(found.nearest);
    else
        *ret_comparison = found;
    return result;
}
