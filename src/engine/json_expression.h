/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions as JSON: an integer, the name of a dim, or ["ceil_div", left, right]. */
#ifndef CUBBY_ENGINE_JSON_EXPRESSION_H
#define CUBBY_ENGINE_JSON_EXPRESSION_H

#include <jansson.h>

#include "engine/expression.h"
#include "engine/place.h"

/* Reads one. *ret_expression is new. */
int json_expression_read(const json_t *value, const struct place *place,
                         struct cubby_expression **ret_expression, struct cubby_error *error);

/* Writes one; NULL when memory is short. */
json_t *json_expression_write(const struct cubby_expression *expression);

#endif
