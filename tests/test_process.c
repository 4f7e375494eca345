/* SPDX-License-Identifier: Apache-2.0 */
/* The remembered process id follows a fork. */
#include "harness.h"

#include <sys/wait.h>
#include <unistd.h>

#include "os/process.h"

/* Forks so many times, each child out of the one before; 0 if each knew who it was. */
static int fork_down(unsigned generations) {
    int status;
    pid_t child;

    if (process_id() != getpid() || process_id() != getpid())
        return 1;
    if (generations == 0)
        return 0;
    child = fork();
    if (child == 0)
        _exit(fork_down(generations - 1));
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return 1;
    return WEXITSTATUS(status) != 0 || process_id() != getpid();
}

START_TEST(test_a_fork_is_another_process) {
    ck_assert_int_eq(fork_down(3), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("process");
    TCase *tcase = tcase_create("process");

    tcase_add_test(tcase, test_a_fork_is_another_process);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
