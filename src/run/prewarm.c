/* SPDX-License-Identifier: Apache-2.0 */
/* The programs of a plan, compiled ahead of time. */
#include <cubby/runner.h>

#include "engine/plan.h"
#include "run/front.h"
#include "run/source.h"
#include "util/error.h"

static int check_options(const struct cubby_prewarm_options *options, struct cubby_error *error) {
    const struct cubby_prewarm_options defaults = CUBBY_PREWARM_OPTIONS_INIT;

    if (options->version != defaults.version)
        return error_set(error, CUBBY_ERR_INVALID,
                         "struct cubby_prewarm_options has version %u: expected 1, which "
                         "CUBBY_PREWARM_OPTIONS_INIT sets",
                         options->version);
    if (!options->arch)
        return error_set(error, CUBBY_ERR_INVALID,
                         "no architecture to compile for: expected one such as \"sm_90\"");
    return 0;
}

static int compile_all(const struct kernel_source *source, const int64_t *dims,
                       const struct cubby_prewarm_options *options, struct cubby_error *error) {
    const struct cubby_engine_program *program;
    struct cubby_outcome outcome;
    struct cubby_object *object;
    int result = 0;

    for (size_t i = 0; result == 0 && (program = cubby_engine_plan_program(source->plan, i)); i++) {
        if (dims && program->specialize_count == 0)
            continue;
        result = kernel_source_get(source, i, dims, &object, &outcome, error);
        if (result < 0)
            break;
        if (options->visit)
            options->visit(program, dims != NULL, object, &outcome, options->context);
        cubby_object_unref(object);
    }
    return result;
}

int cubby_engine_plan_prewarm(const struct cubby_engine_plan *plan, const int64_t *dims,
                              const struct cubby_prewarm_options *options,
                              struct cubby_error *error) {
    struct cubby_cache *cache = NULL;
    struct kernel_source source;
    int result = check_options(options, error);

    if (result == 0 && dims)
        result = plan_check_dims(plan, dims, plan->dim_count, error);
    if (result == 0 && options->runtime_cache)
        result =
            front_open(options->runtime_cache, options->cache,
                       &(struct front_place){options->arch, 0, plan_has_cuda(plan)}, &cache, error);
    if (result < 0)
        return result;
    source = (struct kernel_source){
        .plan = plan,
        .arch = options->arch,
        .cache = cache ? cache : options->cache,
        .runtime_cache = options->runtime_cache,
        .options = options->options,
        .option_count = options->option_count,
        .flags = CUBBY_REQUEST_FILL, /* whatever will be asked has all of them */
    };
    result = compile_all(&source, dims, options, error);
    cubby_cache_unref(cache);
    return result;
}
