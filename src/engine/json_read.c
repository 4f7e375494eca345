/* SPDX-License-Identifier: Apache-2.0 */
/* An engine file into a builder. docs/engines.md describes the form, docs/engine.schema.json too.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"
#include "engine/json_expression.h"
#include "engine/fields.h"
#include "engine/plan.h"
#include "util/error.h"
#include "util/json.h"

#define MAX_DOCUMENT (16u << 20)
#define MAX_TEXTS 1024 /* options, headers */

/* ---- Lists ------------------------------------------------------------------------------- */

/* Texts of a list, borrowed from it; the list of them is released by free(). */
static int read_texts(const json_t *object, const char *key, const struct place *parent,
                      const char ***ret_texts, size_t *ret_count, struct cubby_error *error) {
    const struct place *place = PLACE_KEY(parent, key);
    const json_t *list;
    const char **texts;
    int result = field_list(object, key, false, MAX_TEXTS, parent, &list, error);
    size_t count;

    if (result < 0)
        return result;
    count = json_array_size(list);
    texts = calloc(count + 1, sizeof(*texts));
    if (!texts)
        return error_no_memory(error);
    *ret_texts = texts; /* the caller releases it, also after a failure */
    *ret_count = count;
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);

        if (!json_is_string(item))
            return field_refuse(item, "a string", PLACE_INDEX(place, i), error);
        texts[i] = json_string_value(item);
    }
    return 0;
}

static void drop(struct cubby_expression **expressions, size_t count) {
    for (size_t i = 0; i < count; i++) {
        cubby_expression_free(expressions[i]);
        expressions[i] = NULL;
    }
}

/* Expressions of a list; none of them is left after a failure. */
static int read_expressions(const json_t *list, const struct place *place,
                            struct cubby_expression **expressions, struct cubby_error *error) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        int result = json_expression_read(json_array_get(list, i), PLACE_INDEX(place, i),
                                          &expressions[i], error);

        if (result < 0) {
            drop(expressions, i);
            return result;
        }
    }
    return 0;
}

/* ---- Dims and tensors -------------------------------------------------------------------- */

static int read_dim(struct cubby_engine_builder *builder, const json_t *value,
                    const struct place *place, struct cubby_error *error) {
    static const char *const KEYS[] = {"name", "min", "opt", "max", NULL};
    struct cubby_engine_dim dim = {0};
    int result = field_object(value, KEYS, place, error);

    if (result == 0)
        result = field_text(value, "name", true, place, &dim.name, error);
    if (result == 0)
        result = field_integer(value, "min", place, &dim.min, error);
    if (result == 0)
        result = field_integer(value, "opt", place, &dim.opt, error);
    if (result == 0)
        result = field_integer(value, "max", place, &dim.max, error);
    return result < 0 ? result : cubby_engine_builder_add_dim(builder, &dim, error);
}

static int read_tensor(struct cubby_engine_builder *builder, const json_t *value,
                       const struct place *place, struct cubby_error *error) {
    static const char *const KEYS[] = {"name", "dtype", "role", "shape", NULL};
    struct cubby_expression *shape[CUBBY_RANK_MAX];
    struct cubby_engine_tensor tensor = {.shape = shape};
    int result = field_object(value, KEYS, place, error), dtype = 0, role = 0;
    const json_t *list = NULL;

    if (result == 0)
        result = field_text(value, "name", true, place, &tensor.name, error);
    if (result == 0)
        result = field_word(value, "dtype", true, dtype_word, place, &dtype, error);
    if (result == 0)
        result = field_word(value, "role", true, role_word, place, &role, error);
    if (result == 0)
        result = field_list(value, "shape", true, CUBBY_RANK_MAX, place, &list, error);
    if (result == 0)
        result = read_expressions(list, PLACE_KEY(place, "shape"), shape, error);
    if (result < 0)
        return result;
    tensor.dtype = (enum cubby_dtype)dtype;
    tensor.role = (enum cubby_role)role;
    tensor.rank = json_array_size(list);
    return cubby_engine_builder_add_tensor(builder, &tensor, error);
}

/* ---- Programs ---------------------------------------------------------------------------- */

static int read_header(const json_t *value, const struct place *place, struct cubby_header *header,
                       struct cubby_error *error) {
    static const char *const KEYS[] = {"name", "text", NULL};
    const char *text = NULL;
    int result = field_object(value, KEYS, place, error);

    if (result == 0)
        result = field_text(value, "name", true, place, &header->name, error);
    if (result == 0)
        result = field_text(value, "text", true, place, &text, error);
    header->data = text;
    header->size = text ? strlen(text) : 0;
    return result;
}

static int read_headers(const json_t *value, const struct place *place,
                        struct cubby_program_options *options, struct cubby_error *error) {
    const json_t *list;
    struct cubby_header *headers;
    int result = field_list(value, "headers", false, MAX_TEXTS, place, &list, error);

    if (result < 0)
        return result;
    headers = calloc(json_array_size(list) + 1, sizeof(*headers));
    if (!headers)
        return error_no_memory(error);
    options->headers = headers; /* the caller releases it, also after a failure */
    options->header_count = json_array_size(list);
    for (size_t i = 0; result == 0 && i < options->header_count; i++)
        result = read_header(json_array_get(list, i), PLACE_ITEM(place, "headers", i), &headers[i],
                             error);
    return result;
}

static const char *kind_word(int value) {
    static const char *const KINDS[] = {"cuda", "ptx"};

    return value < 2 ? KINDS[value] : NULL;
}

static int read_source(const json_t *value, const struct place *place,
                       struct cubby_engine_program *program, struct cubby_program_options *options,
                       struct cubby_error *error) {
    const char *text = NULL;
    int result = field_text(value, "source", false, place, &program->path, error);
    int kind = CUBBY_SOURCE_CUDA;

    if (result == 0)
        result = field_text(value, "text", false, place, &text, error);
    if (result == 0 && !program->path == !text)
        result = place_error(place, error, "it has %s: expected either source or text",
                             text ? "both source and text" : "neither source nor text");
    if (result == 0)
        result = field_text(value, "source_name", false, place, &options->name, error);
    if (result == 0)
        result = field_word(value, "kind", false, kind_word, place, &kind, error);
    options->source = (enum cubby_source)kind;
    program->source = text;
    program->size = text ? strlen(text) : 0;
    return result;
}

static int read_program(struct cubby_engine_builder *builder, const json_t *value,
                        const struct place *place, struct cubby_error *error) {
    static const char *const KEYS[] = {"name",    "source",  "text",       "source_name", "kind",
                                       "options", "headers", "specialize", NULL};
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_engine_program program = {.options = &options};
    const char **strings = NULL, **dims = NULL;
    int result = field_object(value, KEYS, place, error);

    if (result == 0)
        result = field_text(value, "name", true, place, &program.name, error);
    if (result == 0)
        result = read_source(value, place, &program, &options, error);
    if (result == 0)
        result = read_texts(value, "options", place, &strings, &options.option_count, error);
    if (result == 0)
        result = read_headers(value, place, &options, error);
    if (result == 0)
        result = read_texts(value, "specialize", place, &dims, &program.specialize_count, error);
    options.options = strings;
    program.specialize = dims;
    if (result == 0)
        result = cubby_engine_builder_add_program(builder, &program, error);
    free(strings);
    free(dims);
    free((void *)options.headers);
    return result;
}

/* ---- Launches ---------------------------------------------------------------------------- */

static int read_scalar(const json_t *value, const struct place *place,
                       struct cubby_engine_argument *argument, struct cubby_error *error) {
    const json_t *scalar = json_object_get(value, "scalar");
    bool integer = dtype_is_integer(argument->dtype);

    if (integer ? !json_is_integer(scalar) : !json_is_number(scalar))
        return field_refuse(scalar, integer ? "an integer, as its type is" : "a number",
                            PLACE_KEY(place, "scalar"), error);
    argument->integer = integer ? json_integer_value(scalar) : 0;
    argument->real = json_number_value(scalar);
    return 0;
}

static int read_tensor_argument(const json_t *value, const struct place *place,
                                struct cubby_engine_argument *argument, struct cubby_error *error) {
    static const char *const KEYS[] = {"tensor", "access", "shape", NULL};
    const json_t *list = NULL;
    int result = field_object(value, KEYS, place, error), access = 0;

    if (result == 0)
        result = field_text(value, "tensor", true, place, &argument->name, error);
    if (result == 0)
        result = field_word(value, "access", true, access_word, place, &access, error);
    if (result == 0)
        result = field_list(value, "shape", false, CUBBY_RANK_MAX, place, &list, error);
    argument->access = (enum cubby_access)access;
    if (result < 0 || !list)
        return result;
    argument->shape = calloc(CUBBY_RANK_MAX, sizeof(*argument->shape));
    if (!argument->shape)
        return error_no_memory(error);
    argument->rank = json_array_size(list);
    return read_expressions(list, PLACE_KEY(place, "shape"), argument->shape, error);
}

static int read_number_argument(const json_t *value, const struct place *place,
                                struct cubby_engine_argument *argument, struct cubby_error *error) {
    static const char *const DIM_KEYS[] = {"dim", "type", NULL};
    static const char *const SCALAR_KEYS[] = {"scalar", "type", NULL};
    bool is_dim = json_object_get(value, "dim") != NULL;
    int result = field_object(value, is_dim ? DIM_KEYS : SCALAR_KEYS, place, error);
    int dtype = CUBBY_DTYPE_INT32;

    if (result == 0)
        result = field_word(value, "type", !is_dim, dtype_word, place, &dtype, error);
    argument->kind = is_dim ? CUBBY_ARGUMENT_DIM : CUBBY_ARGUMENT_SCALAR;
    argument->dtype = (enum cubby_dtype)dtype;
    if (result < 0)
        return result;
    return is_dim ? field_text(value, "dim", true, place, &argument->name, error)
                  : read_scalar(value, place, argument, error);
}

static int read_argument(const json_t *value, const struct place *place,
                         struct cubby_engine_argument *argument, struct cubby_error *error) {
    if (!json_is_object(value))
        return field_refuse(value, "an object", place, error);
    if (json_object_get(value, "tensor"))
        return read_tensor_argument(value, place, argument, error);
    if (json_object_get(value, "dim") || json_object_get(value, "scalar"))
        return read_number_argument(value, place, argument, error);
    return place_error(place, error, "it says not what it is: expected tensor, dim or scalar");
}

/* One, two or three expressions. */
static int read_sides(const json_t *value, const char *key, const struct place *place,
                      struct cubby_expression *sides[3], struct cubby_error *error) {
    const json_t *list;
    int result = field_list(value, key, true, 3, place, &list, error);

    if (result == 0 && json_array_size(list) == 0)
        result = place_error(PLACE_KEY(place, key), error, "it is empty: expected 1 to 3 items");
    return result < 0 ? result : read_expressions(list, PLACE_KEY(place, key), sides, error);
}

static int read_geometry(const json_t *value, const struct place *place,
                         struct cubby_engine_launch *launch, struct cubby_error *error) {
    const json_t *shared = json_object_get(value, "shared_bytes");
    int result = read_sides(value, "grid", place, launch->grid, error);

    if (result == 0)
        result = read_sides(value, "block", place, launch->block, error);
    if (result == 0 && shared)
        result = json_expression_read(shared, PLACE_KEY(place, "shared_bytes"),
                                      &launch->shared_bytes, error);
    return result;
}

/* Reads what a launch holds; expressions that were read are in it also after a failure. */
static int read_parts(const json_t *value, const json_t *list, const struct place *place,
                      struct cubby_engine_launch *launch, struct cubby_engine_argument *arguments,
                      struct cubby_error *error) {
    int result = field_text(value, "program", true, place, &launch->program, error);

    if (result == 0)
        result = field_text(value, "kernel", true, place, &launch->kernel, error);
    if (result == 0)
        result = read_geometry(value, place, launch, error);
    for (size_t i = 0; result == 0 && i < json_array_size(list); i++)
        result = read_argument(json_array_get(list, i), PLACE_ITEM(place, "arguments", i),
                               &arguments[i], error);
    return result;
}

static void drop_launch(struct cubby_engine_launch *launch) {
    drop(launch->grid, 3);
    drop(launch->block, 3);
    drop(&launch->shared_bytes, 1);
    for (size_t i = 0; i < launch->argument_count; i++) {
        if (launch->arguments[i].shape)
            drop(launch->arguments[i].shape, launch->arguments[i].rank);
    }
}

static int read_launch(struct cubby_engine_builder *builder, const json_t *value,
                       const struct place *place, struct cubby_error *error) {
    static const char *const KEYS[] = {"program",      "kernel",    "grid", "block",
                                       "shared_bytes", "arguments", NULL};
    struct cubby_engine_launch launch = {0};
    struct cubby_engine_argument *arguments;
    const json_t *list = NULL;
    int result = field_object(value, KEYS, place, error);

    if (result == 0)
        result = field_list(value, "arguments", true, PLAN_ARGUMENTS_MAX, place, &list, error);
    if (result < 0)
        return result;
    arguments = calloc(json_array_size(list) + 1, sizeof(*arguments));
    if (!arguments)
        return error_no_memory(error);
    launch.arguments = arguments;
    launch.argument_count = json_array_size(list);
    result = read_parts(value, list, place, &launch, arguments, error);
    if (result == 0)
        result = cubby_engine_builder_add_launch(builder, &launch, error);
    else
        drop_launch(&launch);
    for (size_t i = 0; i < launch.argument_count; i++)
        free(arguments[i].shape);
    free(arguments);
    return result;
}

/* ---- The document ------------------------------------------------------------------------ */

typedef int (*part_reader)(struct cubby_engine_builder *builder, const json_t *value,
                           const struct place *place, struct cubby_error *error);

static int read_list(struct cubby_engine_builder *builder, const json_t *document, const char *key,
                     bool required, size_t max, part_reader read, struct cubby_error *error) {
    const json_t *list;
    int result = field_list(document, key, required, max, NULL, &list, error);

    for (size_t i = 0; result == 0 && i < json_array_size(list); i++)
        result = read(builder, json_array_get(list, i), PLACE_ITEM(NULL, key, i), error);
    return result;
}

static int read_lists(struct cubby_engine_builder *builder, const json_t *document,
                      struct cubby_error *error) {
    int result = read_list(builder, document, "dims", false, PLAN_DIMS_MAX, read_dim, error);

    if (result == 0)
        result =
            read_list(builder, document, "tensors", true, PLAN_TENSORS_MAX, read_tensor, error);
    if (result == 0)
        result =
            read_list(builder, document, "programs", true, PLAN_PROGRAMS_MAX, read_program, error);
    if (result == 0)
        result =
            read_list(builder, document, "launches", true, PLAN_LAUNCHES_MAX, read_launch, error);
    return result;
}

static int check_document(const json_t *document, const char **ret_name,
                          struct cubby_error *error) {
    static const char *const KEYS[] = {"cubby_engine", "name",     "dims",    "tensors",
                                       "programs",     "launches", "$schema", NULL};
    const char *schema;
    int64_t version = 0;
    int result = field_object(document, KEYS, NULL, error);

    if (result == 0)
        result = field_integer(document, "cubby_engine", NULL, &version, error);
    if (result == 0 && version != 1)
        result = place_error(PLACE_KEY(NULL, "cubby_engine"), error,
                             "the version is %lld: expected 1", (long long)version);
    if (result == 0)
        result = field_text(document, "$schema", false, NULL, &schema, error);
    if (result == 0)
        result = field_text(document, "name", true, NULL, ret_name, error);
    return result;
}

static int read_document(const json_t *document, const char *folder,
                         struct cubby_engine_plan **ret_plan, struct cubby_error *error) {
    struct cubby_engine_builder *builder;
    const char *name;
    int result = check_document(document, &name, error);

    if (result == 0)
        result = cubby_engine_builder_new(name, folder, &builder, error);
    if (result != 0)
        return result;
    result = read_lists(builder, document, error);
    if (result == 0)
        result = cubby_engine_builder_finish(builder, ret_plan, error);
    cubby_engine_builder_free(builder);
    return result;
}

static const char *expected_instead(enum json_error_code code) {
    switch (code) {
    case json_error_duplicate_key:
        return "each key once";
    case json_error_numeric_overflow:
        return "an integer of 64 bits with a sign, or a float of 64 bits";
    case json_error_stack_overflow:
        return "less nesting";
    default:
        return "a JSON document in UTF-8";
    }
}

/* Jansson names no line where it could not begin for want of memory; memory that runs out later
 * looks like a fault of the text. Its words repeat a piece of the document, which may hold
 * anything, and name a flag of its own for a NUL. */
static int refuse_syntax(json_error_t *problem, struct cubby_error *error) {
    const enum json_error_code code = json_error_code(problem);

    if (code == json_error_null_character || code == json_error_null_byte_in_key)
        return error_set(error, CUBBY_ERR_INVALID,
                         "line %d, column %d: a string has \\u0000: expected text without NUL",
                         problem->line, problem->column);
    for (char *c = problem->text; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
    }
    return error_set(error, CUBBY_ERR_INVALID, "line %d, column %d: %s: expected %s", problem->line,
                     problem->column, problem->text, expected_instead(code));
}

static int refuse_mark(struct cubby_error *error) {
    return error_set(error, CUBBY_ERR_INVALID,
                     "line 1, column 1: a byte order mark: expected a JSON document in UTF-8 "
                     "without one");
}

int cubby_engine_plan_parse(const char *text, size_t size, const char *folder,
                            struct cubby_engine_plan **ret_plan, struct cubby_error *error) {
    json_error_t problem;
    json_t *document;
    int result;

    if (size > MAX_DOCUMENT)
        return error_set(error, CUBBY_ERR_INVALID,
                         "the engine is %zu bytes long: expected at most %u MiB", size,
                         MAX_DOCUMENT >> 20);
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        return refuse_mark(error);
    document = whole_json(text ? text : "", size, JSON_REJECT_DUPLICATES, &problem);
    if (!document)
        return errno == ENOMEM ? error_no_memory(error) : refuse_syntax(&problem, error);
    result = read_document(document, folder, ret_plan, error);
    json_decref(document);
    return result;
}

int cubby_engine_plan_load(const char *path, struct cubby_engine_plan **ret_plan,
                           struct cubby_error *error) {
    struct cubby_error own = CUBBY_ERROR_INIT;
    char *text, *folder;
    size_t size;
    int result = engine_read_file(path, MAX_DOCUMENT, &text, &size, error);

    if (result < 0)
        return result;
    folder = engine_folder_of(path);
    result = folder ? cubby_engine_plan_parse(text, size, folder, ret_plan, &own)
                    : error_no_memory(&own);
    if (result < 0) {
        error_set(error, own.code, "%.300s: %.700s", path, own.message);
        if (error)
            error->os_error = own.os_error;
        cubby_error_clear(&own);
    }
    free(folder);
    free(text);
    return result;
}
