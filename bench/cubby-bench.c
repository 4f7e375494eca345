/* SPDX-License-Identifier: Apache-2.0 */
/* Measures Cubby beside its floors; see bench/README.md. */
#include <argp.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "machine.h"
#include "report.h"
#include "scratch.h"

#define MS 1000000u

enum {
    OPTION_JSON = 256,
    OPTION_QUICK,
    OPTION_RUNS,
    OPTION_FILTER,
    OPTION_COMMAND,
    OPTION_ENTRIES
};

static const struct argp_option OPTIONS[] = {
    {"json", OPTION_JSON, NULL, 0, "Print JSON instead of a table", 0},
    {"output", 'o', "FILE", 0, "Write the JSON to FILE as well", 0},
    {"quick", OPTION_QUICK, NULL, 0, "A few short runs: shows that it works, its times are rough",
     0},
    {"runs", OPTION_RUNS, "N", 0, "Pairs of batches for each row (default: 301)", 0},
    {"filter", OPTION_FILTER, "NAME", 0, "Only rows in whose name NAME occurs, such as hit/file",
     0},
    {"entries", OPTION_ENTRIES, "N", 0,
     "Of the stores that have many, from 1000 to 10000000 (default: 10000)", 0},
    {"command", OPTION_COMMAND, "FILE", 0, "The cubby to run (default: that of the build folder)",
     0},
    {0},
};

struct arguments {
    struct bench *bench;
    const char *output;
    bool json;
    bool quick;
};

static unsigned parse_number(struct argp_state *state, const char *option, const char *text,
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
    struct arguments *arguments = state->input;

    switch (key) {
    case OPTION_JSON:
        arguments->json = true;
        return 0;
    case 'o':
        arguments->output = argument;
        return 0;
    case OPTION_QUICK:
        arguments->quick = true;
        return 0;
    case OPTION_RUNS:
        arguments->bench->plan.runs = parse_number(state, "runs", argument, 1, 100000);
        return 0;
    case OPTION_ENTRIES:
        arguments->bench->entries = parse_number(state, "entries", argument, 1000, 10000000);
        return 0;
    case OPTION_FILTER:
        arguments->bench->filter = argument;
        return 0;
    case OPTION_COMMAND:
        arguments->bench->command = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp ARGP = {
    OPTIONS,
    parse,
    NULL,
    "Measures what Cubby costs beside the least that could do the same, both in turn in one "
    "process.",
    NULL,
    NULL,
    NULL};

/* --runs, where it was given, counts for more than --quick. */
static void complete_plan(struct plan *plan, bool quick) {
    if (plan->runs == 0)
        plan->runs = quick ? 3 : 301;
    /* Far shorter than the scheduler's time slice: most batches then run undisturbed. */
    plan->batch_ns = quick ? MS / 10 : MS / 4;
    plan->warm_up_ns = quick ? MS / 10 : 50 * MS;
}

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

static int write_report(const struct bench *bench, const struct arguments *arguments,
                        json_t *machine) {
    json_t *report = report_json(bench, machine);
    int status = EXIT_SUCCESS;

    if (!report) {
        fprintf(stderr, "cubby-bench: out of memory\n");
        return EXIT_FAILURE;
    }
    if (arguments->output && dump(report, fopen(arguments->output, "we")) < 0) {
        fprintf(stderr, "cubby-bench: %s could not be written: %s\n", arguments->output,
                strerror(errno));
        status = EXIT_FAILURE;
    }
    if (arguments->json && dump(report, stdout) < 0) {
        fprintf(stderr, "cubby-bench: standard output could not be written\n");
        status = EXIT_FAILURE;
    }
    json_decref(report);
    return status;
}

/* Freed memory stays with the process, as in an application whose heap is in use. Otherwise what is
 * measured at 1 MB is the page faults of whichever piece of work follows a trim of the heap. */
static void keep_freed_memory(void) {
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
}

int main(int argc, char **argv) {
    struct bench bench = {.command = BENCH_COMMAND, .kernel = BENCH_KERNEL};
    struct arguments arguments = {.bench = &bench};
    json_t *machine;
    int status;

    argp_parse(&ARGP, argc, argv, 0, NULL, &arguments);
    keep_freed_memory();
    complete_plan(&bench.plan, arguments.quick);
    if (bench.entries == 0)
        bench.entries = arguments.quick ? 1000 : 10000;
    bench.scratch = scratch_new();
    if (!bench.scratch) {
        fprintf(stderr, "cubby-bench: no folder for its stores could be made: %s; set TMPDIR\n",
                strerror(errno));
        return EXIT_FAILURE;
    }
    machine = machine_facts(bench.scratch);
    if (!arguments.json) {
        report_table_head(machine);
        bench.show = report_table_row;
    }
    store_rows(&bench);
    key_rows(&bench);
    header_rows(&bench);
    process_rows(&bench);
    flight_rows(&bench);
    crowd_rows(&bench);
    scale_rows(&bench);
    status = write_report(&bench, &arguments, machine);
    if (bench.row_count == 0) {
        fprintf(stderr, "cubby-bench: no row is named like \"%s\"\n", bench.filter);
        status = EXIT_FAILURE;
    }
    free(bench.rows);
    return bench.failed ? EXIT_FAILURE : status;
}
