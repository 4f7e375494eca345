/* SPDX-License-Identifier: Apache-2.0 */
/* Looking after a cache: verify, with damage of every sort, and trim. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#ifdef HAVE_SQLITE
#include <sqlite3.h>
#endif

#include "cache/cache.h"
#include "entry/entry.h"
#include "fake_backend.h"
#include "harness.h"
#include "util/units.h"

#define SIZE 3000

static void put(struct cubby_cache *cache, unsigned number, size_t size) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_blob *blob = blob_of(number, size);
    struct cubby_key key = key_of(number);

    ck_ok(cubby_cache_put(cache, &key, cubby_blob_data(blob), size, &error), &error);
    cubby_blob_unref(blob);
}

/* ---- Verifying --------------------------------------------------------------------------- */

/* What a run of verify told. */
struct told {
    struct cubby_verify_result result;
    struct cubby_finding last;
    char problem[CUBBY_MESSAGE_SIZE];
    unsigned calls;
};

static int note(const struct cubby_finding *finding, void *context) {
    struct told *told = context;

    told->last = *finding;
    told->calls++;
    snprintf(told->problem, sizeof(told->problem), "%s", finding->problem);
    return 0;
}

static struct told verify(struct cubby_cache *cache, unsigned flags) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct told told = {0};

    ck_ok(cubby_cache_verify(cache, flags, note, &told, &told.result, &error), &error);
    ck_assert_uint_eq(told.calls, told.result.damaged + told.result.remarks);
    return told;
}

static void expect_sound(struct cubby_cache *cache, uint64_t entries) {
    struct told told = verify(cache, 0);

    ck_assert_msg(told.calls == 0, "%s", told.problem);
    ck_assert_uint_eq(told.result.entries, entries);
}

START_TEST(test_sound_stores) {
    static const char *const SPECS[] = {
        "memory",
        "file:@/f",
        "memory,file:@/a,file:@/b",
#ifdef HAVE_SQLITE
        "sqlite:@/s.db",
        "memory,file:@/t,sqlite:@/t.db?max_size=1M",
#endif
    };

    for (size_t i = 0; i < sizeof(SPECS) / sizeof(*SPECS); i++) {
        struct cubby_cache *cache = open_spec(SPECS[i], scratch_dir());
        size_t tiers = cubby_cache_tier_count(cache);
        struct told told;

        expect_sound(cache, 0);
        for (unsigned number = 0; number < 300; number++)
            put(cache, number, number);
        expect_sound(cache, 300 * tiers);
        told = verify(cache, CUBBY_VERIFY_REPAIR);
        ck_assert_uint_eq(told.calls, 0);
        ck_assert_uint_gt(told.result.bytes, 300 * 150 * tiers);
        cubby_cache_unref(cache);
    }
}
END_TEST

/* The file of an entry. */
static char *entry_path(const char *store, const char *kind, unsigned number) {
    struct cubby_key key = key_of(number);
    char hex[CUBBY_KEY_HEX_SIZE], *path;

    cubby_key_format(&key, hex);
    ck_assert_int_ge(asprintf(&path, "%s/%s/%.2s/%s", store, kind, hex, hex + 2), 0);
    return path;
}

static void flip(const char *path, size_t at) {
    size_t size;
    char *data = read_whole(path, &size);

    data[at < size ? at : size - 1] ^= 0x20;
    write_file(path, data, size);
    free(data);
}

static void hurt_payload(const char *path) {
    flip(path, 100);
}
static void hurt_meta(const char *path) {
    flip(path, SIZE + 3);
}
static void hurt_sum(const char *path) {
    flip(path, SIZE_MAX);
}
static void hurt_empty(const char *path) {
    ck_assert_int_eq(truncate(path, 0), 0);
}
static void hurt_short(const char *path) {
    ck_assert_int_eq(truncate(path, SIZE), 0);
}
static void hurt_trailer(const char *path) {
    ck_assert_int_eq(truncate(path, 87), 0);
}
static void hurt_mode(const char *path) {
    ck_assert_int_eq(chmod(path, 0666), 0);
}

static void hurt_longer(const char *path) {
    FILE *file = fopen(path, "ab");

    ck_assert_ptr_nonnull(file);
    fputs("garbage", file);
    fclose(file);
}

/* The entry of another key, whole. */
static void hurt_key(const char *path) {
    char *store = strdup(path), *other;

    *strstr(store, "/user/") = '\0';
    other = entry_path(store, "user", 2);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(link(other, path), 0);
    free(other);
    free(store);
}

static void hurt_link(const char *path) {
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink("/etc/passwd", path), 0);
}

static void hurt_fifo(const char *path) {
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
}

static void hurt_folder(const char *path) {
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void hurt_owner(const char *path) {
    if (geteuid() != 0) /* then only the mode can be wrong */
        hurt_mode(path);
    else
        ck_assert_int_eq(chown(path, 65534, 65534), 0);
}

static const struct hurt {
    void (*hurt)(const char *path);
    const char *problem;
} HURTS[] = {
    {hurt_payload, "checksum does not match"}, {hurt_meta, "checksum does not match"},
    {hurt_sum, "checksum does not match"},     {hurt_empty, "shorter than its trailer"},
    {hurt_short, "no magic number"},           {hurt_trailer, "shorter than its trailer"},
    {hurt_mode, "others can write it"},        {hurt_longer, "no magic number"},
    {hurt_key, "belongs to another key"},      {hurt_link, "not a regular file"},
    {hurt_fifo, "not a regular file"},         {hurt_folder, "not a regular file"},
    {hurt_owner, "others can write it"},
};

/* Found and named, left as it is without repair, removed with it, and then all is well. */
START_TEST(test_damaged_files) {
    const char *store = scratch_dir();
    struct cubby_cache *cache = open_spec("file:@", store);
    char *path = entry_path(store, "user", 1);
    struct cubby_key key = key_of(1);
    struct told told;

    for (unsigned number = 0; number < 4; number++)
        put(cache, number, SIZE);
    HURTS[_i].hurt(path);
    for (int i = 0; i < 2; i++) {
        told = verify(cache, 0);
        ck_assert_msg(told.result.damaged == 1 && told.calls == 1, "%u: %s", told.calls,
                      told.problem);
        ck_assert_uint_eq(told.result.repaired, 0);
        ck_assert_msg(strstr(told.problem, HURTS[_i].problem), "%s", told.problem);
        ck_assert_str_eq(told.last.tier, "file");
        ck_assert(told.last.has_key && told.last.damage && !told.last.repaired);
        ck_assert_int_eq(told.last.kind, CUBBY_ENTRY_USER);
        ck_assert_mem_eq(&told.last.key, &key, sizeof(key));
    }
    told = verify(cache, CUBBY_VERIFY_REPAIR);
    ck_assert_uint_eq(told.result.damaged, 1);
    ck_assert_uint_eq(told.result.repaired, 1);
    ck_assert(told.last.repaired);
    ck_assert_int_ne(access(path, F_OK), 0);
    expect_sound(cache, 3);
    put(cache, 1, SIZE);
    expect_sound(cache, 4);
    cubby_cache_unref(cache);
    free(path);
}
END_TEST

START_TEST(test_read_only_is_not_repaired) {
    const char *store = scratch_dir();
    struct cubby_cache *cache = open_spec("file:@", store);
    char *path = entry_path(store, "user", 1);
    struct told told;

    put(cache, 1, SIZE);
    cubby_cache_unref(cache);
    hurt_payload(path);
    cache = open_spec("file:@?read_only=1", store);
    told = verify(cache, CUBBY_VERIFY_REPAIR);
    ck_assert_uint_eq(told.result.damaged, 1);
    ck_assert_uint_eq(told.result.repaired, 0);
    ck_assert_int_eq(access(path, F_OK), 0);
    cubby_cache_unref(cache);
    free(path);
}
END_TEST

START_TEST(test_manifests_must_be_readable) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache = open_spec("file:@", scratch_dir());
    struct cubby_key key = key_of(1);
    struct cubby_blob *blob;
    struct told told;

    ck_ok(entry_encode(CUBBY_ENTRY_MANIFEST, &key, "nonsense", 8, NULL, 0, &blob, &error), &error);
    ck_ok(cache_store(cache, CUBBY_ENTRY_MANIFEST, &key, blob, &error), &error);
    cubby_blob_unref(blob);
    told = verify(cache, CUBBY_VERIFY_REPAIR);
    ck_assert_uint_eq(told.result.damaged, 1);
    ck_assert_uint_eq(told.result.repaired, 1);
    ck_assert_int_eq(told.last.kind, CUBBY_ENTRY_MANIFEST);
    ck_assert_ptr_nonnull(strstr(told.problem, "no manifest"));
    expect_sound(cache, 0);
    cubby_cache_unref(cache);
}
END_TEST

/* Nothing of an entry: remarks, or damage without a key. */
START_TEST(test_around_the_files) {
    const char *store = scratch_dir();
    struct cubby_cache *cache = open_spec("file:@", store);
    const struct timeval old[2] = {{1000, 0}, {1000, 0}};
    struct told told;
    char *path;

    put(cache, 1, SIZE);
    cubby_cache_flush(cache, NULL);
    path = path_in(store, "notes.txt");
    write_file(path, "mine", 4);
    told = verify(cache, CUBBY_VERIFY_REPAIR);
    ck_assert_uint_eq(told.result.remarks, 1);
    ck_assert_uint_eq(told.result.damaged, 0);
    ck_assert_ptr_nonnull(strstr(told.problem, "notes.txt"));
    ck_assert_int_eq(unlink(path), 0); /* it was left alone */
    free(path);

    path = path_in(store, "tmp/0123456789abcdef");
    write_file(path, "torn", 4);
    expect_sound(cache, 1); /* someone may be writing it */
    ck_assert_int_eq(utimes(path, old), 0);
    told = verify(cache, 0);
    ck_assert_uint_eq(told.result.remarks, 1);
    ck_assert_int_eq(access(path, F_OK), 0);
    told = verify(cache, CUBBY_VERIFY_REPAIR);
    ck_assert_uint_eq(told.result.remarks, 1);
    ck_assert_int_ne(access(path, F_OK), 0);
    free(path);

    path = path_in(store, "object/ab");
    write_file(path, "x", 1);
    told = verify(cache, CUBBY_VERIFY_REPAIR);
    ck_assert_uint_eq(told.result.damaged, 1);
    ck_assert_uint_eq(told.result.repaired, 1);
    ck_assert_ptr_nonnull(strstr(told.problem, "object/ab is not a folder"));
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(chmod(path, 0777), 0);
    told = verify(cache, 0);
    ck_assert_uint_eq(told.result.damaged, 1);
    told = verify(cache, CUBBY_VERIFY_REPAIR);
    ck_assert_uint_eq(told.result.repaired, 1);
    free(path);
    expect_sound(cache, 1);
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_shared_counters_of_files) {
    const char *store = scratch_dir();
    struct cubby_cache *cache = open_spec("file:@?max_size=64M", store);
    char *path = path_in(store, "counters"), *entry;
    struct cubby_store_stats stats;
    struct told told;

    for (unsigned number = 0; number < 8; number++)
        put(cache, number, 1 << 20);
    cubby_cache_flush(cache, NULL);
    expect_sound(cache, 8);
    flip(path, 20);
    told = verify(cache, 0);
    ck_assert_uint_eq(told.result.damaged, 1);
    ck_assert_ptr_nonnull(strstr(told.problem, "counters is damaged"));
    told = verify(cache, CUBBY_VERIFY_REPAIR);
    ck_assert_uint_eq(told.result.repaired, 1);
    expect_sound(cache, 8); /* and the total is that of the entries, not 0 */
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink("elsewhere", path), 0);
    told = verify(cache, CUBBY_VERIFY_REPAIR);
    ck_assert_uint_eq(told.result.repaired, 1);
    expect_sound(cache, 8);

    /* A hand that removed entries told no one. */
    for (unsigned number = 0; number < 8; number++) {
        entry = entry_path(store, "user", number);
        ck_assert_int_eq(unlink(entry), 0);
        free(entry);
    }
    told = verify(cache, CUBBY_VERIFY_REPAIR);
    ck_assert_uint_eq(told.result.remarks, 1);
    ck_assert_uint_eq(told.result.damaged, 0);
    ck_assert(told.last.repaired);
    expect_sound(cache, 0);
    ck_assert_int_eq(cubby_cache_tier_stats(cache, 0, &stats, NULL), 0);
    ck_assert_uint_eq(stats.bytes, 0);
    cubby_cache_unref(cache);
    free(path);
}
END_TEST

/* A look at everything is no use of it, and the visitor may end it. */
static int stop(const struct cubby_finding *finding, void *context) {
    ck_assert_str_eq(finding->tier, "file");
    ++*(unsigned *)context;
    return 7;
}

START_TEST(test_verify_uses_nothing_and_can_be_ended) {
    const struct timeval old[2] = {{1000000, 0}, {1000000, 0}};
    const char *store = scratch_dir();
    struct cubby_cache *cache = open_spec("file:@?max_size=1M", store);
    struct cubby_store_stats stats;
    struct stat status;
    unsigned calls = 0;
    char *path;

    for (unsigned number = 0; number < 3; number++) {
        put(cache, number, SIZE);
        path = entry_path(store, "user", number);
        ck_assert_int_eq(utimes(path, old), 0);
        free(path);
    }
    expect_sound(cache, 3);
    path = entry_path(store, "user", 1);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(status.st_mtime, 1000000);
    cubby_cache_flush(cache, NULL);
    ck_assert_int_eq(cubby_cache_tier_stats(cache, 0, &stats, NULL), 0);
    ck_assert_uint_eq(stats.counters.hits + stats.counters.misses, 0);
    free(path);
    for (unsigned number = 0; number < 3; number++) {
        path = entry_path(store, "user", number);
        hurt_payload(path);
        free(path);
    }
    ck_assert_int_eq(cubby_cache_verify(cache, 0, stop, &calls, NULL, NULL), 7);
    ck_assert_uint_eq(calls, 1);
    cubby_cache_unref(cache);
}
END_TEST

/* A tier that fails is damage, and does not keep the others from being read. */
START_TEST(test_damage_in_one_of_two_tiers) {
    struct fake_control control = {0};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_backend *tiers[1] = {fake_backend_new(&control)};
    struct cubby_cache *cache;
    struct told told;

    ck_ok(cubby_cache_open_backends(tiers, 1, &cache, &error), &error);
    put(cache, 1, SIZE);
    control.corrupt_get = true;
    told = verify(cache, 0);
    ck_assert_uint_eq(told.result.damaged, 1);
    ck_assert_uint_eq(control.removes, 0);
    control.corrupt_get = false;
    control.fail_get = CUBBY_ERR_IO;
    told = verify(cache, CUBBY_VERIFY_REPAIR);
    ck_assert_uint_eq(told.result.damaged, 1);
    ck_assert_uint_eq(control.removes, 1);
    cubby_cache_unref(cache);
}
END_TEST

/* ---- Databases --------------------------------------------------------------------------- */

#ifdef HAVE_SQLITE
static void run_sql(const char *path, const char *sql) {
    sqlite3 *db;

    ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

static const struct {
    const char *sql, *problem;
    uint64_t damaged, left;
    bool has_key;
} ROWS[] = {
    {"UPDATE entry SET data = zeroblob(size) WHERE id = 1", "no magic number", 1, 299, true},
    {"UPDATE entry SET data = zeroblob(5) WHERE id = 1", "row 1 is not of the form", 2, 299, true},
    {"UPDATE entry SET kind = 77 WHERE id = 300", "the totals say", 2, 299, false},
    {"UPDATE entry SET key = x'00ff' WHERE id = 257", "row 257 is not", 1, 299, false},
    {"UPDATE total SET bytes = 12, entries = 3 WHERE kind = 3", "the totals say 3 entries of 12", 1,
     300, false},
    {"DELETE FROM total", "the totals say", 5, 300, false},
};

START_TEST(test_damaged_rows) {
    char *path = path_in(scratch_dir(), "s.db");
    struct cubby_cache *cache = open_spec("sqlite:@", path);
    struct cubby_store_stats stats;
    struct told told;

    for (unsigned number = 0; number < 300; number++)
        put(cache, number, 100);
    run_sql(path, ROWS[_i].sql);
    told = verify(cache, 0);
    ck_assert_msg(told.result.damaged == ROWS[_i].damaged, "%u: %s", (unsigned)told.result.damaged,
                  told.problem);
    ck_assert_msg(strstr(told.problem, ROWS[_i].problem), "%s", told.problem);
    ck_assert_int_eq(told.last.has_key, ROWS[_i].has_key);
    told = verify(cache, CUBBY_VERIFY_REPAIR);
    ck_assert_uint_gt(told.result.damaged, 0);
    ck_assert_uint_eq(told.result.repaired, told.result.damaged);
    expect_sound(cache, ROWS[_i].left);
    ck_assert_int_eq(cubby_cache_tier_stats(cache, 0, &stats, NULL), 0);
    ck_assert_uint_eq(stats.entries[CUBBY_ENTRY_USER], ROWS[_i].left);
    cubby_cache_unref(cache);
    free(path);
}
END_TEST

/* Cannot be mended: is set aside by who opens it next. */
START_TEST(test_damaged_structure) {
    char *path = path_in(scratch_dir(), "s.db"), *data;
    struct cubby_cache *cache = open_spec("sqlite:@", path);
    struct told told;
    size_t size;

    for (unsigned number = 0; number < 300; number++)
        put(cache, number, SIZE);
    cubby_cache_unref(cache);
    run_sql(path, "PRAGMA wal_checkpoint(TRUNCATE)");
    data = read_whole(path, &size);
    ck_assert_uint_gt(size, 400000);
    memset(data + 40960, 0xa5, 4096 * 20);
    write_file(path, data, size);
    free(data);
    cache = open_spec("sqlite:@", path);
    told = verify(cache, CUBBY_VERIFY_REPAIR);
    ck_assert_uint_gt(told.result.damaged, told.result.repaired);
    cubby_cache_unref(cache);
    cache = open_spec("sqlite:@", path);
    expect_sound(cache, 0);
    cubby_cache_unref(cache);
    free(path);
}
END_TEST
#endif

/* ---- What is only others' ---------------------------------------------------------------- */

START_TEST(test_signed_by_others_is_no_damage) {
    const char *folder = scratch_dir();
    struct cubby_cache *plain = open_spec("file:@/store", folder), *ours;
    struct told told;

    write_secret(folder, "secret", "a secret of more than sixteen bytes");
    ours = open_spec("file:@/store?secret_file=@/secret", folder);
    put(plain, 1, SIZE);
    put(ours, 2, SIZE);
    told = verify(ours, CUBBY_VERIFY_REPAIR);
    ck_assert_uint_eq(told.result.entries, 2);
    ck_assert_uint_eq(told.result.damaged, 0);
    ck_assert_uint_eq(told.result.remarks, 1);
    ck_assert(told.last.has_key && !told.last.repaired);
    ck_assert_msg(strstr(told.problem, "secret_file") != NULL, "%s", told.problem);
    expect_sound(plain, 2);
    cubby_cache_unref(plain);
    cubby_cache_unref(ours);
}
END_TEST

START_TEST(test_store_of_a_group) {
    char *root = path_in(scratch_dir(), "store"), *path;
    struct cubby_cache *cache;
    struct told told;

    ck_assert_int_eq(mkdir(root, 0700), 0);
    ck_assert_int_eq(chmod(root, 02770), 0);
    cache = open_spec("file:@?shared=group", root);
    put(cache, 1, SIZE);
    expect_sound(cache, 1);

    path = entry_path(root, "user", 1);
    ck_assert_int_eq(chmod(path, 0666), 0);
    told = verify(cache, 0);
    ck_assert_uint_eq(told.result.damaged, 1);
    ck_assert_int_eq(chmod(path, 0660), 0);
    *strrchr(path, '/') = '\0';
    ck_assert_int_eq(chmod(path, 02777), 0);
    told = verify(cache, CUBBY_VERIFY_REPAIR);
    ck_assert_uint_eq(told.result.damaged, 1);
    ck_assert_uint_eq(told.result.repaired, 1);
    expect_sound(cache, 1);
    free(path);
    free(root);
    cubby_cache_unref(cache);
}
END_TEST

/* ---- Trimming ---------------------------------------------------------------------------- */

static struct cubby_trimmed trim(struct cubby_cache *cache, uint64_t max_size,
                                 int64_t used_before) {
    const struct cubby_trim_limits limits = {max_size, used_before};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_trimmed trimmed;

    ck_ok(cubby_cache_trim(cache, &limits, &trimmed, &error), &error);
    return trimmed;
}

static uint64_t stored(struct cubby_cache *cache, struct cubby_verify_result *ret_result) {
    ck_assert_int_eq(cubby_cache_verify(cache, 0, NULL, NULL, ret_result, NULL), 0);
    return ret_result->entries;
}

START_TEST(test_trim) {
    static const char *const SPECS[] = {"memory", "file:@/f", "sqlite:@/s.db"};
    struct cubby_cache *cache = open_spec(SPECS[_i], scratch_dir());
    struct cubby_verify_result before, after;
    struct cubby_trimmed trimmed;

    for (unsigned number = 0; number < 100; number++)
        put(cache, number, 1000);
    stored(cache, &before);
    trimmed = trim(cache, before.bytes, 0);
    ck_assert_uint_eq(trimmed.entries, 0);
    trimmed = trim(cache, 0, 1);
    ck_assert_uint_eq(trimmed.entries, 0);
    trimmed = trim(cache, before.bytes / 4, 0);
    ck_assert_uint_eq(trimmed.entries, 75);
    ck_assert_uint_eq(trimmed.bytes, before.bytes / 4 * 3);
    ck_assert_uint_eq(stored(cache, &after), 25);
    trimmed = trim(cache, 0, INT64_MAX);
    ck_assert_uint_eq(trimmed.entries, 25);
    ck_assert_uint_eq(stored(cache, &after), 0);
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_trim_goes_by_use) {
    const char *store = scratch_dir();
    struct cubby_cache *cache = open_spec("file:@", store);
    struct cubby_object *object;
    struct cubby_key key;

    for (unsigned number = 0; number < 10; number++) {
        const struct timeval when[2] = {{1000 + number * 7 % 10, 0}, {1000 + number * 7 % 10, 0}};
        char *path;

        put(cache, number, SIZE);
        path = entry_path(store, "user", number);
        ck_assert_int_eq(utimes(path, when), 0);
        free(path);
    }
    ck_assert_uint_eq(trim(cache, 0, 1005).entries, 5);
    for (unsigned number = 0; number < 10; number++) {
        bool stays = number * 7 % 10 >= 5;

        key = key_of(number);
        ck_assert_int_eq(cubby_cache_peek(cache, CUBBY_ENTRY_USER, &key, &object) == 0, stays);
        if (stays)
            cubby_object_unref(object);
    }
    trim(cache, SIZE + 500, 0);
    key = key_of(7); /* 7 * 7 % 10 = 9: the newest */
    ck_assert_int_eq(cubby_cache_peek(cache, CUBBY_ENTRY_USER, &key, &object), 0);
    cubby_object_unref(object);
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_trim_refuses) {
    const struct cubby_trim_limits none = {0}, all = {.used_before = INT64_MAX};
    struct cubby_error error = CUBBY_ERROR_INIT;
    const char *store = scratch_dir();
    struct cubby_cache *cache = open_spec("file:@", store);
    struct cubby_trimmed trimmed;

    put(cache, 1, SIZE);
    ck_assert_int_eq(cubby_cache_trim(cache, &none, NULL, &error), CUBBY_ERR_INVALID);
    cubby_error_clear(&error);
    cubby_cache_unref(cache);
    cache = open_spec("file:@?read_only=1", store);
    ck_assert_int_eq(cubby_cache_trim(cache, &all, &trimmed, &error), CUBBY_ERR_UNSUPPORTED);
    ck_assert_uint_eq(trimmed.entries, 0);
    cubby_error_clear(&error);
    expect_sound(cache, 1);
    cubby_cache_unref(cache);
    cache = open_spec("memory,file:@?read_only=1", store);
    put(cache, 2, SIZE);
    ck_ok(cubby_cache_trim(cache, &all, &trimmed, &error), &error);
    ck_assert_uint_eq(trimmed.entries, 1);
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_ages) {
    static const struct {
        const char *text;
        uint64_t seconds;
    } GOOD[] = {{"0s", 0},      {"90s", 90},   {"30m", 1800},
                {"12h", 43200}, {"1d", 86400}, {"2w", 1209600}};
    static const char *const BAD[] = {"",
                                      "d",
                                      "1",
                                      "-1d",
                                      "1.5h",
                                      "1y",
                                      "1D",
                                      "1d2h",
                                      " 1d",
                                      "99999999999999999999w",
                                      "18446744073709551615m"};
    uint64_t seconds;

    for (size_t i = 0; i < sizeof(GOOD) / sizeof(*GOOD); i++) {
        ck_assert(units_age(GOOD[i].text, &seconds));
        ck_assert_uint_eq(seconds, GOOD[i].seconds);
    }
    for (size_t i = 0; i < sizeof(BAD) / sizeof(*BAD); i++)
        ck_assert_msg(!units_age(BAD[i], &seconds), "%s", BAD[i]);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("care");
    TCase *tcase = tcase_create("care");

    suite_add_tcase(suite, tcase);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_sound_stores);
    tcase_add_loop_test(tcase, test_damaged_files, 0, sizeof(HURTS) / sizeof(*HURTS));
    tcase_add_test(tcase, test_read_only_is_not_repaired);
    tcase_add_test(tcase, test_manifests_must_be_readable);
    tcase_add_test(tcase, test_around_the_files);
    tcase_add_test(tcase, test_shared_counters_of_files);
    tcase_add_test(tcase, test_verify_uses_nothing_and_can_be_ended);
    tcase_add_test(tcase, test_damage_in_one_of_two_tiers);
    tcase_add_test(tcase, test_signed_by_others_is_no_damage);
    tcase_add_test(tcase, test_store_of_a_group);
#ifdef HAVE_SQLITE
    tcase_add_loop_test(tcase, test_damaged_rows, 0, sizeof(ROWS) / sizeof(*ROWS));
    tcase_add_test(tcase, test_damaged_structure);
    tcase_add_loop_test(tcase, test_trim, 0, 3);
#else
    tcase_add_loop_test(tcase, test_trim, 0, 2);
#endif
    tcase_add_test(tcase, test_trim_goes_by_use);
    tcase_add_test(tcase, test_trim_refuses);
    tcase_add_test(tcase, test_ages);
    return run_suite(suite);
}
