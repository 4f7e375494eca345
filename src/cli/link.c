/* SPDX-License-Identifier: Apache-2.0 */
/* cubby link */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/input.h"
#include "cli/program_args.h"
#include "cli/report.h"
#include "util/error.h"

enum { OPTION_NO_CACHE = 1024, OPTION_REFRESH, OPTION_TARGET, OPTION_ARCH, OPTION_VERBATIM };

struct link_args {
    enum cubby_target target;
    const char *arch;
    const char **options; /* array owned */
    size_t option_count;
    const char *output;
    unsigned flags;
    char **files;
    size_t file_count;
    char device_arch[16];
};

static const struct argp_option OPTIONS[] = {
    {"output", 'o', "FILE", 0,
     "Write the result to FILE; - is standard output (default: linked with the target's suffix, in "
     "the folder FILE or here)",
     0},
    {"target", OPTION_TARGET, "TARGET", 0,
     "What to make: cubin (default), or ptx where every input is LTO-IR", 0},
    {"arch", OPTION_ARCH, "ARCH", 0, "Architecture, such as sm_90 (default: that of the GPU)", 0},
    {"option", OPTION_VERBATIM, "OPT", 0,
     "Pass OPT to the linker as it is, such as -maxrregcount=32 (repeatable)", 0},
    {"no-cache", OPTION_NO_CACHE, NULL, 0, "Neither look up nor store", 0},
    {"refresh", OPTION_REFRESH, NULL, 0, "Link anew and replace what is stored", 0},
    {0},
};

/* ---- Command line ------------------------------------------------------------------------ */

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct verb_input *input = state->input;
    struct link_args *args = input->own;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = input;
        /* No more options than words on the command line. */
        args->options = calloc((size_t)state->argc + 1, sizeof(*args->options));
        if (!args->options)
            argp_failure(state, STATUS_USAGE, 0, "out of memory");
        return 0;
    case 'o':
        args->output = argument;
        return 0;
    case OPTION_TARGET:
        args->target = parse_target(state, argument);
        return 0;
    case OPTION_ARCH:
        args->arch = argument;
        return 0;
    case OPTION_VERBATIM:
        args->options[args->option_count++] = argument;
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
        argp_error(state, "an input file is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child CHILDREN[] = {{&cli_argp, 0, "Common options:", 2}, {0}};
static const struct argp ARGP = {
    OPTIONS,
    parse,
    "FILE...",
    "Links LTO-IR, PTX, cubins, fatbins, host objects and libraries through the cache. What a file "
    "is, its first bytes tell; the order of the files counts.",
    CHILDREN,
    NULL,
    NULL};

/* ---- Linking ----------------------------------------------------------------------------- */

/* The output's path, new. */
static char *output_of(const struct link_args *args) {
    const char *suffix = cubby_target_name(args->target);
    struct stat status;
    char *output;
    int length;

    if (!args->output)
        length = asprintf(&output, "linked.%s", suffix);
    else if (stat(args->output, &status) == 0 && S_ISDIR(status.st_mode))
        length = asprintf(&output, "%s/linked.%s", args->output, suffix);
    else
        length = asprintf(&output, "%s", args->output);
    if (length < 0)
        out_of_memory();
    return output;
}

static int read_inputs(const struct link_args *args, struct cubby_link_input *inputs,
                       struct cubby_error *error) {
    int result = 0;

    for (size_t i = 0; i < args->file_count && result == 0; i++) {
        inputs[i].name = strcmp(args->files[i], "-") == 0 ? "stdin" : args->files[i];
        result = input_read(args->files[i], (char **)&inputs[i].data, &inputs[i].size, error);
    }
    return result;
}

static int make_link(const struct link_args *args, struct cubby_link **ret_link,
                     struct cubby_error *error) {
    struct cubby_link_input *inputs = calloc(args->file_count, sizeof(*inputs));
    struct cubby_link_options options = CUBBY_LINK_OPTIONS_INIT;
    int result = inputs ? read_inputs(args, inputs, error) : error_no_memory(error);

    options.target = args->target;
    options.arch = args->arch;
    options.options = args->options;
    options.option_count = args->option_count;
    if (result == 0)
        result = cubby_link_new(inputs, args->file_count, &options, ret_link, error);
    for (size_t i = 0; inputs && i < args->file_count; i++)
        free((void *)inputs[i].data);
    free(inputs);
    return result;
}

/* "a.ltoir + b.ltoir", new. */
static char *describe_inputs(const struct link_args *args) {
    char *all = NULL;
    size_t size;
    FILE *out = open_memstream(&all, &size);

    for (size_t i = 0; out && i < args->file_count; i++)
        fprintf(out, "%s%s", i > 0 ? " + " : "", args->files[i]);
    if (!out || fclose(out) != 0)
        out_of_memory();
    return all;
}

static json_t *report_link(const struct link_args *args, const char *output,
                           const struct cubby_object *object, const struct cubby_outcome *outcome,
                           const struct cubby_error *error) {
    char *source = describe_inputs(args);
    json_t *report = report_new(source, output, cubby_target_name(args->target), args->arch, object,
                                outcome, error);
    json_t *inputs = json_array();

    for (size_t i = 0; i < args->file_count; i++)
        json_append(inputs, text_json(args->files[i]));
    json_add(report, "inputs", inputs);
    free(source);
    return report;
}

static int run_link(const struct cli *cli, const struct link_args *args,
                    struct cubby_cache *cache) {
    struct cubby_outcome outcome = {.kind = CUBBY_OUTCOME_ERROR};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_object *object = NULL;
    struct cubby_link *link = NULL;
    char *output = output_of(args);
    json_t *report;
    int status, result = make_link(args, &link, &error);

    if (result == 0)
        result = cubby_link_run(cache, link, args->flags, &object, &outcome, &error);
    if (result == 0)
        output_write(output, cubby_object_data(object), cubby_object_size(object), &error);
    report = report_link(args, output, object, &outcome, &error);
    report_print(cli, report, 1, 1);
    status = report_status(report);
    json_decref(report);
    cubby_object_unref(object);
    cubby_link_unref(link);
    cubby_error_clear(&error);
    free(output);
    return status;
}

int verb_link(struct cli *cli, int argc, char **argv) {
    struct link_args args = {.target = CUBBY_TARGET_CUBIN};
    struct verb_input input = {cli, &args};
    struct cubby_cache *cache = NULL;
    enum status opened = STATUS_USAGE;
    int status;

    argv[0] = (char *)"cubby link";
    parse_arguments(&ARGP, argc, argv, 0, &input);
    if (cli->json && args.output && strcmp(args.output, "-") == 0) {
        fputs("cubby: --json and -o - both want standard output: give -o a file\n", stderr);
        free(args.options);
        return STATUS_USAGE;
    }
    status = find_arch(&args.arch, args.device_arch, args.options, args.option_count);
    if (status == STATUS_OK) {
        cache = open_cache_for(cli, args.flags, &opened);
        status = cache ? run_link(cli, &args, cache) : (int)opened;
    }
    cubby_cache_unref(cache);
    free(args.options);
    return status;
}
