/* SPDX-License-Identifier: Apache-2.0 */
/* The whole command as a build runs it, from spawn to exit, beside the least of programs. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "scratch.h"

#define STATUS_MISSING 3 /* the command's exit status where there is no toolchain */

static int run(char *const *argv) {
    posix_spawn_file_actions_t actions;
    int status = -1;
    pid_t pid;

    if (posix_spawn_file_actions_init(&actions) != 0)
        return -1;
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (posix_spawn(&pid, argv[0], &actions, NULL, argv, environ) == 0 &&
        waitpid(pid, &status, 0) != pid)
        status = -1;
    posix_spawn_file_actions_destroy(&actions);
    return status >= 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int spawn_once(void *context) {
    return run(context) == 0 ? 0 : -1;
}

static char *const TRUE_ARGV[] = {(char *)"/bin/true", NULL};

static void measure(struct bench *bench, struct row *row, const char *what, char *const *argv) {
    row->floor = (struct work){"/bin/true", spawn_once, (void *)TRUE_ARGV};
    row->subject = (struct work){what, spawn_once, (void *)argv};
    bench_measure(bench, row);
}

static void measure_hit(struct bench *bench, struct row *row, const char *kind,
                        const char *folder) {
    char spec[512], output[512];
    const char *const argv[] = {bench->command, "--cache",     spec,    "compile",
                                "--quiet",      "--arch",      "sm_90", "-o",
                                output,         bench->kernel, NULL};
    int status;

    snprintf(spec, sizeof(spec), "%s:%s/store", kind, folder);
    snprintf(output, sizeof(output), "%s/output", folder);
    status = run((char *const *)argv); /* the miss, after which all are hits */
    if (status == STATUS_MISSING)
        bench_skip(bench, row, "no NVRTC on this machine");
    else if (status != 0)
        bench_fail(bench, row, "%.100s compile ended with status %d", bench->command, status);
    else
        measure(bench, row, "cubby compile, a hit", (char *const *)argv);
}

void process_rows(struct bench *bench) {
    static const struct {
        const char *name, *kind;
        enum goal_kind goal;
        double limit;
    } HITS[] = {
        {"process/hit-file", "file", GOAL_RATIO, 5},
#ifdef HAVE_SQLITE
        {"process/hit-sqlite", "sqlite", GOAL_NONE, 0},
#endif
    };
    const char *const version[] = {bench->command, "--version", NULL};
    struct row row;

    for (size_t i = 0; i < sizeof(HITS) / sizeof(*HITS); i++) {
        const char *folder;

        if (!bench_begin(bench, &row, HITS[i].name, 0))
            continue;
        row.goal = HITS[i].goal;
        row.limit = HITS[i].limit;
        folder = scratch_folder(bench->scratch);
        if (folder)
            measure_hit(bench, &row, HITS[i].kind, folder);
        else
            bench_fail(bench, &row, "no folder could be made in %s", bench->scratch);
    }
    if (bench_begin(bench, &row, "process/start", 0))
        measure(bench, &row, "cubby --version", (char *const *)version);
}
