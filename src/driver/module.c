/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/module.h"

#include <stdlib.h>
#include <string.h>

#include "util/error.h"

/* A library is of no context; its functions are loaded into the one where they are asked for. */
static int load(struct loaded_module *module, const void *image, struct cubby_error *error) {
    const struct driver *driver = module->context->driver;

    if (!driver->api.cuLibraryLoadData || !driver->api.cuKernelGetFunction)
        return driver_call(driver, error, cuModuleLoadData, &module->module, image);
    return driver_call(driver, error, cuLibraryLoadData, &module->library, image, NULL, NULL, 0,
                       NULL, NULL, 0);
}

static void unload(struct loaded_module *module) {
    const struct driver_api *api = &module->context->driver->api;

    if (module->library)
        api->cuLibraryUnload(module->library);
    else
        api->cuModuleUnload(module->module);
}

static int make(struct device_context *context, const struct cubby_key *key, const void *image,
                struct loaded_module **ret_module, struct cubby_error *error) {
    struct loaded_module *module = calloc(1, sizeof(*module));
    int result;

    if (!module)
        return error_no_memory(error);
    module->context = context;
    module->key = *key;
    module->references = 1;
    result = device_context_enter(context, error);
    if (result == 0) {
        result = load(module, image, error);
        device_context_leave(context);
    }
    if (result < 0) {
        free(module);
        return result;
    }
    *ret_module = module;
    return 0;
}

int loaded_module_get(struct device_context *context, const struct cubby_key *key,
                      const void *image, struct loaded_module **ret_module,
                      struct cubby_error *error) {
    struct loaded_module *module;
    int result = 0;

    pthread_mutex_lock(&context->modules_lock);
    for (module = context->modules; module && memcmp(&module->key, key, sizeof(*key)) != 0;
         module = module->next) {
    }
    if (module) {
        module->references++;
    } else {
        result = make(context, key, image, &module, error);
        if (result == 0) {
            device_context_ref(context);
            module->next = context->modules;
            context->modules = module;
        }
    }
    pthread_mutex_unlock(&context->modules_lock);
    if (result == 0)
        *ret_module = module;
    return result;
}

static void take_out(struct loaded_module *module) {
    struct loaded_module **at = &module->context->modules;

    while (*at != module)
        at = &(*at)->next;
    *at = module->next;
}

void loaded_module_unref(struct loaded_module *module) {
    struct device_context *context;

    if (!module)
        return;
    context = module->context;
    pthread_mutex_lock(&context->modules_lock);
    if (--module->references > 0) {
        pthread_mutex_unlock(&context->modules_lock);
        return;
    }
    take_out(module);
    if (device_context_enter(context, NULL) == 0) {
        unload(module);
        device_context_leave(context);
    }
    pthread_mutex_unlock(&context->modules_lock);
    free(module);
    device_context_unref(context);
}

/* ---- Kernels ----------------------------------------------------------------------------- */

static int find_function(struct loaded_module *module, const char *kernel,
                         struct CUfunc_st **ret_function, struct cubby_error *error) {
    const struct driver *driver = module->context->driver;
    struct CUkern_st *handle = NULL;
    int result;

    if (!module->library)
        return driver_call(driver, error, cuModuleGetFunction, ret_function, module->module,
                           kernel);
    result = driver_call(driver, error, cuLibraryGetKernel, &handle, module->library, kernel);
    if (result == 0)
        result = driver_call(driver, error, cuKernelGetFunction, ret_function, handle);
    return result;
}

int loaded_module_function(struct loaded_module *module, const char *kernel,
                           struct CUctx_st *context, struct CUfunc_st **ret_function,
                           struct cubby_error *error) {
    const struct driver *driver = module->context->driver;
    struct cubby_error reason = CUBBY_ERROR_INIT;
    struct CUfunc_st *function = NULL;
    struct CUctx_st *popped;
    int result = driver_call(driver, error, cuCtxPushCurrent_v2,
                             context ? context : module->context->handle);

    if (result < 0)
        return result;
    result = find_function(module, kernel, &function, &reason);
    driver->api.cuCtxPopCurrent_v2(&popped);
    if (result == 0) {
        *ret_function = function;
        return 0;
    }
    if (error && error->code == CUBBY_OK)
        error->tool_error = reason.tool_error;
    return error_set(error, result, "kernel \"%s\" on device %d: %s", kernel,
                     module->context->device.ordinal, reason.message);
}
