/* SPDX-License-Identifier: Apache-2.0 */
#include "key/toolchain.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "key/build_id.h"
#include "key/locate.h"
#include "key/toolchain_memo.h"
#include "os/dl.h"
#include "os/fork.h"
#include "util/error.h"
#include "util/log.h"

/* The dlopen table: what this process uses. Old toolchains stay: others may still hold them. */
static struct {
    pthread_mutex_t lock;
    const struct toolchain *toolchain;
    void *handle;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t guarded = PTHREAD_ONCE_INIT;

static void hold_state(void *context) {
    pthread_mutex_lock(context);
}

static void release_state(void *context, bool in_child) {
    (void)in_child;
    pthread_mutex_unlock(context);
}

/* Stores are asked with the lock held, so it comes before theirs. */
static void guard_state(void) {
    static struct fork_guard guard = {hold_state, release_state, &state.lock, FORK_LEVEL_TOOLCHAIN,
                                      NULL};

    fork_guard_add(&guard);
}

static void lock_state(void) {
    pthread_once(&guarded, guard_state);
    pthread_mutex_lock(&state.lock);
}

void toolchain_free(struct toolchain *toolchain) {
    if (!toolchain)
        return;
    free((char *)toolchain->nvrtc_path);
    free((char *)toolchain->builtins_path);
    free((char *)toolchain->include_dir);
    free((char *)toolchain->fingerprint);
    free(toolchain);
}

/* ---- Loading --------------------------------------------------------------- */

static void *load_by_soname(const struct library *library) {
    for (size_t i = 0; library->sonames[i]; i++) {
        void *handle = dlopen(library->sonames[i], RTLD_NOW | RTLD_LOCAL);

        if (handle)
            return handle;
    }
    return NULL;
}

static int fail_not_found(const struct buffer *tried, struct cubby_error *error) {
    return error_set(
        error, CUBBY_ERR_NO_TOOLCHAIN,
        "NVRTC, the CUDA run-time compiler, was not found: install the CUDA toolkit or "
        "`pip install nvidia-cuda-nvrtc`, or set CUBBY_NVRTC to libnvrtc.so. Looked at:"
        "%.*s",
        (int)tried->size, tried->data ? tried->data : "");
}

/* Opens NVRTC where locate_library() says it is. */
static int load_library(void **ret_handle, struct cubby_error *error) {
    struct buffer tried = BUFFER_INIT;
    struct location location = {NULL};
    void *handle = NULL;
    int result;

    result = locate_library(&LIBRARY_NVRTC, false, &location, &tried, error);
    if (result == 0 && !location.path) {
        handle = load_by_soname(&LIBRARY_NVRTC);
        if (!handle)
            result = locate_library(&LIBRARY_NVRTC, true, &location, &tried, error);
    }
    if (result == 0 && location.path) {
        /* By its resolved name, so that $ORIGIN, from where it loads its builtins, is certain. */
        char *resolved = realpath(location.path, NULL);

        handle = resolved ? dlopen(resolved, RTLD_NOW | RTLD_LOCAL) : NULL;
        free(resolved);
        if (!handle)
            result = error_set(error, CUBBY_ERR_NO_TOOLCHAIN, "%s cannot be loaded as NVRTC: %s",
                               location.path, dlerror());
    }
    if (result == CUBBY_ERR_NOT_FOUND)
        result = fail_not_found(&tried, error);
    if (result == 0)
        *ret_handle = handle;
    free(location.path);
    buffer_free(&tried);
    return result;
}

/* ---- Identifying ------------------------------------------------------------ */

static int library_version(void *handle, const char *path, int *ret_major, int *ret_minor,
                           struct cubby_error *error) {
    int (*version)(int *, int *) = NULL;
    const struct dl_symbol symbols[] = {{"nvrtcVersion", (void **)&version}, {NULL, NULL}};

    if (!dl_resolve(handle, symbols, NULL))
        return error_set(error, CUBBY_ERR_NO_TOOLCHAIN,
                         "%s is not NVRTC: it has no nvrtcVersion; set CUBBY_NVRTC to libnvrtc.so",
                         path);
    if (version(ret_major, ret_minor) != 0)
        return error_set(error, CUBBY_ERR_NO_TOOLCHAIN, "%s does not tell its version", path);
    return 0;
}

char *toolchain_builtins_name(int major, int minor) {
    char *name;

    return asprintf(&name, "libnvrtc-builtins.so.%d.%d", major, minor) < 0 ? NULL : name;
}

char *toolchain_builtins_beside(const char *nvrtc_path, const char *name) {
    char *path, *resolved;

    if (asprintf(&path, "%.*s/%s", (int)(strrchr(nvrtc_path, '/') - nvrtc_path), nvrtc_path, name) <
        0)
        return NULL;
    resolved = realpath(path, NULL);
    free(path);
    return resolved;
}

/*
 * Loads the builtins that belong to this NVRTC and returns their path as new text.
 *
 * NVRTC asks the dynamic linker for them by bare name at the first compile. Without a RUNPATH
 * (13.0), or with LD_LIBRARY_PATH set, that may give those of another toolkit, which NVRTC does
 * not notice. Once they are loaded by path, the linker gives NVRTC these.
 */
static int load_builtins(const struct toolchain *toolchain, char **ret_path,
                         struct cubby_error *error) {
    char *name = toolchain_builtins_name(toolchain->major, toolchain->minor);
    char *path = name ? dl_loaded_path(name) : NULL;
    void *handle;
    int result = 0;

    if (name && !path)
        path = toolchain_builtins_beside(toolchain->nvrtc_path, name);
    if (path && !build_is_whole(path)) {
        result = error_set(error, CUBBY_ERR_NO_TOOLCHAIN,
                           "%s is damaged (cut short): install the CUDA toolkit again", path);
    } else if (name) {
        handle = dlopen(path ? path : name, RTLD_NOW | RTLD_LOCAL);
        if (handle && !path)
            path = dl_handle_path(handle);
    }
    if (result == 0)
        *ret_path = path;
    else
        free(path);
    free(name);
    return result;
}

static int make_fingerprint(struct toolchain *toolchain, struct cubby_error *error) {
    char *nvrtc = NULL, *builtins = NULL, *fingerprint = NULL;
    int result = build_identity(toolchain->nvrtc_path, &nvrtc, error);

    if (result == 0 && toolchain->builtins_path)
        result = build_identity(toolchain->builtins_path, &builtins, error);
    if (result == 0 && asprintf(&fingerprint, "nvrtc %d.%d %s builtins %s", toolchain->major,
                                toolchain->minor, nvrtc, builtins ? builtins : "none") < 0)
        result = error_no_memory(error);
    if (result == 0)
        toolchain->fingerprint = fingerprint;
    free(nvrtc);
    free(builtins);
    return result;
}

/* All about a loaded library. */
static int identify(void *handle, struct toolchain **ret_toolchain, struct cubby_error *error) {
    struct toolchain *toolchain = calloc(1, sizeof(*toolchain));
    int result = 0;

    if (!toolchain)
        return error_no_memory(error);
    toolchain->nvrtc_path = dl_handle_path(handle);
    if (!toolchain->nvrtc_path)
        result = error_set(error, CUBBY_ERR_NO_TOOLCHAIN,
                           "NVRTC was loaded from a file that cannot be found any more");
    if (result == 0)
        result = library_version(handle, toolchain->nvrtc_path, &toolchain->major,
                                 &toolchain->minor, error);
    if (result == 0)
        result = load_builtins(toolchain, (char **)&toolchain->builtins_path, error);
    if (result == 0) {
        toolchain->include_dir = locate_include_dir(toolchain->nvrtc_path);
        result = make_fingerprint(toolchain, error);
    }
    if (result == 0)
        *ret_toolchain = toolchain;
    else
        toolchain_free(toolchain);
    return result;
}

/* ---- The toolchain of this process ------------------------------------------- */

/* Loads and identifies with the lock held. */
static int load_locked(const struct toolchain_memory *memory, struct cubby_error *error) {
    struct toolchain *toolchain = NULL;
    struct cubby_key place;
    void *handle = NULL;
    bool has_place;
    int result;

    if (state.handle)
        return 0;
    has_place = toolchain_memo_place(&place); /* before loading changes the answer */
    result = load_library(&handle, error);
    if (result == 0)
        result = identify(handle, &toolchain, error);
    if (result != 0) {
        if (handle)
            dlclose(handle);
        return result;
    }
    state.handle = handle;
    if (state.toolchain && strcmp(state.toolchain->fingerprint, toolchain->fingerprint) == 0) {
        toolchain_free(toolchain);
        return 0;
    }
    if (state.toolchain)
        log_line(CUBBY_LOG_WARN, "the CUDA toolkit changed while this program ran: now %s",
                 toolchain->nvrtc_path);
    state.toolchain = toolchain;
    if (memory && has_place)
        toolchain_memo_store(memory, &place, toolchain);
    return 0;
}

int toolchain_find(const struct toolchain_memory *memory, const struct toolchain **ret_toolchain,
                   struct cubby_error *error) {
    struct cubby_key place;
    int result = 0;

    lock_state();
    if (!state.toolchain && memory && toolchain_memo_place(&place))
        state.toolchain = toolchain_memo_load(memory, &place);
    if (!state.toolchain)
        result = load_locked(memory, error);
    if (result == 0)
        *ret_toolchain = state.toolchain;
    pthread_mutex_unlock(&state.lock);
    return result;
}

int toolchain_load(const struct toolchain_memory *memory, void **ret_handle,
                   const struct toolchain **ret_toolchain, struct cubby_error *error) {
    int result;

    lock_state();
    result = load_locked(memory, error);
    if (result == 0) {
        *ret_handle = state.handle;
        *ret_toolchain = state.toolchain;
    }
    pthread_mutex_unlock(&state.lock);
    return result;
}

static bool same_file(const char *left, const char *right) {
    struct stat a, b;

    return stat(left, &a) == 0 && stat(right, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

bool toolchain_was_used(const struct toolchain *toolchain) {
    char *loaded = dl_loaded_path("libnvrtc-builtins.so");
    bool same =
        !loaded || (toolchain->builtins_path && same_file(loaded, toolchain->builtins_path));

    free(loaded);
    return same;
}

/* ---- Public ------------------------------------------------------------------- */

void cubby_toolchain_clear(struct cubby_toolchain *toolchain) {
    if (!toolchain)
        return;
    free(toolchain->nvrtc_path);
    free(toolchain->builtins_path);
    free(toolchain->include_dir);
    free(toolchain->fingerprint);
    memset(toolchain, 0, sizeof(*toolchain));
}
