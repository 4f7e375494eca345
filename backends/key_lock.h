/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sole right to make an entry, among processes: an flock on a file of that entry's name, in a
 * folder of the store. The kernel frees it when the holder dies. Who gives it back removes the file
 * first, so that a file without a name tells those who waited on it that its holder is done; a file
 * that still has its name was left by one who died, and the next in line has the right.
 */
#ifndef CUBBY_BACKENDS_KEY_LOCK_H
#define CUBBY_BACKENDS_KEY_LOCK_H

#include <stdatomic.h>
#include <sys/types.h>

#include <cubby/backend.h>

/* The locks of one store. Its texts are borrowed. */
struct key_locks {
    mode_t file_mode; /* of what is made: as those who share the store need it */
    mode_t folder_mode;
    int base;           /* descriptor of the folder in which theirs lies, or AT_FDCWD */
    const char *folder; /* name of theirs; made when it is first needed */
    const char *store;  /* path of the store, for messages */
    _Atomic bool swept; /* what dead holders left was looked for */
};

/* As cubby_backend_ops.lock_key and unlock_key. */
int key_lock_take(struct key_locks *locks, enum cubby_entry_kind kind, const struct cubby_key *key,
                  uint64_t timeout_ns, struct cubby_key_lock **ret_lock, struct cubby_error *error);
void key_lock_give(struct cubby_key_lock *lock);

#endif
