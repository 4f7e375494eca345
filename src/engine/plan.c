/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/plan.h"

#include <inttypes.h>
#include <stdlib.h>

#include "util/error.h"

/* From the CUDA programming guide: the same for every architecture that is in use. */
const int64_t PLAN_GRID_MAX[3] = {INT32_MAX, 65535, 65535};
const int64_t PLAN_BLOCK_MAX[3] = {1024, 1024, 64};

/* ---- Releasing --------------------------------------------------------------------------- */

static void free_expressions(struct cubby_expression **expressions, size_t count) {
    for (size_t i = 0; expressions && i < count; i++)
        cubby_expression_free(expressions[i]);
    free(expressions);
}

void plan_free_tensor(struct cubby_engine_tensor *tensor) {
    free((char *)tensor->name);
    free_expressions(tensor->shape, tensor->rank);
}

void plan_free_program(struct plan_program *program) {
    free((char *)program->view.name);
    free((char *)program->view.path);
    for (size_t i = 0; program->view.specialize && i < program->view.specialize_count; i++)
        free((char *)program->view.specialize[i]);
    free((void *)program->view.specialize);
    free((void *)program->options.headers);
    free(program->specialize);
    cubby_program_unref(program->base);
}

void plan_free_launch(struct plan_launch *launch) {
    struct cubby_engine_argument *arguments =
        (struct cubby_engine_argument *)launch->view.arguments;

    free((char *)launch->view.program);
    free((char *)launch->view.kernel);
    for (size_t i = 0; i < 3; i++) {
        cubby_expression_free(launch->view.grid[i]);
        cubby_expression_free(launch->view.block[i]);
    }
    cubby_expression_free(launch->view.shared_bytes);
    for (size_t i = 0; arguments && i < launch->view.argument_count; i++) {
        free((char *)arguments[i].name);
        free_expressions(arguments[i].shape, arguments[i].rank);
    }
    free(arguments);
    free(launch->references);
}

void plan_free(struct cubby_engine_plan *plan) {
    if (!plan)
        return;
    for (size_t i = 0; i < plan->dim_count; i++)
        free((char *)plan->dims[i].name);
    for (size_t i = 0; i < plan->tensor_count; i++)
        plan_free_tensor(&plan->tensors[i]);
    for (size_t i = 0; i < plan->program_count; i++)
        plan_free_program(&plan->programs[i]);
    for (size_t i = 0; i < plan->launch_count; i++)
        plan_free_launch(&plan->launches[i]);
    free(plan->dims);
    free(plan->tensors);
    free(plan->programs);
    free(plan->launches);
    free(plan->name);
    free(plan);
}

struct cubby_engine_plan *cubby_engine_plan_ref(struct cubby_engine_plan *plan) {
    if (plan)
        atomic_fetch_add_explicit(&plan->references, 1, memory_order_relaxed);
    return plan;
}

void cubby_engine_plan_unref(struct cubby_engine_plan *plan) {
    if (plan && atomic_fetch_sub_explicit(&plan->references, 1, memory_order_acq_rel) == 1)
        plan_free(plan);
}

/* ---- What is asked of one ---------------------------------------------------------------- */

bool plan_has_cuda(const struct cubby_engine_plan *plan) {
    for (size_t i = 0; i < plan->program_count; i++) {
        if (plan->programs[i].options.source == CUBBY_SOURCE_CUDA)
            return true;
    }
    return false;
}

/* ---- Looking ----------------------------------------------------------------------------- */

const char *cubby_engine_plan_name(const struct cubby_engine_plan *plan) {
    return plan->name;
}

const struct cubby_engine_dim *cubby_engine_plan_dim(const struct cubby_engine_plan *plan,
                                                     size_t index) {
    return index < plan->dim_count ? &plan->dims[index] : NULL;
}

const struct cubby_engine_tensor *cubby_engine_plan_tensor(const struct cubby_engine_plan *plan,
                                                           size_t index) {
    return index < plan->tensor_count ? &plan->tensors[index] : NULL;
}

const struct cubby_engine_program *cubby_engine_plan_program(const struct cubby_engine_plan *plan,
                                                             size_t index) {
    return index < plan->program_count ? &plan->programs[index].view : NULL;
}

const struct cubby_engine_launch *cubby_engine_plan_launch(const struct cubby_engine_plan *plan,
                                                           size_t index) {
    return index < plan->launch_count ? &plan->launches[index].view : NULL;
}

int plan_check_dims(const struct cubby_engine_plan *plan, const int64_t *dims, size_t dim_count,
                    struct cubby_error *error) {
    if (dim_count != plan->dim_count)
        return error_set(error, CUBBY_ERR_INVALID,
                         "the engine %s was given values of %zu dims: expected %zu", plan->name,
                         dim_count, plan->dim_count);
    if (dim_count > 0 && !dims)
        return error_set(error, CUBBY_ERR_INVALID,
                         "the engine %s was given NULL: expected values of %zu dims", plan->name,
                         dim_count);
    for (size_t i = 0; i < dim_count; i++) {
        const struct cubby_engine_dim *dim = &plan->dims[i];

        if (dims[i] < dim->min || dims[i] > dim->max)
            return error_set(error, CUBBY_ERR_INVALID,
                             "the dim %s of the engine %s is %" PRId64 ": expected %" PRId64
                             " to %" PRId64,
                             dim->name, plan->name, dims[i], dim->min, dim->max);
    }
    return 0;
}
