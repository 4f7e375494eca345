/* SPDX-License-Identifier: Apache-2.0 */
/* One suite that every backend must pass, whoever wrote it. */
#ifndef TESTS_CONFORMANCE_H
#define TESTS_CONFORMANCE_H

#include <check.h>
#include <stdbool.h>

#include <cubby/backend.h>

/* A backend under test. */
struct subject {
    const char *name;
    /* Opens a store in that empty or used folder, with a cap in bytes (0 for none). */
    int (*open)(const char *folder, uint64_t max_size, struct cubby_backend **ret_backend,
                struct cubby_error *error);
    bool persistent; /* opening the same folder again finds what was put */
    bool capped;     /* keeps within max_size */
    bool entries;    /* checks that values are entries (tiers do) */
};

/* Adds the cases, each run against each subject, to the suite. The subjects must stay. */
void conformance_add(Suite *suite, const struct subject *subjects, size_t count);

/* Likewise, the cases about lock_key and unlock_key. */
void conformance_add_locks(Suite *suite, const struct subject *subjects, size_t count);

#endif
