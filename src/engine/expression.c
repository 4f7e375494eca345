/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/expression.h"

#include <stdlib.h>
#include <string.h>

/* ---- Making ------------------------------------------------------------------------------ */

/* What could not be made is one of these, which no one changes or releases. */
static struct cubby_expression no_memory = {.kind = EXPRESSION_NO_MEMORY};
static struct cubby_expression too_large = {.kind = EXPRESSION_TOO_LARGE};
static struct cubby_expression no_operator = {.kind = EXPRESSION_NO_OPERATOR};
static struct cubby_expression no_name = {.kind = EXPRESSION_NO_NAME};

static bool is_static(const struct cubby_expression *expression) {
    return expression->kind >= EXPRESSION_NO_MEMORY;
}

const char *expression_problem(const struct cubby_expression *expression) {
    switch (expression->kind) {
    case EXPRESSION_NO_MEMORY:
        return "out of memory";
    case EXPRESSION_TOO_LARGE:
        return "the expression is too large: expected at most 256 constants, dims and operations, "
               "nested at most 32 deep";
    case EXPRESSION_NO_OPERATOR:
        return "the expression has an operator that is not known: expected one of enum "
               "cubby_operator";
    case EXPRESSION_NO_NAME:
        return "the expression has a dim without a name, or an operation without both of its "
               "operands";
    default:
        return NULL;
    }
}

/* NULL when memory is short. */
static struct cubby_expression *new_node(enum expression_kind kind) {
    struct cubby_expression *node = calloc(1, sizeof(*node));

    if (node) {
        node->kind = kind;
        node->nodes = 1;
        node->depth = 1;
    }
    return node;
}

struct cubby_expression *cubby_expression_constant(int64_t value) {
    struct cubby_expression *node = new_node(EXPRESSION_CONSTANT);

    if (!node)
        return &no_memory;
    node->value = value;
    return node;
}

struct cubby_expression *cubby_expression_dim(const char *name) {
    struct cubby_expression *node;

    if (!name)
        return &no_name;
    node = new_node(EXPRESSION_DIM);
    if (!node)
        return &no_memory;
    node->name = strdup(name);
    if (node->name)
        return node;
    free(node);
    return &no_memory;
}

/* What stands in the way of an operation; NULL for nothing. */
static struct cubby_expression *refuse(enum cubby_operator operation, struct cubby_expression *left,
                                       struct cubby_expression *right) {
    if (!left || !right)
        return &no_name;
    if (is_static(left))
        return left;
    if (is_static(right))
        return right;
    if (!cubby_operator_name(operation))
        return &no_operator;
    if (left->nodes + right->nodes >= EXPRESSION_NODES_MAX || left->depth >= EXPRESSION_DEPTH_MAX ||
        right->depth >= EXPRESSION_DEPTH_MAX)
        return &too_large;
    return NULL;
}

struct cubby_expression *cubby_expression_operation(enum cubby_operator operation,
                                                    struct cubby_expression *left,
                                                    struct cubby_expression *right) {
    struct cubby_expression *refused = refuse(operation, left, right);
    struct cubby_expression *node = refused ? NULL : new_node(EXPRESSION_OPERATION);

    if (!node) {
        cubby_expression_free(left);
        cubby_expression_free(right);
        return refused ? refused : &no_memory;
    }
    node->operation = operation;
    node->left = left;
    node->right = right;
    node->nodes = left->nodes + right->nodes + 1;
    node->depth = (left->depth > right->depth ? left->depth : right->depth) + 1;
    return node;
}

void cubby_expression_free(struct cubby_expression *expression) {
    if (!expression || is_static(expression))
        return;
    cubby_expression_free(expression->left);
    cubby_expression_free(expression->right);
    free(expression->name);
    free(expression);
}

/* ---- One value --------------------------------------------------------------------------- */

static int64_t floor_div(int64_t left, int64_t right) {
    return left / right - (left % right < 0);
}

static int64_t floor_mod(int64_t left, int64_t right) {
    return left % right + (left % right < 0 ? right : 0);
}

static enum expression_fault overflow(bool overflowed) {
    return overflowed ? EXPRESSION_OVERFLOW : EXPRESSION_OK;
}

static enum expression_fault divide(enum cubby_operator operation, int64_t left, int64_t right,
                                    int64_t *ret_value) {
    int64_t rest;

    if (right < 1)
        return EXPRESSION_DIVISOR;
    rest = floor_mod(left, right);
    switch (operation) {
    case CUBBY_OPERATOR_DIV:
        *ret_value = floor_div(left, right);
        return EXPRESSION_OK;
    case CUBBY_OPERATOR_MOD:
        *ret_value = rest;
        return EXPRESSION_OK;
    case CUBBY_OPERATOR_CEIL_DIV:
        *ret_value = floor_div(left, right) + (rest > 0);
        return EXPRESSION_OK;
    case CUBBY_OPERATOR_ROUND_DOWN:
        return overflow(__builtin_sub_overflow(left, rest, ret_value));
    default:
        return overflow(__builtin_add_overflow(left, rest > 0 ? right - rest : 0, ret_value));
    }
}

static enum expression_fault apply(enum cubby_operator operation, int64_t left, int64_t right,
                                   int64_t *ret_value) {
    switch (operation) {
    case CUBBY_OPERATOR_ADD:
        return overflow(__builtin_add_overflow(left, right, ret_value));
    case CUBBY_OPERATOR_SUB:
        return overflow(__builtin_sub_overflow(left, right, ret_value));
    case CUBBY_OPERATOR_MUL:
        return overflow(__builtin_mul_overflow(left, right, ret_value));
    case CUBBY_OPERATOR_MIN:
        *ret_value = left < right ? left : right;
        return EXPRESSION_OK;
    case CUBBY_OPERATOR_MAX:
        *ret_value = left > right ? left : right;
        return EXPRESSION_OK;
    default:
        return divide(operation, left, right, ret_value);
    }
}

enum expression_fault expression_evaluate(const struct cubby_expression *expression,
                                          const int64_t *dims, int64_t *ret_value) {
    enum expression_fault fault;
    int64_t left, right;

    if (expression->kind == EXPRESSION_CONSTANT) {
        *ret_value = expression->value;
        return EXPRESSION_OK;
    }
    if (expression->kind == EXPRESSION_DIM) {
        *ret_value = dims[expression->dim];
        return EXPRESSION_OK;
    }
    fault = expression_evaluate(expression->left, dims, &left);
    if (fault == EXPRESSION_OK)
        fault = expression_evaluate(expression->right, dims, &right);
    return fault == EXPRESSION_OK ? apply(expression->operation, left, right, ret_value) : fault;
}

/* ---- Bounds ------------------------------------------------------------------------------ */

/* Of what grows or falls in each operand while the other stays: bounds lie at the corners. */
static bool corners(enum cubby_operator operation, struct interval left, struct interval right,
                    struct interval *ret_bounds) {
    int64_t values[4];

    for (unsigned i = 0; i < 4; i++) {
        if (apply(operation, i & 1 ? left.high : left.low, i & 2 ? right.high : right.low,
                  &values[i]) != EXPRESSION_OK)
            return false;
    }
    *ret_bounds = (struct interval){values[0], values[0]};
    for (unsigned i = 1; i < 4; i++) {
        if (values[i] < ret_bounds->low)
            ret_bounds->low = values[i];
        if (values[i] > ret_bounds->high)
            ret_bounds->high = values[i];
    }
    return true;
}

static struct interval mod_bounds(struct interval left, struct interval right) {
    bool one_period = right.low == right.high &&
                      floor_div(left.low, right.low) == floor_div(left.high, right.low);

    if (one_period)
        return (struct interval){floor_mod(left.low, right.low), floor_mod(left.high, right.low)};
    if (left.low >= 0 && left.high < right.low)
        return left;
    return (struct interval){0, right.high - 1};
}

/* Rounding to a multiple of what varies stays within one such multiple. */
static bool round_bounds(enum cubby_operator operation, struct interval left, struct interval right,
                         struct interval *ret_bounds) {
    if (right.low == right.high)
        return corners(operation, left, right, ret_bounds);
    *ret_bounds = left;
    if (operation == CUBBY_OPERATOR_ROUND_UP)
        return !__builtin_add_overflow(left.high, right.high - 1, &ret_bounds->high);
    return !__builtin_sub_overflow(left.low, right.high - 1, &ret_bounds->low);
}

static bool combine(enum cubby_operator operation, struct interval left, struct interval right,
                    struct interval *ret_bounds) {
    switch (operation) {
    case CUBBY_OPERATOR_ADD:
        return !__builtin_add_overflow(left.low, right.low, &ret_bounds->low) &&
               !__builtin_add_overflow(left.high, right.high, &ret_bounds->high);
    case CUBBY_OPERATOR_SUB:
        return !__builtin_sub_overflow(left.low, right.high, &ret_bounds->low) &&
               !__builtin_sub_overflow(left.high, right.low, &ret_bounds->high);
    case CUBBY_OPERATOR_MOD:
        if (right.low < 1)
            return false;
        *ret_bounds = mod_bounds(left, right);
        return true;
    case CUBBY_OPERATOR_ROUND_UP:
    case CUBBY_OPERATOR_ROUND_DOWN:
        return right.low >= 1 && round_bounds(operation, left, right, ret_bounds);
    default:
        return corners(operation, left, right, ret_bounds);
    }
}

bool expression_bounds(const struct cubby_expression *expression, const struct interval *dims,
                       struct interval *ret_bounds) {
    struct interval left, right;

    if (expression->kind == EXPRESSION_CONSTANT) {
        *ret_bounds = (struct interval){expression->value, expression->value};
        return true;
    }
    if (expression->kind == EXPRESSION_DIM) {
        *ret_bounds = dims[expression->dim];
        return true;
    }
    return expression_bounds(expression->left, dims, &left) &&
           expression_bounds(expression->right, dims, &right) &&
           combine(expression->operation, left, right, ret_bounds);
}

/* ---- Walking ----------------------------------------------------------------------------- */

void expression_dims(struct cubby_expression *expression, expression_visitor visit, void *context) {
    if (!expression)
        return;
    if (expression->kind == EXPRESSION_DIM)
        visit(expression, context);
    expression_dims(expression->left, visit, context);
    expression_dims(expression->right, visit, context);
}

bool expression_equal(const struct cubby_expression *left, const struct cubby_expression *right) {
    if (left->kind != right->kind)
        return false;
    if (left->kind == EXPRESSION_CONSTANT)
        return left->value == right->value;
    if (left->kind == EXPRESSION_DIM)
        return strcmp(left->name, right->name) == 0;
    return left->operation == right->operation && expression_equal(left->left, right->left) &&
           expression_equal(left->right, right->right);
}
