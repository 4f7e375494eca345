/* SPDX-License-Identifier: Apache-2.0 */
/* A plan for given values of its dims. That every value exists and fits was found when the plan was
 * made. */
#include <stdlib.h>

#include "engine/plan.h"
#include "util/error.h"

/* The public part, and what it shows; the extents of all tensors lie behind each other. */
struct geometry {
    struct cubby_engine_geometry view;
    struct cubby_tensor_geometry *tensors;
    struct cubby_launch_geometry *launches;
    int64_t *extents;
};

static int64_t value_of(const struct cubby_expression *expression, const int64_t *dims) {
    int64_t value = 0;

    expression_evaluate(expression, dims, &value);
    return value;
}

static size_t count_extents(const struct cubby_engine_plan *plan) {
    size_t count = 0;

    for (size_t i = 0; i < plan->tensor_count; i++)
        count += plan->tensors[i].rank;
    return count;
}

static struct geometry *geometry_new(const struct cubby_engine_plan *plan) {
    struct geometry *geometry = calloc(1, sizeof(*geometry));

    if (!geometry)
        return NULL;
    geometry->tensors = calloc(plan->tensor_count + 1, sizeof(*geometry->tensors));
    geometry->launches = calloc(plan->launch_count + 1, sizeof(*geometry->launches));
    geometry->extents = calloc(count_extents(plan) + 1, sizeof(*geometry->extents));
    geometry->view = (struct cubby_engine_geometry){plan->tensor_count, geometry->tensors,
                                                    plan->launch_count, geometry->launches};
    if (geometry->tensors && geometry->launches && geometry->extents)
        return geometry;
    cubby_engine_geometry_free(&geometry->view);
    return NULL;
}

static void measure_tensors(const struct cubby_engine_plan *plan, const int64_t *dims,
                            struct geometry *geometry) {
    int64_t *extents = geometry->extents;

    for (size_t i = 0; i < plan->tensor_count; i++) {
        const struct cubby_engine_tensor *tensor = &plan->tensors[i];
        uint64_t bytes = cubby_dtype_size(tensor->dtype);

        for (size_t k = 0; k < tensor->rank; k++) {
            extents[k] = value_of(tensor->shape[k], dims);
            bytes *= (uint64_t)extents[k];
        }
        geometry->tensors[i] = (struct cubby_tensor_geometry){tensor->rank, extents, bytes};
        extents += tensor->rank;
    }
}

static void measure_launches(const struct cubby_engine_plan *plan, const int64_t *dims,
                             struct geometry *geometry) {
    for (size_t i = 0; i < plan->launch_count; i++) {
        const struct cubby_engine_launch *launch = &plan->launches[i].view;
        struct cubby_launch_geometry *measured = &geometry->launches[i];

        for (size_t k = 0; k < 3; k++) {
            measured->grid[k] = (uint32_t)value_of(launch->grid[k], dims);
            measured->block[k] = (uint32_t)value_of(launch->block[k], dims);
        }
        measured->shared_bytes = (uint32_t)value_of(launch->shared_bytes, dims);
    }
}

int cubby_engine_plan_evaluate(const struct cubby_engine_plan *plan, const int64_t *dims,
                               size_t dim_count, struct cubby_engine_geometry **ret_geometry,
                               struct cubby_error *error) {
    int result = plan_check_dims(plan, dims, dim_count, error);
    struct geometry *geometry;

    if (result < 0)
        return result;
    geometry = geometry_new(plan);
    if (!geometry)
        return error_no_memory(error);
    measure_tensors(plan, dims, geometry);
    measure_launches(plan, dims, geometry);
    *ret_geometry = &geometry->view;
    return 0;
}

void cubby_engine_geometry_free(struct cubby_engine_geometry *view) {
    struct geometry *geometry = (struct geometry *)view; /* its first member */

    if (!geometry)
        return;
    free(geometry->tensors);
    free(geometry->launches);
    free(geometry->extents);
    free(geometry);
}
