/* SPDX-License-Identifier: Apache-2.0 */
/* A runtime cache as the first tier of a cache: what is compiled through it is in both, and what
 * the stores know of headers is with the kernels. */
#ifndef CUBBY_RUN_FRONT_H
#define CUBBY_RUN_FRONT_H

#include <cubby/cubby.h>

/* True if a request was served by that tier. */
bool front_has_served(const struct cubby_outcome *outcome);

/*
 * The cache with the runtime cache in front; both are referenced, and lower may be NULL. The
 * runtime cache becomes live for the architecture, the compiler in use and the driver (0: none).
 * Returns 0; INVALID where the runtime cache, or the cache with a tier more, cannot be used so;
 * NO_TOOLCHAIN; NO_MEMORY.
 */
int front_open(struct cubby_runtime_cache *runtime_cache, struct cubby_cache *lower,
               const char *arch, int driver_version, struct cubby_cache **ret_cache,
               struct cubby_error *error);

#endif
