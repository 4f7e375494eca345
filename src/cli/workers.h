/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs, one after another or several at once. Threads share NVRTC's front end, so each worker is a
 * process of its own, spawned with the same command line and --worker. It reads the numbers of
 * jobs, one a line, does each, and answers with its reports as a line of JSON.
 */
#ifndef CUBBY_CLI_WORKERS_H
#define CUBBY_CLI_WORKERS_H

#include "cli/cli.h"

/* Jobs that have numbers, the same ones in every process of the same command line. */
struct work {
    const char *verb;
    size_t count;
    /* Does a job; a new array of reports, as report_new() makes them. */
    json_t *(*run)(void *context, size_t job);
    /* The new report of a job whose process ended before it answered. */
    json_t *(*lost)(void *context, size_t job);
    /* Told of each report that is printed; may be NULL. */
    void (*seen)(void *context, const json_t *report);
    void *context;
};

/* -j, and whether this process is one of -j's. */
struct work_args {
    unsigned jobs;
    bool worker;
};

/* To be a child of the parsers of verbs with -j; its input is a struct work_args. */
extern const struct argp work_argp;

/*
 * Does all jobs, here or in workers, and prints the reports; or, in a worker, those that it is
 * given. Returns the highest exit status of any report and any worker.
 */
int work_do(const struct cli *cli, const struct work *work, const struct work_args *args, int argc,
            char **argv);

#endif
