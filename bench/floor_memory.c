/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What any store in memory has to do that several threads share and that hands out bytes which
 * outlive their eviction: lock, find the key, count a reference, unlock; later drop the reference.
 * Copying the bytes would flatter the subject, which copies none.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <cubby/cubby.h>

#include "floor.h"

#define SLOTS (4 * BENCH_ENTRIES)

struct slot {
    struct cubby_key key;
    struct cubby_blob *blob;
};

struct memory_floor {
    pthread_mutex_t lock;
    unsigned next;
    struct cubby_key keys[BENCH_ENTRIES];
    struct slot slots[SLOTS]; /* open addressing, never full */
};

static struct slot *find(struct memory_floor *floor, const struct cubby_key *key) {
    size_t hash;

    memcpy(&hash, key->bytes + 8, sizeof(hash));
    for (;; hash++) {
        struct slot *slot = &floor->slots[hash % SLOTS];

        if (!slot->blob || memcmp(&slot->key, key, sizeof(*key)) == 0)
            return slot;
    }
}

static int get(void *context) {
    struct memory_floor *floor = context;
    const struct cubby_key *key = &floor->keys[floor->next++ % BENCH_ENTRIES];
    struct cubby_blob *blob;

    pthread_mutex_lock(&floor->lock);
    blob = cubby_blob_ref(find(floor, key)->blob);
    pthread_mutex_unlock(&floor->lock);
    if (!blob)
        return -1;
    cubby_blob_unref(blob);
    return 0;
}

static void release(void *context) {
    struct memory_floor *floor = context;

    for (unsigned i = 0; i < SLOTS; i++)
        cubby_blob_unref(floor->slots[i].blob);
    pthread_mutex_destroy(&floor->lock);
    free(floor);
}

int memory_floor_open(struct floor *ret_floor, size_t size) {
    struct memory_floor *floor = calloc(1, sizeof(*floor));
    int result = 0;

    if (!floor)
        return -1;
    pthread_mutex_init(&floor->lock, NULL);
    for (unsigned i = 0; i < BENCH_ENTRIES && result == 0; i++) {
        struct slot *slot;

        floor_key(i, &floor->keys[i]);
        slot = find(floor, &floor->keys[i]);
        slot->key = floor->keys[i];
        slot->blob = cubby_blob_new(size);
        result = slot->blob ? 0 : -1;
    }
    *ret_floor = (struct floor){
        .get = {"locked look-up, reference taken and dropped", get, floor},
        .context = floor,
        .free = release,
    };
    return result;
}
