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
    OPTION_MODULE,
    OPTION_LIBDEVICE
};

static const struct argp_option COMPILER_OPTIONS[] = {
    {NULL, 'I', "DIR", 0, "Look for headers in DIR", 1},
    {NULL, 'D', "NAME[=VALUE]", 0, "Define a macro", 1},
    {NULL, 'U', "NAME", 0, "Undefine a macro", 1},
    {"std", OPTION_STD, "STD", 0, "Language standard, such as c++20 (also -std=STD)", 1},
    {NULL, 's', "td=STD", OPTION_HIDDEN, NULL, 1}, /* the compiler's own spelling, -std=STD */
    {"include", OPTION_PRE_INCLUDE, "FILE", 0, "Include FILE before the source", 1},
    {"option", OPTION_VERBATIM, "OPT", 0,
     "Pass OPT to the compiler or linker as it is (repeatable)", 1},
    {"no-toolkit-include", OPTION_NO_TOOLKIT_INCLUDE, NULL, 0,
     "Do not look for headers in the CUDA toolkit", 1},
    {0},
};

static const struct argp_option SOURCE_OPTIONS[] = {
    {"target", OPTION_TARGET, "TARGET", 0,
     "What to make: cubin (default), ptx (default for NVVM IR) or ltoir", 1},
    {"name", OPTION_NAME, "EXPR", 0,
     "Instantiate a name expression, such as 'scale<float>', and report its lowered name "
     "(repeatable)",
     1},
    {"kind", OPTION_KIND, "KIND", 0,
     "Language of the sources: cuda, ptx or nvvm (default: by suffix, .ptx, .ll and .bc, else "
     "cuda)",
     1},
    {"module", OPTION_MODULE, "FILE", 0, "Add a further module of NVVM IR (repeatable, in order)",
     1},
    {"libdevice", OPTION_LIBDEVICE, NULL, 0, "Add libdevice to NVVM IR", 1},
    {0},
};

static const struct argp_option ARCH_OPTIONS[] = {
    {"arch", OPTION_ARCH, "ARCH", 0, "Architecture, such as sm_90 (default: that of the GPU)", 1},
    {0},
};

/* ---- Reading the command line ------------------------------------------------------------ */

static void add_string(const char ***list, size_t *count, const char *text) {
    const char **grown = realloc(*list, (*count + 1) * sizeof(*grown));

    if (!grown)
        out_of_memory();
    *list = grown;
    grown[(*count)++] = text;
}

/* Adds an option made of two parts, which the arguments then own. */
static void add_option(struct program_args *args, const char *prefix, const char *value) {
    char **grown = realloc(args->owned, (args->owned_count + 1) * sizeof(*grown));
    char *text;

    if (!grown || asprintf(&text, "%s%s", prefix, value) < 0)
        out_of_memory();
    args->owned = grown;
    grown[args->owned_count++] = text;
    add_string(&args->options, &args->option_count, text);
}

enum cubby_target parse_target(const struct argp_state *state, const char *text) {
    for (int target = 0; cubby_target_name((enum cubby_target)target); target++) {
        if (strcmp(cubby_target_name((enum cubby_target)target), text) == 0)
            return (enum cubby_target)target;
    }
    argp_error(state, "--target=%s: expected cubin, ptx or ltoir", text);
    return CUBBY_TARGET_CUBIN;
}

static void parse_kind(const struct argp_state *state, struct program_args *args,
                       const char *text) {
    for (int kind = 0; cubby_source_name((enum cubby_source)kind); kind++) {
        if (strcmp(cubby_source_name((enum cubby_source)kind), text) == 0) {
            args->kind = (enum cubby_source)kind;
            args->has_kind = true;
            return;
        }
    }
    argp_error(state, "--kind=%s: expected cuda, ptx or nvvm", text);
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct program_args *args = state->input;

    switch (key) {
    case OPTION_TARGET:
        args->target = parse_target(state, argument);
        args->has_target = true;
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
    case OPTION_STD:
        add_option(args, "--std=", argument);
        return 0;
    case 's':
        if (strncmp(argument, "td=", 3) != 0)
            argp_error(state, "-s%s is no option; expected -std=STD", argument);
        add_option(args, "--std=", argument + 3);
        return 0;
    case OPTION_PRE_INCLUDE:
        add_option(args, "--pre-include=", argument);
        return 0;
    case OPTION_NAME:
        add_string(&args->names, &args->name_count, argument);
        return 0;
    case OPTION_KIND:
        parse_kind(state, args, argument);
        return 0;
    case OPTION_VERBATIM:
        add_string(&args->options, &args->option_count, argument);
        add_string(&args->verbatim, &args->verbatim_count, argument);
        return 0;
    case OPTION_MODULE:
        add_string(&args->modules, &args->module_count, argument);
        return 0;
    case OPTION_LIBDEVICE:
        args->use_libdevice = true;
        return 0;
    case OPTION_NO_TOOLKIT_INCLUDE:
        args->no_toolkit_include = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp compiler_argp = {COMPILER_OPTIONS, parse, NULL, NULL, NULL, NULL, NULL};
const struct argp source_argp = {SOURCE_OPTIONS, parse, NULL, NULL, NULL, NULL, NULL};

static error_t parse_program(int key, char *argument, struct argp_state *state) {
    struct program_args *args = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = state->child_inputs[1] = args;
        return 0;
    case OPTION_ARCH:
        args->arch = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child PROGRAM_CHILDREN[] = {
    {&source_argp, 0, NULL, 0}, {&compiler_argp, 0, NULL, 0}, {0}};
const struct argp program_argp = {ARCH_OPTIONS,     parse_program, NULL, NULL,
                                  PROGRAM_CHILDREN, NULL,          NULL};

/* ---- What a file is ---------------------------------------------------------------------- */

enum cubby_source program_kind(const struct program_args *args, const char *path) {
    static const struct {
        const char *suffix;
        enum cubby_source kind;
    } SUFFIXES[] = {
        {".ptx", CUBBY_SOURCE_PTX}, {".ll", CUBBY_SOURCE_NVVM}, {".bc", CUBBY_SOURCE_NVVM}};
    const char *dot = strrchr(path, '.');

    if (args->has_kind)
        return args->kind;
    for (size_t i = 0; dot && i < sizeof(SUFFIXES) / sizeof(*SUFFIXES); i++) {
        if (strcmp(dot, SUFFIXES[i].suffix) == 0)
            return SUFFIXES[i].kind;
    }
    return CUBBY_SOURCE_CUDA;
}

enum cubby_target program_target(const struct program_args *args, const char *path) {
    if (!args->has_target && program_kind(args, path) == CUBBY_SOURCE_NVVM)
        return CUBBY_TARGET_PTX;
    return args->target;
}

/* ---- Finding out the rest ---------------------------------------------------------------- */

static bool has_arch_option(const char *const *options, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (strncmp(options[i], "-arch", 5) == 0 ||
            strncmp(options[i], "--gpu-architecture", 18) == 0)
            return true;
    }
    return false;
}

int find_arch(const char **arch, char text[16], const char *const *options, size_t option_count) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_device device;

    if (*arch || has_arch_option(options, option_count))
        return STATUS_OK;
    if (cubby_device_find(&device, &error) < 0) {
        fprintf(stderr,
                "cubby: no architecture to compile for: pass --arch, such as --arch sm_90 "
                "(%s)\n",
                error.message);
        cubby_error_clear(&error);
        return STATUS_MISSING;
    }
    snprintf(text, 16, "%s", device.arch);
    *arch = text;
    return STATUS_OK;
}

/* The toolkit's headers come last: CUDA 13, and the wheels of CUDA 12, keep those of CCCL in a
 * folder of their own. */
static void add_toolkit_include(struct program_args *args, const char *dir) {
    static const char *const CCCL[] = {"cccl", "../../cuda_cccl/include"};

    add_option(args, "-I", dir);
    for (size_t i = 0; i < sizeof(CCCL) / sizeof(*CCCL); i++) {
        char *cccl;

        if (asprintf(&cccl, "%s/%s", dir, CCCL[i]) < 0)
            out_of_memory();
        if (access(cccl, F_OK) == 0)
            add_option(args, "-I", cccl);
        free(cccl);
    }
}

int program_args_add_toolkit(struct program_args *args, struct cubby_cache *cache, bool is_needed) {
    struct cubby_toolchain toolchain = {0};
    struct cubby_error error = CUBBY_ERROR_INIT;
    int status = STATUS_OK;

    if (cubby_toolchain_find(cache, &toolchain, &error) < 0) {
        if (is_needed || error.code != CUBBY_ERR_NO_TOOLCHAIN) {
            print_error(&error);
            status = status_of(error.code);
        }
        cubby_error_clear(&error);
        return status;
    }
    if (!args->no_toolkit_include && toolchain.include_dir)
        add_toolkit_include(args, toolchain.include_dir);
    cubby_toolchain_clear(&toolchain);
    return STATUS_OK;
}

int program_args_finish(struct program_args *args, struct cubby_cache *cache, char *const *files,
                        size_t file_count) {
    int status = find_arch(&args->arch, args->device_arch, args->options, args->option_count);

    for (size_t i = 0; status == STATUS_OK && i < file_count; i++) {
        if (program_kind(args, files[i]) == CUBBY_SOURCE_CUDA)
            return program_args_add_toolkit(args, cache, true);
    }
    return status;
}

/* ---- Making a program -------------------------------------------------------------------- */

static void free_modules(struct cubby_extra_source *modules, size_t count) {
    for (size_t i = 0; modules && i < count; i++)
        free((void *)modules[i].data);
    free(modules);
}

static int read_modules(const struct program_args *args, struct cubby_program_options *options,
                        struct cubby_error *error) {
    struct cubby_extra_source *modules = calloc(args->module_count + 1, sizeof(*modules));
    int result = modules ? 0 : error_no_memory(error);

    for (size_t i = 0; result == 0 && i < args->module_count; i++) {
        modules[i].name = args->modules[i];
        result = input_read(args->modules[i], (char **)&modules[i].data, &modules[i].size, error);
    }
    if (result < 0) {
        free_modules(modules, args->module_count);
        return result;
    }
    options->extra_sources = modules;
    options->extra_source_count = args->module_count;
    return 0;
}

int program_from_file(const struct program_args *args, const char *path,
                      struct cubby_program **ret_program, struct cubby_error *error) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    bool is_cuda = program_kind(args, path) == CUBBY_SOURCE_CUDA;
    char *text;
    size_t size;
    int result = input_read(path, &text, &size, error);

    if (result < 0)
        return result;
    options.source = program_kind(args, path);
    options.target = program_target(args, path);
    options.arch = args->arch;
    options.name = strcmp(path, "-") == 0 ? "stdin" : path;
    options.options = is_cuda ? args->options : args->verbatim;
    options.option_count = is_cuda ? args->option_count : args->verbatim_count;
    options.names = args->names;
    options.name_count = args->name_count;
    options.use_libdevice = args->use_libdevice;
    result = read_modules(args, &options, error);
    if (result == 0)
        result = cubby_program_new(text, size, &options, ret_program, error);
    free_modules((struct cubby_extra_source *)options.extra_sources, options.extra_source_count);
    free(text);
    return result;
}

void program_args_clear(struct program_args *args) {
    for (size_t i = 0; i < args->owned_count; i++)
        free(args->owned[i]);
    free(args->owned);
    free(args->options);
    free(args->verbatim);
    free(args->names);
    free(args->modules);
}
