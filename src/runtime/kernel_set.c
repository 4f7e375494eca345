/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/kernel_set.h"

#include <stdlib.h>
#include <string.h>

#include "object.h"

static int compare_keys(const void *left, const void *right) {
    const struct kernel *one = left, *other = right;

    return memcmp(&one->key, &other->key, sizeof(one->key));
}

/* The latest use first; of the same time by key, so that it is decided everywhere alike. */
static int compare_uses(const void *left, const void *right) {
    const struct kernel *one = left, *other = right;

    if (one->used_ns != other->used_ns)
        return one->used_ns > other->used_ns ? -1 : 1;
    return compare_keys(left, right);
}

static uint64_t bytes_of(const struct cubby_object *object) {
    return KERNEL_RECORD_SIZE + cubby_blob_size(object_blob(object));
}

/* Where the key is, or belongs: behind all that are less. */
static size_t place_of(const struct kernel_set *set, const struct cubby_key *key) {
    size_t low = 0, high = set->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (memcmp(&set->kernels[middle].key, key, sizeof(*key)) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct kernel *kernel_at(const struct kernel_set *set, size_t place,
                                const struct cubby_key *key) {
    struct kernel *kernel = place < set->count ? &set->kernels[place] : NULL;

    return kernel && memcmp(&kernel->key, key, sizeof(*key)) == 0 ? kernel : NULL;
}

struct kernel *kernel_set_find(const struct kernel_set *set, const struct cubby_key *key) {
    return kernel_at(set, place_of(set, key), key);
}

static void replace(struct kernel_set *set, struct kernel *kernel, struct cubby_object *object,
                    uint64_t used_ns) {
    set->bytes += bytes_of(object) - bytes_of(kernel->object);
    cubby_object_ref(object); /* first: it may be the same */
    cubby_object_unref(kernel->object);
    kernel->object = object;
    if (used_ns > kernel->used_ns)
        kernel->used_ns = used_ns;
}

/* Room for so many more. */
static bool make_room(struct kernel_set *set, size_t more) {
    size_t capacity = set->capacity ? set->capacity : 16;
    struct kernel *kernels;

    if (more <= set->capacity - set->count)
        return true;
    while (capacity - set->count < more)
        capacity *= 2;
    kernels = reallocarray(set->kernels, capacity, sizeof(*kernels));
    if (!kernels)
        return false;
    set->kernels = kernels;
    set->capacity = capacity;
    return true;
}

int kernel_set_put(struct kernel_set *set, const struct cubby_key *key, struct cubby_object *object,
                   uint64_t used_ns) {
    size_t place = place_of(set, key);
    struct kernel *kernel = kernel_at(set, place, key);

    if (kernel) {
        replace(set, kernel, object, used_ns);
        return 0;
    }
    if (!make_room(set, 1))
        return CUBBY_ERR_NO_MEMORY;
    memmove(set->kernels + place + 1, set->kernels + place,
            (set->count - place) * sizeof(*set->kernels));
    set->kernels[place] = (struct kernel){*key, cubby_object_ref(object), used_ns};
    set->count++;
    set->bytes += bytes_of(object);
    return 0;
}

int kernel_set_unite(struct kernel_set *set, const struct kernel_set *other) {
    if (!make_room(set, other->count))
        return CUBBY_ERR_NO_MEMORY;
    for (size_t i = 0; i < other->count; i++) {
        const struct kernel *theirs = &other->kernels[i];
        struct kernel *ours = kernel_set_find(set, &theirs->key);

        if (!ours)
            kernel_set_put(set, &theirs->key, theirs->object, theirs->used_ns);
        else if (theirs->used_ns > ours->used_ns)
            ours->used_ns = theirs->used_ns;
    }
    return 0;
}

size_t kernel_set_drop(struct kernel_set *set, uint64_t max_bytes) {
    size_t before = set->count;

    if (set->bytes <= max_bytes)
        return 0;
    qsort(set->kernels, set->count, sizeof(*set->kernels), compare_uses);
    while (set->bytes > max_bytes) {
        struct kernel *last = &set->kernels[--set->count];

        set->bytes -= bytes_of(last->object);
        cubby_object_unref(last->object);
    }
    qsort(set->kernels, set->count, sizeof(*set->kernels), compare_keys);
    return before - set->count;
}

bool kernel_set_remove(struct kernel_set *set, const struct cubby_key *key) {
    struct kernel *kernel = kernel_set_find(set, key);

    if (!kernel)
        return false;
    set->bytes -= bytes_of(kernel->object);
    cubby_object_unref(kernel->object);
    set->count--;
    memmove(kernel, kernel + 1, (size_t)(set->kernels + set->count - kernel) * sizeof(*kernel));
    return true;
}

void kernel_set_free(struct kernel_set *set) {
    for (size_t i = 0; i < set->count; i++)
        cubby_object_unref(set->kernels[i].object);
    free(set->kernels);
    *set = (struct kernel_set)KERNEL_SET_INIT;
}
