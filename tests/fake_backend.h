/* SPDX-License-Identifier: Apache-2.0 */
/* A store that counts its calls and fails on demand; its entries live in a real memory store. */
#ifndef TESTS_FAKE_BACKEND_H
#define TESTS_FAKE_BACKEND_H

#include <stdatomic.h>

#include <cubby/backend.h>

/* How the calls on it went and shall go. */
struct fake_control {
    atomic_uint gets, puts, removes, closes;
    int fail_get, fail_put;                          /* a code to give back, 0 for none */
    bool corrupt_get;                                /* give back bytes with one bit flipped */
    void (*before_get)(const struct cubby_key *key); /* NULL for nothing */
    struct cubby_counters counted;
};

/* The control must outlive the backend. */
struct cubby_backend *fake_backend_new(struct fake_control *control);

#endif
