/* SPDX-License-Identifier: Apache-2.0 */
#include "run/source.h"

#include "run/front.h"
#include "runtime/runtime_cache.h"
#include "tooling.h"

int kernel_source_get(const struct kernel_source *source, size_t program, const int64_t *dims,
                      struct cubby_object **ret_object, struct cubby_outcome *ret_outcome,
                      struct cubby_error *error) {
    struct cubby_program *compiled = NULL;
    struct cubby_object *object = NULL;
    int result =
        cubby_engine_plan_get_program(source->plan, program, source->arch, dims, source->options,
                                      source->option_count, &compiled, error);

    if (result == 0) {
        result = cubby_compile(source->cache, compiled, source->flags, &object, ret_outcome, error);
        if (source->runtime_cache)
            runtime_cache_count(source->runtime_cache, front_has_served(ret_outcome));
        if (source->runtime_cache && result == 0)
            tooling_remember(source->cache); /* so that the next one to use it loads none */
    }
    if (result == 0)
        result = cubby_engine_plan_check_object(source->plan, program, object, error);
    cubby_program_unref(compiled);
    if (result < 0)
        cubby_object_unref(object);
    else
        *ret_object = object;
    return result;
}
