/* SPDX-License-Identifier: Apache-2.0 */
/* The scratch tensors of an engine, in one piece of memory that grows. */
#ifndef CUBBY_RUN_SCRATCH_H
#define CUBBY_RUN_SCRATCH_H

#include "driver/memory.h"
#include "engine/plan.h"

/* Memory that a graph of someone else's uses. */
struct kept_memory {
    struct device_memory *memory;
    struct kept_memory *next;
};

struct scratch {
    struct device_memory *memory; /* NULL before the first that is needed */
    bool is_pinned;               /* it is kept when it is replaced */
    struct kept_memory *kept;
    uint64_t *offsets; /* of each tensor of the plan; of no meaning for others */
};

/* True if the tensors fit into the memory that is there. */
bool scratch_fits(const struct scratch *scratch, const struct cubby_engine_plan *plan,
                  const struct cubby_engine_geometry *geometry);

/* Places the tensors; where they do not fit, into new memory. No work may be using the old. */
int scratch_set(struct scratch *scratch, struct device_context *context,
                const struct cubby_engine_plan *plan, const struct cubby_engine_geometry *geometry,
                struct cubby_error *error);

uint64_t scratch_address(const struct scratch *scratch);

void scratch_free(struct scratch *scratch);

#endif
