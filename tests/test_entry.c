/* SPDX-License-Identifier: Apache-2.0 */
/* The form of an entry: nothing that is damaged is ever taken for good. */
#include <stdlib.h>
#include <string.h>

#include "entry/entry.h"
#include "entry/meta.h"
#include "harness.h"
#include "object.h"

#define KIND CUBBY_ENTRY_OBJECT

static struct cubby_blob *make_entry(const struct cubby_key *key, size_t payload_size) {
    struct cubby_blob *payload = blob_of(1, payload_size), *entry;
    struct buffer meta = BUFFER_INIT;
    const char pair[] = "k<int>\0_Z1kIiE";

    meta_add(&meta, META_START, NULL, 0);
    meta_add_u64(&meta, META_COMPILE_NS, 12345);
    meta_add_text(&meta, META_ARCH, "sm_90");
    meta_add_text(&meta, META_LOG, "a warning");
    meta_add(&meta, META_NAME, pair, sizeof(pair));
    ck_assert_int_eq(entry_encode(KIND, key, cubby_blob_data(payload), payload_size, meta.data,
                                  meta.size, &entry, NULL),
                     0);
    cubby_blob_unref(payload);
    buffer_free(&meta);
    return entry;
}

static int parse(const void *bytes, size_t size, const struct cubby_key *key) {
    struct cubby_blob *blob = cubby_blob_copy(bytes, size);
    struct cubby_object *object = NULL;
    int result = object_from_blob(blob, KIND, key, true, &object, NULL);

    cubby_object_unref(object);
    cubby_blob_unref(blob);
    return result;
}

START_TEST(test_round_trip) {
    static const size_t SIZES[] = {0, 1, 100, 5000};
    struct cubby_key key = key_of(1);

    for (size_t i = 0; i < 4; i++) {
        struct cubby_blob *entry = make_entry(&key, SIZES[i]);
        struct cubby_error error = CUBBY_ERROR_INIT;
        struct cubby_object_info info;
        struct cubby_object *object;
        const char *lowered;

        ck_ok(object_from_blob(entry, KIND, &key, true, &object, &error), &error);
        cubby_blob_unref(entry);
        ck_assert_uint_eq(cubby_object_size(object), SIZES[i]);
        ck_assert(is_blob_of(cubby_object_data(object), SIZES[i], 1));
        ck_assert_int_eq(((const char *)cubby_object_data(object))[SIZES[i]], '\0');
        ck_assert_str_eq(cubby_object_log(object), "a warning");
        cubby_object_info(object, &info);
        ck_assert_str_eq(info.arch, "sm_90");
        ck_assert_str_eq(info.target, "");
        ck_assert_uint_eq(info.compile_ns, 12345);
        ck_assert_int_eq(info.created_at, 0);
        ck_assert_str_eq(cubby_object_lowered_name(object, "k<int>"), "_Z1kIiE");
        ck_assert_ptr_null(cubby_object_lowered_name(object, "k<float>"));
        ck_assert_str_eq(cubby_object_name(object, 0, &lowered), "k<int>");
        ck_assert_ptr_null(cubby_object_name(object, 1, NULL));
        ck_assert_int_eq(cubby_object_kind(object), KIND);
        cubby_object_unref(cubby_object_ref(object));
        cubby_object_unref(object);
    }
}
END_TEST

START_TEST(test_every_bit) {
    struct cubby_key key = key_of(1);
    struct cubby_blob *entry = make_entry(&key, 300);
    size_t size = cubby_blob_size(entry);
    unsigned char *bytes = cubby_blob_writable(entry);

    ck_assert_int_eq(parse(bytes, size, &key), 0);
    for (size_t i = 0; i < size; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[i] ^= (unsigned char)(1u << bit);
            ck_assert_msg(parse(bytes, size, &key) == CUBBY_ERR_CORRUPT, "byte %zu bit %u", i, bit);
            bytes[i] ^= (unsigned char)(1u << bit);
        }
    }
    cubby_blob_unref(entry);
}
END_TEST

START_TEST(test_every_length) {
    struct cubby_key key = key_of(1);
    struct cubby_blob *entry = make_entry(&key, 300);
    size_t size = cubby_blob_size(entry);
    unsigned char *longer = calloc(1, size + 64);

    memcpy(longer, cubby_blob_data(entry), size);
    for (size_t length = 0; length < size + 64; length++) {
        if (length != size)
            ck_assert_int_eq(parse(longer, length, &key), CUBBY_ERR_CORRUPT);
    }
    free(longer);
    cubby_blob_unref(entry);
}
END_TEST

START_TEST(test_impossible_lengths) {
    static const uint64_t LENGTHS[] = {0, 1, UINT64_MAX, (uint64_t)1 << 63, 300 + 88};
    struct cubby_key key = key_of(1);
    struct cubby_blob *entry = make_entry(&key, 300);
    size_t size = cubby_blob_size(entry);

    /* Even where the checksum is not looked at. */
    for (size_t offset = 16; offset < 40; offset += 8) {
        for (size_t i = 0; i < 5; i++) {
            struct cubby_blob *copy = cubby_blob_copy(cubby_blob_data(entry), size);
            struct entry_view view;

            memcpy((char *)cubby_blob_writable(copy) + size - 88 + offset, &LENGTHS[i], 8);
            ck_assert_int_eq(entry_parse(copy, KIND, &key, false, &view, NULL), CUBBY_ERR_CORRUPT);
            cubby_blob_unref(copy);
        }
    }
    cubby_blob_unref(entry);
}
END_TEST

START_TEST(test_wrong_place) {
    struct cubby_key key = key_of(1), other = key_of(2);
    struct cubby_blob *entry = make_entry(&key, 300);
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct entry_view view;

    ck_assert_int_eq(entry_parse(entry, KIND, &other, true, &view, &error), CUBBY_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(error.message, "another key"));
    ck_assert_int_eq(entry_parse(entry, CUBBY_ENTRY_USER, &key, true, &view, NULL),
                     CUBBY_ERR_CORRUPT);
    cubby_blob_unref(entry);
}
END_TEST

START_TEST(test_metadata_that_lies) {
    /* tag, length beyond the end; a text without its NUL; a number of the wrong size */
    const unsigned char beyond[] = {META_LOG, 200, 0, 0, 0, 'x'};
    const unsigned char no_nul[] = {META_LOG, 1, 0, 0, 0, 'x'};
    const unsigned char number[] = {META_COMPILE_NS, 1, 0, 0, 0, 'x'};
    const unsigned char cut[] = {META_LOG, 1, 0};

    ck_assert_str_eq(meta_text(beyond, sizeof(beyond), META_LOG), "");
    ck_assert_str_eq(meta_text(no_nul, sizeof(no_nul), META_LOG), "");
    ck_assert_str_eq(meta_text(cut, sizeof(cut), META_LOG), "");
    ck_assert_uint_eq(meta_u64(number, sizeof(number), META_COMPILE_NS), 0);
    ck_assert_uint_eq(meta_u64(NULL, 0, META_COMPILE_NS), 0);
}
END_TEST

START_TEST(test_unknown_metadata_is_skipped) {
    struct buffer meta = BUFFER_INIT;

    meta_add(&meta, (enum meta_tag)200, "future", 6);
    meta_add_text(&meta, META_ARCH, "sm_90");
    meta_add_text(&meta, META_LOG, NULL);
    ck_assert_str_eq(meta_text(meta.data, meta.size, META_ARCH), "sm_90");
    buffer_free(&meta);
}
END_TEST

START_TEST(test_log_speaks_of_who_asks) {
    struct cubby_key key = key_of(1);
    struct buffer meta = BUFFER_INIT;
    struct cubby_object *object;
    struct cubby_blob *entry;

    meta_add_text(&meta, META_SOURCE_NAME, "/a/k.cu");
    meta_add_text(&meta, META_LOG, "/a/k.cu(1): warning\n1 in \"/a/k.cu\".");
    ck_assert_int_eq(entry_encode(KIND, &key, "", 0, meta.data, meta.size, &entry, NULL), 0);
    ck_assert_int_eq(object_from_blob(entry, KIND, &key, true, &object, NULL), 0);
    ck_assert_int_eq(object_rename_source(object, "b.cu"), 0);
    ck_assert_str_eq(cubby_object_log(object), "b.cu(1): warning\n1 in \"b.cu\".");
    cubby_object_unref(object);
    cubby_blob_unref(entry);
    buffer_free(&meta);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("entry");
    TCase *tcase = tcase_create("all");

    tcase_add_test(tcase, test_round_trip);
    tcase_add_test(tcase, test_every_bit);
    tcase_add_test(tcase, test_every_length);
    tcase_add_test(tcase, test_impossible_lengths);
    tcase_add_test(tcase, test_wrong_place);
    tcase_add_test(tcase, test_metadata_that_lies);
    tcase_add_test(tcase, test_unknown_metadata_is_skipped);
    tcase_add_test(tcase, test_log_speaks_of_who_asks);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
