/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/report.h"
#include "util/json.h"

extern char **environ;

/* A child that compiles. */
struct worker {
    pid_t pid;
    FILE *requests;
    FILE *answers;
    size_t file; /* what it works on; the number of files when it is idle */
};

/* ---- The worker's side ----------------------------------------------------------------- */

int workers_serve(const struct compile_args *args, struct cubby_cache *cache) {
    char line[32];

    while (fgets(line, sizeof(line), stdin)) {
        size_t file = strtoul(line, NULL, 10);
        json_t *report;

        if (file >= args->file_count)
            return STATUS_USAGE;
        report = compile_file(args, cache, args->files[file]);
        print_json(report);
        json_decref(report);
    }
    return STATUS_OK;
}

/* ---- Starting and ending ----------------------------------------------------------------- */

/* Both ends are closed on exec: a worker must not hold another's pipes open. */
static int spawn_worker(struct worker *worker, char **argv) {
    int requests[2] = {-1, -1}, answers[2] = {-1, -1};
    posix_spawn_file_actions_t actions;
    int result;

    if (pipe2(requests, O_CLOEXEC) < 0 || pipe2(answers, O_CLOEXEC) < 0)
        return errno;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, requests[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, answers[1], STDOUT_FILENO);
    result = posix_spawn(&worker->pid, "/proc/self/exe", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(requests[0]);
    close(answers[1]);
    if (result == 0) {
        worker->requests = fdopen(requests[1], "w");
        worker->answers = fdopen(answers[0], "r");
    } else {
        close(requests[1]);
        close(answers[0]);
    }
    return result;
}

static void end_worker(struct worker *worker) {
    if (worker->requests)
        fclose(worker->requests);
    if (worker->answers)
        fclose(worker->answers);
    if (worker->pid > 0) {
        while (waitpid(worker->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    *worker = (struct worker){0};
}

/* The verb's command line with --worker and the common options behind the verb. */
static char **worker_argv(const struct cli *cli, int argc, char **argv) {
    char **copy = calloc((size_t)argc + 8, sizeof(*copy));
    int count = 0;

    if (!copy)
        return NULL;
    copy[count++] = (char *)"cubby";
    copy[count++] = (char *)"compile";
    copy[count++] = (char *)"--worker";
    if (cli->quiet)
        copy[count++] = (char *)"--quiet";
    if (cli->verbose)
        copy[count++] = (char *)"--verbose";
    if (cli->spec) {
        copy[count++] = (char *)"--cache";
        copy[count++] = (char *)cli->spec;
    }
    for (int i = 1; i < argc; i++)
        copy[count++] = argv[i];
    return copy;
}

/* ---- Handing out -------------------------------------------------------------------------- */

struct pool {
    const struct cli *cli;
    const struct compile_args *args;
    struct worker *workers;
    size_t count;
    size_t next; /* first file that nobody has */
    size_t done;
    int status;
};

static void give_file(struct pool *pool, struct worker *worker) {
    worker->file = pool->args->file_count;
    if (pool->next >= pool->args->file_count) {
        fclose(worker->requests); /* nothing is left: it ends */
        worker->requests = NULL;
        return;
    }
    worker->file = pool->next++;
    fprintf(worker->requests, "%zu\n", worker->file);
    fflush(worker->requests);
}

/* The report of a worker that died. */
static json_t *report_death(const struct pool *pool, const struct worker *worker) {
    struct cubby_outcome outcome = {.kind = CUBBY_OUTCOME_ERROR};
    struct cubby_error error = {.code = CUBBY_ERR_IO};
    const char *file = pool->args->files[worker->file];
    json_t *report;

    snprintf(error.message, sizeof(error.message),
             "%.400s: the process that compiled it ended "
             "before it answered",
             file);
    report = report_new(file, NULL, cubby_target_name(program_target(&pool->args->program, file)),
                        pool->args->program.arch, NULL, &outcome, &error);
    json_add(report, "status", json_integer(STATUS_REFUSED));
    return report;
}

/* Reads what a worker answered; false where it ended instead. */
static bool read_report(struct worker *worker, json_t **ret_report) {
    char *line = NULL;
    size_t capacity = 0;
    bool alive;

    errno = 0;
    alive = getline(&line, &capacity, worker->answers) > 0;
    if (alive)
        *ret_report = whole_json(line, strlen(line), 0, NULL);
    if (!*ret_report && errno == ENOMEM)
        out_of_memory();
    free(line);
    return alive;
}

static void take_answer(struct pool *pool, struct worker *worker) {
    bool busy = worker->file < pool->args->file_count;
    json_t *report = NULL;
    bool alive = read_report(worker, &report);

    if (busy) {
        if (!report)
            report = report_death(pool, worker);
        report_print(pool->cli, report, ++pool->done, pool->args->file_count);
        if (report_status(report) > pool->status)
            pool->status = report_status(report);
    }
    json_decref(report);
    if (alive)
        give_file(pool, worker);
    else
        end_worker(worker);
}

/* Waits for one worker at least; false when none is left. */
static bool wait_for_answers(struct pool *pool, struct pollfd *polled) {
    size_t alive = 0;

    for (size_t i = 0; i < pool->count; i++) {
        bool open = pool->workers[i].answers != NULL;

        polled[i] = (struct pollfd){open ? fileno(pool->workers[i].answers) : -1, POLLIN, 0};
        alive += open;
    }
    if (alive == 0)
        return false;
    while (poll(polled, pool->count, -1) < 0 && errno == EINTR)
        ;
    for (size_t i = 0; i < pool->count; i++) {
        if (polled[i].fd >= 0 && polled[i].revents)
            take_answer(pool, &pool->workers[i]);
    }
    return true;
}

int workers_run(const struct cli *cli, const struct compile_args *args, int argc, char **argv) {
    struct pool pool = {.cli = cli, .args = args};
    size_t wanted = args->jobs < args->file_count ? args->jobs : args->file_count;
    struct pollfd *polled = calloc(wanted, sizeof(*polled));
    char **child_argv = worker_argv(cli, argc, argv);

    signal(SIGPIPE, SIG_IGN); /* a worker that died is seen by its answer */
    pool.workers = calloc(wanted, sizeof(*pool.workers));
    for (size_t i = 0; polled && child_argv && pool.workers && i < wanted; i++) {
        if (spawn_worker(&pool.workers[pool.count], child_argv) == 0)
            give_file(&pool, &pool.workers[pool.count++]);
    }
    if (pool.count == 0) {
        fputs("cubby: no worker process could be started: try without -j\n", stderr);
        pool.status = STATUS_USAGE;
    }
    while (pool.count > 0 && wait_for_answers(&pool, polled))
        ;
    /* Every worker died: what is left is reported, not lost. */
    for (; pool.count > 0 && pool.next < args->file_count; pool.next++) {
        struct worker gone = {.file = pool.next};
        json_t *report = report_death(&pool, &gone);

        report_print(cli, report, ++pool.done, args->file_count);
        pool.status = pool.status > STATUS_REFUSED ? pool.status : STATUS_REFUSED;
        json_decref(report);
    }
    free(pool.workers);
    free(child_argv);
    free(polled);
    return pool.status;
}
