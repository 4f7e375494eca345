/* SPDX-License-Identifier: Apache-2.0 */
#include "key/toolchain_memo.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "key/digest.h"
#include "key/library_file.h"
#include "key/locate.h"
#include "os/dl.h"
#include "os/env.h"

#define LINKER_CACHE "/etc/ld.so.cache"

enum { TAG_PATH = 1, TAG_LINKER_CACHE = 2, TAG_VARIABLE = 3 };

/* Where only the dynamic linker can tell, its cache file decides what it finds: NVRTC where no
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

bool toolchain_memo_place(struct cubby_key *ret_place) {
    static const char *const VARIABLES[] = {"LD_LIBRARY_PATH", "VIRTUAL_ENV", "HOME"};
    char *loaded = dl_loaded_path(LIBRARY_NVRTC.prefix);
    struct location location = {NULL};
    struct digest digest;

    if (loaded) {
        free(loaded);
        return false;
    }
    if (locate_library(&LIBRARY_NVRTC, false, &location, NULL, NULL) != 0)
        return false;
    digest_init(&digest, "cubby tools v1");
    if (location.path)
        digest_field(&digest, TAG_PATH, location.path, strlen(location.path));
    add_linker_cache(&digest);
    for (size_t i = 0; i < sizeof(VARIABLES) / sizeof(*VARIABLES); i++) {
        const char *value = env_get(VARIABLES[i]);

        digest_field(&digest, TAG_VARIABLE, value, value ? strlen(value) : 0);
    }
    digest_result(&digest, ret_place);
    free(location.path);
    return true;
}

static char *copy_string(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));

    return text ? strdup(text) : NULL;
}

/*
 * True if the builtins that would be loaded now are those of the memo, unchanged: those beside
 * NVRTC, or, where there are none, what the dynamic linker found, which the memo's place covers.
 */
static bool builtins_unchanged(const json_t *memo, const struct toolchain *toolchain) {
    const json_t *stamp = json_object_get(memo, "builtins");
    char *name = toolchain_builtins_name(toolchain->major, toolchain->minor);
    char *beside = name ? toolchain_builtins_beside(toolchain->nvrtc_path, name) : NULL;
    bool same = !beside || strcmp(beside, toolchain->builtins_path) == 0;

    free(beside);
    free(name);
    return same && library_file_unchanged(stamp);
}

static struct toolchain *toolchain_from_memo(const json_t *memo) {
    const json_t *nvrtc = json_object_get(memo, "nvrtc");
    struct toolchain *toolchain = calloc(1, sizeof(*toolchain));

    if (!toolchain)
        return NULL;
    toolchain->major = (int)json_integer_value(json_object_get(memo, "major"));
    toolchain->minor = (int)json_integer_value(json_object_get(memo, "minor"));
    toolchain->nvrtc_path = copy_string(nvrtc, "path");
    toolchain->builtins_path = copy_string(json_object_get(memo, "builtins"), "path");
    toolchain->include_dir = copy_string(memo, "include_dir");
    toolchain->fingerprint = copy_string(memo, "fingerprint");
    if (toolchain->nvrtc_path && toolchain->builtins_path && toolchain->fingerprint &&
        library_file_unchanged(nvrtc) && builtins_unchanged(memo, toolchain))
        return toolchain;
    toolchain_free(toolchain);
    return NULL;
}

struct toolchain *toolchain_memo_load(const struct toolchain_memory *memory,
                                      const struct cubby_key *place) {
    struct toolchain *toolchain = NULL;
    struct cubby_object *object;
    json_t *memo;

    if (memory->load(memory->context, place, &object) != 0)
        return NULL;
    memo = json_loadb(cubby_object_data(object), cubby_object_size(object), 0, NULL);
    if (memo)
        toolchain = toolchain_from_memo(memo);
    json_decref(memo);
    cubby_object_unref(object);
    return toolchain;
}

void toolchain_memo_store(const struct toolchain_memory *memory, const struct cubby_key *place,
                          const struct toolchain *toolchain) {
    json_t *nvrtc, *builtins, *memo;
    char *text = NULL;

    if (!toolchain->builtins_path)
        return;
    nvrtc = library_file_stamp(toolchain->nvrtc_path);
    builtins = library_file_stamp(toolchain->builtins_path);
    memo = json_pack("{s:o, s:o, s:i, s:i, s:s?, s:s}", "nvrtc", nvrtc, "builtins", builtins,
                     "major", toolchain->major, "minor", toolchain->minor, "include_dir",
                     toolchain->include_dir, "fingerprint", toolchain->fingerprint);
    if (memo)
        text = json_dumps(memo, JSON_COMPACT);
    if (text)
        memory->store(memory->context, place, text, strlen(text));
    free(text);
    json_decref(memo);
}
