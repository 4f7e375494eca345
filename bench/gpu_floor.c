/* SPDX-License-Identifier: Apache-2.0 */
/* The least that could run the same kernels: all is prepared, and each launch is one call. */
#include <stdlib.h>
#include <string.h>

#include "driver/graph.h"
#include "driver/module.h"
#include "driver/stream.h"
#include "gpu.h"
#include "util/error.h"

#define ARGUMENTS_MAX 16

struct floor_launch {
    struct CUfunc_st *function;
    uint64_t values[ARGUMENTS_MAX];
    void *arguments[ARGUMENTS_MAX];
};

struct gpu_floor {
    const struct gpu_bench *gpu;
    const struct gpu_shape *shape;
    struct device_context *context; /* current from new to free, as in a program without Cubby */
    struct device_stream *stream;
    struct cubby_engine_geometry *geometry;
    struct cubby_object *object; /* of the one program that each example engine has */
    struct cubby_key key;
    struct loaded_module *module;
    struct cubby_device_memory *scratch[GPU_TENSORS_MAX];
    struct floor_launch *launches;
    struct CUgraphExec_st *graph;
    bool entered;
};

/* ---- Arguments --------------------------------------------------------------------------- */

/* The address of a tensor: of a buffer of the shape, or of scratch memory, made where it is new. */
static int address_of(struct gpu_floor *floor, const char *name, uint64_t *ret_address,
                      struct cubby_error *error) {
    const struct cubby_engine_tensor *tensor;
    size_t buffer = 0, scratch = 0;
    int result = 0;

    for (size_t i = 0; (tensor = cubby_engine_plan_tensor(floor->shape->plan, i)); i++) {
        bool is_scratch = tensor->role == CUBBY_ROLE_SCRATCH;

        if (strcmp(tensor->name, name) != 0) {
            *(is_scratch ? &scratch : &buffer) += 1;
            continue;
        }
        if (!is_scratch) {
            *ret_address = floor->shape->buffers[buffer].address;
            return 0;
        }
        if (!floor->scratch[scratch])
            result = cubby_device_memory_new(floor->gpu->device, floor->geometry->tensors[i].bytes,
                                             &floor->scratch[scratch], error);
        if (result == 0)
            *ret_address = cubby_device_memory_address(floor->scratch[scratch]);
        return result;
    }
    return error_set(error, CUBBY_ERR_NOT_FOUND, "no tensor is named %s", name);
}

static int dim_of(const struct gpu_floor *floor, const char *name, uint64_t *ret_value,
                  struct cubby_error *error) {
    const struct cubby_engine_dim *dim;

    for (size_t i = 0; (dim = cubby_engine_plan_dim(floor->shape->plan, i)); i++) {
        if (strcmp(dim->name, name) == 0) {
            *ret_value = (uint64_t)floor->shape->dims[i];
            return 0;
        }
    }
    return error_set(error, CUBBY_ERR_NOT_FOUND, "no dim is named %s", name);
}

static int set_argument(struct gpu_floor *floor, const struct cubby_engine_argument *argument,
                        uint64_t *ret_value, struct cubby_error *error) {
    const float real = (float)argument->real;

    if (argument->kind == CUBBY_ARGUMENT_TENSOR)
        return address_of(floor, argument->name, ret_value, error);
    if (argument->kind == CUBBY_ARGUMENT_DIM && argument->dtype == CUBBY_DTYPE_INT32)
        return dim_of(floor, argument->name, ret_value, error);
    if (argument->dtype != CUBBY_DTYPE_FLOAT32)
        return error_set(error, CUBBY_ERR_UNSUPPORTED, "an argument is neither int32 nor float32");
    memcpy(ret_value, &real, sizeof(real));
    return 0;
}

static int set_arguments(struct gpu_floor *floor, struct cubby_error *error) {
    int result = 0;

    floor->launches = calloc(floor->geometry->launch_count, sizeof(*floor->launches));
    if (!floor->launches)
        return error_no_memory(error);
    for (size_t i = 0; i < floor->geometry->launch_count; i++) {
        const struct cubby_engine_launch *launch = cubby_engine_plan_launch(floor->shape->plan, i);
        struct floor_launch *own = &floor->launches[i];

        for (size_t j = 0; j < launch->argument_count && result == 0; j++) {
            if (j == ARGUMENTS_MAX)
                return error_set(error, CUBBY_ERR_UNSUPPORTED, "%s has more than %d arguments",
                                 launch->kernel, ARGUMENTS_MAX);
            own->arguments[j] = &own->values[j];
            result = set_argument(floor, &launch->arguments[j], &own->values[j], error);
        }
    }
    return result;
}

/* ---- Life -------------------------------------------------------------------------------- */

static int compile(struct gpu_floor *floor, bool is_specialized, struct cubby_error *error) {
    struct cubby_program *program;
    int result = cubby_engine_plan_get_program(floor->shape->plan, 0, floor->context->device.arch,
                                               is_specialized ? floor->shape->dims : NULL, NULL, 0,
                                               &program, error);

    if (result < 0)
        return result;
    result = cubby_compile(floor->gpu->cache, program, 0, &floor->object, NULL, error);
    cubby_program_unref(program);
    return result;
}

static int fill(struct gpu_floor *floor, bool is_specialized, struct cubby_error *error) {
    const struct gpu_shape *shape = floor->shape;
    int result = device_context_get(floor->gpu->device, &floor->context, error);

    if (result == 0)
        result = device_context_enter(floor->context, error);
    floor->entered = result == 0;
    if (result == 0)
        result = device_stream_new(floor->context, 0, &floor->stream, error);
    if (result == 0)
        result = cubby_engine_plan_evaluate(shape->plan, shape->dims, shape->call.dim_count,
                                            &floor->geometry, error);
    if (result == 0)
        result = compile(floor, is_specialized, error);
    return result == 0 ? set_arguments(floor, error) : result;
}

int gpu_floor_new(const struct gpu_bench *gpu, const struct gpu_shape *shape, bool is_specialized,
                  struct gpu_floor **ret_floor, struct cubby_error *error) {
    static unsigned serial;
    struct gpu_floor *floor = calloc(1, sizeof(*floor));
    int result;

    if (!floor)
        return error_no_memory(error);
    floor->gpu = gpu;
    floor->shape = shape;
    serial++; /* a key that no engine has: the module is not shared */
    memcpy(floor->key.bytes, &serial, sizeof(serial));
    result = fill(floor, is_specialized, error);
    if (result < 0)
        gpu_floor_free(floor);
    else
        *ret_floor = floor;
    return result;
}

void gpu_floor_free(struct gpu_floor *floor) {
    if (!floor)
        return;
    if (floor->stream)
        gpu_floor_wait(floor);
    if (floor->context)
        graph_exec_free(floor->context->driver, floor->graph);
    gpu_floor_unload(floor);
    for (size_t i = 0; i < GPU_TENSORS_MAX; i++)
        cubby_device_memory_free(floor->scratch[i]);
    cubby_object_unref(floor->object);
    cubby_engine_geometry_free(floor->geometry);
    device_stream_free(floor->stream);
    if (floor->entered)
        device_context_leave(floor->context);
    device_context_unref(floor->context);
    free(floor->launches);
    free(floor);
}

int gpu_floor_load(struct gpu_floor *floor, struct cubby_error *error) {
    int result = loaded_module_get(floor->context, &floor->key, cubby_object_data(floor->object),
                                   &floor->module, error);

    for (size_t i = 0; i < floor->geometry->launch_count && result == 0; i++) {
        const char *kernel = cubby_engine_plan_launch(floor->shape->plan, i)->kernel;
        const char *lowered = cubby_object_lowered_name(floor->object, kernel);

        result = loaded_module_function(floor->module, lowered ? lowered : kernel, NULL,
                                        &floor->launches[i].function, error);
    }
    return result;
}

void gpu_floor_unload(struct gpu_floor *floor) {
    loaded_module_unref(floor->module);
    floor->module = NULL;
}

/* ---- Running ----------------------------------------------------------------------------- */

int gpu_floor_launch(struct gpu_floor *floor) {
    const struct driver_api *api = &floor->context->driver->api;

    for (size_t i = 0; i < floor->geometry->launch_count; i++) {
        const struct cubby_launch_geometry *form = &floor->geometry->launches[i];

        if (api->cuLaunchKernel(floor->launches[i].function, form->grid[0], form->grid[1],
                                form->grid[2], form->block[0], form->block[1], form->block[2],
                                form->shared_bytes, floor->stream->handle,
                                floor->launches[i].arguments, NULL) != DRIVER_SUCCESS)
            return -1;
    }
    return 0;
}

int gpu_floor_wait(struct gpu_floor *floor) {
    return floor->context->driver->api.cuStreamSynchronize(floor->stream->handle) == DRIVER_SUCCESS
               ? 0
               : -1;
}

int gpu_floor_record(struct gpu_floor *floor, struct cubby_error *error) {
    const struct driver *driver = floor->context->driver;
    struct CUgraph_st *graph;
    bool updated;
    int result = capture_begin(driver, floor->stream->handle, error);

    if (result < 0)
        return result;
    if (gpu_floor_launch(floor) < 0) {
        capture_abandon(driver, floor->stream->handle);
        return error_set(error, CUBBY_ERR_INVALID, "a launch could not be recorded");
    }
    result = capture_end(driver, floor->stream->handle, &graph, error);
    if (result < 0)
        return result;
    result = graph_exec_set(driver, &floor->graph, graph, &updated, error);
    graph_free(driver, graph);
    return result;
}

int gpu_floor_replay(struct gpu_floor *floor) {
    return floor->context->driver->api.cuGraphLaunch(floor->graph, floor->stream->handle) ==
                   DRIVER_SUCCESS
               ? 0
               : -1;
}
