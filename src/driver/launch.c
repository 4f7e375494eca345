/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/launch.h"

#include "util/error.h"

/* What blocks may have without asking: the portable limit of all devices. */
#define SHARED_FREELY (48 * 1024)

/* The function may be shared, and launched with other sizes too: so the most is allowed at once,
 * and never less. */
int kernel_allow_shared(struct device_context *context, const char *name,
                        struct CUfunc_st *function, unsigned bytes, struct cubby_error *error) {
    const struct driver *driver = context->driver;
    const unsigned most = (unsigned)context->device.max_shared_optin;
    int fixed = 0, result = 0;

    if (bytes > 0)
        result = driver_call(driver, error, cuFuncGetAttribute, &fixed,
                             DRIVER_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, function);
    if (result < 0 || (uint64_t)bytes + (unsigned)fixed <= SHARED_FREELY)
        return result;
    if ((uint64_t)bytes + (unsigned)fixed > most)
        return error_set(
            error, CUBBY_ERR_INVALID,
            "kernel \"%s\": %u bytes of dynamic shared memory and %d of its own, but a "
            "block on device %d (%s) can have %u: use smaller tiles",
            name, bytes, fixed, context->device.ordinal, context->device.arch, most);
    return driver_call(driver, error, cuFuncSetAttribute, function,
                       DRIVER_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, (int)most - fixed);
}

static int fail(const struct device_context *context, const struct kernel_launch *launch,
                unsigned code, struct cubby_error *error) {
    const unsigned *grid = launch->grid, *block = launch->block;
    struct cubby_error reason = CUBBY_ERROR_INIT;
    int result = driver_fail(context->driver, "cuLaunchKernel", code, &reason);

    if (error && error->code == CUBBY_OK)
        error->tool_error = reason.tool_error;
    return error_set(error, result,
                     "kernel \"%s\" on device %d (grid %u x %u x %u, block %u x %u x %u, %u bytes "
                     "of shared memory): %s",
                     launch->name, context->device.ordinal, grid[0], grid[1], grid[2], block[0],
                     block[1], block[2], launch->shared, reason.message);
}

int kernel_launch(struct device_context *context, const struct kernel_launch *launch,
                  struct CUstream_st *stream, struct cubby_error *error) {
    const unsigned *grid = launch->grid, *block = launch->block;
    unsigned code = context->driver->api.cuLaunchKernel(
        launch->function, grid[0], grid[1], grid[2], block[0], block[1], block[2], launch->shared,
        stream, launch->arguments, NULL);

    return code == DRIVER_SUCCESS ? 0 : fail(context, launch, code, error);
}
