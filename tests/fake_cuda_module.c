/* SPDX-License-Identifier: Apache-2.0 */
/* Modules, libraries, kernels and functions of the driver's double. */
#include <stdlib.h>
#include <string.h>

#include "fake_cuda_state.h"

static const struct fake_kernel_info *find_kernel(const struct fake_image *image,
                                                  const char *name) {
    for (size_t i = 0; i < image->count; i++) {
        if (strcmp(image->kernels[i].name, name) == 0)
            return &image->kernels[i];
    }
    return NULL;
}

static struct CUfunc_st *find_loaded(const struct fake_kernel_info *info,
                                     const struct CUctx_st *context) {
    for (struct fake_object *object = fake.objects[FAKE_FUNCTION]; object; object = object->next) {
        if (((struct CUfunc_st *)object)->info == info && object->context == context)
            return (struct CUfunc_st *)object;
    }
    return NULL;
}

/* The same handle for the same kernel and context. */
static struct CUfunc_st *function_of(void *owner, const struct fake_kernel_info *info,
                                     struct CUctx_st *context) {
    struct CUfunc_st *function = find_loaded(info, context);

    if (function)
        return function;
    function = fake_new(FAKE_FUNCTION, sizeof(*function), context);
    function->info = info;
    function->owner = owner;
    function->max_dynamic_shared = 48 * 1024 - info->static_shared;
    return function;
}

void fake_functions_forget(const void *owner) {
    struct fake_object *object = fake.objects[FAKE_FUNCTION];

    while (object) {
        struct fake_object *next = object->next;

        if (((struct CUfunc_st *)object)->owner == owner)
            fake_forget(object);
        object = next;
    }
}

/* ---- Modules ----------------------------------------------------------------------------- */

static unsigned load(struct CUmod_st **ret_module, const void *data) {
    struct CUctx_st *context;
    struct fake_image image;
    unsigned code = fake_current(&context);

    if (code == 0)
        code = fake_check_unsafe();
    if (code == 0)
        code = fake_image_read(data, &image);
    if (code)
        return code;
    if (!fake_image_fits(&image, context->device)) {
        fake_image_free(&image);
        return DRIVER_ERROR_NO_BINARY_FOR_GPU;
    }
    *ret_module = fake_new(FAKE_MODULE, sizeof(**ret_module), fake_primary(context));
    (*ret_module)->image = image;
    return 0;
}

unsigned cuModuleLoadData(struct CUmod_st **ret_module, const void *data) {
    FAKE_CALL("cuModuleLoadData", load(ret_module, data));
}

void fake_module_free(struct CUmod_st *module) {
    fake_functions_forget(module);
    fake_image_free(&module->image);
    fake_forget(module);
}

/* [cuModuleUnload] From the current context; what is in use must have ended, which the double makes
 * sure of by doing it. */
static unsigned unload(struct CUmod_st *module) {
    struct CUctx_st *context;
    unsigned code = fake_current(&context);

    if (code == 0)
        code = fake_check_unsafe();
    if (code == 0 &&
        (!fake_is(FAKE_MODULE, module) || module->object.context != fake_primary(context)))
        code = DRIVER_ERROR_INVALID_HANDLE;
    if (code == 0) {
        fake_drain_context(context);
        fake_module_free(module);
    }
    return code;
}

unsigned cuModuleUnload(struct CUmod_st *module) {
    FAKE_CALL("cuModuleUnload", unload(module));
}

static unsigned module_function(struct CUfunc_st **ret_function, struct CUmod_st *module,
                                const char *name) {
    const struct fake_kernel_info *info;
    struct CUctx_st *context;
    unsigned code = fake_current(&context);

    if (code)
        return code;
    if (!fake_is(FAKE_MODULE, module))
        return DRIVER_ERROR_INVALID_HANDLE;
    info = find_kernel(&module->image, name);
    if (!info)
        return DRIVER_ERROR_NOT_FOUND;
    *ret_function = function_of(module, info, module->object.context);
    return 0;
}

unsigned cuModuleGetFunction(struct CUfunc_st **ret_function, struct CUmod_st *module,
                             const char *name) {
    FAKE_CALL("cuModuleGetFunction", module_function(ret_function, module, name));
}

/* ---- Libraries --------------------------------------------------------------------------- */

/* [cuLibraryLoadData] Of no context. Looked into when it is loaded where loading is EAGER,
 * otherwise when a function of it is asked for. The double knows no options. */
static unsigned load_library(struct CUlib_st **ret_library, const void *data, unsigned options) {
    struct CUctx_st *context;
    struct fake_image image;
    unsigned code = options ? DRIVER_ERROR_NOT_SUPPORTED : fake_check_unsafe();

    if (code == 0)
        code = fake_image_read(data, &image);
    if (code)
        return code;
    if (fake.eager && fake_current(&context) == 0 && !fake_image_fits(&image, context->device)) {
        fake_image_free(&image);
        return DRIVER_ERROR_NO_BINARY_FOR_GPU;
    }
    *ret_library = fake_new(FAKE_LIBRARY, sizeof(**ret_library), NULL);
    (*ret_library)->image = image;
    return 0;
}

unsigned cuLibraryLoadData(struct CUlib_st **ret_library, const void *data, unsigned *jit,
                           void **jit_values, unsigned jit_count, unsigned *options, void **values,
                           unsigned count) {
    (void)jit;
    (void)jit_values;
    (void)options;
    (void)values;
    FAKE_CALL("cuLibraryLoadData", load_library(ret_library, data, jit_count + count));
}

void fake_library_free(struct CUlib_st *library) {
    struct fake_object *object = fake.objects[FAKE_KERNEL];

    while (object) {
        struct fake_object *next = object->next;

        if (((struct CUkern_st *)object)->library == library)
            fake_forget(object);
        object = next;
    }
    fake_functions_forget(library);
    fake_image_free(&library->image);
    fake_forget(library);
}

static unsigned unload_library(struct CUlib_st *library) {
    unsigned code = fake_check_unsafe();

    if (code == 0 && !fake_is(FAKE_LIBRARY, library))
        code = DRIVER_ERROR_INVALID_HANDLE;
    if (code)
        return code;
    for (int i = 0; i < FAKE_DEVICES_MAX; i++) {
        if (fake.primary[i])
            fake_drain_context(fake.primary[i]);
    }
    fake_library_free(library);
    return 0;
}

unsigned cuLibraryUnload(struct CUlib_st *library) {
    FAKE_CALL("cuLibraryUnload", unload_library(library));
}

static unsigned get_kernel(struct CUkern_st **ret_kernel, struct CUlib_st *library,
                           const char *name) {
    const struct fake_kernel_info *info;

    if (!fake_is(FAKE_LIBRARY, library))
        return DRIVER_ERROR_INVALID_HANDLE;
    info = find_kernel(&library->image, name);
    if (!info)
        return DRIVER_ERROR_NOT_FOUND;
    for (struct fake_object *object = fake.objects[FAKE_KERNEL]; object; object = object->next) {
        if (((struct CUkern_st *)object)->info == info) {
            *ret_kernel = (struct CUkern_st *)object;
            return 0;
        }
    }
    *ret_kernel = fake_new(FAKE_KERNEL, sizeof(**ret_kernel), NULL);
    (*ret_kernel)->library = library;
    (*ret_kernel)->info = info;
    return 0;
}

unsigned cuLibraryGetKernel(struct CUkern_st **ret_kernel, struct CUlib_st *library,
                            const char *name) {
    FAKE_CALL("cuLibraryGetKernel", get_kernel(ret_kernel, library, name));
}

/* Loads it there, which a capture could miss: the first call for a context is unsafe, in the
 * stricter reading. */
unsigned fake_kernel_function(struct CUfunc_st **ret_function, struct CUkern_st *kernel,
                              struct CUctx_st *context) {
    unsigned code = 0;

    if (!fake_image_fits(&kernel->library->image, context->device))
        return DRIVER_ERROR_NO_BINARY_FOR_GPU;
    if (!find_loaded(kernel->info, context))
        code = fake_check_unsafe();
    if (code == 0)
        *ret_function = function_of(kernel->library, kernel->info, context);
    return code;
}

/* [cuKernelGetFunction] For the current context. */
static unsigned kernel_function(struct CUfunc_st **ret_function, struct CUkern_st *kernel) {
    struct CUctx_st *context;
    unsigned code = fake_current(&context);

    if (code == 0 && !fake_is(FAKE_KERNEL, kernel))
        code = DRIVER_ERROR_INVALID_HANDLE;
    return code ? code : fake_kernel_function(ret_function, kernel, context);
}

unsigned cuKernelGetFunction(struct CUfunc_st **ret_function, struct CUkern_st *kernel) {
    FAKE_CALL("cuKernelGetFunction", kernel_function(ret_function, kernel));
}

/* ---- Attributes -------------------------------------------------------------------------- */

static unsigned get_attribute(int *value, unsigned attribute, struct CUfunc_st *function) {
    struct CUctx_st *context;
    unsigned code = fake_current(&context);

    if (code)
        return code;
    if (!fake_is(FAKE_FUNCTION, function))
        return DRIVER_ERROR_INVALID_HANDLE;
    if (attribute == DRIVER_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK)
        *value = (int)function->info->max_threads;
    else if (attribute == DRIVER_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES)
        *value = (int)function->info->static_shared;
    else if (attribute == DRIVER_FUNC_ATTRIBUTE_NUM_REGS)
        *value = (int)function->info->registers;
    else if (attribute == DRIVER_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES)
        *value = (int)function->max_dynamic_shared;
    else
        return DRIVER_ERROR_INVALID_VALUE;
    return 0;
}

unsigned cuFuncGetAttribute(int *value, unsigned attribute, struct CUfunc_st *function) {
    FAKE_CALL("cuFuncGetAttribute", get_attribute(value, attribute, function));
}

/* [CUfunction_attribute] MAX_DYNAMIC_SHARED_SIZE_BYTES: with the static bytes, at most what the
 * device gives to those who ask. */
static unsigned set_attribute(struct CUfunc_st *function, unsigned attribute, int value) {
    struct CUctx_st *context;
    unsigned code = fake_current(&context);

    if (code)
        return code;
    if (!fake_is(FAKE_FUNCTION, function))
        return DRIVER_ERROR_INVALID_HANDLE;
    if (attribute != DRIVER_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || value < 0 ||
        (unsigned)value + function->info->static_shared > 227 * 1024)
        return DRIVER_ERROR_INVALID_VALUE;
    function->max_dynamic_shared = (unsigned)value;
    return 0;
}

unsigned cuFuncSetAttribute(struct CUfunc_st *function, unsigned attribute, int value) {
    FAKE_CALL("cuFuncSetAttribute", set_attribute(function, attribute, value));
}
