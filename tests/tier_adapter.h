/* SPDX-License-Identifier: Apache-2.0 */
/* Tiers in the shape of one backend, so that they can be put to the conformance suite. */
#ifndef TESTS_TIER_ADAPTER_H
#define TESTS_TIER_ADAPTER_H

#include <cubby/backend.h>

/* Steals the tiers. */
int tier_adapter_open(struct cubby_backend *const *tiers, size_t count,
                      struct cubby_backend **ret_backend, struct cubby_error *error);

#endif
