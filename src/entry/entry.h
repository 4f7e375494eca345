/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The form in which the cache gives bytes to a backend:
 *
 *     payload | metadata | trailer (88 bytes)
 *
 * The payload comes first, so that a file that holds an entry is a cubin to every tool that reads
 * cubins. The trailer, all integers little-endian:
 *
 *     offset size
 *      0      8   magic
 *      8      2   format version
 *     10      1   kind (enum cubby_entry_kind)
 *     11      1   codec of the payload (0: as it is)
 *     12      4   zero
 *     16      8   payload bytes as stored
 *     24      8   payload bytes once decoded
 *     32      8   metadata bytes
 *     40     32   key
 *     72     16   XXH3-128 (canonical form) of everything before it
 */
#ifndef CUBBY_ENTRY_ENTRY_H
#define CUBBY_ENTRY_ENTRY_H

#include <cubby/backend.h>

/* The parts of an entry, borrowed from its blob. */
struct entry_view {
    enum cubby_entry_kind kind;
    const unsigned char *payload;
    size_t payload_size;
    const unsigned char *meta;
    size_t meta_size;
};

/*
 * Makes a new blob that holds the payload and the metadata (see meta.h) as an entry.
 * Returns 0 or CUBBY_ERR_NO_MEMORY.
 */
int entry_encode(enum cubby_entry_kind kind, const struct cubby_key *key, const void *payload,
                 size_t payload_size, const void *meta, size_t meta_size,
                 struct cubby_blob **ret_blob, struct cubby_error *error);

/*
 * Finds the parts of an entry. Every length is checked against the blob's size before it is used.
 * With verify, the checksum is compared too; without it, the bytes are trusted as this process's
 * own. Returns 0, or CUBBY_ERR_CORRUPT with what is wrong.
 */
int entry_parse(const struct cubby_blob *blob, enum cubby_entry_kind kind,
                const struct cubby_key *key, bool verify, struct entry_view *ret_view,
                struct cubby_error *error);

#endif
