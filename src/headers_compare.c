/* SPDX-License-Identifier: Apache-2.0 */
/* What became of the headers that a program was compiled with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"
#include "deps/manifest.h"
#include "deps/shadow.h"
#include "headers.h"

struct comparison {
    const struct cubby_program *program;
    cubby_difference_visitor visit;
    void *context;
    struct cubby_key *ret_key;
    size_t fewest; /* paths that keep the nearest set of any tier from holding; SIZE_MAX: no set */
    bool shown;
};

/* One manifest while its nearest set is shown. */
struct showing {
    const struct comparison *comparison;
    const struct manifest *manifest;
};

static void tell(const struct showing *showing, const struct cubby_difference *difference) {
    showing->comparison->visit(difference, showing->comparison->context);
}

/* ---- A header that is not as it was ------------------------------------------------------ */

static void format_stamp(const struct file_stamp *stamp, char text[80]) {
    long long ns = (long long)stamp->mtime_ns;

    snprintf(text, 80, "%llu bytes, modified %lld.%09lld", (unsigned long long)stamp->size,
             ns / 1000000000, ns % 1000000000);
}

static void tell_file(const struct showing *showing, const struct manifest_break *found) {
    char then[CUBBY_KEY_HEX_SIZE], now[CUBBY_KEY_HEX_SIZE], old_stamp[80], new_stamp[80];
    struct cubby_difference difference = {
        .field = "header file", .name = found->path, .then = then};
    const struct manifest_file *file = found->then;

    cubby_key_format(&file->digest, then);
    if (found->is_readable) {
        cubby_key_format(&found->digest, now);
        difference.now = now;
    }
    if (found->is_readable && memcmp(&found->digest, &file->digest, sizeof(file->digest)) == 0) {
        format_stamp(&file->stamp, old_stamp);
        format_stamp(&found->stamp, new_stamp);
        difference.field = "header stamp";
        difference.then = old_stamp;
        difference.now = new_stamp;
    }
    tell(showing, &difference);
}

/* ---- Something where nothing was, or the other way round --------------------------------- */

static void tell_appeared(const struct showing *showing, const struct manifest_break *found) {
    struct cubby_difference difference = {.field = "header file", .name = found->path};
    char hex[CUBBY_KEY_HEX_SIZE];
    char *file = NULL;

    if (shadow_find(showing->comparison->program, showing->manifest, found->set, found->path, &file,
                    &difference.before) == 0)
        difference.name = file;
    cubby_key_format(&found->digest, hex);
    difference.now = found->is_readable ? hex : "not a file";
    if (file && strcmp(file, found->path) != 0)
        difference.now = "a file";
    tell(showing, &difference);
    free(file);
}

static void tell_gone(const struct showing *showing, const struct manifest_break *found) {
    const struct cubby_difference difference = {
        .field = "header file", .name = found->path, .then = "a file"};

    tell(showing, &difference);
}

static void show_break(const struct manifest_break *found, void *context) {
    if (found->kind == DEP_FILE)
        tell_file(context, found);
    else if (found->kind == DEP_PRESENT)
        tell_gone(context, found);
    else
        tell_appeared(context, found);
}

/* ---- The manifests of all tiers ---------------------------------------------------------- */

static bool decode(const struct cubby_object *object, struct manifest *manifest) {
    return manifest_decode(cubby_object_data(object), cubby_object_size(object), manifest) == 0;
}

/* Never takes a manifest, so that every tier is asked. */
static bool measure(struct cubby_object *object, void *context) {
    struct comparison *comparison = context;
    const struct manifest_set *set;
    struct manifest manifest;
    size_t breaks;

    if (!decode(object, &manifest))
        return false;
    if (manifest_nearest(&manifest, comparison->program->stamps_source, &set, &breaks) == 0 &&
        breaks < comparison->fewest)
        comparison->fewest = breaks;
    manifest_free(&manifest);
    return false;
}

/* Shows the first manifest whose nearest set is the nearest of all. */
static bool show_nearest(struct cubby_object *object, void *context) {
    struct comparison *comparison = context;
    const struct manifest_set *set;
    struct manifest manifest;
    struct showing showing = {comparison, &manifest};
    size_t breaks;

    if (comparison->shown || !decode(object, &manifest))
        return false;
    if (manifest_nearest(&manifest, comparison->program->stamps_source, &set, &breaks) == 0 &&
        breaks <= comparison->fewest) {
        *comparison->ret_key = set->key;
        comparison->shown = manifest_show(&manifest, comparison->program->stamps_source, set,
                                          show_break, &showing) == 0;
    }
    manifest_free(&manifest);
    return false;
}

int headers_compare(struct cubby_cache *cache, const struct cubby_program *program,
                    const struct cubby_key *base, cubby_difference_visitor visit, void *context,
                    struct cubby_key *ret_key) {
    struct comparison comparison = {
        .program = program, .visit = visit, .context = context, .ret_key = ret_key};

    comparison.fewest = SIZE_MAX;
    cache_lookup_accepted(cache, CUBBY_ENTRY_MANIFEST, base, measure, &comparison);
    if (comparison.fewest == SIZE_MAX)
        return CUBBY_ERR_NOT_FOUND;
    cache_lookup_accepted(cache, CUBBY_ENTRY_MANIFEST, base, show_nearest, &comparison);
    return comparison.shown ? 0 : CUBBY_ERR_NOT_FOUND;
}
