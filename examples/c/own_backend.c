/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store of one's own, written from <cubby/backend.h> alone: a ring of slots, in which a new entry
 * takes the place of the oldest. Small, slow and complete; the required operations are enough.
 *
 *     struct cubby_backend *store;
 *     struct cubby_cache *cache;
 *
 *     ring_backend_open(100, &store, &error);
 *     cubby_cache_open_backends(&store, 1, &cache, &error);   // the cache owns the store now
 */
#include "own_backend.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* One entry; the slot is free while there is no blob. */
struct slot {
    enum cubby_entry_kind kind;
    struct cubby_key key;
    struct cubby_blob *blob;
};

/* The cache sees the first member; the rest is ours. */
struct ring {
    struct cubby_backend backend;
    pthread_mutex_t lock; /* the cache calls from any thread, so we lock */
    size_t slot_count;
    size_t next; /* the slot that the next new entry takes */
    struct slot slots[];
};

/* The slot of a key, or NULL. Call it with the lock held. */
static struct slot *find_slot(struct ring *ring, enum cubby_entry_kind kind,
                              const struct cubby_key *key) {
    for (size_t i = 0; i < ring->slot_count; i++) {
        struct slot *slot = &ring->slots[i];

        if (slot->blob && slot->kind == kind && memcmp(&slot->key, key, sizeof(*key)) == 0)
            return slot;
    }
    return NULL;
}

static int ring_get(struct cubby_backend *backend, enum cubby_entry_kind kind,
                    const struct cubby_key *key, struct cubby_blob **ret_blob,
                    struct cubby_error *error) {
    struct ring *ring = (struct ring *)backend;
    struct slot *slot;

    (void)error; /* "not found" needs no message */
    pthread_mutex_lock(&ring->lock);
    slot = find_slot(ring, kind, key);
    if (slot)
        *ret_blob = cubby_blob_ref(slot->blob); /* the caller's own reference */
    pthread_mutex_unlock(&ring->lock);
    return slot ? 0 : CUBBY_ERR_NOT_FOUND;
}

static int ring_put(struct cubby_backend *backend, enum cubby_entry_kind kind,
                    const struct cubby_key *key, struct cubby_blob *blob,
                    struct cubby_error *error) {
    struct ring *ring = (struct ring *)backend;
    struct cubby_blob *old;
    struct slot *slot;

    (void)error;
    pthread_mutex_lock(&ring->lock);
    slot = find_slot(ring, kind, key);
    if (!slot) {
        slot = &ring->slots[ring->next];
        ring->next = (ring->next + 1) % ring->slot_count;
    }
    old = slot->blob;
    *slot = (struct slot){kind, *key, cubby_blob_ref(blob)}; /* the blob is only lent to us */
    pthread_mutex_unlock(&ring->lock);
    cubby_blob_unref(old);
    return 0;
}

static int ring_remove(struct cubby_backend *backend, enum cubby_entry_kind kind,
                       const struct cubby_key *key, struct cubby_error *error) {
    struct ring *ring = (struct ring *)backend;
    struct cubby_blob *blob = NULL;
    struct slot *slot;

    (void)error;
    pthread_mutex_lock(&ring->lock);
    slot = find_slot(ring, kind, key);
    if (slot) {
        blob = slot->blob;
        slot->blob = NULL;
    }
    pthread_mutex_unlock(&ring->lock);
    cubby_blob_unref(blob);
    return slot ? 0 : CUBBY_ERR_NOT_FOUND;
}

/* The lock is not held while the visitor runs, as it may call get and remove. */
static int ring_iterate(struct cubby_backend *backend, cubby_entry_visitor visit, void *context,
                        struct cubby_error *error) {
    struct ring *ring = (struct ring *)backend;
    int result = 0;

    (void)error;
    for (size_t i = 0; i < ring->slot_count && result == 0; i++) {
        struct cubby_entry_info info = {CUBBY_ENTRY_OBJECT, {{0}}, 0, 0};
        bool used;

        pthread_mutex_lock(&ring->lock);
        used = ring->slots[i].blob != NULL;
        if (used) {
            info.kind = ring->slots[i].kind;
            info.key = ring->slots[i].key;
            info.size = cubby_blob_size(ring->slots[i].blob);
        }
        pthread_mutex_unlock(&ring->lock);
        if (used)
            result = visit(&info, context);
    }
    return result;
}

static int ring_stats(struct cubby_backend *backend, struct cubby_store_stats *ret_stats,
                      struct cubby_error *error) {
    struct ring *ring = (struct ring *)backend;

    (void)error;
    memset(ret_stats, 0, sizeof(*ret_stats));
    pthread_mutex_lock(&ring->lock);
    for (size_t i = 0; i < ring->slot_count; i++) {
        if (ring->slots[i].blob) {
            ret_stats->entries[ring->slots[i].kind]++;
            ret_stats->bytes += cubby_blob_size(ring->slots[i].blob);
        }
    }
    pthread_mutex_unlock(&ring->lock);
    return 0;
}

static void ring_close(struct cubby_backend *backend) {
    struct ring *ring = (struct ring *)backend;

    for (size_t i = 0; i < ring->slot_count; i++)
        cubby_blob_unref(ring->slots[i].blob);
    pthread_mutex_destroy(&ring->lock);
    free(ring);
}

static const struct cubby_backend_ops RING_OPS = {
    .abi = CUBBY_BACKEND_ABI,
    .flags = CUBBY_BACKEND_IN_PROCESS, /* what we give back is what we were given */
    .name = "ring",
    .get = ring_get,
    .put = ring_put,
    .remove = ring_remove,
    .iterate = ring_iterate,
    .stats = ring_stats,
    .close = ring_close,
};

int ring_backend_open(size_t slots, struct cubby_backend **ret_backend, struct cubby_error *error) {
    struct ring *ring = calloc(1, sizeof(*ring) + slots * sizeof(struct slot));

    if (!ring) {
        if (error)
            error->code = CUBBY_ERR_NO_MEMORY;
        return CUBBY_ERR_NO_MEMORY;
    }
    ring->backend.ops = &RING_OPS;
    ring->slot_count = slots;
    pthread_mutex_init(&ring->lock, NULL);
    *ret_backend = &ring->backend;
    return 0;
}
