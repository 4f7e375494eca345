/* SPDX-License-Identifier: Apache-2.0 */
/* cubby key */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/program_args.h"
#include "cli/report.h"

enum { OPTION_EXPLAIN = 1024 };

struct key_args {
    struct program_args program;
    bool explain;
    char *file;
};

static const struct argp_option OPTIONS[] = {
    {"explain", OPTION_EXPLAIN, NULL, 0,
     "List every field that enters the key, and the header files", 0},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct verb_input *input = state->input;
    struct key_args *args = input->own;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &args->program;
        state->child_inputs[1] = input;
        return 0;
    case OPTION_EXPLAIN:
        args->explain = true;
        return 0;
    case ARGP_KEY_ARG:
        if (args->file)
            argp_error(state, "one source file is expected, not also \"%s\"", argument);
        args->file = argument;
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
    "FILE",
    "Prints the key under which a program is kept, with its header files as they are now: 64 "
    "hexadecimal digits.",
    CHILDREN,
    NULL,
    NULL};

static void print_field(const char *name, const char *value, void *context) {
    json_t *fields = context;

    if (!fields)
        printf("%-16s %s\n", name, value);
    else
        json_append(fields, json_pack("{s:s, s:o}", "name", name, "value", text_json(value)));
}

static int print_key(const struct cli *cli, const struct key_args *args, struct cubby_cache *cache,
                     struct cubby_program *program, struct cubby_error *error) {
    const char *reason = cubby_program_uncacheable(program);
    bool listed = cli->json && args->explain;
    json_t *fields = listed ? json_array() : NULL;
    char hex[CUBBY_KEY_HEX_SIZE];
    struct cubby_key key;
    int result = cubby_program_key(cache, program, &key, error);

    if (listed && !fields)
        out_of_memory();
    if (result == 0 && args->explain)
        result = cubby_program_explain(cache, program, print_field, fields, error);
    if (result < 0) {
        json_decref(fields);
        return result;
    }
    cubby_key_format(&key, hex);
    if (cli->json) {
        json_t *object = json_pack("{s:o, s:s, s:o, s:o*}", "source", text_json(args->file), "key",
                                   hex, "reason", text_or_null(reason), "fields", fields);

        print_json(object);
        json_decref(object);
    } else if (args->explain) {
        printf("%-16s %s\n", "key", hex);
    } else {
        puts(hex);
    }
    if (reason)
        fprintf(stderr, "cubby: %s is not kept under this key: %s\n", args->file, reason);
    return 0;
}

int verb_key(struct cli *cli, int argc, char **argv) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program = NULL;
    struct key_args args = {0};
    struct verb_input input = {cli, &args};
    enum status opened = STATUS_USAGE;
    struct cubby_cache *cache;
    int status;

    argv[0] = (char *)"cubby key";
    parse_arguments(&ARGP, argc, argv, 0, &input);
    cache = open_cache(cli, &opened);
    status = cache ? program_args_finish(&args.program, cache, &args.file, 1) : (int)opened;
    if (status == STATUS_OK) {
        if (program_from_file(&args.program, args.file, &program, &error) == 0)
            print_key(cli, &args, cache, program, &error);
        if (error.code != CUBBY_OK)
            print_error(&error);
        status = status_of(error.code);
    }
    cubby_error_clear(&error);
    cubby_program_unref(program);
    cubby_cache_unref(cache);
    program_args_clear(&args.program);
    return status;
}
