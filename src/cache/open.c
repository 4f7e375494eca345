/* SPDX-License-Identifier: Apache-2.0 */
/* From a cache spec to open stores. */
#include <stdlib.h>

#include "cache/cache.h"
#include "cache/flight.h"
#include "cache/secret.h"
#include "cache/spec.h"
#include "entry/codec.h"
#include "entry/form.h"
#include "util/error.h"
#include "util/log.h"

static int open_tier(const struct spec_tier *tier, struct cubby_backend **ret_backend,
                     struct cubby_error *error) {
    const struct backend_params *params = &tier->params;

    switch (tier->store) {
    case SPEC_MEMORY:
        return memory_backend_open(params, ret_backend, error);
    case SPEC_FILE:
        return file_backend_open(params, ret_backend, error);
    case SPEC_SQLITE:
#ifdef HAVE_SQLITE
        return sqlite_backend_open(params, ret_backend, error);
#else
        return error_set(error, CUBBY_ERR_UNSUPPORTED,
                         "this build of Cubby has no SQLite store: %s cannot be opened; use "
                         "file:PATH, or build without --without-sqlite",
                         tier->path);
#endif
    }
    return error_set(error, CUBBY_ERR_INVALID, "unknown store");
}

/* The form in which a tier keeps its entries. Without its secret a store is not used at all: what
 * it holds could not be believed. */
static int find_form(const struct spec_tier *tier, struct entry_form *ret_form,
                     struct cubby_error *error) {
    struct entry_form form = {.level = tier->params.read_only ? 0 : tier->level};
    int result = tier->secret_file ? secret_read(tier->secret_file, &form.secret, error) : 0;

    if (result < 0)
        return result;
    if (form.level > 0 && !codec_is_there()) {
        log_line(CUBBY_LOG_WARN,
                 "%s: this build of Cubby has no zstd: entries are stored as they are", tier->path);
        form.level = 0;
    }
    *ret_form = form;
    return 0;
}

/* A tier with its form. */
static int open_formed(const struct spec_tier *tier, struct cubby_backend **ret_backend,
                       struct entry_form *ret_form, struct cubby_error *error) {
    int result = find_form(tier, ret_form, error);

    if (result == 0)
        result = open_tier(tier, ret_backend, error);
    if (result < 0) {
        secret_free(ret_form->secret);
        ret_form->secret = NULL;
    }
    return result;
}

/* The shortest time that any tier names. */
static unsigned flight_timeout(const struct spec *spec) {
    unsigned seconds = FLIGHT_TIMEOUT_SECONDS;
    bool is_named = false;

    for (size_t i = 0; i < spec->count; i++) {
        const struct spec_tier *tier = &spec->tiers[i];

        if (tier->names_flight_timeout && (!is_named || tier->flight_timeout < seconds)) {
            seconds = tier->flight_timeout;
            is_named = true;
        }
    }
    return seconds;
}

/* Opens the stores of a spec; one that cannot be opened is left out and remembered. */
static int open_spec(const struct spec *spec, struct cubby_cache **ret_cache,
                     struct cubby_error *error) {
    struct cubby_backend **backends = calloc(spec->count + 1, sizeof(*backends));
    struct entry_form *forms = calloc(spec->count + 1, sizeof(*forms));
    struct cubby_error *problems = calloc(spec->count + 1, sizeof(*problems));
    size_t opened = 0, failed = 0;
    int result;

    if (!backends || !forms || !problems) {
        result = error_no_memory(error);
        goto out;
    }
    for (size_t i = 0; i < spec->count; i++) {
        if (open_formed(&spec->tiers[i], &backends[opened], &forms[opened], &problems[failed]) == 0)
            opened++;
        else
            failed++;
    }
    result = cubby_cache_open_backends(backends, opened, ret_cache, error);
    for (size_t i = 0; i < opened; i++) {
        if (result == 0)
            cache_set_form(*ret_cache, i, &forms[i]);
        else
            secret_free(forms[i].secret);
    }
    if (result == 0)
        cache_set_flight_timeout(*ret_cache, flight_timeout(spec));
    for (size_t i = 0; i < failed; i++) {
        if (result == 0)
            cache_add_problem(*ret_cache, &problems[i]);
        cubby_error_clear(&problems[i]);
    }
out:
    free(problems);
    free(forms);
    free(backends);
    return result;
}

/* A cache of no stores, as there is no place for one. */
static int open_nowhere(struct cubby_error *problem, struct cubby_cache **ret_cache,
                        struct cubby_error *error) {
    int result = cubby_cache_open_backends(NULL, 0, ret_cache, error);

    if (result == 0)
        cache_add_problem(*ret_cache, problem);
    return result;
}

int cubby_cache_open(const char *text, struct cubby_cache **ret_cache, struct cubby_error *error) {
    struct cubby_error problem = CUBBY_ERROR_INIT;
    struct spec spec = {NULL, 0};
    char *owned = NULL;
    int result = 0;

    if (!text) {
        result = spec_default(&owned, &problem);
        text = owned;
        if (result == CUBBY_ERR_INVALID)
            return open_nowhere(&problem, ret_cache, error);
        if (result < 0)
            return error_no_memory(error);
        if (!*text) { /* storage is turned off */
            free(owned);
            return cubby_cache_open_backends(NULL, 0, ret_cache, error);
        }
    }
    result = spec_parse(text, &spec, error);
    if (result == 0)
        result = open_spec(&spec, ret_cache, error);
    spec_clear(&spec);
    free(owned);
    return result;
}
