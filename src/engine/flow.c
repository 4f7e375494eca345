/* SPDX-License-Identifier: Apache-2.0 */
/* What the launches of a plan read and write, in their order. */
#include <stdlib.h>

#include "engine/plan.h"
#include "util/error.h"

/* What is known of each tensor while the launches are walked through. */
struct flow {
    struct cubby_engine_plan *plan;
    bool *written;
    bool *used;
    bool *derived; /* follows from what one launch writes */
};

static bool reads(const struct cubby_engine_argument *argument) {
    return argument->kind == CUBBY_ARGUMENT_TENSOR && argument->access != CUBBY_ACCESS_WRITE;
}

static bool writes(const struct cubby_engine_argument *argument) {
    return argument->kind == CUBBY_ARGUMENT_TENSOR && argument->access != CUBBY_ACCESS_READ;
}

static void mark_written(const struct plan_launch *launch, bool *marks) {
    for (size_t i = 0; i < launch->view.argument_count; i++) {
        if (writes(&launch->view.arguments[i]))
            marks[launch->references[i]] = true;
    }
}

static bool reads_any(const struct plan_launch *launch, const bool *marks) {
    for (size_t i = 0; i < launch->view.argument_count; i++) {
        if (reads(&launch->view.arguments[i]) && marks[launch->references[i]])
            return true;
    }
    return false;
}

static bool writes_tensor(const struct plan_launch *launch, size_t tensor) {
    for (size_t i = 0; i < launch->view.argument_count; i++) {
        if (writes(&launch->view.arguments[i]) && launch->references[i] == tensor)
            return true;
    }
    return false;
}

/* True if a later launch reads what follows from an earlier one's results. */
static bool depends(struct flow *flow, size_t later, size_t earlier) {
    const struct plan_launch *launches = flow->plan->launches;

    for (size_t i = 0; i < flow->plan->tensor_count; i++)
        flow->derived[i] = false;
    mark_written(&launches[earlier], flow->derived);
    for (size_t i = earlier + 1; i < later; i++) {
        if (reads_any(&launches[i], flow->derived))
            mark_written(&launches[i], flow->derived);
    }
    return reads_any(&launches[later], flow->derived);
}

static int refuse_read(struct flow *flow, size_t launch, size_t tensor, const struct place *place,
                       struct cubby_error *error) {
    const struct cubby_engine_plan *plan = flow->plan;
    const char *name = plan->tensors[tensor].name;
    size_t writer = launch;

    while (writer < plan->launch_count && !writes_tensor(&plan->launches[writer], tensor))
        writer++;
    if (writer == plan->launch_count)
        return place_error(place, error,
                           "%s is read, but no launch writes it: expected one before this one",
                           name);
    if (writer == launch)
        return place_error(
            place, error,
            "%s is read before anything was written to it: expected access \"write\", "
            "or a launch before this one that writes it",
            name);
    if (depends(flow, writer, launch))
        return place_error(place, error,
                           "%s is read here, and /launches/%zu, which writes it, needs what this "
                           "launch writes: expected no such cycle",
                           name, writer);
    return place_error(
        place, error,
        "%s is read before /launches/%zu writes it: expected that launch before this "
        "one",
        name, writer);
}

static int check_argument(struct flow *flow, size_t launch, size_t argument,
                          const struct place *place, struct cubby_error *error) {
    const struct plan_launch *at = &flow->plan->launches[launch];
    size_t tensor = at->references[argument];
    enum cubby_role role = flow->plan->tensors[tensor].role;

    flow->used[tensor] = true;
    if (role == CUBBY_ROLE_INPUT && writes(&at->view.arguments[argument]))
        return place_error(PLACE_KEY(place, "access"), error,
                           "%s is an input and is written: expected access \"read\"",
                           flow->plan->tensors[tensor].name);
    if (role != CUBBY_ROLE_INPUT && reads(&at->view.arguments[argument]) && !flow->written[tensor])
        return refuse_read(flow, launch, tensor, PLACE_KEY(place, "tensor"), error);
    return 0;
}

static int check_launches(struct flow *flow, struct cubby_error *error) {
    const struct cubby_engine_plan *plan = flow->plan;
    int result = 0;

    for (size_t i = 0; result == 0 && i < plan->launch_count; i++) {
        const struct place *place = PLACE_ITEM(NULL, "launches", i);

        for (size_t k = 0; result == 0 && k < plan->launches[i].view.argument_count; k++) {
            if (plan->launches[i].view.arguments[k].kind == CUBBY_ARGUMENT_TENSOR)
                result = check_argument(flow, i, k, PLACE_ITEM(place, "arguments", k), error);
        }
        mark_written(&plan->launches[i], flow->written);
    }
    return result;
}

static int check_tensors(struct flow *flow, struct cubby_error *error) {
    for (size_t i = 0; i < flow->plan->tensor_count; i++) {
        const struct cubby_engine_tensor *tensor = &flow->plan->tensors[i];
        const struct place *place = PLACE_ITEM(NULL, "tensors", i);

        if (!flow->used[i])
            return place_error(place, error,
                               "no launch uses the tensor %s: expected one, or no such tensor",
                               tensor->name);
        if (tensor->role == CUBBY_ROLE_OUTPUT && !flow->written[i])
            return place_error(place, error,
                               "no launch writes the output %s: expected one that does",
                               tensor->name);
    }
    return 0;
}

static int check_programs(const struct cubby_engine_plan *plan, struct cubby_error *error) {
    for (size_t i = 0; i < plan->program_count; i++) {
        size_t launch = 0;

        while (launch < plan->launch_count && plan->launches[launch].program != i)
            launch++;
        if (launch == plan->launch_count)
            return place_error(PLACE_ITEM(NULL, "programs", i), error,
                               "no launch uses the program %s: expected one, or no such program",
                               plan->programs[i].view.name);
    }
    return 0;
}

int plan_check_flow(struct cubby_engine_plan *plan, struct cubby_error *error) {
    size_t count = plan->tensor_count + 1;
    bool *marks = calloc(3 * count, sizeof(*marks));
    struct flow flow = {.plan = plan, .written = marks};
    int result;

    if (!marks)
        return error_no_memory(error);
    flow.used = marks + count;
    flow.derived = marks + 2 * count;
    result = check_launches(&flow, error);
    if (result == 0 && plan->launch_count == 0)
        result = place_error(PLACE_KEY(NULL, "launches"), error,
                             "there are none: expected at least one launch");
    if (result == 0)
        result = check_tensors(&flow, error);
    if (result == 0)
        result = check_programs(plan, error);
    free(marks);
    return result;
}
