/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The form in which the cache gives bytes to a backend:
 *
 *     payload | metadata | MAC (32 bytes, where there is one) | trailer (88 bytes)
 *
 * The payload comes first, so that a file that holds an entry is a cubin to every tool that reads
 * cubins. The trailer, all integers little-endian:
 *
 *     offset size
 *      0      8   magic
 *      8      2   format version
 *     10      1   kind (enum cubby_entry_kind)
 *     11      1   codec of the payload (enum entry_codec)
 *     12      4   flags (bit 0: there is a MAC)
 *     16      8   payload bytes as stored
 *     24      8   payload bytes once decoded
 *     32      8   metadata bytes
 *     40     32   key
 *     72     16   XXH3-128 (canonical form) of everything before it
 *
 * The metadata is never compressed. The MAC is a keyed BLAKE2b-256 of the payload as stored, the
 * metadata and the first 72 bytes of the trailer. The checksum stays beside it: it tells, to
 * readers without the secret too, an entry that is damaged from one that another secret signed.
 */
#ifndef CUBBY_ENTRY_ENTRY_H
#define CUBBY_ENTRY_ENTRY_H

#include <cubby/backend.h>

#include "entry/mac.h"

enum entry_codec { ENTRY_RAW = 0, ENTRY_ZSTD = 1 };

/* The parts of an entry, borrowed from its blob. */
struct entry_view {
    enum cubby_entry_kind kind;
    enum entry_codec codec;
    const unsigned char *payload; /* as stored */
    size_t stored_size;
    size_t payload_size; /* once decoded: for a raw payload the same */
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

/* What an entry is to be made of. */
struct entry_parts {
    enum cubby_entry_kind kind;
    enum entry_codec codec;
    const struct cubby_key *key;
    size_t stored_size;
    size_t payload_size;
    const void *meta;
    size_t meta_size;
    const struct mac_key *secret; /* NULL: without a MAC */
};

/* A new blob with room for stored_size bytes of payload at its beginning. Returns 0 or NO_MEMORY.
 */
int entry_begin(const struct entry_parts *parts, struct cubby_blob **ret_blob,
                struct cubby_error *error);

/* Makes it an entry once its payload is written, which may have become shorter. */
void entry_seal(struct cubby_blob *blob, const struct entry_parts *parts);

/*
 * Finds the parts of an entry. Every length is checked against the blob's size before it is used.
 * With verify, the checksum is compared too; without it, the bytes are trusted as this process's
 * own. Returns 0; CUBBY_ERR_CORRUPT with what is wrong; UNSUPPORTED for a whole entry in a form
 * that this version does not know.
 */
int entry_parse(const struct cubby_blob *blob, enum cubby_entry_kind kind,
                const struct cubby_key *key, bool verify, struct entry_view *ret_view,
                struct cubby_error *error);

/*
 * Checks the MAC of an entry that entry_parse() verified.
 * Returns 0, or INVALID where there is none or it was not made with this secret.
 */
int entry_check_mac(const struct cubby_blob *blob, const struct mac_key *secret,
                    struct cubby_error *error);

#endif
