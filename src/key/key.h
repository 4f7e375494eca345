/* SPDX-License-Identifier: Apache-2.0 */
/* The key of a program under a toolchain. */
#ifndef CUBBY_KEY_KEY_H
#define CUBBY_KEY_KEY_H

#include <cubby/cubby.h>

#include "key/toolchain.h"

void key_derive(const struct cubby_program *program, const struct toolchain *toolchain,
                struct cubby_key *ret_key);

/* Shows every field of the key as text, in order. */
void key_explain(const struct cubby_program *program, const struct toolchain *toolchain,
                 cubby_field_visitor visit, void *context);

#endif
