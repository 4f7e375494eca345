/* SPDX-License-Identifier: Apache-2.0 */
#include "run/launches.h"

#include <stdlib.h>
#include <string.h>

#include "util/error.h"

/* The bytes of an integer of a type; that its value fits was checked when the plan was made. */
static uint64_t integer_value(enum cubby_dtype dtype, int64_t integer) {
    const size_t size = cubby_dtype_size(dtype);
    const uint64_t bits = (uint64_t)integer;

    return size < sizeof(bits) ? bits & ((UINT64_C(1) << (8 * size)) - 1) : bits;
}

static uint64_t real_value(enum cubby_dtype dtype, double real) {
    const float narrow = (float)real;
    uint64_t bits = 0;

    if (dtype == CUBBY_DTYPE_FLOAT32)
        memcpy(&bits, &narrow, sizeof(narrow));
    else
        memcpy(&bits, &real, sizeof(real));
    return bits;
}

static bool is_real(enum cubby_dtype dtype) {
    return dtype == CUBBY_DTYPE_FLOAT32 || dtype == CUBBY_DTYPE_FLOAT64;
}

/* ---- Life -------------------------------------------------------------------------------- */

static size_t count_arguments(const struct cubby_engine_plan *plan) {
    size_t count = 0;

    for (size_t i = 0; i < plan->launch_count; i++)
        count += plan->launches[i].view.argument_count;
    return count;
}

/* Names and scalars never change. */
static void fill(struct launches *launches) {
    const struct cubby_engine_plan *plan = launches->plan;
    size_t at = 0;

    for (size_t i = 0; i < plan->launch_count; i++) {
        const struct cubby_engine_launch *view = &plan->launches[i].view;

        launches->launches[i].name = view->kernel;
        launches->launches[i].arguments = &launches->addresses[at];
        for (size_t j = 0; j < view->argument_count; j++, at++) {
            const struct cubby_engine_argument *argument = &view->arguments[j];

            launches->addresses[at] = &launches->values[at];
            if (argument->kind == CUBBY_ARGUMENT_SCALAR)
                launches->values[at] = is_real(argument->dtype)
                                           ? real_value(argument->dtype, argument->real)
                                           : integer_value(argument->dtype, argument->integer);
        }
    }
}

int launches_init(struct launches *launches, const struct cubby_engine_plan *plan,
                  struct cubby_error *error) {
    launches->plan = plan;
    launches->value_count = count_arguments(plan);
    launches->launches = calloc(plan->launch_count + 1, sizeof(*launches->launches));
    launches->values = calloc(launches->value_count + 1, sizeof(*launches->values));
    launches->addresses = calloc(launches->value_count + 1, sizeof(*launches->addresses));
    if (!launches->launches || !launches->values || !launches->addresses)
        return error_no_memory(error);
    fill(launches);
    return 0;
}

void launches_free(struct launches *launches) {
    free(launches->launches);
    free(launches->values);
    free(launches->addresses);
}

/* ---- For a shape ------------------------------------------------------------------------- */

static void set_dims(struct launches *launches, const int64_t *dims) {
    const struct cubby_engine_plan *plan = launches->plan;
    size_t at = 0;

    for (size_t i = 0; i < plan->launch_count; i++) {
        const struct plan_launch *launch = &plan->launches[i];

        for (size_t j = 0; j < launch->view.argument_count; j++, at++) {
            const struct cubby_engine_argument *argument = &launch->view.arguments[j];

            if (argument->kind == CUBBY_ARGUMENT_DIM)
                launches->values[at] = integer_value(argument->dtype, dims[launch->references[j]]);
        }
    }
}

static int find_function(const struct variant *variant, size_t launch, struct CUctx_st *place,
                         struct CUfunc_st **ret_function, struct cubby_error *error) {
    if (place)
        return loaded_module_function(variant->module, variant->names[launch], place, ret_function,
                                      error);
    *ret_function = variant->functions[launch];
    return 0;
}

int launches_set(struct launches *launches, struct device_context *context, struct CUctx_st *place,
                 struct variant *const *chosen, const int64_t *dims,
                 const struct cubby_engine_geometry *geometry, struct cubby_error *error) {
    const struct cubby_engine_plan *plan = launches->plan;
    int result = 0;

    for (size_t i = 0; result == 0 && i < plan->launch_count; i++) {
        const struct cubby_launch_geometry *form = &geometry->launches[i];
        struct kernel_launch *launch = &launches->launches[i];

        result =
            find_function(chosen[plan->launches[i].program], i, place, &launch->function, error);
        memcpy(launch->grid, form->grid, sizeof(launch->grid));
        memcpy(launch->block, form->block, sizeof(launch->block));
        launch->shared = form->shared_bytes;
        if (result == 0)
            result =
                kernel_allow_shared(context, launch->name, launch->function, launch->shared, error);
    }
    set_dims(launches, dims);
    return result;
}

void launches_point(struct launches *launches, const uint64_t *addresses, const uint64_t *offsets,
                    uint64_t scratch) {
    const struct cubby_engine_plan *plan = launches->plan;
    size_t at = 0;

    for (size_t i = 0; i < plan->launch_count; i++) {
        const struct plan_launch *launch = &plan->launches[i];

        for (size_t j = 0; j < launch->view.argument_count; j++, at++) {
            const size_t tensor = launch->references[j];

            if (launch->view.arguments[j].kind != CUBBY_ARGUMENT_TENSOR)
                continue;
            launches->values[at] = plan->tensors[tensor].role == CUBBY_ROLE_SCRATCH
                                       ? scratch + offsets[tensor]
                                       : addresses[tensor];
        }
    }
}

int launches_run(const struct launches *launches, struct device_context *context,
                 struct CUstream_st *stream, struct cubby_error *error) {
    int result = 0;

    for (size_t i = 0; result == 0 && i < launches->plan->launch_count; i++)
        result = kernel_launch(context, &launches->launches[i], stream, error);
    return result;
}
