/* SPDX-License-Identifier: Apache-2.0 */
/* The cap of the file store: what goes first, how the total heals, and many processes at once. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "backends/file.h"
#include "backends/file_account.h"
#include "os/time.h"
#include "store_tools.h"

#define CAP 200000u
#define SIZE 1000u
#define STEP (CAP / 256)

static struct cubby_backend *open_file(const char *path, uint64_t max_size) {
    return store_open(file_backend_open, path, max_size);
}

static char *new_path(void) {
    return path_in(scratch_dir(), "store");
}

/* Sets the last use of an entry back. */
static void set_age(const char *store, unsigned number, int64_t seconds) {
    const struct timespec times[2] = {{wall_seconds() - seconds, 0}, {wall_seconds() - seconds, 0}};
    struct cubby_key key = key_of(number);
    char name[FILE_PATH_SIZE], *path;

    file_entry_path(&key, name);
    ck_assert_int_gt(asprintf(&path, "%s/object/%s", store, name), 0);
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
    free(path);
}

static void put_many(struct cubby_backend *file, unsigned first, unsigned count) {
    for (unsigned i = first; i < first + count; i++)
        store_put(file, i, i, SIZE);
}

/* ---- What goes --------------------------------------------------------------------------- */

START_TEST(test_oldest_go_down_to_the_low_water_mark) {
    char *store = new_path();
    struct cubby_backend *file = open_file(store, CAP);
    unsigned put = CAP / SIZE;

    /* In use from the highest number, the oldest, to 0. */
    for (unsigned i = 0; i < put; i++) {
        store_put(file, i, i, SIZE);
        set_age(store, i, 1000 + 10 * (int64_t)i);
    }
    ck_assert_uint_eq(store_walk(file), put);
    while (store_stats(file).counters.evictions == 0) {
        store_put(file, put, put, SIZE);
        put++;
        ck_assert_uint_le(put, CAP / SIZE + STEP / SIZE + 2);
    }
    ck_assert_uint_le(store_stats(file).bytes, CAP / 10 * 9);
    ck_assert_uint_gt(store_stats(file).bytes, CAP / 10 * 9 - SIZE);
    for (unsigned i = 0; i < put; i++) {
        bool young = i < CAP / SIZE / 10 * 9 - 1 || i >= CAP / SIZE;

        ck_assert_msg((store_get_code(file, i) == 0) == young, "%u of %u", i, put);
    }
    store_close(file);
    free(store);
}
END_TEST

/* A hit counts as a use once a minute, so what is asked for stays; a look does not count. */
START_TEST(test_a_hit_saves_an_entry) {
    char *store = new_path();
    struct cubby_backend *file = open_file(store, CAP);

    put_many(file, 0, CAP / SIZE);
    for (unsigned i = 0; i < CAP / SIZE; i++)
        set_age(store, i, 5000 + (int64_t)i);
    store_expect(file, CAP / SIZE - 1, CAP / SIZE - 1, SIZE);
    store_peek(file, CAP / SIZE - 2);
    put_many(file, 1000, 5);
    store_expect(file, CAP / SIZE - 1, CAP / SIZE - 1, SIZE);
    ck_assert_int_eq(store_get_code(file, CAP / SIZE - 2), CUBBY_ERR_NOT_FOUND);
    store_close(file);
    free(store);
}
END_TEST

/* Even where the clock makes the new entry look like the oldest. */
START_TEST(test_the_entry_just_written_stays) {
    char *store = new_path();
    struct cubby_backend *file = open_file(store, CAP);

    put_many(file, 0, CAP / SIZE);
    for (unsigned i = 0; i < CAP / SIZE; i++)
        set_age(store, i, -5000);
    for (unsigned i = 1000; i < 1030; i++) {
        store_put(file, i, i, SIZE);
        store_expect(file, i, i, SIZE);
    }
    ck_assert_uint_gt(store_stats(file).counters.evictions, 0);
    store_close(file);
    free(store);
}
END_TEST

START_TEST(test_entry_above_the_cap) {
    char *store = new_path();
    struct cubby_backend *file = open_file(store, CAP);

    put_many(file, 0, 100);
    store_put(file, 500, 500, CAP + 1);
    ck_assert_int_eq(store_get_code(file, 500), CUBBY_ERR_NOT_FOUND);
    ck_assert_uint_eq(store_walk(file), 100);
    /* What it would have replaced is out of date and must not be served. */
    store_put(file, 7, 8, CAP + 1);
    ck_assert_int_eq(store_get_code(file, 7), CUBBY_ERR_NOT_FOUND);
    ck_assert_uint_eq(store_walk(file), 99);
    store_close(file);
    free(store);
}
END_TEST

START_TEST(test_entry_of_the_cap) {
    char *store = new_path();
    struct cubby_backend *file = open_file(store, CAP);

    put_many(file, 0, 100);
    store_put(file, 500, 500, CAP);
    store_expect(file, 500, 500, CAP);
    ck_assert_uint_eq(store_walk(file), 1);
    store_close(file);
    free(store);
}
END_TEST

START_TEST(test_tiny_cap) {
    char *store = new_path();
    struct cubby_backend *file = open_file(store, 50);

    for (unsigned i = 0; i < 20; i++) {
        store_put(file, i, i, 10);
        ck_assert_uint_le(store_stats(file).bytes, 50);
    }
    store_close(file);
    free(store);
}
END_TEST

/* ---- The shared total -------------------------------------------------------------------- */

static void expect_cap_is_kept(const char *store, unsigned first) {
    struct cubby_backend *file = open_file(store, CAP);

    for (unsigned i = first; i < first + CAP / SIZE; i++) {
        store_put(file, i, i, SIZE);
        ck_assert_uint_le(store_stats(file).bytes, CAP + STEP + SIZE);
    }
    ck_assert_uint_ge(store_stats(file).bytes, CAP / 2);
    store_close(file);
}

START_TEST(test_cap_lowered) {
    char *store = new_path();
    struct cubby_backend *file = open_file(store, 3 * CAP);

    put_many(file, 0, 3 * CAP / SIZE);
    store_close(file);
    expect_cap_is_kept(store, 5000);
    free(store);
}
END_TEST

START_TEST(test_cap_set_later) {
    char *store = new_path();
    struct cubby_backend *file = open_file(store, 0);

    put_many(file, 0, 2 * CAP / SIZE);
    store_close(file);
    expect_cap_is_kept(store, 5000);
    free(store);
}
END_TEST

/* Those who set no cap of their own write into the store of one who did. */
START_TEST(test_capped_and_uncapped_at_once) {
    char *store = new_path();
    struct cubby_backend *capped = open_file(store, CAP), *uncapped = open_file(store, 0);

    put_many(capped, 0, CAP / SIZE / 2);
    put_many(uncapped, 1000, CAP / SIZE);
    store_close(uncapped); /* tells what it stored */
    put_many(capped, 3000, 1 + STEP / SIZE);
    ck_assert_uint_le(store_stats(capped).bytes, CAP + STEP + SIZE);
    store_close(capped);
    free(store);
}
END_TEST

static void set_too_much(struct account *account, const void *context) {
    (void)context;
    account->bytes = (uint64_t)1 << 63;
}

static void damage_account(const char *store, int how) {
    char *path = path_in(store, "counters");
    int root = open(store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    switch (how) {
    case 0:
        ck_assert_int_eq(unlink(path), 0);
        break;
    case 1:
        ck_assert_int_eq(truncate(path, 3), 0);
        break;
    case 2:
        ck_assert_int_eq(truncate(path, 0), 0);
        break;
    case 3:
        write_file(path,
                   "This was once a file of counters; someone has written over all of it, "
                   "as it seems, and nothing of what it held can be read any more at all.",
                   140);
        break;
    default:
        ck_assert_int_eq(account_change(root, set_too_much, NULL, NULL), 0);
        break;
    }
    close(root);
    free(path);
}

START_TEST(test_damaged_account) {
    char *store = new_path();
    struct cubby_backend *file = open_file(store, CAP);
    const struct cubby_counters delta = {.hits = 3};

    put_many(file, 0, CAP / SIZE);
    store_close(file);
    damage_account(store, _i);
    expect_cap_is_kept(store, 5000);
    file = open_file(store, CAP);
    ck_assert_uint_lt(store_stats(file).counters.hits, 3);
    ck_assert_int_eq(file->ops->count(file, &delta, NULL), 0);
    ck_assert_uint_eq(store_stats(file).counters.hits, 3);
    store_close(file);
    free(store);
}
END_TEST

#define WORKERS 400
#define WORKERS_CAP 51200u
#define WORKERS_SIZE 150u /* below the step of that cap */

static struct cubby_backend *left_open;

static void put_and_die(void *context) {
    left_open = open_file(context, WORKERS_CAP);
    store_put(left_open, (unsigned)getpid(), 1, WORKERS_SIZE); /* and ends without closing */
}

START_TEST(test_writers_that_never_close) {
    char *store = new_path();
    struct cubby_backend *file = open_file(store, WORKERS_CAP);

    for (unsigned i = 0; i < WORKERS; i++)
        end_child(start_child(put_and_die, store));
    ck_assert_uint_le(store_stats(file).bytes, WORKERS_CAP + WORKERS_CAP / 10);
    ck_assert_uint_gt(store_stats(file).counters.evictions, 0);
    store_close(file);
    free(store);
}
END_TEST

/* What others store while a store is being cleared still counts. */
static void put_some(void *context) {
    struct cubby_backend *file = open_file(context, CAP);

    put_many(file, 0, CAP / SIZE / 4);
    store_close(file);
}

START_TEST(test_clear_among_writers) {
    char *store = new_path();
    struct cubby_backend *file = open_file(store, CAP);
    int root = open(store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (unsigned round = 0; round < 20; round++) {
        pid_t writer = start_child(put_some, store);
        struct account account;
        int status;

        while (waitpid(writer, &status, WNOHANG) == 0)
            ck_assert_int_eq(file->ops->clear(file, NULL), 0);
        ck_assert_int_eq(status, 0);
        ck_assert(account_read(root, &account));
        ck_assert_uint_ge(account.bytes, store_stats(file).bytes);
    }
    close(root);
    store_close(file);
    free(store);
}
END_TEST

/* ---- Locks and forks --------------------------------------------------------------------- */

static pid_t bystander;

static void fork_under_lock(struct account *account, const void *context) {
    (void)account;
    (void)context;
    bystander = fork();
    if (bystander == 0) {
        for (;;)
            pause();
    }
}

static void leave_alone(struct account *account, const void *context) {
    (void)account;
    (void)context;
}

/* A child that happens to be forked while another thread holds the lock must not keep it. */
START_TEST(test_a_forked_child_keeps_no_lock) {
    int root = open(scratch_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    ck_assert_int_eq(account_change(root, fork_under_lock, NULL, NULL), 0);
    ck_assert_int_gt(bystander, 0);
    alarm(10); /* instead of waiting for ever */
    ck_assert_int_eq(account_change(root, leave_alone, NULL, NULL), 0);
    alarm(0);
    ck_assert_int_eq(kill(bystander, SIGKILL), 0);
    ck_assert_int_eq(waitpid(bystander, NULL, 0), bystander);
    close(root);
}
END_TEST

/* ---- Large stores ------------------------------------------------------------------------ */

static void set_half_as_much_again(struct account *account, const void *context) {
    (void)context;
    account->bytes += account->bytes / 2;
}

/* Of a store with more entries than a sample only a part is looked at, and the cap is kept all the
 * same, what was used last stays, and a total that was far too high is found out. */
START_TEST(test_evicted_part_by_part) {
    char *store = new_path();
    struct cubby_backend *file = open_file(store, CAP);
    struct account account;
    int root;

    ((struct file_backend *)file)->sample = 60;
    for (unsigned i = 0; i < 5 * CAP / SIZE; i++) {
        store_put(file, i, i, SIZE);
        set_age(store, i, 100000 - (int64_t)i);
        ck_assert_uint_le(store_stats(file).bytes, CAP + SIZE);
        ck_assert(i < CAP / SIZE || store_stats(file).bytes >= CAP / 10 * 7);
    }
    for (unsigned i = 5 * CAP / SIZE - CAP / SIZE / 8; i < 5 * CAP / SIZE; i++)
        store_expect(file, i, i, SIZE);
    root = open(store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(account_change(root, set_half_as_much_again, NULL, NULL), 0);
    store_put(file, 0, 0, SIZE);
    ck_assert(account_read(root, &account));
    ck_assert_uint_eq(account.bytes, store_stats(file).bytes);
    ck_assert_uint_ge(account.bytes, CAP / 10 * 7);
    close(root);
    store_close(file);
    free(store);
}
END_TEST

/* ---- Processes that were stopped --------------------------------------------------------- */

static void stop_under_lock(struct account *account, const void *context) {
    (void)account;
    (void)context;
    raise(SIGSTOP);
}

/* Stopped while it holds the lock on the counters. */
static void hold_counters(void *context) {
    int root = open(context, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    account_change(root, stop_under_lock, NULL, NULL);
    close(root);
}

static void hold_evictions(void *context) {
    char *path = path_in(context, "tmp/evict.lock");
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    ck_assert_int_eq(flock(lock, LOCK_EX), 0);
    raise(SIGSTOP);
    close(lock);
    free(path);
}

static pid_t start_stopped(void (*run)(void *context), char *store) {
    pid_t child = start_child(run, store);
    int status;

    ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
    ck_assert(WIFSTOPPED(status));
    return child;
}

static void end_stopped(pid_t child) {
    ck_assert_int_eq(kill(child, SIGCONT), 0);
    end_child(child);
}

/* Puts, hits and statistics go on, the cap is kept, and what could not be told is told later. */
START_TEST(test_holder_of_the_counters_stopped) {
    char *store = new_path();
    struct cubby_backend *file = open_file(store, CAP);
    uint64_t start = monotonic_ns();
    struct account account;
    pid_t holder;
    int root;

    put_many(file, 0, CAP / SIZE / 2);
    holder = start_stopped(hold_counters, store);
    for (unsigned i = 1000; i < 1000 + 3 * CAP / SIZE; i++) {
        store_put(file, i, i, SIZE);
        store_expect(file, i, i, SIZE);
    }
    ck_assert_uint_le(store_stats(file).bytes, CAP + CAP / 10);
    ck_assert_uint_lt(monotonic_ns() - start, 30 * (uint64_t)1000000000);
    end_stopped(holder);
    ck_assert_int_eq(file->ops->flush(file, NULL), 0);
    root = open(store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert(account_read(root, &account));
    close(root);
    ck_assert_uint_gt(account.counters.evictions, 0);
    store_close(file);
    free(store);
}
END_TEST

/* Once there is a batch too much the others do not rely on the one that was to make room. */
START_TEST(test_evictor_stopped) {
    char *store = new_path();
    struct cubby_backend *file = open_file(store, CAP);
    pid_t holder = start_stopped(hold_evictions, store);

    for (unsigned i = 0; i < CAP / SIZE + CAP / SIZE / 5; i++) {
        store_put(file, i, i, SIZE);
        ck_assert_uint_le(store_stats(file).bytes, CAP + CAP / 10);
    }
    ck_assert_uint_gt(store_stats(file).counters.evictions, 0);
    end_stopped(holder);
    store_close(file);
    free(store);
}
END_TEST

static void hold_evictor_lock(void *context) {
    const struct timespec while_ = {0, 300000000};
    char *path = path_in(context, "tmp/evict.lock"), *held = path_in(context, "held");
    char *released = path_in(context, "released");
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    ck_assert_int_eq(flock(lock, LOCK_EX), 0);
    write_file(held, "", 0);
    nanosleep(&while_, NULL);
    write_file(released, "", 0);
    close(lock);
    free(released);
    free(held);
    free(path);
}

/* Who asks for a trim gets one, also when an evictor is at work just then. */
START_TEST(test_trim_waits_for_its_turn) {
    const struct cubby_trim_limits all = {.used_before = INT64_MAX};
    char *store = new_path(), *held = path_in(store, "held");
    struct cubby_backend *file = open_file(store, 0);
    pid_t holder;

    put_many(file, 0, 5);
    holder = start_child(hold_evictor_lock, store);
    while (access(held, F_OK) < 0)
        usleep(1000);
    ck_assert_int_eq(file->ops->trim(file, &all, NULL, NULL), 0);
    ck_assert_uint_eq(store_walk(file), 0);
    end_child(holder);
    store_close(file);
    free(held);
    free(store);
}
END_TEST

/* Else each would set the total by what it found before the other changed it. */
START_TEST(test_clear_waits_for_an_eviction) {
    char *store = new_path(), *held = path_in(store, "held"), *released;
    struct cubby_backend *file = open_file(store, 0);
    pid_t holder = start_child(hold_evictor_lock, store);

    while (access(held, F_OK) < 0)
        usleep(1000);
    released = path_in(store, "released");
    ck_assert_int_eq(file->ops->clear(file, NULL), 0);
    ck_assert_int_eq(access(released, F_OK), 0);
    end_child(holder);
    store_close(file);
    free(released);
    free(held);
    free(store);
}
END_TEST

static void flush_it(void *context) {
    struct cubby_backend *file = context;

    put_many(file, 700, 1);
    ck_assert_int_eq(file->ops->flush(file, NULL), 0);
}

/* What the parent has not told yet is the parent's to tell. */
START_TEST(test_fork_counts_once) {
    char *store = new_path();
    struct cubby_backend *file = open_file(store, 1000 * SIZE);
    const struct cubby_trim_limits one = {.max_size = 9 * SIZE};
    struct account account;
    int root;

    put_many(file, 0, 10);
    ck_assert_int_eq(file->ops->trim(file, &one, NULL, NULL), 0);
    put_many(file, 100, 2); /* less than a step: untold */
    end_child(start_child(flush_it, file));
    ck_assert_int_eq(file->ops->flush(file, NULL), 0);
    root = open(store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    account_read(root, &account);
    close(root);
    ck_assert_uint_eq(account.bytes, 12 * SIZE);
    ck_assert_uint_eq(account.counters.evictions, 1);
    store_close(file);
    free(store);
}
END_TEST

/* ---- A crowd ----------------------------------------------------------------------------- */

#define CROWD 8
#define CROWD_KEYS 397   /* a prime: every key is put, got and removed by everyone */
#define CROWD_CAP 60000u /* of 430 KB that they put in all */
#define CROWD_NS 1500000000u

static size_t crowd_size(unsigned number) {
    return 200 + number % 13 * 150;
}

struct crowd {
    const char *store;
    unsigned seed;
    _Atomic unsigned *hits; /* shared by all processes */
};

static void take_part(void *context) {
    const struct crowd *crowd = context;
    struct cubby_backend *file = open_file(crowd->store, CROWD_CAP);
    uint64_t end = monotonic_ns() + CROWD_NS;
    uint32_t state = crowd->seed;

    for (unsigned round = crowd->seed; monotonic_ns() < end; round++) {
        unsigned number = (state = state * 1664525 + 1013904223) / 65536 % CROWD_KEYS;
        struct cubby_key key = key_of(number);
        struct cubby_blob *blob;

        if (round % 4 == 0) {
            store_put(file, number, number, crowd_size(number));
        } else if (round % 1499 == 1) {
            ck_assert_int_eq(file->ops->clear(file, NULL), 0);
        } else if (file->ops->get(file, CUBBY_ENTRY_OBJECT, &key, &blob, NULL) == 0) {
            ck_assert_uint_eq(cubby_blob_size(blob), crowd_size(number));
            ck_assert(is_blob_of(cubby_blob_data(blob), crowd_size(number), number));
            cubby_blob_unref(blob);
            atomic_fetch_add(crowd->hits, 1);
        }
    }
    store_close(file);
}

START_TEST(test_crowd) {
    char *store = new_path();
    struct cubby_backend *file = open_file(store, CROWD_CAP);
    _Atomic unsigned *hits =
        mmap(NULL, sizeof(*hits), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t children[CROWD];

    ck_assert_ptr_ne((void *)hits, MAP_FAILED);
    for (unsigned i = 0; i < CROWD; i++) {
        struct crowd crowd = {store, i, hits};

        children[i] = start_child(take_part, &crowd);
    }
    for (unsigned i = 0; i < CROWD; i++)
        end_child(children[i]);
    ck_assert_uint_gt(atomic_load(hits), 0);
    ck_assert_int_eq(munmap((void *)hits, sizeof(*hits)), 0);
    /* Where the last of them left eviction to another who had just ended it, the next put does it.
     */
    store_put(file, 0, 0, crowd_size(0));
    ck_assert_uint_le(store_stats(file).bytes, CROWD_CAP);
    ck_assert_uint_gt(store_stats(file).counters.evictions, 0);
    for (unsigned i = 0; i < CROWD_KEYS; i++) {
        if (store_get_code(file, i) == 0)
            store_expect(file, i, i, crowd_size(i));
    }
    store_close(file);
    free(store);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("file cap");
    TCase *tcase = tcase_create("all");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_oldest_go_down_to_the_low_water_mark);
    tcase_add_test(tcase, test_a_hit_saves_an_entry);
    tcase_add_test(tcase, test_the_entry_just_written_stays);
    tcase_add_test(tcase, test_entry_above_the_cap);
    tcase_add_test(tcase, test_entry_of_the_cap);
    tcase_add_test(tcase, test_tiny_cap);
    tcase_add_test(tcase, test_cap_lowered);
    tcase_add_test(tcase, test_cap_set_later);
    tcase_add_test(tcase, test_capped_and_uncapped_at_once);
    tcase_add_loop_test(tcase, test_damaged_account, 0, 5);
    tcase_add_test(tcase, test_writers_that_never_close);
    tcase_add_test(tcase, test_clear_among_writers);
    tcase_add_test(tcase, test_a_forked_child_keeps_no_lock);
    tcase_add_test(tcase, test_evicted_part_by_part);
    tcase_add_test(tcase, test_holder_of_the_counters_stopped);
    tcase_add_test(tcase, test_evictor_stopped);
    tcase_add_test(tcase, test_trim_waits_for_its_turn);
    tcase_add_test(tcase, test_clear_waits_for_an_eviction);
    tcase_add_test(tcase, test_fork_counts_once);
    tcase_add_test(tcase, test_crowd);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
