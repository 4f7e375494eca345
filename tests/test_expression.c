/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions: their values, their bounds, and what holds for all values of the dims. */
#include "harness.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/json_expression.h"
#include "engine/space.h"

#define DIMS 3

/* The dims a, b and c of these tests. */
static const char *const NAMES[DIMS] = {"a", "b", "c"};

static void set_number(struct cubby_expression *dim, void *context) {
    (void)context;
    dim->dim = (size_t)(dim->name[0] - 'a');
}

/* Reads one from JSON with ' for ". */
static struct cubby_expression *expression_of(const char *json) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_expression *expression;
    char *text = strdup(json);
    json_t *value;

    for (char *c = text; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    value = json_loads(text, JSON_DECODE_ANY, NULL);
    ck_assert_msg(value != NULL, "%s", text);
    ck_ok(json_expression_read(value, NULL, &expression, &error), &error);
    ck_assert_msg(!expression_problem(expression), "%s", json);
    expression_dims(expression, set_number, NULL);
    json_decref(value);
    free(text);
    return expression;
}

/* ---- Values ------------------------------------------------------------------------------ */

#define MOST "9223372036854775807"
#define LEAST "-9223372036854775808"

static const struct {
    const char *json;
    enum expression_fault fault;
    int64_t value;
} VALUES[] = {
    {"7", EXPRESSION_OK, 7},
    {"-7", EXPRESSION_OK, -7},
    {"'a'", EXPRESSION_OK, 10},
    {"'c'", EXPRESSION_OK, 1000},
    {"['add', 'a', 'b', 'c', 1]", EXPRESSION_OK, 1111},
    {"['sub', 'a', 'b']", EXPRESSION_OK, -90},
    {"['mul', 'a', 'b', 'c']", EXPRESSION_OK, 1000000},
    {"['min', 'a', 'b', 3]", EXPRESSION_OK, 3},
    {"['max', 'a', 'b', 3]", EXPRESSION_OK, 100},
    {"['div', 7, 2]", EXPRESSION_OK, 3},
    {"['div', -7, 2]", EXPRESSION_OK, -4},
    {"['div', -8, 2]", EXPRESSION_OK, -4},
    {"['ceil_div', 7, 2]", EXPRESSION_OK, 4},
    {"['ceil_div', -7, 2]", EXPRESSION_OK, -3},
    {"['ceil_div', 8, 2]", EXPRESSION_OK, 4},
    {"['mod', 7, 4]", EXPRESSION_OK, 3},
    {"['mod', -7, 4]", EXPRESSION_OK, 1},
    {"['mod', -8, 4]", EXPRESSION_OK, 0},
    {"['round_up', 7, 4]", EXPRESSION_OK, 8},
    {"['round_up', 8, 4]", EXPRESSION_OK, 8},
    {"['round_up', -7, 4]", EXPRESSION_OK, -4},
    {"['round_down', 7, 4]", EXPRESSION_OK, 4},
    {"['round_down', -7, 4]", EXPRESSION_OK, -8},
    {"['div', " LEAST ", 1]", EXPRESSION_OK, INT64_MIN},
    {"['ceil_div', " MOST ", " MOST "]", EXPRESSION_OK, 1},
    {"['mod', " LEAST ", " MOST "]", EXPRESSION_OK, INT64_MAX - 1},
    {"['div', 7, 0]", EXPRESSION_DIVISOR, 0},
    {"['mod', 7, -1]", EXPRESSION_DIVISOR, 0},
    {"['round_up', 7, ['sub', 'a', 'a']]", EXPRESSION_DIVISOR, 0},
    {"['div', " LEAST ", -1]", EXPRESSION_DIVISOR, 0},
    {"['add', " MOST ", 1]", EXPRESSION_OVERFLOW, 0},
    {"['sub', " LEAST ", 1]", EXPRESSION_OVERFLOW, 0},
    {"['mul', " MOST ", 'a']", EXPRESSION_OVERFLOW, 0},
    {"['round_up', " MOST ", 2]", EXPRESSION_OVERFLOW, 0},
    {"['round_down', " LEAST ", 3]", EXPRESSION_OVERFLOW, 0},
    {"['min', 1, ['mul', " MOST ", 2]]", EXPRESSION_OVERFLOW, 0},
};

START_TEST(test_values) {
    static const int64_t DIM_VALUES[DIMS] = {10, 100, 1000};
    struct cubby_expression *expression = expression_of(VALUES[_i].json);
    struct interval box[DIMS], bounds;
    int64_t value = 0;

    ck_assert_msg(expression_evaluate(expression, DIM_VALUES, &value) == VALUES[_i].fault, "%s",
                  VALUES[_i].json);
    for (size_t i = 0; i < DIMS; i++)
        box[i] = (struct interval){DIM_VALUES[i], DIM_VALUES[i]};
    if (VALUES[_i].fault == EXPRESSION_OK) {
        ck_assert_msg(value == VALUES[_i].value, "%s is %" PRId64, VALUES[_i].json, value);
        ck_assert(expression_bounds(expression, box, &bounds));
        ck_assert_int_eq(bounds.low, value);
        ck_assert_int_eq(bounds.high, value);
    } else {
        ck_assert(!expression_bounds(expression, box, &bounds));
    }
    cubby_expression_free(expression);
}
END_TEST

/* ---- All values of the dims, at random --------------------------------------------------- */

static unsigned random_state;

static unsigned random_below(unsigned bound) {
    random_state = random_state * 1103515245u + 12345u;
    return random_state / 65536u % bound;
}

static struct cubby_expression *random_expression(unsigned depth) {
    if (depth == 0 || random_below(4) == 0) {
        if (random_below(3) == 0)
            return cubby_expression_constant((int64_t)random_below(9) - 2);
        return cubby_expression_dim(NAMES[random_below(DIMS)]);
    }
    return cubby_expression_operation((enum cubby_operator)random_below(10),
                                      random_expression(depth - 1), random_expression(depth - 1));
}

/* What is true of an expression, by looking at every point. */
struct truth {
    bool faults;
    int64_t low, high;
};

static struct truth look_everywhere(const struct cubby_expression *expression,
                                    const struct cubby_engine_dim *dims) {
    struct truth truth = {false, INT64_MAX, INT64_MIN};
    int64_t point[DIMS], value;

    for (point[0] = dims[0].min; point[0] <= dims[0].max; point[0]++) {
        for (point[1] = dims[1].min; point[1] <= dims[1].max; point[1]++) {
            for (point[2] = dims[2].min; point[2] <= dims[2].max; point[2]++) {
                if (expression_evaluate(expression, point, &value) != EXPRESSION_OK) {
                    truth.faults = true;
                    continue;
                }
                truth.low = value < truth.low ? value : truth.low;
                truth.high = value > truth.high ? value : truth.high;
            }
        }
    }
    return truth;
}

static void check_one(struct cubby_expression *expression) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_engine_dim dims[DIMS];
    struct interval box[DIMS], bounds;
    struct space space;
    struct truth truth;

    for (size_t i = 0; i < DIMS; i++) {
        int64_t min = 1 + random_below(6);

        dims[i] = (struct cubby_engine_dim){NAMES[i], min, min, min + random_below(6)};
        box[i] = (struct interval){dims[i].min, dims[i].max};
    }
    truth = look_everywhere(expression, dims);
    if (expression_bounds(expression, box, &bounds)) {
        ck_assert(!truth.faults);
        ck_assert_int_le(bounds.low, truth.low);
        ck_assert_int_ge(bounds.high, truth.high);
    }
    ck_ok(space_open(dims, DIMS, &space, &error), &error);
    ck_assert_int_eq(space_require(&space, expression, truth.low, truth.high, "it", NULL, &error) ==
                         0,
                     !truth.faults);
    cubby_error_clear(&error);
    if (!truth.faults) {
        ck_assert_int_eq(
            space_require(&space, expression, truth.low + 1, truth.high, "it", NULL, &error),
            CUBBY_ERR_INVALID);
        cubby_error_clear(&error);
        ck_assert_int_eq(
            space_require(&space, expression, truth.low, truth.high - 1, "it", NULL, &error),
            CUBBY_ERR_INVALID);
        cubby_error_clear(&error);
    }
    space_close(&space);
}

START_TEST(test_random) {
    random_state = 7u + (unsigned)_i;
    for (unsigned i = 0; i < 300; i++) {
        struct cubby_expression *expression = random_expression(1 + random_below(4));

        expression_dims(expression, set_number, NULL);
        check_one(expression);
        cubby_expression_free(expression);
    }
}
END_TEST

/* ---- Wide ranges ------------------------------------------------------------------------- */

static const struct {
    const char *json;
    int64_t low, high;
    const char *message; /* NULL: it holds */
} WIDE[] = {
    {"['ceil_div', 'a', 256]", 1, (int64_t)1 << 32, NULL},
    {"['ceil_div', 'a', 256]", 1, 65535,
     "the engine: it is 4294967296 for a = 1099511627776: expected 1 to 65535"},
    {"['sub', ['mul', 'a', 2], 'a']", 1, INT64_MAX, NULL},
    {"['sub', ['round_up', 'a', 256], 'c']", 255, INT64_MAX, NULL},
    {"['mul', 'a', 'b']", 1, INT64_MAX,
     "the engine: it exceeds 64 bits for a = 1099511627776, b = "
     "1099511627776: expected less"},
    {"['div', 'a', ['sub', 'b', 1]]", 0, INT64_MAX,
     "the engine: a divisor is below 1 for a = 1, b = 1: expected at least 1"},
    {"['sub', 'a', 'b']", 0, 0, "the engine: it is -1 for a = 1, b = 2: expected 0"},
    {"5", 6, INT64_MAX, "the engine: it is 5: expected at least 6"},
};

START_TEST(test_wide_ranges) {
    static const struct cubby_engine_dim DIM_LIST[] = {
        {"a", 1, 1, (int64_t)1 << 40}, {"b", 1, 1, (int64_t)1 << 40}, {"c", 1, 1, 1}};
    struct cubby_engine_dim dims[DIMS];
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_expression *expression = expression_of(WIDE[_i].json);
    struct space space;
    int result;

    memcpy(dims, DIM_LIST, sizeof(dims));
    if (_i == 6)
        dims[0].max = dims[1].max = 2; /* the corners lie on the diagonal: halving finds it */
    ck_ok(space_open(dims, DIMS, &space, &error), &error);
    result = space_require(&space, expression, WIDE[_i].low, WIDE[_i].high, "it", NULL, &error);
    if (WIDE[_i].message) {
        ck_assert_int_eq(result, CUBBY_ERR_INVALID);
        ck_assert_str_eq(error.message, WIDE[_i].message);
    } else {
        ck_ok(result, &error);
    }
    space_close(&space);
    cubby_expression_free(expression);
}
END_TEST

/* What cannot be settled is refused in good time. */
START_TEST(test_work_is_bounded) {
    static const struct cubby_engine_dim DIM_LIST[] = {{"a", 1, 1, (int64_t)1 << 40},
                                                       {"b", 1, 1, (int64_t)1 << 40},
                                                       {"c", 1, 1, (int64_t)1 << 40}};
    struct cubby_expression *expression =
        expression_of("['sub', ['max', ['mod', 'a', 'b'], ['mod', 'b', 'c'], ['mod', 'c', 'a']], "
                      "['min', ['mod', 'a', 'c'], ['mod', 'b', 'a'], ['mod', 'c', 'b']]]");
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct space space;

    ck_ok(space_open(DIM_LIST, DIMS, &space, &error), &error);
    ck_assert_int_eq(space_require(&space, expression, 0, INT64_MAX, "it", NULL, &error),
                     CUBBY_ERR_INVALID);
    ck_assert_msg(strstr(error.message, "takes too long") != NULL, "%s", error.message);
    space_close(&space);
    cubby_expression_free(expression);
}
END_TEST

/* ---- Making ------------------------------------------------------------------------------ */

START_TEST(test_making) {
    struct cubby_expression *deep = cubby_expression_dim("a"), *other;

    for (unsigned i = 0; i < 31; i++)
        deep = cubby_expression_operation(CUBBY_OPERATOR_ADD, cubby_expression_constant(1), deep);
    ck_assert_ptr_null(expression_problem(deep));
    ck_assert_uint_eq(deep->depth, 32);
    deep = cubby_expression_operation(CUBBY_OPERATOR_ADD, deep, cubby_expression_constant(1));
    ck_assert_msg(strstr(expression_problem(deep), "too large") != NULL, "%s",
                  expression_problem(deep));
    /* It stays with whatever it becomes part of, and nothing needs to be released twice. */
    other = cubby_expression_operation(CUBBY_OPERATOR_MUL, cubby_expression_constant(2), deep);
    ck_assert_ptr_eq(other, deep);
    cubby_expression_free(other);
    cubby_expression_free(other);

    ck_assert(strstr(expression_problem(cubby_expression_dim(NULL)), "without a name") != NULL);
    other = cubby_expression_operation((enum cubby_operator)99, cubby_expression_constant(1),
                                       cubby_expression_constant(2));
    ck_assert(strstr(expression_problem(other), "operator") != NULL);
    other = cubby_expression_operation(CUBBY_OPERATOR_ADD, cubby_expression_constant(1), NULL);
    ck_assert(strstr(expression_problem(other), "operands") != NULL);
    cubby_expression_free(NULL);
}
END_TEST

/* A balanced tree of so many levels. */
static struct cubby_expression *tree(unsigned levels) {
    if (levels == 1)
        return cubby_expression_constant(1);
    return cubby_expression_operation(CUBBY_OPERATOR_ADD, tree(levels - 1), tree(levels - 1));
}

START_TEST(test_size) {
    struct cubby_expression *fits = tree(8), *large = tree(9);

    ck_assert_uint_eq(fits->nodes, 255);
    ck_assert_ptr_null(expression_problem(fits));
    ck_assert_ptr_nonnull(expression_problem(large));
    cubby_expression_free(fits);
    cubby_expression_free(large);
}
END_TEST

#define COUNT(table) (int)(sizeof(table) / sizeof(*(table)))

int main(void) {
    Suite *suite = suite_create("expression");
    TCase *tcase = tcase_create("all");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, test_values, 0, COUNT(VALUES));
    tcase_add_loop_test(tcase, test_random, 0, 20);
    tcase_add_loop_test(tcase, test_wide_ranges, 0, COUNT(WIDE));
    tcase_add_test(tcase, test_work_is_bounded);
    tcase_add_test(tcase, test_making);
    tcase_add_test(tcase, test_size);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
