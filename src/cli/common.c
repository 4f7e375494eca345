/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OPTION_CACHE = 256, OPTION_JSON };

static const struct argp_option OPTIONS[] = {
    {"cache", OPTION_CACHE, "SPEC", 0,
     "Stores to use, fastest first, such as "
     "memory,file:/var/cache/cubby?max_size=5G",
     90},
    {"json", OPTION_JSON, NULL, 0, "Print JSON on standard output, one object a line", 90},
    {"quiet", 'q', NULL, 0, "Print errors only", 90},
    {"verbose", 'v', NULL, 0, "Print what happens in between", 90},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct cli *cli = ((struct verb_input *)state->input)->cli;

    switch (key) {
    case OPTION_CACHE:
        cli->spec = argument;
        return 0;
    case OPTION_JSON:
        cli->json = true;
        return 0;
    case 'q':
        cli->quiet = true;
        return 0;
    case 'v':
        cli->verbose = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp cli_argp = {OPTIONS, parse, NULL, NULL, NULL, NULL, NULL};

void out_of_memory(void) {
    fputs("cubby: out of memory\n", stderr);
    exit(STATUS_USAGE);
}

void parse_arguments(const struct argp *argp, int argc, char **argv, unsigned flags, void *input) {
    if (argp_parse(argp, argc, argv, flags, NULL, input) != 0)
        out_of_memory(); /* what else can go wrong has ended the process */
}

uint64_t parse_number(const struct argp_state *state, const char *option, const char *text,
                      uint64_t least, uint64_t most) {
    unsigned long long number;
    char *end;

    errno = 0;
    number = strtoull(text, &end, 10);
    if (errno != 0 || *end || *text < '0' || *text > '9' || number < least || number > most)
        argp_error(state, "%s %s: expected a number from %" PRIu64 " to %" PRIu64, option, text,
                   least, most);
    return number;
}

void dump_json(const json_t *json) {
    if (!json || json_dumpf(json, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12)) < 0)
        out_of_memory();
}

void print_json(const json_t *json) {
    dump_json(json);
    putchar('\n');
    fflush(stdout);
}

void json_add(json_t *object, const char *name, json_t *value) {
    if (json_object_set_new(object, name, value) < 0)
        out_of_memory();
}

void json_append(json_t *array, json_t *value) {
    if (json_array_append_new(array, value) < 0)
        out_of_memory();
}

enum status status_of(int code) {
    switch (code) {
    case CUBBY_OK:
        return STATUS_OK;
    case CUBBY_ERR_COMPILE:
        return STATUS_REFUSED;
    case CUBBY_ERR_NO_TOOLCHAIN:
    case CUBBY_ERR_NO_DRIVER:
    case CUBBY_ERR_UNSUPPORTED:
        return STATUS_MISSING;
    case CUBBY_ERR_INVALID:
    case CUBBY_ERR_NO_MEMORY:
        return STATUS_USAGE;
    default:
        return STATUS_STORE;
    }
}

void print_error(const struct cubby_error *error) {
    fprintf(stderr, "cubby: %s\n", error->message);
    if (error->log && *error->log) {
        fputs(error->log, stderr);
        if (error->log[strlen(error->log) - 1] != '\n')
            fputc('\n', stderr);
    }
}

struct cubby_cache *open_cache_for(const struct cli *cli, unsigned flags, enum status *ret_status) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache = NULL;
    int result = flags & CUBBY_REQUEST_NO_CACHE ? cubby_cache_open_backends(NULL, 0, &cache, &error)
                                                : cubby_cache_open(cli->spec, &cache, &error);

    if (result < 0) {
        print_error(&error);
        *ret_status = status_of(error.code);
        cubby_error_clear(&error);
        return NULL;
    }
    return cache;
}

struct cubby_cache *open_cache(const struct cli *cli, enum status *ret_status) {
    return open_cache_for(cli, 0, ret_status);
}

struct cubby_cache *open_store(const struct cli *cli, enum status *ret_status) {
    struct cubby_cache *cache = open_cache(cli, ret_status);
    const struct cubby_error *problem = cache ? cubby_cache_problem(cache, 0) : NULL;

    if (!problem)
        return cache;
    print_error(problem);
    *ret_status = STATUS_STORE;
    cubby_cache_unref(cache);
    return NULL;
}

char *printable(const char *text) {
    char *copy = strdup(text);

    for (char *at = copy; at && *at; at++) {
        if (*at < ' ' || *at > '~')
            *at = '?';
    }
    return copy;
}

const char *format_bytes(uint64_t bytes) {
    static const char *const UNITS[] = {"bytes", "KB", "MB", "GB", "TB"};
    static char texts[4][32];
    static unsigned next;
    char *text = texts[next++ % 4];
    double amount = (double)bytes;
    size_t unit = 0;

    while (amount >= 1000 && unit < 4) {
        amount /= 1000;
        unit++;
    }
    snprintf(text, sizeof(texts[0]), unit == 0 ? "%.0f %s" : "%.1f %s", amount, UNITS[unit]);
    return text;
}

void format_time(int64_t seconds, char ret_text[32]) {
    time_t time = (time_t)seconds;
    struct tm parts;

    if (!gmtime_r(&time, &parts) || strftime(ret_text, 32, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        snprintf(ret_text, 32, "%" PRId64, seconds);
}
