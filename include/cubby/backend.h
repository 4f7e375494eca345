/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file backend.h
 * For those who write a store of their own: everything a backend must know.
 *
 * A backend keeps *blobs* (immutable, reference-counted bytes) under 32-byte
 * keys. It knows nothing of compilers or of what the bytes mean. It may evict
 * anything at any time, and it may lose anything: the cache above checks each
 * blob that it gets back, so the worst that a bad backend can do is to cost a
 * compile.
 *
 * A backend is a struct whose first member is a struct cubby_backend, and a
 * `static const struct cubby_backend_ops`. Threads: the cache calls every
 * operation from any thread at any time without a lock of its own, so the
 * backend locks whatever it needs to. It must not call back into the cache.
 *
 * examples/c/own_backend.c is a complete backend written from this page alone.
 */
#ifndef CUBBY_BACKEND_H
#define CUBBY_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cubby/error.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** Version of this contract; grows when a member is added at the end. */
#define CUBBY_BACKEND_ABI 1

/** Size of a key in bytes: a BLAKE2b-256 digest. */
#define CUBBY_KEY_SIZE 32

/**
 * No entry has more bytes: the cache puts none, and what lies in a store and claims to be larger is
 * damaged, and is not read.
 */
#define CUBBY_ENTRY_MAX_SIZE ((uint64_t)1 << 30)

/** A key. Keys are digests, so any part of one is evenly distributed. */
struct cubby_key {
    uint8_t bytes[CUBBY_KEY_SIZE];
};

/** What an entry is. An entry is named by its kind and its key together. */
enum cubby_entry_kind {
    CUBBY_ENTRY_OBJECT = 0,    /**< a compiled program */
    CUBBY_ENTRY_MANIFEST = 1,  /**< the header dependencies of a program */
    CUBBY_ENTRY_RUNTIME = 2,   /**< the runtime cache of an engine */
    CUBBY_ENTRY_USER = 3,      /**< made by the caller's own compiler */
    CUBBY_ENTRY_TOOLCHAIN = 4, /**< a remembered toolchain fingerprint */
};

/** Number of entry kinds. */
#define CUBBY_ENTRY_KINDS 5

/* ---- Blobs ------------------------------------------------------------------------------- */

/** Immutable bytes shared by reference. Any thread may hold references. */
struct cubby_blob;

/**
 * A new blob of @p size bytes, not yet filled, with one reference.
 * Fill it through cubby_blob_writable() before anyone else sees it.
 * @return a new reference, or NULL when memory is short
 */
struct cubby_blob *cubby_blob_new(size_t size);

/** A new blob that holds a copy of @p size bytes at @p data; NULL when memory is short. */
struct cubby_blob *cubby_blob_copy(const void *data, size_t size);

/** Takes one more reference. NULL-safe. @return @p blob */
struct cubby_blob *cubby_blob_ref(struct cubby_blob *blob);

/** Drops a reference and frees the blob with the last one. NULL-safe. */
void cubby_blob_unref(struct cubby_blob *blob);

/** The bytes, borrowed for as long as the caller holds a reference. */
const void *cubby_blob_data(const struct cubby_blob *blob);

/** The number of bytes. */
size_t cubby_blob_size(const struct cubby_blob *blob);

/** The bytes for writing; only valid while the maker holds the only reference. */
void *cubby_blob_writable(struct cubby_blob *blob);

/**
 * Shortens a blob that was made longer than needed (a file that shrank while it was read).
 * As with cubby_blob_writable(), only its maker may do so, before anyone else sees it.
 */
void cubby_blob_truncate(struct cubby_blob *blob, size_t size);

/* ---- Counters and statistics ------------------------------------------------------------- */

/** Events of a store since it was made or last set to zero; they only grow. */
struct cubby_counters {
    uint64_t hits;      /**< requests served from a store */
    uint64_t misses;    /**< requests that no store could serve */
    uint64_t compiles;  /**< programs compiled, by a compiler or a callback */
    uint64_t waits;     /**< those of the misses that another's compile then served */
    uint64_t puts;      /**< entries written */
    uint64_t evictions; /**< entries dropped to keep within the cap */
    uint64_t corrupt;   /**< entries that failed a check: dropped if damaged, left if only their MAC
                             was not that of the secret */
    uint64_t dropped;   /**< writes that the store refused */
    uint64_t errors;    /**< other failures of a store */
    uint64_t compile_ns; /**< time spent compiling, in nanoseconds */
    uint64_t saved_ns;   /**< compile time that hits and waits saved, in nanoseconds */
};

/** What a store holds now, and what happened to it. */
struct cubby_store_stats {
    uint64_t entries[CUBBY_ENTRY_KINDS]; /**< entries of each kind */
    uint64_t bytes;                      /**< bytes stored, all kinds together */
    uint64_t max_size;                   /**< cap in bytes, 0 for none */
    struct cubby_counters counters;      /**< shared by all who use the store */
};

/** One entry, as cubby_backend_ops.iterate shows it. */
struct cubby_entry_info {
    enum cubby_entry_kind kind;
    struct cubby_key key;
    uint64_t size;   /**< stored bytes */
    int64_t used_at; /**< last use, seconds since the epoch; 0 where the store keeps none */
};

/** Called for each entry; another value than 0 ends the walk. */
typedef int (*cubby_entry_visitor)(const struct cubby_entry_info *info, void *context);

/** What trim should remove; a field of 0 sets no bound. */
struct cubby_trim_limits {
    uint64_t max_size;   /**< remove the least recently used until at most so many bytes stay */
    int64_t used_before; /**< remove what was last used before this time (seconds, epoch) */
};

/** What trim removed. */
struct cubby_trimmed {
    uint64_t entries; /**< entries that are gone */
    uint64_t bytes;   /**< and what they took, in stored bytes */
};

/** Something that is wrong with a store or with one of its entries. */
struct cubby_finding {
    const char *tier;    /**< name of the tier; filled in by the cache */
    const char *problem; /**< what is wrong: one sentence, borrowed for the time of the call */
    bool has_key;        /**< it is about the entry of this kind and key */
    enum cubby_entry_kind kind;
    struct cubby_key key;
    bool damage;   /**< false: worth knowing, but no entry suffers from it */
    bool repaired; /**< it was put right */
};

/** Called for each finding; another value than 0 ends the search. */
typedef int (*cubby_finding_visitor)(const struct cubby_finding *finding, void *context);

/* ---- The vtable -------------------------------------------------------------------------- */

struct cubby_backend;

/** The sole right to make an entry, as one process holds it. What is in it, its backend knows. */
struct cubby_key_lock;

/** Flags of a backend. */
enum cubby_backend_flags {
    /**
     * The bytes never leave this process's memory: a blob got back is the very
     * blob that was put, so the cache need not verify it again.
     */
    CUBBY_BACKEND_IN_PROCESS = 1 << 0,
};

/**
 * The operations. Those marked *required* are never NULL; the others may be,
 * and what NULL means is said with each. Return values are 0 or a code of
 * enum cubby_code; outputs are untouched on failure.
 */
struct cubby_backend_ops {
    /** CUBBY_BACKEND_ABI of the header the backend was compiled with. */
    uint32_t abi;
    /** enum cubby_backend_flags. */
    uint32_t flags;
    /** Short name shown as the tier of a hit, such as "file". */
    const char *name;

    /**
     * Required. Finds an entry.
     * @param[out] ret_blob new reference to the stored bytes
     * @return CUBBY_ERR_NOT_FOUND where there is none (no message is needed then);
     *         any other code counts as an error of the store and as a miss
     */
    int (*get)(struct cubby_backend *backend, enum cubby_entry_kind kind,
               const struct cubby_key *key, struct cubby_blob **ret_blob,
               struct cubby_error *error);

    /**
     * Required. Stores @p blob (borrowed: take a reference to keep it). An entry of
     * the same kind and key is replaced, at once and as a whole: a concurrent get sees the
     * old bytes or the new, never a mixture.
     * @return 0 also when the store chose not to keep the entry (what it was to replace is
     *         gone all the same)
     */
    int (*put)(struct cubby_backend *backend, enum cubby_entry_kind kind,
               const struct cubby_key *key, struct cubby_blob *blob, struct cubby_error *error);

    /** Required. Removes an entry; CUBBY_ERR_NOT_FOUND where there is none. */
    int (*remove)(struct cubby_backend *backend, enum cubby_entry_kind kind,
                  const struct cubby_key *key, struct cubby_error *error);

    /**
     * Required. Shows each entry once, in any order. Entries that come or go meanwhile may
     * be missed or shown. The visitor may call get and remove of the same backend.
     * @return 0, an error, or the visitor's value where that ended the walk
     */
    int (*iterate)(struct cubby_backend *backend, cubby_entry_visitor visit, void *context,
                   struct cubby_error *error);

    /** Required. Fills all of @p ret_stats. May be slow (a walk). */
    int (*stats)(struct cubby_backend *backend, struct cubby_store_stats *ret_stats,
                 struct cubby_error *error);

    /** May be NULL (then the cache removes entry by entry). Removes every entry, keeps counters. */
    int (*clear)(struct cubby_backend *backend, struct cubby_error *error);

    /**
     * May be NULL (then the cache trims through iterate and remove).
     * @param[out] ret_trimmed may be NULL
     */
    int (*trim)(struct cubby_backend *backend, const struct cubby_trim_limits *limits,
                struct cubby_trimmed *ret_trimmed, struct cubby_error *error);

    /**
     * May be NULL (then nothing is counted across processes). Adds @p delta to the
     * counters that stats reports. Called rarely: at close and at flush.
     */
    int (*count)(struct cubby_backend *backend, const struct cubby_counters *delta,
                 struct cubby_error *error);

    /** May be NULL. Sets the counters to zero; entries stay. */
    int (*zero)(struct cubby_backend *backend, struct cubby_error *error);

    /** May be NULL. Writes out what the backend batches (recency, sizes). */
    int (*flush)(struct cubby_backend *backend, struct cubby_error *error);

    /** Required. Releases the backend; no other call is under way or follows. */
    void (*close)(struct cubby_backend *backend);

    /**
     * May be NULL (then get is called). As get, for someone who only looks at the store: it is no
     * use of the entry, so nothing is noted of when it was used.
     */
    int (*peek)(struct cubby_backend *backend, enum cubby_entry_kind kind,
                const struct cubby_key *key, struct cubby_blob **ret_blob,
                struct cubby_error *error);

    /**
     * May be NULL. Looks at what is around the entries: sums that do not add up, files that do not
     * belong there, rights that are too wide. The bytes of the entries are the cache's to check.
     * @param repair put right what can be, and say so in the finding
     * @return 0 also where something was found; an error where the search itself failed; the
     *         visitor's value where that ended it
     */
    int (*inspect)(struct cubby_backend *backend, bool repair, cubby_finding_visitor visit,
                   void *context, struct cubby_error *error);

    /**
     * May be NULL, as may unlock_key with it (then only the threads of one process wait for each
     * other). Takes the sole right to make an entry, among all who use the store.
     * It has no bearing on get, put and remove. Where another has it, waits until that one gives it
     * back, but not much longer than @p timeout_ns nanoseconds. Locks of different entries must not
     * wait for each other.
     *
     * The lock ends by itself when its process does. A forked child does not hold its parent's.
     *
     * @param[out] ret_lock the lock, released by unlock_key; NULL where another had it and gave it
     *             back: what that one made is in the store now, or could not be made
     * @return 0; CUBBY_ERR_BUSY where another still had it in the end; CUBBY_ERR_UNSUPPORTED for a
     *         store that is not to be written; any other code counts as an error of the store.
     *         After a failure the entry is made all the same, without the lock.
     */
    int (*lock_key)(struct cubby_backend *backend, enum cubby_entry_kind kind,
                    const struct cubby_key *key, uint64_t timeout_ns,
                    struct cubby_key_lock **ret_lock, struct cubby_error *error);

    /**
     * Gives a lock back and releases it. In a forked child, which has its parent's pointer but not
     * the lock, it must release memory only.
     */
    void (*unlock_key)(struct cubby_backend *backend, struct cubby_key_lock *lock);
};

/** The first member of every backend. */
struct cubby_backend {
    const struct cubby_backend_ops *ops;
};

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
