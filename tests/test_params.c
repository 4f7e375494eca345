/* SPDX-License-Identifier: Apache-2.0 */
/* Tiers that compress or sign, by their spec: what lies in the files, what passes between tiers,
 * and that what was planted is never served. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/cache.h"
#include "entry/entry.h"
#include "object.h"
#include "store_tools.h"

#define SIZE 6000

static char logged[4096];

static void keep_line(enum cubby_log_level level, const char *line, void *context) {
    size_t used = strlen(logged);

    (void)level;
    (void)context;
    snprintf(logged + used, sizeof(logged) - used, "%s\n", line);
}

static void listen(void) {
    logged[0] = '\0';
    cubby_log_set(keep_line, CUBBY_LOG_DEBUG, NULL);
}

/* Asserts that the log says so since listen(). */
static void expect_logged(const char *text) {
    ck_assert_msg(strstr(logged, text) != NULL, "\"%s\" is not in: %s", text, logged);
}

/* A text that shrinks, and which says for whom it is. */
static void fill(char text[SIZE], const char *word) {
    for (size_t i = 0; i < SIZE; i++)
        text[i] = word[i % strlen(word)];
}

static void put(struct cubby_cache *cache, const char *word) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_key key = key_of(1);
    char text[SIZE];

    fill(text, word);
    ck_ok(cubby_cache_put(cache, &key, text, SIZE, &error), &error);
}

/* Asserts what the cache serves; NULL for a miss. */
static void expect(struct cubby_cache *cache, const char *word) {
    struct cubby_key key = key_of(1);
    struct cubby_object *object = NULL;
    char text[SIZE];
    int result = cubby_cache_get(cache, CUBBY_ENTRY_USER, &key, &object, NULL, NULL);

    ck_assert_int_eq(result, word ? 0 : CUBBY_ERR_NOT_FOUND);
    if (!word)
        return;
    fill(text, word);
    ck_assert_uint_eq(cubby_object_size(object), SIZE);
    ck_assert_mem_eq(cubby_object_data(object), text, SIZE);
    cubby_object_unref(object);
}

/* Opens, asks once, closes. */
static void expect_in(const char *folder, const char *format, const char *word) {
    struct cubby_cache *cache = open_spec(format, folder);

    expect(cache, word);
    cubby_cache_unref(cache);
}

static void put_in(const char *folder, const char *format, const char *word) {
    struct cubby_cache *cache = open_spec(format, folder);

    put(cache, word);
    cubby_cache_unref(cache);
}

/* Path of the one entry in a file store of the folder. */
static char *entry_path(const char *folder, const char *store, const char *kind) {
    struct cubby_key key = key_of(1);
    char hex[CUBBY_KEY_HEX_SIZE], *path;

    cubby_key_format(&key, hex);
    ck_assert_int_gt(asprintf(&path, "%s/%s/%s/%.2s/%s", folder, store, kind, hex, hex + 2), 0);
    return path;
}

/* Size of that entry's file; 0 where there is none. */
static size_t entry_size(const char *folder, const char *store) {
    char *path = entry_path(folder, store, "user");
    struct stat status = {0};

    if (stat(path, &status) < 0)
        status.st_size = 0;
    free(path);
    return (size_t)status.st_size;
}

/* ---- Compression ------------------------------------------------------------------------- */

#ifdef HAVE_ZSTD
START_TEST(test_write_through_and_promotion) {
    static const char TIERS[] = "file:@/raw,file:@/zstd?compress=zstd,file:@/more?compress=zstd:19";
    const char *folder = scratch_dir();
    size_t raw;

    put_in(folder, TIERS, "one ");
    raw = entry_size(folder, "raw");
    ck_assert_uint_ge(raw, SIZE);
    ck_assert_uint_lt(entry_size(folder, "zstd"), SIZE / 4);
    ck_assert_uint_lt(entry_size(folder, "more"), SIZE / 4);

    /* Each is readable by itself, whatever the reader would write. */
    expect_in(folder, "file:@/zstd", "one ");
    expect_in(folder, "file:@/more?compress=zstd:1", "one ");
    expect_in(folder, "file:@/raw?compress=zstd", "one ");

    /* Upwards into a tier that does not compress, and into one that does. */
    expect_in(folder, "memory,file:@/new-raw,file:@/zstd?compress=zstd", "one ");
    ck_assert_uint_eq(entry_size(folder, "new-raw"), raw);
    expect_in(folder, "file:@/new-zstd?compress=zstd,file:@/raw", "one ");
    ck_assert_uint_eq(entry_size(folder, "new-zstd"), entry_size(folder, "zstd"));
    expect_in(folder, "file:@/new-zstd", "one ");
}
END_TEST

#ifdef HAVE_SQLITE
START_TEST(test_compressed_database) {
    const char *folder = scratch_dir();
    struct cubby_cache *cache = open_spec("sqlite:@/s.db?compress=zstd", folder);
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_store_stats stats;

    put(cache, "one ");
    expect(cache, "one ");
    ck_ok(cubby_cache_tier_stats(cache, 0, &stats, &error), &error);
    ck_assert_uint_lt(stats.bytes, SIZE / 4);
    cubby_cache_unref(cache);
}
END_TEST
#endif

START_TEST(test_looking_moves_nothing) {
    const char *folder = scratch_dir();
    struct cubby_key key = key_of(1);
    struct cubby_object *object;
    struct cubby_cache *cache;

    put_in(folder, "file:@/zstd?compress=zstd", "one ");
    cache = open_spec("file:@/upper,file:@/zstd", folder);
    ck_assert_int_eq(cubby_cache_describe(cache, CUBBY_ENTRY_USER, &key, &object), 0);
    ck_assert_uint_eq(cubby_object_size(object), SIZE);
    ck_assert_ptr_null(cubby_object_data(object));
    cubby_object_unref(object);
    ck_assert_uint_eq(entry_size(folder, "upper"), 0);
    ck_assert_int_eq(cubby_cache_describe(cache, CUBBY_ENTRY_OBJECT, &key, &object),
                     CUBBY_ERR_NOT_FOUND);
    ck_assert_int_eq(cubby_cache_describe(cache, (enum cubby_entry_kind)99, &key, &object),
                     CUBBY_ERR_INVALID);
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_damaged_compressed_file) {
    const char *folder = scratch_dir();
    char *path, *bytes;
    size_t size;

    put_in(folder, "file:@/zstd?compress=zstd", "one ");
    path = entry_path(folder, "zstd", "user");
    bytes = read_whole(path, &size);
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 0x10;
        write_file(path, bytes, size);
        bytes[i] ^= 0x10;
        expect_in(folder, "file:@/zstd", NULL);
        ck_assert_uint_eq(entry_size(folder, "zstd"), 0);
    }
    put_in(folder, "file:@/zstd?compress=zstd", "two ");
    expect_in(folder, "file:@/zstd", "two ");
    free(bytes);
    free(path);
}
END_TEST

static void add_codec_tests(TCase *tcase) {
    tcase_add_test(tcase, test_write_through_and_promotion);
#ifdef HAVE_SQLITE
    tcase_add_test(tcase, test_compressed_database);
#endif
    tcase_add_test(tcase, test_looking_moves_nothing);
    tcase_add_test(tcase, test_damaged_compressed_file);
}

#else

START_TEST(test_no_codec_in_this_build) {
    const char *folder = scratch_dir();

    listen();
    put_in(folder, "file:@/zstd?compress=zstd", "one ");
    expect_logged("has no zstd");
    ck_assert_uint_ge(entry_size(folder, "zstd"), SIZE);
    expect_in(folder, "file:@/zstd", "one ");
}
END_TEST

static void add_codec_tests(TCase *tcase) {
    tcase_add_test(tcase, test_no_codec_in_this_build);
}
#endif

/* ---- Secrets ----------------------------------------------------------------------------- */

#define SIGNED "file:@/store?secret_file=@/secret"
#define FIRST "the first secret, of 32 bytes. "
#define SECOND "the second secret, of 32 bytes."

START_TEST(test_secret_changed) {
    const char *folder = scratch_dir();
    struct cubby_store_stats stats;
    struct cubby_cache *cache;
    size_t size;

    write_secret(folder, "secret", FIRST);
    write_secret(folder, "other", SECOND);
    put_in(folder, SIGNED, "first ");
    expect_in(folder, SIGNED, "first ");
    size = entry_size(folder, "store");

    listen();
    cache = open_spec("file:@/store?secret_file=@/other", folder);
    expect(cache, NULL);
    expect_logged("another secret");
    ck_assert_uint_eq(entry_size(folder, "store"), size); /* left for whom it belongs to */
    cubby_cache_flush(cache, NULL);
    ck_assert_int_eq(cubby_cache_tier_stats(cache, 0, &stats, NULL), 0);
    ck_assert_uint_eq(stats.counters.corrupt, 1);
    put(cache, "second ");
    expect(cache, "second ");
    cubby_cache_unref(cache);

    expect_in(folder, SIGNED, NULL);
    write_secret(folder, "secret", SECOND);
    expect_in(folder, SIGNED, "second ");
    expect_in(folder, "file:@/store", "second "); /* no secret is asked for, and none needed */
}
END_TEST

START_TEST(test_planted_entry) {
    const char *folder = scratch_dir();

    write_secret(folder, "secret", FIRST);
    put_in(folder, "file:@/store", "planted ");
    listen();
    expect_in(folder, SIGNED, NULL);
    expect_logged("has no MAC");
    ck_assert_uint_gt(entry_size(folder, "store"), 0);
    put_in(folder, SIGNED, "mine ");
    expect_in(folder, SIGNED, "mine ");
}
END_TEST

/* Manifests and remembered toolchains decide which code is served, as much as objects do. */
START_TEST(test_every_kind_is_signed) {
    enum cubby_entry_kind kind = (enum cubby_entry_kind)_i;
    const char *folder = scratch_dir();
    struct cubby_key key = key_of(1);
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *plain, *with_secret;
    struct cubby_object *object;
    struct cubby_blob *entry;
    const char *tier;

    write_secret(folder, "secret", FIRST);
    ck_assert_int_eq(entry_encode(kind, &key, "code", 4, NULL, 0, &entry, NULL), 0);
    plain = open_spec("file:@/store", folder);
    with_secret = open_spec(SIGNED, folder);
    ck_ok(cache_store(plain, kind, &key, entry, &error), &error);
    ck_assert_int_eq(cache_lookup(plain, kind, &key, &object, &tier), 0);
    cubby_object_unref(object);
    ck_assert_int_eq(cache_lookup(with_secret, kind, &key, &object, &tier), CUBBY_ERR_NOT_FOUND);
    ck_assert_int_eq(cache_peek(with_secret, kind, &key, OBJECT_DESCRIBE, &object, &tier),
                     CUBBY_ERR_NOT_FOUND);
    ck_ok(cache_store(with_secret, kind, &key, entry, &error), &error);
    ck_assert_int_eq(cache_lookup(with_secret, kind, &key, &object, &tier), 0);
    cubby_object_unref(object);
    cubby_blob_unref(entry);
    cubby_cache_unref(with_secret);
    cubby_cache_unref(plain);
}
END_TEST

/* A good entry under the name of another, which has a MAC that is good for its own. */
START_TEST(test_signed_entry_that_was_moved) {
    const char *folder = scratch_dir();
    char *user, *object;

    write_secret(folder, "secret", FIRST);
    put_in(folder, SIGNED, "one ");
    user = entry_path(folder, "store", "user");
    object = entry_path(folder, "store", "object");
    *strrchr(object, '/') = '\0';
    ck_assert_int_eq(mkdir(object, 0700), 0);
    free(object);
    object = entry_path(folder, "store", "object");
    ck_assert_int_eq(rename(user, object), 0);
    for (int kind = 0; kind < CUBBY_ENTRY_KINDS; kind++) {
        struct cubby_cache *cache = open_spec(SIGNED, folder);
        struct cubby_key key = key_of(1);
        struct cubby_object *found;

        ck_assert_int_eq(cubby_cache_peek(cache, (enum cubby_entry_kind)kind, &key, &found),
                         CUBBY_ERR_NOT_FOUND);
        cubby_cache_unref(cache);
    }
    free(object);
    free(user);
}
END_TEST

START_TEST(test_tiers_of_different_secrets) {
    static const char TIERS[] = "memory,file:@/store?secret_file=@/secret,"
                                "file:@/b?secret_file=@/other&compress=zstd,file:@/c";
    const char *folder = scratch_dir();

    write_secret(folder, "secret", FIRST);
    write_secret(folder, "other", SECOND);
    put_in(folder, TIERS, "one ");
    expect_in(folder, SIGNED, "one ");
    expect_in(folder, "file:@/b?secret_file=@/other", "one ");
    expect_in(folder, "file:@/b?secret_file=@/secret", NULL);
    expect_in(folder, "file:@/c", "one ");
    expect_in(folder, "file:@/c?secret_file=@/secret", NULL);

    /* Promotion signs for the tier above. */
    expect_in(folder, "file:@/d?secret_file=@/secret,file:@/b?secret_file=@/other", "one ");
    expect_in(folder, "file:@/d?secret_file=@/secret", "one ");

    /* A tier that is not believed is passed over for one that is. */
    put_in(folder, "file:@/e", "planted ");
    expect_in(folder, "file:@/e?secret_file=@/secret,file:@/store?secret_file=@/secret", "one ");
    expect_in(folder, "file:@/e?secret_file=@/secret", "one ");
}
END_TEST

/* ---- Secret files ------------------------------------------------------------------------ */

/* Asserts that a secret is refused, for a reason that names the file and not the secret. */
static void secret_refused(const char *folder, const char *reason) {
    struct cubby_cache *cache;
    const struct cubby_error *problem;
    char *path = path_in(folder, "secret");

    listen();
    cache = open_spec_or_less(SIGNED, folder);
    ck_assert_uint_eq(cubby_cache_tier_count(cache), 0);
    problem = cubby_cache_problem(cache, 0);
    ck_assert_ptr_nonnull(problem);
    ck_assert_msg(strstr(problem->message, reason) && strstr(problem->message, path), "%s",
                  problem->message);
    ck_assert_ptr_null(strstr(logged, "first"));
    cubby_cache_unref(cache);
    free(path);
}

START_TEST(test_secret_files_that_are_refused) {
    static const mode_t OPEN[] = {0640, 0604, 0620, 0602, 0610, 0601};
    const char *folder = scratch_dir();
    char *path = path_in(folder, "secret"), *store = path_in(folder, "store"), *long_one;
    bool root = geteuid() == 0;

    secret_refused(folder, "No such file");
    ck_assert_int_eq(mkdir(path, 0700), 0);
    secret_refused(folder, "not a regular file");
    rmdir(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    secret_refused(folder, "not a regular file");
    unlink(path);
    write_secret(folder, "secret", "first 15 bytes.");
    secret_refused(folder, "has 15 bytes");
    long_one = calloc(1, 5000);
    memset(long_one, 'x', 4999);
    write_secret(folder, "secret", long_one);
    secret_refused(folder, "has 4999 bytes");
    free(long_one);
    write_secret(folder, "secret", FIRST);
    for (size_t i = root ? 1 : 0; i < sizeof(OPEN) / sizeof(*OPEN); i++) {
        if (root && OPEN[i] == 0610) /* nothing that root's group could do with it */
            continue;
        ck_assert_int_eq(chmod(path, OPEN[i]), 0);
        secret_refused(folder, "chmod");
    }
    ck_assert_int_eq(access(store, F_OK), -1); /* nothing was made */
    ck_assert_int_eq(chmod(path, 0400), 0);
    cubby_cache_unref(open_spec(SIGNED, folder));
    free(store);
    free(path);
}
END_TEST

START_TEST(test_secret_file_of_another) {
    const char *folder = scratch_dir();
    char *path = path_in(folder, "secret");

    if (is_root("secret of another user")) {
        write_secret(folder, "secret", FIRST);
        ck_assert_int_eq(chown(path, 12345, 0), 0);
        secret_refused(folder, "belongs to user 12345");
        ck_assert_int_eq(chown(path, 0, 12345), 0);
        ck_assert_int_eq(chmod(path, 0640), 0); /* an administrator chose that group */
        cubby_cache_unref(open_spec(SIGNED, folder));
    }
    free(path);
}
END_TEST

START_TEST(test_secret_is_read_once) {
    const char *folder = scratch_dir();
    struct cubby_cache *cache;

    write_secret(folder, "secret", FIRST);
    cache = open_spec(SIGNED, folder);
    put(cache, "one ");
    write_secret(folder, "secret", SECOND);
    expect(cache, "one ");
    cubby_cache_unref(cache);
    expect_in(folder, SIGNED, NULL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("params");
    TCase *tcase = tcase_create("all");

    add_codec_tests(tcase);
    tcase_add_test(tcase, test_secret_changed);
    tcase_add_test(tcase, test_planted_entry);
    tcase_add_loop_test(tcase, test_every_kind_is_signed, 0, CUBBY_ENTRY_KINDS);
    tcase_add_test(tcase, test_signed_entry_that_was_moved);
    tcase_add_test(tcase, test_tiers_of_different_secrets);
    tcase_add_test(tcase, test_secret_files_that_are_refused);
    tcase_add_test(tcase, test_secret_file_of_another);
    tcase_add_test(tcase, test_secret_is_read_once);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
