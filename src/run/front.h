/* SPDX-License-Identifier: Apache-2.0 */
/* A runtime cache as the first tier of a cache: what is compiled through it is in both, and what
 * the stores know of headers is with the kernels. */
#ifndef CUBBY_RUN_FRONT_H
#define CUBBY_RUN_FRONT_H

#include <cubby/cubby.h>

/* True if a request was served by that tier. */
bool front_has_served(const struct cubby_outcome *outcome);

/* For what a runtime cache is to be. */
struct front_place {
    const char *arch;
    int driver_version; /* 0: none */
    bool compiles;      /* some program is CUDA C++: NVRTC has a part in it */
};

/*
 * The cache with the runtime cache in front; both are referenced, and lower may be NULL. The
 * runtime cache becomes live for the place and the compiler in use; where none is here, or none is
 * needed, for the one that made what is in it.
 * Returns 0; INVALID where the runtime cache, or the cache with a tier more, cannot be used so;
 * NO_MEMORY.
 */
int front_open(struct cubby_runtime_cache *runtime_cache, struct cubby_cache *lower,
               const struct front_place *place, struct cubby_cache **ret_cache,
               struct cubby_error *error);

#endif
