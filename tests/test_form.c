/* SPDX-License-Identifier: Apache-2.0 */
/* Entries that are compressed or signed: nothing that was changed is ever taken for good, and
 * nothing is allocated because an entry says so. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "entry/codec.h"
#include "entry/form.h"
#include "entry/meta.h"
#include "harness.h"
#include "object.h"

#define KIND CUBBY_ENTRY_OBJECT
#define TRAILER 88

/* Offsets in the trailer. */
enum { FORMAT = 8, CODEC = 11, FLAGS = 12, STORED = 16, DECODED = 24, SUM = 72 };

static const struct cubby_key *key(void) {
    static struct cubby_key number_one;

    number_one = key_of(1);
    return &number_one;
}

/* A key for MACs of a secret that is known to no other test. */
static struct mac_key secret_of(const char *text) {
    struct mac_key secret;

    mac_key_derive(text, strlen(text), &secret);
    return secret;
}

/* An entry of text that can be compressed, as it is. */
static struct cubby_blob *raw_entry(size_t size) {
    static const char WORDS[] = "ld.global.f32 %f1, [%rd4]; fma.rn.f32 %f3, %f1, %f2, %f3; ";
    struct buffer payload = BUFFER_INIT, meta = BUFFER_INIT;
    struct cubby_blob *entry;

    while (payload.size < size)
        buffer_add(&payload, WORDS, sizeof(WORDS) - 1);
    meta_add(&meta, META_START, NULL, 0);
    meta_add_text(&meta, META_ARCH, "sm_90");
    ck_assert_int_eq(
        entry_encode(KIND, key(), payload.data, size, meta.data, meta.size, &entry, NULL), 0);
    buffer_free(&payload);
    buffer_free(&meta);
    return entry;
}

/* The same in another form. */
static struct cubby_blob *formed_entry(size_t size, int level, struct mac_key *secret) {
    const struct entry_form form = {level, secret};
    struct cubby_blob *raw = raw_entry(size), *entry;
    struct cubby_error error = CUBBY_ERROR_INIT;

    ck_ok(entry_reform(raw, KIND, key(), &form, &entry, &error), &error);
    cubby_blob_unref(raw);
    return entry;
}

static unsigned char *trailer_of(struct cubby_blob *entry) {
    return (unsigned char *)cubby_blob_writable(entry) + cubby_blob_size(entry) - TRAILER;
}

/* Makes the checksum right again, as anyone can. */
static void reseal(struct cubby_blob *entry) {
    XXH128_canonical_t sum;

    XXH128_canonicalFromHash(&sum,
                             XXH3_128bits(cubby_blob_data(entry), cubby_blob_size(entry) - 16));
    memcpy(trailer_of(entry) + SUM, &sum, sizeof(sum));
}

/* What reading the entry gives; the error is cleared before. */
static int reading(struct cubby_blob *entry, const struct mac_key *secret,
                   struct cubby_error *error) {
    struct cubby_object *object = NULL;
    int result;

    cubby_error_clear(error);
    result = object_from_stored(cubby_blob_ref(entry), KIND, key(), secret, OBJECT_VERIFY, &object,
                                error);
    cubby_object_unref(object);
    return result;
}

/* Asserts that an entry reads as the raw one does. */
static void expect_same(struct cubby_blob *entry, const struct mac_key *secret, size_t size) {
    struct cubby_blob *raw = raw_entry(size);
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_object *object;
    struct cubby_object_info info;

    ck_ok(object_from_stored(cubby_blob_ref(entry), KIND, key(), secret, OBJECT_VERIFY, &object,
                             &error),
          &error);
    ck_assert_uint_eq(cubby_object_size(object), size);
    ck_assert_mem_eq(cubby_object_data(object), cubby_blob_data(raw), size);
    cubby_object_info(object, &info);
    ck_assert_str_eq(info.arch, "sm_90");
    cubby_object_unref(object);
    cubby_blob_unref(raw);
}

/* ---- Signed ------------------------------------------------------------------------------ */

START_TEST(test_signed_round_trip) {
    struct mac_key secret = secret_of("one secret"), other = secret_of("one secreT");
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_blob *entry = formed_entry(500, 0, &secret), *raw = raw_entry(500);

    ck_assert_uint_eq(cubby_blob_size(entry), cubby_blob_size(raw) + MAC_SIZE);
    ck_assert_mem_eq(cubby_blob_data(entry), cubby_blob_data(raw), 500);
    expect_same(entry, &secret, 500);
    expect_same(entry, NULL, 500); /* who asks for no MAC reads it too */
    ck_assert_int_eq(reading(entry, &other, &error), CUBBY_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "another secret"));
    ck_assert_int_eq(reading(raw, &secret, &error), CUBBY_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "has no MAC"));
    cubby_error_clear(&error);
    cubby_blob_unref(raw);
    cubby_blob_unref(entry);
}
END_TEST

/* The MAC covers all but itself and the checksum, which anyone can make anew. */
START_TEST(test_no_bit_of_a_signed_entry_can_be_changed) {
    struct mac_key secret = secret_of("a secret");
    struct cubby_blob *entry = formed_entry(200, 0, &secret);
    struct cubby_error error = CUBBY_ERROR_INIT;
    unsigned char *bytes = cubby_blob_writable(entry);

    for (size_t i = 0; i < 8 * (cubby_blob_size(entry) - 16); i++) {
        bytes[i / 8] ^= (unsigned char)(1u << i % 8);
        reseal(entry);
        ck_assert_msg(reading(entry, &secret, &error) < 0, "bit %zu", i);
        bytes[i / 8] ^= (unsigned char)(1u << i % 8);
    }
    reseal(entry);
    ck_assert_int_eq(reading(entry, &secret, &error), 0);
    cubby_error_clear(&error);
    cubby_blob_unref(entry);
}
END_TEST

START_TEST(test_macs_are_compared_whole) {
    unsigned char left[MAC_SIZE] = {0}, right[MAC_SIZE] = {0};

    ck_assert(mac_equal(left, right));
    for (size_t i = 0; i < MAC_SIZE; i++) {
        right[i] = 0x80;
        ck_assert(!mac_equal(left, right));
        right[i] = 0;
    }
}
END_TEST

/* What is stored must stay readable: the key of a secret, and the MAC, by an implementation of
 * their own (Python's hashlib.blake2b). */
START_TEST(test_known_mac) {
    static const unsigned char KEY[] = {0xcf, 0x90, 0x10, 0xb0, 0x48, 0x84, 0x53, 0x6f,
                                        0x8d, 0x29, 0x78, 0x1f, 0x4a, 0x6e, 0xb1, 0x6a,
                                        0x01, 0xbc, 0x4b, 0x66, 0x6f, 0xf7, 0x06, 0x33,
                                        0x06, 0xf2, 0x43, 0x5a, 0xc7, 0x61, 0x13, 0xad};
    static const unsigned char MAC[] = {0xc5, 0xcb, 0x05, 0x28, 0x08, 0x41, 0x34, 0x76,
                                        0x61, 0xd9, 0x6f, 0xc4, 0x9e, 0x5b, 0x41, 0x8a,
                                        0x0d, 0xc7, 0x8a, 0x92, 0x23, 0xf5, 0x2f, 0xf3,
                                        0x30, 0xd1, 0xb1, 0xe1, 0xf0, 0x39, 0x2f, 0x8b};
    struct mac_key secret = secret_of("0123456789abcdef");
    unsigned char mac[MAC_SIZE];

    ck_assert_mem_eq(secret.bytes, KEY, sizeof(KEY));
    mac_compute(&secret, "pay", 3, "load", 4, mac);
    ck_assert_mem_eq(mac, MAC, sizeof(MAC));
}
END_TEST

/* ---- Forms that are not known ------------------------------------------------------------ */

START_TEST(test_form_of_a_newer_version) {
    static const struct {
        int offset;
        unsigned char value;
    } NEWER[] = {{FORMAT, 2}, {CODEC, 2}, {FLAGS, 2}, {FLAGS + 3, 0x80}};
    struct cubby_error error = CUBBY_ERROR_INIT;

    for (size_t i = 0; i < sizeof(NEWER) / sizeof(*NEWER); i++) {
        struct cubby_blob *entry = raw_entry(100);

        trailer_of(entry)[NEWER[i].offset] = NEWER[i].value;
        ck_assert_int_eq(reading(entry, NULL, &error), CUBBY_ERR_CORRUPT);
        reseal(entry);
        ck_assert_int_eq(reading(entry, NULL, &error), CUBBY_ERR_UNSUPPORTED);
        ck_assert_ptr_nonnull(strstr(error.message, "left as it is"));
        cubby_blob_unref(entry);
    }
    cubby_error_clear(&error);
}
END_TEST

START_TEST(test_mac_that_does_not_fit) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_blob *entry;

    ck_assert_int_eq(entry_encode(KIND, key(), "", 0, NULL, 0, &entry, NULL), 0);
    trailer_of(entry)[FLAGS] = 1;
    reseal(entry);
    ck_assert_int_eq(reading(entry, NULL, &error), CUBBY_ERR_CORRUPT);
    cubby_error_clear(&error);
    cubby_blob_unref(entry);
}
END_TEST

START_TEST(test_no_form_is_the_entry_itself) {
    const struct entry_form form = {0, NULL};
    struct cubby_blob *raw = raw_entry(100), *same;

    ck_assert_int_eq(entry_reform(raw, KIND, key(), &form, &same, NULL), 0);
    ck_assert_ptr_eq(raw, same);
    cubby_blob_unref(same);
    cubby_blob_unref(raw);
}
END_TEST

#ifdef HAVE_ZSTD
#include <zstd.h>

/* ---- Compressed -------------------------------------------------------------------------- */

static struct mac_key *secret_for(int index) {
    static struct mac_key secret;

    secret = secret_of("of the loop");
    return index % 2 ? &secret : NULL;
}

START_TEST(test_compressed_round_trip) {
    static const size_t SIZES[] = {1, 60, 61, 5000, 300000};

    for (size_t i = 0; i < sizeof(SIZES) / sizeof(*SIZES); i++) {
        for (int level = 1; level <= CODEC_LEVEL_MAX; level += 6) {
            struct mac_key *secret = secret_for(_i);
            struct cubby_blob *entry = formed_entry(SIZES[i], level, secret);

            if (SIZES[i] >= 5000) {
                ck_assert_uint_lt(cubby_blob_size(entry), SIZES[i] / 4);
                ck_assert_uint_eq(trailer_of(entry)[CODEC], ENTRY_ZSTD);
            }
            expect_same(entry, secret, SIZES[i]);
            cubby_blob_unref(entry);
        }
    }
}
END_TEST

/* Decoding gives the very entry that was compressed, for tiers above to keep. */
START_TEST(test_decoded_entry_is_the_first) {
    struct cubby_blob *entry = formed_entry(5000, 3, secret_for(_i)), *raw = raw_entry(5000);
    const struct entry_form only_signed = {0, secret_for(1)};
    struct cubby_blob *again, *by_hand = formed_entry(5000, 0, secret_for(1));
    struct cubby_object *object;

    ck_assert_int_eq(
        object_from_stored(cubby_blob_ref(entry), KIND, key(), NULL, OBJECT_VERIFY, &object, NULL),
        0);
    ck_assert_uint_eq(cubby_blob_size(object_blob(object)), cubby_blob_size(raw));
    ck_assert_mem_eq(cubby_blob_data(object_blob(object)), cubby_blob_data(raw),
                     cubby_blob_size(raw));
    cubby_object_unref(object);

    /* And a compressed one that is to take another form is decoded first. */
    ck_assert_int_eq(entry_reform(entry, KIND, key(), &only_signed, &again, NULL), 0);
    ck_assert_uint_eq(cubby_blob_size(again), cubby_blob_size(by_hand));
    ck_assert_mem_eq(cubby_blob_data(again), cubby_blob_data(by_hand), cubby_blob_size(again));
    cubby_blob_unref(again);
    cubby_blob_unref(by_hand);
    cubby_blob_unref(raw);
    cubby_blob_unref(entry);
}
END_TEST

START_TEST(test_what_does_not_shrink_is_kept) {
    const struct entry_form form = {19, secret_for(_i)};
    static const size_t SIZES[] = {0, 1, 3000};

    for (size_t i = 0; i < 3; i++) {
        struct cubby_blob *payload = blob_of(7, SIZES[i]), *raw, *entry;

        ck_assert_int_eq(
            entry_encode(KIND, key(), cubby_blob_data(payload), SIZES[i], NULL, 0, &raw, NULL), 0);
        ck_assert_int_eq(entry_reform(raw, KIND, key(), &form, &entry, NULL), 0);
        ck_assert_uint_eq(trailer_of(entry)[CODEC], ENTRY_RAW);
        ck_assert(is_blob_of(cubby_blob_data(entry), SIZES[i], 7));
        cubby_blob_unref(entry);
        cubby_blob_unref(raw);
        cubby_blob_unref(payload);
    }
}
END_TEST

START_TEST(test_every_bit) {
    struct mac_key *secret = secret_for(_i);
    struct cubby_blob *entry = formed_entry(700, 3, secret);
    struct cubby_error error = CUBBY_ERROR_INIT;
    unsigned char *bytes = cubby_blob_writable(entry);

    ck_assert_uint_eq(trailer_of(entry)[CODEC], ENTRY_ZSTD);
    for (size_t i = 0; i < 8 * cubby_blob_size(entry); i++) {
        bytes[i / 8] ^= (unsigned char)(1u << i % 8);
        ck_assert_msg(reading(entry, secret, &error) == CUBBY_ERR_CORRUPT, "bit %zu", i);
        bytes[i / 8] ^= (unsigned char)(1u << i % 8);
    }
    ck_ok(reading(entry, secret, &error), &error);
    cubby_blob_unref(entry);
}
END_TEST

START_TEST(test_every_length) {
    struct mac_key *secret = secret_for(_i);
    struct cubby_blob *entry = formed_entry(700, 3, secret);
    size_t size = cubby_blob_size(entry);
    struct cubby_error error = CUBBY_ERROR_INIT;
    unsigned char *longer = calloc(1, size + 64);

    memcpy(longer, cubby_blob_data(entry), size);
    for (size_t length = 0; length < size + 64; length++) {
        struct cubby_blob *cut = cubby_blob_copy(longer, length);

        ck_assert_int_eq(reading(cut, secret, &error), length == size ? 0 : CUBBY_ERR_CORRUPT);
        cubby_blob_unref(cut);
    }
    cubby_error_clear(&error);
    free(longer);
    cubby_blob_unref(entry);
}
END_TEST

/* Whoever changes the compressed bytes of an unsigned entry can make the checksum fit; what comes
 * of it must be refused or have the recorded length, and must not touch memory that is not its own.
 */
START_TEST(test_every_bit_with_a_good_checksum) {
    struct cubby_blob *entry = formed_entry(700, 3, NULL);
    struct cubby_error error = CUBBY_ERROR_INIT;
    unsigned char *bytes = cubby_blob_writable(entry);
    uint64_t stored;

    memcpy(&stored, trailer_of(entry) + STORED, sizeof(stored));
    for (size_t i = 0; i < 8 * le64toh(stored); i++) {
        struct cubby_object *object = NULL;

        bytes[i / 8] ^= (unsigned char)(1u << i % 8);
        reseal(entry);
        if (object_from_stored(cubby_blob_ref(entry), KIND, key(), NULL, OBJECT_VERIFY, &object,
                               &error) == 0)
            ck_assert_uint_eq(cubby_object_size(object), 700);
        else
            ck_assert_int_eq(error.code, CUBBY_ERR_CORRUPT);
        cubby_error_clear(&error);
        cubby_object_unref(object);
        bytes[i / 8] ^= (unsigned char)(1u << i % 8);
    }
    cubby_blob_unref(entry);
}
END_TEST

/* An entry of stored bytes that claims to hold so many once decompressed. */
static struct cubby_blob *claiming_entry(const void *stored, size_t stored_size, uint64_t claim) {
    struct cubby_blob *entry;

    ck_assert_int_eq(entry_encode(KIND, key(), stored, stored_size, NULL, 0, &entry, NULL), 0);
    trailer_of(entry)[CODEC] = ENTRY_ZSTD;
    claim = htole64(claim);
    memcpy(trailer_of(entry) + DECODED, &claim, sizeof(claim));
    reseal(entry);
    return entry;
}

/* Would they be believed, the first ones would be short of memory instead. */
START_TEST(test_claims_are_not_believed) {
    static const uint64_t CLAIMS[] = {UINT64_MAX,
                                      (uint64_t)1 << 63,
                                      (uint64_t)1 << 45,
                                      CODEC_LIMIT + 1,
                                      CODEC_LIMIT,
                                      1 << 20,
                                      701,
                                      699,
                                      0};
    struct cubby_blob *good = formed_entry(700, 3, NULL);
    struct cubby_error error = CUBBY_ERROR_INIT;
    uint64_t stored;

    memcpy(&stored, trailer_of(good) + STORED, sizeof(stored));
    for (size_t i = 0; i < sizeof(CLAIMS) / sizeof(*CLAIMS); i++) {
        struct cubby_blob *entry =
            claiming_entry(cubby_blob_data(good), le64toh(stored), CLAIMS[i]);

        ck_assert_int_eq(reading(entry, NULL, &error), CUBBY_ERR_CORRUPT);
        ck_assert_ptr_nonnull(strstr(error.message, "claims"));
        cubby_blob_unref(entry);
    }
    cubby_error_clear(&error);
    cubby_blob_unref(good);
}
END_TEST

/* The frame itself says the same as the entry: a header with a length of 8 bytes, then one block.
 */
START_TEST(test_bombs) {
    static const uint64_t CLAIMS[] = {(uint64_t)1 << 45, CODEC_LIMIT + 1, CODEC_LIMIT, 1 << 20};
    unsigned char frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0,    0,  0,
                             0,    0,    0,    0,    0x03, 0, 0x40, 'x'};
    struct cubby_error error = CUBBY_ERROR_INIT;

    for (size_t i = 0; i < sizeof(CLAIMS) / sizeof(*CLAIMS); i++) {
        uint64_t claim = htole64(CLAIMS[i]);
        struct cubby_blob *entry;

        memcpy(frame + 5, &claim, sizeof(claim));
        ck_assert_uint_eq(ZSTD_getFrameContentSize(frame, sizeof(frame)), CLAIMS[i]);
        entry = claiming_entry(frame, sizeof(frame), CLAIMS[i]);
        ck_assert_int_eq(reading(entry, NULL, &error), CUBBY_ERR_CORRUPT);
        ck_assert_ptr_nonnull(strstr(error.message, "claims"));
        cubby_blob_unref(entry);
    }
    cubby_error_clear(&error);
}
END_TEST

/* Frames that hold less or more than they say, or say nothing. */
START_TEST(test_frames_that_lie) {
    /* 100 bytes claimed, one block of 99 or of 101 times 'x'. */
    unsigned char frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0x20, 100, 0, 0, 0, 'x'};
    static const unsigned SIZES[] = {99, 101, 100};
    struct cubby_error error = CUBBY_ERROR_INIT;
    char silent[64];
    struct cubby_blob *entry;
    ZSTD_CCtx *context = ZSTD_createCCtx();
    size_t size;

    for (size_t i = 0; i < 3; i++) {
        uint32_t block = htole32(1 | 1 << 1 | SIZES[i] << 3); /* last, repeated byte, length */

        memcpy(frame + 6, &block, 3);
        entry = claiming_entry(frame, sizeof(frame), 100);
        ck_assert_int_eq(reading(entry, NULL, &error), SIZES[i] == 100 ? 0 : CUBBY_ERR_CORRUPT);
        cubby_blob_unref(entry);
    }
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    size = ZSTD_compress2(context, silent, sizeof(silent), "aaaaaaaaaaaaaaaaaaaa", 20);
    ZSTD_freeCCtx(context);
    entry = claiming_entry(silent, size, 20);
    ck_assert_int_eq(reading(entry, NULL, &error), CUBBY_ERR_CORRUPT);
    cubby_error_clear(&error);
    cubby_blob_unref(entry);
}
END_TEST

START_TEST(test_described_without_decompressing) {
    struct mac_key *secret = secret_for(_i);
    struct cubby_blob *entry = formed_entry(700, 3, secret);
    struct cubby_object_info info;
    struct cubby_object *object;

    ((unsigned char *)cubby_blob_writable(entry))[0] ^= 1; /* no zstd frame any more */
    reseal(entry);
    ck_assert_int_eq(object_from_stored(cubby_blob_ref(entry), KIND, key(), NULL,
                                        OBJECT_VERIFY | OBJECT_DESCRIBE, &object, NULL),
                     0);
    ck_assert_ptr_null(cubby_object_data(object));
    ck_assert_uint_eq(cubby_object_size(object), 700);
    cubby_object_info(object, &info);
    ck_assert_str_eq(info.arch, "sm_90");
    cubby_object_unref(object);
    cubby_blob_unref(entry);
}
END_TEST

static void add_codec_tests(TCase *tcase) {
    tcase_add_loop_test(tcase, test_compressed_round_trip, 0, 2);
    tcase_add_loop_test(tcase, test_decoded_entry_is_the_first, 0, 2);
    tcase_add_loop_test(tcase, test_what_does_not_shrink_is_kept, 0, 2);
    tcase_add_loop_test(tcase, test_every_bit, 0, 2);
    tcase_add_loop_test(tcase, test_every_length, 0, 2);
    tcase_add_test(tcase, test_every_bit_with_a_good_checksum);
    tcase_add_test(tcase, test_claims_are_not_believed);
    tcase_add_test(tcase, test_bombs);
    tcase_add_test(tcase, test_frames_that_lie);
    tcase_add_loop_test(tcase, test_described_without_decompressing, 0, 2);
}

#else

START_TEST(test_compressed_entry_without_codec) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_blob *entry = formed_entry(700, 3, NULL), *raw = raw_entry(700);
    struct cubby_object_info info;
    struct cubby_object *object;

    ck_assert_mem_eq(cubby_blob_data(entry), cubby_blob_data(raw), cubby_blob_size(raw));
    trailer_of(entry)[CODEC] = ENTRY_ZSTD;
    reseal(entry);
    ck_assert_int_eq(reading(entry, NULL, &error), CUBBY_ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(error.message, "zstd"));
    ck_assert_int_eq(object_from_stored(cubby_blob_ref(entry), KIND, key(), NULL,
                                        OBJECT_VERIFY | OBJECT_DESCRIBE, &object, NULL),
                     0);
    ck_assert_ptr_null(cubby_object_data(object));
    cubby_object_info(object, &info);
    ck_assert_str_eq(info.arch, "sm_90");
    cubby_object_unref(object);
    cubby_error_clear(&error);
    cubby_blob_unref(raw);
    cubby_blob_unref(entry);
}
END_TEST

static void add_codec_tests(TCase *tcase) {
    tcase_add_test(tcase, test_compressed_entry_without_codec);
}

#endif

int main(void) {
    Suite *suite = suite_create("form");
    TCase *tcase = tcase_create("all");

    tcase_add_test(tcase, test_signed_round_trip);
    tcase_add_test(tcase, test_no_bit_of_a_signed_entry_can_be_changed);
    tcase_add_test(tcase, test_macs_are_compared_whole);
    tcase_add_test(tcase, test_known_mac);
    tcase_add_test(tcase, test_form_of_a_newer_version);
    tcase_add_test(tcase, test_mac_that_does_not_fit);
    tcase_add_test(tcase, test_no_form_is_the_entry_itself);
    add_codec_tests(tcase);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
