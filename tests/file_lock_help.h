/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of file locks share: the calls of the system that the library makes, seen and
 * bent; and other processes that want the lock. */
#ifndef TESTS_FILE_LOCK_HELP_H
#define TESTS_FILE_LOCK_HELP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include <cubby/file_lock.h>

#include "harness.h"

#define SHARED CUBBY_LOCK_SHARED
#define EXCLUSIVE CUBBY_LOCK_EXCLUSIVE
#define MS INT64_C(1000000)

/* Calls of flock, and what is done about them; reset before each test. */
extern struct hook {
    atomic_uint calls;
    unsigned failing; /* so many of them fail */
    int error;        /* with that */
    int only;         /* those with this bit of the operation; 0: all */
    void (*before)(unsigned call, int fd, int operation);
    unsigned opens_failing; /* so many openings fail with EINTR */
} hook;

void hook_reset(void);

/* A path in a folder of its own; the caller's to free. */
char *the_path(void);

/* The lock of that file, not held. */
struct cubby_file_lock *lock_at(const char *path);

/* Takes it; it has to succeed. */
void take(struct cubby_file_lock *lock, enum cubby_lock_mode mode, int64_t timeout_ns);

/* It fails with that code, and the message has the path and the words. */
void refused(struct cubby_file_lock *lock, enum cubby_lock_mode mode, int64_t timeout_ns, int code,
             const char *words);

/* Another holds it now. */
void busy(struct cubby_file_lock *lock, enum cubby_lock_mode mode);

/* Another process with the lock of that file: 's' and 'e' try to take it shared and exclusively,
 * 'r' gives it up, 'l' does so a while later. It answers 'y', 'n' where it is busy, '?' where it
 * failed. */
struct other {
    pid_t pid;
    int to, from;
};

struct other other_start(const char *path);
void tell(struct other other, char command);
char hear(struct other other);
char ask(struct other other, char command);

/* It ends without giving up what it holds. */
void other_end(struct other other);

/* Whether a process that comes anew would get it. */
bool free_for_others(const char *path);

/* A child of the test's own ends with 0. */
void expect_status(pid_t child);

/* The descriptor on that file, as the process has it; -1 where there is none. */
int descriptor_of(const char *path);

/* A new case of the suite, with the hook reset before each test. */
TCase *add_case(Suite *suite, const char *name);

#endif
