/* SPDX-License-Identifier: Apache-2.0 */
/* Integer expressions over dims: for one value of each dim, and for a range of each. */
#ifndef CUBBY_ENGINE_EXPRESSION_H
#define CUBBY_ENGINE_EXPRESSION_H

#include "engine/types.h"

#define EXPRESSION_NODES_MAX 256
#define EXPRESSION_DEPTH_MAX 32

enum expression_kind {
    EXPRESSION_CONSTANT,
    EXPRESSION_DIM,
    EXPRESSION_OPERATION,
    EXPRESSION_NO_MEMORY, /* from here on, static ones that stand for what could not be made */
    EXPRESSION_TOO_LARGE,
    EXPRESSION_NO_OPERATOR,
    EXPRESSION_NO_NAME,
};

struct cubby_expression {
    enum expression_kind kind;
    int64_t value;  /* of a constant */
    char *name;     /* of a dim, owned */
    size_t dim;     /* and its number, once the dims are known */
    unsigned nodes; /* in the whole tree */
    unsigned depth; /* of the tree, 1 for a leaf */
    enum cubby_operator operation;
    struct cubby_expression *left; /* owned, as is right */
    struct cubby_expression *right;
};

/* Why an expression has no value. */
enum expression_fault {
    EXPRESSION_OK,
    EXPRESSION_OVERFLOW,
    EXPRESSION_DIVISOR, /* one below 1 */
};

/* What is wrong with one that could not be made, as a sentence; NULL for one that was. */
const char *expression_problem(const struct cubby_expression *expression);

/* Computes the value; dims has one for each dim that the expression names. */
enum expression_fault expression_evaluate(const struct cubby_expression *expression,
                                          const int64_t *dims, int64_t *ret_value);

/*
 * Bounds between which every value lies while each dim keeps to its interval. False where there may
 * be none. Bounds need not be reached, but where each interval is a single value they are exact.
 */
bool expression_bounds(const struct cubby_expression *expression, const struct interval *dims,
                       struct interval *ret_bounds);

typedef void (*expression_visitor)(struct cubby_expression *dim, void *context);
/* Calls visit for each dim in the expression, from left to right. */
void expression_dims(struct cubby_expression *expression, expression_visitor visit, void *context);

/* True if both are the same tree. */
bool expression_equal(const struct cubby_expression *left, const struct cubby_expression *right);

#endif
