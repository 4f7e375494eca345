/* SPDX-License-Identifier: Apache-2.0 */
/* Members of JSON objects, each of the type that it should have, or said where it is not. */
#ifndef CUBBY_ENGINE_FIELDS_H
#define CUBBY_ENGINE_FIELDS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "engine/place.h"

/* A noun for what a value is, such as "a string". */
const char *field_noun(const json_t *value);

/* INVALID: what a value is, and what was expected in its place. */
int field_refuse(const json_t *value, const char *expected, const struct place *place,
                 struct cubby_error *error);

/* Requires an object without other keys than these, which end with NULL. */
int field_object(const json_t *value, const char *const *keys, const struct place *place,
                 struct cubby_error *error);

/* The text of a member, borrowed; one that need not be there is NULL. */
int field_text(const json_t *object, const char *key, bool required, const struct place *place,
               const char **ret_text, struct cubby_error *error);

/* An integer. */
int field_integer(const json_t *object, const char *key, const struct place *place,
                  int64_t *ret_value, struct cubby_error *error);

/* The number of one of the words that word() gives. One that need not be there leaves *ret_value.
 */
int field_word(const json_t *object, const char *key, bool required, const char *(*word)(int),
               const struct place *place, int *ret_value, struct cubby_error *error);

/* A list of at most max values, borrowed; one that need not be there is NULL. */
int field_list(const json_t *object, const char *key, bool required, size_t max,
               const struct place *place, const json_t **ret_list, struct cubby_error *error);

#endif
