/* SPDX-License-Identifier: Apache-2.0 */
/* The programs of a plan, as they are compiled, and whether what came of it fits the launches. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernel_params.h"
#include "engine/plan.h"
#include "util/error.h"

/* ---- Before ------------------------------------------------------------------------------ */

static int check_index(const struct cubby_engine_plan *plan, size_t index,
                       struct cubby_error *error) {
    if (index < plan->program_count)
        return 0;
    return error_set(error, CUBBY_ERR_INVALID,
                     "the engine %s has no program %zu: expected less than %zu", plan->name, index,
                     plan->program_count);
}

/* What a plan is refused for in the options of its programs is refused here too: the kernels would
 * be for another architecture, or for other values of the dims, than they are kept for. */
static int check_options(const struct cubby_engine_plan *plan, const char *const *options,
                         size_t count, struct cubby_error *error) {
    for (size_t i = 0; i < count; i++) {
        const char *fault = options[i] ? plan_option_fault(options[i]) : NULL;

        if (!options[i])
            return error_set(error, CUBBY_ERR_INVALID, "engine %s: option %zu is NULL", plan->name,
                             i);
        if (fault)
            return error_set(error, CUBBY_ERR_INVALID, "engine %s: the option \"%.200s\" %s",
                             plan->name, options[i], fault);
    }
    return 0;
}

/* The strings that a compile is given; the definitions among them are owned. */
struct strings {
    const char **options;
    size_t option_count;
    char **definitions;
    size_t definition_count;
    const char **names;
    size_t name_count;
};

static void strings_free(struct strings *strings) {
    for (size_t i = 0; i < strings->definition_count; i++)
        free(strings->definitions[i]);
    free(strings->definitions);
    free(strings->options);
    free(strings->names);
}

static bool strings_alloc(const struct cubby_engine_plan *plan, const struct plan_program *program,
                          size_t option_count, struct strings *strings) {
    size_t dims = program->view.specialize_count;

    strings->options =
        calloc(program->options.option_count + dims + option_count + 1, sizeof(*strings->options));
    strings->definitions = calloc(dims + 1, sizeof(*strings->definitions));
    strings->names = calloc(plan->launch_count + 1, sizeof(*strings->names));
    return strings->options && strings->definitions && strings->names;
}

static bool add_definitions(const struct plan_program *program, const int64_t *dims,
                            struct strings *strings) {
    for (size_t i = 0; dims && i < program->view.specialize_count; i++) {
        char *text;

        if (asprintf(&text, "-DCUBBY_DIM_%s=%" PRId64, program->view.specialize[i],
                     dims[program->specialize[i]]) < 0)
            return false;
        strings->definitions[strings->definition_count++] = text;
        strings->options[strings->option_count++] = text;
    }
    return true;
}

static bool fill_strings(const struct cubby_engine_plan *plan, size_t index, const int64_t *dims,
                         const char *const *options, size_t option_count, struct strings *strings) {
    const struct plan_program *program = &plan->programs[index];
    const struct cubby_program_options *own = &program->options;

    if (!strings_alloc(plan, program, option_count, strings))
        return false;
    for (size_t i = 0; i < own->option_count; i++)
        strings->options[strings->option_count++] = own->options[i];
    if (!add_definitions(program, dims, strings))
        return false;
    for (size_t i = 0; own->source == CUBBY_SOURCE_CUDA && i < option_count; i++)
        strings->options[strings->option_count++] = options[i];
    for (size_t i = 0; own->source == CUBBY_SOURCE_CUDA && i < plan->launch_count; i++) {
        if (plan->launches[i].program == index)
            strings->names[strings->name_count++] = plan->launches[i].view.kernel;
    }
    return true;
}

int cubby_engine_plan_get_program(const struct cubby_engine_plan *plan, size_t index,
                                  const char *arch, const int64_t *dims, const char *const *options,
                                  size_t option_count, struct cubby_program **ret_program,
                                  struct cubby_error *error) {
    struct cubby_program_options varied;
    struct strings strings = {0};
    int result = check_index(plan, index, error);

    if (result == 0 && dims)
        result = plan_check_dims(plan, dims, plan->dim_count, error);
    if (result == 0)
        result = check_options(plan, options, option_count, error);
    if (result < 0)
        return result;
    if (fill_strings(plan, index, dims, options, option_count, &strings)) {
        varied = plan->programs[index].options;
        varied.arch = arch;
        varied.options = strings.options;
        varied.option_count = strings.option_count;
        varied.names = strings.names;
        varied.name_count = strings.name_count;
        result = cubby_program_vary(plan->programs[index].base, &varied, ret_program, error);
    } else {
        result = error_no_memory(error);
    }
    strings_free(&strings);
    return result;
}

/* ---- After ------------------------------------------------------------------------------- */

static size_t argument_size(const struct cubby_engine_argument *argument) {
    return argument->kind == CUBBY_ARGUMENT_TENSOR ? sizeof(uint64_t)
                                                   : cubby_dtype_size(argument->dtype);
}

static const char *argument_noun(const struct cubby_engine_argument *argument) {
    static const char *const NOUNS[] = {"the address of a tensor", "a dim", "a scalar"};

    return NOUNS[argument->kind];
}

static int compare_params(const struct cubby_engine_launch *launch,
                          const struct kernel_params *params, const struct place *place,
                          struct cubby_error *error) {
    const struct place *list = PLACE_KEY(place, "arguments");

    if (launch->argument_count != params->count)
        return place_error(list, error, "there are %zu: expected %zu, as the kernel %.200s takes",
                           launch->argument_count, params->count, launch->kernel);
    for (size_t i = 0; i < params->count; i++) {
        const struct cubby_engine_argument *argument = &launch->arguments[i];

        if (argument_size(argument) != params->items[i].size)
            return place_error(PLACE_INDEX(list, i), error,
                               "%s of %zu bytes: expected %u bytes, as parameter %zu of the kernel "
                               "%.200s takes",
                               argument_noun(argument), argument_size(argument),
                               params->items[i].size, i, launch->kernel);
    }
    return 0;
}

static int check_kernel(const struct cubby_engine_launch *launch, const struct cubby_object *object,
                        const struct place *place, struct cubby_error *error) {
    const char *lowered = cubby_object_lowered_name(object, launch->kernel);
    struct cubby_error own = CUBBY_ERROR_INIT;
    struct kernel_params params;
    int result;

    result = kernel_params_read(cubby_object_data(object), cubby_object_size(object),
                                lowered ? lowered : launch->kernel, &params, &own);
    if (result < 0)
        return place_pass(PLACE_KEY(place, "kernel"), error, &own);
    result = compare_params(launch, &params, place, error);
    kernel_params_free(&params);
    return result;
}

int cubby_engine_plan_check_object(const struct cubby_engine_plan *plan, size_t index,
                                   const struct cubby_object *object, struct cubby_error *error) {
    int result = check_index(plan, index, error);

    for (size_t i = 0; result == 0 && i < plan->launch_count; i++) {
        if (plan->launches[i].program == index)
            result = check_kernel(&plan->launches[i].view, object, PLACE_ITEM(NULL, "launches", i),
                                  error);
    }
    return result;
}
