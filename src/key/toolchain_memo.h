/* SPDX-License-Identifier: Apache-2.0 */
/* The toolchain as an entry of the cache, so that a hit need not load it. */
#ifndef CUBBY_KEY_TOOLCHAIN_MEMO_H
#define CUBBY_KEY_TOOLCHAIN_MEMO_H

#include "key/toolchain.h"

/*
 * The key under which the toolchain is remembered: a digest of all that decides which file would be
 * loaded. False where no memo may be used: the library is in the process already, or is missing.
 */
bool toolchain_memo_place(struct cubby_key *ret_place);

/* The remembered toolchain, new; NULL where there is none or its files have changed. */
struct toolchain *toolchain_memo_load(const struct toolchain_memory *memory,
                                      const struct cubby_key *place);

void toolchain_memo_store(const struct toolchain_memory *memory, const struct cubby_key *place,
                          const struct toolchain *toolchain);

/* toolchain.c: the name of the builtins of a version, new. */
char *toolchain_builtins_name(int major, int minor);

/* toolchain.c: the builtins in the folder of that NVRTC, as new text; NULL where there are none. */
char *toolchain_builtins_beside(const char *nvrtc_path, const char *name);

#endif
