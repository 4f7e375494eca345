/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damage swept over whole stores: every byte changed, every length, and after each a look-up that
 * may miss but never give a wrong byte, and a put that heals. What was tried is counted and
 * printed.
 *
 * CUBBY_TEST_SWEEP=N changes every bit of an entry in turn (else one bit of each byte), and every
 * N-th byte of a database and its log (else every 211th).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef HAVE_SQLITE
#include <sqlite3.h>
#endif

#include "backends/file.h"
#include "backends/file_account.h"
#include "harness.h"

#define DEFAULT_STRIDE 211
#define GARBAGE 64 /* bytes behind an entry, at most */

static unsigned stride(void) {
    const char *text = getenv("CUBBY_TEST_SWEEP");
    unsigned long number = text ? strtoul(text, NULL, 10) : 0;

    return number > 0 ? (unsigned)number : DEFAULT_STRIDE;
}

/* ---- Entries in files -------------------------------------------------------------------- */

static const char *const FORMS[] = {
    "file:@/store",
    "file:@/store?secret_file=@/secret",
#ifdef HAVE_ZSTD
    "file:@/store?compress=zstd",
    "file:@/store?compress=zstd&secret_file=@/secret",
#endif
};
#define FORM_COUNT ((int)(sizeof(FORMS) / sizeof(*FORMS)))

/* Half of it zeros, so that it can be compressed. */
#define PAYLOAD 300
static unsigned char payload[PAYLOAD];

static void fill_payload(void) {
    struct cubby_blob *blob = blob_of(9, PAYLOAD / 2);

    memcpy(payload, cubby_blob_data(blob), PAYLOAD / 2);
    cubby_blob_unref(blob);
}

struct sweep {
    struct cubby_cache *cache;
    char *entry; /* its path */
    unsigned bits, lengths, garbage;
};

/* Returns whether there is an entry; one with other bytes fails the test. */
static bool has(struct cubby_cache *cache, unsigned number) {
    struct cubby_key key = key_of(number);
    struct cubby_object *object;

    if (cubby_cache_get(cache, CUBBY_ENTRY_USER, &key, &object, NULL, NULL) < 0)
        return false;
    ck_assert_uint_eq(cubby_object_size(object), PAYLOAD);
    ck_assert_mem_eq(cubby_object_data(object), payload, PAYLOAD);
    cubby_object_unref(object);
    return true;
}

static int put(struct cubby_cache *cache, unsigned number) {
    struct cubby_key key = key_of(number);

    return cubby_cache_put(cache, &key, payload, PAYLOAD, NULL);
}

/* Writes damaged bytes into the entry's place: a miss, which the next put heals. */
static void expect_healed(const struct sweep *sweep, const void *bytes, size_t size) {
    write_file(sweep->entry, bytes, size);
    ck_assert(!has(sweep->cache, 1));
    ck_assert_int_eq(put(sweep->cache, 1), 0);
    ck_assert(has(sweep->cache, 1));
}

static void sweep_bits(struct sweep *sweep, unsigned char *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            if (stride() == DEFAULT_STRIDE && bit != i % 8)
                continue;
            bytes[i] ^= (unsigned char)(1u << bit);
            expect_healed(sweep, bytes, size);
            bytes[i] ^= (unsigned char)(1u << bit);
            sweep->bits++;
        }
    }
}

static char *path_of_entry(const char *folder, unsigned number) {
    struct cubby_key key = key_of(number);
    char name[FILE_PATH_SIZE], *path;

    file_entry_path(&key, name);
    ck_assert_int_gt(asprintf(&path, "%s/store/user/%s", folder, name), 0);
    return path;
}

START_TEST(test_entries) {
    char *folder = strdup(scratch_dir()), *other, *bytes, *longer;
    struct sweep sweep = {.entry = path_of_entry(folder, 1)};
    size_t size;

    write_secret(folder, "secret", "a secret to sweep with");
    fill_payload();
    sweep.cache = open_spec(FORMS[_i], folder);
    ck_assert_int_eq(put(sweep.cache, 1), 0);
    bytes = read_whole(sweep.entry, &size);
    sweep_bits(&sweep, (unsigned char *)bytes, size);
    for (; sweep.lengths < size; sweep.lengths++)
        expect_healed(&sweep, bytes, sweep.lengths);
    longer = calloc(1, size + GARBAGE);
    memcpy(longer, bytes, size);
    while (++sweep.garbage <= GARBAGE) {
        longer[size + sweep.garbage - 1] = (char)(sweep.garbage * 37);
        expect_healed(&sweep, longer, size + sweep.garbage);
    }
    /* A whole entry under another's name. */
    ck_assert_int_eq(put(sweep.cache, 2), 0);
    other = path_of_entry(folder, 2);
    free(bytes);
    bytes = read_whole(other, &size);
    expect_healed(&sweep, bytes, size);
    printf("sweep: %s: %u bits changed, %u lengths, %u with garbage behind, 0 wrong bytes\n",
           FORMS[_i], sweep.bits, sweep.lengths, sweep.garbage - 1);
    cubby_cache_unref(sweep.cache);
    free(longer);
    free(bytes);
    free(other);
    free(sweep.entry);
    free(folder);
}
END_TEST

/* No damaged counters are ever believed. */
START_TEST(test_counters) {
    const struct cubby_counters some = {.hits = 12345, .puts = 678};
    char *folder = strdup(scratch_dir()), *path = path_in(folder, "counters"), *bytes;
    int root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct cubby_backend *file;
    struct backend_params params = {.path = folder};
    struct account account;
    unsigned tried = 0;
    size_t size;

    ck_assert_int_eq(file_backend_open(&params, &file, NULL), 0);
    ck_assert_int_eq(file->ops->count(file, &some, NULL), 0);
    file->ops->close(file);
    bytes = read_whole(path, &size);
    for (size_t bit = 0; bit < 8 * size; bit++, tried++) {
        bytes[bit / 8] ^= (char)(1u << bit % 8);
        write_file(path, bytes, size);
        ck_assert(!account_read(root, &account));
        ck_assert_uint_eq(account.counters.hits, 0);
        bytes[bit / 8] ^= (char)(1u << bit % 8);
    }
    for (size_t length = 1; length < size; length++, tried++) {
        write_file(path, bytes, length);
        ck_assert(!account_read(root, &account));
    }
    write_file(path, bytes, size);
    ck_assert(account_read(root, &account));
    ck_assert_uint_eq(account.counters.hits, 12345);
    printf("sweep: counters: %u damaged files, none believed\n", tried);
    close(root);
    free(bytes);
    free(path);
    free(folder);
}
END_TEST

/* ---- Databases --------------------------------------------------------------------------- */

#ifdef HAVE_SQLITE
#define ROWS 5

/* A database at rest, with or without its log, and what became of its damaged copies. */
struct database {
    char *folder, *path, *log_path;
    char *bytes, *log;
    size_t size, log_size, where; /* of the damage */
    unsigned tried, unharmed, fewer, refused;
};

static void fold_log_in(const char *path) {
    sqlite3 *db;

    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
}

static void database_make(struct database *database, bool in_log) {
    struct cubby_cache *cache;

    fill_payload();
    *database = (struct database){.folder = strdup(scratch_dir())};
    database->path = path_in(database->folder, "store.db");
    database->log_path = path_in(database->folder, "store.db-wal");
    cache = open_spec("sqlite:@/store.db", database->folder);
    for (unsigned number = 0; number < ROWS; number++)
        ck_assert_int_eq(put(cache, number), 0);
    cubby_cache_unref(cache);
    if (!in_log)
        fold_log_in(database->path);
    database->bytes = read_whole(database->path, &database->size);
    database->log = access(database->log_path, F_OK) == 0
                        ? read_whole(database->log_path, &database->log_size)
                        : NULL;
    ck_assert_uint_eq(database->log_size > 0, in_log);
}

static void database_free(struct database *database) {
    free(database->log);
    free(database->bytes);
    free(database->log_path);
    free(database->path);
    free(database->folder);
}

/* Puts the files back as they are in memory, damage included, and nothing beside them. */
static void database_write(const struct database *database, size_t size, size_t log_size) {
    char *index = path_in(database->folder, "store.db-shm");

    unlink(index);
    unlink(database->log_path);
    unlink(database->path);
    write_file(database->path, database->bytes, size);
    ck_assert_int_eq(chmod(database->path, 0600), 0);
    if (log_size > 0) {
        write_file(database->log_path, database->log, log_size);
        ck_assert_int_eq(chmod(database->log_path, 0600), 0);
    }
    free(index);
}

/* How many of its entries a store still has; each of them is then put again. */
static unsigned look_and_put(struct cubby_cache *cache) {
    unsigned found = 0;

    for (unsigned number = 0; number < ROWS; number++) {
        found += has(cache, number);
        put(cache, number);
        if (number % 4 == 0)
            has(cache, number);
    }
    return found;
}

/* Puts and gets all entries; false, with what was said of it, where one does not work. */
static bool works(struct cubby_cache *cache, char *said, size_t size) {
    const struct cubby_error *problem = cubby_cache_problem(cache, 0);
    struct cubby_error error = CUBBY_ERROR_INIT;
    bool good = !problem;

    snprintf(said, size, "%s", problem ? problem->message : "an entry that was put is not there");
    for (unsigned number = 0; number < ROWS && good; number++) {
        struct cubby_key key = key_of(number);

        if (cubby_cache_put(cache, &key, payload, PAYLOAD, &error) < 0) {
            snprintf(said, size, "%s", error.message);
            good = false;
        } else {
            good = has(cache, number);
        }
    }
    cubby_error_clear(&error);
    return good;
}

/* No wrong byte now; and soon there is a store that works: who meets damage lives with it, and the
 * next who opens the database sets it aside. Unless what was changed makes the file that of another
 * program, or of a newer Cubby, which is left as it is. */
static void try_damaged(struct database *database) {
    struct cubby_cache *cache = open_spec_or_less("sqlite:@/store.db", database->folder);
    bool refused = cubby_cache_tier_count(cache) == 0;
    unsigned found = look_and_put(cache), opened = 0;
    char said[1200];

    cubby_cache_unref(cache);
    database->tried++;
    if (refused)
        database->refused++;
    else if (found == ROWS)
        database->unharmed++;
    else
        database->fewer++;
    for (bool healed = refused; !healed;) {
        cache = open_spec_or_less("sqlite:@/store.db", database->folder);
        healed = works(cache, said, sizeof(said));
        cubby_cache_unref(cache);
        ck_assert_msg(healed || ++opened < 3, "damage at %zu: the store does not heal: %s",
                      database->where, said);
    }
}

static void show(const struct database *database, const char *what) {
    printf("sweep: sqlite, %s: %u tried, %u unharmed, %u with entries lost or set aside, %u "
           "refused, 0 wrong bytes\n",
           what, database->tried, database->unharmed, database->fewer, database->refused);
}

static void flip_each(struct database *database, char *bytes, size_t size) {
    unsigned step = stride();

    for (size_t i = step / 2; i < size; i += step) {
        bytes[i] ^= (char)(1u << i / step % 8);
        database_write(database, database->size, database->log_size);
        bytes[i] ^= (char)(1u << i / step % 8);
        database->where = i;
        try_damaged(database);
    }
}

START_TEST(test_database_bytes) {
    struct database database;

    database_make(&database, _i == 1);
    if (_i == 1)
        flip_each(&database, database.log, database.log_size);
    else
        flip_each(&database, database.bytes, database.size);
    show(&database, _i == 1 ? "bytes of its log changed" : "bytes changed");
    database_free(&database);
}
END_TEST

START_TEST(test_database_lengths) {
    struct database database;
    unsigned step = 7 * stride();

    database_make(&database, _i == 1);
    for (size_t size = step / 2; size < (_i == 1 ? database.log_size : database.size);
         size += step) {
        if (_i == 1)
            database_write(&database, database.size, size);
        else
            database_write(&database, size, 0);
        database.where = size;
        try_damaged(&database);
    }
    show(&database, _i == 1 ? "log cut short" : "cut short");
    database_free(&database);
}
END_TEST
#endif

int main(void) {
    Suite *suite = suite_create("sweep");
    TCase *tcase = tcase_create("all");

    tcase_set_timeout(tcase, stride() == DEFAULT_STRIDE ? 120 : 7200);
    tcase_add_loop_test(tcase, test_entries, 0, FORM_COUNT);
    tcase_add_test(tcase, test_counters);
#ifdef HAVE_SQLITE
    tcase_add_loop_test(tcase, test_database_bytes, 0, 2);
    tcase_add_loop_test(tcase, test_database_lengths, 0, 2);
#endif
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
