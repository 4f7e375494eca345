/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/flight.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cache/cache.h"
#include "cache/state.h"
#include "object.h"
#include "os/time.h"
#include "util/error.h"
#include "util/log.h"

/* One entry on its way. */
struct flight {
    struct flight *next;
    enum cubby_entry_kind kind;
    struct cubby_key key;
    const struct cubby_cache *cache; /* of the pilot; not to be used by others */
    pthread_t pilot;                 /* who makes the entry */
    unsigned references;             /* the pilot and those who wait */
    bool has_landed;
    struct cubby_backend *tier;  /* whose lock is held, */
    struct cubby_key_lock *lock; /* this one; NULL for none */

    /* Set when it lands, where those who wait may have it. */
    bool shares;
    bool is_kept;             /* and may be kept by others */
    struct cubby_blob *blob;  /* of a success */
    struct cubby_error error; /* of a failure */
    char *name;               /* what that calls the program */
};

/* One who waits, on that thread's stack. */
struct flight_waiter {
    struct flight_waiter *next;
    pthread_t thread;
    const struct flight *flight;
};

/* ---- The table, across forks ------------------------------------------------------------- */

static void init_landed(struct flight_table *table) {
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&table->landed, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void hold_for_fork(void *context) {
    pthread_mutex_lock(&((struct flight_table *)context)->lock);
}

/* Of all threads only the one that forked is in the child, so only its flights go on there. */
static void keep_own_flights(struct flight_table *table) {
    struct flight **at = &table->flights;

    while (*at) {
        struct flight *flight = *at;

        flight->references = 1;
        if (pthread_equal(flight->pilot, pthread_self())) {
            at = &flight->next;
            continue;
        }
        *at = flight->next;
        flight->next = table->orphans;
        table->orphans = flight;
    }
    table->waiters = NULL;
    init_landed(table); /* those who wait did not come along */
}

static void release_after_fork(void *context, bool in_child) {
    struct flight_table *table = context;

    if (in_child)
        keep_own_flights(table);
    pthread_mutex_unlock(&table->lock);
}

void flight_table_init(struct flight_table *table) {
    pthread_mutex_init(&table->lock, NULL);
    init_landed(table);
    table->timeout_ns = FLIGHT_TIMEOUT_SECONDS * UINT64_C(1000000000);
    table->guard =
        (struct fork_guard){hold_for_fork, release_after_fork, table, FORK_LEVEL_FLIGHT, NULL};
    fork_guard_add(&table->guard);
}

static void unlock_store(struct flight *flight) {
    if (flight->lock)
        flight->tier->ops->unlock_key(flight->tier, flight->lock);
    flight->lock = NULL;
}

static void flight_free(struct flight *flight) {
    cubby_blob_unref(flight->blob);
    cubby_error_clear(&flight->error);
    free(flight->name);
    free(flight);
}

void flight_table_free(struct flight_table *table) {
    fork_guard_remove(&table->guard);
    while (table->orphans) {
        struct flight *orphan = table->orphans;

        table->orphans = orphan->next;
        unlock_store(orphan);
        flight_free(orphan);
    }
    pthread_cond_destroy(&table->landed);
    pthread_mutex_destroy(&table->lock);
}

/* ---- In the table, its lock held --------------------------------------------------------- */

/* True if waiting for the flight may help: it makes the same, and what comes of it can be taken
 * over or will be in a store of this cache as well. */
static bool helps(const struct flight *flight, const struct cubby_cache *cache,
                  const struct flight_task *task) {
    const size_t shared = cache->lower ? cache->tier_count - cache->own_count : cache->tier_count;

    return flight->kind == task->kind &&
           memcmp(&flight->key, &task->key, sizeof(flight->key)) == 0 &&
           (task->is_whole || flight->cache == cache || shared > 0);
}

static struct flight *find(const struct cubby_cache *cache, const struct flight_task *task) {
    struct flight *flight = cache->flights->flights;

    while (flight && !helps(flight, cache, task))
        flight = flight->next;
    return flight;
}

static struct flight *start(struct cubby_cache *cache, const struct flight_task *task) {
    struct flight_table *table = cache->flights;
    struct flight *flight = calloc(1, sizeof(*flight));

    if (!flight)
        return NULL;
    flight->cache = cache;
    flight->kind = task->kind;
    flight->key = task->key;
    flight->pilot = pthread_self();
    flight->references = 1;
    flight->next = table->flights;
    table->flights = flight;
    return flight;
}

/* What a thread waits for; NULL where it does not. */
static const struct flight *waits_for(const struct flight_table *table, pthread_t thread) {
    const struct flight_waiter *waiter = table->waiters;

    while (waiter && !pthread_equal(waiter->thread, thread))
        waiter = waiter->next;
    return waiter ? waiter->flight : NULL;
}

/* True if the flight cannot land before this thread goes on: its pilot is this thread, or waits for
 * one of whom the same is true. */
static bool depends_on_me(const struct flight_table *table, const struct flight *flight) {
    while (flight && !pthread_equal(flight->pilot, pthread_self()))
        flight = waits_for(table, flight->pilot);
    return flight != NULL;
}

static void drop(struct flight *flight) {
    if (--flight->references == 0)
        flight_free(flight);
}

/* Waits until it lands; false where it does not in time. */
static bool await(struct flight_table *table, const struct flight *flight, uint64_t deadline_ns) {
    struct flight_waiter waiter = {table->waiters, pthread_self(), flight}, **at = &table->waiters;
    const struct timespec until = {(time_t)(deadline_ns / 1000000000),
                                   (long)(deadline_ns % 1000000000)};
    int code = 0;

    /* cppcheck-suppress autoVariables ; it is taken out of the list below */
    table->waiters = &waiter;
    while (!flight->has_landed && code == 0)
        code = pthread_cond_timedwait(&table->landed, &table->lock, &until);
    while (*at != &waiter)
        at = &(*at)->next;
    *at = waiter.next;
    return flight->has_landed;
}

/* ---- As a passenger ---------------------------------------------------------------------- */

/* Takes over what the pilot made. Returns 1 where there is nothing that could be taken over. */
static int share(const struct flight *flight, const struct flight_task *task,
                 struct cubby_object **ret_object, struct cubby_error *error) {
    struct cubby_error problem = CUBBY_ERROR_INIT;
    struct cubby_object *object;

    if (!flight->shares || !task->is_whole)
        return 1;
    if (!flight->blob) {
        error_copy(&problem, &flight->error);
        error_rename_source(&problem, flight->name ? flight->name : "", task->name);
        error_move(error, &problem);
        return flight->error.code;
    }
    /* The compiler that was loaded may have been another than the key stands for. */
    if (object_from_blob(flight->blob, task->kind, &task->key, false, &object, NULL) < 0)
        return 1;
    if (*task->name && object_rename_source(object, task->name) < 0) {
        cubby_object_unref(object);
        return 1;
    }
    *ret_object = object;
    return 0;
}

/* Waits for another thread, the table's lock held, which is released. Returns what came of it, or 1
 * where the entry is to be made after all. */
static int ride(struct cubby_cache *cache, struct flight *flight, const struct flight_task *task,
                uint64_t deadline_ns, struct cubby_object **ret_object, struct cubby_error *error) {
    struct flight_table *table = cache->flights;
    bool has_landed, lacks = false;
    int result = 1;

    flight->references++;
    has_landed = await(table, flight, deadline_ns);
    if (has_landed)
        result = share(flight, task, ret_object, error);
    if (result == 0)
        lacks = flight->is_kept && flight->cache != cache;
    drop(flight);
    pthread_mutex_unlock(&table->lock);
    if (lacks)
        cache_fill(cache, task->kind, &task->key, object_blob(*ret_object));
    if (!has_landed)
        log_line(CUBBY_LOG_WARN, "another thread is still making the same entry: it is made here, "
                                 "too");
    if (result == 1 && task->look_up(task->context, ret_object) == 0)
        return 0;
    return result;
}

/* ---- As the pilot ------------------------------------------------------------------------ */

/* Takes the lock of the last store that has locks, so that all who share that store meet there.
 * Without one the entry is made all the same. */
static void lock_store(struct cubby_cache *cache, struct flight *flight, uint64_t deadline_ns) {
    for (size_t i = cache->tier_count; i > 0; i--) {
        struct cubby_backend *tier = cache->tiers[i - 1];
        struct cubby_error problem = CUBBY_ERROR_INIT;
        struct cubby_key_lock *lock = NULL;
        uint64_t now = monotonic_ns();
        int result;

        if (!tier->ops->lock_key || !tier->ops->unlock_key)
            continue;
        result = tier->ops->lock_key(tier, flight->kind, &flight->key,
                                     now < deadline_ns ? deadline_ns - now : 0, &lock, &problem);
        if (result == 0) {
            pthread_mutex_lock(&cache->flights->lock); /* a fork sees both or neither */
            flight->tier = tier;
            flight->lock = lock;
            pthread_mutex_unlock(&cache->flights->lock);
        } else if (result != CUBBY_ERR_UNSUPPORTED) {
            if (result != CUBBY_ERR_BUSY)
                cache_count(cache, EVENT_ERROR, 1);
            log_line(CUBBY_LOG_WARN, "%s: %s: it is made here, too", tier->ops->name,
                     problem.message);
        }
        cubby_error_clear(&problem);
        if (result != CUBBY_ERR_UNSUPPORTED) /* a read-only tier is not where processes meet */
            return;
    }
}

/* Ends the flight; those who wait get what came of it. */
static void land(struct flight_table *table, struct flight *flight, const struct flight_task *task,
                 int result, const struct cubby_object *object, bool is_kept,
                 const struct cubby_error *error) {
    struct flight **at = &table->flights;

    unlock_store(flight);
    pthread_mutex_lock(&table->lock);
    while (*at != flight)
        at = &(*at)->next;
    *at = flight->next;
    if (task->is_whole && flight->references > 1) {
        flight->shares = true;
        flight->is_kept = is_kept;
        if (result == 0) {
            flight->blob = cubby_blob_ref(object_blob(object));
        } else {
            error_copy(&flight->error, error);
            flight->error.code = result;
            flight->name = strdup(task->name);
        }
    }
    flight->has_landed = true;
    pthread_cond_broadcast(&table->landed);
    drop(flight);
    pthread_mutex_unlock(&table->lock);
}

static int fly(struct cubby_cache *cache, struct flight *flight, const struct flight_task *task,
               uint64_t deadline_ns, struct cubby_object **ret_object, bool *ret_waited,
               struct cubby_error *error) {
    struct cubby_error problem = CUBBY_ERROR_INIT;
    struct cubby_object *object = NULL;
    bool is_kept;
    int result;

    lock_store(cache, flight, deadline_ns);
    /* Another may have made it since this request looked. */
    result = task->look_up(task->context, &object);
    *ret_waited = is_kept = result == 0;
    if (result < 0)
        result = task->make(task->context, &object, &is_kept, &problem);
    land(cache->flights, flight, task, result, object, is_kept, &problem);
    error_move(error, &problem);
    if (result == 0)
        *ret_object = object;
    return result;
}

int flight_run(struct cubby_cache *cache, const struct flight_task *task,
               struct cubby_object **ret_object, bool *ret_waited, struct cubby_error *error) {
    struct flight_table *table = cache->flights;
    uint64_t deadline_ns = monotonic_ns() + table->timeout_ns;
    struct flight *flight, *own = NULL;
    bool is_kept = false;
    int result = 1;

    *ret_waited = false;
    if (table->timeout_ns == 0 || cache->tier_count == 0)
        return task->make(task->context, ret_object, &is_kept, error);
    pthread_mutex_lock(&table->lock);
    flight = find(cache, task);
    if (flight && !depends_on_me(table, flight)) {
        result = ride(cache, flight, task, deadline_ns, ret_object, error);
        *ret_waited = result != 1;
    } else {
        own = flight ? NULL : start(cache, task);
        pthread_mutex_unlock(&table->lock);
    }
    if (own)
        return fly(cache, own, task, deadline_ns, ret_object, ret_waited, error);
    return result == 1 ? task->make(task->context, ret_object, &is_kept, error) : result;
}
