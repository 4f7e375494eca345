/* SPDX-License-Identifier: Apache-2.0 */
/* The names of entry kinds: folders of file stores and of archives bear them. */
#include <cubby/cubby.h>

const char *cubby_entry_kind_name(enum cubby_entry_kind kind) {
    static const char *const NAMES[CUBBY_ENTRY_KINDS] = {
        [CUBBY_ENTRY_OBJECT] = "object",       [CUBBY_ENTRY_MANIFEST] = "manifest",
        [CUBBY_ENTRY_RUNTIME] = "runtime",     [CUBBY_ENTRY_USER] = "user",
        [CUBBY_ENTRY_TOOLCHAIN] = "toolchain",
    };

    return (unsigned)kind < CUBBY_ENTRY_KINDS ? NAMES[kind] : NULL;
}
