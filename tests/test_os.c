/* SPDX-License-Identifier: Apache-2.0 */
/* The leaves: buffers, descriptors, folders, trust. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "os/fd.h"
#include "os/time.h"
#include "os/trust.h"
#include "util/buffer.h"

/* ---- Buffers ----------------------------------------------------------------------------- */

START_TEST(buffer_grows) {
    struct buffer buffer = BUFFER_INIT;
    char *text;

    for (unsigned i = 0; i < 1000; i++)
        buffer_format(&buffer, "%03u", i);
    buffer_add_text(&buffer, "end");
    text = buffer_steal_text(&buffer);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_eq(strlen(text), 3003);
    ck_assert_int_eq(strncmp(text, "000001002", 9), 0);
    ck_assert_str_eq(text + 2997, "999end");
    ck_assert_ptr_null(buffer.data);
    free(text);
}
END_TEST

START_TEST(buffer_remembers_that_memory_ran_out) {
    struct buffer buffer = BUFFER_INIT;

    buffer_add_text(&buffer, "kept");
    buffer_add(&buffer, "never read", SIZE_MAX / 2);
    ck_assert(buffer.failed);
    buffer_add_text(&buffer, "not added");
    ck_assert_uint_eq(buffer.size, 4);
    ck_assert_ptr_null(buffer_steal_text(&buffer));
    ck_assert(!buffer.failed); /* freed, and ready for another use */
    ck_assert_ptr_null(buffer.data);
}
END_TEST

/* ---- Descriptors ------------------------------------------------------------------------- */

static void ignore_alarm(int number) {
    (void)number;
}

/* Signals come while it waits, and the bytes come one by one. */
START_TEST(reads_through_signals_and_short_reads) {
    const struct itimerval often = {{0, 5000}, {0, 5000}}, never = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = ignore_alarm};
    char data[8] = "";
    int pipes[2];
    pid_t child;

    ck_assert_int_eq(pipe(pipes), 0);
    child = fork();
    if (child == 0) {
        for (int i = 0; i < 4; i++) {
            usleep(20000);
            if (write(pipes[1], "abcd" + i, 1) != 1)
                _exit(1);
        }
        _exit(0);
    }
    close(pipes[1]);
    sigaction(SIGALRM, &action, NULL); /* without SA_RESTART, so that read fails with EINTR */
    setitimer(ITIMER_REAL, &often, NULL);
    ck_assert_int_eq(fd_read_full(pipes[0], data, sizeof(data)), 4);
    setitimer(ITIMER_REAL, &never, NULL);
    ck_assert_str_eq(data, "abcd");
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    close(pipes[0]);
}
END_TEST

/* Whether the bytes of blob_of(7, size) come through. */
static bool receives(int fd, size_t size) {
    char *data = malloc(size);
    bool received =
        data && fd_read_full(fd, data, size) == (ssize_t)size && is_blob_of(data, size, 7);

    free(data);
    return received;
}

/* The pipe is full again and again. */
START_TEST(writes_through_signals_and_short_writes) {
    const struct itimerval often = {{0, 5000}, {0, 5000}}, never = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = ignore_alarm};
    size_t size = 1000000;
    struct cubby_blob *blob;
    int pipes[2], status;
    pid_t child;

    ck_assert_int_eq(pipe(pipes), 0);
    child = fork();
    if (child == 0) {
        close(pipes[1]);
        usleep(30000);
        _exit(receives(pipes[0], size) ? 0 : 1);
    }
    close(pipes[0]);
    blob = blob_of(7, size);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    ck_assert_int_eq(fd_write_full(pipes[1], cubby_blob_data(blob), size), 0);
    setitimer(ITIMER_REAL, &never, NULL);
    close(pipes[1]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    cubby_blob_unref(blob);
}
END_TEST

START_TEST(descriptor_errors_are_told) {
    char byte;

    ck_assert_int_eq(fd_read_full(-1, &byte, 1), -1);
    ck_assert_int_eq(errno, EBADF);
    ck_assert_int_eq(fd_write_full(-1, "x", 1), -1);
    ck_assert_int_eq(errno, EBADF);
}
END_TEST

START_TEST(tells_whether_a_file_has_its_name) {
    char *folder = strdup(scratch_dir()), *path = path_in(folder, "file");
    char *moved = path_in(folder, "moved");
    int fd;

    write_file(path, "x", 1);
    fd = open(path, O_RDONLY);
    ck_assert(fd_has_name(fd, AT_FDCWD, path));
    ck_assert_int_eq(rename(path, moved), 0);
    ck_assert(!fd_has_name(fd, AT_FDCWD, path));
    write_file(path, "x", 1);
    ck_assert(!fd_has_name(fd, AT_FDCWD, path));
    ck_assert(fd_has_name(fd, AT_FDCWD, moved));
    ck_assert_int_eq(unlink(moved), 0);
    ck_assert(!fd_has_name(fd, AT_FDCWD, moved));
    close(fd);
    free(moved);
    free(path);
    free(folder);
}
END_TEST

/* ---- Pauses ------------------------------------------------------------------------------ */

START_TEST(pauses_no_longer_than_is_left) {
    const uint64_t second = 1000000000u, start = monotonic_ns();

    ck_assert(!pause_within(start, 0, 60 * second));
    ck_assert(!pause_within(start - second, (int64_t)second, 60 * second));
    ck_assert_uint_lt(monotonic_ns() - start, 30 * second);
    ck_assert(pause_within(start, (int64_t)second / 20, 60 * second));
    ck_assert_uint_lt(monotonic_ns() - start, 30 * second);
    ck_assert_uint_ge(monotonic_ns() - start, second / 20);
    ck_assert(!pause_within(start, (int64_t)second / 20, 60 * second));
    ck_assert(pause_within(start, -1, second / 100)); /* for ever, so there is always some left */
    ck_assert(pause_within(start, INT64_MAX, second / 100));
    ck_assert_uint_ge(monotonic_ns() - start, second / 20 + second / 50);
}
END_TEST

/* ---- Folders and trust ------------------------------------------------------------------- */

START_TEST(makes_folders_that_are_missing) {
    char *deep = path_in(scratch_dir(), "a/b/c");
    struct stat status;
    char *file, *below;

    ck_assert_int_eq(make_folders(deep), 0);
    ck_assert_int_eq(stat(deep, &status), 0);
    ck_assert(S_ISDIR(status.st_mode) && (status.st_mode & 0777) == 0700);
    ck_assert_int_eq(make_folders(deep), 0);
    file = path_in(deep, "file");
    write_file(file, "x", 1);
    below = path_in(file, "d/e");
    ck_assert_int_eq(make_folders(below), -1);
    ck_assert_int_eq(errno, ENOTDIR);
    ck_assert_int_eq(make_folders(""), -1);
    free(below);
    free(file);
    free(deep);
}
END_TEST

static int check(uid_t owner, mode_t mode, struct cubby_error *error) {
    const struct stat status = {.st_uid = owner, .st_mode = S_IFDIR | mode};

    cubby_error_clear(error);
    return trust_check("/the/store", &status, error);
}

START_TEST(trusts_only_what_others_cannot_write) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    uid_t me = geteuid();

    ck_ok(check(me, 0700, &error), &error);
    ck_ok(check(0, 0755, &error), &error);
    ck_assert_int_eq(check(0, 01777, &error), CUBBY_ERR_INVALID);
    ck_assert_int_eq(check(me, 0777, &error), CUBBY_ERR_INVALID);
    ck_assert_int_eq(check(me, 0720, &error), CUBBY_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "/the/store can be written by others (mode 0720)"));
    ck_assert_int_eq(check(me + 1, 0700, &error), CUBBY_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "belongs to user"));
    cubby_error_clear(&error);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("os");
    TCase *tests = tcase_create("leaves");

    tcase_add_test(tests, buffer_grows);
    tcase_add_test(tests, buffer_remembers_that_memory_ran_out);
    tcase_add_test(tests, reads_through_signals_and_short_reads);
    tcase_add_test(tests, writes_through_signals_and_short_writes);
    tcase_add_test(tests, descriptor_errors_are_told);
    tcase_add_test(tests, tells_whether_a_file_has_its_name);
    tcase_add_test(tests, pauses_no_longer_than_is_left);
    tcase_add_test(tests, makes_folders_that_are_missing);
    tcase_add_test(tests, trusts_only_what_others_cannot_write);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
