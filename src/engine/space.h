/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All values that the dims may have together, and what an expression is for each of them.
 *
 * Bounds that follow from the dims' ranges settle most expressions at once. Where they do not, as
 * in
 * ["sub", ["mul", "n", 2], "n"], the ranges are halved, and each half is settled by itself.
 */
#ifndef CUBBY_ENGINE_SPACE_H
#define CUBBY_ENGINE_SPACE_H

#include "engine/expression.h"
#include "engine/place.h"

/* The ranges, and how much work may still be spent on them. */
struct space {
    const struct cubby_engine_dim *dims;
    size_t dim_count;
    struct interval *box; /* one interval for each dim */
    int64_t *point;       /* one value for each dim */
    bool *used;           /* which dims the expression at hand names */
    uint64_t work;        /* nodes that may still be looked at */
};

/* Returns 0 or NO_MEMORY. The dims are borrowed. */
int space_open(const struct cubby_engine_dim *dims, size_t dim_count, struct space *ret_space,
               struct cubby_error *error);
void space_close(struct space *space);

/*
 * Requires that the expression lies between low and high everywhere.
 * what names it in the message, such as "the extent".
 * Returns 0, or INVALID with values of the dims for which it does not.
 */
int space_require(struct space *space, struct cubby_expression *expression, int64_t low,
                  int64_t high, const char *what, const struct place *place,
                  struct cubby_error *error);

#endif
