/* SPDX-License-Identifier: Apache-2.0 */
#include "gpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"

const struct gpu_engine GPU_ENGINES[] = {
    {"mlp", {1, 16, 16}},
    {"attention", {1, 1, 4, 32}},
    {"nbody", {128}},
};
const size_t GPU_ENGINE_COUNT = sizeof(GPU_ENGINES) / sizeof(*GPU_ENGINES);

/* Numbers of ordinary size: what a kernel does with zeros may take less. */
static int fill(struct cubby_device_memory *memory, uint64_t bytes, struct cubby_error *error) {
    size_t count = bytes / sizeof(float);
    float *numbers = malloc(bytes);
    int result;

    if (!numbers)
        return error_no_memory(error);
    for (size_t i = 0; i < count; i++)
        numbers[i] = (float)(i * 7919 % 1000) / 1000 - 0.4995f;
    result = cubby_device_memory_write(memory, 0, numbers, bytes, error);
    free(numbers);
    return result;
}

static int make_buffers(const struct gpu_bench *gpu, struct gpu_shape *shape,
                        const struct cubby_engine_geometry *geometry, struct cubby_error *error) {
    int result = 0;

    for (size_t i = 0; i < geometry->tensor_count && result == 0; i++) {
        size_t at = shape->call.buffer_count;

        if (cubby_engine_plan_tensor(shape->plan, i)->role == CUBBY_ROLE_SCRATCH)
            continue;
        if (at == GPU_TENSORS_MAX)
            return error_set(error, CUBBY_ERR_UNSUPPORTED, "%s has more than %d tensors",
                             cubby_engine_plan_name(shape->plan), GPU_TENSORS_MAX);
        result = cubby_device_memory_new(gpu->device, geometry->tensors[i].bytes,
                                         &shape->memories[at], error);
        if (result < 0)
            return result;
        shape->buffers[at] = (struct cubby_engine_buffer){
            cubby_device_memory_address(shape->memories[at]), geometry->tensors[i].bytes};
        shape->call.buffer_count++;
        result = fill(shape->memories[at], geometry->tensors[i].bytes, error);
    }
    return result;
}

int gpu_shape_open(const struct gpu_bench *gpu, const char *engine, const int64_t *dims,
                   struct gpu_shape *ret_shape, struct cubby_error *error) {
    struct cubby_engine_geometry *geometry;
    const struct cubby_engine_dim *dim;
    char path[4096];
    size_t count = 0;
    int result;

    memset(ret_shape, 0, sizeof(*ret_shape));
    snprintf(path, sizeof(path), "%s/%s.json", gpu->engines, engine);
    result = cubby_engine_plan_load(path, &ret_shape->plan, error);
    if (result < 0)
        return result;
    for (; count < GPU_DIMS_MAX && (dim = cubby_engine_plan_dim(ret_shape->plan, count)); count++)
        ret_shape->dims[count] = dims ? dims[count] : dim->opt;
    ret_shape->call = (struct cubby_engine_call){ret_shape->dims, count, ret_shape->buffers, 0};
    result = cubby_engine_plan_evaluate(ret_shape->plan, ret_shape->dims, count, &geometry, error);
    if (result < 0)
        return result;
    result = make_buffers(gpu, ret_shape, geometry, error);
    cubby_engine_geometry_free(geometry);
    return result;
}

void gpu_shape_close(struct gpu_shape *shape) {
    for (size_t i = 0; i < shape->call.buffer_count; i++)
        cubby_device_memory_free(shape->memories[i]);
    cubby_engine_plan_unref(shape->plan);
}

/* Twice: a lazy engine has its specialised kernels from the second run on. */
static int warm(struct cubby_engine *engine, const struct gpu_shape *shape,
                struct cubby_error *error) {
    int result = 0;

    for (int i = 0; i < 2 && result == 0; i++) {
        result = cubby_engine_enqueue(engine, &shape->call, error);
        if (result == 0)
            result = cubby_engine_sync(engine, error);
        cubby_engine_wait_kernels(engine);
    }
    return result;
}

int gpu_engine_open(const struct gpu_bench *gpu, const struct gpu_shape *shape,
                    const struct cubby_runtime_settings *settings, struct cubby_cache *cache,
                    struct cubby_engine **ret_engine, struct cubby_error *error) {
    struct cubby_engine_options options = CUBBY_ENGINE_OPTIONS_INIT;
    int result;

    options.device = gpu->device;
    options.cache = cache;
    options.settings = settings;
    result = cubby_engine_new(shape->plan, &options, ret_engine, error);
    if (result < 0)
        return result;
    result = warm(*ret_engine, shape, error);
    if (result < 0)
        cubby_engine_unref(*ret_engine);
    return result;
}
