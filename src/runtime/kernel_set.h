/* SPDX-License-Identifier: Apache-2.0 */
/* A set of kernels, sorted by key, so that equal sets make equal bytes. Locks are the caller's. */
#ifndef CUBBY_RUNTIME_KERNEL_SET_H
#define CUBBY_RUNTIME_KERNEL_SET_H

#include <cubby/cubby.h>

/* What a kernel takes in a blob beside its entry; see kernel_blob.h. */
#define KERNEL_RECORD_SIZE 56

struct kernel {
    struct cubby_key key;
    struct cubby_object *object; /* its entry bears the key and lies uncompressed */
    uint64_t used_ns;            /* last use, nanoseconds since the epoch */
};

static inline bool kernel_kind_is_code(enum cubby_entry_kind kind) {
    return kind == CUBBY_ENTRY_OBJECT || kind == CUBBY_ENTRY_USER;
}

/* Beside the kernels: the manifests that lead to them, and which compilers there were, so that
 * those need not be loaded to find out. */
static inline bool kernel_kind_is_kept(enum cubby_entry_kind kind) {
    return kernel_kind_is_code(kind) || kind == CUBBY_ENTRY_MANIFEST ||
           kind == CUBBY_ENTRY_TOOLCHAIN;
}

struct kernel_set {
    struct kernel *kernels;
    size_t count;
    size_t capacity;
    uint64_t bytes; /* of all records with their entries */
};

#define KERNEL_SET_INIT                                                                            \
    { NULL, 0, 0, 0 }

/* The kernel of that key, borrowed until the set changes; NULL where there is none. */
struct kernel *kernel_set_find(const struct kernel_set *set, const struct cubby_key *key);

/* Adds a kernel whose object it takes a reference to, or puts it in the place of the one there is.
 * The later use counts. Returns 0, or NO_MEMORY with the set as it was. */
int kernel_set_put(struct kernel_set *set, const struct cubby_key *key, struct cubby_object *object,
                   uint64_t used_ns);

/* Adds the kernels that it lacks; of those in both, the later use counts. Returns 0, or NO_MEMORY
 * with the set as it was. */
int kernel_set_unite(struct kernel_set *set, const struct kernel_set *other);

/* Drops the kernels that were not used for longest until the records take at most so many bytes.
 * Returns how many. */
size_t kernel_set_drop(struct kernel_set *set, uint64_t max_bytes);

/* Takes a kernel out. Returns whether it was there. */
bool kernel_set_remove(struct kernel_set *set, const struct cubby_key *key);

/* Empties the set. */
void kernel_set_free(struct kernel_set *set);

#endif
