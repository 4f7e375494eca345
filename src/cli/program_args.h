/* SPDX-License-Identifier: Apache-2.0 */
/* The options that make a program of a file, the same for every verb that takes one. */
#ifndef CUBBY_CLI_PROGRAM_ARGS_H
#define CUBBY_CLI_PROGRAM_ARGS_H

#include <argp.h>

#include <cubby/cubby.h>

struct program_args {
    enum cubby_source kind; /* where has_kind; else each file's suffix tells */
    bool has_kind;
    enum cubby_target target; /* where has_target; see program_target() */
    bool has_target;
    const char *arch;     /* NULL: that of the first GPU */
    const char **options; /* for CUDA C++, in order; array owned, strings borrowed or in owned */
    size_t option_count;
    const char **verbatim; /* those of --option, for PTX and NVVM IR */
    size_t verbatim_count;
    char **owned;
    size_t owned_count;
    const char **names;
    size_t name_count;
    const char **modules; /* files of further NVVM IR */
    size_t module_count;
    bool use_libdevice;
    bool no_toolkit_include;
    char device_arch[16];
};

/* To be children of a verb's parser; their input is a struct program_args. */
extern const struct argp compiler_argp; /* how: headers, macros, further options */
extern const struct argp source_argp;   /* what: target, language, names, modules */
extern const struct argp program_argp;  /* all of it, and the architecture */

/* The language of a file. */
enum cubby_source program_kind(const struct program_args *args, const char *path);

/* What is made of a file: as asked for, else a cubin, or PTX of NVVM IR. */
enum cubby_target program_target(const struct program_args *args, const char *path);

/*
 * What is left to find out once the command line is read: the GPU's architecture, and the toolkit's
 * include folders where a file is CUDA C++. Prints the error and returns an exit status.
 */
int program_args_finish(struct program_args *args, struct cubby_cache *cache, char *const *files,
                        size_t file_count);

/* As program_args_finish(), for CUDA C++ alone: adds the toolkit's include folders, and makes sure
 * of the compiler where that is needed. */
int program_args_add_toolkit(struct program_args *args, struct cubby_cache *cache, bool is_needed);

/*
 * The architecture of the first GPU, where neither *arch nor an option names one; text receives it.
 * Prints the error and returns an exit status.
 */
int find_arch(const char **arch, char text[16], const char *const *options, size_t option_count);

/* "cubin", "ptx" or "ltoir" as a target; ends the process with a message for any other. */
enum cubby_target parse_target(const struct argp_state *state, const char *text);

/* Reads a file ("-": standard input) and makes a program of it. */
int program_from_file(const struct program_args *args, const char *path,
                      struct cubby_program **ret_program, struct cubby_error *error);

void program_args_clear(struct program_args *args);

#endif
