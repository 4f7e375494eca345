/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int store_open(struct store *store, const char *kind, const char *folder, size_t size,
               struct cubby_error *error) {
    char spec[512];
    int result;

    *store = (struct store){.size = size, .bytes = malloc(size)};
    if (!store->bytes)
        return CUBBY_ERR_NO_MEMORY;
    memset(store->bytes, 'x', size);
    if (strcmp(kind, "memory") == 0)
        snprintf(spec, sizeof(spec), "memory");
    else
        snprintf(spec, sizeof(spec), "%s:%s/store", kind, folder);
    result = cubby_cache_open(spec, &store->cache, error);
    for (unsigned i = 0; i < BENCH_ENTRIES && result == 0; i++) {
        floor_key(i, &store->keys[i]);
        result = cubby_cache_put(store->cache, &store->keys[i], store->bytes, size, error);
    }
    return result;
}

void store_close(struct store *store) {
    cubby_cache_unref(store->cache);
    free(store->bytes);
}

static int note_size(const char *tier, const struct cubby_entry_info *info, void *context) {
    (void)tier;
    *(size_t *)context = (size_t)info->size;
    return 0;
}

size_t store_entry_size(const struct store *store) {
    size_t size = store->size;

    cubby_cache_iterate(store->cache, note_size, &size, NULL);
    return size;
}

int store_get(void *context) {
    struct store *store = context;
    const struct cubby_key *key = &store->keys[store->next++ % BENCH_ENTRIES];
    struct cubby_object *object;
    int result;

    if (cubby_cache_get(store->cache, CUBBY_ENTRY_USER, key, &object, NULL, NULL) < 0)
        return -1;
    result = cubby_object_data(object) && cubby_object_size(object) == store->size ? 0 : -1;
    cubby_object_unref(object);
    return result;
}

int store_put(void *context) {
    struct store *store = context;
    const struct cubby_key *key = &store->keys[store->next++ % BENCH_ENTRIES];

    return cubby_cache_put(store->cache, key, store->bytes, store->size, NULL);
}
