/* SPDX-License-Identifier: Apache-2.0 */
/* Where the kernels of an engine come from: its programs, through the cache, checked against its
 * launches. Asks no driver. */
#ifndef CUBBY_RUN_SOURCE_H
#define CUBBY_RUN_SOURCE_H

#include <cubby/engine.h>

struct kernel_source {
    const struct cubby_engine_plan *plan;
    const char *arch;
    struct cubby_cache *cache; /* NULL for none */
    /* The runtime cache that is in front of it, which counts what is asked for; NULL for none. */
    struct cubby_runtime_cache *runtime_cache;
    const char *const *options;
    size_t option_count;
    unsigned flags; /* of the requests: enum cubby_request_flags */
};

/* The object of a program, generic (dims NULL) or specialised. *ret_outcome is filled on success.
 * Errors as cubby_compile() and cubby_engine_plan_check_object(). */
int kernel_source_get(const struct kernel_source *source, size_t program, const int64_t *dims,
                      struct cubby_object **ret_object, struct cubby_outcome *ret_outcome,
                      struct cubby_error *error);

#endif
