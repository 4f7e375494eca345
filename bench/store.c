/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Bytes of which zstd makes about a third, as of a cubin: words of 16 bytes, of 48 forms, in which
 * three bytes vary. */
static void fill(unsigned char *bytes, size_t size) {
    uint64_t state = 1;

    for (size_t i = 0; i < size; i++) {
        unsigned at = i % 16, form = (unsigned)(state >> 33) % 48;

        bytes[i] = at % 3 ? (unsigned char)(form * 37 + at * at * 11) : 0;
        if (at == 2)
            bytes[i] = (state >> 41) % 64;
        else if (at == 4)
            bytes[i] = (state >> 47) % 32;
        else if (at == 8)
            bytes[i] = (state >> 52) % 16;
        else if (at == 15) /* Knuth's multiplier, a step of a linear congruential generator */
            state = state * 6364136223846793005u + 1442695040888963407u;
    }
}

static int write_secret(const char *path) {
    FILE *file = fopen(path, "wx");
    int result;

    if (!file)
        return -1;
    result = fchmod(fileno(file), 0600) | (fputs("a secret for measuring with\n", file) < 0);
    return fclose(file) == 0 && result == 0 ? 0 : -1;
}

/* The spec of a store in a folder. Returns 0, or -1 where its secret could not be written. */
static int make_spec(const char *kind, const char *params, const char *folder, char *spec,
                     size_t size) {
    char secret[512] = "";

    if (strcmp(kind, "memory") == 0) {
        snprintf(spec, size, "memory%s", params);
        return 0;
    }
    if (strcmp(params, STORE_SECRET) == 0) {
        snprintf(secret, sizeof(secret), "%s/secret", folder);
        if (write_secret(secret) < 0)
            return -1;
    }
    snprintf(spec, size, "%s:%s/store%s%s", kind, folder, params, secret);
    return 0;
}

int store_open(struct store *store, const char *kind, const char *params, const char *folder,
               size_t size, struct cubby_error *error) {
    char spec[1200];
    int result;

    *store = (struct store){.size = size, .bytes = malloc(size)};
    if (!store->bytes)
        return CUBBY_ERR_NO_MEMORY;
    fill(store->bytes, size);
    if (make_spec(kind, params, folder, spec, sizeof(spec)) < 0)
        return CUBBY_ERR_IO;
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
