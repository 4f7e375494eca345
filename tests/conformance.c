/* SPDX-License-Identifier: Apache-2.0 */
#include "conformance.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "entry/entry.h"
#include "harness.h"

static const struct subject *subjects;

#define OBJECT CUBBY_ENTRY_OBJECT

/* ---- Helpers ----------------------------------------------------------------------------- */

static struct cubby_backend *open_subject(const struct subject *subject, const char *folder,
                                          uint64_t max_size) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_backend *backend = NULL;

    ck_ok(subject->open(folder, max_size, &backend, &error), &error);
    return backend;
}

/* The value of a seed as this subject wants it. */
static struct cubby_blob *make_value(const struct subject *subject, enum cubby_entry_kind kind,
                                     const struct cubby_key *key, unsigned seed, size_t size) {
    struct cubby_blob *raw = blob_of(seed, size), *entry;

    if (!subject->entries)
        return raw;
    ck_assert_int_eq(entry_encode(kind, key, cubby_blob_data(raw), size, NULL, 0, &entry, NULL), 0);
    cubby_blob_unref(raw);
    return entry;
}

/* True if the bytes are the value of that seed and size. */
static bool is_value(const struct subject *subject, enum cubby_entry_kind kind,
                     const struct cubby_key *key, const struct cubby_blob *blob, unsigned seed,
                     size_t size) {
    struct entry_view view;

    if (!subject->entries)
        return cubby_blob_size(blob) == size && is_blob_of(cubby_blob_data(blob), size, seed);
    return entry_parse(blob, kind, key, true, &view, NULL) == 0 && view.payload_size == size &&
           is_blob_of(view.payload, size, seed);
}

static void put(const struct subject *subject, struct cubby_backend *backend,
                enum cubby_entry_kind kind, unsigned number, unsigned seed, size_t size) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_key key = key_of(number);
    struct cubby_blob *blob = make_value(subject, kind, &key, seed, size);

    ck_ok(backend->ops->put(backend, kind, &key, blob, &error), &error);
    cubby_blob_unref(blob);
}

/* Asserts that the key holds that value. */
static void expect(const struct subject *subject, struct cubby_backend *backend,
                   enum cubby_entry_kind kind, unsigned number, unsigned seed, size_t size) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_key key = key_of(number);
    struct cubby_blob *blob = NULL;

    if (backend->ops->peek) {
        ck_ok(backend->ops->peek(backend, kind, &key, &blob, &error), &error);
        ck_assert(is_value(subject, kind, &key, blob, seed, size));
        cubby_blob_unref(blob);
    }
    ck_ok(backend->ops->get(backend, kind, &key, &blob, &error), &error);
    ck_assert(is_value(subject, kind, &key, blob, seed, size));
    cubby_blob_unref(blob);
}

static int get_code(struct cubby_backend *backend, enum cubby_entry_kind kind, unsigned number) {
    struct cubby_key key = key_of(number);
    struct cubby_blob *blob = NULL;
    int result = backend->ops->get(backend, kind, &key, &blob, NULL);

    cubby_blob_unref(blob);
    return result;
}

static struct cubby_store_stats stats_of(struct cubby_backend *backend) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_store_stats stats;

    ck_ok(backend->ops->stats(backend, &stats, &error), &error);
    return stats;
}

/* ---- Cases ------------------------------------------------------------------------------- */

START_TEST(test_operations_are_there) {
    const struct subject *subject = &subjects[_i];
    struct cubby_backend *backend = open_subject(subject, scratch_dir(), 0);

    ck_assert_uint_eq(backend->ops->abi, CUBBY_BACKEND_ABI);
    ck_assert_ptr_nonnull(backend->ops->name);
    ck_assert_uint_gt(strlen(backend->ops->name), 0);
    ck_assert_uint_lt(strlen(backend->ops->name), 16);
    backend->ops->close(backend);
}
END_TEST

START_TEST(test_nothing_is_not_found) {
    const struct subject *subject = &subjects[_i];
    struct cubby_backend *backend = open_subject(subject, scratch_dir(), 0);
    struct cubby_blob *untouched = (struct cubby_blob *)&backend;
    struct cubby_blob *blob = untouched;
    struct cubby_key key = key_of(1);

    for (int kind = 0; kind < CUBBY_ENTRY_KINDS; kind++)
        ck_assert_int_eq(backend->ops->get(backend, (enum cubby_entry_kind)kind, &key, &blob, NULL),
                         CUBBY_ERR_NOT_FOUND);
    ck_assert_ptr_eq(blob, untouched);
    ck_assert_int_eq(backend->ops->remove(backend, OBJECT, &key, NULL), CUBBY_ERR_NOT_FOUND);
    backend->ops->close(backend);
}
END_TEST

START_TEST(test_sizes) {
    static const size_t SIZES[] = {0, 1, 95, 4096, 65536, 1 << 20, 16 << 20};
    const struct subject *subject = &subjects[_i];
    struct cubby_backend *backend = open_subject(subject, scratch_dir(), 0);

    for (unsigned i = 0; i < sizeof(SIZES) / sizeof(*SIZES); i++)
        put(subject, backend, OBJECT, i, i, SIZES[i]);
    for (unsigned i = 0; i < sizeof(SIZES) / sizeof(*SIZES); i++)
        expect(subject, backend, OBJECT, i, i, SIZES[i]);
    backend->ops->close(backend);
}
END_TEST

START_TEST(test_kinds_are_apart) {
    const struct subject *subject = &subjects[_i];
    struct cubby_backend *backend = open_subject(subject, scratch_dir(), 0);
    struct cubby_key key = key_of(7);

    for (int kind = 0; kind < CUBBY_ENTRY_KINDS; kind++)
        put(subject, backend, (enum cubby_entry_kind)kind, 7, 100 + (unsigned)kind, 500);
    for (int kind = 0; kind < CUBBY_ENTRY_KINDS; kind++)
        expect(subject, backend, (enum cubby_entry_kind)kind, 7, 100 + (unsigned)kind, 500);
    ck_assert_int_eq(backend->ops->remove(backend, CUBBY_ENTRY_USER, &key, NULL), 0);
    ck_assert_int_eq(get_code(backend, CUBBY_ENTRY_USER, 7), CUBBY_ERR_NOT_FOUND);
    expect(subject, backend, OBJECT, 7, 100, 500);
    backend->ops->close(backend);
}
END_TEST

START_TEST(test_put_replaces) {
    const struct subject *subject = &subjects[_i];
    struct cubby_backend *backend = open_subject(subject, scratch_dir(), 0);
    struct cubby_store_stats stats;

    put(subject, backend, OBJECT, 1, 10, 5000);
    put(subject, backend, OBJECT, 1, 11, 300);
    expect(subject, backend, OBJECT, 1, 11, 300);
    put(subject, backend, OBJECT, 1, 12, 9000);
    expect(subject, backend, OBJECT, 1, 12, 9000);
    stats = stats_of(backend);
    ck_assert_uint_eq(stats.entries[OBJECT], 1);
    backend->ops->close(backend);
}
END_TEST

START_TEST(test_remove) {
    const struct subject *subject = &subjects[_i];
    struct cubby_backend *backend = open_subject(subject, scratch_dir(), 0);
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_key key = key_of(1);

    put(subject, backend, OBJECT, 1, 1, 100);
    put(subject, backend, OBJECT, 2, 2, 100);
    ck_ok(backend->ops->remove(backend, OBJECT, &key, &error), &error);
    ck_assert_int_eq(get_code(backend, OBJECT, 1), CUBBY_ERR_NOT_FOUND);
    ck_assert_int_eq(backend->ops->remove(backend, OBJECT, &key, &error), CUBBY_ERR_NOT_FOUND);
    expect(subject, backend, OBJECT, 2, 2, 100);
    backend->ops->close(backend);
}
END_TEST

struct seen {
    struct cubby_backend *backend;
    unsigned count[200];
    unsigned others;
    unsigned stop_after;
    unsigned visits;
    bool remove;
};

static int see(const struct cubby_entry_info *info, void *context) {
    struct seen *seen = context;
    bool known = false;

    for (unsigned i = 0; i < 200; i++) {
        struct cubby_key key = key_of(i);

        if (info->kind == OBJECT && memcmp(&key, &info->key, sizeof(key)) == 0) {
            seen->count[i]++;
            known = true;
        }
    }
    seen->others += !known;
    if (seen->remove) {
        struct cubby_blob *blob = NULL;

        ck_assert_int_eq(
            seen->backend->ops->get(seen->backend, info->kind, &info->key, &blob, NULL), 0);
        cubby_blob_unref(blob);
        ck_assert_int_eq(seen->backend->ops->remove(seen->backend, info->kind, &info->key, NULL),
                         0);
    }
    return ++seen->visits == seen->stop_after ? 42 : 0;
}

START_TEST(test_iterate) {
    const struct subject *subject = &subjects[_i];
    struct cubby_backend *backend = open_subject(subject, scratch_dir(), 0);
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct seen seen = {.backend = backend};

    for (unsigned i = 0; i < 200; i++)
        put(subject, backend, OBJECT, i, i, 100 + i);
    ck_ok(backend->ops->iterate(backend, see, &seen, &error), &error);
    for (unsigned i = 0; i < 200; i++)
        ck_assert_uint_eq(seen.count[i], 1);
    ck_assert_uint_eq(seen.others, 0);

    seen = (struct seen){.backend = backend, .stop_after = 5};
    ck_assert_int_eq(backend->ops->iterate(backend, see, &seen, &error), 42);
    ck_assert_uint_eq(seen.visits, 5);

    seen = (struct seen){.backend = backend, .remove = true};
    ck_ok(backend->ops->iterate(backend, see, &seen, &error), &error);
    ck_assert_uint_eq(stats_of(backend).entries[OBJECT], 0);
    backend->ops->close(backend);
}
END_TEST

START_TEST(test_stats) {
    const struct subject *subject = &subjects[_i];
    struct cubby_backend *backend = open_subject(subject, scratch_dir(), 0);
    struct cubby_store_stats stats = stats_of(backend);
    uint64_t one;

    ck_assert_uint_eq(stats.bytes, 0);
    put(subject, backend, OBJECT, 1, 1, 1000);
    one = stats_of(backend).bytes;
    ck_assert_uint_ge(one, 1000);
    ck_assert_uint_le(one, 1200);
    put(subject, backend, CUBBY_ENTRY_USER, 2, 2, 1000);
    stats = stats_of(backend);
    ck_assert_uint_eq(stats.bytes, 2 * one);
    ck_assert_uint_eq(stats.entries[OBJECT], 1);
    ck_assert_uint_eq(stats.entries[CUBBY_ENTRY_USER], 1);
    ck_assert_uint_eq(stats.entries[CUBBY_ENTRY_MANIFEST], 0);
    backend->ops->close(backend);
}
END_TEST

START_TEST(test_counters) {
    const struct cubby_counters delta = {.hits = 3, .misses = 2, .compile_ns = 5000000000u};
    const struct subject *subject = &subjects[_i];
    char *folder = strdup(scratch_dir());
    struct cubby_backend *backend = open_subject(subject, folder, 0);
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_store_stats stats;

    if (backend->ops->count) {
        ck_ok(backend->ops->count(backend, &delta, &error), &error);
        ck_ok(backend->ops->count(backend, &delta, &error), &error);
        if (subject->persistent) {
            backend->ops->close(backend);
            backend = open_subject(subject, folder, 0);
        }
        stats = stats_of(backend);
        ck_assert_uint_eq(stats.counters.hits, 6);
        ck_assert_uint_eq(stats.counters.misses, 4);
        ck_assert_uint_eq(stats.counters.compile_ns, 10000000000u);
        put(subject, backend, OBJECT, 1, 1, 10);
        ck_ok(backend->ops->clear(backend, &error), &error);
        ck_assert_uint_eq(stats_of(backend).counters.hits, 6);
        ck_ok(backend->ops->zero(backend, &error), &error);
        ck_assert_uint_eq(stats_of(backend).counters.hits, 0);
    }
    backend->ops->close(backend);
    free(folder);
}
END_TEST

START_TEST(test_clear) {
    const struct subject *subject = &subjects[_i];
    struct cubby_backend *backend = open_subject(subject, scratch_dir(), 0);
    struct cubby_error error = CUBBY_ERROR_INIT;

    for (unsigned i = 0; i < 50; i++)
        put(subject, backend, i % 2 ? OBJECT : CUBBY_ENTRY_USER, i, i, 100);
    if (backend->ops->clear) {
        ck_ok(backend->ops->clear(backend, &error), &error);
        ck_assert_uint_eq(stats_of(backend).bytes, 0);
        ck_assert_int_eq(get_code(backend, OBJECT, 1), CUBBY_ERR_NOT_FOUND);
        put(subject, backend, OBJECT, 1, 5, 100);
        expect(subject, backend, OBJECT, 1, 5, 100);
    }
    backend->ops->close(backend);
}
END_TEST

START_TEST(test_trim) {
    const struct cubby_trim_limits half = {.max_size = 60000}, none = {.used_before = INT64_MAX};
    const struct subject *subject = &subjects[_i];
    struct cubby_backend *backend = open_subject(subject, scratch_dir(), 0);
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_store_stats stats, full;
    struct cubby_trimmed trimmed;

    for (unsigned i = 0; i < 100; i++)
        put(subject, backend, OBJECT, i, i, 1000);
    full = stats_of(backend);
    if (backend->ops->trim) {
        ck_ok(backend->ops->trim(backend, &half, &trimmed, &error), &error);
        stats = stats_of(backend);
        ck_assert_uint_le(stats.bytes, 60000);
        ck_assert_uint_ge(stats.bytes, 50000);
        ck_assert_uint_eq(trimmed.entries, 100 - stats.entries[OBJECT]);
        ck_assert_uint_eq(trimmed.bytes, full.bytes - stats.bytes);
        ck_ok(backend->ops->trim(backend, &none, NULL, &error), &error);
        ck_assert_uint_eq(stats_of(backend).bytes, 0);
    }
    backend->ops->close(backend);
}
END_TEST

START_TEST(test_cap) {
    const struct subject *subject = &subjects[_i];
    const uint64_t cap = 1 << 20;
    struct cubby_backend *backend;

    if (!subject->capped)
        return;
    backend = open_subject(subject, scratch_dir(), cap);
    for (unsigned i = 0; i < 1000; i++) {
        put(subject, backend, OBJECT, i, i, 4000);
        expect(subject, backend, OBJECT, i, i, 4000); /* the last written is never the victim */
    }
    /* At most one step of accounting above it: 1/256 of the cap and one entry. */
    ck_assert_uint_le(stats_of(backend).bytes, cap + cap / 256 + 5000);
    ck_assert_uint_ge(stats_of(backend).bytes, cap / 2);
    put(subject, backend, OBJECT, 5000, 1, 2 << 20);
    ck_assert_int_eq(get_code(backend, OBJECT, 5000), CUBBY_ERR_NOT_FOUND);
    expect(subject, backend, OBJECT, 999, 999, 4000);
    if (backend->ops->flush)
        ck_assert_int_eq(backend->ops->flush(backend, NULL), 0);
    ck_assert_uint_gt(stats_of(backend).counters.evictions, 500);
    backend->ops->close(backend);
}
END_TEST

START_TEST(test_blob_outlives) {
    const struct subject *subject = &subjects[_i];
    struct cubby_backend *backend = open_subject(subject, scratch_dir(), 0);
    struct cubby_key key = key_of(1);
    struct cubby_blob *blob = NULL;

    put(subject, backend, OBJECT, 1, 1, 10000);
    ck_assert_int_eq(backend->ops->get(backend, OBJECT, &key, &blob, NULL), 0);
    ck_assert_int_eq(backend->ops->remove(backend, OBJECT, &key, NULL), 0);
    backend->ops->close(backend);
    ck_assert(is_value(subject, OBJECT, &key, blob, 1, 10000));
    cubby_blob_unref(blob);
}
END_TEST

START_TEST(test_reopen) {
    const struct subject *subject = &subjects[_i];
    char *folder = strdup(scratch_dir());
    struct cubby_backend *first, *second;

    if (subject->persistent) {
        first = open_subject(subject, folder, 0);
        put(subject, first, OBJECT, 1, 1, 1000);
        second = open_subject(subject, folder, 0);
        expect(subject, second, OBJECT, 1, 1, 1000);
        put(subject, second, OBJECT, 2, 2, 1000);
        expect(subject, first, OBJECT, 2, 2, 1000);
        first->ops->close(first);
        second->ops->close(second);
        first = open_subject(subject, folder, 0);
        expect(subject, first, OBJECT, 2, 2, 1000);
        ck_assert_uint_eq(stats_of(first).entries[OBJECT], 2);
        first->ops->close(first);
    }
    free(folder);
}
END_TEST

START_TEST(test_many_keys) {
    const struct subject *subject = &subjects[_i];
    struct cubby_backend *backend = open_subject(subject, scratch_dir(), 0);

    for (unsigned i = 0; i < 2000; i++)
        put(subject, backend, OBJECT, i, i, 50 + i % 100);
    for (unsigned i = 0; i < 2000; i++)
        expect(subject, backend, OBJECT, i, i, 50 + i % 100);
    ck_assert_int_eq(get_code(backend, OBJECT, 2001), CUBBY_ERR_NOT_FOUND);
    ck_assert_uint_eq(stats_of(backend).entries[OBJECT], 2000);
    backend->ops->close(backend);
}
END_TEST

START_TEST(test_close_keys) {
    static const size_t POSITIONS[] = {0, 1, 15, 31};
    const struct subject *subject = &subjects[_i];
    struct cubby_backend *backend = open_subject(subject, scratch_dir(), 0);
    struct cubby_key base_key = key_of(9);

    for (unsigned i = 0; i < 4; i++) {
        struct cubby_key key = base_key;
        struct cubby_blob *blob;

        key.bytes[POSITIONS[i]] ^= 1;
        blob = make_value(subject, OBJECT, &key, i, 100);
        ck_assert_int_eq(backend->ops->put(backend, OBJECT, &key, blob, NULL), 0);
        cubby_blob_unref(blob);
    }
    for (unsigned i = 0; i < 4; i++) {
        struct cubby_key key = base_key;
        struct cubby_blob *blob = NULL;

        key.bytes[POSITIONS[i]] ^= 1;
        ck_assert_int_eq(backend->ops->get(backend, OBJECT, &key, &blob, NULL), 0);
        ck_assert(is_value(subject, OBJECT, &key, blob, i, 100));
        cubby_blob_unref(blob);
    }
    ck_assert_int_eq(get_code(backend, OBJECT, 9), CUBBY_ERR_NOT_FOUND);
    backend->ops->close(backend);
}
END_TEST

/* ---- Several at once --------------------------------------------------------------------- */

#define CROWD_KEYS 16
#define CROWD_ROUNDS 150

struct member {
    const struct subject *subject;
    struct cubby_backend *backend;
    unsigned seed;
    unsigned wrong;
    unsigned found;
};

/* A value says of itself which it is: its size follows from its seed. */
static size_t crowd_size(unsigned seed) {
    return 200 + seed % 7 * 900;
}

static bool is_some_value(const struct member *member, const struct cubby_key *key,
                          const struct cubby_blob *blob) {
    for (unsigned seed = 0; seed < 8; seed++) {
        if (is_value(member->subject, OBJECT, key, blob, seed, crowd_size(seed)))
            return true;
    }
    return false;
}

static void *take_part(void *context) {
    struct member *member = context;

    for (unsigned round = 0; round < CROWD_ROUNDS; round++) {
        unsigned number = (round * 7 + member->seed * 3) % CROWD_KEYS;
        struct cubby_key key = key_of(number);
        struct cubby_blob *blob = NULL;

        if (round % 3 == 0) {
            unsigned seed = (round + member->seed) % 8;

            put(member->subject, member->backend, OBJECT, number, seed, crowd_size(seed));
        } else if (round % 17 == 1) {
            member->backend->ops->remove(member->backend, OBJECT, &key, NULL);
        } else if (member->backend->ops->get(member->backend, OBJECT, &key, &blob, NULL) == 0) {
            member->found++;
            member->wrong += !is_some_value(member, &key, blob);
            cubby_blob_unref(blob);
        }
    }
    return NULL;
}

static void crowd(const struct subject *subject, struct cubby_backend *backend, unsigned seed) {
    struct member members[4];
    pthread_t threads[4];
    unsigned found = 0;

    for (unsigned i = 0; i < 4; i++) {
        members[i] = (struct member){subject, backend, seed + i, 0, 0};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, take_part, &members[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_uint_eq(members[i].wrong, 0);
        found += members[i].found;
    }
    ck_assert_uint_gt(found, 0);
}

START_TEST(test_threads) {
    const struct subject *subject = &subjects[_i];
    struct cubby_backend *backend = open_subject(subject, scratch_dir(), 0);

    crowd(subject, backend, 0);
    backend->ops->close(backend);
}
END_TEST

START_TEST(test_processes) {
    const struct subject *subject = &subjects[_i];
    char *folder = strdup(scratch_dir());
    pid_t children[4];

    if (subject->persistent) {
        for (unsigned i = 0; i < 4; i++) {
            children[i] = fork();
            ck_assert_int_ge(children[i], 0);
            if (children[i] == 0) {
                struct cubby_backend *backend = open_subject(subject, folder, 0);

                crowd(subject, backend, 10 * i);
                backend->ops->close(backend);
                free(folder);
                _exit(0);
            }
        }
        for (unsigned i = 0; i < 4; i++) {
            int status;

            ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
            ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        }
    }
    free(folder);
}
END_TEST

START_TEST(test_fork) {
    const struct subject *subject = &subjects[_i];
    struct cubby_backend *backend = open_subject(subject, scratch_dir(), 0);
    int status;
    pid_t child;

    put(subject, backend, OBJECT, 1, 1, 1000);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        expect(subject, backend, OBJECT, 1, 1, 1000);
        put(subject, backend, OBJECT, 2, 2, 1000);
        expect(subject, backend, OBJECT, 2, 2, 1000);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    expect(subject, backend, OBJECT, 1, 1, 1000);
    if (subject->persistent)
        expect(subject, backend, OBJECT, 2, 2, 1000);
    backend->ops->close(backend);
}
END_TEST

void conformance_add(Suite *suite, const struct subject *all, size_t count) {
    static const struct {
        const char *name;
        const TTest *const *test;
    } CASES[] = {
        {"operations", &test_operations_are_there},
        {"not found", &test_nothing_is_not_found},
        {"sizes", &test_sizes},
        {"kinds", &test_kinds_are_apart},
        {"replace", &test_put_replaces},
        {"remove", &test_remove},
        {"iterate", &test_iterate},
        {"stats", &test_stats},
        {"counters", &test_counters},
        {"clear", &test_clear},
        {"trim", &test_trim},
        {"cap", &test_cap},
        {"blob outlives", &test_blob_outlives},
        {"reopen", &test_reopen},
        {"many keys", &test_many_keys},
        {"close keys", &test_close_keys},
        {"threads", &test_threads},
        {"processes", &test_processes},
        {"fork", &test_fork},
    };

    subjects = all;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        TCase *tcase = tcase_create(CASES[i].name);

        tcase_set_timeout(tcase, 120);
        tcase_add_loop_test(tcase, *CASES[i].test, 0, (int)count);
        suite_add_tcase(suite, tcase);
    }
}
