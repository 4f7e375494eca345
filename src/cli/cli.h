/* SPDX-License-Identifier: Apache-2.0 */
/* The command: what its verbs share. The contract of options, output and exit codes is the man
 * page, docs/cubby.1. */
#ifndef CUBBY_CLI_CLI_H
#define CUBBY_CLI_CLI_H

#include <argp.h>
#include <stdbool.h>

#include <cubby/cubby.h>

/* Exit codes. */
enum status {
    STATUS_OK = 0,
    STATUS_REFUSED = 1, /* the compiler refused the program */
    STATUS_USAGE = 2,   /* wrong usage, or an input or output that cannot be used */
    STATUS_MISSING = 3, /* toolchain, driver or device missing */
    STATUS_STORE = 4,   /* the store failed where the store itself was asked for */
};

/* Options that every verb takes. */
struct cli {
    const char *spec; /* --cache; NULL for the default */
    bool json;
    bool quiet;
    bool verbose;
};

/* To be a child of each verb's parser; its input is the struct cli. */
extern const struct argp cli_argp;

/* A verb: its first argument is its name. Returns an exit status. */
typedef int verb_function(struct cli *cli, int argc, char **argv);

verb_function verb_compile, verb_link, verb_key, verb_stats, verb_ls, verb_show, verb_get, verb_rm,
    verb_clear, verb_doctor, verb_verify, verb_trim, verb_export, verb_import;

/*
 * Parses a verb's arguments. arguments: what the parser's own input is, and cli for its child.
 * Ends the process with status 2 on wrong usage, with 0 after --help.
 */
struct verb_input {
    struct cli *cli; /* first: cli_argp's input */
    void *own;
};

/* The exit status that fits a library error. */
enum status status_of(int code);

/* Prints "cubby: MESSAGE" on stderr, and what is in the error's log. */
void print_error(const struct cubby_error *error);

/* Opens the cache of --cache; prints the error and returns NULL where the spec is wrong. */
struct cubby_cache *open_cache(const struct cli *cli, enum status *ret_status);

/* As open_cache, for verbs that are about the store: one that cannot be opened is a failure. */
struct cubby_cache *open_store(const struct cli *cli, enum status *ret_status);

/* The text as new text in which every byte that is not printable ASCII is a '?': names of files may
 * hold what a terminal would obey. NULL when memory is short. */
char *printable(const char *text);

/* "1.4 MB"; the text is overwritten by the next but three calls. */
const char *format_bytes(uint64_t bytes);

#endif
