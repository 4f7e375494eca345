/* SPDX-License-Identifier: Apache-2.0 */
/* What the benchmarks' command lines have in common, and how a run begins and ends. */
#ifndef BENCH_COMMAND_H
#define BENCH_COMMAND_H

#include <argp.h>
#include <jansson.h>

#include "bench.h"

struct command {
    struct bench bench;
    const char *output; /* a file for the report; NULL for none */
    bool json;          /* the report goes to standard output too */
    bool quick;
};

/* --json, --output, --quick, --runs, --filter: a child whose input is a struct command. */
extern const struct argp COMMAND_ARGP;

/* The first key for options of a program's own. */
#define COMMAND_OPTION_OWN 512

/* A number that was given to an option; ends the program where it is out of range. */
unsigned command_number(struct argp_state *state, const char *option, const char *text,
                        unsigned long min, unsigned long max);

/* Completes the plan, makes the folder for scratch and collects the machine's facts, new; NULL,
 * with a message, where that failed. */
json_t *command_begin(struct command *command);

/* Shows each row of a table from now on, unless the report is all that is wanted. */
void command_show(struct command *command, const json_t *machine);

/* Writes the report (machine is stolen), releases the rows, and gives the exit status. */
int command_end(struct command *command, json_t *machine);

#endif
