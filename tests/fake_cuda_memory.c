/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of the driver's double: the host's, known by a list. */
#include <stdlib.h>
#include <string.h>

#include "fake_cuda_state.h"

#define ALIGNMENT 256 /* [guide] of what cudaMalloc gives */

static struct fake_allocation *find(const void *address, size_t size) {
    for (struct fake_allocation *at = fake.allocations; at; at = at->next) {
        size_t offset = (size_t)((const char *)address - (const char *)at->address);

        if ((const char *)address >= (const char *)at->address && offset <= at->size &&
            size <= at->size - offset)
            return at;
    }
    return NULL;
}

bool fake_is_memory(const void *address, size_t size) {
    return find(address, size) != NULL;
}

/* A range that may be worked on from now on: not one whose free is under way. */
static bool is_usable(driver_address address, size_t size) {
    const struct fake_allocation *found = find((const void *)(uintptr_t)address, size);

    return found && !found->freeing;
}

static struct fake_allocation *find_start(driver_address address) {
    struct fake_allocation *at = fake.allocations;

    while (at && (uintptr_t)at->address != address)
        at = at->next;
    return at;
}

static void drop(struct fake_allocation **at) {
    struct fake_allocation *gone = *at;

    *at = gone->next;
    fake.used[gone->context->device] -= gone->size;
    free(gone->address);
    free(gone);
}

void fake_release(void *address) {
    for (struct fake_allocation **at = &fake.allocations; *at; at = &(*at)->next) {
        if ((*at)->address == address) {
            drop(at);
            return;
        }
    }
}

void fake_memory_clear(const struct CUctx_st *context) {
    struct fake_allocation **at = &fake.allocations;

    while (*at) {
        if ((*at)->context == context)
            drop(at);
        else
            at = &(*at)->next;
    }
}

size_t fake_memory_alive(void) {
    size_t count = 0;

    for (const struct fake_allocation *at = fake.allocations; at; at = at->next)
        count++;
    return count;
}

/* ---- Allocation -------------------------------------------------------------------------- */

/* [cuMemAlloc] The size may not be 0. */
static unsigned allocate(struct CUctx_st *context, driver_address *ret, size_t size, bool ordered) {
    struct fake_allocation *made;

    if (size == 0 || !ret)
        return DRIVER_ERROR_INVALID_VALUE;
    if (size > fake.memory - fake.used[context->device])
        return DRIVER_ERROR_OUT_OF_MEMORY;
    made = fake_zeroed(sizeof(*made));
    made->address = aligned_alloc(ALIGNMENT, (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    if (!made->address)
        abort();
    memset(made->address, 0xdb, size); /* its contents are undefined */
    made->size = size;
    made->context = fake_primary(context);
    made->ordered = ordered;
    made->next = fake.allocations;
    fake.allocations = made;
    fake.used[context->device] += size;
    *ret = (uintptr_t)made->address;
    return 0;
}

static unsigned allocate_now(driver_address *ret, size_t size) {
    struct CUctx_st *context;
    unsigned code = fake_current(&context);

    if (code == 0)
        code = fake_check_unsafe();
    return code ? code : allocate(context, ret, size, false);
}

unsigned cuMemAlloc_v2(driver_address *ret, size_t size) {
    FAKE_CALL("cuMemAlloc_v2", allocate_now(ret, size));
}

/* [cuMemAllocAsync] In a capture the call makes a node, whose memory is the graph's. The double has
 * no such nodes and says so. */
static unsigned allocate_ordered(driver_address *ret, size_t size, struct CUstream_st *handle) {
    struct CUstream_st *stream;
    unsigned code = fake_stream(handle, &stream);

    if (code == 0 && stream->capture)
        code = DRIVER_ERROR_NOT_SUPPORTED;
    return code ? code : allocate(stream->object.context, ret, size, true);
}

unsigned cuMemAllocAsync(driver_address *ret, size_t size, struct CUstream_st *stream) {
    FAKE_CALL("cuMemAllocAsync", allocate_ordered(ret, size, stream));
}

/* [cuMemFree] Only what cuMemAlloc or cuMemAllocAsync gave, and once. Waits for the context's work,
 * but for memory of cuMemAllocAsync, which must no longer be in use. */
static unsigned free_now(driver_address address) {
    struct fake_allocation *found;
    struct CUctx_st *context;
    unsigned code = fake_current(&context);

    if (code == 0)
        code = fake_check_unsafe();
    if (code)
        return code;
    found = find_start(address);
    if (!found || found->freeing) {
        fake.violations++;
        return DRIVER_ERROR_INVALID_VALUE;
    }
    if (!found->ordered)
        fake_drain_context(found->context);
    fake_release((void *)(uintptr_t)address);
    return 0;
}

unsigned cuMemFree_v2(driver_address address) {
    FAKE_CALL("cuMemFree_v2", free_now(address));
}

static unsigned free_ordered(driver_address address, struct CUstream_st *handle) {
    struct fake_allocation *found = find_start(address);
    struct fake_operation *operation;
    struct CUstream_st *stream;
    unsigned code = fake_stream(handle, &stream);

    if (code)
        return code;
    if (stream->capture)
        return DRIVER_ERROR_NOT_SUPPORTED; /* as allocate_ordered() */
    if (!found || found->freeing) {
        fake.violations++;
        return DRIVER_ERROR_INVALID_VALUE;
    }
    found->freeing = true;
    operation = fake_operation_new(FAKE_FREE, stream->object.context);
    operation->to = found->address;
    return fake_enqueue(stream, operation);
}

unsigned cuMemFreeAsync(driver_address address, struct CUstream_st *stream) {
    FAKE_CALL("cuMemFreeAsync", free_ordered(address, stream));
}

static unsigned get_info(size_t *left, size_t *total) {
    struct CUctx_st *context;
    unsigned code = fake_current(&context);

    if (code == 0) {
        *left = fake.memory - fake.used[context->device];
        *total = fake.memory;
    }
    return code;
}

unsigned cuMemGetInfo_v2(size_t *left, size_t *total) {
    FAKE_CALL("cuMemGetInfo_v2", get_info(left, total));
}

/* ---- Copies ------------------------------------------------------------------------------ */

/* The device's side has to lie within one allocation. A range past the end is INVALID_VALUE. */
static unsigned check_copy(const struct fake_operation *copy) {
    bool to = !copy->to_device || is_usable((uintptr_t)copy->to, copy->size);
    bool from = !copy->from_device || is_usable((uintptr_t)copy->from, copy->size);

    if (!to || !from)
        fake.violations++;
    return to && from ? 0 : DRIVER_ERROR_INVALID_VALUE;
}

/*
 * [guide, "Stream capture"] What has no stream uses the legacy one, which is forbidden while a
 * stream that waits for it captures. That such a call, which waits, is also unsafe in a thread
 * that captures a stream which does not, is the stricter reading.
 */
static unsigned copy_now(struct fake_operation *copy) {
    struct CUctx_st *context;
    unsigned code = fake_current(&context);

    if (code == 0)
        code = check_copy(copy);
    if (code == 0)
        code = fake_check_legacy(context);
    if (code == 0)
        code = fake_check_unsafe();
    if (code == 0) {
        fake_drain_blocking(fake_primary(context));
        if (copy->kind == FAKE_FILL)
            memset(copy->to, copy->byte, copy->size);
        else
            memmove(copy->to, copy->from, copy->size);
        code = fake_primary(context)->sticky;
    }
    fake_operation_unref(copy);
    return code;
}

static unsigned copy_ordered(struct fake_operation *copy, struct CUstream_st *handle) {
    struct CUstream_st *stream;
    unsigned code = fake_stream(handle, &stream);

    if (code == 0)
        code = check_copy(copy);
    if (code) {
        fake_operation_unref(copy);
        return code;
    }
    copy->context = stream->object.context;
    return fake_enqueue(stream, copy);
}

static struct fake_operation *copy_of(void *to, const void *from, size_t size, bool to_device,
                                      bool from_device) {
    struct fake_operation *copy = fake_operation_new(FAKE_COPY, NULL);

    copy->to = to;
    copy->from = from;
    copy->size = size;
    copy->to_device = to_device;
    copy->from_device = from_device;
    return copy;
}

static struct fake_operation *fill_of(driver_address to, unsigned char byte, size_t size) {
    struct fake_operation *fill = copy_of((void *)(uintptr_t)to, NULL, size, true, false);

    fill->kind = FAKE_FILL;
    fill->byte = byte;
    return fill;
}

#define DEVICE(address) ((void *)(uintptr_t)(address))

unsigned cuMemcpyHtoD_v2(driver_address to, const void *from, size_t size) {
    FAKE_CALL("cuMemcpyHtoD_v2", copy_now(copy_of(DEVICE(to), from, size, true, false)));
}

unsigned cuMemcpyDtoH_v2(void *to, driver_address from, size_t size) {
    FAKE_CALL("cuMemcpyDtoH_v2", copy_now(copy_of(to, DEVICE(from), size, false, true)));
}

unsigned cuMemcpyHtoDAsync_v2(driver_address to, const void *from, size_t size,
                              struct CUstream_st *stream) {
    FAKE_CALL("cuMemcpyHtoDAsync_v2",
              copy_ordered(copy_of(DEVICE(to), from, size, true, false), stream));
}

unsigned cuMemcpyDtoHAsync_v2(void *to, driver_address from, size_t size,
                              struct CUstream_st *stream) {
    FAKE_CALL("cuMemcpyDtoHAsync_v2",
              copy_ordered(copy_of(to, DEVICE(from), size, false, true), stream));
}

unsigned cuMemcpyDtoDAsync_v2(driver_address to, driver_address from, size_t size,
                              struct CUstream_st *stream) {
    FAKE_CALL("cuMemcpyDtoDAsync_v2",
              copy_ordered(copy_of(DEVICE(to), DEVICE(from), size, true, true), stream));
}

unsigned cuMemsetD8_v2(driver_address to, unsigned char byte, size_t size) {
    FAKE_CALL("cuMemsetD8_v2", copy_now(fill_of(to, byte, size)));
}

unsigned cuMemsetD8Async(driver_address to, unsigned char byte, size_t size,
                         struct CUstream_st *stream) {
    FAKE_CALL("cuMemsetD8Async", copy_ordered(fill_of(to, byte, size), stream));
}
