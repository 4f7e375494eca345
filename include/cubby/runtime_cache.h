/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file runtime_cache.h
 * The specialised kernels of an engine, kept from one run to the next.
 *
 *     struct cubby_runtime_cache_options options = CUBBY_RUNTIME_CACHE_OPTIONS_INIT;
 *     struct cubby_runtime_identity here = {"sm_90", toolchain.fingerprint, driver_version};
 *
 *     options.path = "kernels.bin";
 *     cubby_runtime_cache_new(&options, &kernels, &error);
 *     cubby_runtime_cache_load(kernels);
 *     cubby_runtime_cache_materialise(kernels, &here, &error);
 *     if (cubby_runtime_cache_find(kernels, &key, &object) < 0) {
 *         ... compile ...
 *         cubby_runtime_cache_insert(kernels, &key, object, &error);
 *     }
 *     cubby_runtime_cache_save(kernels, &error);
 *     cubby_runtime_cache_unref(kernels);
 *
 * A runtime cache is a set of objects, each under its own key, that is read as a whole where a
 * program starts and written as a whole where it ends. As bytes it is one checksummed *blob* that
 * says at its head for which GPU architecture, toolchain and driver its kernels were made.
 *
 * States: a handle begins *pending*. What a load or cubby_runtime_cache_deserialise() brings is
 * only stashed then, as nobody has said yet what it must fit. cubby_runtime_cache_materialise()
 * says so, once, and takes in what is stashed; from then on the handle is live and has kernels.
 * Kernels fit where the architecture and the toolchain are the same and the driver is not older
 * than that of the blob. A blob that does not fit or is damaged is left out with a warning in the
 * log (cubby_log_set()): the run starts without kernels, and goes on.
 *
 * Several may share a handle, by cubby_runtime_cache_ref(). Two handles are the same if their
 * pointers are; two handles on one path know nothing of each other until they save.
 *
 * Threads: all functions may be called from any thread, on the same handle too. No lock is held
 * while a file, a stream or a store is read or written. After fork() parent and child each go on
 * with a handle of their own; both may save.
 */
#ifndef CUBBY_RUNTIME_CACHE_H
#define CUBBY_RUNTIME_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <cubby/backend.h>
#include <cubby/error.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct cubby_cache;
struct cubby_object;

/** Specialised kernels under their keys. */
struct cubby_runtime_cache;

/** What kernels have to fit. Strings are copied. */
struct cubby_runtime_identity {
    const char *arch;      /**< architecture of the GPU, such as "sm_90"; at most 15 bytes */
    const char *toolchain; /**< such as cubby_toolchain.fingerprint; at most 4095 bytes */
    /** CUDA version that the driver supports, such as 13000; 0 where there is none, which fits
     * every one: what is made ahead of time, or is only passed on. */
    int driver_version;
};

/** Where bytes come from and go to. Either function may be NULL: then there is nothing to read, or
 * saving is UNSUPPORTED. */
struct cubby_runtime_stream {
    /** Reads up to @p size bytes. @return their number, 0 at the end, or a negative errno */
    ssize_t (*read)(void *context, void *data, size_t size);
    void *read_context; /**< for read */
    /** Writes all of the blob; called once. @return 0 or a negative errno */
    int (*write)(void *context, const void *data, size_t size);
    void *write_context; /**< for write */
};

/**
 * A stream over files of the C library, which stay the caller's and open while it is used.
 * @param in is read from where it stands to its end; NULL for none
 * @param out is written where it stands, and flushed; NULL for none. The same file as @p in is
 *        emptied before, so that what was read is replaced.
 */
void cubby_runtime_stream_files(FILE *in, FILE *out, struct cubby_runtime_stream *ret_stream);

/** What a handle is to be. Everything in it is copied; the cache is referenced. */
struct cubby_runtime_cache_options {
    uint32_t version; /**< 1, set by the _INIT macro */
    /** Most bytes of the blob, 0 for no bound. Where there are more, the kernels that were not used
     * for longest are dropped. */
    uint64_t max_size;

    /** At most one of these three says where load and save go. */
    const char *path;                          /**< a file; a relative path is fixed now */
    const struct cubby_runtime_stream *stream; /**< read and written at most once */
    struct cubby_cache *cache;                 /**< an entry of kind CUBBY_ENTRY_RUNTIME */

    /** With cache: what the key of the entry is made from. */
    const char *engine;                            /**< tells engines apart; not empty */
    const struct cubby_runtime_identity *identity; /**< its architecture and toolchain */
};

/** Initial value of a struct cubby_runtime_cache_options: no bound, nowhere to load or save. */
#define CUBBY_RUNTIME_CACHE_OPTIONS_INIT                                                           \
    { .version = 1 }

/**
 * Makes a handle, which is pending. Reads nothing.
 * @param options NULL for the defaults
 * @param[out] ret_cache new reference
 * @return 0; CUBBY_ERR_INVALID for options that do not go together; CUBBY_ERR_IO where a relative
 *         path has no folder any more; CUBBY_ERR_NO_MEMORY
 */
int cubby_runtime_cache_new(const struct cubby_runtime_cache_options *options,
                            struct cubby_runtime_cache **ret_cache, struct cubby_error *error);

/** Takes one more reference. NULL-safe. @return @p cache */
struct cubby_runtime_cache *cubby_runtime_cache_ref(struct cubby_runtime_cache *cache);

/** Drops a reference. Handles that were made here are not saved by the last: that is the caller's
 * to do. NULL-safe. */
void cubby_runtime_cache_unref(struct cubby_runtime_cache *cache);

/**
 * Makes a pending handle live and takes in what is stashed, if it fits. Of all who call it the
 * first does so; for the others, who wait for it, it is a comparison.
 * @return 0, also where a stash was left out; CUBBY_ERR_INVALID for an identity that is not whole,
 *         or another than that of the live handle or of its entry in a cache;
 *         CUBBY_ERR_NO_MEMORY: the handle is as before
 */
int cubby_runtime_cache_materialise(struct cubby_runtime_cache *cache,
                                    const struct cubby_runtime_identity *identity,
                                    struct cubby_error *error);

/** True if the handle is live, with kernels or without. */
bool cubby_runtime_cache_has_cache(struct cubby_runtime_cache *cache);

/**
 * Finds a kernel, which counts as its use.
 * @param[out] ret_object new reference
 * @return 0, or CUBBY_ERR_NOT_FOUND, which it always is on a pending handle
 */
int cubby_runtime_cache_find(struct cubby_runtime_cache *cache, const struct cubby_key *key,
                             struct cubby_object **ret_object);

/**
 * Adds a kernel, or replaces it. Where the set is longer than max_size then, the kernels that were
 * not used for longest are dropped, which may be all but this one, or this one too.
 * @param object of kind CUBBY_ENTRY_OBJECT or CUBBY_ENTRY_USER, borrowed
 * @return 0; CUBBY_ERR_INVALID for a pending handle or an object without its bytes;
 *         CUBBY_ERR_NO_MEMORY: the set is as before
 */
int cubby_runtime_cache_insert(struct cubby_runtime_cache *cache, const struct cubby_key *key,
                               struct cubby_object *object, struct cubby_error *error);

/**
 * The kernels as one blob; of a pending handle what is stashed, byte by byte.
 * @param[out] ret_blob new reference; of no bytes where there is nothing
 * @return 0 or CUBBY_ERR_NO_MEMORY
 */
int cubby_runtime_cache_serialise(struct cubby_runtime_cache *cache, struct cubby_blob **ret_blob,
                                  struct cubby_error *error);

/**
 * Takes a blob. Nothing (0 bytes) changes nothing. A pending handle stashes it in the place of what
 * was stashed, and looks at it when it is materialised. A live one adds the kernels that it lacks.
 * @return 0; of a live handle, unchanged then: CUBBY_ERR_CORRUPT for damage; CUBBY_ERR_INVALID for
 *         what is no such blob or does not fit; CUBBY_ERR_UNSUPPORTED for a blob of another version
 *         of Cubby; CUBBY_ERR_NO_MEMORY
 */
int cubby_runtime_cache_deserialise(struct cubby_runtime_cache *cache, const void *data,
                                    size_t size, struct cubby_error *error);

/**
 * Reads what was saved where the options say, and takes it as cubby_runtime_cache_deserialise()
 * does. Nothing there, or nowhere to look, is no failure. What is damaged, does not fit, cannot be
 * read, or may have been written by others (a symbolic link, a file that is not yours alone to
 * write) is left out with a warning. A stream is read by the first call only.
 * @return true if a blob was taken; false is a reason to start without kernels, never to fail
 */
bool cubby_runtime_cache_load(struct cubby_runtime_cache *cache);

/**
 * Writes the kernels where the options say, together with those that others saved there meanwhile.
 * Where there is no kernel, nothing is written.
 *
 * A file is replaced as a whole, under the exclusive lock (file_lock.h) of NAME.lock, for which it
 * waits up to 10 s: processes that save at the same time add to each other, and one that dies in
 * the middle leaves the file as it was. A file that is damaged or does not fit is replaced; one
 * that is no blob of Cubby's at all, of another version, or refused by load, stays as it is.
 *
 * An entry of a cache is changed likewise, under the lock of the last store that has locks. A
 * stream is written once: a second save is an error unless there was no change.
 *
 * @return 0; CUBBY_ERR_BUSY; CUBBY_ERR_INVALID for a handle with nowhere to save, a file that has
 *         to stay, or a stream that was written; CUBBY_ERR_CORRUPT for a pending handle whose stash
 *         is damaged; CUBBY_ERR_UNSUPPORTED; CUBBY_ERR_IO; CUBBY_ERR_NO_MEMORY
 */
int cubby_runtime_cache_save(struct cubby_runtime_cache *cache, struct cubby_error *error);

/** What a handle holds, and what happened to it since it was made. */
struct cubby_runtime_cache_stats {
    uint64_t kernels;          /**< in the set now */
    uint64_t bytes;            /**< of the blob that they make; of what is stashed */
    uint64_t hits;             /**< kernels found, by cubby_runtime_cache_find() or an engine */
    uint64_t misses;           /**< kernels not found; each that an engine asks for counts once */
    uint64_t inserts;          /**< kernels inserted */
    uint64_t loads;            /**< blobs that load took */
    uint64_t rejects;          /**< blobs that were left out with a warning */
    uint64_t saves;            /**< times that kernels were saved */
    uint64_t materialisations; /**< 0 or 1 */
    uint64_t drops;            /**< kernels dropped to keep within max_size */
};

/** Fills @p ret_stats. */
void cubby_runtime_cache_stats(struct cubby_runtime_cache *cache,
                               struct cubby_runtime_cache_stats *ret_stats);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
