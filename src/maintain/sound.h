/* SPDX-License-Identifier: Apache-2.0 */
/* Is an entry whole? */
#ifndef CUBBY_MAINTAIN_SOUND_H
#define CUBBY_MAINTAIN_SOUND_H

#include "cache/cache.h"
#include "entry/mac.h"

/*
 * Checks a blob as an entry of that kind and key: form, checksum, its MAC where there is a secret
 * (else NULL), and that a manifest can be read. Returns 0 with a new object, CORRUPT with what is
 * wrong, INVALID without the right MAC, UNSUPPORTED in a form that this build cannot read, or
 * NO_MEMORY.
 */
int sound_open(struct cubby_blob *blob, enum cubby_entry_kind kind, const struct cubby_key *key,
               const struct mac_key *secret, struct cubby_object **ret_object,
               struct cubby_error *error);

/* Looks for an entry in one tier, which is no use of it, and checks it as sound_open(); *ret_size
 * (may be NULL) are its stored bytes, also of a damaged one. Returns also NOT_FOUND and the tier's
 * failures. */
int sound_peek(const struct cubby_cache *cache, size_t tier, enum cubby_entry_kind kind,
               const struct cubby_key *key, struct cubby_object **ret_object, size_t *ret_size,
               struct cubby_error *error);

#endif
