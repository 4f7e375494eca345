/* SPDX-License-Identifier: Apache-2.0 */
/* Measures Cubby beside its floors; see bench/README.md. */
#include <stdlib.h>

#include "command.h"

enum { OPTION_COMMAND = COMMAND_OPTION_OWN, OPTION_ENTRIES };

static const struct argp_option OPTIONS[] = {
    {"entries", OPTION_ENTRIES, "N", 0,
     "Of the stores that have many, from 1000 to 10000000 (default: 10000)", 0},
    {"command", OPTION_COMMAND, "FILE", 0, "The cubby to run (default: that of the build folder)",
     0},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct command *command = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = command;
        return 0;
    case OPTION_ENTRIES:
        command->bench.entries = command_number(state, "entries", argument, 1000, 10000000);
        return 0;
    case OPTION_COMMAND:
        command->bench.command = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child CHILDREN[] = {{&COMMAND_ARGP, 0, NULL, 0}, {0}};

static const struct argp ARGP = {
    OPTIONS,
    parse,
    NULL,
    "Measures what Cubby costs beside the least that could do the same, both in turn in one "
    "process.",
    CHILDREN,
    NULL,
    NULL};

int main(int argc, char **argv) {
    struct command command = {.bench = {.command = BENCH_COMMAND, .kernel = BENCH_KERNEL}};
    struct bench *bench = &command.bench;
    json_t *machine;

    argp_parse(&ARGP, argc, argv, 0, NULL, &command);
    if (bench->entries == 0)
        bench->entries = command.quick ? 1000 : 10000;
    machine = command_begin(&command);
    if (!machine)
        return EXIT_FAILURE;
    command_show(&command, machine);
    store_rows(bench);
    key_rows(bench);
    header_rows(bench);
    process_rows(bench);
    flight_rows(bench);
    crowd_rows(bench);
    scale_rows(bench);
    return command_end(&command, machine);
}
