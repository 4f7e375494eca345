/* SPDX-License-Identifier: Apache-2.0 */
/* Objects from within: made of an entry's blob, or of what a compile gave. */
#ifndef CUBBY_OBJECT_H
#define CUBBY_OBJECT_H

#include <cubby/cubby.h>

#include "entry/entry.h"
#include "util/pairs.h"

/*
 * An object over an entry. The blob is borrowed: the object takes its own reference.
 * verify: see entry_parse(). Returns 0, CORRUPT or NO_MEMORY.
 */
int object_from_blob(struct cubby_blob *blob, enum cubby_entry_kind kind,
                     const struct cubby_key *key, bool verify, struct cubby_object **ret_object,
                     struct cubby_error *error);

/* What object_from_stored() does beside finding the parts. */
enum object_reading {
    OBJECT_VERIFY = 1 << 0,   /* compares the checksum */
    OBJECT_DESCRIBE = 1 << 1, /* leaves a compressed payload alone: the object may have no bytes */
};

/*
 * An object over an entry as a tier keeps it: the MAC is checked where there is a secret (else
 * NULL), and a compressed payload is decoded. Steals the blob, also on failure. Returns 0; CORRUPT;
 * INVALID without the right MAC; UNSUPPORTED for a form that this build cannot read; NO_MEMORY.
 */
int object_from_stored(struct cubby_blob *blob, enum cubby_entry_kind kind,
                       const struct cubby_key *key, const struct mac_key *secret, unsigned reading,
                       struct cubby_object **ret_object, struct cubby_error *error);

/* The entry that an object lies in, its payload as it is; borrowed. Not of one that only describes.
 */
struct cubby_blob *object_blob(const struct cubby_object *object);

/* The object as an entry of that key: a new reference to itself, if it is that already, else a new
 * object. It has its bytes. Returns 0 or NO_MEMORY. */
int object_under(struct cubby_object *object, const struct cubby_key *key,
                 struct cubby_object **ret_object, struct cubby_error *error);

/* What compiling the object cost, in nanoseconds; 0 where unknown. */
uint64_t object_compile_ns(const struct cubby_object *object);

/* The fields of the key of what was compiled, borrowed; false where they are not kept. */
bool object_fields(const struct cubby_object *object, struct pairs *ret_fields);

/*
 * Makes the log speak of the program that asked, where the object was compiled from the same text
 * under another name. The object is new and not shared yet. Returns 0 or NO_MEMORY.
 */
int object_rename_source(struct cubby_object *object, const char *name);

/* Likewise, the log and the message of a compile's error, where the program was called old. */
void error_rename_source(struct cubby_error *error, const char *old, const char *name);

#endif
