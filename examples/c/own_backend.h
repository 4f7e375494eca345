/* SPDX-License-Identifier: Apache-2.0 */
/* A store of one's own; see own_backend.c. */
#ifndef OWN_BACKEND_H
#define OWN_BACKEND_H

#include <cubby/backend.h>

/* A new store that keeps the last `slots` entries, in this process's memory. */
int ring_backend_open(size_t slots, struct cubby_backend **ret_backend, struct cubby_error *error);

#endif
