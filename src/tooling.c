/* SPDX-License-Identifier: Apache-2.0 */
#include "tooling.h"

#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"
#include "entry/entry.h"
#include "key/linker.h"
#include "key/tool.h"
#include "util/error.h"

static int memory_load(void *context, const struct cubby_key *key,
                       struct cubby_object **ret_object) {
    const char *tier;

    return cache_lookup(context, CUBBY_ENTRY_TOOLCHAIN, key, ret_object, &tier);
}

static void memory_store(void *context, const struct cubby_key *key, const void *data,
                         size_t size) {
    struct cubby_blob *blob;

    if (entry_encode(CUBBY_ENTRY_TOOLCHAIN, key, data, size, NULL, 0, &blob, NULL) == 0) {
        cache_store(context, CUBBY_ENTRY_TOOLCHAIN, key, blob, NULL);
        cubby_blob_unref(blob);
    }
}

const struct toolchain_memory *tooling_memory(struct cubby_cache *cache,
                                              struct toolchain_memory *memory) {
    *memory = (struct toolchain_memory){memory_load, memory_store, cache};
    return cache ? memory : NULL;
}

int tooling_find(struct cubby_cache *cache, const struct cubby_program *program,
                 const struct toolchain **ret_toolchain, struct cubby_error *error) {
    struct toolchain_memory memory;

    return toolchain_for_program(program, tooling_memory(cache, &memory), ret_toolchain, error);
}

static char *copy_or_null(const char *text) {
    return text ? strdup(text) : NULL;
}

int cubby_toolchain_find(struct cubby_cache *cache, struct cubby_toolchain *ret_toolchain,
                         struct cubby_error *error) {
    const struct toolchain *toolchain;
    struct toolchain_memory memory;
    int result =
        toolchain_find(CUBBY_TOOL_NVRTC, tooling_memory(cache, &memory), &toolchain, error);

    if (result < 0)
        return result;
    *ret_toolchain = (struct cubby_toolchain){
        .major = toolchain->major,
        .minor = toolchain->minor,
        .nvrtc_path = copy_or_null(toolchain->path),
        .builtins_path = copy_or_null(toolchain->companion_path),
        .include_dir = copy_or_null(toolchain->include_dir),
        .fingerprint = copy_or_null(toolchain->fingerprint),
    };
    return 0;
}

int cubby_tool_find(struct cubby_cache *cache, enum cubby_tool tool,
                    struct cubby_tool_info *ret_info, struct cubby_error *error) {
    const struct toolchain *toolchain;
    struct toolchain_memory memory;
    int result;

    if ((unsigned)tool >= TOOL_COUNT)
        return error_set(error, CUBBY_ERR_INVALID, "tool %d is not known", (int)tool);
    result = toolchain_find(tool, tooling_memory(cache, &memory), &toolchain, error);
    if (result < 0)
        return result;
    *ret_info = (struct cubby_tool_info){
        .major = toolchain->major,
        .minor = toolchain->minor,
        .path = copy_or_null(toolchain->path),
        .companion_path = copy_or_null(toolchain->companion_path),
        .fingerprint = copy_or_null(toolchain->fingerprint),
    };
    return 0;
}
