/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a launch with its arguments. */
#include "engine/builder.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/plan.h"
#include "util/error.h"

static int check_scalar(const struct cubby_engine_argument *argument, const struct place *place,
                        struct cubby_error *error) {
    struct interval range;

    if (!dtype_is_integer(argument->dtype)) {
        if (dtype_holds_real(argument->dtype, argument->real))
            return 0;
        return place_error(PLACE_KEY(place, "scalar"), error,
                           "%g does not fit into %s: expected a finite number within its range",
                           argument->real, cubby_dtype_name(argument->dtype));
    }
    range = dtype_interval(argument->dtype);
    if (argument->integer >= range.low && argument->integer <= range.high)
        return 0;
    return place_error(PLACE_KEY(place, "scalar"), error,
                       "%" PRId64 " does not fit into %s: expected %" PRId64 " to %" PRId64,
                       argument->integer, cubby_dtype_name(argument->dtype), range.low, range.high);
}

static int fill_tensor_argument(const struct cubby_engine_argument *given,
                                struct cubby_engine_argument *argument, const struct place *place,
                                struct cubby_error *error) {
    if (!cubby_access_name(given->access))
        return place_error(PLACE_KEY(place, "access"), error,
                           "access %d is not known: expected one of enum cubby_access",
                           (int)given->access);
    argument->access = given->access;
    return builder_copy_name(given->name, PLACE_KEY(place, "tensor"), &argument->name, error);
}

static int fill_argument(const struct cubby_engine_argument *given,
                         struct cubby_engine_argument *argument, const struct place *place,
                         struct cubby_error *error) {
    bool is_dim = given->kind == CUBBY_ARGUMENT_DIM;

    argument->kind = given->kind;
    if (given->kind == CUBBY_ARGUMENT_TENSOR)
        return fill_tensor_argument(given, argument, place, error);
    if (!is_dim && given->kind != CUBBY_ARGUMENT_SCALAR)
        return place_error(place, error, "kind %d is not known: expected a tensor, dim or scalar",
                           (int)given->kind);
    if (given->shape)
        return place_error(PLACE_KEY(place, "shape"), error, "only a tensor has a shape");
    if (!(is_dim ? dtype_is_integer(given->dtype) : dtype_is_scalar(given->dtype)))
        return place_error(PLACE_KEY(place, "type"), error, "%s: expected %s",
                           cubby_dtype_name(given->dtype) ? cubby_dtype_name(given->dtype)
                                                          : "no type",
                           is_dim ? "an integer type" : "an integer type, float32 or float64");
    argument->dtype = given->dtype;
    if (is_dim)
        return builder_copy_name(given->name, PLACE_KEY(place, "dim"), &argument->name, error);
    if (dtype_is_integer(given->dtype))
        argument->integer = given->integer;
    else
        argument->real = given->real;
    return check_scalar(given, place, error);
}

static int take_argument(const struct cubby_engine_argument *given,
                         struct cubby_engine_argument *argument, const struct place *place,
                         struct cubby_error *error) {
    int result;

    if (given->shape) {
        result = builder_take_shape(given->shape, given->rank, PLACE_KEY(place, "shape"),
                                    &argument->shape, error);
        if (result < 0)
            return result;
        argument->rank = given->rank;
    }
    return fill_argument(given, argument, place, error);
}

static int take_arguments(const struct cubby_engine_launch *given, struct plan_launch *launch,
                          const struct place *place, struct cubby_error *error) {
    size_t count = given->argument_count, taken = 0;
    struct cubby_engine_argument *arguments = NULL;
    int result = 0;

    if (count > 0 && !given->arguments)
        return place_error(place, error, "it is NULL: expected %zu arguments", count);
    if (count > PLAN_ARGUMENTS_MAX)
        result = place_error(place, error, "there are %zu: expected at most %d", count,
                             PLAN_ARGUMENTS_MAX);
    if (result == 0) {
        arguments = calloc(count + 1, sizeof(*arguments));
        launch->references = calloc(count + 1, sizeof(*launch->references));
        launch->view.arguments = arguments;
        launch->view.argument_count = arguments ? count : 0;
        result = arguments && launch->references ? 0 : error_no_memory(error);
    }
    for (; result == 0 && taken < count; taken++)
        result = take_argument(&given->arguments[taken], &arguments[taken],
                               PLACE_INDEX(place, taken), error);
    /* What is left is ours too. */
    for (; taken < count; taken++)
        builder_drop_expressions(given->arguments[taken].shape, given->arguments[taken].rank);
    return result;
}

static struct cubby_expression *or_constant(struct cubby_expression *expression, int64_t value) {
    return expression ? expression : cubby_expression_constant(value);
}

static void take_geometry(const struct cubby_engine_launch *given, struct plan_launch *launch) {
    for (size_t i = 0; i < 3; i++) {
        launch->view.grid[i] = or_constant(given->grid[i], 1);
        launch->view.block[i] = or_constant(given->block[i], 1);
    }
    launch->view.shared_bytes = or_constant(given->shared_bytes, 0);
}

static int check_geometry(const struct plan_launch *launch, const struct place *place,
                          struct cubby_error *error) {
    int result = builder_check_expression(launch->view.shared_bytes,
                                          PLACE_KEY(place, "shared_bytes"), error);

    for (size_t i = 0; result == 0 && i < 3; i++) {
        result =
            builder_check_expression(launch->view.grid[i], PLACE_ITEM(place, "grid", i), error);
        if (result == 0)
            result = builder_check_expression(launch->view.block[i], PLACE_ITEM(place, "block", i),
                                              error);
    }
    return result;
}

static int fill_launch(const struct cubby_engine_launch *given, struct plan_launch *launch,
                       const struct place *place, struct cubby_error *error) {
    const struct place *kernel = PLACE_KEY(place, "kernel");
    int result = builder_copy_name(given->program, PLACE_KEY(place, "program"),
                                   &launch->view.program, error);

    if (result == 0)
        result = builder_check_line(given->kernel, PLAN_KERNEL_MAX, kernel, error);
    if (result == 0 && !(launch->view.kernel = strdup(given->kernel)))
        result = error_no_memory(error);
    return result < 0 ? result : check_geometry(launch, place, error);
}

/* Every expression is ours from the beginning, whatever is refused. */
static int take_parts(const struct cubby_engine_launch *given, struct plan_launch *launch,
                      const struct place *place, struct cubby_error *error) {
    int result;

    take_geometry(given, launch);
    result = take_arguments(given, launch, PLACE_KEY(place, "arguments"), error);
    return result < 0 ? result : fill_launch(given, launch, place, error);
}

int cubby_engine_builder_add_launch(struct cubby_engine_builder *builder,
                                    const struct cubby_engine_launch *launch,
                                    struct cubby_error *error) {
    struct cubby_engine_plan *plan = builder->plan;
    const struct place *place = PLACE_ITEM(NULL, "launches", plan ? plan->launch_count : 0);
    struct plan_launch copy = {0};
    int result = take_parts(launch, &copy, place, error);

    if (result == 0)
        result = builder_grow(builder, plan ? (void **)&plan->launches : NULL,
                              plan ? plan->launch_count : 0, PLAN_LAUNCHES_MAX,
                              sizeof(*plan->launches), "launches", error);
    if (result == 0)
        plan->launches[plan->launch_count++] = copy;
    else
        plan_free_launch(&copy);
    return result;
}
