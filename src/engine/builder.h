/* SPDX-License-Identifier: Apache-2.0 */
/* What those that take the parts of a plan share. */
#ifndef CUBBY_ENGINE_BUILDER_H
#define CUBBY_ENGINE_BUILDER_H

#include <stddef.h>

#include <cubby/engine.h>

#include "engine/place.h"

/* Copies a name, which must be an identifier. */
int builder_copy_name(const char *name, const struct place *place, const char **ret_copy,
                      struct cubby_error *error);

/* Requires a text that is not empty, has at most max bytes, is UTF-8 and one line. */
int builder_check_line(const char *text, size_t max, const struct place *place,
                       struct cubby_error *error);

/* Makes room for one more item of a list, filled with zeros; list names it in messages. */
int builder_grow(struct cubby_engine_builder *builder, void **items, size_t count, size_t max,
                 size_t size, const char *list, struct cubby_error *error);

/* Requires an expression that could be made. */
int builder_check_expression(const struct cubby_expression *expression, const struct place *place,
                             struct cubby_error *error);

/* Releases expressions; NULL-safe. */
void builder_drop_expressions(struct cubby_expression *const *expressions, size_t count);

/* Takes a shape over: its expressions are stolen whatever happens, the list is copied. */
int builder_take_shape(struct cubby_expression **given, size_t rank, const struct place *place,
                       struct cubby_expression ***ret_shape, struct cubby_error *error);

#endif
