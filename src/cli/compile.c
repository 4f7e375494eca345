/* SPDX-License-Identifier: Apache-2.0 */
/* cubby compile */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/input.h"
#include "cli/program_args.h"
#include "cli/report.h"
#include "cli/workers.h"

enum { OPTION_NO_CACHE = 1024, OPTION_REFRESH };

struct compile_args {
    struct program_args program;
    struct work_args work;
    const char *output;
    unsigned flags;
    char **files;
    size_t file_count;
    struct cubby_cache *cache; /* once it is open */
};

static const struct argp_option OPTIONS[] = {
    {"output", 'o', "FILE", 0,
     "Write the result to FILE; - is standard output; a folder takes one file for each source "
     "(default: the source's name with the target's suffix, here)",
     0},
    {"no-cache", OPTION_NO_CACHE, NULL, 0, "Neither look up nor store", 0},
    {"refresh", OPTION_REFRESH, NULL, 0, "Compile anew and replace what is stored", 0},
    {0},
};

/* ---- Command line ------------------------------------------------------------------------ */

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct verb_input *input = state->input;
    struct compile_args *args = input->own;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &args->program;
        state->child_inputs[1] = &args->work;
        state->child_inputs[2] = input;
        return 0;
    case 'o':
        args->output = argument;
        return 0;
    case OPTION_NO_CACHE:
        args->flags |= CUBBY_REQUEST_NO_CACHE;
        return 0;
    case OPTION_REFRESH:
        args->flags |= CUBBY_REQUEST_REFRESH;
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

static const struct argp_child CHILDREN[] = {{&program_argp, 0, "What to compile and how:", 1},
                                             {&work_argp, 0, NULL, 0},
                                             {&cli_argp, 0, "Common options:", 2},
                                             {0}};
static const struct argp ARGP = {
    OPTIONS,
    parse,
    "FILE...",
    "Compiles CUDA C++, PTX or NVVM IR through the cache: what was compiled before is not compiled "
    "again.",
    CHILDREN,
    NULL,
    NULL};

/* ---- Where results go -------------------------------------------------------------------- */

static bool is_folder(const char *path) {
    struct stat status;

    return path && stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* The output of a source, new. */
static char *output_of(const struct compile_args *args, const char *source) {
    const char *slash = strrchr(source, '/');
    const char *base = strcmp(source, "-") == 0 ? "stdin" : slash ? slash + 1 : source;
    const char *dot = strrchr(base, '.');
    size_t stem = dot && dot != base ? (size_t)(dot - base) : strlen(base);
    bool folder = is_folder(args->output);
    char *output;
    int length;

    if (args->output && !folder)
        length = asprintf(&output, "%s", args->output);
    else
        length =
            asprintf(&output, "%s%s%.*s.%s", folder ? args->output : "", folder ? "/" : "",
                     (int)stem, base, cubby_target_name(program_target(&args->program, source)));
    if (length < 0)
        out_of_memory();
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

/* ---- Compiling --------------------------------------------------------------------------- */

static json_t *compile_file(const struct compile_args *args, const char *source) {
    struct cubby_outcome outcome = {.kind = CUBBY_OUTCOME_ERROR};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program = NULL;
    struct cubby_object *object = NULL;
    char *output = output_of(args, source);
    json_t *report;
    int result;

    result = program_from_file(&args->program, source, &program, &error);
    if (result == 0)
        result = cubby_compile(args->cache, program, args->flags, &object, &outcome, &error);
    if (result == 0)
        output_write(output, cubby_object_data(object), cubby_object_size(object), &error);
    report = report_new(source, output, cubby_target_name(program_target(&args->program, source)),
                        args->program.arch, object, &outcome, &error);
    cubby_object_unref(object);
    cubby_program_unref(program);
    cubby_error_clear(&error);
    free(output);
    return report;
}

static json_t *run_job(void *context, size_t job) {
    const struct compile_args *args = context;
    json_t *reports = json_array();

    json_append(reports, compile_file(args, args->files[job]));
    return reports;
}

static json_t *report_lost(void *context, size_t job) {
    const struct compile_args *args = context;
    const char *file = args->files[job];

    return report_lost_job(file, cubby_target_name(program_target(&args->program, file)),
                           args->program.arch);
}

static int check_usage(const struct cli *cli, const struct compile_args *args) {
    if (cli->json && args->output && strcmp(args->output, "-") == 0) {
        fputs("cubby: --json and -o - both want standard output: give -o a file\n", stderr);
        return STATUS_USAGE;
    }
    return check_outputs(args);
}

static int compile_all(const struct cli *cli, struct compile_args *args, int argc, char **argv) {
    const struct work work = {"compile", args->file_count, run_job, report_lost, NULL, args};
    enum status opened = STATUS_USAGE;
    int status;

    args->cache = open_cache_for(cli, args->flags, &opened);
    if (!args->cache)
        return opened;
    status = program_args_finish(&args->program, args->cache, args->files, args->file_count);
    if (status == STATUS_OK)
        status = work_do(cli, &work, &args->work, argc, argv);
    cubby_cache_unref(args->cache);
    return status;
}

int verb_compile(struct cli *cli, int argc, char **argv) {
    struct compile_args args = {.work = {.jobs = 1}};
    struct verb_input input = {cli, &args};
    int status;

    argv[0] = (char *)"cubby compile";
    parse_arguments(&ARGP, argc, argv, 0, &input);
    status = check_usage(cli, &args);
    if (status == STATUS_OK)
        status = compile_all(cli, &args, argc, argv);
    program_args_clear(&args.program);
    return status;
}
