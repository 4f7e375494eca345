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

#endif
