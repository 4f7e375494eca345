/* SPDX-License-Identifier: Apache-2.0 */
/* The command: what its verbs share. The contract of options, output and exit codes is the man
 * page, docs/cubby.1. */
#ifndef CUBBY_CLI_CLI_H
#define CUBBY_CLI_CLI_H

#include <argp.h>
#include <jansson.h>
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

verb_function verb_compile, verb_link, verb_key, verb_explain, verb_stats, verb_ls, verb_show,
    verb_get, verb_rm, verb_clear, verb_doctor, verb_verify, verb_trim, verb_export, verb_import,
    verb_prewarm, verb_run;

/* The input of a verb's parser. */
struct verb_input {
    struct cli *cli; /* first: cli_argp's input */
    void *own;
};

/* As argp_parse(): ends the process with status 2 on wrong usage, with 0 after --help; and where
 * memory is short. */
void parse_arguments(const struct argp *argp, int argc, char **argv, unsigned flags, void *input);

/* The number from least to most that an option has as its value; ends the process with a message
 * for any other text. */
uint64_t parse_number(const struct argp_state *state, const char *option, const char *text,
                      uint64_t least, uint64_t most);

/* Says so on stderr and ends the process. */
void out_of_memory(void) __attribute__((noreturn));

/* Prints JSON, as a part of a line. Ends the process where json is NULL: memory was short for it.
 */
void dump_json(const json_t *json);

/* Prints one line of JSON. Ends the process where json is NULL: memory was short for it. */
void print_json(const json_t *json);

/* Sets a member and takes over the value; ends the process where memory is short. */
void json_add(json_t *object, const char *name, json_t *value);

/* Appends to an array, in the same way. */
void json_append(json_t *array, json_t *value);

/* The exit status that fits a library error. */
enum status status_of(int code);

/* Prints "cubby: MESSAGE" on stderr, and what is in the error's log. */
void print_error(const struct cubby_error *error);

/* Opens the cache of --cache; prints the error and returns NULL where the spec is wrong. */
struct cubby_cache *open_cache(const struct cli *cli, enum status *ret_status);

/* As open_cache, for requests with these flags (CUBBY_REQUEST_...): for those that are not to use
 * the cache, one without stores, whatever there is. */
struct cubby_cache *open_cache_for(const struct cli *cli, unsigned flags, enum status *ret_status);

/* As open_cache, for verbs that are about the store: one that cannot be opened is a failure. */
struct cubby_cache *open_store(const struct cli *cli, enum status *ret_status);

/* The text as new text in which every byte that is not printable ASCII is a '?': names of files may
 * hold what a terminal would obey. NULL when memory is short. */
char *printable(const char *text);

/* "1.4 MB"; the text is overwritten by the next but three calls. */
const char *format_bytes(uint64_t bytes);

/* A time (seconds since the epoch) in UTC, such as 2026-01-31T12:00:00Z. */
void format_time(int64_t seconds, char ret_text[32]);

#endif
