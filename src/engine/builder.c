/* SPDX-License-Identifier: Apache-2.0 */
/* Taking the parts of a plan: each is checked by itself here, and the whole when it is finished. */
#include "engine/builder.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/plan.h"
#include "util/error.h"
#include "util/utf8.h"

/* ---- What all parts share ---------------------------------------------------------------- */

static bool is_identifier(const char *text) {
    static const char CHARACTERS[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    size_t length = strlen(text);

    return length > 0 && length <= CUBBY_NAME_MAX && strspn(text, CHARACTERS) == length &&
           (*text < '0' || *text > '9');
}

int builder_copy_name(const char *name, const struct place *place, const char **ret_copy,
                      struct cubby_error *error) {
    size_t offset;

    if (!name)
        return place_error(place, error, "the name is missing: expected an identifier");
    if (!utf8_is_valid(name, strlen(name), &offset))
        return place_error(place, error, "the name is not UTF-8: expected an identifier");
    if (!is_identifier(name))
        return place_error(place, error,
                           "\"%.80s\" is no identifier: expected a letter or _, then letters, "
                           "digits and _, at most %d in all",
                           name, CUBBY_NAME_MAX);
    *ret_copy = strdup(name);
    return *ret_copy ? 0 : error_no_memory(error);
}

int builder_check_line(const char *text, size_t max, const struct place *place,
                       struct cubby_error *error) {
    size_t offset;

    if (!text || !*text)
        return place_error(place, error, "it is empty: expected a text");
    if (strlen(text) > max)
        return place_error(place, error, "it is %zu bytes long: expected at most %zu", strlen(text),
                           max);
    if (!utf8_is_valid(text, strlen(text), &offset))
        return place_error(place, error, "it is not UTF-8 at byte %zu", offset);
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return place_error(place, error,
                               "it contains a line break or another control character at byte %td: "
                               "expected none",
                               c - text);
    }
    return 0;
}

int builder_grow(struct cubby_engine_builder *builder, void **items, size_t count, size_t max,
                 size_t size, const char *list, struct cubby_error *error) {
    void *grown;

    if (!builder->plan)
        return error_set(error, CUBBY_ERR_INVALID,
                         "the builder of an engine was finished already: expected a new one");
    if (count == max)
        return place_error(PLACE_KEY(NULL, list), error, "expected at most %zu of them", max);
    grown = realloc(*items, (count + 1) * size);
    if (!grown)
        return error_no_memory(error);
    memset((char *)grown + count * size, 0, size);
    *items = grown;
    return 0;
}

int builder_check_expression(const struct cubby_expression *expression, const struct place *place,
                             struct cubby_error *error) {
    const char *problem;

    if (!expression)
        return place_error(place, error, "the expression is missing");
    problem = expression_problem(expression);
    if (expression->kind == EXPRESSION_NO_MEMORY)
        return error_no_memory(error);
    return problem ? place_error(place, error, "%s", problem) : 0;
}

void builder_drop_expressions(struct cubby_expression *const *expressions, size_t count) {
    for (size_t i = 0; expressions && i < count; i++)
        cubby_expression_free(expressions[i]);
}

int builder_take_shape(struct cubby_expression **given, size_t rank, const struct place *place,
                       struct cubby_expression ***ret_shape, struct cubby_error *error) {
    struct cubby_expression **shape;
    int result = 0;

    if (rank > 0 && !given)
        return place_error(place, error, "it is NULL: expected %zu extents", rank);
    if (rank > CUBBY_RANK_MAX)
        result = place_error(place, error, "it has %zu extents: expected at most %d", rank,
                             CUBBY_RANK_MAX);
    for (size_t i = 0; result == 0 && i < rank; i++)
        result = builder_check_expression(given[i], PLACE_INDEX(place, i), error);
    shape = result == 0 ? malloc((rank + 1) * sizeof(*shape)) : NULL;
    if (!shape) {
        builder_drop_expressions(given, rank);
        return result < 0 ? result : error_no_memory(error);
    }
    for (size_t i = 0; i < rank; i++)
        shape[i] = given[i];
    *ret_shape = shape;
    return 0;
}

/* ---- Beginning and end ------------------------------------------------------------------- */

int cubby_engine_builder_new(const char *name, const char *folder,
                             struct cubby_engine_builder **ret_builder, struct cubby_error *error) {
    struct cubby_engine_builder *builder = calloc(1, sizeof(*builder));
    int result = 0;

    if (builder)
        builder->plan = calloc(1, sizeof(*builder->plan));
    if (!builder || !builder->plan || (folder && !(builder->folder = strdup(folder))))
        result = error_no_memory(error);
    else
        result = builder_copy_name(name, PLACE_KEY(NULL, "name"),
                                   (const char **)&builder->plan->name, error);
    if (result < 0) {
        cubby_engine_builder_free(builder);
        return result;
    }
    atomic_init(&builder->plan->references, 1);
    *ret_builder = builder;
    return 0;
}

void cubby_engine_builder_free(struct cubby_engine_builder *builder) {
    if (!builder)
        return;
    plan_free(builder->plan);
    free(builder->folder);
    free(builder);
}

int cubby_engine_builder_finish(struct cubby_engine_builder *builder,
                                struct cubby_engine_plan **ret_plan, struct cubby_error *error) {
    struct cubby_engine_plan *plan = builder->plan;
    int result;

    if (!plan)
        return error_set(error, CUBBY_ERR_INVALID,
                         "the builder of an engine was finished already: expected a new one");
    builder->plan = NULL;
    result = plan_resolve(plan, error);
    if (result == 0)
        result = plan_check_ranges(plan, error);
    if (result == 0)
        result = plan_check_flow(plan, error);
    if (result < 0) {
        plan_free(plan);
        return result;
    }
    *ret_plan = plan;
    return 0;
}

/* ---- Dims and tensors -------------------------------------------------------------------- */

static int check_range(const struct cubby_engine_dim *dim, const struct place *place,
                       struct cubby_error *error) {
    if (dim->min < 1)
        return place_error(PLACE_KEY(place, "min"), error, "it is %" PRId64 ": expected at least 1",
                           dim->min);
    if (dim->opt < dim->min)
        return place_error(PLACE_KEY(place, "opt"), error,
                           "it is %" PRId64 ": expected at least min, which is %" PRId64, dim->opt,
                           dim->min);
    if (dim->max < dim->opt)
        return place_error(PLACE_KEY(place, "max"), error,
                           "it is %" PRId64 ": expected at least opt, which is %" PRId64, dim->max,
                           dim->opt);
    if (dim->max > PLAN_DIM_MAX)
        return place_error(PLACE_KEY(place, "max"), error,
                           "it is %" PRId64 ": expected at most %" PRId64, dim->max, PLAN_DIM_MAX);
    return 0;
}

int cubby_engine_builder_add_dim(struct cubby_engine_builder *builder,
                                 const struct cubby_engine_dim *dim, struct cubby_error *error) {
    struct cubby_engine_plan *plan = builder->plan;
    const struct place *place = PLACE_ITEM(NULL, "dims", plan ? plan->dim_count : 0);
    struct cubby_engine_dim copy = *dim;
    int result = check_range(dim, place, error);

    copy.name = NULL;
    if (result == 0)
        result = builder_copy_name(dim->name, PLACE_KEY(place, "name"), &copy.name, error);
    if (result == 0)
        result =
            builder_grow(builder, plan ? (void **)&plan->dims : NULL, plan ? plan->dim_count : 0,
                         PLAN_DIMS_MAX, sizeof(*plan->dims), "dims", error);
    if (result == 0)
        plan->dims[plan->dim_count++] = copy;
    else
        free((char *)copy.name);
    return result;
}

static int fill_tensor(const struct cubby_engine_tensor *given, const struct place *place,
                       struct cubby_engine_tensor *tensor, struct cubby_error *error) {
    if (!cubby_dtype_name(given->dtype))
        return place_error(PLACE_KEY(place, "dtype"), error,
                           "type %d is not known: expected one of enum cubby_dtype",
                           (int)given->dtype);
    if (!cubby_role_name(given->role))
        return place_error(PLACE_KEY(place, "role"), error,
                           "role %d is not known: expected one of enum cubby_role",
                           (int)given->role);
    tensor->dtype = given->dtype;
    tensor->role = given->role;
    return builder_copy_name(given->name, PLACE_KEY(place, "name"), &tensor->name, error);
}

int cubby_engine_builder_add_tensor(struct cubby_engine_builder *builder,
                                    const struct cubby_engine_tensor *tensor,
                                    struct cubby_error *error) {
    struct cubby_engine_plan *plan = builder->plan;
    const struct place *place = PLACE_ITEM(NULL, "tensors", plan ? plan->tensor_count : 0);
    struct cubby_engine_tensor copy = {.rank = tensor->rank};
    int result = builder_take_shape(tensor->shape, tensor->rank, PLACE_KEY(place, "shape"),
                                    &copy.shape, error);

    if (result == 0)
        result = fill_tensor(tensor, place, &copy, error);
    if (result == 0)
        result = builder_grow(builder, plan ? (void **)&plan->tensors : NULL,
                              plan ? plan->tensor_count : 0, PLAN_TENSORS_MAX,
                              sizeof(*plan->tensors), "tensors", error);
    if (result == 0)
        plan->tensors[plan->tensor_count++] = copy;
    else
        plan_free_tensor(&copy);
    return result;
}
