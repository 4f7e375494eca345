/* SPDX-License-Identifier: Apache-2.0 */
/* Launches of the driver's double: checked, recorded, and computed where a test has attached a
 * function to the kernel. */
#include <stdlib.h>
#include <string.h>

#include "fake_cuda_state.h"

struct attached {
    char *kernel;
    fake_kernel function;
    void *data;
    struct attached *next;
};

static struct attached *attachments;
static struct fake_launch **log_items;
static size_t log_count;

void fake_attach(const char *kernel, fake_kernel function, void *data) {
    struct attached *made = fake_zeroed(sizeof(*made));

    made->kernel = strdup(kernel);
    made->function = function;
    made->data = data;
    made->next = attachments;
    attachments = made;
}

static const struct attached *attached_to(const char *kernel) {
    const struct attached *at = attachments;

    while (at && strcmp(at->kernel, kernel) != 0)
        at = at->next;
    return at;
}

size_t fake_launches(void) {
    return log_count;
}

const struct fake_launch *fake_launch_at(size_t i) {
    return i < log_count ? log_items[i] : NULL;
}

void fake_launches_reset(void) {
    while (attachments) {
        struct attached *gone = attachments;

        attachments = gone->next;
        free(gone->kernel);
        free(gone);
    }
    for (size_t i = 0; i < log_count; i++) {
        free((char *)log_items[i]->kernel);
        free(log_items[i]);
    }
    free(log_items);
    log_items = NULL;
    log_count = 0;
}

static struct fake_launch *note(const struct fake_operation *operation, struct CUstream_st *stream,
                                bool from_graph) {
    const struct CUgreenCtx_st *green = stream->object.context->green;
    struct fake_launch *launch = fake_zeroed(sizeof(*launch));

    *launch = operation->launch;
    launch->kernel = strdup(operation->kernel);
    launch->device = stream->object.context->device;
    launch->stream = stream;
    launch->from_graph = from_graph;
    launch->green = green != NULL;
    launch->first_sm = green ? green->first_sm : 0;
    launch->sm_count = green ? green->sm_count : fake.sm_count;
    log_items = fake_grown(log_items, log_count + 1, sizeof(*log_items));
    log_items[log_count++] = launch;
    return launch;
}

/* A kernel whose module was unloaded would run whatever lies there now. */
void fake_run_launch(const struct fake_operation *operation, struct CUstream_st *stream,
                     bool from_graph) {
    const struct attached *attached = attached_to(operation->kernel);
    struct fake_launch *launch;
    void *parameters[FAKE_PARAMETERS_MAX];
    fake_kernel function;
    void *data;

    if (!fake_find(FAKE_FUNCTION, operation->function)) {
        fake.violations++;
        fake_primary(stream->object.context)->sticky = DRIVER_ERROR_LAUNCH_FAILED;
        return;
    }
    launch = note(operation, stream, from_graph);
    if (!attached)
        return;
    function = attached->function;
    data = attached->data;
    for (size_t i = 0; i < launch->parameter_count; i++)
        parameters[i] = (void *)(operation->parameters + operation->offsets[i]);
    pthread_mutex_unlock(&fake.lock);
    fake_in_callback = true;
    function(launch, parameters, data);
    fake_in_callback = false;
    pthread_mutex_lock(&fake.lock);
}

/* ---- Checks ------------------------------------------------------------------------------ */

static unsigned long long product(const unsigned *sizes) {
    return (unsigned long long)sizes[0] * sizes[1] * sizes[2];
}

/* [guide, "Technical specifications per compute capability"] and the attributes of the function. */
static unsigned check_geometry(const struct CUfunc_st *function, const unsigned *grid,
                               const unsigned *block, unsigned shared) {
    const struct fake_kernel_info *info = function->info;

    if (product(grid) == 0 || product(block) == 0)
        return DRIVER_ERROR_INVALID_VALUE;
    if (grid[0] > 0x7fffffff || grid[1] > 65535 || grid[2] > 65535)
        return DRIVER_ERROR_INVALID_VALUE;
    if (block[0] > 1024 || block[1] > 1024 || block[2] > 64 || product(block) > 1024)
        return DRIVER_ERROR_INVALID_VALUE;
    /* [CUfunction_attribute] MAX_THREADS_PER_BLOCK, MAX_DYNAMIC_SHARED_SIZE_BYTES */
    if (product(block) > info->max_threads || shared > function->max_dynamic_shared)
        return DRIVER_ERROR_INVALID_VALUE;
    /* What the registers of a multiprocessor do not suffice for. */
    if (product(block) * info->registers > 65536)
        return DRIVER_ERROR_LAUNCH_OUT_OF_RESOURCES;
    return 0;
}

/* [cuLaunchKernel] A kernel's handle stands for its function in the context of the stream. */
static unsigned find_function(struct CUfunc_st *handle, const struct CUstream_st *stream,
                              struct CUfunc_st **ret_function) {
    struct CUctx_st *context = stream->object.context;

    if (fake_find(FAKE_KERNEL, handle))
        return fake_kernel_function(ret_function, (struct CUkern_st *)handle, context);
    if (!fake_is(FAKE_FUNCTION, handle))
        return DRIVER_ERROR_INVALID_HANDLE;
    *ret_function = handle;
    return handle->object.context == context ? 0 : DRIVER_ERROR_INVALID_HANDLE;
}

static unsigned take_parameters(struct fake_operation *operation,
                                const struct fake_kernel_info *info, void **parameters) {
    if (info->count > 0 && !parameters)
        return DRIVER_ERROR_INVALID_VALUE;
    if (info->bytes > sizeof(operation->parameters))
        return DRIVER_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < info->count; i++) {
        if (!parameters[i])
            return DRIVER_ERROR_INVALID_VALUE;
        operation->offsets[i] = info->parameters[i].offset;
        memcpy(operation->parameters + info->parameters[i].offset, parameters[i],
               info->parameters[i].size);
    }
    operation->launch.parameter_count = info->count;
    return 0;
}

static unsigned launch(struct CUfunc_st *handle, const struct CUlaunchConfig_st *config,
                       void **parameters, void **extra, bool cooperative) {
    const unsigned grid[3] = {config->gridDimX, config->gridDimY, config->gridDimZ};
    const unsigned block[3] = {config->blockDimX, config->blockDimY, config->blockDimZ};
    struct fake_operation *operation;
    struct CUfunc_st *function;
    struct CUstream_st *stream;
    unsigned code = fake_stream(config->hStream, &stream);

    if (code == 0)
        code = find_function(handle, stream, &function);
    if (code == 0)
        code = check_geometry(function, grid, block, config->sharedMemBytes);
    /* [cuLaunchKernel] Not both ways at once; of the second one the double knows nothing. */
    if (code == 0 && extra)
        code = parameters ? DRIVER_ERROR_INVALID_VALUE : DRIVER_ERROR_NOT_SUPPORTED;
    if (code)
        return code;
    operation = fake_operation_new(FAKE_LAUNCH, stream->object.context);
    code = take_parameters(operation, function->info, parameters);
    if (code) {
        fake_operation_unref(operation);
        return code;
    }
    operation->function = function;
    operation->kernel = strdup(function->info->name);
    operation->cooperative = cooperative;
    memcpy(operation->launch.grid, grid, sizeof(grid));
    memcpy(operation->launch.block, block, sizeof(block));
    operation->launch.shared = config->sharedMemBytes;
    operation->launch.image = function->info->image;
    return fake_enqueue(stream, operation);
}

unsigned cuLaunchKernel(struct CUfunc_st *function, unsigned grid_x, unsigned grid_y,
                        unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z,
                        unsigned shared, struct CUstream_st *stream, void **parameters,
                        void **extra) {
    struct CUlaunchConfig_st config = {
        .gridDimX = grid_x,
        .gridDimY = grid_y,
        .gridDimZ = grid_z,
        .blockDimX = block_x,
        .blockDimY = block_y,
        .blockDimZ = block_z,
        .sharedMemBytes = shared,
        .hStream = stream,
    };

    FAKE_CALL("cuLaunchKernel", launch(function, &config, parameters, extra, false));
}

/* Of attributes, the double knows the cooperative one. */
static unsigned launch_with(const struct CUlaunchConfig_st *config, struct CUfunc_st *function,
                            void **parameters, void **extra) {
    bool cooperative = false;

    if (config->numAttrs > 0 && !config->attrs)
        return DRIVER_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < config->numAttrs; i++) {
        if (config->attrs[i].id == DRIVER_LAUNCH_ATTRIBUTE_COOPERATIVE)
            cooperative = config->attrs[i].value.cooperative != 0;
        else if (config->attrs[i].id != DRIVER_LAUNCH_ATTRIBUTE_IGNORE)
            return DRIVER_ERROR_NOT_SUPPORTED;
    }
    return launch(function, config, parameters, extra, cooperative);
}

unsigned cuLaunchKernelEx(const struct CUlaunchConfig_st *config, struct CUfunc_st *function,
                          void **parameters, void **extra) {
    FAKE_CALL("cuLaunchKernelEx", launch_with(config, function, parameters, extra));
}
