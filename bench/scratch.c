/* SPDX-License-Identifier: Apache-2.0 */
#include "scratch.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

static char base[256];

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where) {
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

void scratch_remove(const char *path) {
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void remove_base(void) {
    scratch_remove(base);
}

const char *scratch_new(void) {
    const char *tmp = getenv("TMPDIR");

    snprintf(base, sizeof(base), "%s/cubby-bench-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(base))
        return NULL;
    atexit(remove_base);
    return base;
}

const char *scratch_folder(const char *scratch) {
    static char folder[300];

    snprintf(folder, sizeof(folder), "%s/XXXXXX", scratch);
    return mkdtemp(folder);
}
