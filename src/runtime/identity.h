/* SPDX-License-Identifier: Apache-2.0 */
/* What kernels have to fit, with strings of its own. A toolchain of "" is none: nothing is compiled
 * that the toolchain has a part in, or there is none. It fits every one, and every one fits. */
#ifndef CUBBY_RUNTIME_IDENTITY_H
#define CUBBY_RUNTIME_IDENTITY_H

#include <cubby/cubby.h>

#define ARCH_SIZE 16        /* with its NUL */
#define TOOLCHAIN_SIZE 4096 /* with its NUL */

/* Returns 0, or INVALID for a part that is missing, such as the toolchain, or too long. */
int identity_check(const struct cubby_runtime_identity *identity, struct cubby_error *error);

/* As identity_check(), and the toolchain may be none. */
int identity_check_any(const struct cubby_runtime_identity *identity, struct cubby_error *error);

/* A copy of one that was checked, its strings owned by identity_free(). Returns 0, or
 * NO_MEMORY with an empty one. */
int identity_copy(const struct cubby_runtime_identity *identity,
                  struct cubby_runtime_identity *ret_copy, struct cubby_error *error);

/* NULLs are left alone. */
void identity_free(struct cubby_runtime_identity *identity);

/* True if both are for the same architecture and toolchain, or one of these is none. */
bool identity_equal(const struct cubby_runtime_identity *left,
                    const struct cubby_runtime_identity *right);

/* Kernels made for the one, which fits, are kept together with ours from now on: the newer driver
 * counts, and the toolchain that is one. Returns 0 or NO_MEMORY, with ours as it was. */
int identity_raise(struct cubby_runtime_identity *here,
                   const struct cubby_runtime_identity *made_for);

/* Whether what was made for one can be used here. Returns 0, or INVALID saying what differs. */
int identity_fits(const struct cubby_runtime_identity *made_for,
                  const struct cubby_runtime_identity *here, struct cubby_error *error);

#endif
