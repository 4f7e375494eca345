/* SPDX-License-Identifier: Apache-2.0 */
/* Runtime caches in memory: pending and live handles, the blob, kernels. */
#include "runtime_help.h"

#include <stdlib.h>
#include <string.h>

#include "entry/checksum.h"
#include "object.h"

static struct cubby_blob *bytes_of(struct cubby_runtime_cache *cache) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_blob *blob = NULL;

    ck_ok(cubby_runtime_cache_serialise(cache, &blob, &error), &error);
    return blob;
}

static void expect_same(const struct cubby_blob *left, const struct cubby_blob *right) {
    ck_assert_uint_eq(cubby_blob_size(left), cubby_blob_size(right));
    ck_assert_mem_eq(cubby_blob_data(left), cubby_blob_data(right), cubby_blob_size(left));
}

/* ---- States ------------------------------------------------------------------------------ */

START_TEST(test_handle_begins_pending) {
    struct cubby_runtime_cache *cache = handle_new();
    struct cubby_object *object = kernel_of(1);
    const struct cubby_key key = key_of(1);

    ck_assert(!cubby_runtime_cache_has_cache(cache));
    ck_assert(!has(cache, 1));
    ck_assert_uint_eq(stats_of(cache).misses, 1);
    ck_fails(cubby_runtime_cache_insert(cache, &key, object, error), CUBBY_ERR_INVALID, "pending");
    materialise(cache);
    ck_assert(cubby_runtime_cache_has_cache(cache));
    ck_assert_uint_eq(stats_of(cache).kernels, 0);
    cubby_object_unref(object);
    cubby_runtime_cache_unref(cache);
}
END_TEST

START_TEST(test_materialise_drains_the_stash) {
    struct cubby_runtime_cache *cache = handle_new();
    struct cubby_blob *blob = blob_with(&HERE, 1, 3);

    give(cache, blob);
    ck_assert(!cubby_runtime_cache_has_cache(cache));
    ck_assert_uint_eq(stats_of(cache).bytes, cubby_blob_size(blob));
    ck_assert_uint_eq(stats_of(cache).kernels, 0);
    materialise(cache);
    ck_assert_uint_eq(stats_of(cache).kernels, 3);
    ck_assert_uint_eq(stats_of(cache).bytes, cubby_blob_size(blob));
    ck_assert_uint_eq(count_below(cache, 5), 3);
    cubby_blob_unref(blob);
    cubby_runtime_cache_unref(cache);
}
END_TEST

START_TEST(test_materialised_once) {
    struct cubby_runtime_cache *cache = handle_new();

    materialise(cache);
    insert(cache, 7);
    materialise(cache);
    ck_assert_uint_eq(stats_of(cache).materialisations, 1);
    ck_assert(has(cache, 7));
    cubby_runtime_cache_unref(cache);
}
END_TEST

START_TEST(test_live_handle_has_one_identity) {
    const struct cubby_runtime_identity others[] = {{"sm_80", HERE.toolchain, 13000},
                                                    {"sm_90", "another", 13000},
                                                    {"sm_90", HERE.toolchain, 12080}};
    struct cubby_runtime_cache *cache = handle_new();

    materialise(cache);
    for (size_t i = 0; i < 3; i++)
        ck_fails(cubby_runtime_cache_materialise(cache, &others[i], error), CUBBY_ERR_INVALID,
                 "make a handle for each");
    ck_assert_uint_eq(stats_of(cache).materialisations, 1);
    cubby_runtime_cache_unref(cache);
}
END_TEST

START_TEST(test_identity_has_to_be_whole) {
    char long_text[5000];
    const struct cubby_runtime_identity bad[] = {{NULL, "t", 1},
                                                 {"", "t", 1},
                                                 {"sm_90", NULL, 1},
                                                 {"sm_90", "", 1},
                                                 {"sm_90", "t", -1},
                                                 {"sm_90", long_text, 1},
                                                 {"sm_90sm_90sm_90s", "t", 1}};
    struct cubby_runtime_cache *cache = handle_new();

    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_fails(cubby_runtime_cache_materialise(cache, &bad[i], error), CUBBY_ERR_INVALID,
                 "of a runtime cache is");
    ck_fails(cubby_runtime_cache_materialise(cache, NULL, error), CUBBY_ERR_INVALID, "missing");
    ck_assert(!cubby_runtime_cache_has_cache(cache));
    cubby_runtime_cache_unref(cache);
}
END_TEST

START_TEST(test_nothing_deserialised_changes_nothing) {
    struct cubby_runtime_cache *cache = handle_new();
    struct cubby_blob *blob = blob_with(&HERE, 1, 1), *same;

    give(cache, blob);
    ck_assert_int_eq(cubby_runtime_cache_deserialise(cache, NULL, 0, NULL), 0);
    ck_assert_int_eq(cubby_runtime_cache_deserialise(cache, "", 0, NULL), 0);
    same = bytes_of(cache);
    expect_same(same, blob);
    materialise(cache);
    ck_assert_int_eq(cubby_runtime_cache_deserialise(cache, "", 0, NULL), 0);
    ck_assert(has(cache, 1));
    cubby_blob_unref(same);
    cubby_blob_unref(blob);
    cubby_runtime_cache_unref(cache);
}
END_TEST

START_TEST(test_pending_replaces_the_stash) {
    struct cubby_runtime_cache *cache = handle_new();
    struct cubby_blob *first = blob_with(&HERE, 1, 2), *second = blob_with(&HERE, 3, 3);

    give(cache, first);
    give(cache, second);
    materialise(cache);
    ck_assert(!has(cache, 1) && !has(cache, 2) && has(cache, 3));
    cubby_blob_unref(first);
    cubby_blob_unref(second);
    cubby_runtime_cache_unref(cache);
}
END_TEST

START_TEST(test_live_merges) {
    struct cubby_runtime_cache *cache = handle_new();
    struct cubby_blob *first = blob_with(&HERE, 1, 2), *second = blob_with(&HERE, 2, 3);

    materialise(cache);
    insert(cache, 0);
    give(cache, first);
    give(cache, second);
    ck_assert_uint_eq(stats_of(cache).kernels, 4);
    ck_assert_uint_eq(count_below(cache, 4), 4);
    cubby_blob_unref(first);
    cubby_blob_unref(second);
    cubby_runtime_cache_unref(cache);
}
END_TEST

/* Byte by byte, and without a look at it. */
START_TEST(test_pending_gives_the_stash_back) {
    static const char NO_BLOB[] = "whatever it is";
    struct cubby_runtime_cache *cache = handle_new();
    struct cubby_blob *blob = bytes_of(cache);

    ck_assert_uint_eq(cubby_blob_size(blob), 0);
    cubby_blob_unref(blob);
    ck_assert_int_eq(cubby_runtime_cache_deserialise(cache, NO_BLOB, sizeof(NO_BLOB), NULL), 0);
    blob = bytes_of(cache);
    ck_assert_uint_eq(cubby_blob_size(blob), sizeof(NO_BLOB));
    ck_assert_mem_eq(cubby_blob_data(blob), NO_BLOB, sizeof(NO_BLOB));
    cubby_blob_unref(blob);
    cubby_runtime_cache_unref(cache);
}
END_TEST

START_TEST(test_no_kernel_no_bytes) {
    struct cubby_runtime_cache *cache = handle_new();
    struct cubby_blob *blob;

    materialise(cache);
    blob = bytes_of(cache);
    ck_assert_uint_eq(cubby_blob_size(blob), 0);
    ck_assert_uint_eq(stats_of(cache).bytes, 0);
    cubby_blob_unref(blob);
    cubby_runtime_cache_unref(cache);
}
END_TEST

/* ---- What fits --------------------------------------------------------------------------- */

static const struct {
    struct cubby_runtime_identity made_for;
    const char *warning; /* NULL: it fits */
} FITS[] = {
    {{"sm_90", "NVRTC 13.0 of the tests", 13000}, NULL},
    {{"sm_90", "NVRTC 13.0 of the tests", 12080}, NULL},
    {{"sm_90", "NVRTC 13.0 of the tests", 13010}, "a newer driver (CUDA 13010)"},
    {{"sm_80", "NVRTC 13.0 of the tests", 13000}, "were made for sm_80, and this is sm_90"},
    {{"sm_90a", "NVRTC 13.0 of the tests", 13000}, "were made for sm_90a"},
    {{"sm_90", "NVRTC 12.9 of the tests", 13000}, "another toolchain (NVRTC 12.9 of the tests)"},
};

START_TEST(test_only_what_fits_is_used) {
    struct cubby_blob *blob = blob_with(&FITS[_i].made_for, 1, 2);
    struct cubby_runtime_cache *cache = handle_new();
    const char *said;

    warnings();
    give(cache, blob);
    materialise(cache);
    said = warnings();
    ck_assert(cubby_runtime_cache_has_cache(cache));
    ck_assert_uint_eq(stats_of(cache).kernels, FITS[_i].warning ? 0 : 2);
    ck_assert_uint_eq(stats_of(cache).rejects, FITS[_i].warning ? 1 : 0);
    ck_assert_msg(FITS[_i].warning ? strstr(said, FITS[_i].warning) != NULL : !*said, "%s", said);
    insert(cache, 9); /* it goes on without them */
    ck_assert(has(cache, 9));
    cubby_runtime_cache_unref(cache);

    cache = handle_new();
    materialise(cache);
    if (FITS[_i].warning)
        ck_fails(cubby_runtime_cache_deserialise(cache, cubby_blob_data(blob),
                                                 cubby_blob_size(blob), error),
                 CUBBY_ERR_INVALID, FITS[_i].warning);
    else
        give(cache, blob);
    ck_assert_uint_eq(stats_of(cache).kernels, FITS[_i].warning ? 0 : 2);
    cubby_runtime_cache_unref(cache);
    cubby_blob_unref(blob);
}
END_TEST

/* What was made with an older driver is kept, and the blob is from now on of this one. */
START_TEST(test_blob_is_of_the_newest_driver) {
    const struct cubby_runtime_identity older = {HERE.arch, HERE.toolchain, 12000};
    struct cubby_runtime_cache *cache = handle_new();
    struct cubby_blob *blob = blob_with(&older, 1, 1), *newer;

    materialise(cache);
    give(cache, blob);
    newer = bytes_of(cache);
    cubby_runtime_cache_unref(cache);
    cache = handle_new();
    ck_assert_int_eq(cubby_runtime_cache_materialise(cache, &older, NULL), 0);
    ck_fails(cubby_runtime_cache_deserialise(cache, cubby_blob_data(newer), cubby_blob_size(newer),
                                             error),
             CUBBY_ERR_INVALID, "newer driver");
    cubby_blob_unref(newer);
    cubby_blob_unref(blob);
    cubby_runtime_cache_unref(cache);
}
END_TEST

/* ---- Damage ------------------------------------------------------------------------------ */

/* Gives bytes to a live handle: an error, and not one kernel of theirs. */
static int give_damaged(const void *data, size_t size) {
    struct cubby_runtime_cache *cache = handle_new();
    struct cubby_error error = CUBBY_ERROR_INIT;
    int result;

    materialise(cache);
    insert(cache, 9);
    result = cubby_runtime_cache_deserialise(cache, data, size, &error);
    ck_assert_int_lt(result, 0);
    ck_assert_int_eq(error.code, result);
    ck_assert(error.message[0]);
    ck_assert_uint_eq(stats_of(cache).kernels, 1);
    ck_assert(has(cache, 9));
    cubby_error_clear(&error);
    cubby_runtime_cache_unref(cache);
    return result;
}

START_TEST(test_every_flipped_byte_is_noticed) {
    struct cubby_blob *blob = blob_with(&HERE, 1, 2);
    size_t size = cubby_blob_size(blob);
    unsigned char *bytes = malloc(size);

    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < size; i++) {
        memcpy(bytes, cubby_blob_data(blob), size);
        bytes[i] ^= (unsigned char)(1u << i % 8);
        ck_assert_int_eq(give_damaged(bytes, size), i < 8 ? CUBBY_ERR_INVALID : CUBBY_ERR_CORRUPT);
    }
    free(bytes);
    cubby_blob_unref(blob);
}
END_TEST

START_TEST(test_every_truncation_is_noticed) {
    struct cubby_blob *blob = blob_with(&HERE, 1, 2);
    size_t size = cubby_blob_size(blob);

    for (size_t i = 1; i < size; i++) {
        struct cubby_blob *part = cubby_blob_copy(cubby_blob_data(blob), i);

        ck_assert_int_eq(give_damaged(cubby_blob_data(part), i), CUBBY_ERR_CORRUPT);
        cubby_blob_unref(part);
    }
    cubby_blob_unref(blob);
}
END_TEST

/* Changes bytes and sets the blob's checksum right again, as no accident would. */
static int give_forged(const struct cubby_blob *blob, size_t offset, unsigned char value,
                       size_t size) {
    unsigned char *bytes = malloc(size);
    int result;

    ck_assert_ptr_nonnull(bytes);
    memset(bytes, 0, size);
    memcpy(bytes, cubby_blob_data(blob),
           size < cubby_blob_size(blob) ? size : cubby_blob_size(blob));
    bytes[offset] = value;
    checksum_of(bytes, size - CHECKSUM_SIZE, bytes + size - CHECKSUM_SIZE);
    result = give_damaged(bytes, size);
    free(bytes);
    return result;
}

START_TEST(test_forged_lengths_are_noticed) {
    struct cubby_blob *blob = blob_with(&HERE, 1, 2);
    const size_t size = cubby_blob_size(blob), record = 48 + strlen(HERE.toolchain) + 1;

    ck_assert_int_eq(give_forged(blob, 8, 2, size), CUBBY_ERR_UNSUPPORTED); /* version */
    ck_assert_int_eq(give_forged(blob, 15, 0x80, size), CUBBY_ERR_CORRUPT); /* driver */
    ck_assert_int_eq(give_forged(blob, 17, 0xff, size), CUBBY_ERR_CORRUPT); /* size */
    ck_assert_int_eq(give_forged(blob, 24, 1, size), CUBBY_ERR_CORRUPT);    /* too few kernels */
    ck_assert_int_eq(give_forged(blob, 24, 3, size), CUBBY_ERR_CORRUPT);    /* too many */
    ck_assert_int_eq(give_forged(blob, 27, 0xff, size), CUBBY_ERR_CORRUPT);
    ck_assert_int_eq(give_forged(blob, 28, 0, size), CUBBY_ERR_CORRUPT); /* the toolchain's text */
    ck_assert_int_eq(give_forged(blob, 31, 0xff, size), CUBBY_ERR_CORRUPT);
    ck_assert_int_eq(give_forged(blob, 32, 0, size), CUBBY_ERR_CORRUPT); /* no architecture */
    ck_assert_int_eq(give_forged(blob, 47, 'x', size), CUBBY_ERR_CORRUPT);
    ck_assert_int_eq(give_forged(blob, 48, 0, size), CUBBY_ERR_CORRUPT);
    ck_assert_int_eq(give_forged(blob, record + 8, 1, size), CUBBY_ERR_CORRUPT); /* an entry's */
    ck_assert_int_eq(give_forged(blob, record + 15, 0xff, size), CUBBY_ERR_CORRUPT);
    ck_assert_int_eq(give_forged(blob, record + 16, CUBBY_ENTRY_MANIFEST, size),
                     CUBBY_ERR_CORRUPT); /* its kind */
    ck_assert_int_eq(give_forged(blob, record + 16, CUBBY_ENTRY_USER, size), CUBBY_ERR_CORRUPT);
    ck_assert_int_eq(give_forged(blob, record + 24, 0x5a, size), CUBBY_ERR_CORRUPT); /* its key */
    ck_assert_int_eq(give_forged(blob, record + 56, 0x5a, size), CUBBY_ERR_CORRUPT); /* its bytes */
    ck_assert_int_eq(give_forged(blob, 8, 1, size + 3), CUBBY_ERR_CORRUPT); /* more behind it */
    cubby_blob_unref(blob);
}
END_TEST

START_TEST(test_damaged_stash_is_no_failure) {
    struct cubby_blob *blob = blob_with(&HERE, 1, 2);
    struct cubby_runtime_cache *cache = handle_new();

    warnings();
    ck_assert_int_eq(cubby_runtime_cache_deserialise(cache, cubby_blob_data(blob),
                                                     cubby_blob_size(blob) - 1, NULL),
                     0);
    materialise(cache);
    ck_assert(strstr(warnings(), "checksum"));
    ck_assert(cubby_runtime_cache_has_cache(cache));
    ck_assert_uint_eq(stats_of(cache).kernels, 0);
    ck_assert_uint_eq(stats_of(cache).rejects, 1);
    cubby_blob_unref(blob);
    cubby_runtime_cache_unref(cache);
}
END_TEST

/* ---- Kernels ----------------------------------------------------------------------------- */

START_TEST(test_equal_sets_are_equal_bytes) {
    struct cubby_blob *blob = blob_with(&HERE, 1, 20), *again;
    struct cubby_runtime_cache *cache = handle_new();

    give(cache, blob);
    materialise(cache);
    again = bytes_of(cache);
    expect_same(again, blob);
    cubby_blob_unref(again);
    cubby_blob_unref(blob);
    cubby_runtime_cache_unref(cache);
}
END_TEST

/* The bytes are under the key that they were inserted with, also where they were made for another.
 */
START_TEST(test_kernel_under_another_key) {
    struct cubby_runtime_cache *cache = handle_new(), *other = handle_new();
    const struct cubby_key key = key_of(500);
    struct cubby_object *object = kernel_of(1), *found = NULL;
    struct cubby_blob *blob;

    materialise(cache);
    materialise(other);
    ck_assert_int_eq(cubby_runtime_cache_insert(cache, &key, object, NULL), 0);
    blob = bytes_of(cache);
    give(other, blob);
    ck_assert(!has(other, 1));
    ck_assert_int_eq(cubby_runtime_cache_find(other, &key, &found), 0);
    ck_assert_uint_eq(cubby_object_size(found), cubby_object_size(object));
    ck_assert_mem_eq(cubby_object_data(found), cubby_object_data(object),
                     cubby_object_size(object));
    ck_assert_str_eq(cubby_object_lowered_name(found, "scale<float>"), "_Z5scale1");
    cubby_object_unref(found);
    cubby_object_unref(object);
    cubby_blob_unref(blob);
    cubby_runtime_cache_unref(cache);
    cubby_runtime_cache_unref(other);
}
END_TEST

START_TEST(test_insert_replaces) {
    struct cubby_runtime_cache *cache = handle_new();
    const struct cubby_key key = key_of(500);
    struct cubby_object *first = kernel_of(1), *second = kernel_of(70), *found = NULL;

    materialise(cache);
    ck_assert_int_eq(cubby_runtime_cache_insert(cache, &key, first, NULL), 0);
    ck_assert_int_eq(cubby_runtime_cache_insert(cache, &key, second, NULL), 0);
    ck_assert_int_eq(cubby_runtime_cache_find(cache, &key, &found), 0);
    ck_assert_uint_eq(cubby_object_size(found), cubby_object_size(second));
    ck_assert_uint_eq(stats_of(cache).kernels, 1);
    ck_assert_uint_eq(stats_of(cache).inserts, 2);
    cubby_object_unref(found);
    cubby_object_unref(first);
    cubby_object_unref(second);
    cubby_runtime_cache_unref(cache);
}
END_TEST

START_TEST(test_what_is_no_kernel) {
    struct cubby_cache *store = open_spec("file:@?compress=zstd", scratch_dir());
    struct cubby_runtime_cache *cache = handle_new();
    const struct cubby_key key = key_of(1);
    char *bytes = calloc(1, 4000);
    struct cubby_object *object = NULL;

    materialise(cache);
    ck_assert_int_eq(cubby_cache_put(store, &key, bytes, 4000, NULL), 0);
    ck_assert_int_eq(cubby_cache_describe(store, CUBBY_ENTRY_USER, &key, &object), 0);
    if (!cubby_object_data(object)) /* a build without zstd keeps them as they are */
        ck_fails(cubby_runtime_cache_insert(cache, &key, object, error), CUBBY_ERR_INVALID,
                 "only describes");
    cubby_object_unref(object);
    ck_assert_int_eq(cubby_cache_get(store, CUBBY_ENTRY_USER, &key, &object, NULL, NULL), 0);
    ck_assert_int_eq(cubby_runtime_cache_insert(cache, &key, object, NULL), 0);
    ck_assert_uint_eq(stats_of(cache).kernels, 1);
    cubby_object_unref(object);
    free(bytes);
    cubby_cache_unref(store);
    cubby_runtime_cache_unref(cache);
}
END_TEST

START_TEST(test_least_recently_used_go) {
    struct cubby_runtime_cache_options options = CUBBY_RUNTIME_CACHE_OPTIONS_INIT;
    struct cubby_blob *four = blob_with(&HERE, 1, 4);
    struct cubby_runtime_cache *cache = NULL;

    options.max_size = cubby_blob_size(four);
    ck_assert_int_eq(cubby_runtime_cache_new(&options, &cache, NULL), 0);
    materialise(cache);
    for (unsigned i = 1; i <= 4; i++)
        insert(cache, i);
    ck_assert_uint_eq(stats_of(cache).drops, 0);
    ck_assert(has(cache, 1)); /* a use */
    insert(cache, 0);
    ck_assert_uint_eq(stats_of(cache).drops, 1);
    ck_assert(!has(cache, 2));
    ck_assert_uint_eq(count_below(cache, 5), 4);
    ck_assert_uint_le(stats_of(cache).bytes, options.max_size);
    cubby_runtime_cache_unref(cache);

    options.max_size = 10; /* for none at all */
    ck_assert_int_eq(cubby_runtime_cache_new(&options, &cache, NULL), 0);
    materialise(cache);
    insert(cache, 1);
    ck_assert_uint_eq(stats_of(cache).kernels, 0);
    ck_assert_uint_eq(stats_of(cache).drops, 1);
    cubby_runtime_cache_unref(cache);
    cubby_blob_unref(four);
}
END_TEST

START_TEST(test_counters) {
    struct cubby_runtime_cache *cache = handle_new();
    struct cubby_runtime_cache_stats stats;

    materialise(cache);
    insert(cache, 1);
    has(cache, 1);
    has(cache, 1);
    has(cache, 2);
    stats = stats_of(cache);
    ck_assert_uint_eq(stats.hits, 2);
    ck_assert_uint_eq(stats.misses, 1);
    ck_assert_uint_eq(stats.inserts, 1);
    ck_assert_uint_eq(stats.loads + stats.rejects + stats.saves + stats.drops, 0);
    ck_assert_uint_eq(stats.materialisations, 1);
    cubby_runtime_cache_unref(cache);
}
END_TEST

/* A kernel outlives its handle, and references are counted. */
START_TEST(test_references) {
    struct cubby_runtime_cache *cache = handle_new();
    const struct cubby_key key = key_of(3);
    struct cubby_object *object = NULL;

    cubby_runtime_cache_unref(NULL);
    ck_assert_ptr_null(cubby_runtime_cache_ref(NULL));
    ck_assert_ptr_eq(cubby_runtime_cache_ref(cache), cache);
    cubby_runtime_cache_unref(cache);
    materialise(cache);
    insert(cache, 3);
    ck_assert_int_eq(cubby_runtime_cache_find(cache, &key, &object), 0);
    cubby_runtime_cache_unref(cache);
    ck_assert(is_blob_of(cubby_object_data(object), cubby_object_size(object), 3));
    cubby_object_unref(object);
}
END_TEST

/* ---- All of them ------------------------------------------------------------------------- */

static void add_states(Suite *suite) {
    TCase *tests = add_case(suite, "states");

    tcase_add_test(tests, test_handle_begins_pending);
    tcase_add_test(tests, test_materialise_drains_the_stash);
    tcase_add_test(tests, test_materialised_once);
    tcase_add_test(tests, test_live_handle_has_one_identity);
    tcase_add_test(tests, test_identity_has_to_be_whole);
    tcase_add_test(tests, test_nothing_deserialised_changes_nothing);
    tcase_add_test(tests, test_pending_replaces_the_stash);
    tcase_add_test(tests, test_live_merges);
    tcase_add_test(tests, test_pending_gives_the_stash_back);
    tcase_add_test(tests, test_no_kernel_no_bytes);
    tcase_add_loop_test(tests, test_only_what_fits_is_used, 0, sizeof(FITS) / sizeof(*FITS));
    tcase_add_test(tests, test_blob_is_of_the_newest_driver);
}

static void add_damage(Suite *suite) {
    TCase *tests = add_case(suite, "damage");

    tcase_add_test(tests, test_every_flipped_byte_is_noticed);
    tcase_add_test(tests, test_every_truncation_is_noticed);
    tcase_add_test(tests, test_forged_lengths_are_noticed);
    tcase_add_test(tests, test_damaged_stash_is_no_failure);
}

static void add_kernels(Suite *suite) {
    TCase *tests = add_case(suite, "kernels");

    tcase_add_test(tests, test_equal_sets_are_equal_bytes);
    tcase_add_test(tests, test_kernel_under_another_key);
    tcase_add_test(tests, test_insert_replaces);
    tcase_add_test(tests, test_what_is_no_kernel);
    tcase_add_test(tests, test_least_recently_used_go);
    tcase_add_test(tests, test_counters);
    tcase_add_test(tests, test_references);
}

int main(void) {
    Suite *suite = suite_create("runtime cache");

    add_states(suite);
    add_damage(suite);
    add_kernels(suite);
    return run_suite(suite);
}
