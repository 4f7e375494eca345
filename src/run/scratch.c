/* SPDX-License-Identifier: Apache-2.0 */
#include "run/scratch.h"

#include <stdlib.h>

#include "util/error.h"

/* As the driver's own allocations are aligned; and no two tensors share a line of the cache. */
#define ALIGNMENT 256

/* Places the scratch tensors one behind the other (offsets may be NULL). Returns what they take,
 * UINT64_MAX where that is more than can be counted. */
static uint64_t place(const struct cubby_engine_plan *plan,
                      const struct cubby_engine_geometry *geometry, uint64_t *offsets) {
    uint64_t at = 0, bytes;

    for (size_t i = 0; i < plan->tensor_count; i++) {
        if (plan->tensors[i].role != CUBBY_ROLE_SCRATCH)
            continue;
        if (offsets)
            offsets[i] = at;
        bytes = geometry->tensors[i].bytes;
        if (at > UINT64_MAX - ALIGNMENT || bytes > UINT64_MAX - ALIGNMENT - at)
            return UINT64_MAX;
        at += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    return at;
}

bool scratch_fits(const struct scratch *scratch, const struct cubby_engine_plan *plan,
                  const struct cubby_engine_geometry *geometry) {
    return place(plan, geometry, NULL) <= (scratch->memory ? scratch->memory->size : 0);
}

/* Frees the memory, or keeps it for whoever has its address. */
static int let_go(struct scratch *scratch, struct cubby_error *error) {
    struct kept_memory *kept;

    if (!scratch->is_pinned) {
        device_memory_free(scratch->memory);
        scratch->memory = NULL;
        return 0;
    }
    kept = malloc(sizeof(*kept));
    if (!kept)
        return error_no_memory(error);
    *kept = (struct kept_memory){scratch->memory, scratch->kept};
    scratch->kept = kept;
    scratch->memory = NULL;
    scratch->is_pinned = false;
    return 0;
}

/* Where it grows, it gets somewhat more than is needed: shapes that grow step by step would each
 * ask for more. */
static int grow(struct scratch *scratch, struct device_context *context, uint64_t needed,
                struct cubby_error *error) {
    struct device_memory *memory;
    const bool grows = scratch->memory && needed <= UINT64_MAX - needed / 4;
    int result;

    result = let_go(scratch, error);
    if (result < 0)
        return result;
    result = CUBBY_ERR_NO_MEMORY;
    if (grows)
        result = device_memory_new(context, needed + needed / 4, NULL, &memory, NULL);
    if (result < 0)
        result = device_memory_new(context, needed, NULL, &memory, error);
    if (result == 0)
        scratch->memory = memory;
    return result;
}

int scratch_set(struct scratch *scratch, struct device_context *context,
                const struct cubby_engine_plan *plan, const struct cubby_engine_geometry *geometry,
                struct cubby_error *error) {
    if (!scratch->offsets)
        scratch->offsets = calloc(plan->tensor_count, sizeof(*scratch->offsets));
    if (!scratch->offsets)
        return error_no_memory(error);
    if (!scratch_fits(scratch, plan, geometry)) {
        int result = grow(scratch, context, place(plan, geometry, NULL), error);

        if (result < 0)
            return result;
    }
    place(plan, geometry, scratch->offsets);
    return 0;
}

uint64_t scratch_address(const struct scratch *scratch) {
    return scratch->memory ? scratch->memory->address : 0;
}

void scratch_free(struct scratch *scratch) {
    struct kept_memory *next;

    for (struct kept_memory *kept = scratch->kept; kept; kept = next) {
        next = kept->next;
        device_memory_free(kept->memory);
        free(kept);
    }
    device_memory_free(scratch->memory);
    free(scratch->offsets);
}
