/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a file lock: the file, the two modes, waiting, and what the system refuses. */
#include "file_lock_help.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "os/time.h"

#define POLL_MS 50

/* ---- Making it --------------------------------------------------------------------------- */

START_TEST(test_makes_file_and_folders_and_holds_nothing) {
    char *path = path_in(scratch_dir(), "a/b/kernels.lock");
    struct cubby_file_lock *lock = lock_at(path);
    struct stat status;

    ck_assert_int_eq(lstat(path, &status), 0);
    ck_assert(S_ISREG(status.st_mode) && status.st_size == 0);
    ck_assert_int_eq(cubby_file_lock_mode(lock), CUBBY_LOCK_NONE);
    ck_assert(!cubby_file_lock_is_held(lock));
    ck_assert(free_for_others(path));
    cubby_file_lock_free(lock);
    free(path);
}
END_TEST

/* 0644, but for what the umask takes away; one that is there keeps its own. */
START_TEST(test_mode_of_the_file) {
    static const struct { mode_t mask, mode; } CASES[] = {{0, 0644}, {022, 0644}, {077, 0600}};
    struct stat status;

    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        char *path = the_path();

        umask(CASES[i].mask);
        cubby_file_lock_free(lock_at(path));
        umask(022);
        ck_assert_int_eq(lstat(path, &status), 0);
        ck_assert_uint_eq(status.st_mode & 07777, CASES[i].mode);
        ck_assert_int_eq(chmod(path, 0666), 0);
        cubby_file_lock_free(lock_at(path));
        ck_assert_int_eq(lstat(path, &status), 0);
        ck_assert_uint_eq(status.st_mode & 07777, 0666);
        free(path);
    }
}
END_TEST

START_TEST(test_no_program_inherits_it) {
    char *path = the_path();
    struct cubby_file_lock *lock = lock_at(path);
    int fd = descriptor_of(path);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
    cubby_file_lock_free(lock);
    ck_assert_int_lt(descriptor_of(path), 0);
    free(path);
}
END_TEST

static void not_made(const char *path, int code, const char *words) {
    struct cubby_file_lock *untouched = (struct cubby_file_lock *)&code, *lock = untouched;
    struct cubby_error error = CUBBY_ERROR_INIT;

    ck_assert_int_eq(cubby_file_lock_new(path, &lock, &error), code);
    ck_assert_ptr_eq(lock, untouched);
    ck_assert_msg(strstr(error.message, words), "%s", error.message);
    ck_assert_msg(!path || strstr(error.message, path), "%s", error.message);
    cubby_error_clear(&error);
}

START_TEST(test_symbolic_link_is_an_error) {
    char *folder = strdup(scratch_dir()), *path = path_in(folder, "link.lock");
    char *target = path_in(folder, "target"), *below = path_in(folder, "folder/real.lock");
    char *linked = path_in(folder, "linked"), *through = path_in(folder, "linked/real.lock");

    write_file(target, "", 0);
    ck_assert_int_eq(symlink(target, path), 0);
    not_made(path, CUBBY_ERR_INVALID, "is a symbolic link");
    ck_assert_int_eq(unlink(target), 0); /* nor is what it leads to made */
    not_made(path, CUBBY_ERR_INVALID, "is a symbolic link");
    ck_assert_int_ne(access(target, F_OK), 0);
    /* Folders may be links. */
    cubby_file_lock_free(lock_at(below));
    ck_assert_int_eq(symlink("folder", linked), 0);
    cubby_file_lock_free(lock_at(through));
    free(through);
    free(linked);
    free(below);
    free(target);
    free(path);
    free(folder);
}
END_TEST

START_TEST(test_what_is_no_file_is_an_error) {
    char *folder = strdup(scratch_dir()), *fifo = path_in(folder, "fifo");
    char *below = path_in(folder, "file/kernels.lock"), *file = path_in(folder, "file");

    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    not_made(fifo, CUBBY_ERR_INVALID, "is no regular file");
    not_made(folder, CUBBY_ERR_IO, "Is a directory");
    write_file(file, "", 0);
    not_made(below, CUBBY_ERR_IO, "Not a directory");
    not_made("", CUBBY_ERR_INVALID, "a lock needs the path of its file");
    not_made(NULL, CUBBY_ERR_INVALID, "a lock needs the path of its file");
    free(file);
    free(below);
    free(fifo);
    free(folder);
}
END_TEST

START_TEST(test_relative_path_stays_where_it_was) {
    char *folder = strdup(scratch_dir()), *path = path_in(folder, "kernels.lock");
    struct cubby_file_lock *lock = NULL;

    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_int_eq(cubby_file_lock_new("kernels.lock", &lock, NULL), 0);
    ck_assert_str_eq(cubby_file_lock_path(lock), path);
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(unlink(path), 0); /* so that it has to be opened again */
    take(lock, EXCLUSIVE, 0);
    ck_assert(!free_for_others(path));
    cubby_file_lock_free(lock);
    free(path);
    free(folder);
}
END_TEST

/* ---- Shared and exclusive ---------------------------------------------------------------- */

static const struct {
    char other;
    enum cubby_lock_mode mine;
    bool together;
} PAIRS[] = {
    {'e', EXCLUSIVE, false}, {'s', EXCLUSIVE, false}, {'e', SHARED, false}, {'s', SHARED, true}};

START_TEST(test_modes_between_processes) {
    char *path = the_path();
    struct cubby_file_lock *lock = lock_at(path);
    struct other other = other_start(path);

    ck_assert_int_eq(ask(other, PAIRS[_i].other), 'y');
    if (PAIRS[_i].together)
        take(lock, PAIRS[_i].mine, 0);
    else
        busy(lock, PAIRS[_i].mine);
    ck_assert_int_eq(cubby_file_lock_is_held(lock), PAIRS[_i].together);
    ck_assert_int_eq(ask(other, 'r'), 'y');
    take(lock, PAIRS[_i].mine, 0);
    other_end(other);
    cubby_file_lock_free(lock);
    free(path);
}
END_TEST

START_TEST(test_modes_between_objects) {
    char *path = the_path();
    struct cubby_file_lock *first = lock_at(path), *second = lock_at(path);

    take(first, PAIRS[_i].other == 'e' ? EXCLUSIVE : SHARED, 0);
    if (PAIRS[_i].together)
        take(second, PAIRS[_i].mine, 0);
    else
        busy(second, PAIRS[_i].mine);
    cubby_file_lock_release(first);
    take(second, PAIRS[_i].mine, 0);
    cubby_file_lock_free(second);
    cubby_file_lock_free(first);
    free(path);
}
END_TEST

START_TEST(test_unknown_modes) {
    char *path = the_path();
    struct cubby_file_lock *lock = lock_at(path);

    take(lock, SHARED, 0);
    refused(lock, CUBBY_LOCK_NONE, 0, CUBBY_ERR_INVALID, "CUBBY_LOCK_EXCLUSIVE");
    refused(lock, (enum cubby_lock_mode)3, 0, CUBBY_ERR_INVALID, "CUBBY_LOCK_SHARED");
    ck_assert_int_eq(cubby_file_lock_mode(lock), SHARED);
    cubby_file_lock_free(lock);
    free(path);
}
END_TEST

/* ---- Waiting ----------------------------------------------------------------------------- */

START_TEST(test_tries_at_least_once) {
    static const int64_t TIMEOUTS[] = {0, 1, 10 * 1000 * MS, -1, INT64_MAX, INT64_MIN};
    char *path = the_path();
    struct cubby_file_lock *lock = lock_at(path), *holder = lock_at(path);

    for (size_t i = 0; i < sizeof(TIMEOUTS) / sizeof(*TIMEOUTS); i++) {
        take(lock, EXCLUSIVE, TIMEOUTS[i]);
        cubby_file_lock_release(lock);
    }
    take(holder, EXCLUSIVE, 0);
    hook_reset();
    busy(lock, EXCLUSIVE);
    ck_assert_uint_eq(hook.calls, 1);
    hook_reset();
    refused(lock, SHARED, 1, CUBBY_ERR_BUSY, "another still holds it");
    ck_assert_uint_ge(hook.calls, 1);
    cubby_file_lock_free(holder);
    cubby_file_lock_free(lock);
    free(path);
}
END_TEST

#define MAX_CALLS 64

static uint64_t called_at[MAX_CALLS];

static void note_time(unsigned call, int fd, int operation) {
    (void)fd;
    (void)operation;
    if (call < MAX_CALLS)
        called_at[call] = monotonic_ns();
}

/* Every 50 ms; once more when the time has passed, and only then it is busy. */
START_TEST(test_polls_until_the_time_has_passed) {
    const int64_t timeout = 220 * MS;
    char *path = the_path();
    struct cubby_file_lock *lock = lock_at(path), *holder = lock_at(path);
    uint64_t start;
    unsigned calls;

    take(holder, EXCLUSIVE, 0);
    hook_reset();
    hook.before = note_time;
    start = monotonic_ns();
    refused(lock, EXCLUSIVE, timeout, CUBBY_ERR_BUSY, "after 0.22 s");
    ck_assert_uint_ge(monotonic_ns() - start, timeout);
    calls = hook.calls;
    ck_assert_uint_ge(calls, 2);
    ck_assert_uint_le(calls, 2 + 220 / POLL_MS);
    ck_assert_uint_lt(called_at[0] - start, POLL_MS * MS);
    for (unsigned i = 1; i + 1 < calls; i++)
        ck_assert_uint_ge(called_at[i] - called_at[i - 1], POLL_MS * MS);
    ck_assert_uint_ge(called_at[calls - 1] - start, timeout);
    cubby_file_lock_free(holder);
    cubby_file_lock_free(lock);
    free(path);
}
END_TEST

static const int64_t LONG_TIMEOUTS[] = {-1, INT64_MIN, INT64_MAX, CUBBY_FILE_LOCK_TIMEOUT_NS};

START_TEST(test_waits_until_it_is_free) {
    char *path = the_path();
    struct cubby_file_lock *lock = lock_at(path);
    struct other other = other_start(path);
    uint64_t start;

    ck_assert_int_eq(ask(other, 'e'), 'y');
    start = monotonic_ns();
    tell(other, 'l');
    take(lock, EXCLUSIVE, LONG_TIMEOUTS[_i]);
    ck_assert_uint_ge(monotonic_ns() - start, 250 * MS);
    ck_assert_int_eq(hear(other), 'y');
    other_end(other);
    cubby_file_lock_free(lock);
    free(path);
}
END_TEST

START_TEST(test_interrupted_calls_are_made_again) {
    char *path = the_path();
    struct cubby_file_lock *lock;

    hook_reset();
    hook.opens_failing = 3;
    lock = lock_at(path);
    ck_assert_uint_eq(hook.opens_failing, 0);
    hook.failing = 3;
    hook.error = EINTR;
    take(lock, EXCLUSIVE, 0);
    ck_assert_uint_eq(hook.calls, 4);
    hook.failing = 2;
    cubby_file_lock_release(lock);
    ck_assert_uint_eq(hook.calls, 7);
    ck_assert(free_for_others(path));
    cubby_file_lock_free(lock);
    free(path);
}
END_TEST

static void ignore_alarm(int number) {
    (void)number;
}

START_TEST(test_signals_do_not_end_the_wait) {
    const struct itimerval often = {{0, 5000}, {0, 5000}}, never = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = ignore_alarm};
    char *path = the_path();
    struct cubby_file_lock *lock = lock_at(path), *holder = lock_at(path);
    uint64_t start;

    take(holder, EXCLUSIVE, 0);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    start = monotonic_ns();
    refused(lock, SHARED, 150 * MS, CUBBY_ERR_BUSY, "another still holds it");
    ck_assert_uint_ge(monotonic_ns() - start, 150 * MS);
    setitimer(ITIMER_REAL, &never, NULL);
    cubby_file_lock_free(holder);
    cubby_file_lock_free(lock);
    free(path);
}
END_TEST

/* ---- What the system refuses ------------------------------------------------------------- */

START_TEST(test_fails_closed_without_flock) {
    static const int ERRORS[] = {ENOSYS, EOPNOTSUPP};
    char *path = the_path();
    struct cubby_file_lock *lock = lock_at(path);

    for (size_t i = 0; i < sizeof(ERRORS) / sizeof(*ERRORS); i++) {
        hook_reset();
        hook.failing = 100;
        hook.error = ERRORS[i];
        refused(lock, i % 2 ? SHARED : EXCLUSIVE, -1, CUBBY_ERR_UNSUPPORTED, "has no locks");
        ck_assert_uint_eq(hook.calls, 1); /* waiting would not help */
        ck_assert_int_eq(cubby_file_lock_mode(lock), CUBBY_LOCK_NONE);
    }
    hook_reset();
    take(lock, EXCLUSIVE, 0);
    cubby_file_lock_free(lock);
    free(path);
}
END_TEST

START_TEST(test_errors_of_the_system_are_told) {
    char *path = the_path();
    struct cubby_file_lock *lock = lock_at(path);
    struct cubby_error error = CUBBY_ERROR_INIT;

    hook_reset();
    hook.failing = 1;
    hook.error = EIO;
    ck_assert_int_eq(cubby_file_lock_try(lock, SHARED, -1, &error), CUBBY_ERR_IO);
    ck_assert_int_eq(error.os_error, EIO);
    ck_assert_ptr_nonnull(strstr(error.message, path));
    ck_assert(!cubby_file_lock_is_held(lock));
    /* What cannot be unlocked is closed. */
    take(lock, EXCLUSIVE, 0);
    hook.failing = 2;
    hook.only = LOCK_UN;
    cubby_file_lock_release(lock);
    ck_assert(!cubby_file_lock_is_held(lock));
    ck_assert(free_for_others(path));
    take(lock, EXCLUSIVE, 0);
    cubby_file_lock_free(lock);
    free(path);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("file lock");
    TCase *tests = add_case(suite, "making");

    tcase_add_test(tests, test_makes_file_and_folders_and_holds_nothing);
    tcase_add_test(tests, test_mode_of_the_file);
    tcase_add_test(tests, test_no_program_inherits_it);
    tcase_add_test(tests, test_symbolic_link_is_an_error);
    tcase_add_test(tests, test_what_is_no_file_is_an_error);
    tcase_add_test(tests, test_relative_path_stays_where_it_was);
    tests = add_case(suite, "modes");
    tcase_add_loop_test(tests, test_modes_between_processes, 0, 4);
    tcase_add_loop_test(tests, test_modes_between_objects, 0, 4);
    tcase_add_test(tests, test_unknown_modes);
    tests = add_case(suite, "waiting");
    tcase_add_test(tests, test_tries_at_least_once);
    tcase_add_test(tests, test_polls_until_the_time_has_passed);
    tcase_add_loop_test(tests, test_waits_until_it_is_free, 0, 4);
    tcase_add_test(tests, test_interrupted_calls_are_made_again);
    tcase_add_test(tests, test_signals_do_not_end_the_wait);
    tcase_add_test(tests, test_fails_closed_without_flock);
    tcase_add_test(tests, test_errors_of_the_system_are_told);
    return run_suite(suite);
}
