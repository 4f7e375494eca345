/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries in this process's memory: a hash table cut into shards, each with its own lock and its
 * own list from most to least recently used. A hit hands out a reference and copies nothing.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "backends/backends.h"
#include "os/fork.h"
#include "os/time.h"
#include "util/counters.h"
#include "util/error.h"

#define SHARDS 16
#define FIRST_BUCKETS 64

struct item {
    struct item *next_in_bucket;
    struct item *newer, *older; /* neighbours in the shard's list of use */
    struct cubby_key key;
    enum cubby_entry_kind kind;
    struct cubby_blob *blob;
    int64_t used_at;
};

struct shard {
    _Alignas(64) pthread_mutex_t lock;
    struct item **buckets;
    size_t bucket_count; /* a power of two */
    size_t item_count;
    struct item *newest, *oldest;
    uint64_t entries[CUBBY_ENTRY_KINDS];
};

struct memory_backend {
    struct cubby_backend backend;
    uint64_t max_size;
    _Atomic uint64_t bytes;
    _Atomic unsigned next_victim; /* shard that the next eviction looks at first */
    pthread_mutex_t counters_lock;
    struct cubby_counters counters;
    struct fork_guard guard; /* of all locks here */
    struct shard shards[SHARDS];
};

/* ---- All locks, across a fork ------------------------------------------------------------ */

static void hold_locks(void *context) {
    struct memory_backend *memory = context;

    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_lock(&memory->shards[i].lock);
    pthread_mutex_lock(&memory->counters_lock);
}

static void release_locks(void *context, bool in_child) {
    struct memory_backend *memory = context;

    (void)in_child;
    pthread_mutex_unlock(&memory->counters_lock);
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_unlock(&memory->shards[i].lock);
}

/* ---- One shard, its lock held ------------------------------------------------------------ */

static uint64_t key_hash(enum cubby_entry_kind kind, const struct cubby_key *key) {
    uint64_t hash;

    memcpy(&hash, key->bytes + 8, sizeof(hash));
    return hash + (uint64_t)kind;
}

static struct shard *shard_of(struct memory_backend *memory, const struct cubby_key *key) {
    return &memory->shards[key->bytes[0] % SHARDS];
}

static struct item **find(struct shard *shard, enum cubby_entry_kind kind,
                          const struct cubby_key *key) {
    struct item **at = &shard->buckets[key_hash(kind, key) & (shard->bucket_count - 1)];

    while (*at && ((*at)->kind != kind || memcmp(&(*at)->key, key, sizeof(*key)) != 0))
        at = &(*at)->next_in_bucket;
    return at;
}

static void unlink_use(struct shard *shard, struct item *item) {
    *(item->newer ? &item->newer->older : &shard->newest) = item->older;
    *(item->older ? &item->older->newer : &shard->oldest) = item->newer;
}

static void link_newest(struct shard *shard, struct item *item) {
    item->newer = NULL;
    item->older = shard->newest;
    *(shard->newest ? &shard->newest->newer : &shard->oldest) = item;
    shard->newest = item;
}

/* Twice the buckets, once there are more items than buckets; without memory it stays as it is. */
static void grow(struct shard *shard) {
    size_t count = shard->bucket_count * 2;
    struct item **buckets;

    if (shard->item_count < shard->bucket_count)
        return;
    buckets = calloc(count, sizeof(*buckets));
    if (!buckets)
        return;
    for (struct item *item = shard->newest; item; item = item->older) {
        struct item **bucket = &buckets[key_hash(item->kind, &item->key) & (count - 1)];

        item->next_in_bucket = *bucket;
        *bucket = item;
    }
    free(shard->buckets);
    shard->buckets = buckets;
    shard->bucket_count = count;
}

/* Takes the item at that place out of the shard; its blob becomes the caller's. */
static struct cubby_blob *take_out(struct memory_backend *memory, struct shard *shard,
                                   struct item **at) {
    struct item *item = *at; /* of an item that is there; NOLINTNEXTLINE(*NullDereference) */
    struct cubby_blob *blob = item->blob;

    *at = item->next_in_bucket;
    unlink_use(shard, item);
    shard->item_count--;
    shard->entries[item->kind]--;
    atomic_fetch_sub_explicit(&memory->bytes, cubby_blob_size(blob), memory_order_relaxed);
    free(item);
    return blob;
}

/* ---- Keeping within the cap -------------------------------------------------------------- */

static void count_eviction(struct memory_backend *memory) {
    pthread_mutex_lock(&memory->counters_lock);
    memory->counters.evictions++;
    pthread_mutex_unlock(&memory->counters_lock);
}

/* Drops the oldest item of a shard unless it is the one to keep; false where there is no other. */
static bool evict_from(struct memory_backend *memory, struct shard *shard,
                       enum cubby_entry_kind keep_kind, const struct cubby_key *keep) {
    struct cubby_blob *blob = NULL;
    struct item *victim;

    pthread_mutex_lock(&shard->lock);
    victim = shard->oldest;
    if (victim && victim->kind == keep_kind && memcmp(&victim->key, keep, sizeof(*keep)) == 0)
        victim = victim->newer;
    if (victim)
        blob = take_out(memory, shard, find(shard, victim->kind, &victim->key));
    pthread_mutex_unlock(&shard->lock);
    if (!blob)
        return false;
    cubby_blob_unref(blob);
    count_eviction(memory);
    return true;
}

/* Takes from the shards in turn, which is close to the order of use, as keys are spread evenly. */
static void evict_down_to(struct memory_backend *memory, uint64_t size,
                          enum cubby_entry_kind keep_kind, const struct cubby_key *keep) {
    unsigned empty = 0;

    while (atomic_load_explicit(&memory->bytes, memory_order_relaxed) > size && empty < SHARDS) {
        unsigned next = atomic_fetch_add_explicit(&memory->next_victim, 1, memory_order_relaxed);
        struct shard *shard = &memory->shards[next % SHARDS];

        empty = evict_from(memory, shard, keep_kind, keep) ? 0 : empty + 1;
    }
}

/* ---- Operations -------------------------------------------------------------------------- */

static int memory_get(struct cubby_backend *backend, enum cubby_entry_kind kind,
                      const struct cubby_key *key, struct cubby_blob **ret_blob,
                      struct cubby_error *error) {
    struct memory_backend *memory = (struct memory_backend *)backend;
    struct shard *shard = shard_of(memory, key);
    int64_t now = wall_seconds();
    struct item *item;

    (void)error;
    pthread_mutex_lock(&shard->lock);
    item = *find(shard, kind, key);
    if (item) {
        item->used_at = now;
        *ret_blob = cubby_blob_ref(item->blob);
        if (item != shard->newest) {
            unlink_use(shard, item);
            link_newest(shard, item);
        }
    }
    pthread_mutex_unlock(&shard->lock);
    return item ? 0 : CUBBY_ERR_NOT_FOUND;
}

static int memory_peek(struct cubby_backend *backend, enum cubby_entry_kind kind,
                       const struct cubby_key *key, struct cubby_blob **ret_blob,
                       struct cubby_error *error) {
    struct shard *shard = shard_of((struct memory_backend *)backend, key);
    struct item *item;

    (void)error;
    pthread_mutex_lock(&shard->lock);
    item = *find(shard, kind, key);
    if (item)
        *ret_blob = cubby_blob_ref(item->blob);
    pthread_mutex_unlock(&shard->lock);
    return item ? 0 : CUBBY_ERR_NOT_FOUND;
}

/* Puts the item in, replacing what is there; the old blob becomes the caller's. */
static struct cubby_blob *insert(struct memory_backend *memory, struct shard *shard,
                                 struct item *item) {
    struct item **at = find(shard, item->kind, &item->key);
    struct cubby_blob *old = *at ? take_out(memory, shard, at) : NULL;

    at = find(shard, item->kind, &item->key);
    item->next_in_bucket = NULL;
    *at = item;
    link_newest(shard, item);
    shard->item_count++;
    shard->entries[item->kind]++;
    atomic_fetch_add_explicit(&memory->bytes, cubby_blob_size(item->blob), memory_order_relaxed);
    grow(shard);
    return old;
}

/* True if there was such an entry. */
static bool discard(struct memory_backend *memory, enum cubby_entry_kind kind,
                    const struct cubby_key *key) {
    struct shard *shard = shard_of(memory, key);
    struct cubby_blob *blob = NULL;
    struct item **at;
    bool found;

    pthread_mutex_lock(&shard->lock);
    at = find(shard, kind, key);
    found = *at != NULL;
    if (found)
        blob = take_out(memory, shard, at);
    pthread_mutex_unlock(&shard->lock);
    cubby_blob_unref(blob);
    return found;
}

static int memory_put(struct cubby_backend *backend, enum cubby_entry_kind kind,
                      const struct cubby_key *key, struct cubby_blob *blob,
                      struct cubby_error *error) {
    struct memory_backend *memory = (struct memory_backend *)backend;
    struct shard *shard = shard_of(memory, key);
    struct cubby_blob *old;
    struct item *item;

    if (cubby_blob_size(blob) > memory->max_size) {
        /* It would push out everything else and still not fit; but what it was to replace is out
         * of date. */
        discard(memory, kind, key);
        return 0;
    }
    item = malloc(sizeof(*item));
    if (!item)
        return error_no_memory(error);
    *item = (struct item){
        .key = *key, .kind = kind, .blob = cubby_blob_ref(blob), .used_at = wall_seconds()};
    pthread_mutex_lock(&shard->lock);
    old = insert(memory, shard, item);
    pthread_mutex_unlock(&shard->lock);
    cubby_blob_unref(old);
    evict_down_to(memory, memory->max_size, kind, key);
    return 0;
}

static int memory_remove(struct cubby_backend *backend, enum cubby_entry_kind kind,
                         const struct cubby_key *key, struct cubby_error *error) {
    if (discard((struct memory_backend *)backend, kind, key))
        return 0;
    return error_set(error, CUBBY_ERR_NOT_FOUND, "memory holds no such entry");
}

/* A shard's entries as they are now, so that the visitor runs without the lock. */
static int copy_shard(struct shard *shard, struct cubby_entry_info **ret_infos, size_t *ret_count) {
    struct cubby_entry_info *infos;
    size_t count = 0;

    pthread_mutex_lock(&shard->lock);
    infos = malloc((shard->item_count + 1) * sizeof(*infos));
    for (struct item *item = infos ? shard->newest : NULL; item; item = item->older)
        infos[count++] = (struct cubby_entry_info){item->kind, item->key,
                                                   cubby_blob_size(item->blob), item->used_at};
    pthread_mutex_unlock(&shard->lock);
    *ret_infos = infos;
    *ret_count = count;
    return infos ? 0 : CUBBY_ERR_NO_MEMORY;
}

static int memory_iterate(struct cubby_backend *backend, cubby_entry_visitor visit, void *context,
                          struct cubby_error *error) {
    struct memory_backend *memory = (struct memory_backend *)backend;
    int result = 0;

    for (size_t i = 0; i < SHARDS && result == 0; i++) {
        struct cubby_entry_info *infos;
        size_t count;

        if (copy_shard(&memory->shards[i], &infos, &count) < 0)
            return error_no_memory(error);
        for (size_t j = 0; j < count && result == 0; j++)
            result = visit(&infos[j], context);
        free(infos);
    }
    return result;
}

static int memory_stats(struct cubby_backend *backend, struct cubby_store_stats *ret_stats,
                        struct cubby_error *error) {
    struct memory_backend *memory = (struct memory_backend *)backend;

    (void)error;
    *ret_stats = (struct cubby_store_stats){.max_size = memory->max_size};
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &memory->shards[i];

        pthread_mutex_lock(&shard->lock);
        for (size_t kind = 0; kind < CUBBY_ENTRY_KINDS; kind++)
            ret_stats->entries[kind] += shard->entries[kind];
        pthread_mutex_unlock(&shard->lock);
    }
    ret_stats->bytes = atomic_load_explicit(&memory->bytes, memory_order_relaxed);
    pthread_mutex_lock(&memory->counters_lock);
    ret_stats->counters = memory->counters;
    pthread_mutex_unlock(&memory->counters_lock);
    return 0;
}

static int memory_clear(struct cubby_backend *backend, struct cubby_error *error) {
    struct memory_backend *memory = (struct memory_backend *)backend;

    (void)error;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &memory->shards[i];

        pthread_mutex_lock(&shard->lock);
        while (shard->oldest)
            cubby_blob_unref(
                take_out(memory, shard, find(shard, shard->oldest->kind, &shard->oldest->key)));
        pthread_mutex_unlock(&shard->lock);
    }
    return 0;
}

static int memory_count(struct cubby_backend *backend, const struct cubby_counters *delta,
                        struct cubby_error *error) {
    struct memory_backend *memory = (struct memory_backend *)backend;
    struct cubby_counters *sum = &memory->counters;

    (void)error;
    pthread_mutex_lock(&memory->counters_lock);
    counters_add(sum, delta);
    pthread_mutex_unlock(&memory->counters_lock);
    return 0;
}

static int memory_zero(struct cubby_backend *backend, struct cubby_error *error) {
    struct memory_backend *memory = (struct memory_backend *)backend;

    (void)error;
    pthread_mutex_lock(&memory->counters_lock);
    memory->counters = (struct cubby_counters){0};
    pthread_mutex_unlock(&memory->counters_lock);
    return 0;
}

static void memory_close(struct cubby_backend *backend) {
    struct memory_backend *memory = (struct memory_backend *)backend;

    fork_guard_remove(&memory->guard);
    memory_clear(backend, NULL);
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_destroy(&memory->shards[i].lock);
        free(memory->shards[i].buckets);
    }
    pthread_mutex_destroy(&memory->counters_lock);
    free(memory);
}

static const struct cubby_backend_ops MEMORY_OPS = {
    .abi = CUBBY_BACKEND_ABI,
    .flags = CUBBY_BACKEND_IN_PROCESS,
    .name = "memory",
    .get = memory_get,
    .peek = memory_peek,
    .put = memory_put,
    .remove = memory_remove,
    .iterate = memory_iterate,
    .stats = memory_stats,
    .clear = memory_clear,
    .count = memory_count,
    .zero = memory_zero,
    .close = memory_close,
};

int memory_backend_open(const struct backend_params *params, struct cubby_backend **ret_backend,
                        struct cubby_error *error) {
    struct memory_backend *memory = aligned_alloc(64, sizeof(*memory));

    if (!memory)
        return error_no_memory(error);
    memset(memory, 0, sizeof(*memory));
    memory->backend.ops = &MEMORY_OPS;
    memory->max_size = params->max_size ? params->max_size : MEMORY_DEFAULT_SIZE;
    pthread_mutex_init(&memory->counters_lock, NULL);
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &memory->shards[i];

        pthread_mutex_init(&shard->lock, NULL);
        shard->bucket_count = FIRST_BUCKETS;
        shard->buckets = calloc(FIRST_BUCKETS, sizeof(*shard->buckets));
        if (!shard->buckets) {
            shard->bucket_count = 0;
            memory_close(&memory->backend);
            return error_no_memory(error);
        }
    }
    memory->guard = (struct fork_guard){hold_locks, release_locks, memory, FORK_LEVEL_STORE, NULL};
    fork_guard_add(&memory->guard);
    *ret_backend = &memory->backend;
    return 0;
}
