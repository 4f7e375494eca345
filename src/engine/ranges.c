/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes and launches of a plan, checked for all values that the dims may have. */
#include <inttypes.h>
#include <stdlib.h>

#include "engine/plan.h"
#include "engine/space.h"
#include "util/error.h"

/* ---- Products ---------------------------------------------------------------------------- */

/* The product of some expressions and a constant, as one expression that owns nothing. */
struct product {
    struct cubby_expression constant;
    struct cubby_expression steps[CUBBY_RANK_MAX];
};

static struct cubby_expression *product_of(struct product *product, int64_t constant,
                                           struct cubby_expression *const *factors, size_t count) {
    struct cubby_expression *whole = &product->constant;

    product->constant = (struct cubby_expression){
        .kind = EXPRESSION_CONSTANT, .value = constant, .nodes = 1, .depth = 1};
    for (size_t i = 0; i < count; i++) {
        product->steps[i] = (struct cubby_expression){
            .kind = EXPRESSION_OPERATION,
            .nodes = whole->nodes + factors[i]->nodes + 1,
            .depth = (whole->depth > factors[i]->depth ? whole->depth : factors[i]->depth) + 1,
            .operation = CUBBY_OPERATOR_MUL,
            .left = whole,
            .right = factors[i]};
        whole = &product->steps[i];
    }
    return whole;
}

/* ---- Tensors ----------------------------------------------------------------------------- */

static int check_tensor(struct space *space, const struct cubby_engine_tensor *tensor,
                        const struct place *place, struct cubby_error *error) {
    const struct place *shape = PLACE_KEY(place, "shape");
    struct product bytes;
    int result = 0;

    for (size_t i = 0; result == 0 && i < tensor->rank; i++)
        result = space_require(space, tensor->shape[i], 1, INT64_MAX, "the extent",
                               PLACE_INDEX(shape, i), error);
    if (result == 0)
        result = space_require(space,
                               product_of(&bytes, (int64_t)cubby_dtype_size(tensor->dtype),
                                          tensor->shape, tensor->rank),
                               1, INT64_MAX, "the size in bytes", shape, error);
    return result;
}

/* ---- Launches ---------------------------------------------------------------------------- */

static int check_sides(struct space *space, struct cubby_expression *const sides[3],
                       const int64_t most[3], const char *what, const struct place *place,
                       struct cubby_error *error) {
    int result = 0;

    for (size_t i = 0; result == 0 && i < 3; i++)
        result = space_require(space, sides[i], 1, most[i], what, PLACE_INDEX(place, i), error);
    return result;
}

static int check_geometry(struct space *space, const struct plan_launch *launch,
                          const struct place *place, struct cubby_error *error) {
    const struct cubby_engine_launch *view = &launch->view;
    const struct place *block = PLACE_KEY(place, "block");
    struct product threads;
    int result = check_sides(space, view->grid, PLAN_GRID_MAX, "the number of blocks",
                             PLACE_KEY(place, "grid"), error);

    if (result == 0)
        result =
            check_sides(space, view->block, PLAN_BLOCK_MAX, "the number of threads", block, error);
    if (result == 0)
        result =
            space_require(space, product_of(&threads, 1, view->block, 3), 1, PLAN_BLOCK_THREADS_MAX,
                          "the number of threads in all", block, error);
    if (result == 0)
        result = space_require(space, view->shared_bytes, 0, PLAN_SHARED_MAX, "the number of bytes",
                               PLACE_KEY(place, "shared_bytes"), error);
    return result;
}

/* The kernel's view of a tensor is the tensor's own, for all values of the dims. */
static int check_shape(struct space *space, const struct cubby_engine_argument *argument,
                       const struct cubby_engine_tensor *tensor, const struct place *place,
                       struct cubby_error *error) {
    if (argument->rank != tensor->rank)
        return place_error(place, error, "it has %zu extents: expected %zu, as the tensor %s has",
                           argument->rank, tensor->rank, tensor->name);
    for (size_t i = 0; i < tensor->rank; i++) {
        struct cubby_expression *own = tensor->shape[i], *expected = argument->shape[i];
        struct cubby_expression difference = {.kind = EXPRESSION_OPERATION,
                                              .operation = CUBBY_OPERATOR_SUB,
                                              .nodes = own->nodes + expected->nodes + 1,
                                              .left = expected,
                                              .right = own};
        int result;

        if (expression_equal(own, expected))
            continue;
        result =
            space_require(space, &difference, 0, 0, "the extent, less that of the tensor itself,",
                          PLACE_INDEX(place, i), error);
        if (result < 0)
            return result;
    }
    return 0;
}

static int check_argument(struct space *space, const struct cubby_engine_plan *plan,
                          const struct cubby_engine_argument *argument, size_t reference,
                          const struct place *place, struct cubby_error *error) {
    const struct cubby_engine_dim *dim;
    struct interval range;

    if (argument->kind == CUBBY_ARGUMENT_TENSOR && argument->shape)
        return check_shape(space, argument, &plan->tensors[reference], PLACE_KEY(place, "shape"),
                           error);
    if (argument->kind != CUBBY_ARGUMENT_DIM)
        return 0;
    dim = &plan->dims[reference];
    range = dtype_interval(argument->dtype);
    if (dim->max <= range.high)
        return 0;
    return place_error(PLACE_KEY(place, "type"), error,
                       "the dim %s can be %" PRId64
                       ", which does not fit into %s: expected a wider "
                       "type",
                       dim->name, dim->max, cubby_dtype_name(argument->dtype));
}

static int check_launch(struct space *space, const struct cubby_engine_plan *plan,
                        const struct plan_launch *launch, const struct place *place,
                        struct cubby_error *error) {
    int result = check_geometry(space, launch, place, error);

    for (size_t i = 0; result == 0 && i < launch->view.argument_count; i++)
        result = check_argument(space, plan, &launch->view.arguments[i], launch->references[i],
                                PLACE_ITEM(place, "arguments", i), error);
    return result;
}

int plan_check_ranges(struct cubby_engine_plan *plan, struct cubby_error *error) {
    struct space space;
    int result = space_open(plan->dims, plan->dim_count, &space, error);

    if (result < 0)
        return result;
    for (size_t i = 0; result == 0 && i < plan->tensor_count; i++)
        result = check_tensor(&space, &plan->tensors[i], PLACE_ITEM(NULL, "tensors", i), error);
    for (size_t i = 0; result == 0 && i < plan->launch_count; i++)
        result =
            check_launch(&space, plan, &plan->launches[i], PLACE_ITEM(NULL, "launches", i), error);
    space_close(&space);
    return result;
}
