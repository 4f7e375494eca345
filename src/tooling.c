/* SPDX-License-Identifier: Apache-2.0 */
#include "tooling.h"

#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"
#include "entry/entry.h"
#include "key/linker.h"
#include "key/program.h"
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

static void memory_forget(void *context, const struct cubby_key *key) {
    cubby_cache_remove(context, CUBBY_ENTRY_TOOLCHAIN, key, NULL);
}

const struct toolchain_memory *tooling_memory(struct cubby_cache *cache,
                                              struct toolchain_memory *memory) {
    *memory = (struct toolchain_memory){memory_load, memory_store, memory_forget, cache};
    return cache ? memory : NULL;
}

int tooling_find(struct cubby_cache *cache, const struct cubby_program *program,
                 const struct toolchain **ret_toolchain, struct cubby_error *error) {
    struct cubby_error problem = CUBBY_ERROR_INIT;
    const struct toolchain *stand_in = NULL;
    struct toolchain_memory memory;
    int result =
        toolchain_for_program(program, tooling_memory(cache, &memory), ret_toolchain, &problem);

    if (result == CUBBY_ERR_NO_TOOLCHAIN && program->kind == PROGRAM_CUDA && cache &&
        cache_made_by(cache))
        stand_in = toolchain_stand_in(CUBBY_TOOL_NVRTC, cache_made_by(cache));
    if (!stand_in) {
        error_move(error, &problem);
        return result;
    }
    cubby_error_clear(&problem);
    *ret_toolchain = stand_in;
    return 0;
}

void tooling_remember(struct cubby_cache *cache) {
    struct toolchain_memory memory;

    toolchain_remember(tooling_memory(cache, &memory));
}

/* Copies a text, if there is one. False where memory is short. */
static bool copy_text(const char *text, char **ret_copy) {
    *ret_copy = text ? strdup(text) : NULL;
    return !text || *ret_copy;
}

int cubby_toolchain_find(struct cubby_cache *cache, struct cubby_toolchain *ret_toolchain,
                         struct cubby_error *error) {
    const struct toolchain *toolchain;
    struct toolchain_memory memory;
    struct cubby_toolchain copy;
    int result =
        toolchain_find(CUBBY_TOOL_NVRTC, tooling_memory(cache, &memory), &toolchain, error);

    if (result < 0)
        return result;
    copy = (struct cubby_toolchain){.major = toolchain->major, .minor = toolchain->minor};
    if (!copy_text(toolchain->path, &copy.nvrtc_path) ||
        !copy_text(toolchain->companion_path, &copy.builtins_path) ||
        !copy_text(toolchain->include_dir, &copy.include_dir) ||
        !copy_text(toolchain->fingerprint, &copy.fingerprint)) {
        cubby_toolchain_clear(&copy);
        return error_no_memory(error);
    }
    *ret_toolchain = copy;
    return 0;
}

int cubby_tool_find(struct cubby_cache *cache, enum cubby_tool tool,
                    struct cubby_tool_info *ret_info, struct cubby_error *error) {
    const struct toolchain *toolchain;
    struct toolchain_memory memory;
    struct cubby_tool_info copy;
    int result;

    if ((unsigned)tool >= TOOL_COUNT)
        return error_set(error, CUBBY_ERR_INVALID, "tool %d is not known", (int)tool);
    result = toolchain_find(tool, tooling_memory(cache, &memory), &toolchain, error);
    if (result < 0)
        return result;
    copy = (struct cubby_tool_info){.major = toolchain->major, .minor = toolchain->minor};
    if (!copy_text(toolchain->path, &copy.path) ||
        !copy_text(toolchain->companion_path, &copy.companion_path) ||
        !copy_text(toolchain->fingerprint, &copy.fingerprint)) {
        cubby_tool_info_clear(&copy);
        return error_no_memory(error);
    }
    *ret_info = copy;
    return 0;
}
