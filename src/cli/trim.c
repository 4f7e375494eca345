/* SPDX-License-Identifier: Apache-2.0 */
/* cubby trim */
#include <inttypes.h>
#include <stdio.h>

#include "cli/cli.h"
#include "os/time.h"
#include "util/units.h"

enum { OPTION_MAX_SIZE = 1024, OPTION_OLDER_THAN };

static const struct argp_option OPTIONS[] = {
    {"max-size", OPTION_MAX_SIZE, "SIZE", 0,
     "Remove what was used least recently until each store has at most SIZE, such as 512M or 5G",
     0},
    {"older-than", OPTION_OLDER_THAN, "AGE", 0,
     "Remove what was not used for AGE, such as 12h, 30d or 8w", 0},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct verb_input *input = state->input;
    struct cubby_trim_limits *limits = input->own;
    int64_t now = wall_seconds();
    uint64_t age;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = input;
        return 0;
    case OPTION_MAX_SIZE:
        if (!units_size(argument, &limits->max_size))
            argp_error(state, "\"%s\" is no size: expected one such as 512M, 5G or 1000000",
                       argument);
        if (limits->max_size == 0)
            argp_error(state, "nothing would stay: `cubby clear' removes everything");
        return 0;
    case OPTION_OLDER_THAN:
        if (!units_age(argument, &age))
            argp_error(state, "\"%s\" is no age: expected one such as 90s, 30m, 12h, 30d or 8w",
                       argument);
        limits->used_before = age < (uint64_t)now ? now - (int64_t)age : 1;
        return 0;
    case ARGP_KEY_END:
        if (!limits->max_size && !limits->used_before)
            argp_error(state, "--max-size SIZE or --older-than AGE is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child CHILDREN[] = {{&cli_argp, 0, "Common options:", 1}, {0}};
static const struct argp ARGP = {
    OPTIONS,  parse, "",  "Removes entries from each store, the least recently used first.",
    CHILDREN, NULL,  NULL};

int verb_trim(struct cli *cli, int argc, char **argv) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_trim_limits limits = {0};
    struct verb_input input = {cli, &limits};
    struct cubby_trimmed trimmed = {0};
    enum status status = STATUS_OK;
    struct cubby_cache *cache;

    argv[0] = (char *)"cubby trim";
    parse_arguments(&ARGP, argc, argv, 0, &input);
    cache = open_store(cli, &status);
    if (!cache)
        return status;
    if (cubby_cache_trim(cache, &limits, &trimmed, &error) < 0) {
        print_error(&error);
        status = STATUS_STORE;
    }
    if (cli->json)
        printf("{\"entries\":%" PRIu64 ",\"bytes\":%" PRIu64 "}\n", trimmed.entries, trimmed.bytes);
    else if (!cli->quiet)
        printf("%" PRIu64 " entries (%s) removed\n", trimmed.entries, format_bytes(trimmed.bytes));
    cubby_error_clear(&error);
    cubby_cache_unref(cache);
    return status;
}
