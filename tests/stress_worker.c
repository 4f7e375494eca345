/* SPDX-License-Identifier: Apache-2.0 */
#include "stress.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The largest payload, and one in how many is as large as that. */
#define SIZE_LIMIT 6000
#define LARGE_SIZE 40000
#define LARGE_ONE_IN 64

/* So many of each sort are told in words. */
#define TOLD 20

/* Of an own key, as its thread knows it. */
enum knowledge { UNKNOWN, PRESENT, ABSENT };

struct worker {
    const struct stress_job *job;
    struct cubby_cache *cache;
    unsigned index, count; /* this thread, and how many there are in all processes */
    uint64_t state;        /* of its random numbers */
    unsigned char known[STRESS_KEYS];
    uint64_t versions[STRESS_KEYS];
};

/* ---- Telling ----------------------------------------------------------------------------- */

void stress_tell(const struct stress_job *job, enum stress_event event, const char *format, ...) {
    char line[512];
    va_list arguments;

    if (atomic_fetch_add(&job->board->events[event], 1) >= TOLD)
        return;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    dprintf(STDERR_FILENO, "%s: process %u: %s\n", job->test->name, job->slot, line);
}

static void count(const struct worker *worker, enum stress_event event) {
    atomic_fetch_add_explicit(&worker->job->board->events[event], 1, memory_order_relaxed);
}

/* splitmix64, by Sebastiano Vigna (public domain). */
uint64_t stress_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* ---- Payloads ---------------------------------------------------------------------------- */

struct head {
    uint64_t number, version;
};

static size_t size_of(const struct head *head) {
    uint64_t state = head->number * 31 + head->version, random = stress_random(&state);

    if (random % LARGE_ONE_IN == 0)
        return LARGE_SIZE;
    return sizeof(*head) + (random >> 8) % SIZE_LIMIT;
}

/* Half of each byte is 0, so that there is something to compress. */
static uint64_t word_of(uint64_t *state) {
    return stress_random(state) & 0x0f0f0f0f0f0f0f0fu;
}

static void fill(unsigned char *bytes, const struct head *head, size_t size) {
    uint64_t state = head->number << 32 ^ head->version;

    memcpy(bytes, head, sizeof(*head));
    for (size_t at = sizeof(*head); at < size; at += sizeof(uint64_t)) {
        uint64_t word = word_of(&state);

        memcpy(bytes + at, &word, size - at < sizeof(word) ? size - at : sizeof(word));
    }
}

/* True if the bytes are a whole payload of that key; its version. */
static bool is_payload(const unsigned char *bytes, size_t size, unsigned number,
                       uint64_t *ret_version) {
    struct head head;
    uint64_t state;

    if (size < sizeof(head))
        return false;
    memcpy(&head, bytes, sizeof(head));
    if (head.number != number || size != size_of(&head))
        return false;
    state = head.number << 32 ^ head.version;
    for (size_t at = sizeof(head); at < size; at += sizeof(uint64_t)) {
        uint64_t word = word_of(&state);

        if (memcmp(bytes + at, &word, size - at < sizeof(word) ? size - at : sizeof(word)) != 0)
            return false;
    }
    *ret_version = head.version;
    return true;
}

/* ---- Sorts of keys ----------------------------------------------------------------------- */

static bool is_kept(unsigned number) {
    return number % 4 < 2;
}

static bool is_changing(unsigned number) {
    return number % 4 == 2;
}

static bool is_own(const struct worker *worker, unsigned number) {
    return number % 4 == 3 && number / 4 % worker->count == worker->index;
}

/* A key that this thread may touch. */
static unsigned choose_key(struct worker *worker) {
    unsigned number;

    do
        number = (unsigned)(stress_random(&worker->state) % worker->job->test->keys);
    while (number % 4 == 3 && !is_own(worker, number));
    return number;
}

/* ---- What is done ------------------------------------------------------------------------ */

/* Looks at what was got for a key. */
static void check_object(struct worker *worker, unsigned number,
                         const struct cubby_object *object) {
    uint64_t version;

    if (!is_payload(cubby_object_data(object), cubby_object_size(object), number, &version))
        stress_tell(worker->job, STRESS_WRONG, "key %u gave %zu bytes that are not its own", number,
                    cubby_object_size(object));
    else if (is_own(worker, number) && worker->known[number] == ABSENT)
        stress_tell(worker->job, STRESS_WRONG, "key %u gave an entry that was removed", number);
    else if (is_own(worker, number) && worker->known[number] == PRESENT &&
             worker->versions[number] != version)
        stress_tell(worker->job, STRESS_WRONG, "key %u gave an older version", number);
}

/* True if the key has to be found by a look-up that begins now. */
static bool has_to_be_there(const struct worker *worker, unsigned number) {
    if (worker->job->test->cap > 0)
        return false;
    if (is_kept(number))
        return atomic_load(&worker->job->board->stored[number]);
    return is_own(worker, number) && worker->known[number] == PRESENT;
}

static void get(struct worker *worker, unsigned number) {
    bool wanted = has_to_be_there(worker, number);
    struct cubby_object *object;

    if (cubby_cache_get(worker->cache, CUBBY_ENTRY_USER, &worker->job->keys[number], &object, NULL,
                        NULL) < 0) {
        count(worker, STRESS_MISS);
        if (wanted)
            stress_tell(worker->job, STRESS_LOST, "key %u was stored and is not there", number);
        return;
    }
    count(worker, STRESS_HIT);
    check_object(worker, number, object);
    cubby_object_unref(object);
}

static void put(struct worker *worker, unsigned number) {
    struct head head = {number, stress_random(&worker->state)};
    struct cubby_error error = CUBBY_ERROR_INIT;
    size_t size = size_of(&head);
    unsigned char *bytes = malloc(size);

    if (!bytes)
        return;
    fill(bytes, &head, size);
    worker->known[number] = UNKNOWN;
    if (cubby_cache_put(worker->cache, &worker->job->keys[number], bytes, size, &error) < 0) {
        stress_tell(worker->job, STRESS_PROBLEM, "put: %s", error.message);
    } else {
        worker->known[number] = PRESENT;
        worker->versions[number] = head.version;
        if (is_kept(number))
            atomic_store(&worker->job->board->stored[number], true);
    }
    count(worker, STRESS_PUT);
    cubby_error_clear(&error);
    free(bytes);
}

static int make(void *context, struct cubby_blob **ret_blob, struct cubby_error *error) {
    const struct head *head = context;
    size_t size = size_of(head);

    (void)error;
    *ret_blob = cubby_blob_new(size);
    if (!*ret_blob)
        return CUBBY_ERR_NO_MEMORY;
    fill(cubby_blob_writable(*ret_blob), head, size);
    return 0;
}

static void get_or_make(struct worker *worker, unsigned number) {
    struct head head = {number, stress_random(&worker->state)};
    struct cubby_outcome outcome = {0};
    struct cubby_error error = CUBBY_ERROR_INIT;
    bool wanted = has_to_be_there(worker, number);
    struct cubby_object *object;

    if (is_own(worker, number))
        return;
    if (cubby_cache_get_or_make(worker->cache, &worker->job->keys[number], make, &head, &object,
                                &outcome, &error) < 0) {
        stress_tell(worker->job, STRESS_PROBLEM, "get or make: %s", error.message);
    } else {
        check_object(worker, number, object);
        if (wanted && outcome.kind != CUBBY_OUTCOME_HIT)
            stress_tell(worker->job, STRESS_LOST, "key %u was stored and was made anew", number);
        cubby_object_unref(object);
    }
    count(worker, STRESS_MAKE);
    cubby_error_clear(&error);
}

static void remove_entry(struct worker *worker, unsigned number) {
    int result;

    if (!is_changing(number) && !is_own(worker, number))
        return;
    result = cubby_cache_remove(worker->cache, CUBBY_ENTRY_USER, &worker->job->keys[number], NULL);
    if (result < 0 && result != CUBBY_ERR_NOT_FOUND)
        stress_tell(worker->job, STRESS_PROBLEM, "remove: %d", result);
    else if (result < 0 && is_own(worker, number) && has_to_be_there(worker, number))
        stress_tell(worker->job, STRESS_LOST, "key %u was stored and is not there to be removed",
                    number);
    worker->known[number] = ABSENT;
    count(worker, STRESS_REMOVE);
}

static int pass_by(const char *tier, const struct cubby_entry_info *info, void *context) {
    (void)tier;
    (void)info;
    (void)context;
    return 0;
}

static void walk(struct worker *worker) {
    struct cubby_store_stats stats;

    if (cubby_cache_iterate(worker->cache, pass_by, NULL, NULL) < 0 ||
        cubby_cache_tier_stats(worker->cache, 0, &stats, NULL) < 0)
        stress_tell(worker->job, STRESS_PROBLEM, "a walk failed");
    count(worker, STRESS_WALK);
}

static int tell_damage(const struct cubby_finding *finding, void *context) {
    if (finding->damage)
        stress_tell(context, STRESS_WRONG, "verify: %s", finding->problem);
    return 0;
}

static void verify(struct cubby_cache *cache, const struct stress_job *job) {
    struct cubby_error error = CUBBY_ERROR_INIT;

    if (cubby_cache_verify(cache, 0, tell_damage, (void *)job, NULL, &error) < 0)
        stress_tell(job, STRESS_PROBLEM, "verify: %s", error.message);
    cubby_error_clear(&error);
}

/* Half of the cap; without one, a limit that nothing comes near, so that all is looked at. */
static void trim(struct worker *worker) {
    uint64_t cap = worker->job->test->cap;
    const struct cubby_trim_limits limits = {.max_size = cap > 0 ? cap / 4 * 3 : (uint64_t)1 << 50};
    struct cubby_error error = CUBBY_ERROR_INIT;

    if (cubby_cache_trim(worker->cache, &limits, NULL, &error) < 0)
        stress_tell(worker->job, STRESS_PROBLEM, "trim: %s", error.message);
    count(worker, STRESS_TRIM);
    cubby_error_clear(&error);
}

static void clear(struct worker *worker) {
    if (worker->job->test->cap == 0)
        return;
    if (cubby_cache_clear(worker->cache, NULL) < 0)
        stress_tell(worker->job, STRESS_PROBLEM, "the store could not be cleared");
    count(worker, STRESS_CLEAR);
}

static struct cubby_cache *open_store(const struct stress_job *job) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache = NULL;
    const struct cubby_error *problem;

    if (cubby_cache_open(job->spec, &cache, &error) < 0)
        stress_tell(job, STRESS_PROBLEM, "open: %s", error.message);
    problem = cache ? cubby_cache_problem(cache, 0) : NULL;
    if (problem)
        stress_tell(job, STRESS_PROBLEM, "open: %s", problem->message);
    cubby_error_clear(&error);
    return cache;
}

/* A second cache over the same stores: what it gets, it gets from those that are shared. */
static void open_another(struct worker *worker) {
    struct cubby_cache *first = worker->cache, *second = open_store(worker->job);

    if (second) {
        worker->cache = second;
        get(worker, choose_key(worker));
        worker->cache = first;
    }
    cubby_cache_unref(second);
    count(worker, STRESS_OPEN);
}

static void flush(struct worker *worker) {
    struct cubby_error error = CUBBY_ERROR_INIT;

    if (cubby_cache_flush(worker->cache, &error) < 0)
        stress_tell(worker->job, STRESS_PROBLEM, "flush: %s", error.message);
    count(worker, STRESS_FLUSH);
    cubby_error_clear(&error);
}

static void act(struct worker *worker) {
    unsigned number = choose_key(worker), dice = (unsigned)(stress_random(&worker->state) % 4000);

    if (dice < 2100)
        get(worker, number);
    else if (dice < 3350)
        put(worker, number);
    else if (dice < 3600)
        get_or_make(worker, number);
    else if (dice < 3950)
        remove_entry(worker, number);
    else if (dice < 3970)
        flush(worker);
    else if (dice < 3982)
        open_another(worker);
    else if (dice < 3990)
        walk(worker);
    else if (dice < 3993)
        trim(worker);
    else if (dice < 3994)
        clear(worker);
    else {
        verify(worker->cache, worker->job);
        count(worker, STRESS_VERIFY);
    }
}

/* ---- Threads and the end ----------------------------------------------------------------- */

static void *run_thread(void *context) {
    struct worker *worker = context;

    while (!atomic_load_explicit(&worker->job->board->end, memory_order_relaxed))
        act(worker);
    return NULL;
}

int stress_work(const struct stress_job *job) {
    struct worker *workers = calloc(job->threads, sizeof(*workers));
    struct cubby_cache *cache = open_store(job);
    pthread_t threads[STRESS_THREADS];
    unsigned started = 0;
    uint64_t state = job->seed;

    while (workers && cache && started < job->threads) {
        struct worker *worker = &workers[started];

        *worker = (struct worker){.job = job,
                                  .cache = cache,
                                  .index = job->slot * job->threads + started,
                                  .count = job->processes * job->threads,
                                  .state = stress_random(&state)};
        if (pthread_create(&threads[started], NULL, run_thread, worker) != 0)
            break;
        started++;
    }
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    cubby_cache_unref(cache);
    free(workers);
    return started == job->threads ? EXIT_SUCCESS : EXIT_FAILURE;
}

int stress_check_all(const struct stress_job *job) {
    struct worker worker = {.job = job, .cache = open_store(job), .count = 1};

    if (!worker.cache)
        return EXIT_FAILURE;
    for (unsigned number = 0; number < job->test->keys; number++) {
        worker.known[number] = UNKNOWN;
        get(&worker, number);
    }
    verify(worker.cache, job);
    cubby_cache_unref(worker.cache);
    return EXIT_SUCCESS;
}
