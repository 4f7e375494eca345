/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of a request, in one way for compiles and for the caller's own entries. */
#ifndef CUBBY_OUTCOME_H
#define CUBBY_OUTCOME_H

#include "cache/flight.h"

/* Looks an entry up and counts the hit or the miss; a hit fills the outcome, which
 * may be NULL. Returns 0 with a new object, or NOT_FOUND. */
int outcome_look_up(struct cubby_cache *cache, enum cubby_entry_kind kind,
                    const struct cubby_key *key, struct cubby_object **ret_object,
                    struct cubby_outcome *outcome);

/* Makes what a look-up missed, or waits for another who does, which fills the outcome. Returns what
 * came of it. */
int outcome_make(struct cubby_cache *cache, const struct flight_task *task,
                 struct cubby_object **ret_object, struct cubby_outcome *outcome,
                 struct cubby_error *error);

/* Says why the object was not stored. */
void outcome_set_reason(struct cubby_outcome *outcome, const char *reason);

#endif
