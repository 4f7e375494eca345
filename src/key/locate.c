/* SPDX-License-Identifier: Apache-2.0 */
#include "key/locate.h"

#include <errno.h>
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

/*
 * One search. Paths are made in place: one that does not fit could not be opened either, and there
 * is no shortage of memory that could pass for a library that is not there.
 */
struct search {
    const struct library *library;
    struct buffer *tried;
    char *path;  /* of PATH_MAX bytes: what was looked at last */
    bool failed; /* memory ran out in glob() */
};

static void note_tried(const struct search *search, const char *place, const char *remark) {
    if (search->tried)
        buffer_format(search->tried, "\n  %s%s", place, remark);
}

/* dir/name; false where it is too long for a path. */
static bool join(char ret_path[PATH_MAX], const char *dir, const char *name) {
    return snprintf(ret_path, PATH_MAX, "%s/%s", dir, name) < PATH_MAX;
}

static bool in_folder(struct search *search, const char *dir) {
    for (size_t i = 0; search->library->sonames[i]; i++) {
        if (join(search->path, dir, search->library->sonames[i]) && access(search->path, R_OK) == 0)
            return true;
    }
    return false;
}

static bool in_toolkit(struct search *search, const char *root) {
    char dir[PATH_MAX];

    for (size_t i = 0; TOOLKIT_DIRS[i]; i++) {
        if (join(dir, root, TOOLKIT_DIRS[i]) && in_folder(search, dir))
            return true;
    }
    return false;
}

static int newer_first(const void *left, const void *right) {
    return strverscmp(*(char *const *)right, *(char *const *)left);
}

/* A folder that cannot be read has nothing in it, unless it was memory that ran out. */
static int stop_at_shortage(const char *path, int errnum) {
    (void)path;
    return errnum == ENOMEM;
}

/* The library in the folders that match a pattern, the newest version first. */
static bool in_pattern(struct search *search, const char *pattern,
                       bool (*look)(struct search *, const char *)) {
    bool found = false;
    glob_t matches;
    int result;

    note_tried(search, pattern, "");
    result = glob(pattern, GLOB_NOSORT | GLOB_ONLYDIR, stop_at_shortage, &matches);
    if (result == 0)
        qsort(matches.gl_pathv, matches.gl_pathc, sizeof(char *), newer_first);
    for (size_t i = 0; result == 0 && i < matches.gl_pathc && !found; i++)
        found = look(search, matches.gl_pathv[i]);
    globfree(&matches);
    search->failed = search->failed || result == GLOB_NOSPACE || result == GLOB_ABORTED;
    return found;
}

/* As in_pattern, with a folder of the user's before it; nothing where that is not set. */
static bool in_wheels(struct search *search, const char *root, const char *pattern) {
    char full[PATH_MAX];

    return root && join(full, root, pattern) && in_pattern(search, full, in_folder);
}

static bool in_user_toolkit(struct search *search, const char *variable) {
    const char *root = env_get(variable);

    note_tried(search, variable, root ? " (set)" : " (not set)");
    return root && in_toolkit(search, root);
}

/* One soname in the folders of LD_LIBRARY_PATH; an empty one is the working folder. */
static bool in_library_path(struct search *search, const char *soname) {
    const char *dirs = env_get("LD_LIBRARY_PATH");

    while (dirs) {
        int length = (int)strcspn(dirs, ":;");

        if (snprintf(search->path, PATH_MAX, "%.*s/%s", length > 0 ? length : 1,
                     length > 0 ? dirs : ".", soname) < PATH_MAX &&
            access(search->path, R_OK) == 0)
            return true;
        dirs = dirs[length] ? dirs + length + 1 : NULL;
    }
    return false;
}

static bool in_library_paths(struct search *search) {
    for (size_t i = 0; search->library->sonames[i]; i++) {
        if (in_library_path(search, search->library->sonames[i]))
            return true;
    }
    return false;
}

/* Steps 5 to 7. */
static bool in_usual_places(struct search *search) {
    static const char *const PATTERNS[] = {"lib/python3*/site-packages/nvidia/*/lib",
                                           "lib/python3*/site-packages/nvidia/*/nvvm/lib64"};
    static const char *const CONFIGURED[] = {"nvidia/*/lib", "nvidia/*/nvvm/lib64"};
    const char *home = env_get("HOME");
    char local[PATH_MAX];
    bool found = in_pattern(search, "/usr/local/cuda", in_toolkit) ||
                 in_pattern(search, "/usr/local/cuda-*", in_toolkit);

    if (home && !join(local, home, ".local"))
        home = NULL;
    for (size_t i = 0; i < 2 && !found; i++)
        found = in_wheels(search, env_get("VIRTUAL_ENV"), PATTERNS[i]) ||
                in_wheels(search, home ? local : NULL, PATTERNS[i]) ||
                in_wheels(search, "/usr/local", PATTERNS[i]);
    if (!*CONFIGURED_CUDA)
        return found;
    found = found || in_pattern(search, CONFIGURED_CUDA, in_toolkit);
    for (size_t i = 0; i < 2 && !found; i++)
        found = in_wheels(search, CONFIGURED_CUDA, CONFIGURED[i]);
    return found;
}

/* Step 2. */
static int locate_named(struct search *search, const char *named, struct cubby_error *error) {
    if (access(named, R_OK) == 0 && realpath(named, search->path))
        return 0;
    return error_set(error, errno == ENOMEM ? CUBBY_ERR_NO_MEMORY : CUBBY_ERR_NO_TOOLCHAIN,
                     "%s names %s, which cannot be read: set it to the file of %s or unset it",
                     search->library->variable, named, search->library->label);
}

/* Steps 1 to 4. */
static int locate_first(struct search *search, struct cubby_error *error) {
    const struct library *library = search->library;
    const char *named = env_get(library->variable);

    if (dl_loaded_path(library->prefix, search->path))
        return 0;
    note_tried(search, library->variable, named ? " (set)" : " (not set)");
    if (named)
        return locate_named(search, named, error);
    if (in_user_toolkit(search, "CUDA_HOME") || in_user_toolkit(search, "CUDA_PATH") ||
        in_library_paths(search))
        return 0;
    note_tried(search, "the dynamic linker's own search for ", library->prefix);
    search->path[0] = '\0';
    return 0;
}

int locate_library(const struct library *library, bool skip_linker, struct location *ret_location,
                   struct buffer *tried, struct cubby_error *error) {
    struct search search = {library, tried, ret_location->path, false};
    bool found;

    if (!skip_linker)
        return locate_first(&search, error);
    found = in_usual_places(&search);
    if (search.failed)
        return error_no_memory(error);
    return found ? 0 : CUBBY_ERR_NOT_FOUND;
}

bool locate_include_dir(const char *library_path, char ret_dir[PATH_MAX]) {
    /* The last is where the wheels of CUDA 11 and 12 have them, each in a folder of its own. */
    static const char *const RELATIVE[] = {"../include", "../../include", "../../../include",
                                           "../../cuda_runtime/include"};
    char folder[PATH_MAX], dir[PATH_MAX], header[PATH_MAX];

    if (!realpath(library_path, folder))
        return false;
    *strrchr(folder, '/') = '\0';
    for (size_t i = 0; i < sizeof(RELATIVE) / sizeof(*RELATIVE); i++) {
        if (join(dir, folder, RELATIVE[i]) && join(header, dir, "cuda_fp16.h") &&
            access(header, R_OK) == 0)
            return realpath(dir, ret_dir);
    }
    return false;
}
