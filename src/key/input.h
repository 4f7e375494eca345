/* SPDX-License-Identifier: Apache-2.0 */
/* One input of a link, or a further module of an NVVM program. */
#ifndef CUBBY_KEY_INPUT_H
#define CUBBY_KEY_INPUT_H

#include <stdbool.h>

#include <cubby/cubby.h>

#include "key/source.h"

/* Immutable once made. */
struct input {
    enum cubby_input kind; /* CUBBY_INPUT_ANY for NVVM IR */
    char *name;            /* NULL for none */
    struct source *source;
};

/*
 * Copies an input of a link; its form is found out where the caller did not say it.
 * Returns 0 or INVALID: empty, of no known form, cut short. label names it in messages.
 */
int input_copy_link(const struct cubby_link_input *given, const char *label,
                    struct input *ret_input, struct cubby_error *error);

/*
 * PTX as a source: a NUL at the end is taken off, one within is refused.
 * Returns 0 or INVALID.
 */
int input_ptx_source(const void *data, size_t size, const char *label, struct source **ret_source,
                     struct cubby_error *error);

/* NVVM IR as a source; text is held to the same rules as PTX, bitcode to none. */
int input_nvvm_source(const void *data, size_t size, const char *label, struct source **ret_source,
                      struct cubby_error *error);

void input_clear(struct input *input);

#endif
