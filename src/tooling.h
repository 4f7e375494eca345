/* SPDX-License-Identifier: Apache-2.0 */
/* The toolchain of a program, remembered in the cache. */
#ifndef CUBBY_TOOLING_H
#define CUBBY_TOOLING_H

#include "key/toolchain.h"

/* The cache as a memory for fingerprints, filled into *memory; with no cache there is none: NULL.
 */
const struct toolchain_memory *tooling_memory(struct cubby_cache *cache,
                                              struct toolchain_memory *memory);

/* The tool that makes a program, or, where it is not here, that which made what is in the cache, if
 * that is known. Returns as toolchain_for_program(). */
int tooling_find(struct cubby_cache *cache, const struct cubby_program *program,
                 const struct toolchain **ret_toolchain, struct cubby_error *error);

/* Has the cache remember the tools that are in use. */
void tooling_remember(struct cubby_cache *cache);

#endif
