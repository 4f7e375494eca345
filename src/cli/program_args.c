/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/program_args.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/input.h"
#include "util/error.h"

enum {
    OPTION_TARGET = 512,
    OPTION_ARCH,
    OPTION_PRE_INCLUDE,
    OPTION_NAME,
    OPTION_KIND,
    OPTION_VERBATIM,
    OPTION_NO_TOOLKIT_INCLUDE,
    OPTION_STD,
    OPTION_S = 's', /* as which argp sees the s of -std=STD */
};

static const struct argp_option OPTIONS[] = {
    {"target", OPTION_TARGET, "TARGET", 0, "What to make: cubin (default), ptx or ltoir", 1},
    {"arch", OPTION_ARCH, "ARCH", 0, "Architecture, such as sm_90 (default: that of the GPU)", 1},
    {NULL, 'I', "DIR", 0, "Look for headers in DIR", 1},
    {NULL, 'D', "NAME[=VALUE]", 0, "Define a macro", 1},
    {NULL, 'U', "NAME", 0, "Undefine a macro", 1},
    {"std", OPTION_STD, "STD", 0, "Language standard, such as c++20 (also -std=STD)", 1},
    {NULL, OPTION_S, "STD", OPTION_HIDDEN, NULL, 1},
    {"include", OPTION_PRE_INCLUDE, "FILE", 0, "Include FILE before the source", 1},
    {"name", OPTION_NAME, "EXPR", 0,
     "Instantiate a name expression, such as 'scale<float>', and report its lowered name "
     "(repeatable)",
     1},
    {"kind", OPTION_KIND, "KIND", 0, "Language of the source: cuda (default: by suffix)", 1},
    {"option", OPTION_VERBATIM, "OPT", 0, "Pass OPT to the compiler as it is (repeatable)", 1},
    {"no-toolkit-include", OPTION_NO_TOOLKIT_INCLUDE, NULL, 0,
     "Do not look for headers in the CUDA toolkit", 1},
    {0},
};

/* ---- Reading the command line ------------------------------------------------------- */

static void no_memory(void) {
    fputs("cubby: out of memory\n", stderr);
    exit(STATUS_USAGE);
}

static void add_string(const char ***list, size_t *count, const char *text) {
    const char **grown = realloc(*list, (*count + 1) * sizeof(*grown));

    if (!grown)
        no_memory();
    *list = grown;
    grown[(*count)++] = text;
}

/* Adds an option made of two parts, which the arguments then own. */
static void add_option(struct program_args *args, const char *prefix, const char *value) {
    char **grown = realloc(args->owned, (args->owned_count + 1) * sizeof(*grown));
    char *text;

    if (!grown || asprintf(&text, "%s%s", prefix, value) < 0)
        no_memory();
    args->owned = grown;
    grown[args->owned_count++] = text;
    add_string(&args->options, &args->option_count, text);
}

static void parse_target(struct argp_state *state, struct program_args *args, const char *text) {
    for (int target = 0; cubby_target_name((enum cubby_target)target); target++) {
        if (strcmp(cubby_target_name((enum cubby_target)target), text) == 0) {
            args->target = (enum cubby_target)target;
            return;
        }
    }
    argp_error(state, "--target=%s: expected cubin, ptx or ltoir", text);
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct program_args *args = state->input;

    switch (key) {
    case OPTION_TARGET:
        parse_target(state, args, argument);
        return 0;
    case OPTION_ARCH:
        args->arch = argument;
        return 0;
    case 'I':
        add_option(args, "-I", argument);
        return 0;
    case 'D':
        add_option(args, "-D", argument);
        return 0;
    case 'U':
        add_option(args, "-U", argument);
        return 0;
    case OPTION_S:
        if (strncmp(argument, "td=", 3) != 0)
            argp_error(state, "invalid option -- 's'");
        argument += 3;
        /* fall through */
    case OPTION_STD:
        add_option(args, "--std=", argument);
        return 0;
    case OPTION_PRE_INCLUDE:
        add_option(args, "--pre-include=", argument);
        return 0;
    case OPTION_NAME:
        add_string(&args->names, &args->name_count, argument);
        return 0;
    case OPTION_KIND:
        if (strcmp(argument, "cuda") != 0)
            argp_error(state, "--kind=%s: this version compiles cuda only", argument);
        return 0;
    case OPTION_VERBATIM:
        add_string(&args->options, &args->option_count, argument);
        return 0;
    case OPTION_NO_TOOLKIT_INCLUDE:
        args->no_toolkit_include = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp program_argp = {OPTIONS, parse, NULL, NULL, NULL, NULL, NULL};

/* ---- Finding out the rest ------------------------------------------------------------- */

static bool has_arch_option(const struct program_args *args) {
    for (size_t i = 0; i < args->option_count; i++) {
        if (strncmp(args->options[i], "-arch", 5) == 0 ||
            strncmp(args->options[i], "--gpu-architecture", 18) == 0)
            return true;
    }
    return false;
}

static int find_arch(struct program_args *args) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_device device;

    if (args->arch || has_arch_option(args))
        return STATUS_OK;
    if (cubby_device_find(&device, &error) < 0) {
        fprintf(stderr,
                "cubby: no architecture to compile for: pass --arch, such as --arch sm_90 "
                "(%s)\n",
                error.message);
        cubby_error_clear(&error);
        return STATUS_MISSING;
    }
    snprintf(args->device_arch, sizeof(args->device_arch), "%s", device.arch);
    args->arch = args->device_arch;
    return STATUS_OK;
}

/* The toolkit's headers come last: CUDA 13 keeps those of CCCL in a folder of their own. */
static void add_toolkit_include(struct program_args *args, const char *dir) {
    char *cccl;

    add_option(args, "-I", dir);
    if (asprintf(&cccl, "%s/cccl", dir) < 0)
        no_memory();
    if (access(cccl, F_OK) == 0)
        add_option(args, "-I", cccl);
    free(cccl);
}

int program_args_finish(struct program_args *args, struct cubby_cache *cache) {
    struct cubby_toolchain toolchain = {0};
    struct cubby_error error = CUBBY_ERROR_INIT;
    int status = find_arch(args);

    if (status != STATUS_OK)
        return status;
    if (cubby_toolchain_find(cache, &toolchain, &error) < 0) {
        print_error(&error);
        status = status_of(error.code);
        cubby_error_clear(&error);
        return status;
    }
    if (!args->no_toolkit_include && toolchain.include_dir)
        add_toolkit_include(args, toolchain.include_dir);
    cubby_toolchain_clear(&toolchain);
    return STATUS_OK;
}

int program_from_file(const struct program_args *args, const char *path,
                      struct cubby_program **ret_program, struct cubby_error *error) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    char *text;
    size_t size;
    int result = input_read(path, &text, &size, error);

    if (result < 0)
        return result;
    options.target = args->target;
    options.arch = args->arch;
    options.name = strcmp(path, "-") == 0 ? "stdin" : path;
    options.options = args->options;
    options.option_count = args->option_count;
    options.names = args->names;
    options.name_count = args->name_count;
    result = cubby_program_new(text, size, &options, ret_program, error);
    free(text);
    return result;
}

void program_args_clear(struct program_args *args) {
    for (size_t i = 0; i < args->owned_count; i++)
        free(args->owned[i]);
    free(args->owned);
    free(args->options);
    free(args->names);
}
