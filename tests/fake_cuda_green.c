/* SPDX-License-Identifier: Apache-2.0 */
/* Green contexts of the driver's double: multiprocessors by number, so that a test sees that no two
 * parts share one. */
#include <stdlib.h>
#include <string.h>

#include "fake_cuda_state.h"

struct CUdevResourceDesc_st {
    struct fake_object object;
    int device;
    unsigned first_sm, sm_count;
};

/* What the double keeps in the part of a resource that is the driver's own. */
struct inner {
    int device;
    unsigned split; /* which call of a split made it; 0: the whole device */
    unsigned first_sm;
};

static unsigned splits;

static struct inner inner_of(const struct CUdevResource_st *resource) {
    struct inner inner;

    memcpy(&inner, resource->internal, sizeof(inner));
    return inner;
}

/* [guide, "Green contexts"] The least number of multiprocessors, and what it has to be a multiple
 * of: 9.0 and newer 8 and 8; 8.x 4 and 2; 7.x 2 and 2; 6.x 1 and 1. */
static void granularity(int device, unsigned *least, unsigned *step) {
    int major = fake.sm[device] / 10;

    *least = major >= 9 ? 8 : major == 8 ? 4 : major == 7 ? 2 : 1;
    *step = major >= 9 ? 8 : major >= 7 ? 2 : 1;
}

static void fill(struct CUdevResource_st *resource, int device, unsigned split, unsigned first,
                 unsigned count) {
    const struct inner inner = {device, split, first};

    memset(resource, 0, sizeof(*resource));
    resource->type = DRIVER_DEV_RESOURCE_TYPE_SM;
    memcpy(resource->internal, &inner, sizeof(inner));
    resource->sm.smCount = count;
    if (fake.version < 13000)
        return; /* the fields are newer than the functions */
    granularity(device, &resource->sm.minSmPartitionSize, &resource->sm.smCoscheduledAlignment);
}

static unsigned get_resource(int device, struct CUdevResource_st *resource, unsigned type) {
    int ordinal = fake_ordinal(device);

    if (ordinal < 0)
        return DRIVER_ERROR_INVALID_DEVICE;
    if (type != DRIVER_DEV_RESOURCE_TYPE_SM)
        return DRIVER_ERROR_INVALID_RESOURCE_TYPE;
    fill(resource, ordinal, 0, 0, fake.sm_count);
    return 0;
}

unsigned cuDeviceGetDevResource(int device, struct CUdevResource_st *resource, unsigned type) {
    FAKE_CALL("cuDeviceGetDevResource", get_resource(device, resource, type));
}

/*
 * [cuDevSmResourceSplitByCount] At least minCount multiprocessors each, brought up to what the
 * device asks for; as many groups as there is room for, at most as many as asked; with a NULL
 * result only their number. What a split gave cannot be split again.
 */
static unsigned split(struct CUdevResource_st *result, unsigned *groups,
                      const struct CUdevResource_st *input, struct CUdevResource_st *rest,
                      unsigned flags, unsigned least) {
    struct inner inner = inner_of(input);
    unsigned size = least, step, made;

    if (!groups || input->type != DRIVER_DEV_RESOURCE_TYPE_SM)
        return DRIVER_ERROR_INVALID_RESOURCE_TYPE;
    if (inner.split != 0 || least > input->sm.smCount)
        return DRIVER_ERROR_INVALID_RESOURCE_CONFIGURATION;
    granularity(inner.device, &least, &step);
    if (flags & DRIVER_DEV_SM_RESOURCE_SPLIT_IGNORE_SM_COSCHEDULING)
        least = step = 2;
    size = size < least ? least : (size + step - 1) / step * step;
    made = input->sm.smCount / size;
    if (!result) {
        *groups = made;
        return 0;
    }
    made = made < *groups ? made : *groups;
    splits++;
    for (unsigned i = 0; i < made; i++)
        fill(&result[i], inner.device, splits, i * size, size);
    if (rest)
        fill(rest, inner.device, splits, made * size, input->sm.smCount - made * size);
    *groups = made;
    return 0;
}

unsigned cuDevSmResourceSplitByCount(struct CUdevResource_st *result, unsigned *groups,
                                     const struct CUdevResource_st *input,
                                     struct CUdevResource_st *rest, unsigned flags,
                                     unsigned least) {
    FAKE_CALL("cuDevSmResourceSplitByCount", split(result, groups, input, rest, flags, least));
}

/* [cuDevResourceGenerateDesc] Several have to be of one device and of one split; here they also
 * have to lie beside each other. */
static unsigned describe(struct CUdevResourceDesc_st **ret, struct CUdevResource_st *resources,
                         unsigned count) {
    struct inner first, next;
    unsigned sum = 0;

    if (!ret || !resources || count == 0)
        return DRIVER_ERROR_INVALID_VALUE;
    first = inner_of(&resources[0]);
    for (unsigned i = 0; i < count; i++) {
        next = inner_of(&resources[i]);
        if (resources[i].type != DRIVER_DEV_RESOURCE_TYPE_SM)
            return DRIVER_ERROR_INVALID_RESOURCE_TYPE;
        if (next.device != first.device || next.split != first.split ||
            next.first_sm != first.first_sm + sum)
            return DRIVER_ERROR_INVALID_RESOURCE_CONFIGURATION;
        sum += resources[i].sm.smCount;
    }
    *ret = fake_new(FAKE_DESCRIPTION, sizeof(**ret), NULL);
    (*ret)->device = first.device;
    (*ret)->first_sm = first.first_sm;
    (*ret)->sm_count = sum;
    return 0;
}

unsigned cuDevResourceGenerateDesc(struct CUdevResourceDesc_st **ret,
                                   struct CUdevResource_st *resources, unsigned count) {
    FAKE_CALL("cuDevResourceGenerateDesc", describe(ret, resources, count));
}

/* ---- Contexts ---------------------------------------------------------------------------- */

/* [cuGreenCtxCreate] The flag CU_GREEN_CTX_DEFAULT_STREAM is required; the primary context is
 * retained. The description is used up here, so that it is freed: the driver has no function for
 * that. */
static unsigned create(struct CUgreenCtx_st **ret, struct CUdevResourceDesc_st *description,
                       int device, unsigned flags) {
    struct CUgreenCtx_st *green;

    if (fake_ordinal(device) < 0)
        return DRIVER_ERROR_INVALID_DEVICE;
    if (flags != DRIVER_GREEN_CTX_DEFAULT_STREAM || !fake_is(FAKE_DESCRIPTION, description) ||
        description->device != fake_ordinal(device))
        return DRIVER_ERROR_INVALID_VALUE;
    /* Stricter: the advice to have the primary context retained before is a rule here. */
    if (!fake.primary[description->device])
        return DRIVER_ERROR_INVALID_VALUE;
    fake.primary[description->device]->retained++;
    green = fake_new(FAKE_GREEN, sizeof(*green), fake.primary[description->device]);
    green->first_sm = description->first_sm;
    green->sm_count = description->sm_count;
    green->context = fake_new(FAKE_CONTEXT, sizeof(*green->context), NULL);
    green->context->device = description->device;
    green->context->green = green;
    fake_forget(description);
    *ret = green;
    return 0;
}

unsigned cuGreenCtxCreate(struct CUgreenCtx_st **ret, struct CUdevResourceDesc_st *description,
                          int device, unsigned flags) {
    FAKE_CALL("cuGreenCtxCreate", create(ret, description, device, flags));
}

/* [cuGreenCtxDestroy] Streams have to be destroyed before; afterwards they give
 * CONTEXT_IS_DESTROYED and their memory is lost. */
void fake_green_free(struct CUgreenCtx_st *green) {
    fake_drain_context(green->context);
    for (struct fake_object *object = fake.objects[FAKE_STREAM]; object; object = object->next) {
        if (object->context == green->context) {
            object->context = NULL;
            fake.violations++;
        }
    }
    fake_clear_context(green->context);
    fake_forget(green->context);
    fake_forget(green);
}

static unsigned destroy(struct CUgreenCtx_st *green) {
    struct CUctx_st *primary;

    if (!fake_is(FAKE_GREEN, green))
        return DRIVER_ERROR_INVALID_CONTEXT;
    primary = green->object.context;
    fake_green_free(green);
    fake_primary_release(primary);
    return 0;
}

unsigned cuGreenCtxDestroy(struct CUgreenCtx_st *green) {
    FAKE_CALL("cuGreenCtxDestroy", destroy(green));
}

static unsigned get_own(struct CUgreenCtx_st *green, struct CUdevResource_st *resource,
                        unsigned type) {
    if (!fake_is(FAKE_GREEN, green))
        return DRIVER_ERROR_INVALID_CONTEXT;
    if (type != DRIVER_DEV_RESOURCE_TYPE_SM)
        return DRIVER_ERROR_INVALID_RESOURCE_TYPE;
    fill(resource, green->context->device, 0, green->first_sm, green->sm_count);
    return 0;
}

unsigned cuGreenCtxGetDevResource(struct CUgreenCtx_st *green, struct CUdevResource_st *resource,
                                  unsigned type) {
    FAKE_CALL("cuGreenCtxGetDevResource", get_own(green, resource, type));
}

static unsigned to_context(struct CUctx_st **ret_context, struct CUgreenCtx_st *green) {
    if (!fake_is(FAKE_GREEN, green))
        return DRIVER_ERROR_INVALID_CONTEXT;
    *ret_context = green->context;
    return 0;
}

unsigned cuCtxFromGreenCtx(struct CUctx_st **ret_context, struct CUgreenCtx_st *green) {
    FAKE_CALL("cuCtxFromGreenCtx", to_context(ret_context, green));
}

/* [cuGreenCtxStreamCreate] CU_STREAM_NON_BLOCKING must be given; the current context is ignored. */
static unsigned create_stream(struct CUstream_st **ret_stream, struct CUgreenCtx_st *green,
                              unsigned flags, int priority) {
    if (!fake_is(FAKE_GREEN, green))
        return DRIVER_ERROR_INVALID_CONTEXT;
    if (flags != DRIVER_STREAM_NON_BLOCKING)
        return DRIVER_ERROR_INVALID_VALUE;
    *ret_stream = fake_new(FAKE_STREAM, sizeof(**ret_stream), green->context);
    (*ret_stream)->flags = flags;
    (*ret_stream)->priority = priority;
    return 0;
}

unsigned cuGreenCtxStreamCreate(struct CUstream_st **ret_stream, struct CUgreenCtx_st *green,
                                unsigned flags, int priority) {
    FAKE_CALL("cuGreenCtxStreamCreate", create_stream(ret_stream, green, flags, priority));
}
