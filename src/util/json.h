/* SPDX-License-Identifier: Apache-2.0 */
/* JSON text that is read whole or not at all. */
#ifndef CUBBY_UTIL_JSON_H
#define CUBBY_UTIL_JSON_H

#include <jansson.h>
#include <stddef.h>

/* As json_loadb(), but NULL with errno set to ENOMEM where memory was short at any moment of it:
 * jansson then leaves out bytes of a string and goes on. Otherwise NULL with errno 0 and
 * *ret_problem (may be NULL). */
json_t *whole_json(const char *text, size_t size, size_t flags, json_error_t *ret_problem);

#endif
