/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the CUDA driver says of this machine. Prototypes from NVIDIA's CUDA driver API
 * documentation; symbols are asked for under their versioned names.
 */
#include <dlfcn.h>
#include <stdio.h>

#include <cubby/cubby.h>

#include "key/locate.h"
#include "os/dl.h"
#include "util/error.h"

#define ATTRIBUTE_MAJOR 75 /* CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR */
#define ATTRIBUTE_MINOR 76
#define STUB_LIBRARY 34 /* CUDA_ERROR_STUB_LIBRARY: the toolkit's stand-in, not a driver */

struct driver_api {
    int (*init)(unsigned flags);
    int (*version)(int *);
    int (*count)(int *);
    int (*get)(int *device, int ordinal);
    int (*name)(char *, int size, int device);
    int (*attribute)(int *value, int attribute, int device);
};

static int load_driver(void **ret_handle, struct cubby_error *error) {
    struct cubby_error unusable = CUBBY_ERROR_INIT;
    struct location location;
    int result = locate_library(&LIBRARY_DRIVER, false, &location, NULL, &unusable);

    if (result == CUBBY_ERR_NO_TOOLCHAIN)
        result = error_set(error, CUBBY_ERR_NO_DRIVER, "no CUDA driver: %s", unusable.message);
    cubby_error_clear(&unusable);
    if (result == 0)
        result = dl_open(*location.path ? location.path : LIBRARY_DRIVER.sonames[0], ret_handle);
    if (result == CUBBY_ERR_NO_MEMORY)
        return error_no_memory(error);
    if (result != CUBBY_ERR_NOT_FOUND)
        return result;
    if (*location.path)
        return error_set(error, CUBBY_ERR_NO_DRIVER, "%s cannot be loaded as the CUDA driver: %s",
                         location.path, dlerror());
    return error_set(error, CUBBY_ERR_NO_DRIVER,
                     "no CUDA driver: %s was not found; install the NVIDIA driver, or set %s to "
                     "the library",
                     LIBRARY_DRIVER.sonames[0], LIBRARY_DRIVER.variable);
}

static int fail(const char *what, int code, struct cubby_error *error) {
    if (error && error->code == CUBBY_OK)
        error->tool_error = code;
    return error_set(
        error, CUBBY_ERR_NO_DRIVER, "the CUDA driver failed to %s: error %d%s", what, code,
        code == STUB_LIBRARY ? " (this is the toolkit's stub library, not a driver)" : "");
}

static int ask(const struct driver_api *api, struct cubby_device *device,
               struct cubby_error *error) {
    int handle = 0, major = 0, minor = 0, code;

    code = api->init(0);
    if (code == 0)
        code = api->version(&device->driver_version);
    if (code != 0)
        return fail("start", code, error);
    code = api->count(&device->count);
    if (code != 0)
        return fail("count the devices", code, error);
    if (device->count < 1)
        return error_set(error, CUBBY_ERR_NO_DRIVER,
                         "the CUDA driver found no device: check nvidia-smi and "
                         "CUDA_VISIBLE_DEVICES");
    code = api->get(&handle, 0);
    if (code == 0)
        code = api->name(device->name, sizeof(device->name), handle);
    if (code == 0)
        code = api->attribute(&major, ATTRIBUTE_MAJOR, handle);
    if (code == 0)
        code = api->attribute(&minor, ATTRIBUTE_MINOR, handle);
    if (code != 0)
        return fail("describe device 0", code, error);
    snprintf(device->arch, sizeof(device->arch), "sm_%d", major * 10 + minor);
    return 0;
}

int cubby_device_find(struct cubby_device *ret_device, struct cubby_error *error) {
    struct driver_api api = {0};
    const struct dl_symbol symbols[] = {
        {"cuInit", (void **)&api.init},
        {"cuDriverGetVersion", (void **)&api.version},
        {"cuDeviceGetCount", (void **)&api.count},
        {"cuDeviceGet", (void **)&api.get},
        {"cuDeviceGetName", (void **)&api.name},
        {"cuDeviceGetAttribute", (void **)&api.attribute},
        {NULL, NULL},
    };
    struct cubby_device device = {0};
    const char *missing;
    void *handle = NULL;
    int result = load_driver(&handle, error);

    if (result < 0)
        return result;
    /* The handle is kept: a driver that was started is not unloaded. */
    if (!dl_resolve(handle, symbols, &missing))
        return error_set(error, CUBBY_ERR_NO_DRIVER, "the CUDA driver lacks %s: it is too old",
                         missing);
    result = ask(&api, &device, error);
    if (result == 0)
        *ret_device = device;
    return result;
}
