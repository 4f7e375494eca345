/* SPDX-License-Identifier: Apache-2.0 */
/* A plan as an engine file: every member written out, in one order. */
#include <stdlib.h>

#include "engine/json_expression.h"
#include "engine/plan.h"
#include "util/error.h"

/* Each function gives a new value, or NULL when memory is short; jansson takes NULL where a value
 * is put into another, which then is NULL too. */

static json_t *append(json_t *list, json_t *item) {
    if (list && json_array_append_new(list, item) == 0)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *with(json_t *object, const char *key, json_t *value) {
    if (object && json_object_set_new(object, key, value) == 0)
        return object;
    json_decref(object);
    return NULL;
}

static json_t *write_shape(struct cubby_expression *const *shape, size_t rank) {
    json_t *list = json_array();

    for (size_t i = 0; list && i < rank; i++)
        list = append(list, json_expression_write(shape[i]));
    return list;
}

static json_t *write_texts(const char *const *texts, size_t count) {
    json_t *list = json_array();

    for (size_t i = 0; list && i < count; i++)
        list = append(list, json_string(texts[i]));
    return list;
}

static json_t *write_dim(const struct cubby_engine_dim *dim) {
    return json_pack("{s:s, s:I, s:I, s:I}", "name", dim->name, "min", (json_int_t)dim->min, "opt",
                     (json_int_t)dim->opt, "max", (json_int_t)dim->max);
}

static json_t *write_tensor(const struct cubby_engine_tensor *tensor) {
    return json_pack("{s:s, s:s, s:s, s:o}", "name", tensor->name, "dtype",
                     cubby_dtype_name(tensor->dtype), "role", cubby_role_name(tensor->role),
                     "shape", write_shape(tensor->shape, tensor->rank));
}

static json_t *write_headers(const struct cubby_program_options *options) {
    json_t *list = json_array();

    for (size_t i = 0; list && i < options->header_count; i++)
        list = append(list,
                      json_pack("{s:s, s:o}", "name", options->headers[i].name, "text",
                                json_stringn(options->headers[i].data, options->headers[i].size)));
    return list;
}

static json_t *write_program(const struct cubby_engine_program *program) {
    const struct cubby_program_options *options = program->options;
    json_t *object = json_pack("{s:s}", "name", program->name);

    if (program->path) {
        object = with(object, "source", json_string(program->path));
    } else {
        object = with(object, "text", json_stringn(program->source, program->size));
        object = with(object, "source_name", json_string(options->name));
    }
    object = with(object, "kind", json_string(cubby_source_name(options->source)));
    object = with(object, "options", write_texts(options->options, options->option_count));
    object = with(object, "headers", write_headers(options));
    return with(object, "specialize", write_texts(program->specialize, program->specialize_count));
}

static json_t *write_argument(const struct cubby_engine_argument *argument) {
    json_t *object;

    switch (argument->kind) {
    case CUBBY_ARGUMENT_TENSOR:
        object = json_pack("{s:s, s:s}", "tensor", argument->name, "access",
                           cubby_access_name(argument->access));
        if (argument->shape)
            object = with(object, "shape", write_shape(argument->shape, argument->rank));
        return object;
    case CUBBY_ARGUMENT_DIM:
        return json_pack("{s:s, s:s}", "dim", argument->name, "type",
                         cubby_dtype_name(argument->dtype));
    default:
        return json_pack("{s:o, s:s}", "scalar",
                         dtype_is_integer(argument->dtype) ? json_integer(argument->integer)
                                                           : json_real(argument->real),
                         "type", cubby_dtype_name(argument->dtype));
    }
}

static json_t *write_launch(const struct cubby_engine_launch *launch) {
    json_t *arguments = json_array();

    for (size_t i = 0; arguments && i < launch->argument_count; i++)
        arguments = append(arguments, write_argument(&launch->arguments[i]));
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "program", launch->program, "kernel",
                     launch->kernel, "grid", write_shape(launch->grid, 3), "block",
                     write_shape(launch->block, 3), "shared_bytes",
                     json_expression_write(launch->shared_bytes), "arguments", arguments);
}

static json_t *write_lists(const struct cubby_engine_plan *plan, json_t *object) {
    json_t *dims = json_array(), *tensors = json_array();
    json_t *programs = json_array(), *launches = json_array();

    for (size_t i = 0; dims && i < plan->dim_count; i++)
        dims = append(dims, write_dim(&plan->dims[i]));
    for (size_t i = 0; tensors && i < plan->tensor_count; i++)
        tensors = append(tensors, write_tensor(&plan->tensors[i]));
    for (size_t i = 0; programs && i < plan->program_count; i++)
        programs = append(programs, write_program(&plan->programs[i].view));
    for (size_t i = 0; launches && i < plan->launch_count; i++)
        launches = append(launches, write_launch(&plan->launches[i].view));
    object = with(object, "dims", dims);
    object = with(object, "tensors", tensors);
    object = with(object, "programs", programs);
    return with(object, "launches", launches);
}

int cubby_engine_plan_to_json(const struct cubby_engine_plan *plan, char **ret_text,
                              struct cubby_error *error) {
    json_t *object =
        write_lists(plan, json_pack("{s:i, s:s}", "cubby_engine", 1, "name", plan->name));
    char *text = object ? json_dumps(object, JSON_INDENT(2)) : NULL;

    json_decref(object);
    if (!text)
        return error_no_memory(error);
    *ret_text = text;
    return 0;
}
