/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/engine_file.h"

#include <string.h>

#include "cli/cli.h"

bool engine_file_is(const char *path) {
    size_t length = strlen(path);

    return length > 5 && strcmp(path + length - 5, ".json") == 0;
}

int engine_status(int code) {
    enum status status = status_of(code);

    return (int)(status == STATUS_STORE ? STATUS_USAGE : status);
}

bool engine_has_cuda(const struct cubby_engine_plan *plan) {
    const struct cubby_engine_program *program;

    for (size_t i = 0; (program = cubby_engine_plan_program(plan, i)); i++) {
        if (!program->options || program->options->source == CUBBY_SOURCE_CUDA)
            return true;
    }
    return false;
}

bool engine_is_specialised(const struct cubby_engine_plan *plan) {
    const struct cubby_engine_program *program;

    for (size_t i = 0; (program = cubby_engine_plan_program(plan, i)); i++) {
        if (program->specialize_count > 0)
            return true;
    }
    return false;
}

json_t *engine_dims_json(const struct cubby_engine_plan *plan,
                         const struct cubby_engine_program *program, const int64_t *values) {
    const struct cubby_engine_dim *dim;
    json_t *object = json_object();

    for (size_t i = 0; (dim = cubby_engine_plan_dim(plan, i)); i++) {
        for (size_t s = 0; s < program->specialize_count; s++) {
            if (strcmp(dim->name, program->specialize[s]) == 0)
                json_add(object, dim->name, json_integer(values[i]));
        }
    }
    return object;
}
