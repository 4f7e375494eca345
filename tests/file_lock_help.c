/* SPDX-License-Identifier: Apache-2.0 */
#include "file_lock_help.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- The system, as the library sees it -------------------------------------------------- */

struct hook hook;

void hook_reset(void) {
    memset(&hook, 0, sizeof(hook));
}

/* Both in the place of the C library's. */
int flock(int fd, int operation) {
    unsigned call = atomic_fetch_add(&hook.calls, 1);

    if (hook.before)
        hook.before(call, fd, operation);
    if (hook.failing > 0 && (hook.only == 0 || (operation & hook.only))) {
        hook.failing--;
        errno = hook.error;
        return -1;
    }
    return (int)syscall(SYS_flock, fd, operation);
}

int openat(int folder, const char *path, int flags, ...) {
    va_list arguments;
    mode_t mode;

    va_start(arguments, flags);
    mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    if (hook.opens_failing > 0) {
        hook.opens_failing--;
        errno = EINTR;
        return -1;
    }
    return (int)syscall(SYS_openat, folder, path, flags, mode);
}

/* ---- Locks ------------------------------------------------------------------------------- */

char *the_path(void) {
    return path_in(scratch_dir(), "kernels.lock");
}

struct cubby_file_lock *lock_at(const char *path) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_file_lock *lock = NULL;

    ck_ok(cubby_file_lock_new(path, &lock, &error), &error);
    ck_assert_str_eq(cubby_file_lock_path(lock), path);
    return lock;
}

void take(struct cubby_file_lock *lock, enum cubby_lock_mode mode, int64_t timeout_ns) {
    struct cubby_error error = CUBBY_ERROR_INIT;

    ck_ok(cubby_file_lock_try(lock, mode, timeout_ns, &error), &error);
    ck_assert_int_eq(cubby_file_lock_mode(lock), mode);
    ck_assert(cubby_file_lock_is_held(lock));
}

void refused(struct cubby_file_lock *lock, enum cubby_lock_mode mode, int64_t timeout_ns, int code,
             const char *words) {
    struct cubby_error error = CUBBY_ERROR_INIT;

    ck_assert_int_eq(cubby_file_lock_try(lock, mode, timeout_ns, &error), code);
    ck_assert_int_eq(error.code, code);
    ck_assert_msg(strstr(error.message, cubby_file_lock_path(lock)) && strstr(error.message, words),
                  "%s", error.message);
    cubby_error_clear(&error);
}

void busy(struct cubby_file_lock *lock, enum cubby_lock_mode mode) {
    refused(lock, mode, 0, CUBBY_ERR_BUSY, "another still holds it");
}

/* ---- Another process --------------------------------------------------------------------- */

static char answer(struct cubby_file_lock *lock, char command) {
    const enum cubby_lock_mode mode = command == 's' ? SHARED : EXCLUSIVE;
    int result;

    switch (command) {
    case 's':
    case 'e':
        result = cubby_file_lock_try(lock, mode, 0, NULL);
        return result == 0 ? 'y' : result == CUBBY_ERR_BUSY ? 'n' : '?';
    case 'l': /* later */
        usleep(300000);
        /* fallthrough */
    default:
        cubby_file_lock_release(lock);
        return 'y';
    }
}

/* Does as it is told until its parent has no more to say; then it ends without giving up. */
static _Noreturn void serve(const char *path, int from, int to) {
    struct cubby_file_lock *lock;
    char command;

    if (cubby_file_lock_new(path, &lock, NULL) < 0)
        _exit(1);
    while (read(from, &command, 1) == 1) {
        char said = answer(lock, command);

        if (write(to, &said, 1) != 1)
            break;
    }
    _exit(0);
}

struct other other_start(const char *path) {
    struct other other;
    int to[2], from[2];

    ck_assert_int_eq(pipe2(to, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(from, O_CLOEXEC), 0);
    other.pid = fork();
    ck_assert_int_ge(other.pid, 0);
    if (other.pid == 0) {
        close(to[1]);
        close(from[0]);
        serve(path, to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    other.to = to[1];
    other.from = from[0];
    return other;
}

void tell(struct other other, char command) {
    ck_assert_int_eq(write(other.to, &command, 1), 1);
}

char hear(struct other other) {
    char said = '!';

    ck_assert_int_eq(read(other.from, &said, 1), 1);
    return said;
}

char ask(struct other other, char command) {
    tell(other, command);
    return hear(other);
}

void other_end(struct other other) {
    close(other.to);
    close(other.from);
    ck_assert_int_eq(waitpid(other.pid, NULL, 0), other.pid);
}

bool free_for_others(const char *path) {
    struct other other = other_start(path);
    bool got = ask(other, 'e') == 'y';

    other_end(other);
    return got;
}

void expect_status(pid_t child) {
    int status;

    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child: %#x", (unsigned)status);
}

int descriptor_of(const char *path) {
    struct stat wanted, found;

    ck_assert_int_eq(lstat(path, &wanted), 0);
    for (int fd = 0; fd < 256; fd++) {
        if (fstat(fd, &found) == 0 && found.st_ino == wanted.st_ino &&
            found.st_dev == wanted.st_dev)
            return fd;
    }
    return -1;
}

TCase *add_case(Suite *suite, const char *name) {
    TCase *tests = tcase_create(name);

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, hook_reset, NULL);
    tcase_set_timeout(tests, 30);
    return tests;
}
