/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/device.h"

#include <stdio.h>
#include <string.h>

#include <cubby/cubby.h>

#include "util/error.h"

int device_attribute(const struct driver *driver, int handle, unsigned attribute, int *ret_value,
                     struct cubby_error *error) {
    return driver_call(driver, error, cuDeviceGetAttribute, ret_value, attribute, handle);
}

static int ask_limits(const struct driver *driver, struct device_info *info,
                      struct cubby_error *error) {
    const struct {
        unsigned attribute;
        int *value;
    } LIMITS[] = {
        {DRIVER_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, &info->major},
        {DRIVER_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, &info->minor},
        {DRIVER_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, &info->multiprocessors},
        {DRIVER_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, &info->max_threads},
        {DRIVER_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, &info->max_block[0]},
        {DRIVER_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, &info->max_block[1]},
        {DRIVER_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, &info->max_block[2]},
        {DRIVER_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, &info->max_grid[0]},
        {DRIVER_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, &info->max_grid[1]},
        {DRIVER_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, &info->max_grid[2]},
        {DRIVER_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, &info->max_shared},
        {DRIVER_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, &info->max_shared_optin},
    };
    int result = 0;

    for (size_t i = 0; i < sizeof(LIMITS) / sizeof(*LIMITS) && result == 0; i++)
        result =
            device_attribute(driver, info->handle, LIMITS[i].attribute, LIMITS[i].value, error);
    return result;
}

/* The second form tells the parts of a divided GPU apart. */
static int ask_uuid(const struct driver *driver, struct device_info *info,
                    struct cubby_error *error) {
    struct CUuuid_st uuid;
    int result = driver->api.cuDeviceGetUuid_v2
                     ? driver_call(driver, error, cuDeviceGetUuid_v2, &uuid, info->handle)
                     : driver_call(driver, error, cuDeviceGetUuid, &uuid, info->handle);

    if (result == 0)
        memcpy(info->uuid, uuid.bytes, sizeof(info->uuid));
    return result;
}

int device_count(const struct driver *driver, int *ret_count, struct cubby_error *error) {
    return driver_call(driver, error, cuDeviceGetCount, ret_count);
}

int device_ordinal(const struct driver *driver, int handle, int *ret_ordinal,
                   struct cubby_error *error) {
    int count = 0, found = 0, result = device_count(driver, &count, error);

    for (int i = 0; result == 0 && i < count; i++) {
        result = driver_call(driver, error, cuDeviceGet, &found, i);
        if (result == 0 && found == handle) {
            *ret_ordinal = i;
            return 0;
        }
    }
    return result < 0 ? result
                      : error_set(error, CUBBY_ERR_INVALID,
                                  "the CUDA driver has no device with the handle %d", handle);
}

int device_describe(const struct driver *driver, int ordinal, struct device_info *ret_info,
                    struct cubby_error *error) {
    struct device_info info = {.ordinal = ordinal};
    int count = 0, result = device_count(driver, &count, error);

    if (result == 0 && (ordinal < 0 || ordinal >= count))
        return error_set(error, CUBBY_ERR_INVALID,
                         "there is no device %d: the CUDA driver found %d, counted from 0; check "
                         "nvidia-smi and CUDA_VISIBLE_DEVICES",
                         ordinal, count);
    if (result == 0)
        result = driver_call(driver, error, cuDeviceGet, &info.handle, ordinal);
    if (result == 0)
        result =
            driver_call(driver, error, cuDeviceGetName, info.name, sizeof(info.name), info.handle);
    if (result == 0)
        result = ask_limits(driver, &info, error);
    if (result == 0)
        result = ask_uuid(driver, &info, error);
    if (result < 0)
        return result;
    snprintf(info.arch, sizeof(info.arch), "sm_%d", info.major * 10 + info.minor);
    *ret_info = info;
    return 0;
}

/* ---- The public function ----------------------------------------------------------------- */

static int find(struct cubby_device *ret_device, struct cubby_error *error) {
    struct device_info info;
    const struct driver *driver;
    int count = 0, result = driver_open(&driver, error);

    if (result == 0)
        result = device_count(driver, &count, error);
    if (result == 0 && count < 1)
        return error_set(error, CUBBY_ERR_NO_DRIVER,
                         "the CUDA driver found no device: check nvidia-smi and "
                         "CUDA_VISIBLE_DEVICES");
    if (result == 0)
        result = device_describe(driver, 0, &info, error);
    if (result < 0)
        return result;
    ret_device->driver_version = driver->version;
    ret_device->count = count;
    snprintf(ret_device->name, sizeof(ret_device->name), "%s", info.name);
    snprintf(ret_device->arch, sizeof(ret_device->arch), "%s", info.arch);
    return 0;
}

/* A driver that cannot tell of its device is none, whatever its reason. */
int cubby_device_find(struct cubby_device *ret_device, struct cubby_error *error) {
    struct cubby_error reason = CUBBY_ERROR_INIT;
    int result = find(ret_device, &reason);

    if (result < 0) {
        result =
            result == CUBBY_ERR_NO_MEMORY && reason.tool_error == 0 ? result : CUBBY_ERR_NO_DRIVER;
        reason.code = result;
        error_move(error, &reason);
    }
    return result;
}
