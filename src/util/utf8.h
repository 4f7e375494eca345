/* SPDX-License-Identifier: Apache-2.0 */
/* Well-formed UTF-8 (RFC 3629). */
#ifndef CUBBY_UTIL_UTF8_H
#define CUBBY_UTIL_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* True if the text is valid UTF-8; else *ret_offset is the first byte that is not. */
bool utf8_is_valid(const char *text, size_t size, size_t *ret_offset);

#endif
