/* SPDX-License-Identifier: Apache-2.0 */
/* A tool as an entry of the cache, so that a hit need not load it. */
#ifndef CUBBY_KEY_TOOLCHAIN_MEMO_H
#define CUBBY_KEY_TOOLCHAIN_MEMO_H

#include "key/toolchain.h"

/*
 * The key under which a tool is remembered: a digest of all that decides which file would be
 * loaded. False where no memo may be used: the library is in the process already, or is missing.
 */
bool toolchain_memo_place(enum cubby_tool tool, struct cubby_key *ret_place);

/* The remembered tool, new; NULL where there is none or its files have changed. */
struct toolchain *toolchain_memo_load(enum cubby_tool tool, const struct toolchain_memory *memory,
                                      const struct cubby_key *place);

void toolchain_memo_store(const struct toolchain_memory *memory, const struct cubby_key *place,
                          const struct toolchain *toolchain);

#endif
