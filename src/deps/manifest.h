/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifest of a program that reads headers: which sets of headers it was compiled with, and
 * under which key each object lies. The entry of kind MANIFEST is found by the program's own key;
 * its payload, all integers little-endian:
 *
 *     u32 version (1), u32 paths, u32 files, u32 sets, u32 bytes of all path texts
 *     path texts, each with a NUL
 *     files: u32 path, u32 flags, digest (32), device, inode, size, mtime_ns, ctime_ns (u64 each)
 *     sets, the newest first: key (32), u32 files, u32 others,
 *         u32 file ..., u32 (path * 4 + kind of enum dep_kind) ...
 *
 * A file is known by its stamp, and where that differs, by its digest, as in ccache's direct mode.
 */
#ifndef CUBBY_DEPS_MANIFEST_H
#define CUBBY_DEPS_MANIFEST_H

#include "deps/deps.h"
#include "util/buffer.h"

/* More sets of one program than this are rarely in use at once. */
#define MANIFEST_MAX_SETS 32

struct manifest_file {
    uint32_t path;
    bool settled; /* the stamp can be trusted: the file was old enough when it was taken */
    struct cubby_key digest;
    struct file_stamp stamp;
};

struct manifest_set {
    struct cubby_key key; /* of the object */
    uint32_t *files;      /* owned: indices of files */
    uint32_t file_count;
    uint32_t *others; /* owned: indices of paths with their kind */
    uint32_t other_count;
};

struct manifest {
    const char **paths; /* the texts are borrowed from what it was made of */
    uint32_t path_count;
    struct manifest_file *files;
    uint32_t file_count;
    struct manifest_set sets[MANIFEST_MAX_SETS + 1];
    uint32_t set_count;
};

#define MANIFEST_INIT                                                                              \
    { 0 }

/* Reads a payload, which must outlive the manifest. Returns 0, CORRUPT or NO_MEMORY. */
int manifest_decode(const void *data, size_t size, struct manifest *ret_manifest);

/* Writes the payload; what no set uses any more is left out. Returns 0 or NO_MEMORY. */
int manifest_encode(const struct manifest *manifest, struct buffer *payload);

/*
 * Puts a set in front; the oldest goes where there are too many, and so does another of the same
 * key. The paths are borrowed. strict: as for manifest_match(), the same for all of a manifest's
 * life. Returns 0 or NO_MEMORY.
 */
int manifest_add(struct manifest *manifest, const struct deps *deps, bool strict,
                 const struct cubby_key *key);

/* Puts the other's sets behind, as many as there is room for, unless there is one of that key. The
 * paths are borrowed. Returns 0, or NO_MEMORY with some sets missing. */
int manifest_merge(struct manifest *manifest, const struct manifest *other, bool strict);

/*
 * Finds the newest set that holds now. strict: the time stamps of the files count as well as their
 * content. *ret_refreshed: some stamps had changed and some files not, and the manifest knows the
 * new stamps, so that writing it back will spare reading them.
 * Returns 0 with the set (borrowed) or NOT_FOUND.
 */
int manifest_match(struct manifest *manifest, bool strict, const struct manifest_set **ret_set,
                   bool *ret_refreshed);

/* A path of a set that is not as the set wants it. */
struct manifest_break {
    const struct manifest_set *set;
    const char *path;
    enum dep_kind kind;               /* what the set wants there */
    const struct manifest_file *then; /* of a DEP_FILE: the file as it was; else NULL */
    bool exists;                      /* something is there now */
    bool is_readable;        /* and it is a file that can be read; what follows is then set */
    struct cubby_key digest; /* of its content */
    struct file_stamp stamp;
};

typedef void (*manifest_break_visit)(const struct manifest_break *found, void *context);

/*
 * Compares the manifest with the files as they are. Returns 0 with the set (borrowed) that the
 * fewest paths keep from holding, of several the newest, and the number of these paths; NOT_FOUND
 * where there is no set; or NO_MEMORY.
 */
int manifest_nearest(struct manifest *manifest, bool strict, const struct manifest_set **ret_set,
                     size_t *ret_breaks);

/* Shows the paths that keep a set from holding. Returns 0 or NO_MEMORY. */
int manifest_show(struct manifest *manifest, bool strict, const struct manifest_set *set,
                  manifest_break_visit visit, void *context);

void manifest_free(struct manifest *manifest);

/* The key of the object that a program with this key is with these dependencies. All of them count:
 * what is only there or missing may decide what was compiled as well. */
void manifest_object_key(const struct cubby_key *program, const struct deps *deps, bool strict,
                         struct cubby_key *ret_key);

#endif
