/* SPDX-License-Identifier: Apache-2.0 */
/* What is particular to the memory store: its cap, the order of use, and references. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store_tools.h"

#define KEYS 64

static struct cubby_backend *open_memory(uint64_t max_size) {
    return store_open(memory_backend_open, NULL, max_size);
}

/* The numbers of the first keys that share the lock and list of use of key_of(0). */
static void same_shard(unsigned *ret_numbers, size_t count) {
    uint8_t first = key_of(0).bytes[0];
    unsigned number = 0;

    for (size_t i = 0; i < count; number++) {
        if (key_of(number).bytes[0] == first)
            ret_numbers[i++] = number;
    }
}

START_TEST(test_default_cap) {
    struct cubby_backend *memory = open_memory(0);

    ck_assert_uint_eq(store_stats(memory).max_size, MEMORY_DEFAULT_SIZE);
    store_close(memory);
}
END_TEST

START_TEST(test_cap_is_never_passed) {
    struct cubby_backend *memory = open_memory(100000);

    for (unsigned i = 0; i < 500; i++) {
        store_put(memory, i, i, 1000);
        store_expect(memory, i, i, 1000);
        ck_assert_uint_le(store_stats(memory).bytes, 100000);
    }
    /* Filled to the last entry, and every eviction counted. */
    ck_assert_uint_eq(store_stats(memory).bytes, 100000);
    ck_assert_uint_eq(store_stats(memory).counters.evictions, 400);
    store_close(memory);
}
END_TEST

START_TEST(test_least_recently_used_goes_first) {
    struct cubby_backend *memory = open_memory(4000);
    unsigned numbers[6];

    same_shard(numbers, 6);
    for (unsigned i = 0; i < 4; i++)
        store_put(memory, numbers[i], i, 1000);
    store_expect(memory, numbers[0], 0, 1000); /* now 1 is the least recently used, then 2 */
    store_put(memory, numbers[4], 4, 1000);
    ck_assert_int_eq(store_get_code(memory, numbers[1]), CUBBY_ERR_NOT_FOUND);
    store_expect(memory, numbers[2], 2, 1000); /* now 3, then 0 */
    store_put(memory, numbers[5], 5, 2000);
    ck_assert_int_eq(store_get_code(memory, numbers[3]), CUBBY_ERR_NOT_FOUND);
    ck_assert_int_eq(store_get_code(memory, numbers[0]), CUBBY_ERR_NOT_FOUND);
    store_expect(memory, numbers[4], 4, 1000);
    store_expect(memory, numbers[2], 2, 1000);
    store_expect(memory, numbers[5], 5, 2000);
    store_close(memory);
}
END_TEST

START_TEST(test_entry_of_the_cap) {
    struct cubby_backend *memory = open_memory(5000);

    for (unsigned i = 0; i < 5; i++)
        store_put(memory, i, i, 1000);
    store_put(memory, 9, 9, 5000);
    store_expect(memory, 9, 9, 5000);
    ck_assert_uint_eq(store_walk(memory), 1);
    ck_assert_uint_eq(store_stats(memory).bytes, 5000);
    store_close(memory);
}
END_TEST

START_TEST(test_entry_above_the_cap) {
    struct cubby_backend *memory = open_memory(5000);

    for (unsigned i = 0; i < 5; i++)
        store_put(memory, i, i, 1000);
    store_put(memory, 9, 9, 5001);
    ck_assert_int_eq(store_get_code(memory, 9), CUBBY_ERR_NOT_FOUND);
    for (unsigned i = 0; i < 5; i++)
        store_expect(memory, i, i, 1000);
    /* What it would have replaced is out of date and must not be served. */
    store_put(memory, 3, 9, 5001);
    ck_assert_int_eq(store_get_code(memory, 3), CUBBY_ERR_NOT_FOUND);
    ck_assert_uint_eq(store_stats(memory).bytes, 4000);
    store_close(memory);
}
END_TEST

/* One blob under many keys: the entry just written is kept, not all that share its bytes. */
START_TEST(test_one_blob_under_many_keys) {
    struct cubby_backend *memory = open_memory(1000);
    struct cubby_blob *blob = blob_of(1, 1000);
    unsigned numbers[10];

    same_shard(numbers, 10);
    for (unsigned i = 0; i < 10; i++) {
        struct cubby_key key = key_of(numbers[i]);

        ck_assert_int_eq(memory->ops->put(memory, CUBBY_ENTRY_OBJECT, &key, blob, NULL), 0);
        store_expect(memory, numbers[i], 1, 1000);
        ck_assert_uint_le(store_stats(memory).bytes, 1000);
    }
    cubby_blob_unref(blob);
    store_close(memory);
}
END_TEST

START_TEST(test_a_hit_copies_nothing) {
    struct cubby_backend *memory = open_memory(0);
    struct cubby_blob *blob = blob_of(1, 1000), *found;
    struct cubby_key key = key_of(1);

    ck_assert_int_eq(memory->ops->put(memory, CUBBY_ENTRY_OBJECT, &key, blob, NULL), 0);
    ck_assert_int_eq(memory->ops->get(memory, CUBBY_ENTRY_OBJECT, &key, &found, NULL), 0);
    ck_assert_ptr_eq(found, blob);
    cubby_blob_unref(found);
    cubby_blob_unref(blob);
    store_close(memory);
}
END_TEST

START_TEST(test_blob_outlives_eviction) {
    struct cubby_backend *memory = open_memory(2000);
    struct cubby_key key = key_of(1);
    struct cubby_blob *blob;

    store_put(memory, 1, 1, 1000);
    ck_assert_int_eq(memory->ops->get(memory, CUBBY_ENTRY_OBJECT, &key, &blob, NULL), 0);
    for (unsigned i = 2; i < 50; i++)
        store_put(memory, i, i, 1000);
    ck_assert_int_eq(store_get_code(memory, 1), CUBBY_ERR_NOT_FOUND);
    store_close(memory);
    ck_assert(is_blob_of(cubby_blob_data(blob), 1000, 1));
    cubby_blob_unref(blob);
}
END_TEST

static int note_use(const struct cubby_entry_info *info, void *context) {
    *(int64_t *)context = info->used_at;
    return 0;
}

/* Trimming by age goes by what iterate shows, so a hit must move it, and a look
 * must not. */
START_TEST(test_a_hit_is_a_use) {
    struct cubby_backend *memory = open_memory(0);
    const struct timespec while_ = {1, 100000000};
    int64_t put_at, got_at;

    store_put(memory, 1, 1, 10);
    ck_assert_int_eq(memory->ops->iterate(memory, note_use, &put_at, NULL), 0);
    nanosleep(&while_, NULL);
    store_peek(memory, 1);
    ck_assert_int_eq(memory->ops->iterate(memory, note_use, &got_at, NULL), 0);
    ck_assert_int_eq(got_at, put_at);
    store_expect(memory, 1, 1, 10);
    ck_assert_int_eq(memory->ops->iterate(memory, note_use, &got_at, NULL), 0);
    ck_assert_int_gt(got_at, put_at);
    store_close(memory);
}
END_TEST

/* ---- Threads ----------------------------------------------------------------------------- */

struct worker {
    struct cubby_backend *memory;
    unsigned seed, hits, wrong;
};

static void *work(void *context) {
    struct worker *worker = context;

    for (unsigned i = 0; i < 3000; i++) {
        unsigned number = (i * 13 + worker->seed * 29) % KEYS;
        struct cubby_key key = key_of(number);
        struct cubby_blob *blob;

        if (i % 5 == worker->seed % 5) {
            store_put(worker->memory, number, number, 200 + number);
        } else if (i % 701 == 0) {
            worker->memory->ops->clear(worker->memory, NULL);
        } else if (worker->memory->ops->get(worker->memory, CUBBY_ENTRY_OBJECT, &key, &blob,
                                            NULL) == 0) {
            worker->hits++;
            worker->wrong += cubby_blob_size(blob) != 200 + number ||
                             !is_blob_of(cubby_blob_data(blob), 200 + number, number);
            cubby_blob_unref(blob);
        }
    }
    return NULL;
}

START_TEST(test_threads_at_the_cap) {
    struct cubby_backend *memory = open_memory(5000);
    struct worker workers[6];
    pthread_t threads[6];
    unsigned hits = 0;

    for (unsigned i = 0; i < 6; i++) {
        workers[i] = (struct worker){memory, i, 0, 0};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < 6; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_uint_eq(workers[i].wrong, 0);
        hits += workers[i].hits;
    }
    ck_assert_uint_gt(hits, 0);
    ck_assert_uint_le(store_stats(memory).bytes, 5000);
    ck_assert_uint_eq(store_walk(memory), store_stats(memory).entries[CUBBY_ENTRY_OBJECT]);
    memory->ops->clear(memory, NULL);
    ck_assert_uint_eq(store_stats(memory).bytes, 0);
    store_close(memory);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("memory");
    TCase *tcase = tcase_create("all");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_default_cap);
    tcase_add_test(tcase, test_cap_is_never_passed);
    tcase_add_test(tcase, test_least_recently_used_goes_first);
    tcase_add_test(tcase, test_entry_of_the_cap);
    tcase_add_test(tcase, test_entry_above_the_cap);
    tcase_add_test(tcase, test_one_blob_under_many_keys);
    tcase_add_test(tcase, test_a_hit_copies_nothing);
    tcase_add_test(tcase, test_blob_outlives_eviction);
    tcase_add_test(tcase, test_a_hit_is_a_use);
    tcase_add_test(tcase, test_threads_at_the_cap);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
