/* SPDX-License-Identifier: Apache-2.0 */
/* Holding a file lock: files that lose their name, giving up, upgrades, forks and threads. */
#include "file_lock_help.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/time.h"

/* ---- Files that lose their name ---------------------------------------------------------- */

static const char *watched;
static int rival = -1;

static void remove_once(unsigned call, int fd, int operation) {
    (void)fd;
    (void)operation;
    if (call == 0)
        unlink(watched);
}

static void remove_always(unsigned call, int fd, int operation) {
    (void)call;
    (void)fd;
    (void)operation;
    unlink(watched);
}

static void rename_once(unsigned call, int fd, int operation) {
    char moved[600];

    (void)fd;
    (void)operation;
    snprintf(moved, sizeof(moved), "%s.moved", watched);
    if (call == 0)
        rename(watched, moved);
}

/* Another is in the place of the one that was opened, and held. */
static void replace_once(unsigned call, int fd, int operation) {
    (void)fd;
    (void)operation;
    if (call != 0)
        return;
    unlink(watched);
    rival = open(watched, O_RDWR | O_CREAT, 0644);
    syscall(SYS_flock, rival, LOCK_EX);
}

static void link_once(unsigned call, int fd, int operation) {
    (void)fd;
    (void)operation;
    if (call != 0)
        return;
    unlink(watched);
    ck_assert_int_eq(symlink("elsewhere", watched), 0);
}

static struct cubby_file_lock *watched_lock(const char *path, void (*before)(unsigned, int, int)) {
    struct cubby_file_lock *lock = lock_at(path);

    watched = path;
    hook_reset();
    hook.before = before;
    return lock;
}

/* A lock on a file without a name would keep no one out. */
START_TEST(test_locks_the_file_that_has_the_name) {
    static void (*const WAYS[])(unsigned, int, int) = {remove_once, rename_once};
    char *path = the_path();
    struct cubby_file_lock *lock = watched_lock(path, WAYS[_i]);

    take(lock, EXCLUSIVE, 0);
    ck_assert_int_ge(descriptor_of(path), 0);
    ck_assert(!free_for_others(path));
    /* And so where it was held as well, and is asked for again. */
    ck_assert_int_eq(unlink(path), 0);
    hook_reset();
    take(lock, EXCLUSIVE, 0);
    ck_assert(!free_for_others(path));
    cubby_file_lock_free(lock);
    free(path);
}
END_TEST

START_TEST(test_one_who_has_the_name_goes_first) {
    char *path = the_path();
    struct cubby_file_lock *lock = watched_lock(path, replace_once);

    busy(lock, EXCLUSIVE);
    ck_assert(!cubby_file_lock_is_held(lock));
    close(rival);
    take(lock, EXCLUSIVE, 0);
    ck_assert(!free_for_others(path));
    cubby_file_lock_free(lock);
    free(path);
}
END_TEST

START_TEST(test_name_that_is_always_lost_is_waited_for) {
    char *path = the_path();
    struct cubby_file_lock *lock = watched_lock(path, remove_always);
    uint64_t start = monotonic_ns();

    refused(lock, EXCLUSIVE, 100 * MS, CUBBY_ERR_BUSY, "another still holds it");
    ck_assert_uint_ge(monotonic_ns() - start, 100 * MS);
    ck_assert(!cubby_file_lock_is_held(lock));
    hook_reset();
    take(lock, EXCLUSIVE, 0);
    cubby_file_lock_free(lock);
    free(path);
}
END_TEST

START_TEST(test_link_in_the_place_of_the_file_is_an_error) {
    char *path = the_path();
    struct cubby_file_lock *lock = watched_lock(path, link_once);

    refused(lock, EXCLUSIVE, -1, CUBBY_ERR_INVALID, "is a symbolic link");
    ck_assert(!cubby_file_lock_is_held(lock));
    hook_reset();
    ck_assert_int_eq(unlink(path), 0);
    take(lock, EXCLUSIVE, 0);
    cubby_file_lock_free(lock);
    free(path);
}
END_TEST

START_TEST(test_folders_that_vanished_are_made_again) {
    char *folder = path_in(scratch_dir(), "cache"), *path = path_in(folder, "kernels.lock");
    struct cubby_file_lock *lock = lock_at(path);

    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(rmdir(folder), 0);
    take(lock, EXCLUSIVE, 0);
    ck_assert(!free_for_others(path));
    cubby_file_lock_free(lock);
    free(path);
    free(folder);
}
END_TEST

/* ---- The file stays as it is ------------------------------------------------------------- */

START_TEST(test_neither_removed_nor_written) {
    static const char WORDS[] = "not the lock's to change";
    char *path = the_path(), *content;
    struct stat before, after;
    struct cubby_file_lock *lock;
    size_t size;

    write_file(path, WORDS, strlen(WORDS));
    ck_assert_int_eq(lstat(path, &before), 0);
    lock = lock_at(path);
    for (unsigned i = 0; i < 3; i++) {
        take(lock, i % 2 ? SHARED : EXCLUSIVE, 0);
        cubby_file_lock_release(lock);
    }
    take(lock, EXCLUSIVE, 0);
    cubby_file_lock_free(lock);
    ck_assert_int_eq(lstat(path, &after), 0);
    ck_assert_uint_eq(after.st_ino, before.st_ino);
    ck_assert_int_eq(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
    ck_assert_int_eq(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
    ck_assert_int_eq(after.st_ctim.tv_nsec, before.st_ctim.tv_nsec);
    content = read_whole(path, &size);
    ck_assert_str_eq(content, WORDS);
    free(content);
    free(path);
}
END_TEST

/* ---- Giving up --------------------------------------------------------------------------- */

START_TEST(test_release_may_be_repeated) {
    char *path = the_path();
    struct cubby_file_lock *lock = lock_at(path), *next = lock_at(path);

    cubby_file_lock_release(NULL);
    cubby_file_lock_release(lock);
    take(lock, EXCLUSIVE, 0);
    cubby_file_lock_release(lock);
    ck_assert(!cubby_file_lock_is_held(lock));
    take(next, EXCLUSIVE, 0);
    cubby_file_lock_release(lock); /* which is not the next one's */
    ck_assert(!free_for_others(path));
    busy(lock, SHARED);
    cubby_file_lock_free(next);
    take(lock, EXCLUSIVE, 0);
    cubby_file_lock_free(lock);
    free(path);
}
END_TEST

START_TEST(test_free_releases) {
    char *path = the_path();
    struct cubby_file_lock *lock = lock_at(path);

    cubby_file_lock_free(NULL);
    take(lock, EXCLUSIVE, 0);
    ck_assert(!free_for_others(path));
    cubby_file_lock_free(lock);
    ck_assert(free_for_others(path));
    free(path);
}
END_TEST

START_TEST(test_death_releases) {
    char *path = the_path();
    struct cubby_file_lock *lock = lock_at(path);
    struct other other = other_start(path);

    ck_assert_int_eq(ask(other, 'e'), 'y');
    busy(lock, SHARED);
    kill(other.pid, SIGKILL);
    other_end(other);
    take(lock, EXCLUSIVE, 0);
    cubby_file_lock_free(lock);
    free(path);
}
END_TEST

/* One made past the C library still has the descriptor, as one on its way to another program does.
 */
START_TEST(test_released_though_a_child_has_the_descriptor) {
    char *path = the_path();
    struct cubby_file_lock *lock = lock_at(path);
    pid_t child;

    take(lock, EXCLUSIVE, 0);
    child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        for (;;)
            syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
    }
    if (_i == 0)
        cubby_file_lock_release(lock);
    else
        cubby_file_lock_free(lock);
    ck_assert(free_for_others(path));
    kill(child, SIGKILL);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    if (_i == 0)
        cubby_file_lock_free(lock);
    free(path);
}
END_TEST

/* ---- From shared to exclusive and back --------------------------------------------------- */

START_TEST(test_failed_upgrade_keeps_the_shared_lock) {
    char *path = the_path();
    struct cubby_file_lock *lock = lock_at(path);
    struct other reader = other_start(path), writer = other_start(path);

    take(lock, SHARED, 0);
    ck_assert_int_eq(ask(reader, 's'), 'y');
    refused(lock, EXCLUSIVE, 60 * MS, CUBBY_ERR_BUSY, "another still holds it");
    ck_assert_int_eq(cubby_file_lock_mode(lock), SHARED);
    ck_assert_int_eq(ask(reader, 'r'), 'y');
    ck_assert_int_eq(ask(writer, 'e'), 'n'); /* it is this one's that keeps it out */
    take(lock, EXCLUSIVE, 0);
    ck_assert_int_eq(ask(reader, 's'), 'n');
    take(lock, SHARED, 0);
    ck_assert_int_eq(ask(reader, 's'), 'y');
    ck_assert_int_eq(ask(writer, 'e'), 'n');
    other_end(writer);
    other_end(reader);
    cubby_file_lock_free(lock);
    free(path);
}
END_TEST

/* Another is quicker than the one who wants its shared lock back. */
static void overtake(unsigned call, int fd, int operation) {
    (void)fd;
    if (call == 1 && (operation & LOCK_SH))
        syscall(SYS_flock, rival, LOCK_EX);
}

START_TEST(test_lost_upgrade_is_told) {
    char *path = the_path();
    struct cubby_file_lock *lock = watched_lock(path, NULL);

    take(lock, SHARED, 0);
    rival = open(path, O_RDWR);
    ck_assert_int_eq(flock(rival, LOCK_SH), 0);
    hook_reset();
    hook.before = overtake;
    refused(lock, EXCLUSIVE, 60 * MS, CUBBY_ERR_BUSY, "the lock that was held before is lost");
    ck_assert_int_eq(cubby_file_lock_mode(lock), CUBBY_LOCK_NONE);
    close(rival);
    ck_assert(free_for_others(path));
    cubby_file_lock_free(lock);
    free(path);
}
END_TEST

/* Errors of the system on the way take the shared lock no more than another's does. */
START_TEST(test_upgrade_that_the_system_refuses) {
    char *path = the_path();
    struct cubby_file_lock *lock = lock_at(path);

    take(lock, SHARED, 0);
    hook_reset();
    hook.failing = 1;
    hook.error = EIO;
    refused(lock, EXCLUSIVE, 0, CUBBY_ERR_IO, "cannot lock");
    ck_assert_int_eq(cubby_file_lock_mode(lock), SHARED);
    ck_assert(!free_for_others(path));
    hook.failing = 2;
    refused(lock, EXCLUSIVE, 0, CUBBY_ERR_IO, "the lock that was held before is lost");
    ck_assert_int_eq(cubby_file_lock_mode(lock), CUBBY_LOCK_NONE);
    cubby_file_lock_free(lock);
    free(path);
}
END_TEST

/* ---- Forks ------------------------------------------------------------------------------- */

START_TEST(test_forked_child_does_not_hold_it) {
    char *path = the_path();
    struct cubby_file_lock *lock = lock_at(path);
    pid_t child;

    take(lock, EXCLUSIVE, 0);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        if (cubby_file_lock_is_held(lock) || descriptor_of(path) >= 0)
            _exit(1);
        if (cubby_file_lock_try(lock, SHARED, 0, NULL) != CUBBY_ERR_BUSY)
            _exit(2);
        cubby_file_lock_release(lock);
        cubby_file_lock_free(lock);
        free(path);
        _exit(0);
    }
    expect_status(child);
    ck_assert_int_eq(cubby_file_lock_mode(lock), EXCLUSIVE);
    ck_assert(!free_for_others(path));
    cubby_file_lock_release(lock);
    child = fork();
    if (child == 0) { /* it may have it on its own */
        free(path);
        _exit(cubby_file_lock_try(lock, EXCLUSIVE, 0, NULL) == 0 &&
                      cubby_file_lock_mode(lock) == EXCLUSIVE
                  ? 0
                  : 1);
    }
    expect_status(child);
    ck_assert_int_eq(cubby_file_lock_mode(lock), CUBBY_LOCK_NONE);
    cubby_file_lock_free(lock);
    free(path);
}
END_TEST

/* Takes the lock, leaves a child behind and dies; frees the path. The child lives until the pipe is
 * closed. */
static _Noreturn void die_before_child(char *path, const int until[2]) {
    struct cubby_file_lock *lock;
    char byte;

    if (cubby_file_lock_new(path, &lock, NULL) < 0 ||
        cubby_file_lock_try(lock, EXCLUSIVE, 0, NULL) < 0)
        _exit(1);
    free(path);
    if (fork() == 0) {
        close(until[1]);
        _exit(read(until[0], &byte, 1) == 0 ? 0 : 1);
    }
    _exit(0);
}

START_TEST(test_child_that_outlives_the_holder) {
    char *path = the_path();
    struct cubby_file_lock *lock = lock_at(path);
    int until[2];
    pid_t child;

    ck_assert_int_eq(pipe(until), 0);
    child = fork();
    if (child == 0)
        die_before_child(path, until);
    expect_status(child);
    take(lock, EXCLUSIVE,
         CUBBY_FILE_LOCK_TIMEOUT_NS); /* the child gives it up when it first runs */
    close(until[1]);
    close(until[0]);
    cubby_file_lock_free(lock);
    free(path);
}
END_TEST

/* ---- Threads ----------------------------------------------------------------------------- */

#define THREADS 4
#define ROUNDS 8

static void *release_it(void *context) {
    cubby_file_lock_release(context);
    return NULL;
}

/* Whose it is does not depend on the thread. */
START_TEST(test_another_thread_may_give_it_up) {
    char *path = the_path();
    struct cubby_file_lock *lock = lock_at(path);
    pthread_t thread;

    take(lock, EXCLUSIVE, 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, release_it, lock), 0);
    pthread_join(thread, NULL);
    ck_assert(!cubby_file_lock_is_held(lock));
    ck_assert(free_for_others(path));
    cubby_file_lock_free(lock);
    free(path);
}
END_TEST

struct crowd {
    const char *path;
    atomic_int inside;
    atomic_int problems;
};

static void *go_in_and_out(void *context) {
    struct crowd *crowd = context;
    struct cubby_file_lock *lock = NULL;

    if (cubby_file_lock_new(crowd->path, &lock, NULL) < 0) {
        atomic_fetch_add(&crowd->problems, 1);
        return NULL;
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (cubby_file_lock_try(lock, EXCLUSIVE, -1, NULL) < 0 ||
            atomic_fetch_add(&crowd->inside, 1) != 0)
            atomic_fetch_add(&crowd->problems, 1);
        usleep(1000);
        atomic_fetch_sub(&crowd->inside, 1);
        cubby_file_lock_release(lock);
    }
    cubby_file_lock_free(lock);
    return NULL;
}

START_TEST(test_threads_with_objects_of_their_own) {
    char *path = the_path();
    struct crowd crowd = {.path = path};
    pthread_t threads[THREADS];

    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, go_in_and_out, &crowd), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(crowd.problems, 0);
    free(path);
}
END_TEST

struct sharing {
    struct cubby_file_lock *lock;
    atomic_int problems;
};

static void *use_the_same(void *context) {
    struct sharing *sharing = context;

    for (unsigned i = 0; i < 200; i++) {
        if (cubby_file_lock_try(sharing->lock, i % 3 ? SHARED : EXCLUSIVE, 0, NULL) < 0 ||
            cubby_file_lock_mode(sharing->lock) > EXCLUSIVE)
            atomic_fetch_add(&sharing->problems, 1);
        cubby_file_lock_release(sharing->lock);
    }
    return NULL;
}

START_TEST(test_threads_with_one_object) {
    char *path = the_path();
    struct sharing sharing = {.lock = lock_at(path)};
    pthread_t threads[THREADS];

    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use_the_same, &sharing), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(sharing.problems, 0);
    ck_assert(!cubby_file_lock_is_held(sharing.lock));
    ck_assert(free_for_others(path));
    cubby_file_lock_free(sharing.lock);
    free(path);
}
END_TEST

static void *wait_for_it(void *context) {
    return cubby_file_lock_try(context, EXCLUSIVE, 10000 * MS, NULL) == 0 ? context : NULL;
}

/* Neither the fork nor the child waits for the thread that waits. */
START_TEST(test_fork_while_a_thread_waits) {
    char *path = the_path();
    struct cubby_file_lock *lock = lock_at(path), *holder = lock_at(path);
    pthread_t thread;
    void *got;

    take(holder, EXCLUSIVE, 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_it, lock), 0);
    for (unsigned i = 0; i < 20; i++) {
        pid_t child = fork();

        ck_assert_int_ge(child, 0);
        if (child == 0) {
            free(path);
            _exit(cubby_file_lock_try(lock, SHARED, 0, NULL) == CUBBY_ERR_BUSY ? 0 : 1);
        }
        expect_status(child);
        usleep(5000);
    }
    cubby_file_lock_free(holder);
    ck_assert_int_eq(pthread_join(thread, &got), 0);
    ck_assert_ptr_eq(got, lock);
    ck_assert_int_eq(cubby_file_lock_mode(lock), EXCLUSIVE);
    cubby_file_lock_free(lock);
    free(path);
}
END_TEST
int main(void) {
    Suite *suite = suite_create("file lock, held");
    TCase *tests;

    tests = add_case(suite, "names");
    tcase_add_loop_test(tests, test_locks_the_file_that_has_the_name, 0, 2);
    tcase_add_test(tests, test_one_who_has_the_name_goes_first);
    tcase_add_test(tests, test_name_that_is_always_lost_is_waited_for);
    tcase_add_test(tests, test_link_in_the_place_of_the_file_is_an_error);
    tcase_add_test(tests, test_folders_that_vanished_are_made_again);
    tcase_add_test(tests, test_neither_removed_nor_written);
    tests = add_case(suite, "giving up");
    tcase_add_test(tests, test_release_may_be_repeated);
    tcase_add_test(tests, test_free_releases);
    tcase_add_test(tests, test_death_releases);
    tcase_add_loop_test(tests, test_released_though_a_child_has_the_descriptor, 0, 2);
    tests = add_case(suite, "upgrades");
    tcase_add_test(tests, test_failed_upgrade_keeps_the_shared_lock);
    tcase_add_test(tests, test_lost_upgrade_is_told);
    tcase_add_test(tests, test_upgrade_that_the_system_refuses);
    tests = add_case(suite, "forks and threads");
    tcase_add_test(tests, test_forked_child_does_not_hold_it);
    tcase_add_test(tests, test_child_that_outlives_the_holder);
    tcase_add_test(tests, test_another_thread_may_give_it_up);
    tcase_add_test(tests, test_threads_with_objects_of_their_own);
    tcase_add_test(tests, test_threads_with_one_object);
    tcase_add_test(tests, test_fork_while_a_thread_waits);
    return run_suite(suite);
}
