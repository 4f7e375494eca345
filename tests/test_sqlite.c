/* SPDX-License-Identifier: Apache-2.0 */
/* What is particular to the SQLite store: its settings, cap, processes that share it, and forks. */
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/time.h"
#include "store_tools.h"

#define CAP 200000u
#define SIZE 1000u

static struct cubby_backend *open_sqlite(const char *path, uint64_t max_size) {
    return store_open(sqlite_backend_open, path, max_size);
}

static char *new_path(void) {
    return path_in(scratch_dir(), "store.db");
}

/* ---- Looking at the database past the store ---------------------------------------------- */

static sqlite3 *open_raw(const char *path) {
    sqlite3 *db;

    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return db;
}

static void run_sql(const char *path, const char *sql) {
    sqlite3 *db = open_raw(path);

    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql,
                  sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* The first value that a query gives, as text that the caller owns. */
static char *ask(const char *path, const char *sql) {
    sqlite3 *db = open_raw(path);
    sqlite3_stmt *statement;
    char *text;

    ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    text = strdup((const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return text;
}

static void expect_answer(const char *path, const char *sql, const char *wanted) {
    char *answer = ask(path, sql);

    ck_assert_msg(strcmp(answer, wanted) == 0, "%s: %s, not %s", sql, answer, wanted);
    free(answer);
}

/* The structure is whole, and the totals are those of the rows. */
static void expect_sound(const char *path) {
    expect_answer(path, "PRAGMA integrity_check", "ok");
    expect_answer(path,
                  "SELECT count(*) FROM total AS t WHERE entries != (SELECT count(*) FROM entry "
                  "WHERE kind = t.kind) OR bytes != (SELECT coalesce(sum(size), 0) FROM entry "
                  "WHERE kind = t.kind)",
                  "0");
}

static unsigned mode_of(const char *path, const char *suffix) {
    struct stat status;
    char *name;

    ck_assert_int_gt(asprintf(&name, "%s%s", path, suffix), 0);
    ck_assert_msg(lstat(name, &status) == 0, "%s", name);
    free(name);
    return status.st_mode & 07777;
}

static off_t size_of(const char *path, const char *suffix) {
    struct stat status;
    char *name;

    ck_assert_int_gt(asprintf(&name, "%s%s", path, suffix), 0);
    ck_assert_int_eq(stat(name, &status), 0);
    free(name);
    return status.st_size;
}

/* ---- Settings ---------------------------------------------------------------------------- */

START_TEST(test_settings) {
    char *path = new_path();
    struct cubby_backend *sqlite = open_sqlite(path, 0);

    store_put(sqlite, 1, 1, 100);
    expect_answer(path, "PRAGMA journal_mode", "wal");
    expect_answer(path, "PRAGMA auto_vacuum", "2");
    expect_answer(path, "PRAGMA user_version", "1");
    expect_sound(path);
    store_close(sqlite);
    free(path);
}
END_TEST

START_TEST(test_modes) {
    static const mode_t MASKS[] = {0, 077};
    char *folder = strdup(scratch_dir()), *path = path_in(folder, "above/store.db");
    mode_t before = umask(MASKS[_i]);
    struct cubby_backend *sqlite = open_sqlite(path, 0);

    store_put(sqlite, 1, 1, 100);
    umask(before);
    ck_assert_uint_eq(mode_of(folder, "/above"), 0700);
    ck_assert_uint_eq(mode_of(path, ""), 0600);
    ck_assert_uint_eq(mode_of(path, "-wal"), 0600);
    ck_assert_uint_eq(mode_of(path, "-shm"), 0600);
    ck_assert_uint_eq(mode_of(path, "-cubby-lock"), 0600);
    store_close(sqlite);
    free(path);
    free(folder);
}
END_TEST

/* ---- Cap --------------------------------------------------------------------------------- */

static void put_many(struct cubby_backend *sqlite, unsigned first, unsigned count) {
    for (unsigned i = first; i < first + count; i++)
        store_put(sqlite, i, i, SIZE);
}

/* Makes the uses lie a long way back, in the order of putting or against it. */
static void make_old(const char *path, bool backwards) {
    run_sql(path, backwards ? "UPDATE entry SET used_at = 100000 - id"
                            : "UPDATE entry SET used_at = 100000 + id");
}

START_TEST(test_oldest_go_down_to_the_low_water_mark) {
    char *path = new_path();
    struct cubby_backend *sqlite = open_sqlite(path, CAP);
    const unsigned fit = CAP / SIZE, stay = fit / 10 * 9;

    put_many(sqlite, 0, fit);
    ck_assert_uint_eq(store_stats(sqlite).bytes, CAP);
    ck_assert_uint_eq(store_stats(sqlite).counters.evictions, 0);
    make_old(path, true);
    put_many(sqlite, fit, 1);
    ck_assert_uint_eq(store_stats(sqlite).bytes, stay * SIZE);
    ck_assert_uint_eq(store_stats(sqlite).counters.evictions, fit + 1 - stay);
    for (unsigned i = 0; i < fit; i++)
        ck_assert_msg((store_get_code(sqlite, i) == 0) == (i < stay - 1), "%u", i);
    store_expect(sqlite, fit, fit, SIZE);
    store_close(sqlite);
    expect_sound(path);
    free(path);
}
END_TEST

/* A hit is a use, and a look is none; it is written with the next put. */
START_TEST(test_a_hit_saves_an_entry) {
    char *path = new_path();
    struct cubby_backend *sqlite = open_sqlite(path, CAP);

    put_many(sqlite, 0, CAP / SIZE);
    make_old(path, false);
    store_expect(sqlite, 0, 0, SIZE);
    store_peek(sqlite, 1);
    put_many(sqlite, 1000, 1);
    store_expect(sqlite, 0, 0, SIZE);
    ck_assert_int_eq(store_get_code(sqlite, 1), CUBBY_ERR_NOT_FOUND);
    make_old(path, false);
    store_expect(sqlite, 100, 100, SIZE);
    store_close(sqlite); /* or at the end */
    expect_answer(path, "SELECT count(*) FROM entry WHERE used_at > 1000000", "1");
    free(path);
}
END_TEST

/* Even where the clock makes the new entry look like the oldest. */
START_TEST(test_the_entry_just_written_stays) {
    char *path = new_path();
    struct cubby_backend *sqlite = open_sqlite(path, CAP);

    put_many(sqlite, 0, CAP / SIZE);
    run_sql(path, "UPDATE entry SET used_at = 100000000000");
    for (unsigned i = 1000; i < 1030; i++) {
        store_put(sqlite, i, i, SIZE);
        store_expect(sqlite, i, i, SIZE);
        ck_assert_uint_le(store_stats(sqlite).bytes, CAP);
    }
    store_close(sqlite);
    free(path);
}
END_TEST

START_TEST(test_large_entries) {
    char *path = new_path();
    struct cubby_backend *sqlite = open_sqlite(path, CAP);

    put_many(sqlite, 0, 100);
    store_put(sqlite, 500, 500, CAP + 1);
    ck_assert_int_eq(store_get_code(sqlite, 500), CUBBY_ERR_NOT_FOUND);
    ck_assert_uint_eq(store_walk(sqlite), 100);
    /* What it would have replaced is out of date and must not be served. */
    store_put(sqlite, 7, 8, CAP + 1);
    ck_assert_int_eq(store_get_code(sqlite, 7), CUBBY_ERR_NOT_FOUND);
    ck_assert_uint_eq(store_walk(sqlite), 99);
    store_put(sqlite, 501, 501, CAP);
    store_expect(sqlite, 501, 501, CAP);
    ck_assert_uint_eq(store_walk(sqlite), 1);
    store_close(sqlite);
    expect_sound(path);
    free(path);
}
END_TEST

/* Some builds of SQLite write zeros over all that is removed. */
START_TEST(test_a_removal_writes_little) {
    char *path = new_path();
    struct cubby_backend *sqlite = open_sqlite(path, 0);
    off_t before;

    store_put(sqlite, 1, 1, 1u << 20);
    before = size_of(path, "-wal");
    ck_assert_int_gt(before, 1 << 20);
    ck_assert_int_eq(store_remove_code(sqlite, 1), 0);
    ck_assert_int_lt(size_of(path, "-wal") - before, 1 << 17);
    store_close(sqlite);
    free(path);
}
END_TEST

#define ROWS 20000u
#define ROW_SIZE 40u

/* Many entries go over many puts, so that none of them holds up the other writers for long; but the
 * cap is kept by each, and a trim is whole. */
START_TEST(test_evictions_are_spread) {
    const struct cubby_trim_limits half = {.max_size = ROWS / 2 * ROW_SIZE};
    char *path = new_path();
    struct cubby_backend *sqlite = open_sqlite(path, ROWS * ROW_SIZE);
    struct cubby_trimmed trimmed = {0};
    uint64_t before = 0;
    char *sql;

    ck_assert_int_gt(
        asprintf(&sql,
                 "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %u) "
                 "INSERT INTO entry (key, kind, used_at, size, data) "
                 "SELECT randomblob(32), 0, i, %u, zeroblob(%u) FROM n",
                 ROWS, ROW_SIZE, ROW_SIZE),
        0);
    run_sql(path, sql);
    for (unsigned i = 0; i < 5; i++) {
        struct cubby_store_stats stats;

        store_put(sqlite, i, i, ROW_SIZE);
        stats = store_stats(sqlite);
        ck_assert_uint_le(stats.bytes, ROWS * ROW_SIZE);
        ck_assert_uint_le(stats.counters.evictions - before, 1100);
        before = stats.counters.evictions;
    }
    ck_assert_uint_gt(before, 0);
    ck_assert_int_eq(sqlite->ops->trim(sqlite, &half, &trimmed, NULL), 0);
    ck_assert_uint_eq(store_stats(sqlite).bytes, half.max_size);
    ck_assert_uint_gt(trimmed.entries, 5000);
    for (unsigned i = 0; i < 5; i++)
        store_expect(sqlite, i, i, ROW_SIZE);
    store_close(sqlite);
    sqlite = open_sqlite(path, ROWS / 10 * ROW_SIZE); /* a lower cap holds from the first put on */
    store_put(sqlite, 7, 7, ROW_SIZE);
    ck_assert_uint_le(store_stats(sqlite).bytes, ROWS / 10 * ROW_SIZE);
    store_close(sqlite);
    expect_sound(path);
    free(sql);
    free(path);
}
END_TEST

START_TEST(test_cap_lowered) {
    char *path = new_path();
    struct cubby_backend *sqlite = open_sqlite(path, 0);
    off_t before;

    put_many(sqlite, 0, 1000);
    store_close(sqlite);
    sqlite = open_sqlite(path, CAP);
    put_many(sqlite, 1000, 1);
    ck_assert_uint_le(store_stats(sqlite).bytes, CAP);
    ck_assert_uint_ge(store_stats(sqlite).bytes, CAP / 10 * 8);
    /* The file itself shrinks too, a part at a time. */
    run_sql(path, "PRAGMA wal_checkpoint(TRUNCATE)");
    before = size_of(path, "");
    ck_assert_int_lt(before, 900000);
    store_close(sqlite);
    expect_sound(path);
    free(path);
}
END_TEST

/* ---- The write-ahead log ----------------------------------------------------------------- */

/* A reader that stands still keeps the log from being emptied, but holds nobody up. */
START_TEST(test_a_slow_reader) {
    char *path = new_path();
    struct cubby_backend *sqlite = open_sqlite(path, 0);
    sqlite3 *reader;
    uint64_t start;

    put_many(sqlite, 0, 10);
    reader = open_raw(path);
    ck_assert_int_eq(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM entry", NULL, NULL, NULL),
                     SQLITE_OK);
    start = monotonic_ns();
    for (unsigned i = 0; i < 8; i++)
        store_put(sqlite, i, i, 1 << 20);
    ck_assert_uint_lt(monotonic_ns() - start, 5000000000u);
    sqlite3_close(reader);
    for (unsigned i = 0; i < 6; i++)
        store_put(sqlite, i, i, 1 << 20);
    ck_assert_int_lt(size_of(path, "-wal"), 6 << 20);
    store_close(sqlite);
    expect_sound(path);
    free(path);
}
END_TEST

struct writer {
    const char *path;
    unsigned first, count;
};

static void write_large(void *context) {
    const struct writer *writer = context;
    struct cubby_backend *sqlite = open_sqlite(writer->path, 0);

    for (unsigned i = 0; i < writer->count; i++)
        store_put(sqlite, writer->first + i % 10, i, 60000);
    store_close(sqlite);
}

/* Someone is always writing, yet the log is emptied now and then. */
START_TEST(test_log_stays_short_under_writers) {
    char *path = new_path();
    off_t longest = 0;
    pid_t children[6];
    unsigned running = 6;

    store_close(open_sqlite(path, 0));
    for (unsigned i = 0; i < 6; i++) {
        struct writer writer = {path, 100 * i, 150};

        children[i] = start_child(write_large, &writer);
    }
    while (running > 0) {
        int status;

        usleep(2000);
        if (size_of(path, "-wal") > longest)
            longest = size_of(path, "-wal");
        if (waitpid(children[running - 1], &status, WNOHANG) > 0) {
            ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
            running--;
        }
    }
    /* 54 MB were written in all; a checkpoint is due at 4 MB. */
    ck_assert_msg(longest < 16 << 20, "%lld", (long long)longest);
    expect_sound(path);
    free(path);
}
END_TEST

/* ---- Processes --------------------------------------------------------------------------- */

#define OPENERS 8

static void open_and_put(void *context) {
    const struct writer *writer = context;
    struct cubby_backend *sqlite = open_sqlite(writer->path, 0);

    put_many(sqlite, writer->first, writer->count);
    store_close(sqlite);
}

START_TEST(test_many_make_one_database) {
    for (unsigned round = 0; round < 10; round++) {
        char *path = new_path();
        pid_t children[OPENERS];
        struct cubby_backend *sqlite;

        for (unsigned i = 0; i < OPENERS; i++) {
            struct writer writer = {path, 10 * i, 3};

            children[i] = start_child(open_and_put, &writer);
        }
        for (unsigned i = 0; i < OPENERS; i++)
            end_child(children[i]);
        sqlite = open_sqlite(path, 0);
        for (unsigned i = 0; i < OPENERS; i++) {
            for (unsigned j = 10 * i; j < 10 * i + 3; j++)
                store_expect(sqlite, j, j, SIZE);
        }
        store_close(sqlite);
        expect_answer(path, "PRAGMA auto_vacuum", "2");
        expect_answer(path, "PRAGMA journal_mode", "wal");
        expect_sound(path);
        free(path);
    }
}
END_TEST

#define VICTIMS 4
#define EACH 3000
#define LARGE 3000

struct victim {
    const char *path;
    unsigned number;
    _Atomic unsigned *committed; /* shared: how many of a victim's entries were put */
};

static void put_until_killed(void *context) {
    const struct victim *victim = context;
    _Atomic unsigned *committed = &victim->committed[victim->number];
    struct cubby_backend *sqlite = open_sqlite(victim->path, 0);

    for (unsigned i = atomic_load(committed); i < EACH; i++) {
        unsigned number = victim->number * EACH + i;

        store_put(sqlite, number, number, LARGE);
        atomic_store(committed, i + 1);
    }
    for (;;)
        pause();
}

/* Writers are killed one after the other and started anew, while the others write and run
 * checkpoints; all that any of them was told to be stored must be there in the end. */
START_TEST(test_killed_writers_lose_nothing) {
    char *path = new_path();
    _Atomic unsigned *committed = mmap(NULL, VICTIMS * sizeof(*committed), PROT_READ | PROT_WRITE,
                                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct cubby_backend *sqlite;
    pid_t children[VICTIMS];
    unsigned total = 0;

    ck_assert_ptr_ne((void *)committed, MAP_FAILED);
    for (unsigned i = 0; i < VICTIMS; i++) {
        struct victim victim = {path, i, committed};

        children[i] = start_child(put_until_killed, &victim);
    }
    for (unsigned round = 0; round < 60; round++) {
        struct victim victim = {path, round % VICTIMS, committed};
        int status;

        usleep(30000 + round * 131 % 17 * 1000);
        ck_assert_int_eq(kill(children[round % VICTIMS], SIGKILL), 0);
        ck_assert_int_eq(waitpid(children[round % VICTIMS], &status, 0), children[round % VICTIMS]);
        ck_assert(WIFSIGNALED(status));
        children[round % VICTIMS] = start_child(put_until_killed, &victim);
    }
    for (unsigned i = 0; i < VICTIMS; i++) {
        ck_assert_int_eq(kill(children[i], SIGKILL), 0);
        ck_assert_int_eq(waitpid(children[i], NULL, 0), children[i]);
    }
    sqlite = open_sqlite(path, 0);
    for (unsigned i = 0; i < VICTIMS; i++) {
        for (unsigned j = 0; j < atomic_load(&committed[i]); j++, total++)
            store_expect(sqlite, i * EACH + j, i * EACH + j, LARGE);
    }
    ck_assert_uint_gt(total, 100);
    store_close(sqlite);
    expect_sound(path);
    ck_assert_int_eq(munmap((void *)committed, VICTIMS * sizeof(*committed)), 0);
    free(path);
}
END_TEST

/* ---- Forks ------------------------------------------------------------------------------- */

struct heir {
    struct cubby_backend *sqlite;
    int go[2]; /* a pipe: its end says that the parent has closed the store */
};

static void use_both_sides(struct cubby_backend *sqlite, unsigned first) {
    for (unsigned i = first; i < first + 200; i++) {
        store_put(sqlite, i, i, SIZE);
        store_expect(sqlite, i, i, SIZE);
        store_expect(sqlite, 1, 1, SIZE);
    }
}

static void inherit(void *context) {
    struct heir *heir = context;
    char byte;

    close(heir->go[1]);
    use_both_sides(heir->sqlite, 2000);
    ck_assert_int_eq(read(heir->go[0], &byte, 1), 0);
    use_both_sides(heir->sqlite, 3000);
    store_close(heir->sqlite);
}

START_TEST(test_fork) {
    char *path = new_path();
    struct heir heir = {open_sqlite(path, 0), {-1, -1}};
    struct cubby_backend *other;
    struct writer writer = {path, 5000, 50};
    pid_t child;

    store_put(heir.sqlite, 1, 1, SIZE);
    ck_assert_int_eq(pipe(heir.go), 0);
    child = start_child(inherit, &heir);
    close(heir.go[0]);
    use_both_sides(heir.sqlite, 1000);
    store_close(heir.sqlite);
    close(heir.go[1]);
    for (unsigned i = 0; i < 5; i++) /* who comes new must find that the child is there */
        end_child(start_child(open_and_put, &writer));
    end_child(child);
    other = open_sqlite(path, 0);
    for (unsigned i = 0; i < 200; i++) {
        store_expect(other, 1000 + i, 1000 + i, SIZE);
        store_expect(other, 2000 + i, 2000 + i, SIZE);
        store_expect(other, 3000 + i, 3000 + i, SIZE);
    }
    store_close(other);
    expect_sound(path);
    free(path);
}
END_TEST

/* The child holds locks of its own on the database's shared memory, not its parent's. */
static void keep_a_lock(void *context) {
    struct heir *heir = context;
    char byte;

    store_expect(heir->sqlite, 1, 1, SIZE);
    ck_assert_int_eq(read(heir->go[0], &byte, 1), 1); /* until it was looked at */
    store_close(heir->sqlite);
}

START_TEST(test_a_forked_child_locks_for_itself) {
    char *path = new_path(), *shm;
    struct heir heir = {open_sqlite(path, 0), {-1, -1}};
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 128, .l_len = 1};
    pid_t child;
    int fd;

    store_put(heir.sqlite, 1, 1, SIZE);
    ck_assert_int_eq(pipe(heir.go), 0);
    child = start_child(keep_a_lock, &heir);
    store_close(heir.sqlite); /* with it go the parent's own locks */
    usleep(300000);
    ck_assert_int_gt(asprintf(&shm, "%s-shm", path), 0);
    fd = open(shm, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    /* Byte 128 is what every user of the shared memory holds: who finds it free truncates it. */
    ck_assert_int_eq(fcntl(fd, F_GETLK, &lock), 0);
    ck_assert_int_eq(lock.l_type, F_RDLCK);
    ck_assert_int_eq(lock.l_pid, child);
    close(fd);
    ck_assert_int_eq(write(heir.go[1], "x", 1), 1);
    end_child(child);
    close(heir.go[0]);
    close(heir.go[1]);
    free(shm);
    free(path);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sqlite");
    TCase *tcase = tcase_create("all");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_settings);
    tcase_add_loop_test(tcase, test_modes, 0, 2);
    tcase_add_test(tcase, test_oldest_go_down_to_the_low_water_mark);
    tcase_add_test(tcase, test_a_hit_saves_an_entry);
    tcase_add_test(tcase, test_the_entry_just_written_stays);
    tcase_add_test(tcase, test_large_entries);
    tcase_add_test(tcase, test_a_removal_writes_little);
    tcase_add_test(tcase, test_evictions_are_spread);
    tcase_add_test(tcase, test_cap_lowered);
    tcase_add_test(tcase, test_a_slow_reader);
    tcase_add_test(tcase, test_log_stays_short_under_writers);
    tcase_add_test(tcase, test_many_make_one_database);
    tcase_add_test(tcase, test_killed_writers_lose_nothing);
    tcase_add_test(tcase, test_fork);
    tcase_add_test(tcase, test_a_forked_child_locks_for_itself);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
