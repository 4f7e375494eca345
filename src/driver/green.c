/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/green.h"

#include <stdbool.h>
#include <stdlib.h>

#include "driver/graph.h"
#include "driver/stream.h"
#include "util/error.h"

static int check_size(const struct device_context *context, const struct CUdevSmResource_st *all,
                      unsigned parts, unsigned size, struct cubby_error *error) {
    unsigned least = all->minSmPartitionSize, step = all->smCoscheduledAlignment;
    bool fits = size > 0 && size >= least && (step == 0 || size % step == 0);

    if (parts > 0 && fits && parts <= all->smCount / size)
        return 0;
    if (least == 0) /* an older driver, which does not tell */
        return error_set(error, CUBBY_ERR_INVALID,
                         "device %d (%s) cannot be divided into %u part%s of %u multiprocessors: "
                         "it has %u",
                         context->device.ordinal, context->device.arch, parts,
                         parts == 1 ? "" : "s", size, all->smCount);
    return error_set(error, CUBBY_ERR_INVALID,
                     "device %d (%s) cannot be divided into %u part%s of %u multiprocessors: it "
                     "has %u, and a part needs at least %u and a multiple of %u",
                     context->device.ordinal, context->device.arch, parts, parts == 1 ? "" : "s",
                     size, all->smCount, least, step);
}

static int split(struct device_context *context, unsigned parts, unsigned size,
                 struct CUdevResource_st *resources, struct cubby_error *error) {
    const struct driver *driver = context->driver;
    struct CUdevResource_st all = {0}, rest;
    unsigned made = parts;
    int result = driver_call_optional(driver, error, cuDeviceGetDevResource, context->device.handle,
                                      &all, DRIVER_DEV_RESOURCE_TYPE_SM);

    if (result == 0)
        result = check_size(context, &all.sm, parts, size, error);
    if (result == 0)
        result = driver_call_optional(driver, error, cuDevSmResourceSplitByCount, resources, &made,
                                      &all, &rest, 0, size);
    /* Older drivers do not tell what they ask for, and bring the size up to it. */
    if (result == 0 && (made < parts || resources[0].sm.smCount != size))
        result = error_set(error, CUBBY_ERR_INVALID,
                           "device %d (%s) cannot be divided into %u part%s of %u multiprocessors: "
                           "it gave %u of %u",
                           context->device.ordinal, context->device.arch, parts,
                           parts == 1 ? "" : "s", size, made, resources[0].sm.smCount);
    return result;
}

static int make_part(struct green_division *division, struct CUdevResource_st *resource,
                     struct green_part *part, struct cubby_error *error) {
    const struct device_context *context = division->context;
    const struct driver *driver = context->driver;
    struct CUdevResourceDesc_st *description = NULL;
    int result =
        driver_call_optional(driver, error, cuDevResourceGenerateDesc, &description, resource, 1);

    if (result == 0)
        result = driver_call_optional(driver, error, cuGreenCtxCreate, &part->green, description,
                                      context->device.handle, DRIVER_GREEN_CTX_DEFAULT_STREAM);
    if (result == 0)
        result =
            driver_call_optional(driver, error, cuCtxFromGreenCtx, &part->context, part->green);
    if (result == 0)
        result = driver_call_optional(driver, error, cuGreenCtxStreamCreate, &part->stream,
                                      part->green, DRIVER_STREAM_NON_BLOCKING, 0);
    part->multiprocessors = resource->sm.smCount;
    return result;
}

static int fill(struct green_division *division, unsigned size, struct cubby_error *error) {
    struct CUdevResource_st *resources = calloc(division->count, sizeof(*resources));
    int result = 0;

    if (!resources)
        return error_no_memory(error);
    result = split(division->context, division->count, size, resources, error);
    for (unsigned i = 0; i < division->count && result == 0; i++)
        result = make_part(division, &resources[i], &division->parts[i], error);
    free(resources);
    return result;
}

int green_division_new(struct device_context *context, unsigned parts, unsigned multiprocessors,
                       struct green_division **ret_division, struct cubby_error *error) {
    struct green_division *division;
    int result;

    /* The last of the functions that came: told before anything is made. */
    if (!context->driver->api.cuGreenCtxStreamCreate)
        return driver_lacks(context->driver, "cuGreenCtxStreamCreate", error);
    if (parts == 0 || parts > (unsigned)context->device.multiprocessors || multiprocessors == 0)
        return error_set(error, CUBBY_ERR_INVALID,
                         "device %d cannot be divided into %u parts of %u multiprocessors: it has "
                         "%d, and each part needs some",
                         context->device.ordinal, parts, multiprocessors,
                         context->device.multiprocessors);
    division = calloc(1, sizeof(*division) + parts * sizeof(*division->parts));
    if (!division)
        return error_no_memory(error);
    division->context = device_context_ref(context);
    division->count = parts;
    result = fill(division, multiprocessors, error);
    if (result < 0)
        green_division_free(division);
    else
        *ret_division = division;
    return result;
}

/* A stream that outlives its green context is lost, so they go first, when their work is done: that
 * may be of an engine which is bound no longer. */
void green_division_free(struct green_division *division) {
    const struct driver_api *api;
    unsigned mode;

    if (!division)
        return;
    api = &division->context->driver->api;
    if (device_context_enter(division->context, NULL) == 0) {
        mode = capture_tolerate(division->context->driver);
        for (unsigned i = 0; i < division->count; i++) {
            if (!division->parts[i].stream)
                continue;
            stream_sync(division->context->driver, division->parts[i].stream, NULL);
            api->cuStreamDestroy_v2(division->parts[i].stream);
        }
        capture_restore(division->context->driver, mode);
        device_context_leave(division->context);
    }
    for (unsigned i = 0; i < division->count; i++) {
        if (division->parts[i].green)
            api->cuGreenCtxDestroy(division->parts[i].green);
    }
    device_context_unref(division->context);
    free(division);
}
