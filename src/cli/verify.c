/* SPDX-License-Identifier: Apache-2.0 */
/* cubby verify */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/report.h"

enum { OPTION_REPAIR = 1024 };

static const struct argp_option OPTIONS[] = {
    {"repair", OPTION_REPAIR, NULL, 0, "Remove what is damaged, and set sums right", 0},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct verb_input *input = state->input;

    (void)argument;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = input;
        return 0;
    case OPTION_REPAIR:
        *(bool *)input->own = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child CHILDREN[] = {{&cli_argp, 0, "Common options:", 1}, {0}};
static const struct argp ARGP = {
    OPTIONS,
    parse,
    "",
    "Reads every entry of every store and checks it. Ends with status 4 where damage was found and "
    "is still there, with 0 where there was none or all of it was repaired.",
    CHILDREN,
    NULL,
    NULL};

/* ---- Findings, as they come -------------------------------------------------------------- */

struct listing {
    const struct cli *cli;
    uint64_t listed; /* in JSON, so far */
};

static void list_json(struct listing *listing, const struct cubby_finding *finding,
                      const char *hex) {
    const char *kind = finding->has_key ? cubby_entry_kind_name(finding->kind) : NULL;
    json_t *line = json_pack("{s:s,s:s?,s:s?,s:o,s:b}", "tier", finding->tier, "kind", kind, "key",
                             kind ? hex : NULL, "problem", text_json(finding->problem), "repaired",
                             finding->repaired);

    if (listing->listed++ > 0)
        putchar(',');
    dump_json(line);
    json_decref(line);
}

/* A name in a message is a file's, and may hold anything, also what a terminal would obey. */
static void list_text(FILE *out, const struct cubby_finding *finding, const char *hex) {
    char *problem = printable(finding->problem);

    fprintf(out, "%s: ", finding->tier);
    if (finding->has_key)
        fprintf(out, "%s %s: ", cubby_entry_kind_name(finding->kind), hex);
    fprintf(out, "%s%s\n", problem ? problem : "", finding->repaired ? " (repaired)" : "");
    free(problem);
}

/* Damage is what is asked for; the rest is beside it. */
static int list_finding(const struct cubby_finding *finding, void *context) {
    struct listing *listing = context;
    char hex[CUBBY_KEY_HEX_SIZE] = "";

    if (finding->has_key)
        cubby_key_format(&finding->key, hex);
    if (finding->damage && listing->cli->json)
        list_json(listing, finding, hex);
    else if (finding->damage)
        list_text(stdout, finding, hex);
    else if (!listing->cli->quiet)
        list_text(stderr, finding, hex);
    return 0;
}

static void print_result(const struct cli *cli, const struct cubby_verify_result *result) {
    if (cli->json)
        printf("],\"entries\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"repaired\":%" PRIu64
               ",\"remarks\":%" PRIu64 "}\n",
               result->entries, result->bytes, result->repaired, result->remarks);
    else if (!cli->quiet)
        printf("%" PRIu64 " entries (%s): %" PRIu64 " damaged, %" PRIu64 " repaired\n",
               result->entries, format_bytes(result->bytes), result->damaged, result->repaired);
}

/* ---- The verb ---------------------------------------------------------------------------- */

/* A database whose structure is damaged is set aside when it is opened: that is its repair. */
static bool opens_sound(const struct cli *cli) {
    struct cubby_verify_result result = {0};
    enum status status = STATUS_OK;
    struct cubby_cache *cache = open_store(cli, &status);
    bool sound =
        cache && cubby_cache_verify(cache, CUBBY_VERIFY_REPAIR, NULL, NULL, &result, NULL) == 0;

    cubby_cache_unref(cache);
    return sound && result.damaged == result.repaired;
}

int verb_verify(struct cli *cli, int argc, char **argv) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    bool repair = false;
    struct verb_input input = {cli, &repair};
    struct listing listing = {.cli = cli};
    struct cubby_verify_result result = {0};
    enum status status = STATUS_OK;
    struct cubby_cache *cache;

    argv[0] = (char *)"cubby verify";
    parse_arguments(&ARGP, argc, argv, 0, &input);
    cache = open_store(cli, &status);
    if (!cache)
        return status;
    if (cli->json)
        fputs("{\"damaged\":[", stdout);
    if (cubby_cache_verify(cache, repair ? CUBBY_VERIFY_REPAIR : 0, list_finding, &listing, &result,
                           &error) < 0) {
        print_error(&error);
        status = STATUS_STORE;
    }
    cubby_cache_unref(cache);
    if (status == STATUS_OK && repair && result.repaired < result.damaged && opens_sound(cli))
        result.repaired = result.damaged;
    print_result(cli, &result);
    cubby_error_clear(&error);
    return result.repaired < result.damaged ? STATUS_STORE : (int)status;
}
