/* SPDX-License-Identifier: Apache-2.0 */
/* cubby compile */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/compile.h"
#include "cli/input.h"
#include "cli/program_args.h"
#include "cli/report.h"
#include "cli/workers.h"

enum { OPTION_NO_CACHE = 1024, OPTION_REFRESH, OPTION_WORKER };

static const struct argp_option OPTIONS[] = {
    {"output", 'o', "FILE", 0,
     "Write the result to FILE; - is standard output; a folder takes one file for each source "
     "(default: the source's name with the target's suffix, here)",
     0},
    {"jobs", 'j', "N", 0, "Compile N files at once, in as many processes", 0},
    {"no-cache", OPTION_NO_CACHE, NULL, 0, "Neither look up nor store", 0},
    {"refresh", OPTION_REFRESH, NULL, 0, "Compile anew and replace what is stored", 0},
    {"worker", OPTION_WORKER, NULL, OPTION_HIDDEN, NULL, 0},
    {0},
};

/* ---- Command line --------------------------------------------------------------------- */

static unsigned parse_jobs(struct argp_state *state, const char *text) {
    char *end;
    unsigned long jobs;

    errno = 0;
    jobs = strtoul(text, &end, 10);
    if (errno != 0 || *end || end == text || *text == '-' || jobs < 1 || jobs > 1024)
        argp_error(state, "-j %s: expected a number from 1 to 1024", text);
    return (unsigned)jobs;
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct verb_input *input = state->input;
    struct compile_args *args = input->own;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &args->program;
        state->child_inputs[1] = input;
        return 0;
    case 'o':
        args->output = argument;
        return 0;
    case 'j':
        args->jobs = parse_jobs(state, argument);
        return 0;
    case OPTION_NO_CACHE:
        args->flags |= CUBBY_REQUEST_NO_CACHE;
        return 0;
    case OPTION_REFRESH:
        args->flags |= CUBBY_REQUEST_REFRESH;
        return 0;
    case OPTION_WORKER:
        args->worker = true;
        return 0;
    case ARGP_KEY_ARGS:
        args->files = state->argv + state->next;
        args->file_count = (size_t)(state->argc - state->next);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "a source file is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child CHILDREN[] = {
    {&program_argp, 0, "What to compile and how:", 1}, {&cli_argp, 0, "Common options:", 2}, {0}};
static const struct argp ARGP = {
    OPTIONS,
    parse,
    "FILE...",
    "Compiles CUDA C++, PTX or NVVM IR through the cache: what was compiled before is not compiled "
    "again.",
    CHILDREN,
    NULL,
    NULL};

/* ---- Where results go ------------------------------------------------------------------- */

static bool is_folder(const char *path) {
    struct stat status;

    return path && stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* The output of a source, new; NULL when memory is short. */
static char *output_of(const struct compile_args *args, const char *source) {
    const char *slash = strrchr(source, '/');
    const char *base = strcmp(source, "-") == 0 ? "stdin" : slash ? slash + 1 : source;
    const char *dot = strrchr(base, '.');
    size_t stem = dot && dot != base ? (size_t)(dot - base) : strlen(base);
    bool folder = is_folder(args->output);
    char *output;

    if (args->output && !folder)
        return strdup(args->output);
    if (asprintf(&output, "%s%s%.*s.%s", folder ? args->output : "", folder ? "/" : "", (int)stem,
                 base, cubby_target_name(program_target(&args->program, source))) < 0)
        return NULL;
    return output;
}

static int compare_text(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* True if the result would replace its own source. */
static bool is_source(const char *output, const char *source) {
    struct stat a, b;

    return stat(output, &a) == 0 && stat(source, &b) == 0 && S_ISREG(a.st_mode) &&
           a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Two sources of the same name would overwrite each other's results. */
static int check_outputs(const struct compile_args *args) {
    char **outputs = calloc(args->file_count, sizeof(*outputs));
    int status = STATUS_OK;

    if (!outputs)
        out_of_memory();
    for (size_t i = 0; i < args->file_count; i++) {
        outputs[i] = output_of(args, args->files[i]);
        if (!outputs[i])
            out_of_memory();
        if (is_source(outputs[i], args->files[i])) {
            fprintf(stderr,
                    "cubby: %s would be replaced by what is compiled from it: give -o another "
                    "file\n",
                    args->files[i]);
            status = STATUS_USAGE;
        }
    }
    if (status == STATUS_OK)
        qsort(outputs, args->file_count, sizeof(*outputs), compare_text);
    for (size_t i = 1; status == STATUS_OK && i < args->file_count; i++) {
        struct stat existing;

        if (strcmp(outputs[i - 1], outputs[i]) != 0 ||
            (stat(outputs[i], &existing) == 0 && S_ISCHR(existing.st_mode)))
            continue;
        fprintf(stderr,
                "cubby: two sources would both be written to %s: compile them apart, or give -o a "
                "folder each\n",
                outputs[i]);
        status = STATUS_USAGE;
    }
    for (size_t i = 0; i < args->file_count; i++)
        free(outputs[i]);
    free(outputs);
    return status;
}

/* ---- Compiling ---------------------------------------------------------------------------- */

json_t *compile_file(const struct compile_args *args, struct cubby_cache *cache,
                     const char *source) {
    struct cubby_outcome outcome = {.kind = CUBBY_OUTCOME_ERROR};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program = NULL;
    struct cubby_object *object = NULL;
    char *output = output_of(args, source);
    json_t *report;
    int result;

    result = program_from_file(&args->program, source, &program, &error);
    if (result == 0)
        result = cubby_compile(cache, program, args->flags, &object, &outcome, &error);
    if (result == 0 && output)
        output_write(output, cubby_object_data(object), cubby_object_size(object), &error);
    report = report_new(source, output, cubby_target_name(program_target(&args->program, source)),
                        args->program.arch, object, &outcome, &error);
    cubby_object_unref(object);
    cubby_program_unref(program);
    cubby_error_clear(&error);
    free(output);
    return report;
}

static int compile_all(const struct cli *cli, const struct compile_args *args,
                       struct cubby_cache *cache) {
    int status = STATUS_OK;

    for (size_t i = 0; i < args->file_count; i++) {
        json_t *report = compile_file(args, cache, args->files[i]);

        report_print(cli, report, i + 1, args->file_count);
        if (report_status(report) > status)
            status = report_status(report);
        json_decref(report);
    }
    return status;
}

static int check_usage(const struct cli *cli, const struct compile_args *args) {
    if (cli->json && args->output && strcmp(args->output, "-") == 0) {
        fputs("cubby: --json and -o - both want standard output: give -o a file\n", stderr);
        return STATUS_USAGE;
    }
    return check_outputs(args);
}

int verb_compile(struct cli *cli, int argc, char **argv) {
    struct compile_args args = {.jobs = 1};
    struct verb_input input = {cli, &args};
    struct cubby_cache *cache = NULL;
    int status;

    argv[0] = (char *)"cubby compile";
    parse_arguments(&ARGP, argc, argv, 0, &input);
    status = check_usage(cli, &args);
    if (status == STATUS_OK) {
        enum status opened = STATUS_USAGE;

        cache = open_cache(cli, &opened);
        status = cache ? program_args_finish(&args.program, cache, args.files, args.file_count)
                       : (int)opened;
    }
    if (status == STATUS_OK && args.worker)
        status = workers_serve(&args, cache);
    else if (status == STATUS_OK && args.jobs > 1 && args.file_count > 1)
        status = workers_run(cli, &args, argc, argv);
    else if (status == STATUS_OK)
        status = compile_all(cli, &args, cache);
    cubby_cache_unref(cache);
    program_args_clear(&args.program);
    return status;
}
