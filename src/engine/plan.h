/* SPDX-License-Identifier: Apache-2.0 */
/* A plan from within: the public parts, and which of them mean each other. */
#ifndef CUBBY_ENGINE_PLAN_H
#define CUBBY_ENGINE_PLAN_H

#include <stdatomic.h>

#include "engine/expression.h"
#include "engine/place.h"

/* Bounds of a plan, so that a hostile one costs little. */
#define PLAN_DIMS_MAX 64
#define PLAN_TENSORS_MAX 4096
#define PLAN_PROGRAMS_MAX 1024
#define PLAN_LAUNCHES_MAX 4096
#define PLAN_ARGUMENTS_MAX 1024
#define PLAN_KERNEL_MAX 4096            /* bytes of a name expression */
#define PLAN_SOURCE_MAX (64u << 20)     /* bytes of a source */
#define PLAN_DIM_MAX ((int64_t)1 << 40) /* greatest value of a dim */
#define PLAN_SHARED_MAX ((int64_t)INT32_MAX)
#define PLAN_BLOCK_THREADS_MAX 1024

/* The greatest grid and block that CUDA takes. */
extern const int64_t PLAN_GRID_MAX[3];
extern const int64_t PLAN_BLOCK_MAX[3];

struct plan_program {
    struct cubby_engine_program view; /* the source and what the options hold lie in base */
    struct cubby_program_options options;
    struct cubby_program *base; /* without architecture, names of kernels or values of dims */
    size_t *specialize;         /* the number of each dim */
};

struct plan_launch {
    struct cubby_engine_launch view;
    size_t program;
    size_t *references; /* the number of each argument's tensor or dim */
};

struct cubby_engine_plan {
    atomic_uint references;
    char *name;
    struct cubby_engine_dim *dims; /* with names of our own, as in all below */
    size_t dim_count;
    struct cubby_engine_tensor *tensors;
    size_t tensor_count;
    struct plan_program *programs;
    size_t program_count;
    struct plan_launch *launches;
    size_t launch_count;
};

/* Not yet checked as a whole. */
struct cubby_engine_builder {
    struct cubby_engine_plan *plan; /* NULL after it was finished */
    char *folder;                   /* NULL for the current one */
};

void plan_free(struct cubby_engine_plan *plan);

/* True if a program is CUDA C++. */
bool plan_has_cuda(const struct cubby_engine_plan *plan);
/* Frees what is in one of its parts. */
void plan_free_tensor(struct cubby_engine_tensor *tensor);
void plan_free_program(struct plan_program *program);
void plan_free_launch(struct plan_launch *launch);

/* Finds what every name means; nothing but the names of a plan may be used before. */
int plan_resolve(struct cubby_engine_plan *plan, struct cubby_error *error);

/* Shapes and launches for all values of the dims. */
int plan_check_ranges(struct cubby_engine_plan *plan, struct cubby_error *error);

/* What is written before it is read, and whether all is used. */
int plan_check_flow(struct cubby_engine_plan *plan, struct cubby_error *error);

/* INVALID for a value that lies outside of its dim's range. */
int plan_check_dims(const struct cubby_engine_plan *plan, const int64_t *dims, size_t dim_count,
                    struct cubby_error *error);

/* Why an option for the compiler cannot be one of an engine's, as the end of a sentence that begins
 * with it; NULL where it can. */
const char *plan_option_fault(const char *option);

#endif
