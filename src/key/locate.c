/* SPDX-License-Identifier: Apache-2.0 */
#include "key/locate.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/dl.h"
#include "os/env.h"
#include "util/error.h"

static const char *const NVRTC_SONAMES[] = {"libnvrtc.so.13",   "libnvrtc.so.12",
                                            "libnvrtc.so.11.2", "libnvrtc.so.11.1",
                                            "libnvrtc.so.11.0", NULL};
static const char *const NVJITLINK_SONAMES[] = {"libnvJitLink.so.13", "libnvJitLink.so.12", NULL};
/* CUDA 12's wheels have it without a version in its name. */
static const char *const NVVM_SONAMES[] = {"libnvvm.so.4", "libnvvm.so", NULL};
static const char *const DRIVER_SONAMES[] = {"libcuda.so.1", NULL};

const struct library LIBRARY_NVRTC = {"NVRTC", "libnvrtc.so", "CUBBY_NVRTC", NVRTC_SONAMES};
const struct library LIBRARY_NVJITLINK = {"nvJitLink", "libnvJitLink.so", "CUBBY_NVJITLINK",
                                          NVJITLINK_SONAMES};
const struct library LIBRARY_NVVM = {"libNVVM", "libnvvm.so", "CUBBY_NVVM", NVVM_SONAMES};
const struct library LIBRARY_DRIVER = {"the CUDA driver", "libcuda.so", "CUBBY_CUDA",
                                       DRIVER_SONAMES};

/* Library folders of a toolkit, relative to its root. */
static const char *const TOOLKIT_DIRS[] = {
    "lib64", "lib", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib", "nvvm/lib64", NULL};

static void note_tried(struct buffer *tried, const char *place, const char *remark) {
    if (tried)
        buffer_format(tried, "\n  %s%s", place, remark);
}

/* dir/name as new text if it can be read. */
static char *readable_file(const char *dir, const char *name) {
    char *path;

    if (asprintf(&path, "%s/%s", dir, name) < 0)
        return NULL;
    if (access(path, R_OK) == 0)
        return path;
    free(path);
    return NULL;
}

static char *in_folder(const struct library *library, const char *dir) {
    for (size_t i = 0; library->sonames[i]; i++) {
        char *path = readable_file(dir, library->sonames[i]);

        if (path)
            return path;
    }
    return NULL;
}

static char *in_toolkit(const struct library *library, const char *root) {
    for (size_t i = 0; TOOLKIT_DIRS[i]; i++) {
        char *dir, *path;

        if (asprintf(&dir, "%s/%s", root, TOOLKIT_DIRS[i]) < 0)
            return NULL;
        path = in_folder(library, dir);
        free(dir);
        if (path)
            return path;
    }
    return NULL;
}

static int newer_first(const void *left, const void *right) {
    return strverscmp(*(char *const *)right, *(char *const *)left);
}

/* The library in the folders that match a pattern, the newest version first. */
static char *in_pattern(const struct library *library, const char *pattern,
                        char *(*look)(const struct library *, const char *), struct buffer *tried) {
    char *path = NULL;
    glob_t matches;

    note_tried(tried, pattern, "");
    if (glob(pattern, GLOB_NOSORT | GLOB_ONLYDIR, NULL, &matches) != 0)
        return NULL;
    qsort(matches.gl_pathv, matches.gl_pathc, sizeof(char *), newer_first);
    for (size_t i = 0; i < matches.gl_pathc && !path; i++)
        path = look(library, matches.gl_pathv[i]);
    globfree(&matches);
    return path;
}

/* As in_pattern, with a folder of the user's before it; nothing where that is not set. */
static char *in_wheels(const struct library *library, const char *root, const char *pattern,
                       struct buffer *tried) {
    char *full, *path;

    if (!root || asprintf(&full, "%s/%s", root, pattern) < 0)
        return NULL;
    path = in_pattern(library, full, in_folder, tried);
    free(full);
    return path;
}

static char *in_user_toolkit(const struct library *library, const char *variable,
                             struct buffer *tried) {
    const char *root = env_get(variable);

    note_tried(tried, variable, root ? " (set)" : " (not set)");
    return root ? in_toolkit(library, root) : NULL;
}

char *locate_in_library_path(const char *name) {
    const char *dirs = env_get("LD_LIBRARY_PATH");
    char *path = NULL;

    while (dirs && !path) {
        size_t length = strcspn(dirs, ":;");
        char *dir = length > 0 ? strndup(dirs, length) : strdup(".");

        path = dir ? readable_file(dir, name) : NULL;
        free(dir);
        dirs = dirs[length] ? dirs + length + 1 : NULL;
    }
    return path;
}

static char *in_library_path(const struct library *library) {
    for (size_t i = 0; library->sonames[i]; i++) {
        char *path = locate_in_library_path(library->sonames[i]);

        if (path)
            return path;
    }
    return NULL;
}

/* Steps 5 to 7. */
static char *in_usual_places(const struct library *library, struct buffer *tried) {
    static const char *const PATTERNS[] = {"lib/python3*/site-packages/nvidia/*/lib",
                                           "lib/python3*/site-packages/nvidia/*/nvvm/lib64"};
    static const char *const CONFIGURED[] = {"nvidia/*/lib", "nvidia/*/nvvm/lib64"};
    const char *home = env_get("HOME");
    char *path = in_pattern(library, "/usr/local/cuda", in_toolkit, tried);
    char *local = NULL;

    if (!path)
        path = in_pattern(library, "/usr/local/cuda-*", in_toolkit, tried);
    if (home && asprintf(&local, "%s/.local", home) < 0)
        local = NULL;
    for (size_t i = 0; i < 2 && !path; i++) {
        path = in_wheels(library, env_get("VIRTUAL_ENV"), PATTERNS[i], tried);
        if (!path)
            path = in_wheels(library, local, PATTERNS[i], tried);
        if (!path)
            path = in_wheels(library, "/usr/local", PATTERNS[i], tried);
    }
    free(local);
    if (!path && *CONFIGURED_CUDA)
        path = in_pattern(library, CONFIGURED_CUDA, in_toolkit, tried);
    for (size_t i = 0; i < 2 && !path && *CONFIGURED_CUDA; i++)
        path = in_wheels(library, CONFIGURED_CUDA, CONFIGURED[i], tried);
    return path;
}

static int take(char *path, struct location *ret_location) {
    *ret_location = (struct location){.path = path};
    return 0;
}

/* Steps 1 to 3; sets no output where it finds nothing. */
static int locate_by_user(const struct library *library, struct location *ret_location,
                          struct buffer *tried, struct cubby_error *error) {
    const char *named = env_get(library->variable);
    char *path = dl_loaded_path(library->prefix);

    if (path)
        return take(path, ret_location);
    note_tried(tried, library->variable, named ? " (set)" : " (not set)");
    if (named) {
        if (access(named, R_OK) != 0)
            return error_set(error, CUBBY_ERR_NO_TOOLCHAIN,
                             "%s names %s, which cannot be read: set it to the file of %s or "
                             "unset it",
                             library->variable, named, library->label);
        path = realpath(named, NULL);
        return path ? take(path, ret_location) : error_no_memory(error);
    }
    path = in_user_toolkit(library, "CUDA_HOME", tried);
    if (!path)
        path = in_user_toolkit(library, "CUDA_PATH", tried);
    return path ? take(path, ret_location) : CUBBY_ERR_NOT_FOUND;
}

int locate_library(const struct library *library, bool skip_linker, struct location *ret_location,
                   struct buffer *tried, struct cubby_error *error) {
    int result;
    char *path;

    if (!skip_linker) {
        result = locate_by_user(library, ret_location, tried, error);
        if (result != CUBBY_ERR_NOT_FOUND)
            return result;
        path = in_library_path(library);
        if (path)
            return take(path, ret_location);
        note_tried(tried, "the dynamic linker's own search for ", library->prefix);
        *ret_location = (struct location){.path = NULL};
        return 0;
    }
    path = in_usual_places(library, tried);
    return path ? take(path, ret_location) : CUBBY_ERR_NOT_FOUND;
}

char *locate_include_dir(const char *library_path) {
    /* The last is where the wheels of CUDA 11 and 12 have them, each in a folder of its own. */
    static const char *const RELATIVE[] = {"../include", "../../include", "../../../include",
                                           "../../cuda_runtime/include"};
    char *resolved = realpath(library_path, NULL);
    char *found = NULL;

    for (size_t i = 0; resolved && !found && i < sizeof(RELATIVE) / sizeof(*RELATIVE); i++) {
        char *header = NULL, *dir = NULL;
        char *slash = strrchr(resolved, '/');

        if (asprintf(&dir, "%.*s/%s", (int)(slash - resolved), resolved, RELATIVE[i]) < 0)
            break;
        header = readable_file(dir, "cuda_fp16.h");
        if (header)
            found = realpath(dir, NULL);
        free(header);
        free(dir);
    }
    free(resolved);
    return found;
}
