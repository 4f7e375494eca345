/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "report.h"
#include "scratch.h"

#define MS 1000000u

/* ---- The command line -------------------------------------------------------------------- */

enum { OPTION_JSON = 256, OPTION_QUICK, OPTION_RUNS, OPTION_FILTER };

static const struct argp_option OPTIONS[] = {
    {"json", OPTION_JSON, NULL, 0, "Print JSON instead of a table", 0},
    {"output", 'o', "FILE", 0, "Write the JSON to FILE as well", 0},
    {"quick", OPTION_QUICK, NULL, 0, "A few short runs: shows that it works, its times are rough",
     0},
    {"runs", OPTION_RUNS, "N", 0, "Pairs of batches for each row (default: 301)", 0},
    {"filter", OPTION_FILTER, "NAME", 0, "Only rows in whose name NAME occurs", 0},
    {0},
};

unsigned command_number(struct argp_state *state, const char *option, const char *text,
                        unsigned long min, unsigned long max) {
    char *end;
    unsigned long number;

    errno = 0;
    number = strtoul(text, &end, 10);
    if (errno != 0 || *end || end == text || *text == '-' || number < min || number > max)
        argp_error(state, "--%s %s: expected a number from %lu to %lu", option, text, min, max);
    return (unsigned)number;
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct command *command = state->input;

    switch (key) {
    case OPTION_JSON:
        command->json = true;
        return 0;
    case 'o':
        command->output = argument;
        return 0;
    case OPTION_QUICK:
        command->quick = true;
        return 0;
    case OPTION_RUNS:
        command->bench.plan.runs = command_number(state, "runs", argument, 1, 100000);
        return 0;
    case OPTION_FILTER:
        command->bench.filter = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp COMMAND_ARGP = {OPTIONS, parse, NULL, NULL, NULL, NULL, NULL};

/* ---- The beginning ----------------------------------------------------------------------- */

/* --runs, where it was given, counts for more than --quick. */
static void complete_plan(struct plan *plan, bool quick) {
    if (plan->runs == 0)
        plan->runs = quick ? 3 : 301;
    /* Far shorter than the scheduler's time slice: most batches then run undisturbed. */
    plan->batch_ns = quick ? MS / 10 : MS / 4;
    plan->warm_up_ns = quick ? MS / 10 : 50 * MS;
}

/* Freed memory stays with the process, as in an application whose heap is in use. Otherwise what is
 * measured at 1 MB is the page faults of whichever piece of work follows a trim of the heap. */
static void keep_freed_memory(void) {
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
}

json_t *command_begin(struct command *command) {
    json_t *machine;

    keep_freed_memory();
    complete_plan(&command->bench.plan, command->quick);
    command->bench.scratch = scratch_new();
    if (!command->bench.scratch) {
        fprintf(stderr, "%s: no folder for its stores could be made: %s; set TMPDIR\n",
                program_invocation_short_name, strerror(errno));
        return NULL;
    }
    machine = machine_facts(command->bench.scratch);
    if (!machine)
        fprintf(stderr, "%s: out of memory\n", program_invocation_short_name);
    return machine;
}

void command_show(struct command *command, const json_t *machine) {
    if (command->json)
        return;
    report_table_head(machine);
    command->bench.show = report_table_row;
}

/* ---- The end ----------------------------------------------------------------------------- */

/* Writes the report and closes the stream; 0 or -1. */
static int dump(const json_t *report, FILE *stream) {
    int result = -1;

    if (!stream)
        return -1;
    if (json_dumpf(report, stream, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) == 0 &&
        fputc('\n', stream) != EOF)
        result = 0;
    return fclose(stream) == 0 ? result : -1;
}

static int write_report(const struct command *command, json_t *machine) {
    json_t *report = report_json(&command->bench, machine);
    int status = EXIT_SUCCESS;

    if (!report) {
        fprintf(stderr, "%s: out of memory\n", program_invocation_short_name);
        return EXIT_FAILURE;
    }
    if (command->output && dump(report, fopen(command->output, "we")) < 0) {
        fprintf(stderr, "%s: %s could not be written: %s\n", program_invocation_short_name,
                command->output, strerror(errno));
        status = EXIT_FAILURE;
    }
    if (command->json && dump(report, stdout) < 0) {
        fprintf(stderr, "%s: standard output could not be written\n",
                program_invocation_short_name);
        status = EXIT_FAILURE;
    }
    json_decref(report);
    return status;
}

int command_end(struct command *command, json_t *machine) {
    int status = write_report(command, machine);

    if (command->bench.row_count == 0) {
        fprintf(stderr, "%s: no row is named like \"%s\"\n", program_invocation_short_name,
                command->bench.filter ? command->bench.filter : "");
        status = EXIT_FAILURE;
    }
    free(command->bench.rows);
    return command->bench.failed ? EXIT_FAILURE : status;
}
