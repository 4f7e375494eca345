/* SPDX-License-Identifier: Apache-2.0 */
/* The launches of an engine, ready for the driver: functions, geometry and values of arguments. */
#ifndef CUBBY_RUN_LAUNCHES_H
#define CUBBY_RUN_LAUNCHES_H

#include "driver/launch.h"
#include "run/kernels.h"

struct launches {
    const struct cubby_engine_plan *plan;
    struct kernel_launch *launches;
    uint64_t *values; /* of all arguments of all launches; each begins where its type does */
    size_t value_count;
    void **addresses; /* of these values */
};

int launches_init(struct launches *launches, const struct cubby_engine_plan *plan,
                  struct cubby_error *error);
void launches_free(struct launches *launches);

/* Sets all that follows from the dims. chosen: a variant for each program, all ready. place: the
 * green context where they are to run; NULL for the device's own. */
int launches_set(struct launches *launches, struct device_context *context, struct CUctx_st *place,
                 struct variant *const *chosen, const int64_t *dims,
                 const struct cubby_engine_geometry *geometry, struct cubby_error *error);

/* Sets where the tensors are: inputs and outputs at their addresses, scratch from its base on. */
void launches_point(struct launches *launches, const uint64_t *addresses, const uint64_t *offsets,
                    uint64_t scratch);

/* Puts them into a stream. The device's context is current. */
int launches_run(const struct launches *launches, struct device_context *context,
                 struct CUstream_st *stream, struct cubby_error *error);

#endif
