/* SPDX-License-Identifier: Apache-2.0 */
/* Immutable, reference-counted bytes: header and payload in one allocation. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cubby/backend.h>

struct cubby_blob {
    atomic_uint references;
    size_t size;
    _Alignas(16) unsigned char bytes[];
};

struct cubby_blob *cubby_blob_new(size_t size) {
    struct cubby_blob *blob;

    if (size > SIZE_MAX - sizeof(*blob))
        return NULL;
    blob = malloc(sizeof(*blob) + size);
    if (!blob)
        return NULL;
    atomic_init(&blob->references, 1);
    blob->size = size;
    return blob;
}

struct cubby_blob *cubby_blob_copy(const void *data, size_t size) {
    struct cubby_blob *blob = cubby_blob_new(size);

    if (blob && size > 0)
        memcpy(blob->bytes, data, size);
    return blob;
}

struct cubby_blob *cubby_blob_ref(struct cubby_blob *blob) {
    if (blob)
        atomic_fetch_add_explicit(&blob->references, 1, memory_order_relaxed);
    return blob;
}

void cubby_blob_unref(struct cubby_blob *blob) {
    /* Release our writes to whoever drops the last reference, who acquires them all. */
    if (blob && atomic_fetch_sub_explicit(&blob->references, 1, memory_order_acq_rel) == 1)
        free(blob);
}

const void *cubby_blob_data(const struct cubby_blob *blob) {
    return blob->bytes;
}

size_t cubby_blob_size(const struct cubby_blob *blob) {
    return blob->size;
}

void *cubby_blob_writable(struct cubby_blob *blob) {
    return blob->bytes;
}

void cubby_blob_truncate(struct cubby_blob *blob, size_t size) {
    if (size < blob->size)
        blob->size = size;
}
