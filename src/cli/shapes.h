/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values of an engine's dims as --dims gives them: "n=64,m=8", where a value may be followed by
 * others of the same dim: "n=64,128,m=8" are two shapes.
 */
#ifndef CUBBY_CLI_SHAPES_H
#define CUBBY_CLI_SHAPES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cubby/engine.h>

/* Most shapes of one command. */
#define SHAPES_MAX 4096

/* The texts of --dims, as they came. */
struct dims_args {
    const char **texts;
    size_t count;
};

/* Shapes in the order in which they were asked for. */
struct shapes {
    size_t count;
    size_t dim_count;
    int64_t *values; /* dim_count for each, in the plan's order */
    bool *given;     /* beside each value: whether it was asked for */
};

/* Adds the argument of one --dims. */
void dims_args_add(struct dims_args *args, const char *text);
void dims_args_clear(struct dims_args *args);

/*
 * All shapes that the arguments ask for; without any, the one that the plan expects. A dim that is
 * left out has the value that the plan expects. Returns 0, INVALID or NO_MEMORY; a value that is
 * outside of its range is told.
 */
int shapes_make(const struct cubby_engine_plan *plan, const struct dims_args *args,
                struct shapes *ret_shapes, struct cubby_error *error);
void shapes_clear(struct shapes *shapes);

/* The values of one shape. */
const int64_t *shapes_at(const struct shapes *shapes, size_t index);

/* "n=64,m=8", new; "" where the plan has no dims. Ends the process where memory is short. */
char *shape_text(const struct cubby_engine_plan *plan, const int64_t *values);

/* The same as a new object. */
json_t *shape_json(const struct cubby_engine_plan *plan, const int64_t *values);

#endif
