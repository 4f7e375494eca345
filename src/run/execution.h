/* SPDX-License-Identifier: Apache-2.0 */
/* The execution context of an engine: what it has on its device. One thread at a time. */
#ifndef CUBBY_RUN_EXECUTION_H
#define CUBBY_RUN_EXECUTION_H

#include <cubby/runner.h>

#include "run/kernels.h"

/* Values of the dims, and what follows from them. */
struct shape {
    int64_t *dims;
    struct cubby_engine_geometry *geometry;
    unsigned serial; /* another with each change; 0: none yet */
};

struct execution;

/* Makes one. strategy: which kernels it is to use. */
int execution_new(const struct kernels_setup *setup, int device,
                  enum cubby_specialization_strategy strategy, struct execution **ret_execution,
                  struct cubby_error *error);

/* Waits for its work on the device. NULL-safe. */
void execution_free(struct execution *execution);

/* Puts all launches into the stream. addresses: of each tensor of the plan, but of scratch. */
int execution_run(struct execution *execution, const struct shape *shape, const uint64_t *addresses,
                  struct cubby_error *error);

int execution_sync(struct execution *execution, struct cubby_error *error);

#endif
