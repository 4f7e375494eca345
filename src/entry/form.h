/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The form in which a tier keeps its entries: compressed or not, with a MAC or not. The same entry
 * may lie in one tier as it is and in another compressed; within the process it is always as it is.
 */
#ifndef CUBBY_ENTRY_FORM_H
#define CUBBY_ENTRY_FORM_H

#include "entry/entry.h"

struct entry_form {
    int level;              /* at which payloads are compressed; 0: they are not */
    struct mac_key *secret; /* with which entries are signed and checked; NULL for none */
};

/*
 * The entry in the form of a tier: a new reference to itself where the form asks for nothing, else
 * a new blob. The entry is one of this process's own, or was checked when it was read. Returns 0,
 * NO_MEMORY, or what entry_decode() says of a compressed one.
 */
int entry_reform(struct cubby_blob *blob, enum cubby_entry_kind kind, const struct cubby_key *key,
                 const struct entry_form *form, struct cubby_blob **ret_blob,
                 struct cubby_error *error);

/*
 * An entry whose payload lies as it is, new, of a compressed one. What the entry claims is checked
 * before anything is allocated.
 * Returns 0; CORRUPT; NO_MEMORY; UNSUPPORTED where this build has no such codec.
 */
int entry_decode(const struct entry_view *view, const struct cubby_key *key,
                 struct cubby_blob **ret_blob, struct cubby_error *error);

#endif
