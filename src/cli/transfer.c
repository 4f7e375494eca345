/* SPDX-License-Identifier: Apache-2.0 */
/* cubby export, cubby import: what is stored as an archive. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/input.h"
#include "cli/report.h"

#define MAX_LISTED 100 /* members that are named; the others are counted */

/* ---- Command lines ----------------------------------------------------------------------- */

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct verb_input *input = state->input;
    const char **file = input->own;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = input;
        return 0;
    case ARGP_KEY_ARG:
        if (*file)
            argp_error(state, "\"%s\": one file is expected", argument);
        *file = argument;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "a file is missing; - is the standard stream");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child CHILDREN[] = {{&cli_argp, 0, "Common options:", 1}, {0}};
static const struct argp EXPORT_ARGP = {NULL,
                                        parse,
                                        "FILE.tar",
                                        "Writes everything that is stored to a tar archive; - is "
                                        "standard output. Remembered toolchains "
                                        "are left out, as they are of this machine.",
                                        CHILDREN,
                                        NULL,
                                        NULL};
static const struct argp IMPORT_ARGP = {
    NULL,
    parse,
    "FILE.tar",
    "Puts the entries of an archive that `cubby export' wrote into the stores; - is standard "
    "input. "
    "What is damaged or no entry is refused. Whoever wrote the archive decides what will run.",
    CHILDREN,
    NULL,
    NULL};

static enum status fail(struct cubby_error *error) {
    enum status status =
        error->code == CUBBY_ERR_UNSUPPORTED ? status_of(error->code) : STATUS_STORE;

    print_error(error);
    cubby_error_clear(error);
    return status;
}

/* ---- export ------------------------------------------------------------------------------ */

/* The report goes to standard error where the archive goes to standard output. */
static void print_exported(const struct cli *cli, const char *file,
                           const struct cubby_export_result *result) {
    FILE *out = strcmp(file, "-") == 0 ? stderr : stdout;

    if (cli->json)
        fprintf(out, "{\"entries\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"damaged\":%" PRIu64 "}\n",
                result->entries, result->bytes, result->damaged);
    else if (!cli->quiet)
        fprintf(out, "%" PRIu64 " entries (%s) exported\n", result->entries,
                format_bytes(result->bytes));
    if (result->damaged > 0)
        fprintf(stderr,
                "cubby: warning: %" PRIu64 " entries are damaged and were left out: see `cubby "
                "verify'\n",
                result->damaged);
}

int verb_export(struct cli *cli, int argc, char **argv) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_export_result result = {0};
    const char *file = NULL;
    struct verb_input input = {cli, &file};
    enum status status = STATUS_OK;
    struct cubby_cache *cache;
    struct output output;
    int code;

    argv[0] = (char *)"cubby export";
    parse_arguments(&EXPORT_ARGP, argc, argv, 0, &input);
    cache = open_store(cli, &status);
    if (!cache)
        return status;
    code = output_open(file, &output, &error);
    if (code == 0) {
        code = cubby_cache_export(cache, output.fd, &result, &error);
        if (code == 0)
            code = output_commit(&output, &error);
        else
            output_discard(&output);
    }
    cubby_cache_unref(cache);
    if (code < 0)
        return fail(&error);
    print_exported(cli, file, &result);
    return STATUS_OK;
}

/* ---- import ------------------------------------------------------------------------------ */

struct listing {
    const struct cli *cli;
    uint64_t listed;
};

static void list_refusal(const char *name, const char *reason, void *context) {
    struct listing *listing = context;
    char *shown;

    if (++listing->listed > MAX_LISTED)
        return;
    if (listing->cli->json) {
        json_t *line = json_pack("{s:o,s:o}", "name", text_json(name), "reason", text_json(reason));

        if (listing->listed > 1)
            putchar(',');
        dump_json(line);
        json_decref(line);
    }
    shown = printable(name);
    fprintf(stderr, "cubby: refused %s: %s\n", shown ? shown : "", reason);
    free(shown);
    if (listing->listed == MAX_LISTED)
        fputs("cubby: those that are refused from here on are only counted\n", stderr);
}

static void print_imported(const struct cli *cli, const struct cubby_import_result *result) {
    if (cli->json)
        printf("],\"entries\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"present\":%" PRIu64
               ",\"refused\":%" PRIu64 "}\n",
               result->entries, result->bytes, result->present, result->refused);
    else if (!cli->quiet)
        printf("%" PRIu64 " entries (%s) imported, %" PRIu64 " were there, %" PRIu64
               " members refused\n",
               result->entries, format_bytes(result->bytes), result->present, result->refused);
}

static enum status import_from(const struct cli *cli, struct cubby_cache *cache, int fd) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_import_result result = {0};
    struct listing listing = {cli, 0};
    int code;

    if (cli->json)
        fputs("{\"refusals\":[", stdout);
    code = cubby_cache_import(cache, fd, list_refusal, &listing, &result, &error);
    print_imported(cli, &result);
    if (code < 0)
        return fail(&error);
    return result.refused > 0 ? STATUS_STORE : STATUS_OK;
}

int verb_import(struct cli *cli, int argc, char **argv) {
    const char *file = NULL;
    struct verb_input input = {cli, &file};
    enum status status = STATUS_OK;
    struct cubby_cache *cache;
    int fd = STDIN_FILENO;

    argv[0] = (char *)"cubby import";
    parse_arguments(&IMPORT_ARGP, argc, argv, 0, &input);
    if (strcmp(file, "-") != 0)
        fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        fprintf(stderr, "cubby: cannot read %s: %s\n", file, strerror(errno));
        return STATUS_USAGE;
    }
    cache = open_store(cli, &status);
    if (cache)
        status = import_from(cli, cache, fd);
    cubby_cache_unref(cache);
    if (fd != STDIN_FILENO)
        close(fd);
    return status;
}
