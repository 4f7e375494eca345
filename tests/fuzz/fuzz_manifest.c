/* SPDX-License-Identifier: Apache-2.0 */
/* A manifest that is read, matched, added to and written again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "deps/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read can be written, and read again, as it was. */
static void write_again(const struct manifest *manifest) {
    struct buffer payload = BUFFER_INIT;
    struct manifest again;

    if (manifest_encode(manifest, &payload) == 0) {
        if (manifest_decode(payload.data, payload.size, &again) < 0 ||
            again.set_count != manifest->set_count)
            abort();
        manifest_free(&again);
    }
    buffer_free(&payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct dep dep = {.path = strdup("a/b.h"), .kind = DEP_FILE};
    struct cubby_key key = {{1}};
    struct deps deps = DEPS_INIT;
    const struct manifest_set *set;
    struct manifest manifest;
    bool refreshed;

    if (manifest_decode(data, size, &manifest) == 0) {
        /* Only few paths, and not those of a whole machine. */
        if (manifest.path_count < 16)
            manifest_match(&manifest, false, &set, &refreshed);
        write_again(&manifest);
        deps_add(&deps, &dep);
        if (manifest_add(&manifest, &deps, &key) == 0)
            write_again(&manifest);
        manifest_free(&manifest);
        deps_free(&deps);
    } else {
        free(dep.path);
    }
    return 0;
}
