/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields of a key as text, to be kept with the object and compared later. They are kept short:
 * a long value is its beginning with its digest, and what goes beyond all bounds is one digest.
 * Both follow from the fields alone, so that equal fields stay equal and different ones different.
 */
#ifndef CUBBY_KEY_FIELDS_H
#define CUBBY_KEY_FIELDS_H

#include "key/toolchain.h"
#include "util/pairs.h"

#define FIELDS_MAX_VALUE 1024 /* bytes of one value */
#define FIELDS_MAX_SIZE                                                                            \
    (15 * 1024)                      /* bytes of all, but for the last, which stands for the rest  \
                                      */
#define FIELDS_REST "further fields" /* its name */

/* Adds name and value of each field, in order. */
void fields_collect(const struct cubby_program *program, const struct toolchain *toolchain,
                    struct buffer *fields);

/*
 * Compares fields as they were with fields as they are. visit may be NULL. What it is shown is in
 * the order of the fields, borrowed for the call. Returns 0 with the number of differences, or
 * NO_MEMORY.
 */
int fields_compare(const struct pairs *then, const struct pairs *now,
                   cubby_difference_visitor visit, void *context, size_t *ret_count);

#endif
