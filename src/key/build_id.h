/* SPDX-License-Identifier: Apache-2.0 */
/* What a shared library *is*, whatever its name, place and time stamp. */
#ifndef CUBBY_KEY_BUILD_ID_H
#define CUBBY_KEY_BUILD_ID_H

#include <stdbool.h>

#include <cubby/backend.h>
#include <cubby/error.h>

/*
 * The identity of an ELF file as new text: "build-id:<hex>" from its GNU build-id note, or, where
 * it carries none, "blake2b:<hex>" of its bytes (slow: the whole file is read).
 * Returns 0 or CUBBY_ERR_IO.
 */
int build_identity(const char *path, char **ret_identity, struct cubby_error *error);

/* "blake2b:<hex>" of a file whose digest is known already, as new text. Returns 0 or NO_MEMORY. */
int build_identity_of_digest(const struct cubby_key *digest, char **ret_identity,
                             struct cubby_error *error);

/* False where the file is an ELF file that ends before its headers say, so that mapping it and
 * touching the end would kill the process (SIGBUS), or no ELF file at all. */
bool build_is_whole(const char *path);

#endif
