/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which compiler is in use, and what makes it different from any other.
 *
 * The fingerprint is NVRTC's version with the build-ids of libnvrtc and of libnvrtc-builtins,
 * which holds its headers and device code and is loaded by name at the first compile. Finding it
 * loads NVRTC (6 to 140 ms); so it is remembered in the cache under the identity of the files
 * (path, device, inode, size, mtime, ctime), and a hit loads nothing.
 *
 * Once found, the toolchain stays the same for the life of the process, as a loaded library does.
 */
#ifndef CUBBY_KEY_TOOLCHAIN_H
#define CUBBY_KEY_TOOLCHAIN_H

#include <cubby/cubby.h>

/* Where fingerprints are remembered; the cache gives one. */
struct toolchain_memory {
    int (*load)(void *context, const struct cubby_key *key, struct cubby_object **ret_object);
    void (*store)(void *context, const struct cubby_key *key, const void *data, size_t size);
    void *context;
};

/* A toolchain; immutable. The one of this process is never freed. Owns its strings. */
struct toolchain {
    int major;
    int minor;
    const char *nvrtc_path;
    const char *builtins_path; /* NULL where it was not found: the compiler will say so */
    const char *include_dir;   /* NULL where the toolkit's headers were not found */
    const char *fingerprint;
};

void toolchain_free(struct toolchain *toolchain);

/*
 * Finds the toolchain. memory may be NULL.
 * Returns 0 and a borrowed toolchain, or CUBBY_ERR_NO_TOOLCHAIN with the places it looked at.
 */
int toolchain_find(const struct toolchain_memory *memory, const struct toolchain **ret_toolchain,
                   struct cubby_error *error);

/*
 * Loads NVRTC itself, if it is not loaded yet, and makes the toolchain fit what was really loaded:
 * it differs from what toolchain_find() said only when files were replaced meanwhile.
 * Returns 0 with the dlopen handle and the toolchain, both borrowed, or CUBBY_ERR_NO_TOOLCHAIN.
 */
int toolchain_load(const struct toolchain_memory *memory, void **ret_handle,
                   const struct toolchain **ret_toolchain, struct cubby_error *error);

/*
 * To be called after a compile, when libnvrtc-builtins is loaded: false where another file than the
 * fingerprint's was used, so that what was compiled does not belong under its key.
 */
bool toolchain_was_used(const struct toolchain *toolchain);

#endif
