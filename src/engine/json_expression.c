/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/json_expression.h"

#include "engine/fields.h"
#include "util/error.h"

static int read_at(const json_t *value, unsigned depth, const struct place *place,
                   struct cubby_expression **ret_expression, struct cubby_error *error);

/* What grouping does not change may have more operands than two. */
static bool takes_many(enum cubby_operator operation) {
    return operation == CUBBY_OPERATOR_ADD || operation == CUBBY_OPERATOR_MUL ||
           operation == CUBBY_OPERATOR_MIN || operation == CUBBY_OPERATOR_MAX;
}

static int read_operator(const json_t *list, const struct place *place,
                         enum cubby_operator *ret_operation, struct cubby_error *error) {
    const json_t *first = json_array_get(list, 0);
    size_t count = json_array_size(list);
    int operation;

    if (!first)
        return place_error(place, error,
                           "it is empty: expected an operator and its operands, such as "
                           "[\"ceil_div\", \"n\", 256]");
    if (!json_is_string(first) || !word_find(operator_word, json_string_value(first), &operation))
        return place_error(PLACE_INDEX(place, 0), error,
                           "it is no operator: expected one of add, sub, mul, div, mod, ceil_div, "
                           "round_up, round_down, min, max");
    *ret_operation = (enum cubby_operator)operation;
    if (count == 3 || (count > 3 && takes_many(*ret_operation)))
        return 0;
    return place_error(place, error, "%s has %zu operands: expected %s", json_string_value(first),
                       count - 1, takes_many(*ret_operation) ? "at least two" : "two");
}

static int read_operation(const json_t *list, unsigned depth, const struct place *place,
                          struct cubby_expression **ret_expression, struct cubby_error *error) {
    struct cubby_expression *whole = NULL, *operand = NULL;
    enum cubby_operator operation = CUBBY_OPERATOR_ADD;
    int result = read_operator(list, place, &operation, error);

    for (size_t i = 1; result == 0 && i < json_array_size(list); i++) {
        result =
            read_at(json_array_get(list, i), depth + 1, PLACE_INDEX(place, i), &operand, error);
        if (result == 0)
            whole = whole ? cubby_expression_operation(operation, whole, operand) : operand;
    }
    if (result == 0)
        *ret_expression = whole;
    else
        cubby_expression_free(whole);
    return result;
}

static int read_at(const json_t *value, unsigned depth, const struct place *place,
                   struct cubby_expression **ret_expression, struct cubby_error *error) {
    if (depth > EXPRESSION_DEPTH_MAX)
        return place_error(place, error, "it is nested too deep: expected at most %d levels",
                           EXPRESSION_DEPTH_MAX);
    if (json_is_array(value))
        return read_operation(value, depth, place, ret_expression, error);
    if (json_is_integer(value))
        *ret_expression = cubby_expression_constant(json_integer_value(value));
    else if (json_is_string(value))
        *ret_expression = cubby_expression_dim(json_string_value(value));
    else
        return field_refuse(value,
                            "an integer, the name of a dim, or an operation such as "
                            "[\"ceil_div\", \"n\", 256]",
                            place, error);
    return 0;
}

int json_expression_read(const json_t *value, const struct place *place,
                         struct cubby_expression **ret_expression, struct cubby_error *error) {
    return read_at(value, 1, place, ret_expression, error);
}

json_t *json_expression_write(const struct cubby_expression *expression) {
    switch (expression->kind) {
    case EXPRESSION_CONSTANT:
        return json_integer(expression->value);
    case EXPRESSION_DIM:
        return json_string(expression->name);
    default:
        return json_pack("[s, o, o]", cubby_operator_name(expression->operation),
                         json_expression_write(expression->left),
                         json_expression_write(expression->right));
    }
}
