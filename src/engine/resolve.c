/* SPDX-License-Identifier: Apache-2.0 */
/* Which part every name of a plan means. */
#include <stdlib.h>
#include <string.h>

#include "engine/plan.h"
#include "util/error.h"

/* ---- Names, sorted ----------------------------------------------------------------------- */

struct entry {
    const char *name; /* borrowed */
    size_t number;
};

/* All names of one list. */
struct directory {
    const char *list; /* such as "tensors" */
    const char *noun; /* such as "tensor" */
    struct entry *entries;
    size_t count;
};

static int compare_entry(const void *left, const void *right) {
    const struct entry *a = left, *b = right;
    int order = strcmp(a->name, b->name);

    return order ? order : (a->number > b->number) - (a->number < b->number);
}

static int compare_name(const void *name, const void *entry) {
    return strcmp(name, ((const struct entry *)entry)->name);
}

/* Takes the name of each part: the first member of its struct, which is stride bytes long. */
static int directory_open(const void *first, size_t stride, size_t count,
                          struct directory *directory, struct cubby_error *error) {
    struct entry *entries = calloc(count + 1, sizeof(*entries));

    if (!entries)
        return error_no_memory(error);
    directory->entries = entries;
    directory->count = count;
    for (size_t i = 0; i < count; i++) {
        memcpy(&entries[i].name, (const char *)first + i * stride, sizeof(entries[i].name));
        entries[i].number = i;
    }
    qsort(entries, count, sizeof(*entries), compare_entry);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(entries[i - 1].name, entries[i].name) == 0)
            return place_error(
                PLACE_KEY(PLACE_ITEM(NULL, directory->list, entries[i].number), "name"), error,
                "\"%s\" is the name of /%s/%zu too: expected another", entries[i].name,
                directory->list, entries[i - 1].number);
    }
    return 0;
}

static int directory_find(const struct directory *directory, const char *name,
                          const struct place *place, size_t *ret_number,
                          struct cubby_error *error) {
    const struct entry *entry = bsearch(name, directory->entries, directory->count,
                                        sizeof(*directory->entries), compare_name);

    if (!entry)
        return place_error(place, error, "there is no %s \"%s\": expected one of /%s",
                           directory->noun, name, directory->list);
    *ret_number = entry->number;
    return 0;
}

struct directories {
    struct directory dims, tensors, programs;
};

/* ---- Expressions ------------------------------------------------------------------------- */

/* Finding the dims of one expression; the first failure stays. */
struct finding {
    const struct directory *dims;
    const struct place *place;
    int result;
    struct cubby_error *error;
};

static void find_dim(struct cubby_expression *dim, void *context) {
    struct finding *finding = context;

    if (finding->result == 0)
        finding->result =
            directory_find(finding->dims, dim->name, finding->place, &dim->dim, finding->error);
}

static int resolve_expression(const struct directories *all, struct cubby_expression *expression,
                              const struct place *place, struct cubby_error *error) {
    struct finding finding = {&all->dims, place, 0, error};

    expression_dims(expression, find_dim, &finding);
    return finding.result;
}

static int resolve_shape(const struct directories *all, struct cubby_expression **shape,
                         size_t rank, const struct place *place, struct cubby_error *error) {
    int result = 0;

    for (size_t i = 0; result == 0 && shape && i < rank; i++)
        result = resolve_expression(all, shape[i], PLACE_INDEX(place, i), error);
    return result;
}

/* ---- Programs and launches --------------------------------------------------------------- */

static int resolve_program(const struct directories *all, struct plan_program *program,
                           const struct place *place, struct cubby_error *error) {
    const struct place *list = PLACE_KEY(place, "specialize");

    program->view.options = &program->options;
    for (size_t i = 0; i < program->view.specialize_count; i++) {
        int result = directory_find(&all->dims, program->view.specialize[i], PLACE_INDEX(list, i),
                                    &program->specialize[i], error);

        if (result < 0)
            return result;
        for (size_t k = 0; k < i; k++) {
            if (program->specialize[k] == program->specialize[i])
                return place_error(PLACE_INDEX(list, i), error,
                                   "\"%s\" was named before: expected each dim once",
                                   program->view.specialize[i]);
        }
    }
    return 0;
}

static int resolve_argument(const struct directories *all,
                            const struct cubby_engine_argument *argument, size_t *reference,
                            const struct place *place, struct cubby_error *error) {
    int result;

    if (argument->kind == CUBBY_ARGUMENT_SCALAR)
        return 0;
    if (argument->kind == CUBBY_ARGUMENT_DIM)
        return directory_find(&all->dims, argument->name, PLACE_KEY(place, "dim"), reference,
                              error);
    result =
        directory_find(&all->tensors, argument->name, PLACE_KEY(place, "tensor"), reference, error);
    return result < 0 ? result
                      : resolve_shape(all, argument->shape, argument->rank,
                                      PLACE_KEY(place, "shape"), error);
}

static int resolve_geometry(const struct directories *all, struct plan_launch *launch,
                            const struct place *place, struct cubby_error *error) {
    int result = resolve_shape(all, launch->view.grid, 3, PLACE_KEY(place, "grid"), error);

    if (result == 0)
        result = resolve_shape(all, launch->view.block, 3, PLACE_KEY(place, "block"), error);
    return result < 0 ? result
                      : resolve_expression(all, launch->view.shared_bytes,
                                           PLACE_KEY(place, "shared_bytes"), error);
}

static int resolve_launch(const struct directories *all, struct plan_launch *launch,
                          const struct place *place, struct cubby_error *error) {
    int result = directory_find(&all->programs, launch->view.program, PLACE_KEY(place, "program"),
                                &launch->program, error);

    if (result == 0)
        result = resolve_geometry(all, launch, place, error);
    for (size_t i = 0; result == 0 && i < launch->view.argument_count; i++)
        result = resolve_argument(all, &launch->view.arguments[i], &launch->references[i],
                                  PLACE_ITEM(place, "arguments", i), error);
    return result;
}

/* ---- All of it --------------------------------------------------------------------------- */

static int open_directories(const struct cubby_engine_plan *plan, struct directories *all,
                            struct cubby_error *error) {
    int result =
        directory_open(plan->dims, sizeof(*plan->dims), plan->dim_count, &all->dims, error);

    if (result == 0)
        result = directory_open(plan->tensors, sizeof(*plan->tensors), plan->tensor_count,
                                &all->tensors, error);
    if (result == 0)
        result = directory_open(plan->programs, sizeof(*plan->programs), plan->program_count,
                                &all->programs, error);
    return result;
}

static int resolve_all(struct cubby_engine_plan *plan, const struct directories *all,
                       struct cubby_error *error) {
    int result = 0;

    for (size_t i = 0; result == 0 && i < plan->tensor_count; i++)
        result = resolve_shape(all, plan->tensors[i].shape, plan->tensors[i].rank,
                               PLACE_KEY(PLACE_ITEM(NULL, "tensors", i), "shape"), error);
    for (size_t i = 0; result == 0 && i < plan->program_count; i++)
        result = resolve_program(all, &plan->programs[i], PLACE_ITEM(NULL, "programs", i), error);
    for (size_t i = 0; result == 0 && i < plan->launch_count; i++)
        result = resolve_launch(all, &plan->launches[i], PLACE_ITEM(NULL, "launches", i), error);
    return result;
}

int plan_resolve(struct cubby_engine_plan *plan, struct cubby_error *error) {
    struct directories all = {
        {"dims", "dim", NULL, 0}, {"tensors", "tensor", NULL, 0}, {"programs", "program", NULL, 0}};
    int result = open_directories(plan, &all, error);

    if (result == 0)
        result = resolve_all(plan, &all, error);
    free(all.dims.entries);
    free(all.tensors.entries);
    free(all.programs.entries);
    return result;
}
