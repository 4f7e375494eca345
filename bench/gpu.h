/* SPDX-License-Identifier: Apache-2.0 */
/* The benchmark of engines on a GPU as its parts see it. */
#ifndef BENCH_GPU_H
#define BENCH_GPU_H

#include <cubby/runner.h>

#include "bench.h"

#define GPU_DIMS_MAX 4
#define GPU_TENSORS_MAX 8

struct gpu_bench {
    struct bench *bench;
    const char *engines; /* folder of the example engines */
    int device;
    unsigned multiprocessors;
    struct cubby_cache *cache; /* in memory, so that each program is compiled once */
};

/* The example engines, and a shape for which their kernels take next to no time. */
struct gpu_engine {
    const char *name;
    int64_t least[GPU_DIMS_MAX];
};
extern const struct gpu_engine GPU_ENGINES[];
extern const size_t GPU_ENGINE_COUNT;

/* ---- A plan with buffers: gpu_shape.c ---------------------------------------------------- */

struct gpu_shape {
    struct cubby_engine_plan *plan;
    int64_t dims[GPU_DIMS_MAX];
    struct cubby_device_memory *memories[GPU_TENSORS_MAX]; /* of inputs and outputs */
    struct cubby_engine_buffer buffers[GPU_TENSORS_MAX];
    struct cubby_engine_call call;
};

/* dims: NULL for the values to expect, as the plan has them. To be closed also after a failure. */
int gpu_shape_open(const struct gpu_bench *gpu, const char *engine, const int64_t *dims,
                   struct gpu_shape *ret_shape, struct cubby_error *error);
void gpu_shape_close(struct gpu_shape *shape);

/* An engine for it, which has run and has all its kernels. */
int gpu_engine_open(const struct gpu_bench *gpu, const struct gpu_shape *shape,
                    const struct cubby_runtime_settings *settings, struct cubby_cache *cache,
                    struct cubby_engine **ret_engine, struct cubby_error *error);

/* ---- The floor: gpu_floor.c -------------------------------------------------------------- */

/* The launches of a plan for one shape, put into a stream by the driver's own functions. */
struct gpu_floor;

/* Compiles generic or specialised kernels, but does not load them. The shape is borrowed. */
int gpu_floor_new(const struct gpu_bench *gpu, const struct gpu_shape *shape, bool is_specialized,
                  struct gpu_floor **ret_floor, struct cubby_error *error);
void gpu_floor_free(struct gpu_floor *floor); /* NULL-safe */

/* Brings the kernels onto the device, and takes them off it. */
int gpu_floor_load(struct gpu_floor *floor, struct cubby_error *error);
void gpu_floor_unload(struct gpu_floor *floor);

/* 0 or -1. What is launched has been loaded. */
int gpu_floor_launch(struct gpu_floor *floor);
int gpu_floor_wait(struct gpu_floor *floor);

/* Records the launches as a graph, and replays it. */
int gpu_floor_record(struct gpu_floor *floor, struct cubby_error *error);
int gpu_floor_replay(struct gpu_floor *floor);

/* ---- The rows ---------------------------------------------------------------------------- */

void gpu_run_rows(const struct gpu_bench *gpu);   /* gpu_runs.c */
void gpu_serve_rows(const struct gpu_bench *gpu); /* gpu_serves.c */
void gpu_start_rows(const struct gpu_bench *gpu); /* gpu_starts.c */

#endif
