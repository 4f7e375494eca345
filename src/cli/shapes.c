/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/shapes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "util/buffer.h"
#include "util/error.h"

void dims_args_add(struct dims_args *args, const char *text) {
    const char **grown = realloc(args->texts, (args->count + 1) * sizeof(*grown));

    if (!grown)
        out_of_memory();
    args->texts = grown;
    grown[args->count++] = text;
}

void dims_args_clear(struct dims_args *args) {
    free(args->texts);
    *args = (struct dims_args){0};
}

/* ---- One argument ------------------------------------------------------------------------ */

/* The values of each dim that one argument names. */
struct choice {
    int64_t *values;
    size_t count;
};

struct choices {
    const struct cubby_engine_plan *plan;
    const char *text; /* the argument, for messages */
    struct choice *dims;
    size_t dim_count;
};

static void free_choices(struct choices *choices) {
    for (size_t i = 0; choices->dims && i < choices->dim_count; i++)
        free(choices->dims[i].values);
    free(choices->dims);
}

/* The names of all dims: "n, m"; new. */
static char *list_dims(const struct cubby_engine_plan *plan) {
    const struct cubby_engine_dim *dim;
    struct buffer list = BUFFER_INIT;
    char *text;

    for (size_t i = 0; (dim = cubby_engine_plan_dim(plan, i)); i++)
        buffer_format(&list, "%s%s", i > 0 ? ", " : "", dim->name);
    text = buffer_steal_text(&list);
    if (!text)
        out_of_memory();
    return text;
}

static int find_dim(const struct choices *choices, const char *name, size_t length, size_t *ret_dim,
                    struct cubby_error *error) {
    const struct cubby_engine_dim *dim;
    char *all;

    for (size_t i = 0; (dim = cubby_engine_plan_dim(choices->plan, i)); i++) {
        if (strncmp(dim->name, name, length) == 0 && dim->name[length] == '\0') {
            *ret_dim = i;
            return 0;
        }
    }
    all = list_dims(choices->plan);
    error_set(error, CUBBY_ERR_INVALID,
              "--dims %.100s: the engine %s has no dim \"%.*s\"; %s%.400s", choices->text,
              cubby_engine_plan_name(choices->plan), (int)(length < 100 ? length : 100), name,
              *all ? "it has " : "it has none", all);
    free(all);
    return CUBBY_ERR_INVALID;
}

static int add_value(const struct choices *choices, struct choice *choice, const char *text,
                     size_t length, struct cubby_error *error) {
    int64_t *grown;
    long long value;
    char *end;

    errno = 0;
    value = strtoll(text, &end, 10);
    if (errno == ERANGE && end == text + length && *text != '-')
        return error_set(error, CUBBY_ERR_INVALID,
                         "--dims %.100s: %.*s is more than any dim can be", choices->text,
                         (int)(length < 100 ? length : 100), text);
    if (errno != 0 || length == 0 || end != text + length || *text < '0' || *text > '9')
        return error_set(error, CUBBY_ERR_INVALID,
                         "--dims %.100s: \"%.*s\" is no value: expected a number, as in n=64,m=8",
                         choices->text, (int)(length < 100 ? length : 100), text);
    if (choice->count == SHAPES_MAX)
        return error_set(error, CUBBY_ERR_INVALID, "--dims %.100s: more than %d values",
                         choices->text, SHAPES_MAX);
    grown = realloc(choice->values, (choice->count + 1) * sizeof(*grown));
    if (!grown)
        return error_no_memory(error);
    choice->values = grown;
    grown[choice->count++] = value;
    return 0;
}

/* One part between commas: "n=64", or a further value of the dim before it. */
static int take_part(struct choices *choices, const char *part, size_t length,
                     struct choice **current, struct cubby_error *error) {
    const char *equals = memchr(part, '=', length);
    size_t dim, name = equals ? (size_t)(equals - part) : 0;

    if (!equals && !*current)
        return error_set(error, CUBBY_ERR_INVALID,
                         "--dims %.100s: expected NAME=VALUE, as in n=64,m=8", choices->text);
    if (!equals)
        return add_value(choices, *current, part, length, error);
    if (find_dim(choices, part, name, &dim, error) < 0)
        return CUBBY_ERR_INVALID;
    *current = &choices->dims[dim];
    if ((*current)->count > 0)
        return error_set(error, CUBBY_ERR_INVALID,
                         "--dims %.100s: %.*s is there twice; several values of one dim are "
                         "%.*s=64,128",
                         choices->text, (int)name, part, (int)name, part);
    return add_value(choices, *current, equals + 1, length - name - 1, error);
}

static int parse(struct choices *choices, struct cubby_error *error) {
    struct choice *current = NULL;
    const char *part = choices->text;
    int result = 0;

    for (bool more = true; result == 0 && more;) {
        size_t length = strcspn(part, ",");

        more = part[length] == ',';
        result = take_part(choices, part, length, &current, error);
        part += length + more;
    }
    return result;
}

/* ---- All shapes of it -------------------------------------------------------------------- */

/* The shape of that number: the last dim changes fastest. */
static void fill_shape(const struct choices *choices, size_t number, int64_t *values, bool *given) {
    for (size_t i = choices->dim_count; i-- > 0;) {
        const struct choice *choice = &choices->dims[i];
        const size_t count = choice->count;

        given[i] = count > 0;
        values[i] = cubby_engine_plan_dim(choices->plan, i)->opt;
        if (count > 0) {
            values[i] = choice->values[number % count];
            number /= count;
        }
    }
}

static int grow(struct shapes *shapes, size_t more, struct cubby_error *error) {
    size_t all = (shapes->count + more) * (shapes->dim_count + 1); /* one more: never of 0 bytes */
    int64_t *values = realloc(shapes->values, all * sizeof(*values));
    bool *given;

    if (!values)
        return error_no_memory(error);
    shapes->values = values;
    given = realloc(shapes->given, all * sizeof(*given));
    if (!given)
        return error_no_memory(error);
    shapes->given = given;
    return 0;
}

/* A shape exists where all that depends on it can be computed. */
static int check_shape(const struct choices *choices, const int64_t *values,
                       struct cubby_error *error) {
    struct cubby_engine_geometry *geometry = NULL;
    int result =
        cubby_engine_plan_evaluate(choices->plan, values, choices->dim_count, &geometry, error);

    cubby_engine_geometry_free(geometry);
    return result;
}

static int add_shapes(const struct choices *choices, struct shapes *shapes,
                      struct cubby_error *error) {
    size_t more = 1;
    int result;

    for (size_t i = 0; i < choices->dim_count; i++) {
        more *= choices->dims[i].count > 0 ? choices->dims[i].count : 1;
        if (more + shapes->count > SHAPES_MAX)
            return error_set(error, CUBBY_ERR_INVALID,
                             "--dims %.100s: more than %d shapes in all: ask for fewer",
                             choices->text, SHAPES_MAX);
    }
    result = grow(shapes, more, error);
    for (size_t i = 0; result == 0 && i < more; i++) {
        size_t at = shapes->count * shapes->dim_count;

        fill_shape(choices, i, shapes->values + at, shapes->given + at);
        result = check_shape(choices, shapes->values + at, error);
        shapes->count++;
    }
    return result;
}

/* An argument of NULL asks for the expected shape. */
static int add_argument(const struct cubby_engine_plan *plan, const char *text,
                        struct shapes *shapes, struct cubby_error *error) {
    struct choices choices = {.plan = plan, .text = text, .dim_count = shapes->dim_count};
    int result = 0;

    choices.dims = calloc(choices.dim_count + 1, sizeof(*choices.dims));
    if (!choices.dims)
        return error_no_memory(error);
    if (text)
        result = parse(&choices, error);
    if (result == 0)
        result = add_shapes(&choices, shapes, error);
    free_choices(&choices);
    return result;
}

int shapes_make(const struct cubby_engine_plan *plan, const struct dims_args *args,
                struct shapes *ret_shapes, struct cubby_error *error) {
    int result = 0;

    *ret_shapes = (struct shapes){0};
    while (cubby_engine_plan_dim(plan, ret_shapes->dim_count))
        ret_shapes->dim_count++;
    if (args->count == 0)
        result = add_argument(plan, NULL, ret_shapes, error);
    for (size_t i = 0; result == 0 && i < args->count; i++)
        result = add_argument(plan, args->texts[i], ret_shapes, error);
    if (result < 0)
        shapes_clear(ret_shapes);
    return result;
}

void shapes_clear(struct shapes *shapes) {
    free(shapes->values);
    free(shapes->given);
    *shapes = (struct shapes){0};
}

const int64_t *shapes_at(const struct shapes *shapes, size_t index) {
    return shapes->values + index * shapes->dim_count;
}

/* ---- For people and for programs --------------------------------------------------------- */

char *shape_text(const struct cubby_engine_plan *plan, const int64_t *values) {
    const struct cubby_engine_dim *dim;
    struct buffer list = BUFFER_INIT;
    char *text;

    for (size_t i = 0; (dim = cubby_engine_plan_dim(plan, i)); i++)
        buffer_format(&list, "%s%s=%" PRId64, i > 0 ? "," : "", dim->name, values[i]);
    text = buffer_steal_text(&list);
    if (!text)
        out_of_memory();
    return text;
}

json_t *shape_json(const struct cubby_engine_plan *plan, const int64_t *values) {
    const struct cubby_engine_dim *dim;
    json_t *object = json_object();

    for (size_t i = 0; (dim = cubby_engine_plan_dim(plan, i)); i++)
        json_add(object, dim->name, json_integer(values[i]));
    return object;
}
