/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cache spec as text: tiers, fastest first, separated by commas.
 *
 *     memory
 *     file:PATH, or a bare PATH
 *     sqlite:PATH
 *
 * Parameters follow a '?' and are joined by '&': max_size=5G, durable=1, read_only=1,
 * flight_timeout=120, compress=zstd[:LEVEL], secret_file=PATH, shared=group. In paths and values
 * %XX stands for a byte (so that a path may hold ',' '?' '&' '%'), and a leading ~ for the home
 * folder. Sizes take the suffixes K, M, G, T (powers of 1024).
 */
#ifndef CUBBY_CACHE_SPEC_H
#define CUBBY_CACHE_SPEC_H

#include "backends/backends.h"

enum spec_store { SPEC_MEMORY, SPEC_FILE, SPEC_SQLITE };

struct spec_tier {
    enum spec_store store;
    char *path;                   /* owned; NULL for memory */
    struct backend_params params; /* its path is that of the tier */
    int level;                    /* of compression; 0 for none */
    char *secret_file;            /* owned; NULL for none */
    bool names_flight_timeout;
    unsigned flight_timeout; /* seconds, for the whole cache; see flight.h */
};

struct spec {
    struct spec_tier *tiers;
    size_t count;
};

/* Returns 0, or INVALID with the offending part and its position. */
int spec_parse(const char *text, struct spec *ret_spec, struct cubby_error *error);

/* The user's default as a new string: CUBBY_CACHE, else a file store in the user's cache folder; ""
 * where storage is turned off. Returns 0, INVALID where no home folder is known, or NO_MEMORY. */
int spec_default(char **ret_text, struct cubby_error *error);

void spec_clear(struct spec *spec);

#endif
