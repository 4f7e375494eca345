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
#include "key/tool.h"
#include "key/toolchain_memo.h"
#include "os/dl.h"
#include "os/fork.h"
#include "util/error.h"
#include "util/log.h"

/* The dlopen table: what this process uses. Old toolchains stay: others may still hold them. */
struct slot {
    const struct toolchain *toolchain;
    void *handle;
    struct toolchain_memo memo; /* of the toolchain, as it was found */
    bool absent; /* the driver was looked for in vain, as PTX and links do each time */
};

static struct {
    pthread_mutex_t lock;
    struct slot slots[TOOL_COUNT];
    const struct toolchain *failed[TOOL_COUNT];
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
    free((char *)toolchain->path);
    free((char *)toolchain->companion_path);
    free((char *)toolchain->include_dir);
    free((char *)toolchain->fingerprint);
    free((char *)toolchain->libdevice);
    free(toolchain);
}

const char *toolchain_label(enum cubby_tool tool) {
    return tool_get(tool)->library->label;
}

/* ---- Loading ----------------------------------------------------------------------------- */

static int load_by_soname(const struct library *library, void **ret_handle) {
    int result = CUBBY_ERR_NOT_FOUND;

    for (size_t i = 0; library->sonames[i] && result == CUBBY_ERR_NOT_FOUND; i++)
        result = dl_open(library->sonames[i], ret_handle);
    return result;
}

/* By its resolved name, so that $ORIGIN, from where NVRTC loads its builtins, is certain. */
static int load_by_path(const struct tool *tool, const char *path, void **ret_handle,
                        struct cubby_error *error) {
    char resolved[PATH_MAX];
    const char *reason;
    int result;

    result = dl_open(realpath(path, resolved) ? resolved : path, ret_handle);
    if (result == CUBBY_ERR_NOT_FOUND) {
        reason = dlerror(); /* its text is made only now */
        result = reason ? error_set(error, tool->missing_code, "%s cannot be loaded as %s: %s",
                                    path, tool->library->label, reason)
                        : CUBBY_ERR_NO_MEMORY;
    }
    return result;
}

/* Opens a library where locate_library() says it is. */
static int load_library(const struct tool *tool, void **ret_handle, struct cubby_error *error) {
    struct buffer tried = BUFFER_INIT;
    struct location location;
    int result;

    result = locate_library(tool->library, false, &location, &tried, error);
    if (result == 0 && !*location.path) {
        result = load_by_soname(tool->library, ret_handle);
        if (result == CUBBY_ERR_NOT_FOUND)
            result = locate_library(tool->library, true, &location, &tried, error);
    }
    if (result == 0 && *location.path)
        result = load_by_path(tool, location.path, ret_handle, error);
    if (result == CUBBY_ERR_NOT_FOUND)
        result = error_set(error, tool->missing_code, "%s. Looked at:%.*s", tool->advice,
                           (int)tried.size, tried.data ? tried.data : "");
    if (result == CUBBY_ERR_NO_MEMORY)
        error_no_memory(error);
    buffer_free(&tried);
    return result;
}

/* ---- Identifying ------------------------------------------------------------------------- */

/*
 * Loads the builtins that belong to this NVRTC and tells their path, if they are found.
 *
 * NVRTC asks the dynamic linker for them by bare name at the first compile. Without a RUNPATH
 * (13.0), or with LD_LIBRARY_PATH set, that may give those of another toolkit, which NVRTC does
 * not notice. Once they are loaded by path, the linker gives NVRTC these.
 */
static int load_builtins(const struct toolchain *toolchain, char ret_path[PATH_MAX],
                         bool *ret_found, struct cubby_error *error) {
    const struct tool *tool = tool_get(toolchain->tool);
    char name[BUILTINS_NAME_SIZE];
    void *handle = NULL;
    bool found;

    tool_builtins_name(toolchain->major, toolchain->minor, name);
    found = dl_loaded_path(name, ret_path) ||
            tool->companion_beside(toolchain->path, toolchain->major, toolchain->minor, ret_path);
    if (found && !build_is_whole(ret_path))
        return error_set(error, CUBBY_ERR_NO_TOOLCHAIN,
                         "%s is damaged (cut short): install the CUDA toolkit again", ret_path);
    if (dl_open(found ? ret_path : name, &handle) == CUBBY_ERR_NO_MEMORY)
        return error_no_memory(error);
    *ret_found = found || (handle && dl_handle_path(handle, ret_path));
    return 0;
}

/* NVRTC's builtins are in the fingerprint always; libdevice counts only for who asks for it. */
static int make_fingerprint(struct toolchain *toolchain, struct cubby_error *error) {
    bool is_nvrtc = toolchain->tool == CUBBY_TOOL_NVRTC;
    char *library = NULL, *companion = NULL, *fingerprint = NULL;
    int result = build_identity(toolchain->path, &library, error);

    if (result == 0 && toolchain->companion_path)
        result = build_identity(toolchain->companion_path, &companion, error);
    if (result == 0 &&
        asprintf(&fingerprint, "%s %d.%d %s%s%s", tool_get(toolchain->tool)->name, toolchain->major,
                 toolchain->minor, library, is_nvrtc ? " builtins " : "",
                 !is_nvrtc   ? ""
                 : companion ? companion
                             : "none") < 0)
        result = error_no_memory(error);
    if (result == 0)
        toolchain->fingerprint = fingerprint;
    if (result == 0 && toolchain->tool == CUBBY_TOOL_NVVM) {
        toolchain->libdevice = companion;
        companion = NULL;
    }
    free(library);
    free(companion);
    return result;
}

/* Copies a path where there is one. */
static int keep_path(const char *path, bool found, const char **ret_copy,
                     struct cubby_error *error) {
    if (!found)
        return 0;
    *ret_copy = strdup(path);
    return *ret_copy ? 0 : error_no_memory(error);
}

static int find_companion(struct toolchain *toolchain, struct cubby_error *error) {
    const struct tool *tool = tool_get(toolchain->tool);
    char path[PATH_MAX];
    bool found = false;
    int result = 0;

    if (toolchain->tool == CUBBY_TOOL_NVRTC)
        result = load_builtins(toolchain, path, &found, error);
    else if (tool->companion_beside)
        found = tool->companion_beside(toolchain->path, toolchain->major, toolchain->minor, path);
    if (result == 0)
        result = keep_path(path, found, &toolchain->companion_path, error);
    return result;
}

static int find_headers(struct toolchain *toolchain, struct cubby_error *error) {
    char dir[PATH_MAX];
    bool found = toolchain->tool == CUBBY_TOOL_NVRTC && locate_include_dir(toolchain->path, dir);

    return keep_path(dir, found, &toolchain->include_dir, error);
}

/* All about a loaded library. */
static int identify(enum cubby_tool tool, void *handle, struct toolchain **ret_toolchain,
                    struct cubby_error *error) {
    struct toolchain *toolchain = calloc(1, sizeof(*toolchain));
    char path[PATH_MAX];
    int result;

    if (!toolchain)
        return error_no_memory(error);
    toolchain->tool = tool;
    if (dl_handle_path(handle, path))
        result = keep_path(path, true, &toolchain->path, error);
    else
        result = error_set(error, CUBBY_ERR_NO_TOOLCHAIN,
                           "%s was loaded from a file that cannot be found any more",
                           toolchain_label(tool));
    if (result == 0)
        result = tool_get(tool)->version(handle, toolchain->path, &toolchain->major,
                                         &toolchain->minor, error);
    if (result == 0)
        result = find_companion(toolchain, error);
    if (result == 0)
        result = find_headers(toolchain, error);
    if (result == 0)
        result = make_fingerprint(toolchain, error);
    if (result == 0)
        *ret_toolchain = toolchain;
    else
        toolchain_free(toolchain);
    return result;
}

/* ---- The toolchain of this process ------------------------------------------------------- */

/* Loads and identifies with the lock held. */
static int load_locked(enum cubby_tool tool, const struct toolchain_memory *memory,
                       struct cubby_error *error) {
    struct slot *slot = &state.slots[tool];
    struct toolchain *toolchain = NULL;
    struct toolchain_place place;
    void *handle = NULL;
    bool has_place;
    int result;

    if (slot->handle)
        return 0;
    has_place = toolchain_memo_place(tool, &place); /* before loading changes the answer */
    result = load_library(tool_get(tool), &handle, error);
    if (result == 0)
        result = identify(tool, handle, &toolchain, error);
    if (result != 0) {
        if (handle)
            dlclose(handle);
        return result;
    }
    slot->handle = handle;
    if (slot->toolchain && strcmp(slot->toolchain->fingerprint, toolchain->fingerprint) == 0) {
        toolchain_free(toolchain);
        return 0;
    }
    if (slot->toolchain) {
        log_line(CUBBY_LOG_WARN, "%s changed while this program ran: now %s", toolchain_label(tool),
                 toolchain->path);
        if (memory && has_place) /* what was remembered is wrong, also if nothing replaces it */
            memory->forget(memory->context, &place.key);
    }
    slot->toolchain = toolchain;
    free(slot->memo.text);
    slot->memo.text = NULL;
    if (has_place)
        toolchain_memo_make(&place, toolchain, &slot->memo);
    if (memory)
        toolchain_memo_store(memory, &slot->memo);
    return 0;
}

int toolchain_find(enum cubby_tool tool, const struct toolchain_memory *memory,
                   const struct toolchain **ret_toolchain, struct cubby_error *error) {
    struct slot *slot = &state.slots[tool];
    struct toolchain_place place;
    int result = 0;

    lock_state();
    if (!slot->toolchain && memory && toolchain_memo_place(tool, &place))
        slot->toolchain = toolchain_memo_load(tool, memory, &place, &slot->memo);
    if (slot->absent)
        result = error_set(error, CUBBY_ERR_NO_DRIVER,
                           "no CUDA driver was found when this process first looked");
    else if (!slot->toolchain)
        result = load_locked(tool, memory, error);
    if (result == 0)
        *ret_toolchain = slot->toolchain;
    else if (tool == CUBBY_TOOL_DRIVER && result != CUBBY_ERR_NO_MEMORY)
        slot->absent = true;
    pthread_mutex_unlock(&state.lock);
    return result;
}

/* Where memory is short, there is nothing to remember. */
static void copy_memos(struct toolchain_memo copies[TOOL_COUNT]) {
    lock_state();
    for (size_t i = 0; i < TOOL_COUNT; i++) {
        const struct toolchain_memo *memo = &state.slots[i].memo;

        copies[i] = (struct toolchain_memo){memo->key, memo->text ? strdup(memo->text) : NULL};
    }
    pthread_mutex_unlock(&state.lock);
}

/* A store may be slow, and speaks to the user's log: not with the lock held. */
void toolchain_remember(const struct toolchain_memory *memory) {
    struct toolchain_memo copies[TOOL_COUNT];

    copy_memos(copies);
    for (size_t i = 0; i < TOOL_COUNT; i++) {
        toolchain_memo_store(memory, &copies[i]);
        free(copies[i].text);
    }
}

int toolchain_load(enum cubby_tool tool, const struct toolchain_memory *memory, void **ret_handle,
                   const struct toolchain **ret_toolchain, struct cubby_error *error) {
    int result;

    lock_state();
    result = load_locked(tool, memory, error);
    if (result == 0) {
        *ret_handle = state.slots[tool].handle;
        *ret_toolchain = state.slots[tool].toolchain;
    }
    pthread_mutex_unlock(&state.lock);
    return result;
}

/* ---- Tools that are missing -------------------------------------------------------------- */

static struct toolchain *make_failed(enum cubby_tool tool, const char *fingerprint) {
    struct toolchain *failed = calloc(1, sizeof(*failed));

    if (!failed)
        return NULL;
    failed->tool = tool;
    failed->fingerprint = strdup(fingerprint);
    if (failed->fingerprint)
        return failed;
    toolchain_free(failed);
    return NULL;
}

const struct toolchain *toolchain_failed(enum cubby_tool tool, const struct cubby_error *error) {
    const struct toolchain *failed;
    char fingerprint[64];

    snprintf(fingerprint, sizeof(fingerprint), "%s_probe_failed %d", tool_get(tool)->name,
             error->tool_error ? error->tool_error : error->code);
    lock_state();
    failed = state.failed[tool];
    if (!failed || strcmp(failed->fingerprint, fingerprint) != 0) {
        failed = make_failed(tool, fingerprint);
        if (failed)
            state.failed[tool] = failed; /* the one before stays: others may hold it */
    }
    pthread_mutex_unlock(&state.lock);
    return failed;
}

struct stand_in {
    struct toolchain toolchain;
    struct stand_in *next;
};

/* The lock is held. */
static const struct toolchain *make_stand_in(enum cubby_tool tool, const char *fingerprint,
                                             struct stand_in **list) {
    struct stand_in *made = calloc(1, sizeof(*made));

    if (!made)
        return NULL;
    made->toolchain.tool = tool;
    made->toolchain.fingerprint = strdup(fingerprint);
    if (!made->toolchain.fingerprint) {
        free(made);
        return NULL;
    }
    made->next = *list;
    *list = made;
    return &made->toolchain;
}

const struct toolchain *toolchain_stand_in(enum cubby_tool tool, const char *fingerprint) {
    static struct stand_in *all;
    const struct toolchain *found = NULL;

    lock_state();
    for (const struct stand_in *one = all; one && !found; one = one->next) {
        if (one->toolchain.tool == tool && strcmp(one->toolchain.fingerprint, fingerprint) == 0)
            found = &one->toolchain;
    }
    if (!found)
        found = make_stand_in(tool, fingerprint, &all);
    pthread_mutex_unlock(&state.lock);
    return found;
}

/* ---- What was really used ---------------------------------------------------------------- */

static bool same_file(const char *left, const char *right) {
    struct stat a, b;

    return stat(left, &a) == 0 && stat(right, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

bool toolchain_was_used(const struct toolchain *toolchain) {
    char loaded[PATH_MAX];

    /* The others load nothing later. */
    if (toolchain->tool != CUBBY_TOOL_NVRTC || !dl_loaded_path("libnvrtc-builtins.so", loaded))
        return true;
    return toolchain->companion_path && same_file(loaded, toolchain->companion_path);
}

/* ---- Public ------------------------------------------------------------------------------ */

void cubby_tool_info_clear(struct cubby_tool_info *info) {
    if (!info)
        return;
    free(info->path);
    free(info->companion_path);
    free(info->fingerprint);
    memset(info, 0, sizeof(*info));
}

void cubby_toolchain_clear(struct cubby_toolchain *toolchain) {
    if (!toolchain)
        return;
    free(toolchain->nvrtc_path);
    free(toolchain->builtins_path);
    free(toolchain->include_dir);
    free(toolchain->fingerprint);
    memset(toolchain, 0, sizeof(*toolchain));
}
