/* SPDX-License-Identifier: Apache-2.0 */
/* The options that make a program of a file, the same for every verb that takes one. */
#ifndef CUBBY_CLI_PROGRAM_ARGS_H
#define CUBBY_CLI_PROGRAM_ARGS_H

#include <argp.h>

#include <cubby/cubby.h>

struct program_args {
    enum cubby_target target;
    const char *arch;     /* NULL: that of the first GPU */
    const char **options; /* owned array of borrowed or owned strings, see owned */
    size_t option_count;
    char **owned;
    size_t owned_count;
    const char **names;
    size_t name_count;
    bool no_toolkit_include;
    char device_arch[16];
};

extern const struct argp program_argp; /* its input is a struct program_args */

/*
 * What is left to find out once the command line is read: the GPU's architecture, the toolkit's
 * include folders. Prints the error and returns an exit status.
 */
int program_args_finish(struct program_args *args, struct cubby_cache *cache);

/* Reads a file ("-": standard input) and makes a program of it. */
int program_from_file(const struct program_args *args, const char *path,
                      struct cubby_program **ret_program, struct cubby_error *error);

void program_args_clear(struct program_args *args);

#endif
