/* SPDX-License-Identifier: Apache-2.0 */
/* Export and import: what goes out comes in again, and nothing else does. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/cache.h"
#include "entry/entry.h"
#include "harness.h"
#include "util/buffer.h"

#define BLOCK 512

#ifdef HAVE_SQLITE
#define OTHER_STORE "sqlite"
#else
#define OTHER_STORE "file"
#endif

static struct cubby_cache *open_in(const char *kind, const char *folder, const char *parameters) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache;
    char *spec;

    ck_assert_int_ge(asprintf(&spec, "%s:%s/%s%s", kind, folder, kind, parameters), 0);
    ck_ok(cubby_cache_open(spec, &cache, &error), &error);
    ck_assert_ptr_null(cubby_cache_problem(cache, 0));
    free(spec);
    return cache;
}

static struct cubby_cache *open_new(void) {
    return open_in("file", scratch_dir(), "");
}

#ifdef HAVE_LIBARCHIVE

/* An entry as it is stored; its bytes follow from the number and the size. */
static struct cubby_blob *entry_of(enum cubby_entry_kind kind, unsigned number, size_t size) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_blob *payload = blob_of(number, size), *blob;
    struct cubby_key key = key_of(number);

    ck_ok(entry_encode(kind, &key, cubby_blob_data(payload), size, NULL, 0, &blob, &error), &error);
    cubby_blob_unref(payload);
    return blob;
}

static void put(struct cubby_cache *cache, enum cubby_entry_kind kind, unsigned number,
                size_t size) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_blob *blob = entry_of(kind, number, size);
    struct cubby_key key = key_of(number);

    ck_ok(cache_store(cache, kind, &key, blob, &error), &error);
    cubby_blob_unref(blob);
}

static bool has(struct cubby_cache *cache, unsigned number, size_t size) {
    struct cubby_key key = key_of(number);
    struct cubby_object *object;

    if (cubby_cache_peek(cache, CUBBY_ENTRY_OBJECT, &key, &object) < 0)
        return false;
    ck_assert_uint_eq(cubby_object_size(object), size);
    ck_assert(is_blob_of(cubby_object_data(object), size, number));
    cubby_object_unref(object);
    return true;
}

static uint64_t count(struct cubby_cache *cache) {
    struct cubby_verify_result result;

    ck_assert_int_eq(cubby_cache_verify(cache, 0, NULL, NULL, &result, NULL), 0);
    ck_assert_uint_eq(result.damaged, 0);
    return result.entries;
}

/* ---- Out --------------------------------------------------------------------------------- */

static char *export(struct cubby_cache *cache, size_t *ret_size,
                    struct cubby_export_result *ret_result) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    char *path = path_in(scratch_dir(), "a.tar"), *data;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_ok(cubby_cache_export(cache, fd, ret_result, &error), &error);
    close(fd);
    data = read_whole(path, ret_size);
    free(path);
    return data;
}

/* ---- In ---------------------------------------------------------------------------------- */

struct refusals {
    unsigned count;
    char name[256], reason[256]; /* of the last */
};

static void note(const char *name, const char *reason, void *context) {
    struct refusals *refusals = context;

    refusals->count++;
    snprintf(refusals->name, sizeof(refusals->name), "%s", name);
    snprintf(refusals->reason, sizeof(refusals->reason), "%s", reason);
}

static int import_code(struct cubby_cache *cache, const void *data, size_t size,
                       struct cubby_import_result *ret_result, struct refusals *refusals) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    char *path = path_in(scratch_dir(), "a.tar");
    int fd, code;

    write_file(path, data, size);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    *refusals = (struct refusals){0};
    code = cubby_cache_import(cache, fd, note, refusals, ret_result, &error);
    close(fd);
    unlink(path);
    free(path);
    ck_assert_int_eq(error.code, code);
    ck_assert_uint_eq(refusals->count, ret_result->refused);
    cubby_error_clear(&error);
    return code;
}

static struct cubby_import_result import(struct cubby_cache *cache, const void *data, size_t size) {
    struct cubby_import_result result;
    struct refusals refusals;

    ck_assert_int_eq(import_code(cache, data, size, &result, &refusals), 0);
    return result;
}

/* ---- Round trips ------------------------------------------------------------------------- */

static void fill(struct cubby_cache *cache, unsigned first, unsigned step) {
    for (unsigned i = 0; i < 40; i++)
        put(cache, CUBBY_ENTRY_OBJECT, (first + i * step) % 40, 1000 + (first + i * step) % 40);
}

/* The same entries give the same bytes, in whatever order and store they were put. */
START_TEST(test_equal_stores_give_equal_archives) {
    struct cubby_cache *one = open_new(), *two = open_in(OTHER_STORE, scratch_dir(), "");
    struct cubby_export_result results[2];
    size_t sizes[2];
    char *archives[2];

    fill(one, 0, 1);
    fill(two, 13, 7);
    archives[0] = export(one, &sizes[0], &results[0]);
    archives[1] = export(two, &sizes[1], &results[1]);
    ck_assert_uint_eq(results[0].entries, 40);
    ck_assert_uint_eq(results[0].damaged, 0);
    ck_assert_uint_eq(results[0].bytes, results[1].bytes);
    ck_assert_uint_eq(sizes[0], sizes[1]);
    ck_assert_mem_eq(archives[0], archives[1], sizes[0]);
    for (int i = 0; i < 2; i++)
        free(archives[i]);
    cubby_cache_unref(one);
    cubby_cache_unref(two);
}
END_TEST

START_TEST(test_round_trip) {
    struct cubby_cache *from = open_new(), *to = open_new();
    struct cubby_import_result result;
    struct cubby_store_stats before, after;
    size_t size, again_size;
    char *archive, *again;

    fill(from, 0, 1);
    archive = export(from, &size, NULL);
    result = import(to, archive, size);
    ck_assert_uint_eq(result.entries, 40);
    ck_assert_uint_eq(result.present, 0);
    ck_assert_uint_eq(result.refused, 0);
    for (unsigned i = 0; i < 40; i++)
        ck_assert(has(to, i, 1000 + i));
    again = export(to, &again_size, NULL);
    ck_assert_uint_eq(size, again_size);
    ck_assert_mem_eq(archive, again, size);

    /* Once more: nothing changes, not even a counter. */
    cubby_cache_flush(to, NULL);
    ck_assert_int_eq(cubby_cache_tier_stats(to, 0, &before, NULL), 0);
    result = import(to, archive, size);
    ck_assert_uint_eq(result.entries, 0);
    ck_assert_uint_eq(result.present, 40);
    cubby_cache_flush(to, NULL);
    ck_assert_int_eq(cubby_cache_tier_stats(to, 0, &after, NULL), 0);
    ck_assert_mem_eq(&before, &after, sizeof(before));
    free(again);
    free(archive);
    cubby_cache_unref(from);
    cubby_cache_unref(to);
}
END_TEST

/* What leaves a signed store is signed; a store with a secret takes nothing else. */
START_TEST(test_signatures) {
    static const char FROM[] = "file:@/from?secret_file=@/secret"
#ifdef HAVE_ZSTD
                               "&compress=zstd"
#endif
        ;
    const char *folder = scratch_dir();
    struct cubby_cache *from, *same, *other, *plain;
    struct cubby_import_result result;
    struct refusals refusals;
    char *archive;
    size_t size;

    write_secret(folder, "secret", "a secret of more than sixteen bytes");
    write_secret(folder, "other", "another one of more than sixteen bytes");
    from = open_spec(FROM, folder);
    same = open_spec("file:@/same?secret_file=@/secret", folder);
    other = open_spec("file:@/other-store?secret_file=@/other", folder);
    plain = open_spec("file:@/plain", folder);
    put(from, CUBBY_ENTRY_OBJECT, 1, 5000);
    archive = export(from, &size, NULL);
    ck_assert_uint_eq(import(same, archive, size).entries, 1);
    ck_assert(has(same, 1, 5000));
    ck_assert_uint_eq(import(plain, archive, size).entries, 1);
    ck_assert(has(plain, 1, 5000));
    ck_assert_int_eq(import_code(other, archive, size, &result, &refusals), 0);
    ck_assert_uint_eq(result.refused, 1);
    ck_assert_str_eq(refusals.reason, "it is not signed with the store's secret");
    ck_assert_uint_eq(count(other), 0);
    free(archive);

    put(plain, CUBBY_ENTRY_OBJECT, 2, 5000);
    archive = export(plain, &size, NULL);
    ck_assert_int_eq(import_code(same, archive, size, &result, &refusals), 0);
    ck_assert_uint_eq(result.present, 1);
    ck_assert_uint_eq(result.refused, 1);
    ck_assert(!has(same, 2, 5000));
    free(archive);
    cubby_cache_unref(from);
    cubby_cache_unref(same);
    cubby_cache_unref(other);
    cubby_cache_unref(plain);
}
END_TEST

START_TEST(test_empty_store) {
    struct cubby_cache *from = open_new(), *to = open_new();
    size_t size;
    char *archive = export(from, &size, NULL);

    ck_assert_uint_gt(size, 2 * BLOCK - 1);
    ck_assert_uint_eq(import(to, archive, size).entries, 0);
    free(archive);
    cubby_cache_unref(from);
    cubby_cache_unref(to);
}
END_TEST

/* What lies in two tiers goes out once; toolchains and damaged entries do not. */
START_TEST(test_what_is_exported) {
    char *folder = strdup(scratch_dir());
    struct cubby_cache *cache;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_export_result result;
    char hex[CUBBY_KEY_HEX_SIZE], *spec, *path, *archive;
    struct cubby_key key = key_of(3);
    size_t size;

    ck_assert_int_ge(asprintf(&spec, "file:%s/a,file:%s/b", folder, folder), 0);
    ck_ok(cubby_cache_open(spec, &cache, &error), &error);
    put(cache, CUBBY_ENTRY_OBJECT, 1, 10);
    put(cache, CUBBY_ENTRY_USER, 1, 10);
    put(cache, CUBBY_ENTRY_RUNTIME, 2, 10);
    put(cache, CUBBY_ENTRY_TOOLCHAIN, 2, 10);
    put(cache, CUBBY_ENTRY_OBJECT, 3, 10);
    free(export(cache, &size, &result));
    ck_assert_uint_eq(result.entries, 4);

    /* One damaged copy: the other tier's goes. Both: it is left out. */
    cubby_key_format(&key, hex);
    for (char tier = 'a'; tier <= 'b'; tier++) {
        ck_assert_int_ge(asprintf(&path, "%s/%c/object/%.2s/%s", folder, tier, hex, hex + 2), 0);
        write_file(path, "damaged", 7);
        free(path);
        archive = export(cache, &size, &result);
        ck_assert_uint_eq(result.entries, tier == 'a' ? 4 : 3);
        ck_assert_uint_eq(result.damaged, tier == 'a' ? 0 : 1);
        ck_assert_ptr_null(memmem(archive, size, "toolchain/", 10));
        free(archive);
    }
    cubby_cache_unref(cache);
    free(spec);
    free(folder);
}
END_TEST

START_TEST(test_caps_and_read_only_tiers_hold) {
    struct cubby_cache *from = open_new(), *small = open_in("file", scratch_dir(), "?max_size=64K"),
                       *sealed;
    char *folder = strdup(scratch_dir());
    struct cubby_import_result result;
    struct cubby_store_stats stats;
    struct refusals refusals;
    size_t size;
    char *archive;

    for (unsigned i = 0; i < 50; i++)
        put(from, CUBBY_ENTRY_OBJECT, i, 4000);
    put(from, CUBBY_ENTRY_OBJECT, 50, 100000); /* larger than the cap of the small one */
    archive = export(from, &size, NULL);
    import(small, archive, size);
    ck_assert_int_eq(cubby_cache_tier_stats(small, 0, &stats, NULL), 0);
    ck_assert_uint_le(stats.bytes, 64 << 10);
    ck_assert_uint_ge(stats.bytes, 40 << 10);
    ck_assert(!has(small, 50, 100000));
    cubby_cache_unref(open_in("file", folder, ""));
    sealed = open_in("file", folder, "?read_only=1");
    ck_assert_int_eq(import_code(sealed, archive, size, &result, &refusals), CUBBY_ERR_IO);
    ck_assert_uint_eq(count(sealed), 0);
    free(archive);
    cubby_cache_unref(sealed);
    cubby_cache_unref(small);
    cubby_cache_unref(from);
    free(folder);
}
END_TEST

/* A damaged entry in the store is replaced by the good one of the archive. */
START_TEST(test_import_heals) {
    char *folder = strdup(scratch_dir());
    struct cubby_cache *cache = open_in("file", folder, "");
    struct cubby_key key = key_of(5);
    char hex[CUBBY_KEY_HEX_SIZE], *path, *archive;
    size_t size;

    put(cache, CUBBY_ENTRY_OBJECT, 5, 500);
    archive = export(cache, &size, NULL);
    cubby_key_format(&key, hex);
    ck_assert_int_ge(asprintf(&path, "%s/file/object/%.2s/%s", folder, hex, hex + 2), 0);
    write_file(path, "damaged", 7);
    ck_assert_uint_eq(import(cache, archive, size).entries, 1);
    ck_assert(has(cache, 5, 500));
    free(path);
    free(archive);
    cubby_cache_unref(cache);
    free(folder);
}
END_TEST

START_TEST(test_descriptors_that_fail) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache = open_new();
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC), folder = open("/", O_RDONLY | O_CLOEXEC);

    put(cache, CUBBY_ENTRY_OBJECT, 1, 100000);
    ck_assert_int_eq(cubby_cache_export(cache, full, NULL, &error), CUBBY_ERR_IO);
    ck_assert_ptr_nonnull(strstr(error.message, "No space left"));
    cubby_error_clear(&error);
    ck_assert_int_eq(cubby_cache_import(cache, folder, NULL, NULL, NULL, &error), CUBBY_ERR_IO);
    ck_assert_ptr_nonnull(strstr(error.message, "Is a directory"));
    cubby_error_clear(&error);
    close(full);
    close(folder);
    cubby_cache_unref(cache);
}
END_TEST

/* ---- Archives made by hand --------------------------------------------------------------- */

/* A header as POSIX describes it, with whatever is asked for. */
static void add_header(struct buffer *tar, const char *name, uint64_t size, char type,
                       const char *link) {
    char header[BLOCK] = {0};
    unsigned sum = 0;

    memcpy(header, name, strnlen(name, 100));
    memcpy(header + 100, "0000644", 8);
    memcpy(header + 108, "0000000", 8);
    memcpy(header + 116, "0000000", 8);
    if (size < (uint64_t)1 << 33) {
        snprintf(header + 124, 12, "%011llo", (unsigned long long)size);
    } else { /* as GNU tar has it: the top bit, then a binary number */
        header[124] = (char)0x80;
        for (int i = 0; i < 8; i++)
            header[135 - i] = (char)(size >> (8 * i));
    }
    memcpy(header + 136, "00000000000", 12);
    memset(header + 148, ' ', 8);
    header[156] = type;
    memcpy(header + 157, link, strlen(link));
    memcpy(header + 257, "ustar\00000", 8);
    for (size_t i = 0; i < BLOCK; i++)
        sum += (unsigned char)header[i];
    snprintf(header + 148, 8, "%06o", sum & 0777777);
    buffer_add(tar, header, BLOCK);
}

static void add_data(struct buffer *tar, const void *data, size_t size) {
    static const char ZEROS[BLOCK];

    buffer_add(tar, data, size);
    buffer_add(tar, ZEROS, (BLOCK - size % BLOCK) % BLOCK);
}

static void add_end(struct buffer *tar) {
    static const char ZEROS[2 * BLOCK];

    buffer_add(tar, ZEROS, sizeof(ZEROS));
    ck_assert(!tar->failed);
}

static void add_entry(struct buffer *tar, const char *name, enum cubby_entry_kind kind,
                      unsigned number) {
    struct cubby_blob *blob = entry_of(kind, number, 700);

    add_header(tar, name, cubby_blob_size(blob), '0', "");
    add_data(tar, cubby_blob_data(blob), cubby_blob_size(blob));
    cubby_blob_unref(blob);
}

static const char *name_of(const char *prefix, unsigned number) {
    static char name[200];
    char hex[CUBBY_KEY_HEX_SIZE];
    struct cubby_key key = key_of(number);

    cubby_key_format(&key, hex);
    snprintf(name, sizeof(name), "%s%s", prefix, hex);
    return name;
}

/* A whole entry of object 1 under a name, or as a thing, that it must not have. */
static const struct hostile {
    const char *prefix; /* in front of the key of 1; a name of its own where it ends in '!' */
    char type;
    const char *link, *reason;
} HOSTILE[] = {
    {"../../object/", '0', "", "not of the form"},
    {"/object/", '0', "", "not of the form"},
    {"object/../object/", '0', "", "not of the form"},
    {"./object/", '0', "", "not of the form"},
    {"object//", '0', "", "not of the form"},
    {"object/x", '0', "", "not of the form"},
    {"objects/", '0', "", "not of the form"},
    {"", '0', "", "not of the form"},
    {"/etc/passwd!", '0', "", "not of the form"},
    {"object/\x1b[31mred!", '0', "", "not of the form"},
    {"user/", '0', "", "belongs to another key"},
    {"manifest/", '0', "", "belongs to another key"},
    {"toolchain/", '0', "", "of one machine"},
    {"object/", '1', "/etc/passwd", "not a regular file"},
    {"object/", '2', "/etc/passwd", "not a regular file"},
    {"object/", '3', "", "not a regular file"},
    {"object/", '4', "", "not a regular file"},
    {"object/", '6', "", "not a regular file"},
};

START_TEST(test_hostile_members) {
    const struct hostile *hostile = &HOSTILE[_i];
    struct cubby_cache *cache = open_new();
    struct buffer tar = BUFFER_INIT;
    struct cubby_import_result result;
    struct refusals refusals;
    size_t length = strlen(hostile->prefix);
    char name[200];

    if (length > 0 && hostile->prefix[length - 1] == '!')
        snprintf(name, sizeof(name), "%.*s", (int)length - 1, hostile->prefix);
    else
        snprintf(name, sizeof(name), "%s", name_of(hostile->prefix, 1));
    if (hostile->type == '0') {
        add_entry(&tar, name, CUBBY_ENTRY_OBJECT, 1);
    } else {
        add_header(&tar, name, 0, hostile->type, hostile->link);
    }
    add_entry(&tar, name_of("object/", 2), CUBBY_ENTRY_OBJECT, 2);
    add_end(&tar);
    ck_assert_int_eq(import_code(cache, tar.data, tar.size, &result, &refusals), 0);
    ck_assert_uint_eq(refusals.count, 1);
    ck_assert_str_eq(refusals.name, name);
    ck_assert_msg(strstr(refusals.reason, hostile->reason), "%s", refusals.reason);
    ck_assert_uint_eq(result.entries, 1); /* and the good one beside it is taken */
    ck_assert(has(cache, 2, 700));
    ck_assert(!has(cache, 1, 700));
    ck_assert_uint_eq(count(cache), 1);
    buffer_free(&tar);
    cubby_cache_unref(cache);
}
END_TEST

/* Sizes that are promised and do not come. */
START_TEST(test_promised_sizes) {
    static const uint64_t SIZES[] = {1000000, (uint64_t)1 << 30, ((uint64_t)1 << 30) + 1,
                                     (uint64_t)1 << 40, (uint64_t)INT64_MAX - 511};
    struct cubby_cache *cache = open_new();
    struct buffer tar = BUFFER_INIT;
    struct cubby_import_result result;
    struct refusals refusals;

    add_entry(&tar, name_of("object/", 2), CUBBY_ENTRY_OBJECT, 2);
    add_header(&tar, name_of("object/", 1), SIZES[_i], '0', "");
    add_data(&tar, "short", 5);
    add_end(&tar);
    ck_assert_int_eq(import_code(cache, tar.data, tar.size, &result, &refusals), CUBBY_ERR_CORRUPT);
    ck_assert_uint_eq(refusals.count, SIZES[_i] > (uint64_t)1 << 30);
    ck_assert_uint_eq(result.entries, 1);
    ck_assert_uint_eq(count(cache), 1);
    buffer_free(&tar);
    cubby_cache_unref(cache);
}
END_TEST

/* At each length an archive is either whole or said to be cut short; what came in is good. */
START_TEST(test_every_truncation) {
    struct cubby_cache *cache = open_new();
    struct cubby_import_result result;
    struct refusals refusals;
    struct buffer tar = BUFFER_INIT;

    for (unsigned i = 0; i < 3; i++)
        add_entry(&tar, name_of("object/", i), CUBBY_ENTRY_OBJECT, i);
    add_end(&tar);
    for (size_t size = 0; size < tar.size;
         size += size % BLOCK == 0 || size % BLOCK == 511 ? 1 : 102)
        ck_assert_msg(import_code(cache, tar.data, size, &result, &refusals) == CUBBY_ERR_CORRUPT,
                      "%zu of %zu bytes", size, tar.size);
    ck_assert_uint_eq(count(cache), 3);
    ck_assert_uint_eq(import(cache, tar.data, tar.size).present, 3);
    buffer_free(&tar);
    cubby_cache_unref(cache);
}
END_TEST

/* Whichever byte is wrong: no crash, and nothing comes in but what went out. */
START_TEST(test_every_byte_wrong) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache;
    struct buffer tar = BUFFER_INIT;
    char *path = path_in(scratch_dir(), "a.tar");

    ck_ok(cubby_cache_open("memory", &cache, &error), &error);
    for (unsigned i = 0; i < 2; i++)
        add_entry(&tar, name_of("object/", i), CUBBY_ENTRY_OBJECT, i);
    add_end(&tar);
    for (size_t at = 0; at < tar.size - 2 * BLOCK; at++) {
        int fd;

        tar.data[at] ^= (char)(1 << at % 8);
        write_file(path, tar.data, tar.size);
        tar.data[at] ^= (char)(1 << at % 8);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        cubby_cache_import(cache, fd, NULL, NULL, NULL, NULL);
        close(fd);
        for (unsigned i = 0; i < 2; i++)
            has(cache, i, 700);
        ck_assert_uint_le(count(cache), 2);
        if (at % 64 == 0)
            ck_assert_int_eq(cubby_cache_clear(cache, NULL), 0);
    }
    free(path);
    buffer_free(&tar);
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_many_members) {
    struct cubby_cache *cache = open_new();
    struct cubby_import_result result;
    struct buffer tar = BUFFER_INIT;
    struct refusals refusals;
    char name[32];

    for (unsigned i = 0; i < 100000; i++) {
        snprintf(name, sizeof(name), "object/%u", i);
        add_header(&tar, name, 0, i % 2 ? '0' : '5', ""); /* folders are passed over */
    }
    add_entry(&tar, name_of("object/", 2), CUBBY_ENTRY_OBJECT, 2);
    add_end(&tar);
    ck_assert_int_eq(import_code(cache, tar.data, tar.size, &result, &refusals), 0);
    ck_assert_uint_eq(result.refused, 50000);
    ck_assert_uint_eq(result.entries, 1);
    ck_assert_uint_eq(count(cache), 1);
    buffer_free(&tar);
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_what_is_no_archive) {
    static const struct {
        const char *bytes;
        size_t size;
    } NONE[] = {{"", 0},
                {"x", 1},
                {"\x1f\x8b\x08\x00\x00\x00\x00\x00", 8},
                {"PK\x03\x04", 4},
                {"!<arch>\n", 8}};
    struct cubby_cache *cache = open_new();
    struct cubby_import_result result;
    struct refusals refusals;

    for (size_t i = 0; i < sizeof(NONE) / sizeof(*NONE); i++)
        ck_assert_int_eq(import_code(cache, NONE[i].bytes, NONE[i].size, &result, &refusals),
                         CUBBY_ERR_CORRUPT);
    ck_assert_uint_eq(count(cache), 0);
    cubby_cache_unref(cache);
}
END_TEST

#else

START_TEST(test_without_libarchive) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache = open_new();
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    ck_assert_int_eq(cubby_cache_export(cache, null, NULL, &error), CUBBY_ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(error.message, "--without-libarchive"));
    cubby_error_clear(&error);
    ck_assert_int_eq(cubby_cache_import(cache, null, NULL, NULL, NULL, &error),
                     CUBBY_ERR_UNSUPPORTED);
    cubby_error_clear(&error);
    close(null);
    cubby_cache_unref(cache);
}
END_TEST

#endif

int main(void) {
    Suite *suite = suite_create("transfer");
    TCase *tcase = tcase_create("transfer");

    suite_add_tcase(suite, tcase);
    tcase_set_timeout(tcase, 120);
#ifdef HAVE_LIBARCHIVE
    tcase_add_test(tcase, test_equal_stores_give_equal_archives);
    tcase_add_test(tcase, test_round_trip);
    tcase_add_test(tcase, test_signatures);
    tcase_add_test(tcase, test_empty_store);
    tcase_add_test(tcase, test_what_is_exported);
    tcase_add_test(tcase, test_caps_and_read_only_tiers_hold);
    tcase_add_test(tcase, test_import_heals);
    tcase_add_test(tcase, test_descriptors_that_fail);
    tcase_add_loop_test(tcase, test_hostile_members, 0, sizeof(HOSTILE) / sizeof(*HOSTILE));
    tcase_add_loop_test(tcase, test_promised_sizes, 0, 5);
    tcase_add_test(tcase, test_every_truncation);
    tcase_add_test(tcase, test_every_byte_wrong);
    tcase_add_test(tcase, test_many_members);
    tcase_add_test(tcase, test_what_is_no_archive);
#else
    tcase_add_test(tcase, test_without_libarchive);
#endif
    return run_suite(suite);
}
