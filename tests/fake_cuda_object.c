/* SPDX-License-Identifier: Apache-2.0 */
/* Handles of the driver's double: known by a list, so that no wrong one is ever followed. */
#include <stdlib.h>
#include <string.h>

#include "fake_cuda_state.h"

void *fake_new(enum fake_kind kind, size_t size, struct CUctx_st *context) {
    struct fake_object *object = fake_zeroed(size);

    object->kind = kind;
    object->context = context;
    object->next = fake.objects[kind];
    fake.objects[kind] = object;
    return object;
}

bool fake_find(enum fake_kind kind, const void *handle) {
    const struct fake_object *object = fake.objects[kind];

    while (object && object != handle)
        object = object->next;
    return object != NULL;
}

bool fake_is(enum fake_kind kind, const void *handle) {
    bool found = fake_find(kind, handle);

    if (!found)
        fake.violations++;
    return found;
}

void fake_forget(void *gone) {
    struct fake_object *object = gone;
    struct fake_object **at = &fake.objects[object->kind];

    while (*at != object)
        at = &(*at)->next;
    *at = object->next;
    free(object);
}

static size_t count(enum fake_kind kind) {
    size_t sum = 0;

    for (const struct fake_object *object = fake.objects[kind]; object; object = object->next)
        sum++;
    return sum;
}

/* The default streams of contexts are nobody's to free. */
static size_t count_streams(void) {
    size_t sum = count(FAKE_STREAM);

    for (const struct fake_object *object = fake.objects[FAKE_CONTEXT]; object;
         object = object->next) {
        const struct CUctx_st *context = (const struct CUctx_st *)object;

        sum -= (context->legacy != NULL) + (context->per_thread != NULL);
    }
    return sum;
}

size_t fake_alive(const char *kind) {
    static const struct {
        const char *name;
        enum fake_kind kind;
    } KINDS[] = {
        {"module", FAKE_MODULE}, {"library", FAKE_LIBRARY}, {"event", FAKE_EVENT},
        {"graph", FAKE_GRAPH},   {"exec", FAKE_EXEC},       {"green", FAKE_GREEN},
    };
    size_t sum = 0;

    for (size_t i = 0; i < sizeof(KINDS) / sizeof(*KINDS); i++)
        sum += !kind || strcmp(kind, KINDS[i].name) == 0 ? count(KINDS[i].kind) : 0;
    if (!kind || strcmp(kind, "stream") == 0)
        sum += count_streams();
    if (!kind || strcmp(kind, "memory") == 0)
        sum += fake_memory_alive();
    if (kind && strcmp(kind, "context") == 0)
        sum += count(FAKE_CONTEXT);
    return sum;
}
