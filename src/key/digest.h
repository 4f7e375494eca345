/* SPDX-License-Identifier: Apache-2.0 */
/* BLAKE2b-256 (RFC 7693) through libb2, personalised so that digests of different uses differ. */
#ifndef CUBBY_KEY_DIGEST_H
#define CUBBY_KEY_DIGEST_H

#include <blake2.h>

#include <cubby/backend.h>

struct digest {
    blake2b_state state;
};

/* Begins a digest. personal: at most 16 bytes, padded with zeros; NULL for none. */
void digest_init(struct digest *digest, const char *personal);
void digest_update(struct digest *digest, const void *data, size_t size);

/* Adds a field: tag, length as 8 bytes little-endian, bytes. */
void digest_field(struct digest *digest, unsigned char tag, const void *data, size_t size);

/* The digest of all that was added; the digest itself may go on. */
void digest_result(const struct digest *digest, struct cubby_key *ret_key);

/* The same, and the end of the digest: nothing more may be done with it. */
void digest_end(struct digest *digest, struct cubby_key *ret_key);

/* The plain BLAKE2b-256 digest of some bytes. */
void digest_bytes(const void *data, size_t size, struct cubby_key *ret_key);

#endif
