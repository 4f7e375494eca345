/* SPDX-License-Identifier: Apache-2.0 */
/* Is an entry whole? */
#ifndef CUBBY_MAINTAIN_SOUND_H
#define CUBBY_MAINTAIN_SOUND_H

#include <cubby/cubby.h>

/*
 * Checks a blob as an entry of that kind and key: form, checksum, and that a manifest can be read.
 * Returns 0 with a new object, CORRUPT with what is wrong, or NO_MEMORY.
 */
int sound_open(struct cubby_blob *blob, enum cubby_entry_kind kind, const struct cubby_key *key,
               struct cubby_object **ret_object, struct cubby_error *error);

/* Looks for an entry in one tier, which is no use of it, and checks it as sound_open(); *ret_size
 * (may be NULL) are its stored bytes, also of a damaged one. Returns also NOT_FOUND and the tier's
 * failures. */
int sound_peek(struct cubby_backend *tier, enum cubby_entry_kind kind, const struct cubby_key *key,
               struct cubby_object **ret_object, size_t *ret_size, struct cubby_error *error);

#endif
