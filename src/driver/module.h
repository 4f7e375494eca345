/* SPDX-License-Identifier: Apache-2.0 */
/* A cubin on a device: loaded once per device, however many ask for it, and counted. */
#ifndef CUBBY_DRIVER_MODULE_H
#define CUBBY_DRIVER_MODULE_H

#include <cubby/backend.h>

#include "driver/context.h"

struct loaded_module {
    struct device_context *context; /* a reference */
    struct cubby_key key;
    struct CUlib_st *library; /* one of these two */
    struct CUmod_st *module;
    unsigned references; /* of this and of next: by context->modules_lock */
    struct loaded_module *next;
};

/*
 * The module of a key, loaded from the image (borrowed, read only during the call) where the device
 * does not have it. Who asks for it while another loads it waits. New.
 * Returns 0; CUBBY_ERR_UNSUPPORTED where the image is for another architecture; CUBBY_ERR_CORRUPT;
 * CUBBY_ERR_NO_MEMORY. Not allowed while the calling thread captures.
 */
int loaded_module_get(struct device_context *context, const struct cubby_key *key,
                      const void *image, struct loaded_module **ret_module,
                      struct cubby_error *error);

/* Unloads it with the last reference. NULL-safe. No kernel of it may be running or be part of a
 * graph that is still replayed then, and the calling thread may not capture. */
void loaded_module_unref(struct loaded_module *module);

/*
 * A kernel of the module as a function of a context of the device: a green one, or NULL for the
 * device's own. Borrowed from the module. It is on the device when this returns, so that a later
 * launch loads nothing. CUBBY_ERR_NOT_FOUND where the module has no such kernel; else as
 * loaded_module_get(), because a driver may look into a module only now.
 */
int loaded_module_function(struct loaded_module *module, const char *kernel,
                           struct CUctx_st *context, struct CUfunc_st **ret_function,
                           struct cubby_error *error);

#endif
