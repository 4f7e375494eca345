/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several compiles at once. Threads share NVRTC's front end, so each worker is a process of its
 * own, spawned with the same command line and --worker. It reads the index of a file, one a line,
 * compiles that file, and answers with the report as a line of JSON.
 */
#ifndef CUBBY_CLI_WORKERS_H
#define CUBBY_CLI_WORKERS_H

#include "cli/cli.h"
#include "cli/compile.h"

/* Spawns the workers, hands out the files, prints the reports. Returns an exit status. */
int workers_run(const struct cli *cli, const struct compile_args *args, int argc, char **argv);

/* The other side: serves until standard input ends. Returns an exit status. */
int workers_serve(const struct compile_args *args, struct cubby_cache *cache);

#endif
