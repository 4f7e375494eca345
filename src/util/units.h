/* SPDX-License-Identifier: Apache-2.0 */
/* Amounts as people write them. */
#ifndef CUBBY_UTIL_UNITS_H
#define CUBBY_UTIL_UNITS_H

#include <stdbool.h>
#include <stdint.h>

/* A size such as "5G" in bytes: suffixes K, M, G, T (powers of 1024, "iB" or "B" may follow); false
 * where it is none. */
bool units_size(const char *text, uint64_t *ret_bytes);

/* An age such as "30d" in seconds: suffixes s, m, h, d, w; false where it is none. */
bool units_age(const char *text, uint64_t *ret_seconds);

#endif
