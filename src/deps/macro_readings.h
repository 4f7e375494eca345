/* SPDX-License-Identifier: Apache-2.0 */
/* Which headers an include through macros can mean, whichever definitions hold at its place. */
#ifndef CUBBY_DEPS_MACRO_READINGS_H
#define CUBBY_DEPS_MACRO_READINGS_H

#include "deps/macros.h"
#include "util/names.h"

#define MACRO_READINGS_WHY_SIZE 160

/*
 * Adds to ret_names every name that the operand can become, in its quotes or angle brackets, and to
 * ret_words every word on the way: the names are all of them only if the compiler defines none of
 * these words by itself.
 *
 * Returns 0; UNSUPPORTED with the reason where they cannot all be told (some may have been added);
 * NO_MEMORY.
 */
int macro_readings(const struct macros *macros, const struct macro_text *operand,
                   struct names *ret_names, struct names *ret_words,
                   char ret_why[MACRO_READINGS_WHY_SIZE]);

#endif
