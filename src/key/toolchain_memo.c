/* SPDX-License-Identifier: Apache-2.0 */
#include "key/toolchain_memo.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "key/digest.h"
#include "key/library_file.h"
#include "key/locate.h"
#include "key/tool.h"
#include "os/dl.h"
#include "os/env.h"
#include "util/json.h"

#define LINKER_CACHE "/etc/ld.so.cache"

enum { TAG_PATH = 1, TAG_LINKER_CACHE = 2, TAG_VARIABLE = 3, TAG_TOOL = 4 };

/* Where only the dynamic linker can tell, its cache file decides what it finds: a library where no
 * folder was named, and builtins that do not lie beside NVRTC. */
static void add_linker_cache(struct digest *digest) {
    struct stat status = {0};
    struct timespec times[2];

    if (stat(LINKER_CACHE, &status) != 0)
        memset(&status, 0, sizeof(status));
    times[0] = status.st_mtim;
    times[1] = status.st_ctim;
    digest_field(digest, TAG_LINKER_CACHE, times, sizeof(times));
    digest_field(digest, TAG_LINKER_CACHE, &status.st_ino, sizeof(status.st_ino));
    digest_field(digest, TAG_LINKER_CACHE, &status.st_size, sizeof(status.st_size));
}

bool toolchain_memo_place(enum cubby_tool tool, struct toolchain_place *ret_place) {
    static const char *const VARIABLES[] = {"LD_LIBRARY_PATH", "VIRTUAL_ENV", "HOME"};
    const struct library *library = tool_get(tool)->library;
    struct location location;
    struct digest digest;

    if (dl_loaded_path(library->prefix, location.path) ||
        locate_library(library, false, &location, NULL, NULL) != 0)
        return false;
    ret_place->path[0] = '\0';
    if (*location.path && !realpath(location.path, ret_place->path))
        return false;
    digest_init(&digest, "cubby tools v2");
    digest_field(&digest, TAG_TOOL, library->prefix, strlen(library->prefix));
    if (*ret_place->path)
        digest_field(&digest, TAG_PATH, ret_place->path, strlen(ret_place->path));
    add_linker_cache(&digest);
    for (size_t i = 0; i < sizeof(VARIABLES) / sizeof(*VARIABLES); i++) {
        const char *value = env_get(VARIABLES[i]);

        digest_field(&digest, TAG_VARIABLE, value, value ? strlen(value) : 0);
    }
    digest_result(&digest, &ret_place->key);
    return true;
}

/* True if the tool is the file that the place names, where it names one. */
static bool belongs(const struct toolchain *toolchain, const struct toolchain_place *place) {
    return !*place->path || strcmp(toolchain->path, place->path) == 0;
}

/* Copies a text of the memo where it has that one. False where memory is short. */
static bool copy_string(const json_t *object, const char *name, const char **ret_copy) {
    const char *text = json_string_value(json_object_get(object, name));

    *ret_copy = text ? strdup(text) : NULL;
    return !text || *ret_copy;
}

/*
 * True if the companion that would be used now is that of the memo, unchanged: the one beside the
 * library, or, where there is none, what the dynamic linker found, which the memo's place covers.
 */
static bool companion_unchanged(const json_t *memo, const struct toolchain *toolchain) {
    const struct tool *tool = tool_get(toolchain->tool);
    char path[PATH_MAX];
    bool beside = tool->companion_beside &&
                  tool->companion_beside(toolchain->path, toolchain->major, toolchain->minor, path);

    if (!toolchain->companion_path)
        return !beside && !tool->needs_companion;
    return (!beside || strcmp(path, toolchain->companion_path) == 0) &&
           library_file_unchanged(json_object_get(memo, "companion"));
}

static struct toolchain *toolchain_from_memo(enum cubby_tool tool, const json_t *memo,
                                             const struct toolchain_place *place) {
    const json_t *library = json_object_get(memo, "library");
    const json_t *companion = json_object_get(memo, "companion");
    struct toolchain *toolchain = calloc(1, sizeof(*toolchain));

    if (!toolchain)
        return NULL;
    toolchain->tool = tool;
    toolchain->major = (int)json_integer_value(json_object_get(memo, "major"));
    toolchain->minor = (int)json_integer_value(json_object_get(memo, "minor"));
    if (copy_string(library, "path", &toolchain->path) &&
        copy_string(companion, "path", &toolchain->companion_path) &&
        copy_string(memo, "include_dir", &toolchain->include_dir) &&
        copy_string(memo, "fingerprint", &toolchain->fingerprint) &&
        copy_string(memo, "libdevice", &toolchain->libdevice) && toolchain->path &&
        toolchain->fingerprint && belongs(toolchain, place) && library_file_unchanged(library) &&
        companion_unchanged(memo, toolchain))
        return toolchain;
    toolchain_free(toolchain);
    return NULL;
}

struct toolchain *toolchain_memo_load(enum cubby_tool tool, const struct toolchain_memory *memory,
                                      const struct toolchain_place *place,
                                      struct toolchain_memo *ret_memo) {
    struct toolchain *toolchain = NULL;
    struct cubby_object *object;
    json_t *memo;

    if (memory->load(memory->context, &place->key, &object) != 0)
        return NULL;
    memo = whole_json(cubby_object_data(object), cubby_object_size(object), 0, NULL);
    if (memo)
        toolchain = toolchain_from_memo(tool, memo, place);
    if (toolchain)
        *ret_memo = (struct toolchain_memo){
            place->key, strndup(cubby_object_data(object), cubby_object_size(object))};
    json_decref(memo);
    cubby_object_unref(object);
    return toolchain;
}

void toolchain_memo_make(const struct toolchain_place *place, const struct toolchain *toolchain,
                         struct toolchain_memo *ret_memo) {
    json_t *library, *companion, *memo;

    *ret_memo = (struct toolchain_memo){place->key, NULL};
    if (!belongs(toolchain, place) ||
        (!toolchain->companion_path && tool_get(toolchain->tool)->needs_companion))
        return;
    library = library_file_stamp(toolchain->path);
    companion =
        toolchain->companion_path ? library_file_stamp(toolchain->companion_path) : json_null();
    memo = json_pack("{s:o, s:o, s:i, s:i, s:s?, s:s, s:s?}", "library", library, "companion",
                     companion, "major", toolchain->major, "minor", toolchain->minor, "include_dir",
                     toolchain->include_dir, "fingerprint", toolchain->fingerprint, "libdevice",
                     toolchain->libdevice);
    if (memo)
        ret_memo->text = json_dumps(memo, JSON_COMPACT);
    json_decref(memo);
}

/* True if it is remembered just so. */
static bool is_remembered(const struct toolchain_memory *memory,
                          const struct toolchain_memo *memo) {
    struct cubby_object *object;
    bool is_same;

    if (memory->load(memory->context, &memo->key, &object) != 0)
        return false;
    is_same = cubby_object_size(object) == strlen(memo->text) &&
              memcmp(cubby_object_data(object), memo->text, strlen(memo->text)) == 0;
    cubby_object_unref(object);
    return is_same;
}

void toolchain_memo_store(const struct toolchain_memory *memory,
                          const struct toolchain_memo *memo) {
    if (memo->text && !is_remembered(memory, memo))
        memory->store(memory->context, &memo->key, memo->text, strlen(memo->text));
}
