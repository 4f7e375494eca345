/* SPDX-License-Identifier: Apache-2.0 */
/* A tool as an entry of the cache, so that a hit need not load it. */
#ifndef CUBBY_KEY_TOOLCHAIN_MEMO_H
#define CUBBY_KEY_TOOLCHAIN_MEMO_H

#include <limits.h>
#include <stdbool.h>

#include "key/toolchain.h"

/* Where a tool would be loaded from now. */
struct toolchain_place {
    struct cubby_key key; /* a digest of all that decides which file it is */
    char path[PATH_MAX];  /* that file, resolved; "" where only the dynamic linker can tell */
};

/* Where a tool is remembered. False where no memo may be used: the library is in the process
 * already, or is missing. */
bool toolchain_memo_place(enum cubby_tool tool, struct toolchain_place *ret_place);

/* What is remembered of a tool: text, under the key of the place. */
struct toolchain_memo {
    struct cubby_key key;
    char *text; /* owned; NULL for nothing */
};

/* The remembered tool, new, with its memo; NULL where there is none, it is another file than the
 * place's, or its files have changed. */
struct toolchain *toolchain_memo_load(enum cubby_tool tool, const struct toolchain_memory *memory,
                                      const struct toolchain_place *place,
                                      struct toolchain_memo *ret_memo);

/* What is to be remembered of a tool as its files are now: nothing where it is another file than
 * the place's, or a young one. */
void toolchain_memo_make(const struct toolchain_place *place, const struct toolchain *toolchain,
                         struct toolchain_memo *ret_memo);

/* Has it remembered, unless it is already. */
void toolchain_memo_store(const struct toolchain_memory *memory, const struct toolchain_memo *memo);

#endif
