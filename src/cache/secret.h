/* SPDX-License-Identifier: Apache-2.0 */
/* The secret of a tier: a file that no one else can read, from which the key of its MACs follows.
 */
#ifndef CUBBY_CACHE_SECRET_H
#define CUBBY_CACHE_SECRET_H

struct cubby_error;
struct mac_key;

/*
 * Reads a secret as a new key, released by secret_free(). The file is a regular one of this user's
 * or of root's, of 16 bytes at least, that others cannot read; of root's, a group may. Returns 0;
 * INVALID, IO or NO_MEMORY with the file's name and what to do, never with its content.
 */
int secret_read(const char *path, struct mac_key **ret_key, struct cubby_error *error);

/* Wipes and frees a key. NULL-safe. */
void secret_free(struct mac_key *key);

#endif
