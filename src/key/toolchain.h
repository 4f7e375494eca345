/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which compilers and linkers are in use, and what makes each different from any other.
 *
 * The fingerprint is the library's version with its build-id, and, for NVRTC, that of
 * libnvrtc-builtins, which holds its headers and device code and is loaded by name at the first
 * compile. Finding it loads the library (4 to 240 ms); so it is remembered in the cache under the
 * identity of the files (path, device, inode, size, mtime, ctime), and a hit loads nothing.
 *
 * Once found, a tool stays the same for the life of the process, as a loaded library does.
 */
#ifndef CUBBY_KEY_TOOLCHAIN_H
#define CUBBY_KEY_TOOLCHAIN_H

#include <cubby/cubby.h>

/* Where fingerprints are remembered; the cache gives one. */
struct toolchain_memory {
    int (*load)(void *context, const struct cubby_key *key, struct cubby_object **ret_object);
    void (*store)(void *context, const struct cubby_key *key, const void *data, size_t size);
    void (*forget)(void *context, const struct cubby_key *key);
    void *context;
};

/* A tool as found; immutable. The ones of this process are never freed. Owns its strings. */
struct toolchain {
    int major;
    int minor;
    const char *path;           /* the library; NULL where it could not be found or used */
    const char *companion_path; /* NVRTC's builtins, libNVVM's libdevice; NULL where not found */
    const char *include_dir;    /* NULL where the toolkit's headers were not found */
    const char *fingerprint;
    enum cubby_tool tool;
    const char *libdevice; /* identity of libNVVM's libdevice; NULL where there is none */
};

void toolchain_free(struct toolchain *toolchain);

/* The name of a tool for people, such as "nvJitLink". */
const char *toolchain_label(enum cubby_tool tool);

/*
 * Finds a tool. memory may be NULL.
 * Returns 0 and a borrowed toolchain, NO_TOOLCHAIN (NO_DRIVER for the driver) with the places it
 * looked at, or NO_MEMORY: where memory is short, no other tool takes the place of the one that
 * could not be looked for.
 */
int toolchain_find(enum cubby_tool tool, const struct toolchain_memory *memory,
                   const struct toolchain **ret_toolchain, struct cubby_error *error);

/* Has those of this process remembered that were found, maybe in another cache, and lie where they
 * would be looked for again. */
void toolchain_remember(const struct toolchain_memory *memory);

/*
 * What stands in a key for a tool that could not be found or used: "<tool>_probe_failed" with the
 * code of the failure, which is never equal to the fingerprint of a working tool, and the same in
 * every call and process. Borrowed; NULL when memory is short.
 */
const struct toolchain *toolchain_failed(enum cubby_tool tool, const struct cubby_error *error);

/*
 * A tool that is not here, for the keys of what it made where it was: nothing can be compiled with
 * it. Borrowed, and the same for the same fingerprint; NULL when memory is short.
 */
const struct toolchain *toolchain_stand_in(enum cubby_tool tool, const char *fingerprint);

/*
 * Loads the tool itself, if it is not loaded yet, and makes the toolchain fit what was really
 * loaded: it differs from what toolchain_find() said only when files were replaced meanwhile. What
 * was remembered is then forgotten.
 * Returns 0 with the dlopen handle and the toolchain, both borrowed, or as toolchain_find().
 */
int toolchain_load(enum cubby_tool tool, const struct toolchain_memory *memory, void **ret_handle,
                   const struct toolchain **ret_toolchain, struct cubby_error *error);

/*
 * To be called after a compile, when libnvrtc-builtins is loaded: false where another file than the
 * fingerprint's was used, so that what was compiled does not belong under its key.
 */
bool toolchain_was_used(const struct toolchain *toolchain);

#endif
