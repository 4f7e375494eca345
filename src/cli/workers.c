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

/* A child that does jobs. */
struct worker {
    pid_t pid;
    FILE *requests;
    FILE *answers;
    size_t job; /* what it is at; the number of jobs when it is idle */
};

/* ---- Command line ------------------------------------------------------------------------ */

enum { OPTION_WORKER = 1280 };

static const struct argp_option OPTIONS[] = {
    {"jobs", 'j', "N", 0, "Compile N programs at once, in as many processes", 0},
    {"worker", OPTION_WORKER, NULL, OPTION_HIDDEN, NULL, 0},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct work_args *args = state->input;

    switch (key) {
    case 'j':
        args->jobs = (unsigned)parse_number(state, "-j", argument, 1, 1024);
        return 0;
    case OPTION_WORKER:
        args->worker = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp work_argp = {OPTIONS, parse, NULL, NULL, NULL, NULL, NULL};

/* ---- In this process --------------------------------------------------------------------- */

/* Prints the reports of one job, an array; the highest of their statuses and of the one given. */
static int print_reports(const struct cli *cli, const struct work *work, const json_t *reports,
                         size_t done, int status) {
    json_t *report;
    size_t i;

    json_array_foreach(reports, i, report) {
        report_print(cli, report, done, work->count);
        if (work->seen)
            work->seen(work->context, report);
        if (report_status(report) > status)
            status = report_status(report);
    }
    return status;
}

static int work_here(const struct cli *cli, const struct work *work) {
    int status = STATUS_OK;

    for (size_t job = 0; job < work->count; job++) {
        json_t *reports = work->run(work->context, job);

        status = print_reports(cli, work, reports, job + 1, status);
        json_decref(reports);
    }
    return status;
}

/* ---- The worker's side ------------------------------------------------------------------- */

static int work_serve(const struct work *work) {
    char line[32];

    while (fgets(line, sizeof(line), stdin)) {
        size_t job = strtoul(line, NULL, 10);
        json_t *reports;

        if (job >= work->count)
            return STATUS_USAGE;
        reports = work->run(work->context, job);
        print_json(reports);
        json_decref(reports);
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

/* Returns its exit status; STATUS_OK where it was killed, which its missing answer tells. */
static int end_worker(struct worker *worker) {
    int status = 0;

    if (worker->requests)
        fclose(worker->requests);
    if (worker->answers)
        fclose(worker->answers);
    if (worker->pid > 0) {
        while (waitpid(worker->pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    *worker = (struct worker){0};
    return WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_OK;
}

/* The verb's command line with --worker and the common options behind the verb. */
static char **worker_argv(const struct cli *cli, const struct work *work, int argc, char **argv) {
    char **copy = calloc((size_t)argc + 8, sizeof(*copy));
    int count = 0;

    if (!copy)
        return NULL;
    copy[count++] = (char *)"cubby";
    copy[count++] = (char *)work->verb;
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

/* ---- Handing out ------------------------------------------------------------------------- */

struct pool {
    const struct cli *cli;
    const struct work *work;
    struct worker *workers;
    size_t count;
    size_t next; /* first job that nobody has */
    size_t done;
    int status;
};

static void give_job(struct pool *pool, struct worker *worker) {
    worker->job = pool->work->count;
    if (pool->next >= pool->work->count) {
        fclose(worker->requests); /* nothing is left: it ends */
        worker->requests = NULL;
        return;
    }
    worker->job = pool->next++;
    fprintf(worker->requests, "%zu\n", worker->job);
    fflush(worker->requests);
}

/* The reports of a job whose worker died. */
static json_t *report_death(const struct pool *pool, size_t job) {
    json_t *reports = json_array(), *report = pool->work->lost(pool->work->context, job);

    json_add(report, "status", json_integer(STATUS_REFUSED));
    json_append(reports, report);
    return reports;
}

static void take_reports(struct pool *pool, json_t *reports) {
    pool->status = print_reports(pool->cli, pool->work, reports, ++pool->done, pool->status);
    json_decref(reports);
}

/* Reads what a worker answered; false where it ended instead. */
static bool read_reports(struct worker *worker, json_t **ret_reports) {
    char *line = NULL;
    size_t capacity = 0;
    bool alive;

    errno = 0;
    alive = getline(&line, &capacity, worker->answers) > 0;
    if (alive)
        *ret_reports = whole_json(line, strlen(line), 0, NULL);
    if (!*ret_reports && errno == ENOMEM)
        out_of_memory();
    free(line);
    return alive;
}

static void take_answer(struct pool *pool, struct worker *worker) {
    bool busy = worker->job < pool->work->count;
    json_t *reports = NULL;
    bool alive = read_reports(worker, &reports);
    int ended;

    if (busy)
        take_reports(pool, reports ? reports : report_death(pool, worker->job));
    else
        json_decref(reports);
    if (alive) {
        give_job(pool, worker);
        return;
    }
    ended = end_worker(worker);
    if (!busy && ended > pool->status) /* what became of a job, its report has told */
        pool->status = ended;
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

static int work_spread(const struct cli *cli, const struct work *work, unsigned jobs, int argc,
                       char **argv) {
    struct pool pool = {.cli = cli, .work = work};
    size_t wanted = jobs < work->count ? jobs : work->count;
    struct pollfd *polled = calloc(wanted, sizeof(*polled));
    char **child_argv = worker_argv(cli, work, argc, argv);

    signal(SIGPIPE, SIG_IGN); /* a worker that died is seen by its answer */
    pool.workers = calloc(wanted, sizeof(*pool.workers));
    for (size_t i = 0; polled && child_argv && pool.workers && i < wanted; i++) {
        if (spawn_worker(&pool.workers[pool.count], child_argv) == 0)
            give_job(&pool, &pool.workers[pool.count++]);
    }
    if (pool.count == 0) {
        fputs("cubby: no worker process could be started: try without -j\n", stderr);
        pool.status = STATUS_USAGE;
    }
    while (pool.count > 0 && wait_for_answers(&pool, polled))
        ;
    /* Every worker died: what is left is reported, not lost. */
    for (; pool.count > 0 && pool.next < work->count; pool.next++)
        take_reports(&pool, report_death(&pool, pool.next));
    free(pool.workers);
    free(child_argv);
    free(polled);
    return pool.status;
}

int work_do(const struct cli *cli, const struct work *work, const struct work_args *args, int argc,
            char **argv) {
    if (args->worker)
        return work_serve(work);
    if (args->jobs > 1 && work->count > 1)
        return work_spread(cli, work, args->jobs, argc, argv);
    return work_here(cli, work);
}
