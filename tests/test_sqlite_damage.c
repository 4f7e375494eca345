/* SPDX-License-Identifier: Apache-2.0 */
/* What the SQLite store does with a place or a database that is not as it should be. */
#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_tools.h"

static struct cubby_backend *open_sqlite(const char *path) {
    return store_open(sqlite_backend_open, path, 0);
}

static void expect_refused(const char *path, int code, const char *text) {
    store_refused(sqlite_backend_open, path, code, path, text);
}

static char *new_path(void) {
    return path_in(scratch_dir(), "store.db");
}

static char *with_suffix(const char *path, const char *suffix) {
    char *name;

    ck_assert_int_gt(asprintf(&name, "%s%s", path, suffix), 0);
    return name;
}

static void run_sql(const char *path, const char *sql) {
    sqlite3 *db;

    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql,
                  sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* A database with entries 0 to count - 1, closed, with nothing left in its log. */
static char *make_database(unsigned count) {
    char *path = new_path();
    struct cubby_backend *sqlite = open_sqlite(path);

    for (unsigned i = 0; i < count; i++)
        store_put(sqlite, i, i, 1000);
    store_close(sqlite);
    run_sql(path, "PRAGMA wal_checkpoint(TRUNCATE)");
    return path;
}

static void overwrite(const char *path, long offset, size_t size) {
    FILE *file = fopen(path, "r+b");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, offset, SEEK_SET), 0);
    for (size_t i = 0; i < size; i++)
        ck_assert_int_ge(fputc("damage"[i % 6], file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

/* Path of the database that was set aside, the caller's; NULL where none was. */
static char *set_aside_of(const char *path) {
    char *folder = strndup(path, (size_t)(strrchr(path, '/') - path)), *found = NULL;
    DIR *stream = opendir(folder);
    struct dirent *entry;

    ck_assert_ptr_nonnull(stream);
    while ((entry = readdir(stream))) {
        size_t length = strlen(entry->d_name);

        if (strstr(entry->d_name, "store.db.corrupt-") && entry->d_name[length - 1] == 'Z')
            found = path_in(folder, entry->d_name);
    }
    closedir(stream);
    free(folder);
    return found;
}

/* A new store took the damaged one's place, and the old bytes still lie beside it. */
static void expect_set_aside(const char *path, const void *old_bytes, size_t old_size) {
    struct cubby_backend *sqlite = open_sqlite(path);
    char *aside = set_aside_of(path), *bytes;
    size_t size;

    ck_assert_ptr_nonnull(aside);
    bytes = read_whole(aside, &size);
    ck_assert_uint_eq(size, old_size);
    ck_assert_mem_eq(bytes, old_bytes, old_size);
    ck_assert_uint_eq(store_walk(sqlite), 0);
    store_put(sqlite, 7, 7, 1000);
    store_expect(sqlite, 7, 7, 1000);
    store_close(sqlite);
    sqlite = open_sqlite(path);
    store_expect(sqlite, 7, 7, 1000);
    store_close(sqlite);
    free(bytes);
    free(aside);
}

/* ---- Files of others --------------------------------------------------------------------- */

START_TEST(test_text) {
    static const char TEXT[] = "This is no database at all but a text that somebody keeps here.\n"
                               "It is longer than the header of a database would be, by far.\n";
    char *path = new_path();

    write_file(path, TEXT, strlen(TEXT));
    expect_set_aside(path, TEXT, strlen(TEXT));
    free(path);
}
END_TEST

START_TEST(test_database_of_another_program) {
    static const char *const SQL[] = {
        "CREATE TABLE bookmark (url TEXT); INSERT INTO bookmark VALUES ('x')",
        "PRAGMA application_id = 1234; CREATE TABLE entry (key BLOB)",
    };

    for (size_t i = 0; i < sizeof(SQL) / sizeof(*SQL); i++) {
        char *path = new_path(), *before, *after;
        size_t before_size, after_size;

        run_sql(path, SQL[i]);
        before = read_whole(path, &before_size);
        expect_refused(path, CUBBY_ERR_INVALID, "another program");
        after = read_whole(path, &after_size);
        ck_assert_uint_eq(after_size, before_size);
        ck_assert_mem_eq(after, before, before_size);
        ck_assert_ptr_null(set_aside_of(path));
        free(before);
        free(after);
        free(path);
    }
}
END_TEST

START_TEST(test_newer_schema) {
    char *path = make_database(3), *before, *after;
    size_t before_size, after_size;

    run_sql(path, "PRAGMA user_version = 2; PRAGMA wal_checkpoint(TRUNCATE)");
    before = read_whole(path, &before_size);
    expect_refused(path, CUBBY_ERR_UNSUPPORTED, "newer Cubby (schema 2");
    after = read_whole(path, &after_size);
    ck_assert_uint_eq(after_size, before_size);
    ck_assert_mem_eq(after, before, before_size);
    ck_assert_ptr_null(set_aside_of(path));
    free(before);
    free(after);
    free(path);
}
END_TEST

START_TEST(test_empty_file) {
    char *path = new_path();
    struct cubby_backend *sqlite;

    write_file(path, "", 0);
    sqlite = open_sqlite(path);
    store_put(sqlite, 1, 1, 100);
    store_expect(sqlite, 1, 1, 100);
    store_close(sqlite);
    free(path);
}
END_TEST

START_TEST(test_not_a_file) {
    char *path = new_path(), *target = path_in(scratch_dir(), "target.db"), *fifo = new_path();

    ck_assert_int_eq(mkdir(path, 0700), 0);
    expect_refused(path, CUBBY_ERR_INVALID, "not a regular file");
    ck_assert_int_eq(rmdir(path), 0);
    store_close(open_sqlite(target));
    ck_assert_int_eq(symlink(target, path), 0);
    expect_refused(path, CUBBY_ERR_INVALID, "follows no link");
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    expect_refused(fifo, CUBBY_ERR_INVALID, "not a regular file");
    free(fifo);
    free(target);
    free(path);
}
END_TEST

START_TEST(test_others_may_write) {
    char *path = make_database(1);

    ck_assert_int_eq(chmod(path, 0666), 0);
    expect_refused(path, CUBBY_ERR_INVALID, "chmod go-w");
    if (is_root("database of another user")) {
        ck_assert_int_eq(chmod(path, 0600), 0);
        ck_assert_int_eq(chown(path, 12345, 0), 0);
        expect_refused(path, CUBBY_ERR_INVALID, "belongs to user 12345");
    }
    free(path);
}
END_TEST

/* ---- Damage ------------------------------------------------------------------------------ */

START_TEST(test_damaged_header) {
    static const struct {
        long offset;
        size_t size;
    } WHERE[] = {{0, 16}, {0, 4096}, {100, 500}};
    char *path = make_database(20), *bytes;
    size_t size;

    overwrite(path, WHERE[_i].offset, WHERE[_i].size);
    bytes = read_whole(path, &size);
    expect_set_aside(path, bytes, size);
    free(bytes);
    free(path);
}
END_TEST

START_TEST(test_truncated) {
    char *path = make_database(50), *bytes;
    struct cubby_backend *sqlite;
    struct stat status;
    unsigned found = 0;
    size_t size;

    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(truncate(path, status.st_size / 2), 0);
    bytes = read_whole(path, &size);
    /* The first who meets the damage lives with it; the next sets the database aside. */
    sqlite = open_sqlite(path);
    for (unsigned i = 0; i < 50; i++) {
        int code = store_get_code(sqlite, i);

        found += code == 0;
        ck_assert(code == 0 || code == CUBBY_ERR_CORRUPT || code == CUBBY_ERR_NOT_FOUND);
    }
    ck_assert_uint_lt(found, 50);
    store_close(sqlite);
    expect_set_aside(path, bytes, size);
    free(bytes);
    free(path);
}
END_TEST

START_TEST(test_damaged_pages) {
    char *path = make_database(50), *bytes;
    struct cubby_backend *sqlite;
    unsigned failed = 0;
    struct stat status;
    size_t size;

    ck_assert_int_eq(stat(path, &status), 0);
    overwrite(path, 4096, (size_t)status.st_size - 4096);
    bytes = read_whole(path, &size);
    sqlite = store_open(sqlite_backend_open, path, 0);
    for (unsigned i = 0; i < 50; i++)
        failed += store_get_code(sqlite, i) == CUBBY_ERR_CORRUPT;
    ck_assert_uint_eq(failed, 50);
    ck_assert_int_eq(store_put_code(sqlite, 1, 1, 100, NULL), CUBBY_ERR_CORRUPT);
    store_close(sqlite);
    expect_set_aside(path, bytes, size);
    free(bytes);
    free(path);
}
END_TEST

static unsigned damage_found(const char *path) {
    struct cubby_verify_result found;
    struct cubby_cache *cache;
    char *spec;

    ck_assert_int_gt(asprintf(&spec, "sqlite:%s", path), 0);
    ck_assert_int_eq(cubby_cache_open(spec, &cache, NULL), 0);
    ck_assert_int_eq(cubby_cache_verify(cache, 0, NULL, NULL, &found, NULL), 0);
    cubby_cache_unref(cache);
    free(spec);
    return (unsigned)found.damaged;
}

/* An index that does not fit its table, which only a full check finds: met by verify, or by an
 * eviction.
 */
START_TEST(test_damaged_index) {
    const struct cubby_trim_limits all = {.used_before = INT64_MAX};
    char *path = make_database(5), *bytes;
    struct cubby_backend *sqlite;
    size_t size;

    run_sql(path, "PRAGMA writable_schema = ON;"
                  "CREATE TEMP TABLE saved AS SELECT * FROM main.sqlite_schema "
                  "WHERE name = 'entry_by_key';"
                  "DELETE FROM main.sqlite_schema WHERE name = 'entry_by_key';"
                  "PRAGMA writable_schema = RESET; UPDATE entry SET key = randomblob(32);"
                  "PRAGMA writable_schema = ON; INSERT INTO main.sqlite_schema SELECT * FROM saved;"
                  "PRAGMA writable_schema = RESET; PRAGMA wal_checkpoint(TRUNCATE)");
    bytes = read_whole(path, &size);
    if (_i == 0) {
        ck_assert_uint_gt(damage_found(path), 0);
    } else {
        sqlite = open_sqlite(path);
        ck_assert_int_eq(sqlite->ops->trim(sqlite, &all, NULL, NULL), CUBBY_ERR_CORRUPT);
        store_close(sqlite);
    }
    expect_set_aside(path, bytes, size);
    free(bytes);
    free(path);
}
END_TEST

/* A suspicion that proves wrong costs a check and nothing else. */
START_TEST(test_suspicion_without_damage) {
    char *path = make_database(5), *lock = with_suffix(path, "-cubby-lock");
    struct cubby_backend *sqlite;
    struct stat status;

    ck_assert_int_eq(truncate(lock, 1), 0);
    sqlite = open_sqlite(path);
    for (unsigned i = 0; i < 5; i++)
        store_expect(sqlite, i, i, 1000);
    ck_assert_int_eq(stat(lock, &status), 0);
    ck_assert_int_eq(status.st_size, 0);
    ck_assert_ptr_null(set_aside_of(path));
    store_close(sqlite);
    free(lock);
    free(path);
}
END_TEST

static void open_damaged(void *context) {
    expect_refused(context, CUBBY_ERR_CORRUPT, "another process uses it");
}

/* A database that someone has open is not taken from under them. */
START_TEST(test_damaged_while_in_use) {
    char *path = make_database(20), *bytes;
    struct cubby_backend *sqlite = open_sqlite(path);
    size_t size;

    overwrite(path, 0, 4096);
    bytes = read_whole(path, &size);
    end_child(start_child(open_damaged, path));
    ck_assert_ptr_null(set_aside_of(path));
    store_close(sqlite);
    expect_set_aside(path, bytes, size);
    free(bytes);
    free(path);
}
END_TEST

static void open_and_use(void *context) {
    struct cubby_backend *sqlite = open_sqlite(context);

    store_put(sqlite, (unsigned)getpid(), 1, 100);
    store_expect(sqlite, (unsigned)getpid(), 1, 100);
    store_close(sqlite);
}

/* Whoever of them sets it aside, none of the others' new entries goes with it. */
START_TEST(test_many_open_a_damaged_one) {
    char *path = make_database(20);
    struct cubby_backend *sqlite;
    pid_t children[6];

    overwrite(path, 0, 4096);
    for (size_t i = 0; i < 6; i++)
        children[i] = start_child(open_and_use, path);
    for (size_t i = 0; i < 6; i++)
        end_child(children[i]);
    sqlite = open_sqlite(path);
    ck_assert_uint_eq(store_walk(sqlite), 6);
    store_close(sqlite);
    free(path);
}
END_TEST

START_TEST(test_garbage_for_a_log) {
    char *path = make_database(20), *wal = with_suffix(path, "-wal");
    struct cubby_backend *sqlite;

    write_file(wal, path, strlen(path));
    overwrite(wal, 0, 20000);
    sqlite = open_sqlite(path);
    for (unsigned i = 0; i < 20; i++)
        store_expect(sqlite, i, i, 1000);
    store_put(sqlite, 30, 30, 1000);
    store_close(sqlite);
    sqlite = open_sqlite(path);
    store_expect(sqlite, 30, 30, 1000);
    store_close(sqlite);
    free(wal);
    free(path);
}
END_TEST

START_TEST(test_deleted_while_open) {
    char *path = make_database(3);
    struct cubby_backend *sqlite = open_sqlite(path);
    const char *const suffixes[] = {"", "-wal", "-shm", "-cubby-lock"};
    int code;

    for (size_t i = 0; i < 4; i++) {
        char *name = with_suffix(path, suffixes[i]);

        unlink(name);
        free(name);
    }
    code = store_put_code(sqlite, 5, 5, 100, NULL);
    ck_assert(code == 0 || code == CUBBY_ERR_IO);
    code = store_get_code(sqlite, 1);
    ck_assert(code == 0 || code == CUBBY_ERR_NOT_FOUND || code == CUBBY_ERR_IO);
    store_close(sqlite);
    ck_assert_int_ne(access(path, F_OK), 0); /* it did not come back as something else */
    sqlite = open_sqlite(path);
    store_put(sqlite, 5, 5, 100);
    store_expect(sqlite, 5, 5, 100);
    store_close(sqlite);
    free(path);
}
END_TEST

/* ---- Places that cannot be written ------------------------------------------------------- */

static void expect_put_fails(struct cubby_backend *sqlite, const char *path, unsigned number,
                             size_t size) {
    struct cubby_error error = CUBBY_ERROR_INIT;

    ck_assert_int_eq(store_put_code(sqlite, number, number, size, &error), CUBBY_ERR_IO);
    ck_assert_msg(strstr(error.message, path), "%s", error.message);
    cubby_error_clear(&error);
}

static struct cubby_backend *open_seed(const char *path) {
    struct backend_params params = {.path = path, .read_only = true};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_backend *sqlite;

    ck_ok(sqlite_backend_open(&params, &sqlite, &error), &error);
    return sqlite;
}

static void expect_seed(const char *path) {
    struct cubby_backend *sqlite = open_seed(path);

    store_expect(sqlite, 1, 1, 1000);
    ck_assert_uint_eq(store_walk(sqlite), 3);
    ck_assert_int_eq(store_put_code(sqlite, 9, 9, 10, NULL), CUBBY_ERR_UNSUPPORTED);
    ck_assert_int_eq(store_remove_code(sqlite, 1), CUBBY_ERR_UNSUPPORTED);
    store_close(sqlite);
}

START_TEST(test_read_only_store) {
    char *path = make_database(3), *before, *after;
    size_t before_size, after_size;

    before = read_whole(path, &before_size);
    expect_seed(path);
    after = read_whole(path, &after_size);
    ck_assert_uint_eq(after_size, before_size);
    ck_assert_mem_eq(after, before, before_size);
    free(before);
    free(after);
    free(path);
}
END_TEST

static void make_seed(const char *path) {
    struct cubby_backend *sqlite = open_sqlite(path);

    for (unsigned i = 0; i < 3; i++)
        store_put(sqlite, i, i, 1000);
    store_close(sqlite);
}

static void use_read_only_folder(void *context) {
    become_ordinary(context);
    ck_assert_int_eq(mkdir("seed?100%#", 0700), 0);
    make_seed("seed?100%#/store.db");
    ck_assert_int_eq(chmod("seed?100%#", 0500), 0);
    expect_seed("seed?100%#/store.db"); /* with its log beside it */
    store_close(open_sqlite("seed?100%#/store.db"));

    /* As shipped: one file, all in it. */
    ck_assert_int_eq(chmod("seed?100%#", 0700), 0);
    run_sql("seed?100%#/store.db", "PRAGMA wal_checkpoint(TRUNCATE)");
    ck_assert(access("seed?100%#/store.db-wal", F_OK) < 0 ||
              unlink("seed?100%#/store.db-wal") == 0);
    ck_assert(access("seed?100%#/store.db-shm", F_OK) < 0 ||
              unlink("seed?100%#/store.db-shm") == 0);
    ck_assert_int_eq(unlink("seed?100%#/store.db-cubby-lock"), 0);
    ck_assert_int_eq(chmod("seed?100%#/store.db", 0400), 0);
    ck_assert_int_eq(chmod("seed?100%#", 0500), 0);
    expect_seed("seed?100%#/store.db");

    /* To be written, it is refused with the reason. */
    expect_refused("seed?100%#/store.db", CUBBY_ERR_IO, "Permission denied");
    expect_refused("seed?100%#/new.db", CUBBY_ERR_IO, "Permission denied");
}

START_TEST(test_read_only_folder) {
    if (is_root("read-only folder"))
        end_child(start_child(use_read_only_folder, (void *)scratch_dir()));
}
END_TEST

START_TEST(test_full_disk) {
    char *disk = small_disk_new(512), *path, *ballast;
    struct cubby_backend *sqlite;

    if (!disk)
        return;
    path = path_in(disk, "store.db");
    ballast = path_in(disk, "ballast");
    sqlite = open_sqlite(path);
    store_put(sqlite, 1, 1, 20000);
    fill_disk(ballast);
    expect_put_fails(sqlite, path, 2, 60000);
    expect_put_fails(sqlite, path, 1, 60000); /* leaves the old entry as it was */
    store_expect(sqlite, 1, 1, 20000);
    ck_assert_int_eq(store_get_code(sqlite, 2), CUBBY_ERR_NOT_FOUND);
    ck_assert_int_eq(unlink(ballast), 0);
    store_put(sqlite, 2, 2, 60000);
    store_expect(sqlite, 2, 2, 60000);
    store_close(sqlite);
    sqlite = open_sqlite(path);
    store_expect(sqlite, 1, 1, 20000);
    store_expect(sqlite, 2, 2, 60000);
    store_close(sqlite);

    /* No room even to begin. */
    free(path);
    path = path_in(disk, "second.db");
    fill_disk(ballast);
    expect_refused(path, CUBBY_ERR_IO, "full");
    ck_assert_int_eq(unlink(ballast), 0);
    store_close(open_sqlite(path));
    free(ballast);
    free(path);
    small_disk_free(disk);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sqlite damage");
    TCase *tcase = tcase_create("all");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_text);
    tcase_add_test(tcase, test_database_of_another_program);
    tcase_add_test(tcase, test_newer_schema);
    tcase_add_test(tcase, test_empty_file);
    tcase_add_test(tcase, test_not_a_file);
    tcase_add_test(tcase, test_others_may_write);
    tcase_add_loop_test(tcase, test_damaged_header, 0, 3);
    tcase_add_test(tcase, test_truncated);
    tcase_add_test(tcase, test_damaged_pages);
    tcase_add_loop_test(tcase, test_damaged_index, 0, 2);
    tcase_add_test(tcase, test_suspicion_without_damage);
    tcase_add_test(tcase, test_damaged_while_in_use);
    tcase_add_test(tcase, test_many_open_a_damaged_one);
    tcase_add_test(tcase, test_garbage_for_a_log);
    tcase_add_test(tcase, test_deleted_while_open);
    tcase_add_test(tcase, test_read_only_store);
    tcase_add_test(tcase, test_read_only_folder);
    tcase_add_test(tcase, test_full_disk);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
