/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of kernels as bytes. All integers are little-endian:
 *
 *     offset size
 *      0      8   magic
 *      8      4   format version
 *     12      4   driver version for which the kernels were made
 *     16      8   bytes of the whole blob
 *     24      4   number of kernels
 *     28      4   bytes of the toolchain's text
 *     32     16   architecture, text padded with NULs, at least one
 *     48          the toolchain's text with its NUL
 *                 the kernels, sorted by key: last use (8 bytes, ns since the epoch), bytes of the
 *                 entry (8), kind (4), zero (4), key (32), entry (entry.h)
 *     end-16  16  XXH3-128 of everything before it
 *
 * The magic, the version and the checksum stay where they are in every version. Each kernel is an
 * entry with a checksum of its own, which binds its bytes to its key.
 */
#ifndef CUBBY_RUNTIME_KERNEL_BLOB_H
#define CUBBY_RUNTIME_KERNEL_BLOB_H

#include "runtime/identity.h"
#include "runtime/kernel_set.h"

/* The bytes that a blob takes beside its kernels. */
uint64_t kernel_blob_overhead(const struct cubby_runtime_identity *identity);

/* Returns 0 with a new blob, which has no bytes where there is no kernel; NO_MEMORY. */
int kernel_blob_encode(const struct kernel_set *set, const struct cubby_runtime_identity *identity,
                       struct cubby_blob **ret_blob, struct cubby_error *error);

/*
 * Looks at all but the kernels. With verify, the checksum is compared. Returns 0 with the identity,
 * whose strings are borrowed from the data; CORRUPT; INVALID for what is no such blob; UNSUPPORTED
 * for a whole one of another version.
 */
int kernel_blob_check(const void *data, size_t size, bool verify,
                      struct cubby_runtime_identity *ret_identity, struct cubby_error *error);

/*
 * Takes the kernels out of a blob that was checked, into an empty set; verify as before, for each
 * entry. Returns 0; CORRUPT, UNSUPPORTED or NO_MEMORY, and the set is empty.
 */
int kernel_blob_kernels(const void *data, size_t size, bool verify, struct kernel_set *set,
                        struct cubby_error *error);

/* Takes one entry out of a blob that was checked, and verifies it. Returns 0 with a new object;
 * NOT_FOUND, also where the blob is damaged; NO_MEMORY. */
int kernel_blob_find(const void *data, size_t size, enum cubby_entry_kind kind,
                     const struct cubby_key *key, struct cubby_object **ret_object);

#endif
